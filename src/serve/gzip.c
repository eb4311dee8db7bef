/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zlib behind one function. Its state (256 KB) is kept and reset from answer to answer.
 *
 * Level 1: on JSON rows it is within a tenth of the default level's size at a quarter of its time, and a
 * worker's other connections wait meanwhile. The same text always gives the same bytes: the header has
 * neither time nor name, so a strong entity tag can be derived from the text's.
 *
 * Threads: one owner.
 */
#include "serve/gzip.h"

#include "base/alloc.h"
#include "base/check.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum { LEVEL = 1, WINDOW_GZIP = 15 + 16, MEMORY = 8 };

struct gzip {
    z_stream stream;
};

static struct gzip *create(void)
{
    struct gzip *z = xcalloc(1, sizeof(*z));
    if (deflateInit2(&z->stream, LEVEL, Z_DEFLATED, WINDOW_GZIP, MEMORY, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        free(z);
        return NULL;
    }
    return z;
}

void gzip_destroy(struct gzip **zp)
{
    struct gzip *z = *zp;
    *zp = NULL;
    if (z != NULL) {
        (void)deflateEnd(&z->stream);
        free(z);
    }
}

/* What does not compress is longer by 5 bytes a block of at least 1 KB, and 18 around the whole. */
size_t gzip_bound(size_t len)
{
    return len + len / 128 + 64;
}

bool gzip_put(struct gzip **zp, struct slice text, size_t max, struct buf *out)
{
    if (*zp == NULL) {
        *zp = create();
    }
    if (*zp == NULL || max < 2 || text.len > UINT_MAX || max > UINT_MAX) {
        return false;
    }
    z_stream *s = &(*zp)->stream;
    check(deflateReset(s) == Z_OK);
    s->next_in = (z_const Bytef *)(uintptr_t)text.ptr;
    s->avail_in = (uInt)text.len;
    s->next_out = (Bytef *)buf_reserve(out, max - 1);
    s->avail_out = (uInt)(max - 1);
    if (deflate(s, Z_FINISH) != Z_STREAM_END) {
        return false; /* no room: it is `max` bytes or more */
    }
    buf_commit(out, (size_t)s->total_out);
    return true;
}
