/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kinds of values, and the identities of rows and values.
 *
 * The stream tells a value as PostgreSQL's output function writes it; a key or parameter tells it
 * as a client wrote it. They can be compared by bytes only where a type has one way of writing each
 * value, and only if the client used it: that is what "canonical" means here. Everything else is
 * OTHER.
 *
 * Row and value identities are seeded hashes of (what it is, table, values). Each value is hashed
 * with its length, so ("ab", "c") and ("a", "bc") differ.
 */
#include "base/hash.h"
#include "base/number.h"
#include "follow/follow.h"

enum { /* pg_type.dat */
       OID_INT8 = 20,
       OID_INT2 = 21,
       OID_INT4 = 23,
       OID_TEXT = 25,
       OID_VARCHAR = 1043,
       OID_DATE = 1082,
       OID_UUID = 2950,
};

enum follow_kind follow_kind_of_type(uint32_t type_oid)
{
    switch (type_oid) {
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        return FOLLOW_KIND_INTEGER;
    case OID_TEXT:
    case OID_VARCHAR:
        return FOLLOW_KIND_TEXT;
    case OID_DATE:
        return FOLLOW_KIND_DATE;
    case OID_UUID:
        return FOLLOW_KIND_UUID;
    default:
        return FOLLOW_KIND_OTHER;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

/* `pattern`: 'd' a digit, 'x' a lower case hexadecimal digit, anything else itself. */
static bool matches(struct slice text, const char *pattern)
{
    if (text.len != strlen(pattern)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char want = pattern[i];
        char c = text.ptr[i];
        bool fits = want == 'd' ? is_digit(c) : want == 'x' ? is_lower_hex(c) : c == want;
        if (!fits) {
            return false;
        }
    }
    return true;
}

static int two_digits(const char *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

/* Days that do not exist are refused too: PostgreSQL would not have written them. */
static bool is_date(struct slice text)
{
    if (!matches(text, "dddd-dd-dd")) {
        return false;
    }
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = two_digits(text.ptr) * 100 + two_digits(text.ptr + 2);
    int month = two_digits(text.ptr + 5);
    int day = two_digits(text.ptr + 8);
    if (year == 0 || month < 1 || month > 12) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day >= 1 && day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool follow_kind_canonical(enum follow_kind kind, struct slice text)
{
    int64_t number = 0;
    switch (kind) {
    case FOLLOW_KIND_INTEGER:
        return number_parse_i64(text, &number);
    case FOLLOW_KIND_TEXT:
        return true;
    case FOLLOW_KIND_UUID:
        return matches(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
    case FOLLOW_KIND_DATE:
        return is_date(text);
    case FOLLOW_KIND_OTHER:
        return false;
    }
    unreachable();
}

static uint64_t mix_text(uint64_t h, struct slice text)
{
    return hash_mix(hash_mix(h, text.len), hash_slice(text));
}

uint64_t follow_row_hash(uint32_t table_oid, const struct slice *values, uint32_t count)
{
    uint64_t h = hash_mix('r', table_oid);
    for (uint32_t i = 0; i < count; i++) {
        h = mix_text(h, values[i]);
    }
    return h;
}

uint64_t follow_value_hash(uint32_t table_oid, int16_t attnum, struct slice value)
{
    return mix_text(hash_mix(hash_mix('v', table_oid), (uint64_t)(uint16_t)attnum), value);
}
