/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables of tracking.c, which says what they are for, and what tracking_send.c does with them.
 * Functions here: with the lock.
 */
#ifndef SERVE_TRACKING_PRIV_H
#define SERVE_TRACKING_PRIV_H

#include "serve/tracker.h"

struct tracked_key {
    struct map_node by_text; /* lock */
    struct list node;        /* lock: oldest first */
    uint32_t reader_count;   /* lock, with what follows */
    uint32_t reader_cap;
    uint64_t *readers; /* numbers of clients; some may have gone */
    size_t len;
    char text[];
};

struct tracking {
    struct lock lock;
    struct map trackers;           /* lock: by number of the client */
    struct list all;               /* lock: trackers, in the order in which they began */
    struct map keys;               /* lock: by text */
    struct list by_age;            /* lock: keys, oldest first */
    uint64_t item_count;           /* lock: pairs of key and reader */
    uint64_t prefix_count;         /* lock */
    _Atomic uint64_t client_count; /* relaxed: a figure */
};

/* What stands in a worker's `changed`, with the key behind it. */
struct tracking_change {
    uint64_t author; /* 0, or the client whose change it is */
    size_t len;
    bool is_flush;   /* a whole database; no key */
    bool is_durable; /* in a durable space: told when it is safe */
};

/* NULL: that client does not track. */
struct tracker *tracking_find_tracker(const struct tracking *t, uint64_t id);
void tracking_add_tracker(struct tracking *t, struct tracker *k);
void tracking_remove_tracker(struct tracking *t, struct tracker *k);

/* NULL: no reader of it is to be told. */
struct tracked_key *tracking_find_key(const struct tracking *t, struct slice key);
struct tracked_key *tracking_add_key(struct tracking *t, struct slice key);
/* Its readers are forgotten. */
void tracking_free_key(struct tracking *t, struct tracked_key *k);
void tracking_free_keys(struct tracking *t);
/* A client that is among them already is not added again. */
void tracking_add_reader(struct tracking *t, struct tracked_key *k, uint64_t id);

/* The topic of one client: its number's bytes, which must stay where they are. */
static inline struct slice tracking_topic(const uint64_t *id)
{
    return (struct slice){(const char *)id, sizeof(*id)};
}

static inline struct tracking *tracking_of(const struct worker *w)
{
    return w->server->tracking;
}

#endif
