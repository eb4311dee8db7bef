/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fill_times: how long the database took to answer, by route, and which statements were slow.
 *
 * Every fill goes into its route's histogram (/metrics). A statement of a route that took longer than
 * `log.slow_fill`, waiting for a connection included, is logged and kept among the last SLOW_KEPT ones
 * (/slow, `freshet stats --slow`), with the names of its parameters, never their values.
 *
 * Threads: any; one lock, held for a copy.
 */
#ifndef SERVE_FILL_TIMES_H
#define SERVE_FILL_TIMES_H

#include "base/buf.h"
#include "policy/policy.h"

enum { SLOW_KEPT = 128 };

struct fill_times;

struct fill_time {
    const struct policy_route *route;
    bool is_write;        /* a POST statement: in no histogram */
    uint64_t queue_us;    /* waited for a connection */
    uint64_t database_us; /* from sending to the last result */
    uint64_t rows;
    uint64_t bytes;      /* of the answer */
    const char *outcome; /* static: "stored", or why not */
};

struct fill_times *fill_times_create(void);
void fill_times_destroy(struct fill_times **f);

/* Logs too, at most a few lines a second. */
void fill_times_note(struct fill_times *f, const struct policy *p, const struct fill_time *t);

/* The histograms in Prometheus text format. */
void fill_times_metrics(struct fill_times *f, struct buf *out);
/* The slow ones, newest first: a line of headings and one line each, or one JSON object each. */
void fill_times_slow(struct fill_times *f, bool json, struct buf *out);

#endif
