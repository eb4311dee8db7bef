/* SPDX-License-Identifier: BSD-3-Clause */
/* WAL positions as text and in normal form. */
#include "pg/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void text_both_ways(void **state)
{
    static const struct {
        const char *text;
        uint64_t lsn;
    } good[] = {
        {"0/0", 0},
        {"16/B374D848", 0x16B374D848},
        {"FFFFFFFF/FFFFFFFF", UINT64_MAX},
        {"0/2000028", 0x2000028},
    };
    for (size_t i = 0; i < array_len(good); i++) {
        uint64_t lsn = 1;
        char text[24];
        assert_true(pg_lsn_parse(good[i].text, &lsn));
        assert_int_equal(lsn, good[i].lsn);
        pg_lsn_format(lsn, text);
        assert_string_equal(text, good[i].text);
    }
    uint64_t lower = 0;
    assert_true(pg_lsn_parse("16/b374d848", &lower));
    assert_int_equal(lower, 0x16B374D848);
}

static void nonsense_is_refused(void **state)
{
    static const char *const bad[] = {
        "",      "0",     "/",           "0/",          "/0",  "0/0 ", " 0/0",
        "0/0/0", "0x1/0", "123456789/0", "0/123456789", "0/G", "-1/0"};
    for (size_t i = 0; i < array_len(bad); i++) {
        uint64_t lsn = 7;
        assert_false(pg_lsn_parse(bad[i], &lsn));
        assert_int_equal(lsn, 7);
    }
}

static void headers_are_no_history(void **state)
{
    uint64_t segment = 16 << 20;
    assert_int_equal(pg_lsn_normalise(segment * 3 + 40, 0), segment * 3);
    assert_int_equal(pg_lsn_normalise(segment * 3 + 8192 + 24, 0), segment * 3 + 8192);
    assert_int_equal(pg_lsn_normalise(segment * 3 + 8192 + 40, 0), segment * 3 + 8192 + 40);
    assert_int_equal(pg_lsn_normalise(segment * 3 + 8192 + 32, 0), segment * 3 + 8192 + 32);
    assert_int_equal(pg_lsn_normalise(segment * 3, 0), segment * 3);
    /* Another segment size moves the long header. */
    assert_int_equal(pg_lsn_normalise((64 << 20) + 40, 64 << 20), 64 << 20);
    assert_int_equal(pg_lsn_normalise(segment + 40, 64 << 20), segment + 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_both_ways),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(headers_are_no_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
