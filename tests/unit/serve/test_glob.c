/* SPDX-License-Identifier: BSD-3-Clause */
/* Patterns as KEYS and SCAN read them, and the time that a hostile one may take. */
#include "serve/glob.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *pattern;
    const char *text;
    bool matches;
} rows[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "anything", true},
    {"a*", "abc", true},
    {"a*", "bac", false},
    {"*c", "abc", true},
    {"*c", "abcd", false},
    {"a*c", "ac", true},
    {"a*c*e", "abcde", true},
    {"a*c*e", "abcdf", false},
    {"*ab*ab*", "aabab", true},
    {"*aab", "aaaab", true},
    {"?", "a", true},
    {"?", "", false},
    {"a?c", "abc", true},
    {"**", "x", true},
    {"h[ae]llo", "hallo", true},
    {"h[ae]llo", "hillo", false},
    {"h[^e]llo", "hallo", true},
    {"h[^e]llo", "hello", false},
    {"[a-c]", "b", true},
    {"[a-c]", "d", false},
    {"[c-a]", "b", true},
    {"[a-", "a", true},
    {"[]", "a", false},
    {"[^]", "a", true},
    {"[\\]]", "]", true},
    {"[abc", "c", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"a\\?c", "a?c", true},
    {"a\\?c", "abc", false},
    {"\\", "\\", true},
    {"product_list_*", "product_list_1", true},
    {"*:product_list_*", "erp:1:product_list_9", true},
    {"*[0-9]", "key:7", true},
    {"*[0-9]", "key:x", false},
};

static void patterns_match_as_written(void **state)
{
    for (size_t i = 0; i < array_len(rows); i++) {
        bool got = glob_match(slice_of(rows[i].pattern), slice_of(rows[i].text), false);
        if (got != rows[i].matches) {
            fail_msg("%s against %s", rows[i].pattern, rows[i].text);
        }
    }
}

static void case_matters_unless_it_is_ignored(void **state)
{
    assert_false(glob_match(SLICE("SAVE"), SLICE("save"), false));
    assert_true(glob_match(SLICE("SAVE"), SLICE("save"), true));
    assert_true(glob_match(SLICE("[A-C]*"), SLICE("bx"), true));
    assert_false(glob_match(SLICE("[A-C]*"), SLICE("bx"), false));
}

static void bytes_are_bytes(void **state)
{
    assert_true(glob_match(SLICE("a\0?"), SLICE("a\0\xff"), false));
    assert_false(glob_match(SLICE("a\0b"), SLICE("a\0c"), false));
    assert_true(glob_match(SLICE("[\x80-\xff]"), SLICE("\xc3"), false));
}

/* Backtracking into every star would take longer than the universe has. */
static void many_stars_take_no_time(void **state)
{
    char pattern[200];
    char text[5000];
    for (size_t i = 0; i < sizeof(pattern); i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = 'a';
    }
    pattern[sizeof(pattern) - 1] = 'b';
    memset(text, 'a', sizeof(text));
    assert_false(glob_match((struct slice){pattern, sizeof(pattern)},
                            (struct slice){text, sizeof(text)}, false));
}

/* Redis gives up there, and what it does not match freshet does not either. */
static void more_than_a_thousand_stars_match_nothing(void **state)
{
    static char pattern[2 * 1001];
    static char text[1001];
    for (size_t i = 0; i < sizeof(pattern); i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = '?';
    }
    memset(text, 'a', sizeof(text));
    struct slice all = {text, sizeof(text)};
    assert_true(glob_match((struct slice){pattern, sizeof(pattern) - 2}, all, false));
    assert_false(glob_match((struct slice){pattern, sizeof(pattern)}, all, false));
    memset(pattern, '*', sizeof(pattern));
    assert_true(glob_match((struct slice){pattern, sizeof(pattern)}, all, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_written),
        cmocka_unit_test(case_matters_unless_it_is_ignored),
        cmocka_unit_test(bytes_are_bytes),
        cmocka_unit_test(many_stars_take_no_time),
        cmocka_unit_test(more_than_a_thousand_stars_match_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
