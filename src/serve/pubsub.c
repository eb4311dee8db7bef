/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Topics, subscriptions, and the way of a message.
 *
 *   struct pubsub ── table of topics ── topic ── at[worker] ── subscriptions of that worker's clients
 *                 └─ inbox[worker] ── messages that it has not delivered yet
 *
 * Publishing finds the topics and puts the message into inboxes in one critical section, so all
 * workers see the same order, and the counts that PUBLISH replies are those of that moment. A worker
 * delivers its inbox when mail wakes it, after publishing itself, and just before a subscription of
 * its own changes: who is counted in a reply gets the message, who is not does not.
 *
 * A message to the client that is running a command waits in `pushes` until the reply is complete.
 *
 * Invariants:
 *   PS1. at[w].count changes under the lock; at[w].subscribers belongs to worker w alone.
 *   PS2. A topic lives while it has subscriptions or messages that name it (`refs`, lock); it is in the
 *        table exactly while it has subscriptions.
 *   PS3. Delivering closes nothing: who must go is cut in a deferred task. It may run inside an
 *        ownership of the store.
 *
 * An inbox is bounded (INBOX_MAX): a worker that does not turn loses messages, and then all of its
 * subscribers are cut, since none may believe that it has seen everything.
 *
 * Threads: any worker's. Lock: rank pubsub, never held while delivering.
 */
#include "serve/pubsub_priv.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "serve/glob.h"

#include <stdlib.h>

enum { INBOX_MAX = 256 * 1024 * 1024 };

/* --- topics: all under the lock ------------------------------------------------------------------ */

static uint64_t topic_hash(enum topic_kind kind, struct slice name)
{
    return hash_mix(hash_slice(name), kind);
}

static struct topic *find_topic(const struct pubsub *p, enum topic_kind kind, struct slice name)
{
    for (struct map_node *n = map_find(&p->by_name, topic_hash(kind, name)); n != NULL;
         n = map_find_next(n)) {
        struct topic *t = container_of(n, struct topic, by_name);
        if (t->kind == kind && slice_eq((struct slice){t->name, t->name_len}, name)) {
            return t;
        }
    }
    return NULL;
}

static struct topic *add_topic(struct pubsub *p, enum topic_kind kind, struct slice name)
{
    uint32_t workers = p->server->worker_count;
    size_t head = sizeof(struct topic) + workers * sizeof(((struct topic *)0)->at[0]);
    struct topic *t = xcalloc(1, head + name.len + 1);
    t->kind = kind;
    t->name = (char *)t + head;
    t->name_len = name.len;
    if (name.len > 0) {
        memcpy(t->name, name.ptr, name.len);
    }
    for (uint32_t i = 0; i < workers; i++) {
        list_init(&t->at[i].subscribers);
    }
    map_add(&p->by_name, &t->by_name, topic_hash(kind, name));
    list_push_back(&p->topics[kind], &t->node);
    p->counts[kind]++;
    return t;
}

static void drop_topic(struct pubsub *p, struct topic *t)
{
    map_remove(&p->by_name, &t->by_name);
    list_remove(&t->node);
    p->counts[t->kind]--;
}

void topic_unref(struct topic *t)
{
    if (--t->refs == 0) {
        free(t);
    }
}

/* --- publishing ---------------------------------------------------------------------------------- */

static void note_match(struct pubsub *p, uint32_t *count, struct topic *t)
{
    if (*count == p->matched_cap) {
        p->matched_cap = p->matched_cap > 0 ? p->matched_cap * 2 : 16;
        p->matched = xrealloc(p->matched, p->matched_cap * sizeof(struct topic *));
    }
    p->matched[(*count)++] = t;
}

/* Into p->matched, with the lock. */
static uint32_t match_topics(struct pubsub *p, enum topic_kind kind, struct slice channel)
{
    uint32_t count = 0;
    struct topic *t = find_topic(p, kind, channel);
    if (t != NULL) {
        note_match(p, &count, t);
    }
    if (kind == TOPIC_CHANNEL) {
        list_for_each (node, &p->topics[TOPIC_PATTERN]) {
            t = container_of(node, struct topic, node);
            if (glob_match((struct slice){t->name, t->name_len}, channel, false)) {
                note_match(p, &count, t);
            }
        }
    }
    return count;
}

