/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * answer: what the HTTP cache stores, and how it becomes bytes on the wire.
 *
 * A stored value is ready to send but for the lines that change with time:
 *
 *      OFFSET  SIZE  MEANING
 *      0       8     stored_ms, monotonic (Age)
 *      8       2     status
 *      10      2     head_len
 *      12      n     head: "ETag: \"<16 hex>\"\r\nContent-Type: ...\r\n..." (no empty line)
 *      12 + n  rest  body
 *
 * Threads: pure.
 */
#ifndef SERVE_ANSWER_H
#define SERVE_ANSWER_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdint.h>

struct answer {
    uint64_t stored_ms;
    int status;
    struct slice head;
    struct slice etag; /* with quotes */
    struct slice body;
};

/* Makes a stored value of a body; `out` is empty. */
void answer_make(struct buf *out, int status, const char *content_type, struct slice body,
                 uint64_t now_ms);
/* Slices into `value`. */
struct answer answer_read(struct slice value);

/* How one request wants its answer. */
struct answer_wish {
    bool head_only; /* HEAD */
    bool close;
    struct slice if_none_match;
    const char *cache_status; /* value after "freshet; " */
    uint64_t ttl_s;           /* for hits: appended as ttl=, UINT64_MAX: none */
    bool hit;                 /* adds Age */
    uint64_t now_ms;
};
void answer_put(struct buf *out, const struct answer *a, const struct answer_wish *wish);

#endif
