/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Digit by digit, from the last one when writing. INT64_MIN is the one value that has no positive counterpart.
 *
 * Threads: pure.
 */
#include "base/number.h"

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