static struct message *make_message(struct pubsub *p, uint32_t topic_count, struct slice channel,
                                    struct slice payload)
{
    uint32_t workers = p->server->worker_count;
    size_t topics_at = sizeof(struct message) + workers * sizeof(struct delivery);
    size_t bytes_at = topics_at + topic_count * sizeof(struct topic *);
    size_t bytes = bytes_at + channel.len + payload.len;
    struct message *m = alloc_try(bytes);
    if (m == NULL) {
        return NULL;
    }
    char *text = (char *)m + bytes_at;
    m->topics = (struct topic **)(void *)((char *)m + topics_at);
    m->topic_count = topic_count;
    m->bytes = bytes;
    memcpy(text, channel.len > 0 ? channel.ptr : "", channel.len);
    memcpy(text + channel.len, payload.len > 0 ? payload.ptr : "", payload.len);
    m->channel = (struct slice){text, channel.len};
    m->payload = (struct slice){text + channel.len, payload.len};
    for (uint32_t i = 0; i < topic_count; i++) {
        m->topics[i] = p->matched[i];
        m->topics[i]->refs++;
    }
    return m;
}

static bool has_subscribers(const struct message *m, uint32_t worker)
{
    bool found = false;
    for (uint32_t i = 0; i < m->topic_count && !found; i++) {
        found = m->topics[i]->at[worker].count > 0;
    }
    return found;
}

static void post_message(struct pubsub *p, struct message *m, const struct worker *from)
{
    uint32_t to_count = 0;
    for (uint32_t i = 0; i < p->server->worker_count; i++) {
        struct inbox *in = &p->inbox[i];
        if (!has_subscribers(m, i)) {
            continue;
        }
        if (in->bytes + m->bytes > INBOX_MAX) {
            in->has_lost = true;
            continue;
        }
        m->to[i].message = m;
        list_push_back(&in->queue, &m->to[i].node);
        in->bytes += m->bytes;
        atomic_store_explicit(&in->worker->has_messages, true, memory_order_relaxed);
        to_count++;
        if (in->worker != from && !in->is_waking) {
            in->is_waking = true;
            mailbox_post(loop_mailbox(in->worker->loop), &in->wake, inbox_wake);
        }
    }
    atomic_store_explicit(&m->refs, to_count + 1, memory_order_relaxed);
}

bool pubsub_listened(const struct server *s, enum topic_kind kind)
{
    const struct pubsub *p = s->pubsub;
    return atomic_load_explicit(&p->subscriptions[kind], memory_order_relaxed) > 0 ||
           (kind == TOPIC_CHANNEL &&
            atomic_load_explicit(&p->subscriptions[TOPIC_PATTERN], memory_order_relaxed) > 0);
}

uint64_t pubsub_publish(struct worker *w, enum topic_kind kind, struct slice channel,
                        struct slice payload, bool is_durable)
{
    struct pubsub *p = w->server->pubsub;
    if (!pubsub_listened(w->server, kind)) {
        return 0;
    }
    uint64_t receivers = 0;
    struct message *m = NULL;
    lock_acquire(&p->lock);
    uint32_t count = match_topics(p, kind, channel);
    if (count > 0) {
        m = make_message(p, count, channel, payload);
    }
    if (m != NULL) {
        m->is_durable = is_durable;
        for (uint32_t i = 0; i < count; i++) {
            receivers += p->matched[i]->total;
        }
        post_message(p, m, w);
    }
    lock_release(&p->lock);
    if (m != NULL) {
        pubsub_release(p, m);
        inbox_empty(p, &p->inbox[w->index], false);
    }
    return receivers;
}

/* --- subscribing ---------------------------------------------------------------------------------- */

static struct subscriber *subscriber_of(struct resp_client *c)
{
    if (c->subscriber == NULL) {
        struct subscriber *s = xcalloc(1, sizeof(*s));
        for (uint32_t i = 0; i < TOPIC_KINDS; i++) {
            list_init(&s->subscriptions[i]);
        }
        list_init(&s->overfull);
        buf_init(&s->pushes);
        s->client = c;
        c->subscriber = s;
    }
    return c->subscriber;
}

