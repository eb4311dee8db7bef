/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * answer: what the HTTP cache stores, and how it becomes bytes on the wire.
 *
 * A stored value is ready to send but for the lines that change with time:
 *
 *      OFFSET  SIZE  MEANING
 *      0       8     stored_ms, monotonic (Age)
 *      8       4     body_len
 *      12      2     status
 *      14      1     head_len
 *      15      1     gzip_head_len; 0: not compressed yet, 255: not worth it
 *      16      n     head: "ETag: \"<16 hex>\"\r\nContent-Type: ...\r\n..." (no empty line)
 *      ..      n     body
 *      ..      n     head of the compressed form: "ETag: \"<16 hex>-gzip\"\r\n..."
 *      ..      rest  body in the gzip format
 *
 * The compressed form is a part of the entry: it is stored, accounted, outdated and evicted with it. It is
 * made when it is first asked for, by the fill or by a hit (hit.c), and only once. The two forms are two
 * representations (RFC 9110 8.8.3.3) with a strong entity tag each.
 *
 * Threads: pure.
 */
#ifndef SERVE_ANSWER_H
#define SERVE_ANSWER_H

#include "base/buf.h"
#include "base/slice.h"
#include "http/http.h"

#include <stdint.h>

struct gzip;

enum {
    /* Below, a compressed answer saves no packet; above, compressing would hold up the other connections
     * of the worker for more than about 10 ms. */
    ANSWER_GZIP_MIN = 1024,
    ANSWER_GZIP_MAX = 2 * 1024 * 1024,
    ANSWER_GZIP_ETAG_LEN = 23,
};

struct answer_form {
    struct slice head; /* ptr NULL: there is no such form */
    struct slice body;
};

struct answer {
    uint64_t stored_ms;
    int status;
    struct slice etag; /* of the plain form, with quotes */
    struct answer_form plain;
    struct answer_form gzip;
    bool may_gzip; /* the compressed form was not made yet, and may be worth it */
};

/* Makes a stored value of a body; `out` is empty. */
void answer_make(struct buf *out, int status, const char *content_type, struct slice body,
                 uint64_t now_ms);
/* Adds the compressed form to a stored value that has none, or notes that it is not worth it. `any_size`:
 * even when it is small or does not shrink. False: not added. */
bool answer_compress(struct buf *value, struct gzip **z, bool any_size);
/* Notes in a stored value that it is not worth it. */
void answer_mark_not_worth(char *value);
/* Slices into `value`. */
struct answer answer_read(struct slice value);
/* Are these the same answer, compressed or not? For stored values. */
bool answer_same(struct slice value, struct slice other);

/* How one request wants its answer. */
struct answer_wish {
    bool head_only; /* HEAD */
    bool close;
    struct http_codings accepts;
    struct slice if_none_match;
    const char *cache_status; /* value after "freshet; " */
    uint64_t ttl_s;           /* for hits: appended as ttl=, UINT64_MAX: none */
    bool hit;                 /* adds Age */
    uint64_t now_ms;
};
/* Must the answer be compressed before it can be put as wished? */
bool answer_lacks(const struct answer *a, const struct answer_wish *wish);
/* The compressed form is sent when it is asked for and there, the plain one otherwise. Returns how many
 * bytes that saved. */
size_t answer_put(struct buf *out, const struct answer *a, const struct answer_wish *wish);

#endif
