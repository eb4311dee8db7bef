/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stats: every figure of the daemon, once. Each is named, explained and given its kind in stats.c, in one
 * walk; `freshet stats`, FRESHET.STATS and /metrics are that walk, printed in three ways.
 */
#ifndef SERVE_STATS_H
#define SERVE_STATS_H

#include "serve/serve.h"

/* Text of `freshet stats`: lines "name value". Appends. */
void stats_text(struct worker *w, struct buf *out);
/* One JSON object, the names as in stats_text(). */
void stats_json(struct worker *w, struct buf *out);
/* Prometheus text format 0.0.4. Worker's thread. */
void metrics_text(struct worker *w, struct buf *out);

/* What the connections of all faces and workers hold, and have ever read and sent; any thread. */
struct net_figures {
    uint64_t buffer_bytes, bytes_in, bytes_out;
};
void net_figures(const struct server *s, struct net_figures *ret_figures);

#endif
