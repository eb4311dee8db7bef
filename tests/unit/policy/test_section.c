/* SPDX-License-Identifier: BSD-3-Clause */
/* section: keys against options.def, at every level: unknown, misplaced, repeated, of the wrong
 * type. */
#include "policy_test.h"

#define SPACE(text) LISTEN "spaces: { a: { db: 0, memory: 8MB, " text " } }\n"
#define ROUTE(text) DATABASE "routes: [ { match: GET /x, sql: select 1, " text " } ]\n"

static const struct wrong wrongs[] = {
    /* unknown keys, at every level */
    {"unknown_at_the_top", LISTEN "memroy: 400MB\n",
     "2:1: memroy: unknown key; did you mean `memory`?"},
    {"unknown_in_listen", "listen: { resp: \"127.0.0.1:1\", htpp: \":80\" }\n",
     "1:32: listen.htpp: unknown key; did you mean `http`?"},
    {"unknown_in_address", "listen: { resp: { adress: x, address: \"127.0.0.1:1\" } }\n",
     "1:19: listen.resp.adress: unknown key; did you mean `address`?"},
    {"unknown_in_database", LISTEN "database: { dsn: \"a=b\", poool: 3 }\n",
     "2:25: database.poool: unknown key; did you mean `pool`?"},
    {"unknown_in_auth", LISTEN "auth: { password: x, passwd_file: y }\n",
     "2:22: auth.passwd_file: unknown key; did you mean `password_file`?"},
    {"unknown_in_limits", LISTEN "limits: { http_hed: 16KB }\n",
     "2:11: limits.http_hed: unknown key; did you mean `http_head`?"},
    {"unknown_in_space", SPACE("prefx: x"),
     "2:36: spaces.a.prefx: unknown key; did you mean `prefix`?"},
    {"unknown_in_template", FOLLOWED "invalidate: { t: [ { key: a, implicit_leas: 3s } ] }\n",
     "3:30: invalidate.t[0].implicit_leas: unknown key; did you mean `implicit_lease`?"},
    {"unknown_in_route", ROUTE("fresch: 15m"),
     "3:43: routes[0].fresch: unknown key; did you mean `fresh`?"},
    {"unknown_and_not_near", LISTEN "limits: { zzzzzz: 1 }\n",
     "2:11: limits.zzzzzz: unknown key; valid ones: bulk, pipeline, http_head, http_body, "
     "http_idle, http_head_time, http_body_rate, http_body_time, connections, output, subscriber, "
     "buffers, "
     "stall, resp_idle, keepalive, script, script_memory, "
     "drain"},
    {"belongs_elsewhere", LISTEN "pool: 3\n",
     "2:1: pool: unknown key here; it belongs to `database`"},
    {"belongs_to_the_top", DATABASE "routes: [ { match: GET /x, sql: select 1, memory: 8MB } ]\n",
     "3:43: routes[0].memory: unknown key here; it belongs to the top of the file"},
    {"belongs_to_the_top_limits", LISTEN "limits: { workers: 3 }\n",
     "2:11: limits.workers: unknown key here; it belongs to the top of the file"},
    {"later_is_never_suggested", LISTEN "asset: x\n",
     "2:1: asset: unknown key; valid ones: listen, database, auth, users, memory, spaces, durable, "
     "invalidate, "
     "routes, limits, workers, debug, log, crash_dir, watchdog"},

    /* given twice */
    {"twice_at_the_top", LISTEN "log: info\nlog: debug\n",
     "3:1: log: given twice, first on line 2; remove one"},
    {"twice_listen", LISTEN LISTEN, "2:1: listen: given twice, first on line 1; remove one"},
    {"twice_in_section", LISTEN "limits: { bulk: 1MB, bulk: 1MB }\n",
     "2:22: limits.bulk: given twice, first on line 2; remove one"},
    {"twice_quoted", LISTEN "log: info\n\"log\": debug\n",
     "3:1: log: given twice, first on line 2; remove one"},

    /* wrong types */
    {"list_for_section", LISTEN "limits: [bulk]\n",
     "2:9: limits: a list stands here; write a map `key: value`"},
    {"text_for_section", LISTEN "limits: large\n",
     "2:9: limits: a single value stands here; write a map `key: value`"},
    {"nothing_for_section", LISTEN "limits:\n",
     "2:8: limits: nothing stands here; write a map `key: value`"},
    {"map_for_size", LISTEN "memory: { is: 400MB }\n",
     "2:9: memory: a map stands here; write a size such as 64KB, 400MB"},
    {"list_for_duration", SPACE("ttl: [3s]"),
     "2:41: spaces.a.ttl: a list stands here; write a duration such as 500ms, 30s, 15m"},
    {"list_for_count", LISTEN "workers: [1]\n",
     "2:10: workers: a list stands here; write a whole number"},
    {"map_for_choice", SPACE("evict: { a: b }"),
     "2:43: spaces.a.evict: a map stands here; write one of never|auto"},
    {"list_for_text", LISTEN "log: [info]\n",
     "2:6: log: a list stands here; write one of error|warn|info|debug|trace"},
    {"nothing_for_size", LISTEN "memory:\n",
     "2:8: memory: nothing stands here; write a size such as 64KB, 400MB"},
    {"nothing_for_text", LISTEN "log: \"\"\n",
     "2:6: log: nothing stands here; write one of error|warn|info|debug|trace"},
    {"null_for_count", LISTEN "workers: ~\n",
     "2:10: workers: nothing stands here; write a whole number"},

    /* values */
    {"bad_size", LISTEN "memory: 400MX\n",
     "2:9: memory: `400MX` is no size; write one whole number and one unit out of B, KB, MB, GB, "
     "TB"},
    {"size_without_unit", LISTEN "memory: 400\n",
     "2:9: memory: `400` has no unit; write B, KB, MB, GB or TB after the number, such as 400MB"},
    {"size_too_small", LISTEN "memory: 1MB\n",
     "2:9: memory: `1MB` is out of range; write 4MB to 1TB"},
    {"size_too_large", LISTEN "memory: 2000TB\n",
     "2:9: memory: `2000TB` is out of range; write 4MB to 1TB"},
    {"size_overflows", LISTEN "memory: 99999999999TB\n",
     "2:9: memory: `99999999999TB` is too large"},
    {"bad_duration", SPACE("ttl: soon"),
     "2:41: spaces.a.ttl: `soon` is no duration; write a whole number and a unit such as 500ms, "
     "30s, 15m, 2h, 30d"},
    {"duration_without_unit", SPACE("ttl: 30"),
     "2:41: spaces.a.ttl: `30` has no unit; write ms, s, m, h or d after the number, such as 30s"},
    {"duration_too_long", SPACE("ttl: 50d"),
     "2:41: spaces.a.ttl: `50d` is out of range; write 0 to 49d"},
    {"compound_duration", SPACE("ttl: 1h30m"),
     "2:41: spaces.a.ttl: `1h30m` is no duration; write one whole number and one unit out of ms, "
     "s, m, h, d"},
    {"bad_count", LISTEN "workers: many\n",
     "2:10: workers: `many` is no whole number; write digits only"},
    {"negative_count", LISTEN "workers: -1\n",
     "2:10: workers: `-1` is no whole number; write digits only"},
    {"count_too_large", LISTEN "workers: 65\n",
     "2:10: workers: `65` is out of range; write 1 to 64"},
    {"no_workers", LISTEN "workers: 0\n", "2:10: workers: `0` is out of range; write 1 to 64"},
    {"bad_choice", SPACE("evict: nevr"),
     "2:43: spaces.a.evict: `nevr` is none of never/auto; did you mean `never`?"},
    {"yes_is_not_true", LISTEN "debug: yes\n", "2:8: debug: `yes` is none of false/true"},
    {"bad_log_level", LISTEN "log: debgu\n",
     "2:6: log: `debgu` is none of error/warn/info/debug/trace; did you mean `debug`?"},

    /* known to the design, not to this version */
    {"later_assets", LISTEN "assets: { dir: web/dist }\n",
     "2:1: assets: not in this version yet: static files of the app; remove it"},
    {"later_tier", LISTEN "tier: { url: x }\n",
     "2:1: tier: not in this version yet: a shared Redis behind several nodes; remove it"},
    {"later_device", ROUTE("device: { fresh: 1h }"),
     "3:43: routes[0].device: not in this version yet: what phones keep of this route; remove it"},
    {"later_outbox", ROUTE("outbox: { lane: x }"),
     "3:43: routes[0].outbox: not in this version yet: writes queued on the device; remove it"},
    {"later_warm", ROUTE("warm: [ { id: 1 } ]"),
     "3:43: routes[0].warm: not in this version yet: filling answers before they are asked for; "
     "remove it"},
    {"later_vary", ROUTE("vary: session"),
     "3:43: routes[0].vary: not in this version yet: variants of an answer; remove it"},
    {"later_tags", ROUTE("tags: [a]"),
     "3:43: routes[0].tags: not in this version yet: purging by tag; remove it"},
    {"later_grace", ROUTE("grace: 1h"),
     "3:43: routes[0].grace: not in this version yet: serving old answers while the database is "
     "gone; remove it"},
    {"later_space_tier", SPACE("tier: x"),
     "2:36: spaces.a.tier: not in this version yet: a shared Redis behind several nodes; remove "
     "it"},
};

