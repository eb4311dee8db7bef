/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rows: a PostgreSQL result as JSON text.
 *
 * Numbers, booleans, json and jsonb stand as they are; timestamps get ISO 8601's `T`; NULL is null; every
 * other type is a string of its PostgreSQL text. A single column of type json or jsonb in an object
 * answer is the whole body. Threads: pure.
 */
#ifndef SERVE_ROWS_H
#define SERVE_ROWS_H

#include "base/buf.h"

#include <libpq-fe.h>

void rows_put_array(struct buf *out, const PGresult *rows);
/* The first row; the caller has checked that there is one. */
void rows_put_object(struct buf *out, const PGresult *rows);

#endif
