/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of streams as replies. Threads: the connection's worker. */
#ifndef SERVE_STREAM_REPLY_H
#define SERVE_STREAM_REPLY_H

#include "serve/resp_client.h"
#include "store/coll.h"

/* An id and an array of fields and values. False: there was no room (client_room()). */
bool reply_stream_entry(struct resp_client *c, const struct coll_element *e);
/* An array of `count` entries from `rank` on, which exist, or backwards from it. */
void reply_stream_entries(struct resp_client *c, const struct store_hold *h,
                          const struct store_item *item, uint64_t rank, uint64_t count,
                          bool backward);

#endif
