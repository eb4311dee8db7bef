/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What CONFIG SET changes while the server runs, for all workers at once; cmd/config.c names them as
 * Redis does. They are lost at a restart: what should last stands in the policy.
 *
 * Threads: any; all relaxed, a worker may see a change one command late.
 */
#ifndef SERVE_SETTINGS_H
#define SERVE_SETTINGS_H

#include "store/coll.h"

#include <stdatomic.h>
#include <stdint.h>

enum { SETTINGS_ALL_MAX = 200, PERCENTILES_MAX = 16 };

struct server_settings {
    _Atomic int64_t slowlog_us;         /* commands at least so slow are kept; negative: none */
    _Atomic uint64_t slowlog_max;       /* how many */
    _Atomic uint64_t latency_ms;        /* events at least so slow are noted; 0: none */
    _Atomic uint32_t events;            /* keyspace events wanted: enum event_class */
    _Atomic uint64_t tracking_keys_max; /* keys in the table of tracked reads; 0: any number */
    /* Bytes that may wait for a subscriber, the same for a while, and how long that is in ms; 0: any
     * number. Both of the latter 0: no such limit. */
    _Atomic uint64_t subscriber_limits[3];
    _Atomic uint64_t other_limits[2][3]; /* of clients and replicas: told again, without effect */
    _Atomic uint64_t acllog_max;         /* entries of ACL LOG */
    _Atomic uint64_t busy_reply_ms; /* a script that runs longer may be killed; others hear BUSY */
    struct coll_limits coll;        /* *-max-listpack-* and so on, for OBJECT ENCODING */
    _Atomic bool acl_all_channels;  /* what a user that ACL SETUSER makes or resets begins with */
    _Atomic bool latency_tracking;  /* INFO latencystats and LATENCY HISTOGRAM are kept */
    uint32_t percentile_count;      /* watch_lock: those that INFO latencystats tells */
    double percentiles[PERCENTILES_MAX];
    _Atomic uint64_t stream_node_max_entries; /* what leaves a stream at once: stream_trim.c */
    _Atomic uint64_t stream_node_max_bytes;   /* the same, by size; 0: any */
    /* watch_lock: values without effect, as they were set; NULL: preset. */
    char *kept[SETTINGS_ALL_MAX];
};

struct server;
/* Every setting at its preset. Before threads exist. */
void settings_init(struct server *s);
void settings_fini(struct server *s);

/* What a worker must look at before or after a command: struct server's `alert`, one load a command. */
enum server_alert {
    ALERT_PAUSE = 1 << 0,    /* pause.c: CLIENT PAUSE */
    ALERT_MONITOR = 1 << 1,  /* monitor.c: somebody watches */
    ALERT_TRACKING = 1 << 2, /* tracking.c: some client caches what it reads */
    ALERT_BUSY = 1 << 3,     /* scripting.c: a script runs for longer than it should */
    ALERT_USERS = 1 << 4,    /* users.c: users have changed since the start */
};

static inline uint64_t setting_get(const _Atomic uint64_t *setting)
{
    return atomic_load_explicit(setting, memory_order_relaxed);
}

#endif
