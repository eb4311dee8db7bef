/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The nodes that Redis would keep a stream in: XADD and XTRIM with ~ remove whole ones.
 *
 * Threads: the connection's worker.
 */
#ifndef SERVE_STREAM_NODE_H
#define SERVE_STREAM_NODE_H

#include "serve/cmd/stream_trim.h"

/* How many entries the nodes have that lie among the first `excess` entries as a whole; `o` says
 * how many entries and bytes a node takes, and how many entries may leave. Source: redis.io XTRIM,
 * stream-node-max-*. */
uint64_t stream_whole_nodes(const struct store_hold *h, const struct store_item *item,
                            uint64_t excess, const struct stream_options *o);

#endif
