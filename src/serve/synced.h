/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * synced: clients that wait until the disk has what came before (WAITAOF), or until they have waited long enough.
 *
 * What a client had done or seen lies before a position of the journal; it waits for the log's sync beyond that.
 * There are no replicas: who wants one of them to have it waits for its time to be over.
 *
 * Source: redis.io, WAITAOF. Threads: the client's worker.
 */
#ifndef SERVE_SYNCED_H
#define SERVE_SYNCED_H

#include "serve/resp_client.h"

struct synced_wish {
    bool local;          /* this server's disk */
    bool replicas;       /* theirs */
    uint64_t timeout_ms; /* 0: none */
};

/* Replies [1 if the disk has it else 0, 0] at once where that fulfils the wish or nobody may wait (EXEC), or parks the
 * client until then. */
void synced_wait(struct resp_client *c, const struct synced_wish *wish);
/* The log has moved: answers those who have what they want. */
void synced_moved(struct worker *w);
/* The connection goes away. */
void synced_forget(struct resp_client *c);
/* The server stops: a client that may wait for ever is let go. False: it does not wait. */
bool synced_give_up(struct resp_client *c);

#endif
