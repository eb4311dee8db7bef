/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys that one connection watches (WATCH). Threads: the connection's worker. */
#ifndef SERVE_RESP_WATCH_H
#define SERVE_RESP_WATCH_H

#include "serve/resp_client.h"

/* How many keys it watches. */
uint32_t resp_watch_count(const struct resp_client *c);
void resp_watch_clear(struct resp_client *c);
/* Removes watches of the past that could not be removed then. */
void resp_watches_retry(struct worker *w);

#endif
