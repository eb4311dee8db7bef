/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pubsub: who listens to what, and how a message gets to all of them.
 *
 *      publish ─> one lock: find the topics, put the message into the inbox of each worker that has
 *                 subscribers ─> each worker delivers to its own connections, in its own time
 *
 * A topic is a channel, a pattern, a shard channel, or what MONITOR listens to. Every subscriber sees
 * the messages of all publishers in one order, that of the lock. The number that PUBLISH replies is
 * exact: it counts who is subscribed at that moment.
 *
 * A message is formatted once for a topic and protocol, and copied to its subscribers' output. One that
 * has more waiting than `limits.subscriber` is cut at the end of the turn, told in the log and counted.
 *
 * Source: redis.io "Redis Pub/Sub", commands SUBSCRIBE ... SPUBLISH.
 */
#ifndef SERVE_PUBSUB_H
#define SERVE_PUBSUB_H

#include "serve/resp_client.h"

struct pubsub;

enum topic_kind {
    TOPIC_CHANNEL,
    TOPIC_PATTERN,
    TOPIC_SHARD,
    TOPIC_CLIENT,  /* a client's own, named by its number: what tracking tells it */
    TOPIC_MONITOR, /* one, nameless; its messages are sent as they are */
    TOPIC_KINDS,
};

struct pubsub *pubsub_create(struct server *s);
/* After the workers have ended. */
void pubsub_destroy(struct pubsub **p);

/* False: it was (or was not) subscribed already. Worker's thread. */
bool pubsub_subscribe(struct resp_client *c, enum topic_kind kind, struct slice name);
bool pubsub_unsubscribe(struct resp_client *c, enum topic_kind kind, struct slice name);
/* Any one subscription of that kind, copied into `ret_name`; false: there is none. */
bool pubsub_first(const struct resp_client *c, enum topic_kind kind, struct buf *ret_name);
/* Does `fn` hold for every channel and pattern that the connection listens to? */
typedef bool pubsub_judge_fn(void *arg, struct slice name, bool is_pattern);
bool pubsub_all(const struct resp_client *c, pubsub_judge_fn *fn, void *arg);
bool client_is_subscribed(const struct resp_client *c); /* to anything but MONITOR */
uint32_t pubsub_subscriptions(const struct resp_client *c, enum topic_kind kind);
/* Forgets all of them, without a word. */
void pubsub_leave(struct resp_client *c);
/* Bytes that wait for a connection beside its `conn.out`. */
size_t pubsub_bytes(const struct resp_client *c);

/* Returns how many receive it. `is_durable`: it tells of a durable space, so it leaves when all that has happened
 * there is safe (durable.h). Any worker's thread; not while a key is held. */
uint64_t pubsub_publish(struct worker *w, enum topic_kind kind, struct slice channel,
                        struct slice payload, bool is_durable);
/* Can a message on any topic of this kind have a receiver? One relaxed load. */
bool pubsub_listened(const struct server *s, enum topic_kind kind);

/* What was published before these bytes were read is delivered before they are answered. */
void pubsub_deliver(struct worker *w);
/* The end of a client's command: what it was sent meanwhile follows its reply. */
void pubsub_flush_own(struct resp_client *c);

/* --- figures: any thread ---------------------------------------------------------------------- */

uint64_t pubsub_topics(struct server *s, enum topic_kind kind);
uint64_t pubsub_clients(struct server *s); /* subscribed to anything but MONITOR */
uint64_t pubsub_topic_subscribers(struct server *s, enum topic_kind kind, struct slice name);
typedef void pubsub_topic_fn(void *arg, struct slice name);
/* Every topic with subscribers; `fn` must not call pubsub. */
void pubsub_each(struct server *s, enum topic_kind kind, pubsub_topic_fn *fn, void *arg);

#endif
