/* SPDX-License-Identifier: BSD-3-Clause */
/* Topics, messages and inboxes, for pubsub.c and pubsub_deliver.c; pubsub.c says how they work. */
#ifndef SERVE_PUBSUB_PRIV_H
#define SERVE_PUBSUB_PRIV_H

#include "base/map.h"
#include "serve/pubsub.h"

struct topic {
    struct map_node by_name; /* lock */
    struct list node;        /* lock: all topics of the kind, oldest first */
    enum topic_kind kind;
    uint32_t refs;  /* lock */
    uint64_t total; /* lock: subscriptions of all workers */
    size_t name_len;
    char *name; /* behind `at` */
    struct {
        uint64_t count;          /* lock */
        struct list subscribers; /* its worker only */
    } at[];
};

struct subscription {
    struct list in_topic;
    struct list in_client;
    struct topic *topic;
    struct resp_client *client;
};

struct subscriber {
    struct list subscriptions[TOPIC_KINDS];
    uint32_t count[TOPIC_KINDS];
    struct buf pushes;    /* while its own command runs */
    struct list overfull; /* its worker's list; self: not on it */
    struct resp_client *client;
    uint64_t soft_since_ms; /* more waits than the soft limit; 0: less */
};

struct message {
    _Atomic uint32_t refs; /* one for each inbox; acq_rel: the last one frees */
    uint32_t topic_count;
    bool is_durable; /* leaves when it is safe to tell */
    struct topic **topics;
    struct slice channel;
    struct slice payload;
    size_t bytes;
    struct delivery {
        struct list node;
        struct message *message;
    } to[];
};

struct inbox {
    struct mail wake;
    struct worker *worker;
    struct list queue; /* lock: deliveries */
    size_t bytes;      /* lock */
    bool is_waking;    /* lock */
    bool has_lost;     /* lock */
    /* its worker only */
    struct list overfull; /* subscribers to be cut */
    struct loop_task cut;
    struct buf frame[2]; /* RESP2, RESP3 */
};

struct pubsub {
    struct server *server;
    struct lock lock;
    struct map by_name; /* lock: topics that have subscriptions */
    struct list topics[TOPIC_KINDS];
    uint64_t counts[TOPIC_KINDS]; /* lock */
    struct topic **matched;       /* lock: room for one publish */
    uint32_t matched_cap;
    _Atomic uint64_t subscriptions[TOPIC_KINDS]; /* relaxed: a hint for publishers */
    _Atomic uint64_t clients;                    /* relaxed: a figure */
    struct inbox inbox[];
};

/* With the lock. */
void topic_unref(struct topic *t);
/* Takes the queue out: with the lock. */
void inbox_take(struct inbox *in, struct list *ret_queue, bool *ret_lost);
/* The others without it; the inbox's worker. */
void inbox_deliver(struct pubsub *p, struct inbox *in, struct list *queue, bool has_lost);
void inbox_empty(struct pubsub *p, struct inbox *in, bool was_woken);
void inbox_wake(struct mail *m);
/* One reference less. */
void pubsub_release(struct pubsub *p, struct message *m);

#endif
