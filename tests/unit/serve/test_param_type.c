/* SPDX-License-Identifier: BSD-3-Clause */
#include "serve/param_type.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    BOOL = 16,
    INT8 = 20,
    INT2 = 21,
    INT4 = 23,
    TEXT = 25,
    DATE = 1082,
    NUMERIC = 1700,
    UUID = 2950
};

/* Checks `in` behind bytes of another parameter; NULL when it is refused, else its canonical text.
 */
static const char *canonical(uint32_t type, const char *in)
{
    static char kept[100];
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, "before");
    buf_append_str(&text, in);
    const char *wrong = param_type_check(type, &text, 6);
    struct slice got = slice_from(buf_readable(&text), 6);
    memcpy(kept, got.ptr, got.len);
    kept[got.len] = '\0';
    buf_fini(&text);
    return wrong == NULL ? kept : NULL;
}

static void expect_taken(uint32_t type, const char *in)
{
    assert_string_equal(canonical(type, in), in);
}

static void expect_refused(uint32_t type, const char *in)
{
    assert_null(canonical(type, in));
}

static void integers_stay_in_their_range(void **state)
{
    expect_taken(INT2, "-32768");
    expect_refused(INT2, "32768");
    expect_taken(INT4, "2147483647");
    expect_refused(INT4, "2147483648");
    expect_taken(INT8, "-9223372036854775808");
    expect_refused(INT8, "9223372036854775808");
    expect_refused(INT4, "");
    expect_refused(INT4, "+1");
    expect_refused(INT4, "01");
    expect_refused(INT4, " 1");
    expect_refused(INT4, "1.0");
    expect_refused(INT4, "0x1");
}

static void booleans_become_canonical(void **state)
{
    assert_string_equal(canonical(BOOL, "T"), "true");
    assert_string_equal(canonical(BOOL, "0"), "false");
    expect_refused(BOOL, "yes please");
    expect_refused(BOOL, "");
}

static void numbers_are_decimal(void **state)
{
    expect_taken(NUMERIC, "-1.50");
    expect_taken(NUMERIC, "1e-9");
    expect_refused(NUMERIC, "1e");
    expect_refused(NUMERIC, "1e99999");
    expect_refused(NUMERIC, "1.2.3");
    expect_refused(NUMERIC, "NaN");
    expect_refused(NUMERIC, ".");
}

static void dates_are_days_of_the_calendar(void **state)
{
    static const char *const good[] = {"2026-01-31", "2026-12-31", "2024-02-29", "2000-02-29",
                                       "0001-01-01", "9999-12-31", "0400-02-29"};
    static const char *const bad[] = {
        "2026-02-29", "1900-02-29",  "2026-02-30", "2026-04-31", "2026-13-01",
        "2026-00-10", "2026-01-00",  "2026-01-32", "0000-01-01", "2026-1-1",
        "20260101",   "2026-01-01 ", "2026/01/01", "today",      ""};
    for (size_t i = 0; i < array_len(good); i++) {
        expect_taken(DATE, good[i]);
    }
    for (size_t i = 0; i < array_len(bad); i++) {
        expect_refused(DATE, bad[i]);
    }
}

static void uuids_become_lower_case(void **state)
{
    assert_string_equal(canonical(UUID, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
                        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    expect_refused(UUID, "a0eebc999c0b4ef8bb6d6bb9bd380a11");
    expect_refused(UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g");
}

static void text_is_utf8(void **state)
{
    expect_taken(TEXT, "w\xc3\xa4sche \xf0\x9f\xa7\xba");
    static const char *const bad[] = {"\xff",
                                      "a\x80",
                                      "\xc3",
                                      "\xe2\x82",
                                      "\xc0\xaf",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xe0\x80\xaf",
                                      "\xf0\x8f\xbf\xbf"};
    for (size_t i = 0; i < array_len(bad); i++) {
        expect_refused(TEXT, bad[i]);
    }
}

static void strings_of_json_types_keep_their_quotes(void **state)
{
    assert_true(param_type_is_json(114));
    assert_true(param_type_is_json(3802));
    assert_false(param_type_is_json(25));
    assert_false(param_type_is_json(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_stay_in_their_range),
        cmocka_unit_test(booleans_become_canonical),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(dates_are_days_of_the_calendar),
        cmocka_unit_test(uuids_become_lower_case),
        cmocka_unit_test(text_is_utf8),
        cmocka_unit_test(strings_of_json_types_keep_their_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
