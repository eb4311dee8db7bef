/* SPDX-License-Identifier: BSD-3-Clause */
/* listen: the listeners of all faces, the hand-over of connections to workers, and the drain. */
#ifndef SERVE_LISTEN_H
#define SERVE_LISTEN_H

#include "serve/serve.h"

struct listen;

/* Before the workers run: listeners belong to worker 0's loop. NULL and a reason (caller frees). */
struct listen *listen_open(struct server *s, char **ret_why);
/* After the workers have stopped. */
void listen_close(struct listen **l);
/* See server_drain(). */
void listen_drain(struct server *s, int hurry_fd);

#endif
