/* SPDX-License-Identifier: BSD-3-Clause */
/* param_type: is a parameter's text a value of its PostgreSQL type, and in which one canonical form? */
#ifndef SERVE_PARAM_TYPE_H
#define SERVE_PARAM_TYPE_H

#include "base/buf.h"

#include <stdint.h>

/* Checks the text from `start` to the end of `text` and may rewrite it in place (shorter or equal). NULL:
 * fine; otherwise the end of a sentence: "must be an integer". Types that are not known here (and 0) are
 * left to the database, but must be valid UTF-8 without NUL. */
const char *param_type_check(uint32_t type_oid, struct buf *text, size_t start);

/* json and jsonb: the type takes JSON text, so a JSON string must keep its quotes. */
bool param_type_is_json(uint32_t type_oid);

#endif