/* Through the shorter of the two lists that it is on. */
static struct subscription *find_subscription(const struct resp_client *c, const struct topic *t)
{
    uint32_t worker = c->worker->index;
    struct list *mine = &c->subscriber->subscriptions[t->kind];
    struct list *theirs = (struct list *)(uintptr_t)&t->at[worker].subscribers;
    if (c->subscriber->count[t->kind] <= t->at[worker].count) {
        list_for_each (node, mine) {
            struct subscription *s = container_of(node, struct subscription, in_client);
            if (s->topic == t) {
                return s;
            }
        }
        return NULL;
    }
    list_for_each (node, theirs) {
        struct subscription *s = container_of(node, struct subscription, in_topic);
        if (s->client == c) {
            return s;
        }
    }
    return NULL;
}

static bool is_listening(const struct subscriber *s)
{
    return s->count[TOPIC_CHANNEL] + s->count[TOPIC_PATTERN] + s->count[TOPIC_SHARD] > 0;
}

static void add_relaxed(_Atomic uint64_t *value, uint64_t amount)
{
    (void)atomic_fetch_add_explicit(value, amount, memory_order_relaxed);
}

bool pubsub_subscribe(struct resp_client *c, enum topic_kind kind, struct slice name)
{
    struct pubsub *p = c->worker->server->pubsub;
    struct inbox *in = &p->inbox[c->worker->index];
    struct subscriber *who = subscriber_of(c);
    struct list queue;
    bool has_lost;
    lock_acquire(&p->lock);
    struct topic *t = find_topic(p, kind, name);
    bool is_new = t == NULL || find_subscription(c, t) == NULL;
    if (is_new) {
        t = t != NULL ? t : add_topic(p, kind, name);
        t->refs++;
        t->total++;
        t->at[c->worker->index].count++;
    }
    inbox_take(in, &queue, &has_lost);
    lock_release(&p->lock);
    inbox_deliver(p, in, &queue, has_lost);
    if (is_new) {
        bool was_listening = is_listening(who);
        struct subscription *s = xcalloc(1, sizeof(*s));
        s->topic = t;
        s->client = c;
        list_push_back(&t->at[c->worker->index].subscribers, &s->in_topic);
        list_push_back(&who->subscriptions[kind], &s->in_client);
        who->count[kind]++;
        add_relaxed(&p->subscriptions[kind], 1);
        add_relaxed(&p->clients, !was_listening && is_listening(who));
    }
    return is_new;
}

static void end_subscription(struct resp_client *c, struct subscription *s)
{
    struct pubsub *p = c->worker->server->pubsub;
    struct inbox *in = &p->inbox[c->worker->index];
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): loses the ring of subscriptions in loops that free */
    struct topic *t = s->topic;
    enum topic_kind kind = t->kind;
    struct list queue;
    bool has_lost;
    lock_acquire(&p->lock);
    t->total--;
    t->at[c->worker->index].count--;
    if (t->total == 0) {
        drop_topic(p, t);
    }
    inbox_take(in, &queue, &has_lost);
    lock_release(&p->lock);
    inbox_deliver(p, in, &queue, has_lost);
    list_remove(&s->in_topic);
    list_remove(&s->in_client);
    free(s);
    lock_acquire(&p->lock);
    topic_unref(t);
    lock_release(&p->lock);
    bool was_listening = is_listening(c->subscriber);
    c->subscriber->count[kind]--;
    add_relaxed(&p->subscriptions[kind], (uint64_t)-1);
    add_relaxed(&p->clients, was_listening && !is_listening(c->subscriber) ? (uint64_t)-1 : 0);
}

bool pubsub_unsubscribe(struct resp_client *c, enum topic_kind kind, struct slice name)
{
    struct pubsub *p = c->worker->server->pubsub;
    if (pubsub_subscriptions(c, kind) == 0) {
        return false;
    }
    lock_acquire(&p->lock);
    struct topic *t = find_topic(p, kind, name);
    struct subscription *s = t != NULL ? find_subscription(c, t) : NULL;
    lock_release(&p->lock);
    if (s != NULL) {
        end_subscription(c, s);
    }
    return s != NULL;
}

bool pubsub_first(const struct resp_client *c, enum topic_kind kind, struct buf *ret_name)
{
    if (pubsub_subscriptions(c, kind) == 0) {
        return false;
    }
    struct list *node = c->subscriber->subscriptions[kind].next;
    const struct topic *t = container_of(node, struct subscription, in_client)->topic;
    buf_clear(ret_name);
    buf_append(ret_name, t->name, t->name_len);
    return true;
}

