/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See number.h. Integers digit by digit; doubles by asking printf for more digits until they read back the same.
 *
 * Threads: pure.
 */
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool number_parse_u64(struct slice text, uint64_t *ret_value)
{
    if (text.len == 0 || text.len > 20 || (text.ptr[0] == '0' && text.len > 1)) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

bool number_parse_i64(struct slice text, int64_t *ret_value)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t value;
    if (!number_parse_u64(negative ? slice_from(text, 1) : text, &value)) {
        return false;
    }
    if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0) || (negative && value == 0)) {
        return false;
    }
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

size_t number_format_u64(char *out, uint64_t value)
{
    char digits[NUMBER_MAX_LEN];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < len; i++) {
        out[i] = digits[len - 1 - i];
    }
    return len;
}

size_t number_format_i64(char *out, int64_t value)
{
    if (value >= 0) {
        return number_format_u64(out, (uint64_t)value);
    }
    out[0] = '-';
    return 1 + number_format_u64(out + 1, 0 - (uint64_t)value);
}

/* The fewest digits of |value| that read back the same, without the point; returns how many. value is
 * 0.d1d2d3... * 10^point. */
static int shortest_digits(double value, char digits[20], int *ret_point)
{
    char text[40];
    int wanted = 1;
    do {
        (void)snprintf(text, sizeof(text), "%.*e", wanted - 1, value);
    } while (strtod(text, NULL) != value && ++wanted <= 17);
    int count = 0;
    const char *at = text;
    for (; *at != 'e'; at++) {
        if (*at != '.') {
            digits[count++] = *at;
        }
    }
    *ret_point = (int)strtol(at + 1, NULL, 10) + 1;
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    return count;
}

static size_t lay_out_plain(char *out, const char *digits, int count, int point)
{
    size_t len = 0;
    if (point <= 0) {
        out[len++] = '0';
        out[len++] = '.';
        for (int i = point; i < 0; i++) {
            out[len++] = '0';
        }
    }
    for (int i = 0; i < count || i < point; i++) {
        if (i == point && point > 0) {
            out[len++] = '.';
        }
        out[len++] = (char)(i < count ? digits[i] : '0');
    }
    return len;
}

static size_t lay_out_exponent(char *out, const char *digits, int count, int point)
{
    size_t len = 0;
    /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): there is always a digit */
    out[len++] = digits[0];
    if (count > 1) {
        out[len++] = '.';
        memcpy(out + len, digits + 1, (size_t)count - 1);
        len += (size_t)count - 1;
    }
    out[len++] = 'e';
    out[len++] = (char)(point - 1 < 0 ? '-' : '+');
    return len + number_format_u64(out + len, (uint64_t)abs(point - 1));
}

size_t number_format_double(char *out, double value)
{
    if (isnan(value)) {
        memcpy(out, "nan", 3);
        return 3;
    }
    size_t len = 0;
    if (signbit(value)) {
        out[len++] = '-';
        value = -value;
    }
    if (isinf(value)) {
        memcpy(out + len, "inf", 3);
        return len + 3;
    }
    if (value == 0) {
        out[len++] = '0';
        return len;
    }
    char digits[20];
    int point = 0;
    int count = shortest_digits(value, digits, &point);
    int exponent = point - 1;
    int shift = point - count; /* of the digits as an integer */
    bool is_plain = shift >= 0 ? exponent < count + 7 : shift > -7 || abs(exponent) < 4;
    return len + (is_plain ? lay_out_plain(out + len, digits, count, point)
                           : lay_out_exponent(out + len, digits, count, point));
}
