/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream: the replication connection. Makes a temporary slot, streams it, reports progress. Knows
 * frames, not their contents.
 *
 * Threads: the follower's. Callbacks may close the stream, not destroy it.
 */
#ifndef FOLLOW_STREAM_H
#define FOLLOW_STREAM_H

#include "pg/pg.h"

struct stream;

struct stream_face {
    /* The slot exists: every commit that ends after `lsn` will be streamed. Go on with stream_start(). */
    void (*slot)(void *arg, uint64_t lsn);
    void (*message)(void *arg, struct slice message); /* pgoutput's */
    /* Everything that was committed before `lsn` has been sent. */
    void (*idle)(void *arg, uint64_t lsn);
    void (*failed)(void *arg, const char *why); /* with the next step; the stream is closed */
};

struct stream *stream_create(struct loop *l, const struct stream_face *face, void *arg);
void stream_destroy(struct stream **s);
/* Strings are borrowed until stream_close(). */
void stream_open(struct stream *s, const char *dsn, const char *publication);
void stream_start(struct stream *s);
void stream_close(struct stream *s); /* idempotent, silent */

/* What may be reported as applied, now and once a second. */
void stream_applied(struct stream *s, uint64_t lsn);
/* Asks the server how far it has sent; the answer is idle(). One question at a time. */
void stream_ask(struct stream *s);
uint64_t stream_bytes(const struct stream *s); /* received, of all connections */

#endif
