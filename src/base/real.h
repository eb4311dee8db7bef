/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers with a fraction to and from bytes, as Redis 7.2 reads and writes them.
 *
 * Doubles (scores) are written with the fewest digits that read back as the same double; long doubles
 * (INCRBYFLOAT) with at most 17 digits after the point. Both never with a locale's comma.
 *
 * Threads: none; pure.
 */
#ifndef BASE_REAL_H
#define BASE_REAL_H

#include "base/slice.h"

enum {
    REAL_MAX_LEN = 32,            /* of a double's text */
    REAL_LONG_MAX_LEN = 5 * 1024, /* of a long double's, written or read */
};

/* What strtod() reads, all of `text`, "inf" and hexadecimal included. False for an empty text, a space in
 * front, NaN, and what no double can hold. */
bool real_parse(struct slice text, double *ret_value);
/* The same for a bound of a range: spaces in front and an empty text (0) are let through, as is too much. */
bool real_parse_bound(struct slice text, double *ret_value);
bool real_parse_long(struct slice text, long double *ret_value);

/* Write without NUL and return the length; `out` has REAL_MAX_LEN or REAL_LONG_MAX_LEN bytes. */
size_t real_format(char *out, double value);
/* With 17 significant digits, whether needed or not: how ZSCAN shows the scores of a large set. */
size_t real_format_17(char *out, double value);
size_t real_format_long(char *out, long double value);

#endif
