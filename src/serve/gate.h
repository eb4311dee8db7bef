/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gate: a worker never waits for the store.
 *
 *   command ─> gate_enter ─┬─ open ───> run ─> the next one, or gate_leave
 *                          └─ closed ─> parked; the loop runs on ─> opened ─> offered again
 *
 * A connection's commands share one pass of the store's gate. A command that needs the whole store owns it before
 * it begins, so that it can be parked as a whole if that is impossible: which those are says the table (letter O,
 * B, M, several keys). A command that owns the store unexpectedly waits for it; that is correct, but slow.
 *
 * Nothing is held while parked, and nothing over the end of a connection's turn.
 *
 * Threads: the worker's.
 */
#ifndef SERVE_GATE_H
#define SERVE_GATE_H

#include "serve/resp_client.h"

struct request;

void gate_init(struct worker *w);
/* The worker's thread has ended: whoever still waits is given up. */
void gate_fini(struct worker *w);

/* May the command run now? False: the connection is parked and will offer it again. */
bool gate_enter_slowly(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                       uint32_t argc, bool feeds);
/* After a command, and at the end of a connection's turn. */
void gate_leave(struct worker *w);
/* What was owned for a command that did not want it after all. */
static inline void gate_after(struct worker *w)
{
    if (__builtin_expect(w->gate_wait.is_owned_ahead, 0)) {
        gate_leave(w);
    }
}
/* A connection that waits goes away. */
void gate_forget(struct resp_client *c);

/* The same for a request: true until gate_leave(). A request that gets a false may be parked (gate_park()); its
 * steps go on when the gate is open. */
bool gate_pass(struct worker *w);
void gate_park(struct request *r);

/* For work that comes at any time, within a command or not. False: not now, and gate_wake() will be called.
 * `ret_took`: gate_leave() is the caller's to call, soon. */
bool gate_try(struct worker *w, bool *ret_took);

/* Lets all that wait try again. Any thread. */
void gate_wake(struct worker *w);

#endif
