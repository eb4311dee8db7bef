/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of STABLE functions, and what a function's source gives away. */
#include "fill/stable.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void formatting_is_repeatable_and_the_clock_is_not(void **state)
{
    (void)state;
    static const uint32_t safe[] = {384, 861, 1085, 1217, 1770, 1780, 2049, 3058, 3175, 3539, 6203};
    static const uint32_t unsafe[] = {
        1299 /* now */,
        2647 /* transaction_timestamp */,
        2648 /* statement_timestamp */,
        1386 /* age */,
        2059 /* age */,
        2077 /* current_setting */,
        1084 /* date_in */,
        1402 /* current_schema */,
        3749 /* to_tsvector(text) */,
        2597 /* domain_in */,
        16384 + 1770,
        65536 + 1770,
    };
    for (size_t i = 0; i < array_len(safe); i++) {
        assert_true(stable_is_safe(safe[i]));
    }
    for (size_t i = 0; i < array_len(unsafe); i++) {
        assert_false(stable_is_safe(unsafe[i]));
    }
    assert_true(stable_reads_clock(1299) && stable_reads_clock(2649));
    assert_false(stable_reads_clock(1770));
    assert_true(stable_extension_is_safe("pg_trgm"));
    assert_false(stable_extension_is_safe("dblink"));
    assert_false(stable_extension_is_safe(""));
}

static bool has(const char *const *words, uint32_t count, const char *word)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static void a_scan_finds_words_and_calls(void **state)
{
    (void)state;
    struct arena a;
    struct body_words w;
    arena_init(&a);
    body_scan(&a, "SELECT \"F\" (x), g /* c */ (1), s.h(2), age FROM t$1 WHERE y='Now' AND t$1.z",
              &w);
    assert_true(has(w.words, w.word_count, "now"));
    assert_true(has(w.words, w.word_count, "t$1"));
    assert_true(has(w.calls, w.call_count, "f"));
    assert_true(has(w.calls, w.call_count, "g"));
    assert_true(has(w.calls, w.call_count, "h"));
    assert_false(has(w.calls, w.call_count, "age"));
    assert_false(has(w.calls, w.call_count, "x"));
    body_scan(&a, "", &w);
    assert_int_equal(w.word_count, 0);
    arena_fini(&a);
}

static void suspicious_sources_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        const char *suspect;
    } cases[] = {
        {"SELECT price FROM product WHERE id = $1", NULL},
        {"SELECT nowhere, todays FROM t", NULL},
        {"SELECT now()", "now"},
        {"SELECT 'ToDay'::date", "today"},
        {"select CURRENT_DATE", "current_date"},
        {"BEGIN EXECUTE 'x'; END", "execute"},
        {"SELECT 1 FROM pg_class", "pg_class"},
        {"SELECT 1 FROM information_schema.tables", "information_schema"},
        {"SELECT localtimestamp", "localtimestamp"},
        {"BEGIN x(); EXCEPTION /* c */ WHEN others THEN NULL; END", "exception"},
        {"BEGIN RAISE EXCEPTION 'when'; END", NULL},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct arena a;
        struct body_words w;
        arena_init(&a);
        body_scan(&a, cases[i].source, &w);
        const char *suspect = body_suspect(&w);
        assert_true((suspect == NULL) == (cases[i].suspect == NULL));
        if (suspect != NULL) {
            assert_string_equal(suspect, cases[i].suspect);
        }
        arena_fini(&a);
    }
}

static void parameters_that_name_the_clock_are_noticed(void **state)
{
    (void)state;
    static const char *const clock[] = {"now",         "TODAY",       " tomorrow ",
                                        "today 10:00", "{yesterday}", "[now,)"};
    static const char *const other[] = {"",      "snow",   "nowhere", "2026-11-23",
                                        "epoch", "to day", "know",    "infinity"};
    for (size_t i = 0; i < array_len(clock); i++) {
        assert_true(stable_text_names_clock(clock[i]));
    }
    for (size_t i = 0; i < array_len(other); i++) {
        assert_false(stable_text_names_clock(other[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formatting_is_repeatable_and_the_clock_is_not),
        cmocka_unit_test(a_scan_finds_words_and_calls),
        cmocka_unit_test(suspicious_sources_are_named),
        cmocka_unit_test(parameters_that_name_the_clock_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