static void every_mistake_is_reported_in_the_order_of_the_file(void **state)
{
    assert_null(load_text("workers: x\n"
                          "limits: { bulk: 3, bulkk: 4 }\n"
                          "listen: { resp: [nowhere, \"127.0.0.1:x\"] }\n"
                          "log: loud\n"));
    char *line = said;
    static const char *const starts[] = {
        "t.yaml:1:10: workers: ",        "t.yaml:2:17: limits.bulk: ",
        "t.yaml:2:20: limits.bulkk: ",   "t.yaml:3:18: listen.resp[0]: ",
        "t.yaml:3:27: listen.resp[1]: ", "t.yaml:4:6: log: "};
    for (size_t i = 0; i < array_len(starts); i++) {
        assert_memory_equal(line, starts[i], strlen(starts[i]));
        line = strchr(line, '\n') + 1;
    }
    assert_string_equal(line, "");
}

static void beyond_a_limit_mistakes_are_only_counted(void **state)
{
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, LISTEN "limits:\n");
    for (int i = 0; i < POLICY_COMPLAINTS_MAX + 7; i++) {
        buf_printf(&text, "  key%d: 1\n", i);
    }
    assert_null(load_slice(buf_readable(&text)));
    buf_fini(&text);
    assert_non_null(strstr(said, "\nt.yaml: 7 more mistakes are not shown\n"));
}

static void complaints_cannot_forge_lines(void **state)
{
    assert_null(load_text(LISTEN "\"a\\nt.yaml:9:9: fine\\e[2J\": 1\n"));
    assert_non_null(strstr(said, "t.yaml:2:1: a?t.yaml:9:9: fine?[2J: unknown key; "));
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(every_mistake_is_reported_in_the_order_of_the_file),
        cmocka_unit_test(beyond_a_limit_mistakes_are_only_counted),
        cmocka_unit_test(complaints_cannot_forge_lines),
    };
    struct CMUnitTest tests[array_len(wrongs) + array_len(others)];
    size_t count = add_wrongs(tests, 0, wrongs, array_len(wrongs), wrong_is_refused);
    count = add_tests(tests, count, others, array_len(others));
    return run_group("section", tests, count);
}
