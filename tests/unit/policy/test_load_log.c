/* SPDX-License-Identifier: BSD-3-Clause */
/* load_log: one level, or a map with levels by module. */
#include "policy_test.h"

static const struct wrong wrongs[] = {
    {"bad_level_in_map", LISTEN "log: { level: loud }\n",
     "2:15: log.level: `loud` is none of error/warn/info/debug/trace"},
    {"unknown_module", LISTEN "log: { modules: { folow: debug } }\n",
     "2:19: log.modules.folow: no such module; valid ones: daemon, fill, follow, http, log, net, "
     "persist, pg, plan, reload, resp, script, serve"},
    {"bad_module_level", LISTEN "log: { modules: { follow: 3 } }\n",
     "2:27: log.modules.follow: `3` is none of error/warn/info/debug/trace"},
    {"modules_is_text", LISTEN "log: { modules: follow }\n",
     "2:17: log.modules: a single value stands here; write a map `key: value`"},
    {"unknown_key", LISTEN "log: { levle: info }\n",
     "2:8: log.levle: unknown key; did you mean `level`?"},
    {"bad_format", LISTEN "log: { format: xml }\n", "2:16: log.format: `xml` is none of text/json"},
};

static void a_bare_level_is_the_level_of_all(void **state)
{
    const struct policy *p = load_good(LISTEN "log: debug\n");
    char spec[LOG_SPEC_MAX];
    log_settings_print(&p->log, spec);
    assert_string_equal(spec, "debug");
    assert_int_equal(p->log.format, LOG_TEXT);
    assert_int_equal(p->slow_fill_ms, 500);
    policy_unload(&p);
}

static void a_map_sets_modules_format_and_slow_fills(void **state)
{
    const struct policy *p = load_good(LISTEN "log:\n  level: warn\n  format: json\n"
                                              "  slow_fill: 2s\n"
                                              "  modules: { follow: debug, pg: trace }\n");
    char spec[LOG_SPEC_MAX];
    log_settings_print(&p->log, spec);
    assert_string_equal(spec, "warn,follow=debug,pg=trace");
    assert_int_equal(p->log.format, LOG_JSON);
    assert_int_equal(p->slow_fill_ms, 2000);
    policy_unload(&p);
}

static void without_log_it_is_info(void **state)
{
    const struct policy *p = load_good(LISTEN);
    char spec[LOG_SPEC_MAX];
    log_settings_print(&p->log, spec);
    assert_string_equal(spec, "info");
    assert_null(p->crash_dir);
    assert_int_equal(p->watchdog_ms, 10000);
    policy_unload(&p);
}

int main(void)
{
    struct CMUnitTest tests[array_len(wrongs) + 3];
    const struct CMUnitTest more[] = {
        cmocka_unit_test(a_bare_level_is_the_level_of_all),
        cmocka_unit_test(a_map_sets_modules_format_and_slow_fills),
        cmocka_unit_test(without_log_it_is_info),
    };
    size_t count = add_wrongs(tests, 0, wrongs, array_len(wrongs), wrong_is_refused);
    count = add_tests(tests, count, more, array_len(more));
    return run_group("load_log", tests, count);
}
