/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * herd: of many Redis clients that miss one key, one fills it and the others wait for that.
 *
 *      asks, no filler ──> is the filler until it has written, closes, or somebody's patience is at its end
 *      asks, a filler  ──> waits: woken when the filler has written or gone, or at its own deadline,
 *                          when it becomes the filler itself
 *
 * Who is woken looks for the key again, and asks again if it is not there. The filler is known by its
 * connection only: nothing is kept in the store, and a filler that is forgotten costs a second fill.
 *
 * Threads: any worker. One lock (LOCK_RANK_FILL), never taken while a key is held. A waiter belongs to its
 * client's worker, which is told by mail.
 */
#ifndef SERVE_HERD_H
#define SERVE_HERD_H

#include "serve/resp_client.h"

struct herd;

struct herd *herd_create(void);
void herd_destroy(struct herd **h);
/* Wakes everybody; nobody waits or fills from now on. */
void herd_stop(struct herd *h);

/* What a client asked for, and until when it waits. */
struct herd_question {
    uint32_t db;
    struct slice key;     /* borrowed */
    uint64_t deadline_ms; /* loop's clock */
    uint64_t stale_ms;    /* the caller's own; kept for it */
};
/* The client's question was woken or its time is up: `q` is good during the call. The connection is still
 * paused; the client may ask again. */
typedef void herd_fn(struct resp_client *c, const struct herd_question *q);

enum herd_role { HERD_FILLER, HERD_WAITS, HERD_NEITHER };
/* HERD_WAITS: `woken` will be called in the client's worker, unless herd_forget() is first. HERD_NEITHER:
 * another one fills, and `woken` is NULL. */
enum herd_role herd_ask(struct resp_client *c, const struct herd_question *q, herd_fn *woken);
/* The key was written, or its filler gives up: wakes who waits for it. Not while a key is held. */
void herd_done(struct herd *h, uint32_t db, struct slice key);
/* The connection goes away. */
void herd_forget(struct resp_client *c);

#endif
