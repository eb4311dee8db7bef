/* SPDX-License-Identifier: BSD-3-Clause */
/* load_spaces: databases, budgets that must fit, and the shares of those who state none. */
#include "policy_test.h"

#define MB    (1024ULL * 1024)
#define ROUTE "routes: [ { match: GET /x, sql: select 1 } ]\n"

static const struct wrong wrongs[] = {
    {"spaces_is_list", LISTEN "spaces: [a]\n",
     "2:9: spaces: a list stands here; write a map `key: value`"},
    {"spaces_is_empty", LISTEN "spaces: {}\n",
     "2:9: spaces: 0 spaces; write 1 to 17, or remove it"},
    {"spaces_is_nothing", LISTEN "spaces:\n",
     "2:8: spaces: nothing stands here; write a map `key: value`"},
    {"space_is_list", LISTEN "spaces: { a: [db, 1] }\n",
     "2:14: spaces.a: a list stands here; write a map `key: value`"},
    {"space_is_nothing", LISTEN "spaces: { a: }\n",
     "2:14: spaces.a: nothing stands here; write a map `key: value`"},
    {"space_without_db", LISTEN "spaces: { a: { memory: 8MB } }\n",
     "2:14: spaces.a: no `db`; write the Redis database number, 0 to 15"},
    {"db_too_large", LISTEN "spaces: { a: { db: 16, memory: 8MB } }\n",
     "2:20: spaces.a.db: `16` is out of range; write 0 to 15"},
    {"db_negative", LISTEN "spaces: { a: { db: -1, memory: 8MB } }\n",
     "2:20: spaces.a.db: `-1` is no whole number; write digits only"},
    {"db_is_text", LISTEN "spaces: { a: { db: zero, memory: 8MB } }\n",
     "2:20: spaces.a.db: `zero` is no whole number; write digits only"},
    {"one_db_twice", LISTEN "spaces:\n  a: { db: 3, memory: 8MB }\n  b: { db: 3, memory: 8MB }\n",
     "4:12: spaces.b.db: database 3 already belongs to the space `a`; each has its own"},
    {"one_name_twice", LISTEN "spaces:\n  a: { db: 3, memory: 8MB }\n  a: { db: 4, memory: 8MB }\n",
     "4:3: spaces.a: given twice, first on line 3; remove one"},
    {"bad_name", LISTEN "spaces: { \"a b\": { db: 3, memory: 8MB } }\n",
     "2:11: spaces.a b: a space's name has 1 to 32 letters, digits, '_' and '-'"},
    {"long_name",
     LISTEN "spaces: { abcdefghijklmnopqrstuvwxyz0123456789: { db: 3, memory: 8MB } }\n",
     "2:11: spaces.abcdefghijklmnopqrstuvwxyz0123456789: a space's name has 1 to 32 letters, "
     "digits, '_' and '-'"},
    {"memory_too_small", LISTEN "spaces: { a: { db: 3, memory: 512KB } }\n",
     "2:31: spaces.a.memory: `512KB` is out of range; write 1MB to 1TB"},
    {"memory_without_unit", LISTEN "spaces: { a: { db: 3, memory: 64 } }\n",
     "2:31: spaces.a.memory: `64` has no unit; write B, KB, MB, GB or TB after the number, such as "
     "400MB"},
    {"durable", LISTEN "spaces: { a: { db: 3, memory: 8MB, keep: durable } }\n",
     "2:9: spaces: the space `a` is durable, but the policy names no place for the log; add "
     "durable: "
     "{ dir: /var/lib/freshet }"},
    {"keep_unknown", LISTEN "spaces: { a: { db: 3, memory: 8MB, keep: durabel } }\n",
     "2:42: spaces.a.keep: `durabel` is none of volatile/durable; did you mean `durable`?"},
    {"keep_is_list", LISTEN "spaces: { a: { db: 3, memory: 8MB, keep: [durable] } }\n",
     "2:42: spaces.a.keep: a list stands here; write one of volatile|durable"},
    {"prefix_ends_with_star", LISTEN "spaces: { a: { db: 3, memory: 8MB, prefix: \"erp:*\" } }\n",
     "2:44: spaces.a.prefix: a `*` at its end matches nothing, being the shortest run; end it with "
     "what follows, such as `erp:*:`"},
    {"unknown_consistency",
     FOLLOWED "spaces: { a: { db: 3, memory: 8MB, consistency: strickt } }\n",
     "3:49: spaces.a.consistency: `strickt` is none of ttl/follow/strict; did you mean `strict`?"},
    {"follow_without_database",
     LISTEN "spaces: { a: { db: 3, memory: 8MB, consistency: follow } }\n",
     "2:49: spaces.a.consistency: `follow` needs a database to follow; add `database: { dsn: ... "
     "}`, or say `ttl`"},
    {"strict_without_database",
     LISTEN "spaces: { a: { db: 3, memory: 8MB, consistency: strict } }\n",
     "2:49: spaces.a.consistency: `strict` needs a database to follow; add `database: { dsn: ... "
     "}`, or say `ttl`"},
    {"http_with_db", LISTEN "spaces: { http: { db: 3, memory: 8MB } }\n",
     "2:23: spaces.http.db: the space `http` holds answers of routes and has no `db`; remove it"},
    {"http_with_ttl", LISTEN "spaces: { http: { memory: 8MB, ttl: 3s } }\n",
     "2:37: spaces.http.ttl: the space `http` holds answers of routes and has no `ttl`; say "
     "`fresh` and `consistency` on the routes"},
    {"http_with_prefix", LISTEN "spaces: { http: { memory: 8MB, prefix: x } }\n",
     "2:40: spaces.http.prefix: the space `http` holds answers of routes and has no `prefix`; "
     "remove it"},
    {"http_with_consistency", LISTEN "spaces: { http: { memory: 8MB, consistency: ttl } }\n",
     "2:45: spaces.http.consistency: the space `http` holds answers of routes and has no "
     "`consistency`; say `fresh` and `consistency` on the routes"},
    {"budgets_do_not_fit",
     LISTEN "memory: 100MB\nspaces:\n  a: { db: 0, memory: 64MB }\n  b: { db: 1, memory: 64MB }\n",
     "2:9: memory: the spaces need 128MB, but there is 100MB; lower a space or write `memory: "
     "128MB`"},
    {"nothing_left_to_share",
     LISTEN "memory: 64MB\nspaces:\n  a: { db: 0, memory: 64MB }\n  b: { db: 1 }\n",
     "2:9: memory: the spaces need 64MB + at least 1MB for each of 1 without `memory`, but there "
     "is 64MB; lower a space or write `memory: 65MB`"},
    {"no_room_for_http", DATABASE "memory: 64MB\nspaces: { a: { db: 0, memory: 60MB } }\n" ROUTE,
     "3:9: memory: the spaces need 60MB + 8MB for `http` (routes need it), but there is 64MB; "
     "lower a space or write `memory: 68MB`"},
    {"too_many_spaces",
     LISTEN
     "memory: 64MB\nspaces: { a: {db: 0}, b: {db: 1}, c: {db: 2}, d: {db: 3}, e: {db: 4}, f: {db: "
     "5}, "
     "g: {db: 6}, h: {db: 7}, i: {db: 8}, j: {db: 9}, k: {db: 10}, l: {db: 11}, m: {db: 12}, "
     "n: {db: 13}, o: {db: 14}, p: {db: 15}, q: {db: 1}, r: {db: 1} }\n",
     "3:9: spaces: 18 spaces; write 1 to 17, or remove it"},
};

