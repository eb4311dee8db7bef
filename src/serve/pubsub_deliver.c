/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker delivers what is in its inbox to its own connections: each message is formatted once for a topic and
 * protocol and copied to its subscribers. Nobody is closed meanwhile (PS3): who has too much waiting is put on a
 * list, and cut in a task at the end of the turn.
 *
 * A message that tells of a durable space is appended like others, and then its receiver's output waits until what it
 * tells is safe: so each sees replies and messages in the order of their making.
 *
 * Threads: the inbox's worker.
 */
#include "serve/pubsub_priv.h"

#include "base/log.h"
#include "serve/durable.h"
#include "serve/tracking.h"

#include <stdlib.h>

/* --- delivering: a worker to its own connections ------------------------------------------------- */

static void cut_overfull(struct loop_task *task)
{
    struct inbox *in = container_of(task, struct inbox, cut);
    struct list *node;
    while ((node = list_pop_front(&in->overfull)) != NULL) {
        struct resp_client *c = container_of(node, struct subscriber, overfull)->client;
        if (!c->conn.dead) {
            serve_count(in->worker, subscribers_cut);
            log_warn("resp",
                     "subscriber cut: more than limits.subscriber waits for it peer=%s id=%llu "
                     "name=%s waiting=%zu",
                     c->conn.peer, (unsigned long long)c->conn.id, c->name != NULL ? c->name : "",
                     buf_len(&c->conn.out));
            conn_close(&c->conn);
        }
    }
}

static void mark_overfull(struct inbox *in, struct subscriber *s)
{
    if (list_empty(&s->overfull)) {
        list_push_back(&in->overfull, &s->overfull);
        loop_defer(in->worker->loop, &in->cut, cut_overfull);
    }
}

static void make_frame(struct buf *frame, int proto, const struct topic *t, const struct message *m)
{
    static const char *const words[] = {
        [TOPIC_CHANNEL] = "message", [TOPIC_PATTERN] = "pmessage", [TOPIC_SHARD] = "smessage"};
    buf_clear(frame);
    if (t->kind == TOPIC_MONITOR) {
        buf_append_slice(frame, m->payload);
        return;
    }
    resp_push(frame, proto, t->kind == TOPIC_PATTERN ? 4 : 3);
    resp_bulk_str(frame, words[t->kind]);
    if (t->kind == TOPIC_PATTERN) {
        resp_bulk(frame, (struct slice){t->name, t->name_len});
    }
    resp_bulk(frame, m->channel);
    resp_bulk(frame, m->payload);
}

/* client-output-buffer-limit's second pair: above so much for so long. */
static bool waits_too_long(struct resp_client *c, const struct server_settings *settings,
                           size_t waits)
{
    uint64_t soft = setting_get(&settings->subscriber_limits[1]);
    if (soft == 0 || waits <= soft) {
        c->subscriber->soft_since_ms = 0;
        return false;
    }
    uint64_t now = client_now(c);
    if (c->subscriber->soft_since_ms == 0) {
        c->subscriber->soft_since_ms = now;
    }
    return now - c->subscriber->soft_since_ms > setting_get(&settings->subscriber_limits[2]);
}

static void send_frame(struct inbox *in, struct resp_client *c, struct slice frame, bool is_durable)
{
    struct buf *out = c->running ? &c->subscriber->pushes : &c->conn.out;
    const struct server_settings *settings = &in->worker->server->settings;
    uint64_t max = setting_get(&settings->subscriber_limits[0]);
    size_t waits = buf_len(out) + frame.len;
    if (c->conn.dead || c->conn.closing || !list_empty(&c->subscriber->overfull)) {
        return;
    }
    if ((max > 0 && waits > max) || waits_too_long(c, settings, waits) ||
        buf_try_reserve(out, frame.len) == NULL) {
        mark_overfull(in, c->subscriber);
        return;
    }
    buf_append_slice(out, frame);
    conn_dirty(&c->conn);
    if (is_durable) {
        durable_hold_told(c);
    }
}

static void deliver_topic(struct inbox *in, const struct topic *t, const struct message *m)
{
    bool made[2] = {false, false};
    if (t->kind == TOPIC_CLIENT) {
        list_for_each (node, &t->at[in->worker->index].subscribers) {
            struct resp_client *c = container_of(node, struct subscription, in_topic)->client;
            if (tracking_frame(c, m->payload, &in->frame[0])) {
                send_frame(in, c, buf_readable(&in->frame[0]), m->is_durable);
            }
        }
        return;
    }
    list_for_each (node, &t->at[in->worker->index].subscribers) {
        struct resp_client *c = container_of(node, struct subscription, in_topic)->client;
        int at = c->proto == 3;
        if (!made[at]) {
            make_frame(&in->frame[at], c->proto, t, m);
            made[at] = true;
        }
        send_frame(in, c, buf_readable(&in->frame[at]), m->is_durable);
    }
}

void pubsub_release(struct pubsub *p, struct message *m)
{
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    lock_acquire(&p->lock);
    for (uint32_t i = 0; i < m->topic_count; i++) {
        topic_unref(m->topics[i]);
    }
    lock_release(&p->lock);
    free(m);
}

static void cut_client(struct conn *conn, void *arg)
{
    if (resp_client_is(conn)) {
        struct resp_client *c = container_of(conn, struct resp_client, conn);
        if (c->subscriber != NULL && !conn->closing) {
            mark_overfull(arg, c->subscriber);
        }
    }
}

void inbox_take(struct inbox *in, struct list *ret_queue, bool *ret_lost)
{
    list_init(ret_queue);
    if (!list_empty(&in->queue)) {
        *ret_queue = in->queue;
        ret_queue->next->prev = ret_queue;
        ret_queue->prev->next = ret_queue;
        list_init(&in->queue);
    }
    in->bytes = 0;
    atomic_store_explicit(&in->worker->has_messages, false, memory_order_relaxed);
    *ret_lost = in->has_lost;
    in->has_lost = false;
}

void inbox_deliver(struct pubsub *p, struct inbox *in, struct list *queue, bool has_lost)
{
    struct list *node;
    while ((node = list_pop_front(queue)) != NULL) {
        struct message *m = container_of(node, struct delivery, node)->message;
        for (uint32_t i = 0; i < m->topic_count; i++) {
            deliver_topic(in, m->topics[i], m);
        }
        pubsub_release(p, m);
    }
    if (has_lost) {
        log_warn("resp", "worker %u was too slow to deliver messages: its subscribers are cut",
                 in->worker->index);
        conn_each(in->worker->loop, cut_client, in);
    }
}

void inbox_empty(struct pubsub *p, struct inbox *in, bool was_woken)
{
    struct list queue;
    bool has_lost;
    lock_acquire(&p->lock);
    in->is_waking = in->is_waking && !was_woken;
    inbox_take(in, &queue, &has_lost);
    lock_release(&p->lock);
    inbox_deliver(p, in, &queue, has_lost);
}

void pubsub_deliver(struct worker *w)
{
    inbox_empty(w->server->pubsub, &w->server->pubsub->inbox[w->index], false);
}

void inbox_wake(struct mail *m)
{
    struct inbox *in = container_of(m, struct inbox, wake);
    inbox_empty(in->worker->server->pubsub, in, true);
}
