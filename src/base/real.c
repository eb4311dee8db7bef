/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Doubles as text.
 *
 * Reading: whole numbers are read by hand; everything else by strtod(), which wants a NUL, so the text is
 * copied to the stack, or to the heap when it is absurdly long (and is no number when there is no memory).
 *
 * Writing: a double is whole digits and a power of ten, value = digits * 10^power, with as few digits as
 * tell it from its neighbours. Most scores have few digits after the point: with t = rint(value * 10^k),
 * t and 10^k are exact and so t / 10^k is rounded once; if that is the value, the digits of t are the
 * shortest, and no conversion is needed. The rest asks printf() for 15, 16, then 17 digits.
 *
 * Digits and power then become text:
 *
 *      power >= 0, up to seven zeros       12300
 *      power -6 .. -1, or up to 10^3       0.00123   12.3
 *      else                                1.23e+30
 *
 * Source: what ZSCORE of Redis 7.2 answers. Its algorithm (Grisu2) writes a digit too many for one double
 * in a thousand; this one never does.
 */
#include "base/real.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- reading ---------------------------------------------------------------------------------- */

enum { TEXT_ROOM = 128, EXACT_DIGITS = 15, EXACT_POWER = 15 };

/* Whole numbers that a double holds exactly: the common scores. */
static bool parse_whole(struct slice text, double *ret_value)
{
    int64_t whole;
    if (text.len > EXACT_DIGITS || !number_parse_i64(text, &whole)) {
        return false;
    }
    *ret_value = (double)whole;
    return true;
}

static bool overflows(double value)
{
    return errno == ERANGE && (isinf(value) || value == 0);
}

/* strtod() on `text` with a NUL behind; all of it up to the first NUL must be taken. */
static bool parse_text(struct slice text, double *ret_value, size_t *ret_used)
{
    char room[TEXT_ROOM];
    char *copy = room;
    if (text.len >= sizeof(room)) {
        copy = alloc_try(text.len + 1);
        if (copy == NULL) {
            return false;
        }
    }
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    copy[text.len] = '\0';
    char *end;
    errno = 0;
    *ret_value = strtod(copy, &end);
    *ret_used = (size_t)(end - copy);
    bool whole = *end == '\0';
    if (copy != room) {
        free(copy);
    }
    return whole && !isnan(*ret_value);
}

bool real_parse(struct slice text, double *ret_value)
{
    if (parse_whole(text, ret_value)) {
        return true;
    }
    double value;
    size_t used;
    if (text.len == 0 || isspace((unsigned char)text.ptr[0]) || !parse_text(text, &value, &used) ||
        used != text.len || overflows(value)) {
        return false;
    }
    *ret_value = value;
    return true;
}

bool real_parse_bound(struct slice text, double *ret_value)
{
    size_t used;
    return parse_whole(text, ret_value) || parse_text(text, ret_value, &used);
}