static const struct wrong warnings[] = {
    {"no_space_follows",
     FOLLOWED
     "spaces: { a: { db: 0, memory: 8MB, consistency: ttl } }\ninvalidate: { t: [\"x_{id}\"] }\n",
     "4:13: warning: invalidate: no space follows: say `consistency: follow` on the one that holds "
     "the keys"},
};

static const struct policy_space *space(const struct policy *p, const char *name)
{
    for (uint32_t i = 0; i < p->space_count; i++) {
        if (strcmp(p->spaces[i].name, name) == 0) {
            return &p->spaces[i];
        }
    }
    fail_msg("no space %s", name);
    return NULL;
}

static void without_spaces_all_databases_share_one(void **state)
{
    const struct policy *p = load_good(LISTEN "memory: 80MB\n");
    assert_int_equal(p->space_count, 1);
    assert_string_equal(p->spaces[0].name, "default");
    assert_int_equal(p->spaces[0].memory, 80 * MB);
    assert_true(p->spaces[0].evict);
    assert_int_equal(p->spaces[0].consistency, POLICY_TTL);
    for (int db = 0; db < POLICY_DBS; db++) {
        assert_int_equal(p->db_space[db], 0);
    }
    assert_int_equal(p->http_space, -1);
    policy_unload(&p);
}

static void without_spaces_routes_get_an_eighth(void **state)
{
    const struct policy *p = load_good(DATABASE "memory: 80MB\n" ROUTE);
    assert_int_equal(p->space_count, 2);
    assert_int_equal(space(p, "default")->memory, 70 * MB);
    assert_int_equal(space(p, "http")->memory, 10 * MB);
    assert_string_equal(p->spaces[p->http_space].name, "http");
    assert_int_equal(space(p, "http")->db, -1);
    policy_unload(&p);
    p = load_good(DATABASE "memory: 800MB\n" ROUTE);
    assert_int_equal(space(p, "http")->memory, 64 * MB);
    policy_unload(&p);
    p = load_good(DATABASE "memory: 4MB\n" ROUTE);
    assert_int_equal(space(p, "http")->memory, 1 * MB);
    policy_unload(&p);
}

static void without_memory_a_quarter_of_the_machine(void **state)
{
    const struct policy *p = load_good(LISTEN);
    assert_true(p->memory >= 4 * MB);
    assert_int_equal(p->memory % MB, 0);
    assert_int_equal(p->spaces[0].memory, p->memory);
    policy_unload(&p);
}

