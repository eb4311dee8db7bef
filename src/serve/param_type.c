/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is a parameter's text a value of its type, and in which form is it written? Two spellings of one
 * value ("7" and "07") would be two entries in the cache, and only one of them the row's name in
 * the stream; so integers, booleans, dates and UUIDs have one form, and what is no value of the
 * type is refused before PostgreSQL is asked.
 *
 * Type oids are PostgreSQL's own fixed ones (catalog/pg_type.dat).
 *
 * Threads: pure. Not done: other types are left to the database, in whatever spelling.
 */
#include "serve/param_type.h"

#include "base/number.h"
#include "base/utf8.h"

#include <ctype.h>

enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_DATE = 1082,
    OID_NUMERIC = 1700,
    OID_UUID = 2950,
    OID_JSONB = 3802,
};

static const char *check_integer(struct slice text, int64_t low, int64_t high)
{
    int64_t value;
    if (!number_parse_i64(text, &value)) {
        return "must be an integer";
    }
    return value < low || value > high ? "is out of range" : NULL;
}

static const char *check_bool(struct buf *text, size_t start, struct slice given)
{
    bool yes =
        slice_is_nocase(given, "true") || slice_is_nocase(given, "t") || slice_is(given, "1");
    bool no =
        slice_is_nocase(given, "false") || slice_is_nocase(given, "f") || slice_is(given, "0");
    buf_truncate(text, start);
    buf_append_str(text, yes ? "true" : "false");
    return yes || no ? NULL : "must be true or false";
}

/* Digits with at most one point and an optional exponent; a sign in front. */
static const char *check_decimal(struct slice text)
{
    static const char wrong[] = "must be a number";
    size_t i = text.len > 0 && text.ptr[0] == '-' ? 1 : 0;
    size_t digits = 0;
    size_t points = 0;
    for (; i < text.len; i++) {
        char c = text.ptr[i];
        if (isdigit((unsigned char)c)) {
            digits++;
        } else if (c == '.' && points == 0) {
            points++;
        } else {
            break;
        }
    }
    if (digits == 0) {
        return wrong;
    }
    if (i == text.len) {
        return NULL;
    }
    if (text.ptr[i] != 'e' && text.ptr[i] != 'E') {
        return wrong;
    }
    i++;
    if (i < text.len && (text.ptr[i] == '-' || text.ptr[i] == '+')) {
        i++;
    }
    size_t exponent = text.len - i;
    for (; i < text.len; i++) {
        if (!isdigit((unsigned char)text.ptr[i])) {
            return wrong;
        }
    }
    return exponent > 0 && exponent < 5 ? NULL : wrong;
}

static int two_digits(const char *at)
{
    return (at[0] - '0') * 10 + (at[1] - '0');
}

/* A day that the calendar has, or PostgreSQL would refuse it without naming the parameter. */
static const char *check_date(struct slice text)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const char form[] = "dddd-dd-dd";
    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        if (text.len != sizeof(form) - 1 ||
            (form[i] == 'd' ? !isdigit((unsigned char)text.ptr[i]) : text.ptr[i] != '-')) {
            return "must be a date, YYYY-MM-DD";
        }
    }
    int century = two_digits(text.ptr);
    int year = two_digits(text.ptr + 2);
    int month = two_digits(text.ptr + 5);
    int day = two_digits(text.ptr + 8);
    bool is_leap = year % 4 == 0 && (year != 0 || century % 4 == 0);
    if (century + year == 0 || month < 1 || month > 12 || day < 1 ||
        day > days[month - 1] + (month == 2 && is_leap ? 1 : 0)) {
        return "is not a day of the calendar";
    }
    return NULL;
}

static const char *check_uuid(char *text, size_t len)
{
    static const char wrong[] = "must be a UUID";
    if (len != 36) {
        return wrong;
    }
    for (size_t i = 0; i < len; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? text[i] != '-' : !isxdigit((unsigned char)text[i])) {
            return wrong;
        }
        text[i] = (char)tolower((unsigned char)text[i]);
    }
    return NULL;
}

const char *param_type_check(uint32_t type_oid, struct buf *text, size_t start)
{
    struct slice all = buf_readable(text);
    struct slice given = slice_from(all, start);
    if (utf8_valid_len(given) < given.len || memchr(given.ptr, '\0', given.len) != NULL) {
        return "must be valid UTF-8 without NUL";
    }
    switch (type_oid) {
    case OID_BOOL:
        return check_bool(text, start, given);
    case OID_INT2:
        return check_integer(given, INT16_MIN, INT16_MAX);
    case OID_INT4:
        return check_integer(given, INT32_MIN, INT32_MAX);
    case OID_INT8:
        return check_integer(given, INT64_MIN, INT64_MAX);
    case OID_FLOAT4:
    case OID_FLOAT8:
    case OID_NUMERIC:
        return check_decimal(given);
    case OID_DATE:
        return check_date(given);
    case OID_UUID:
        return check_uuid(text->mem + text->start + start, given.len);
    default:
        return NULL;
    }
}

bool param_type_is_json(uint32_t type_oid)
{
    return type_oid == OID_JSON || type_oid == OID_JSONB;
}
