/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one place where the store's notes of changed keys are taken (store_touched_take()) and handed to those
 * who react to keys. A new kind of reaction is a call in touched.c.
 *
 * Threads: the worker's.
 */
#ifndef SERVE_TOUCHED_H
#define SERVE_TOUCHED_H

#include "serve/serve.h"
#include "store/watch.h"

/* Takes all notes there are and lets everybody react; nothing is held. Takes the store's ownership when a
 * client waits for one of the keys. worker_disown() does this before it gives the store up. While somebody
 * else owns the store nothing is taken: the owner does it at its end. */
void touched_drain(struct worker *w);
/* Inside an ownership: who tracks what has changed so far is told now. Blocked clients are served at its end. */
void touched_tell_trackers(struct worker *w);
/* Goes on with what could not be done then. */
void touched_retry(struct worker *w);

/* Sends what events.c and tracking.c have gathered. Nothing is held; inside an ownership is fine. */
void events_and_changes_send(struct worker *w);

/* After a command: inside an ownership the notes wait for its end. */
static inline void touched_after_command(struct worker *w)
{
    if (__builtin_expect(store_touched(w->server->store), 0) && w->own_depth == 0) {
        touched_drain(w);
    }
}

#endif