bool pubsub_all(const struct resp_client *c, pubsub_judge_fn *fn, void *arg)
{
    static const enum topic_kind kinds[] = {TOPIC_CHANNEL, TOPIC_PATTERN, TOPIC_SHARD};
    bool all = true;
    for (size_t i = 0; i < array_len(kinds) && c->subscriber != NULL; i++) {
        list_for_each (node, &c->subscriber->subscriptions[kinds[i]]) {
            const struct topic *t = container_of(node, struct subscription, in_client)->topic;
            struct slice name = {t->name, t->name_len};
            all = all && fn(arg, name, kinds[i] == TOPIC_PATTERN);
        }
    }
    return all;
}

uint32_t pubsub_subscriptions(const struct resp_client *c, enum topic_kind kind)
{
    return c->subscriber != NULL ? c->subscriber->count[kind] : 0;
}

bool client_is_subscribed(const struct resp_client *c)
{
    return c->subscriber != NULL && is_listening(c->subscriber);
}

void pubsub_leave(struct resp_client *c)
{
    struct subscriber *s = c->subscriber;
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < TOPIC_KINDS; i++) {
        while (!list_empty(&s->subscriptions[i])) {
            end_subscription(
                c, container_of(s->subscriptions[i].next, struct subscription, in_client));
        }
    }
    list_remove(&s->overfull);
    buf_fini(&s->pushes);
    free(s);
    c->subscriber = NULL;
}

size_t pubsub_bytes(const struct resp_client *c)
{
    return c->subscriber != NULL ? c->subscriber->pushes.cap : 0;
}

void pubsub_flush_own(struct resp_client *c)
{
    struct buf *pushes = &c->subscriber->pushes;
    if (buf_len(pushes) > 0 && conn_reserve(&c->conn, buf_len(pushes))) {
        buf_append_slice(&c->conn.out, buf_readable(pushes));
        conn_dirty(&c->conn);
    }
    buf_fini(pushes);
}

/* --- figures -------------------------------------------------------------------------------------- */

uint64_t pubsub_topics(struct server *s, enum topic_kind kind)
{
    lock_acquire(&s->pubsub->lock);
    uint64_t count = s->pubsub->counts[kind];
    lock_release(&s->pubsub->lock);
    return count;
}

uint64_t pubsub_clients(struct server *s)
{
    return atomic_load_explicit(&s->pubsub->clients, memory_order_relaxed);
}

uint64_t pubsub_topic_subscribers(struct server *s, enum topic_kind kind, struct slice name)
{
    lock_acquire(&s->pubsub->lock);
    const struct topic *t = find_topic(s->pubsub, kind, name);
    uint64_t total = t != NULL ? t->total : 0;
    lock_release(&s->pubsub->lock);
    return total;
}

void pubsub_each(struct server *s, enum topic_kind kind, pubsub_topic_fn *fn, void *arg)
{
    lock_acquire(&s->pubsub->lock);
    list_for_each (node, &s->pubsub->topics[kind]) {
        const struct topic *t = container_of(node, struct topic, node);
        fn(arg, (struct slice){t->name, t->name_len});
    }
    lock_release(&s->pubsub->lock);
}

/* --- life ----------------------------------------------------------------------------------------- */

struct pubsub *pubsub_create(struct server *s)
{
    struct pubsub *p = xcalloc(1, sizeof(*p) + s->worker_count * sizeof(p->inbox[0]));
    p->server = s;
    lock_init(&p->lock, LOCK_RANK_PUBSUB);
    map_init(&p->by_name);
    for (uint32_t i = 0; i < TOPIC_KINDS; i++) {
        list_init(&p->topics[i]);
    }
    for (uint32_t i = 0; i < s->worker_count; i++) {
        struct inbox *in = &p->inbox[i];
        in->worker = &s->workers[i];
        list_init(&in->queue);
        list_init(&in->overfull);
        list_init(&in->cut.node);
        list_init(&in->wake.node);
        buf_init(&in->frame[0]);
        buf_init(&in->frame[1]);
    }
    return p;
}

void pubsub_destroy(struct pubsub **pp)
{
    struct pubsub *p = *pp;
    *pp = NULL;
    for (uint32_t i = 0; i < p->server->worker_count; i++) {
        struct inbox *in = &p->inbox[i];
        inbox_empty(p, in, true); /* nobody is subscribed any more: frees messages */
        buf_fini(&in->frame[0]);
        buf_fini(&in->frame[1]);
    }
    lock_fini(&p->lock);
    free(p->matched);
    map_fini(&p->by_name);
    free(p);
}
