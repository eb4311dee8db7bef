/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link: one libpq connection inside a loop, from PQconnectStart to PQfinish. Private to pg/:
 * sessions and the pool's connections are built on it.
 *
 * Threads: the loop's. A callback may close and open the link again, but not free its memory.
 */
#ifndef PG_LINK_H
#define PG_LINK_H

#include "net/net.h"

#include <libpq-fe.h>

struct pg_link;
struct pg_link_face {
    void (*connected)(struct pg_link *k);
    /* PQconsumeInput() succeeded: take what is complete. */
    void (*readable)(struct pg_link *k);
    /* The link is already closed; `why` lives until the callback returns. */
    void (*failed)(struct pg_link *k, const char *why);
};

struct pg_link {
    struct loop *loop;
    const struct pg_link_face *face;
    PGconn *conn;        /* NULL: closed */
    uint64_t generation; /* of `conn`: tells a callback's caller that it was replaced */
    bool connected;
    struct loop_source source;
    struct timer connect_timer;
};

void pg_link_init(struct pg_link *k, struct loop *l, const struct pg_link_face *face);
/* Begins to connect: DSN, then `extra` over it. Never calls back from inside. */
void pg_link_open(struct pg_link *k, const char *dsn, const char *extra, uint32_t timeout_ms);
void pg_link_close(struct pg_link *k); /* idempotent, silent */
/* Sends what libpq has buffered, now or when the socket takes it. False: the connection is lost, and
 * `failed` will be called in the next turn. */
bool pg_link_flush(struct pg_link *k);
/* Closes and reports. */
void pg_link_fail(struct pg_link *k, const char *why);
/* The same from the loop, with libpq's own reason: for callers that must not be called back now. */
void pg_link_fail_later(struct pg_link *k);

#endif
