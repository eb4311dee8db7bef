/* SPDX-License-Identifier: BSD-3-Clause */
/* gzip: compresses one answer at a time (RFC 1952, zlib). One for each worker. */
#ifndef SERVE_GZIP_H
#define SERVE_GZIP_H

#include "base/buf.h"
#include "base/slice.h"

struct gzip;

/* Appends `text` in the gzip format. False, and nothing appended, when that would take `max` bytes or
 * more, or there is no memory. `*z` is created when it is first needed. Blocks, for milliseconds a
 * megabyte. */
bool gzip_put(struct gzip **z, struct slice text, size_t max, struct buf *out);
/* A `max` that is always enough for this many bytes. */
size_t gzip_bound(size_t len);
void gzip_destroy(struct gzip **z);

#endif
