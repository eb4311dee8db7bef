/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From notes of changed keys to reactions.
 *
 *      a write ─> note in its shard ─┬─ end of the outermost ownership ─┬─> touched_drain ─> blocked clients
 *                                    └─ end of a command without one ───┘
 *
 * Notes are taken while nothing is held, and a note may be of another worker's change: reactions belong to
 * keys, not to who changed them. Serving a blocked client changes keys again (BLMOVE), so this goes on until
 * no notes are left.
 *
 * Invariant: TO1. A key that was written while a client waits for it is looked at, for that client, by the
 * worker that took the note, before that worker does anything else; only when a third worker has come to own
 * the store in between, after that. What was noted before the client began to
 * wait does not matter to it: it looked at the keys itself, owning the store (blocked.c).
 *
 * Threads: the worker's.
 */
#include "serve/touched.h"

#include "serve/blocked.h"
#include "serve/events.h"
#include "serve/gate.h"
#include "serve/tracking.h"

/* May not call the store (store_touched_take()). */
static void react(void *arg, enum store_touch what, uint32_t db, struct slice key)
{
    struct worker *w = arg;
    blocked_note(w, what, db, key, &w->gate_wait.fed);
    events_note_touch(w, what, db, key);
    tracking_note_change(w, what, db, key);
}

/* False: it would have to wait. */
static bool take_notes(struct worker *w)
{
    bool took;
    if (!gate_try(w, &took)) {
        return false;
    }
    store_touched_take(w->server->store, w->gate, react, w);
    if (took) {
        gate_leave(w);
    }
    return true;
}

static bool serve_fed(struct worker *w)
{
    return buf_len(&w->gate_wait.fed) == 0 || blocked_serve(w, &w->gate_wait.fed);
}

void touched_drain(struct worker *w)
{
    while ((store_touched(w->server->store) || buf_len(&w->gate_wait.fed) > 0) && take_notes(w) &&
           serve_fed(w)) {
    }
}

void touched_tell_trackers(struct worker *w)
{
    if (store_touched(w->server->store)) {
        (void)take_notes(w);
    }
    if (buf_len(&w->changed) > 0) {
        tracking_send(w);
    }
}

void touched_retry(struct worker *w)
{
    if (serve_fed(w)) {
        touched_after_command(w);
    }
}

void events_and_changes_send(struct worker *w)
{
    if (events_wait(w)) {
        events_send(w);
    }
    if (buf_len(&w->changed) > 0) {
        tracking_send(w);
    }
}

void worker_own(struct worker *w)
{
    struct gate *g = &w->gate_wait;
    if (w->own_depth == 0 && !g->is_owned_ahead) {
        g->is_passed = false;
        store_own(w->server->store, w->gate);
    }
    g->is_owned_ahead = false;
    w->own_depth++;
}

bool worker_own_try(struct worker *w)
{
    struct gate *g = &w->gate_wait;
    if (w->own_depth == 0 && !g->is_owned_ahead) {
        g->is_passed = false;
        g->is_owned_ahead = store_own_try(w->server->store, w->gate);
        if (!g->is_owned_ahead) {
            return false;
        }
    }
    worker_own(w);
    return true;
}

void worker_disown(struct worker *w)
{
    if (w->own_depth == 1) {
        touched_drain(w);
    }
    if (--w->own_depth == 0) {
        store_disown(w->server->store, w->gate);
        events_and_changes_send(w);
        if (__builtin_expect(!list_empty(&w->gate_wait.requests), 0)) {
            gate_wake(w);
        }
    }
}
