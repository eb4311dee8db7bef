/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decimal integers to and from bytes, strictly: no spaces, no plus sign, no leading zeros, no "-0",
 * overflow refused. This is what RESP integers and Redis string values demand (Redis string2ll).
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include "base/slice.h"

#include <stdint.h>

#define NUMBER_MAX_LEN 21 /* "-9223372036854775808" and one spare */

bool number_parse_i64(struct slice text, int64_t *ret_value);
/* Also strict; refuses any sign. */
bool number_parse_u64(struct slice text, uint64_t *ret_value);
/* Write without NUL and return the length; `out` has NUMBER_MAX_LEN bytes. */
size_t number_format_u64(char *out, uint64_t value);
size_t number_format_i64(char *out, int64_t value);

#endif
