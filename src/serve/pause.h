/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CLIENT PAUSE: commands wait, unanswered, until the time is over or CLIENT UNPAUSE.
 *
 * Threads: a worker's, each for its own connections; the pause itself is the server's.
 */
#ifndef SERVE_PAUSE_H
#define SERVE_PAUSE_H

#include "serve/resp_client.h"

/* Must this command wait? Then the connection is paused, and offers it again when the pause is over.
 * Call it when the server's alert says ALERT_PAUSE. */
bool pause_holds(struct resp_client *c, const struct command *cmd);
/* What the command in the parser may do, for pauses: its flags; of a script, whether that may write. */
uint32_t pause_flags(const struct resp_client *c, const struct command *cmd);
/* A connection that waits goes away. */
void pause_forget(struct resp_client *c);
/* Is anything paused now? For work that would change data by itself. */
bool pause_is_on(const struct worker *w);

void pause_worker_init(struct worker *w);
void pause_worker_fini(struct worker *w);

#endif