bool real_parse_long(struct slice text, long double *ret_value)
{
    char copy[REAL_LONG_MAX_LEN] __attribute__((uninitialized));
    if (text.len == 0 || text.len >= sizeof(copy) || isspace((unsigned char)text.ptr[0])) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *end;
    errno = 0;
    long double value = strtold(copy, &end);
    if (end != copy + text.len || isnan(value) ||
        (errno == ERANGE && (isinf(value) || value == 0))) {
        return false;
    }
    *ret_value = value;
    return true;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* value = digits * 10^power, value > 0 */
struct decimal {
    char digits[20];
    int count;
    int power;
};

static bool few_digits(double value, struct decimal *ret_decimal)
{
    static const double tens[EXACT_POWER + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    for (int k = 1; k <= EXACT_POWER; k++) {
        double t = rint(value * tens[k]);
        if (t >= 1e15) {
            return false;
        }
        if (t / tens[k] == value) {
            ret_decimal->count = (int)number_format_u64(ret_decimal->digits, (uint64_t)t);
            ret_decimal->power = -k;
            return true;
        }
    }
    return false;
}

/* d.ddde+x, as printf() writes it, without the zeros at the end. */
static void read_scientific(const char *text, struct decimal *ret_decimal)
{
    int count = 0;
    const char *at = text;
    for (; *at != 'e'; at++) {
        if (*at != '.') {
            ret_decimal->digits[count++] = *at;
        }
    }
    int exponent = (int)strtol(at + 1, NULL, 10);
    int all = count;
    while (count > 1 && ret_decimal->digits[count - 1] == '0') {
        count--;
    }
    ret_decimal->count = count;
    ret_decimal->power = exponent - (all - 1) + (all - count);
}

static void many_digits(double value, struct decimal *ret_decimal)
{
    char text[40];
    int least = isnormal(value) ? 15 : 1; /* subnormals have fewer */
    for (int digits = least; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    read_scientific(text, ret_decimal);
}

static size_t write_plain(char *out, const struct decimal *d)
{
    memcpy(out, d->digits, (size_t)d->count);
    memset(out + d->count, '0', (size_t)d->power);
    return (size_t)d->count + (size_t)d->power;
}

static size_t write_fraction(char *out, const struct decimal *d)
{
    int whole = d->count + d->power; /* digits before the point */
    if (whole > 0) {
        memcpy(out, d->digits, (size_t)whole);
        out[whole] = '.';
        memcpy(out + whole + 1, d->digits + whole, (size_t)(d->count - whole));
        return (size_t)d->count + 1;
    }
    memcpy(out, "0.", 2);
    memset(out + 2, '0', (size_t)-whole);
    memcpy(out + 2 - whole, d->digits, (size_t)d->count);
    return 2 + (size_t)-whole + (size_t)d->count;
}

static size_t write_scientific(char *out, const struct decimal *d)
{
    int exponent = d->count + d->power - 1;
    size_t len = 0;
    out[len++] = d->digits[0];
    if (d->count > 1) {
        out[len++] = '.';
        memcpy(out + len, d->digits + 1, (size_t)d->count - 1);
        len += (size_t)d->count - 1;
    }
    out[len++] = 'e';
    out[len++] = exponent < 0 ? '-' : '+';
    return len + number_format_u64(out + len, (uint64_t)(exponent < 0 ? -exponent : exponent));
}

static size_t write_decimal(char *out, const struct decimal *d)
{
    int exponent = d->count + d->power - 1;
    exponent = exponent < 0 ? -exponent : exponent;
    if (d->power >= 0 && exponent < d->count + 7) {
        return write_plain(out, d);
    }
    if (d->power < 0 && (d->power > -7 || exponent < 4)) {
        return write_fraction(out, d);
    }
    return write_scientific(out, d);
}

static size_t write_word(char *out, const char *word)
{
    size_t len = strlen(word);
    memcpy(out, word, len);
    return len;
}

size_t real_format(char *out, double value)
{
    const double whole_max = 4611686018427387904.0; /* 2^62, all of whose neighbours are whole */
    if (isnan(value)) {
        return write_word(out, "nan");
    }
    if (isinf(value)) {
        return write_word(out, value < 0 ? "-inf" : "inf");
    }
    if (value == 0) {
        return write_word(out, signbit(value) ? "-0" : "0");
    }
    if (fabs(value) <= whole_max && value == rint(value)) {
        return number_format_i64(out, (int64_t)value);
    }
    size_t sign = value < 0 ? write_word(out, "-") : 0;
    struct decimal d = {.count = 0};
    if (!few_digits(fabs(value), &d)) {
        many_digits(fabs(value), &d);
    }
    return sign + write_decimal(out + sign, &d);
}

size_t real_format_17(char *out, double value)
{
    int len = snprintf(out, REAL_MAX_LEN, "%.17g", value);
    check(len > 0 && len < REAL_MAX_LEN);
    return (size_t)len;
}

size_t real_format_long(char *out, long double value)
{
    if (isinf(value)) {
        return write_word(out, value < 0 ? "-inf" : "inf");
    }
    int len = snprintf(out, REAL_LONG_MAX_LEN, "%.17Lf", value);
    check(len > 0 && len < REAL_LONG_MAX_LEN);
    while (out[len - 1] == '0') {
        len--;
    }
    len -= out[len - 1] == '.' ? 1 : 0;
    if (len == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        len = 1;
    }
    return (size_t)len;
}
