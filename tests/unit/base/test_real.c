/* SPDX-License-Identifier: BSD-3-Clause */
/* Doubles as text: Redis 7.2's forms, the fewest digits, and the way back. */
#include "base/check.h"
#include "base/real.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void scores_look_as_in_redis(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-17, "-17"},
        {3.2, "3.2"},
        {-3.25, "-3.25"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {1700000000.123456, "1700000000.123456"},
        {1e17, "100000000000000000"},
        {1e18, "1000000000000000000"},
        {9007199254740993.0, "9007199254740992"},
        {4611686018427387904.0, "4611686018427387904"},
        {9223372036854775807.0, "9223372036854776000"},
        {1e19, "1e+19"},
        {1e20, "1e+20"},
        {-1.5e300, "-1.5e+300"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {0.001, "0.001"},
        {0.000001, "0.000001"},
        {0.0000001, "1e-7"},
        {1.5e-7, "1.5e-7"},
        {1.25e-10, "1.25e-10"},
        {123456.7890123, "1.234567890123e+5"},
        {0.00012345678, "1.2345678e-4"},
        {0.12345678, "0.12345678"},
        {1234.5678901234567, "1234.5678901234567"},
        {12345.678901234567, "1.2345678901234567e+4"},
        {(double)INFINITY, "inf"},
        {-(double)INFINITY, "-inf"},
    };
    char text[REAL_MAX_LEN + 1];
    for (size_t i = 0; i < array_len(rows); i++) {
        text[real_format(text, rows[i].value)] = '\0';
        assert_string_equal(text, rows[i].text);
    }
}

/* xorshift: any double, and doubles with few digits. */
static double draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    double value;
    memcpy(&value, seed, sizeof(value));
    return (*seed & 3) != 0 ? value : (double)(int32_t)(*seed >> 32) / 1000;
}

static void every_double_reads_back_and_no_shorter_text_would(void **state)
{
    uint64_t seed = 88172645463325252ULL;
    char text[REAL_MAX_LEN + 1];
    for (int i = 0; i < 200000; i++) {
        double value = draw(&seed);
        if (isnan(value)) {
            continue;
        }
        size_t len = real_format(text, value);
        assert_true(len < sizeof(text));
        double back;
        assert_true(real_parse((struct slice){text, len}, &back));
        assert_memory_equal(&back, &value, sizeof(value));
        if (isnormal(value) && fabs(value) < 1e17) {
            size_t digits = 0;
            for (size_t k = 0; k < len && text[k] != 'e'; k++) {
                digits += text[k] >= '0' && text[k] <= '9' && (digits > 0 || text[k] != '0');
            }
            char shorter[40];
            (void)snprintf(shorter, sizeof(shorter), "%.*e", digits > 1 ? (int)digits - 2 : 0,
                           value);
            assert_true(digits == 1 || value == rint(value) || strtod(shorter, NULL) != value);
        }
    }
}

static void scores_are_read_as_redis_reads_them(void **state)
{
    static const char *const good[] = {"0",   "-0",   "1e5",      "+5",   ".5", "5.",
                                       "inf", "-inf", "Infinity", "0x10", "007"};
    static const char *const bad[] = {"",    " 1",    "1 ",     "nan", "-nan", "abc",
                                      "1,5", "1e999", "1e-999", "--1", "1e",   "0x"};
    double value;
    for (size_t i = 0; i < array_len(good); i++) {
        assert_true(real_parse(slice_of(good[i]), &value));
        assert_true(value == strtod(good[i], NULL));
    }
    for (size_t i = 0; i < array_len(bad); i++) {
        assert_false(real_parse(slice_of(bad[i]), &value));
    }
    assert_false(real_parse((struct slice){"1\0", 2}, &value));
    char many[400];
    memset(many, '0', sizeof(many));
    many[sizeof(many) - 1] = '7';
    assert_true(real_parse((struct slice){many, sizeof(many)}, &value) && value == 7);
    assert_true(real_parse_bound(SLICE(""), &value) && value == 0);
    assert_true(real_parse_bound(SLICE(" 3"), &value) && value == 3);
    assert_true(real_parse_bound(SLICE("1e999"), &value) && isinf(value));
    assert_false(real_parse_bound(SLICE("nan"), &value));
    assert_false(real_parse_bound(SLICE("3x"), &value));
}

static void long_fractions_keep_seventeen_places(void **state)
{
    static char text[REAL_LONG_MAX_LEN];
    long double value;
    assert_true(real_parse_long(SLICE("10.50"), &value));
    size_t len = real_format_long(text, value);
    assert_true(slice_is((struct slice){text, len}, "10.5"));
    len = real_format_long(text, -0.0L);
    assert_true(slice_is((struct slice){text, len}, "0"));
    len = real_format_long(text, 5.0e3L);
    assert_true(slice_is((struct slice){text, len}, "5000"));
    assert_false(real_parse_long(SLICE("nan"), &value));
    assert_false(real_parse_long(SLICE("1e99999"), &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_look_as_in_redis),
        cmocka_unit_test(every_double_reads_back_and_no_shorter_text_would),
        cmocka_unit_test(scores_are_read_as_redis_reads_them),
        cmocka_unit_test(long_fractions_keep_seventeen_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
