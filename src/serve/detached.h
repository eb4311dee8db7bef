/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client without a connection: runs commands for a script, for a client that was blocked, or from
 * the log. What a command replies lands in its `conn.out` and goes nowhere by itself.
 *
 * Threads: the worker's.
 */
#ifndef SERVE_DETACHED_H
#define SERVE_DETACHED_H

#include "serve/resp_client.h"

/* Authenticated, RESP2, first database. */
struct resp_client *detached_create(struct worker *w);
void detached_destroy(struct resp_client **c);
/* Admits and runs one command, after emptying `conn.out`; the reply, errors included, is there then.
 * The caller has set db and proto. Such a client never waits: see block_run(). */
void detached_call(struct resp_client *c, const struct slice *argv, uint32_t argc);

#endif