static void stated_budgets_are_the_memory(void **state)
{
    const struct policy *p =
        load_good(LISTEN "spaces:\n  a: { db: 0, memory: 9MB }\n  b: { db: 7, memory: 5MB }\n");
    assert_int_equal(p->memory, 14 * MB);
    assert_int_equal(p->db_space[0], 0);
    assert_int_equal(p->db_space[7], 1);
    assert_int_equal(p->db_space[1], -1);
    assert_int_equal(p->spaces[1].db, 7);
    policy_unload(&p);
    p = load_good(DATABASE "spaces:\n  a: { db: 0, memory: 70MB }\n" ROUTE);
    assert_int_equal(p->memory, 80 * MB); /* http is an eighth of the whole */
    assert_int_equal(space(p, "http")->memory, 10 * MB);
    policy_unload(&p);
}

static void the_rest_is_shared_equally(void **state)
{
    const struct policy *p = load_good(DATABASE "memory: 80MB\n"
                                                "spaces:\n"
                                                "  a: { db: 0 }\n"
                                                "  b: { db: 1, memory: 20MB }\n"
                                                "  c: { db: 2 }\n" ROUTE);
    assert_int_equal(space(p, "http")->memory, 10 * MB);
    assert_int_equal(space(p, "a")->memory, 25 * MB);
    assert_int_equal(space(p, "b")->memory, 20 * MB);
    assert_int_equal(space(p, "c")->memory, 25 * MB);
    policy_unload(&p);
    p = load_good(LISTEN "memory: 80MB\nspaces: { a: { db: 0 }, http: {} }\n");
    assert_int_equal(space(p, "a")->memory, 40 * MB);
    assert_int_equal(space(p, "http")->memory, 40 * MB);
    assert_int_equal(p->http_space, 1);
    policy_unload(&p);
}

static void budgets_may_leave_memory_unused(void **state)
{
    const struct policy *p =
        load_good(LISTEN "memory: 100MB\nspaces: { a: { db: 0, memory: 64MB } }\n");
    assert_int_equal(p->memory, 100 * MB);
    assert_int_equal(p->spaces[0].memory, 64 * MB);
    policy_unload(&p);
}

static void spaces_have_the_promises_they_state(void **state)
{
    const struct policy *p = load_good(
        FOLLOWED
        "invalidate: { t: [\"x_{id}\"] }\n"
        "spaces:\n"
        "  queue: { db: 0, memory: 8MB, evict: never, keep: volatile, consistency: ttl }\n"
        "  cache: { db: 1, memory: 8MB, prefix: \"erp:*:\", ttl: 30d, consistency: strict }\n"
        "  plain: { db: 2, memory: 8MB }\n");
    const struct policy_space *queue = space(p, "queue");
    assert_false(queue->evict);
    assert_int_equal(queue->ttl_ms, 0);
    assert_int_equal(queue->consistency, POLICY_TTL);
    const struct policy_space *cache = space(p, "cache");
    assert_true(cache->evict);
    assert_string_equal(cache->prefix, "erp:*:");
    assert_int_equal(cache->ttl_ms, 2592000000U);
    assert_int_equal(cache->consistency, POLICY_STRICT);
    assert_null(space(p, "plain")->prefix);
    assert_int_equal(space(p, "plain")->consistency, POLICY_FOLLOW);
    policy_unload(&p);
}

static void more_than_the_machine_has_is_only_a_warning(void **state)
{
    const struct policy *p = load_text(LISTEN "memory: 1TB\n");
    static const char warning[] = "t.yaml:2:9: warning: memory: more than this machine has (";
    assert_memory_equal(said, warning, strlen(warning));
    assert_non_null(p);
    policy_unload(&p);
}

static void the_default_space_follows_what_is_invalidated(void **state)
{
    const struct policy *p = load_good(FOLLOWED "memory: 8MB\ninvalidate: { t: [\"x_{id}\"] }\n");
    assert_int_equal(p->spaces[0].consistency, POLICY_FOLLOW);
    assert_true(policy_space_followed(p, &p->spaces[0]));
    policy_unload(&p);
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(without_spaces_all_databases_share_one),
        cmocka_unit_test(without_spaces_routes_get_an_eighth),
        cmocka_unit_test(without_memory_a_quarter_of_the_machine),
        cmocka_unit_test(stated_budgets_are_the_memory),
        cmocka_unit_test(the_rest_is_shared_equally),
        cmocka_unit_test(budgets_may_leave_memory_unused),
        cmocka_unit_test(spaces_have_the_promises_they_state),
        cmocka_unit_test(more_than_the_machine_has_is_only_a_warning),
        cmocka_unit_test(the_default_space_follows_what_is_invalidated),
    };
    struct CMUnitTest tests[array_len(wrongs) + array_len(warnings) + array_len(others)];
    size_t count = add_wrongs(tests, 0, wrongs, array_len(wrongs), wrong_is_refused);
    count = add_wrongs(tests, count, warnings, array_len(warnings), wrong_is_warned_about);
    count = add_tests(tests, count, others, array_len(others));
    return run_group("load_spaces", tests, count);
}
