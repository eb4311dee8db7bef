/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telling clients what has changed; tracking.c says who is told what.
 *
 *      w->changed ─> for each change: the key's readers are taken out of the table and told; BCAST clients have it
 *                    added to the batch of its prefix ─> the batches ─> a flush, if there was one
 *
 * Who is to be told is collected under the lock, and told without it: publishing may deliver at
 * once.
 *
 * Threads: any worker's, with nothing held.
 */
#include "serve/tracking_priv.h"

#include "base/alloc.h"
#include "serve/pubsub.h"

#include <stdlib.h>

struct message_to {
    uint64_t id;
    uint64_t redirect;
    bool resp3;
};

/* Without the lock. A redirection that has gone is told to the client itself, once. */
static void send_payload(struct worker *w, struct message_to to, struct slice payload,
                         bool is_durable)
{
    struct tracking *t = tracking_of(w);
    uint64_t target = to.redirect != 0 ? to.redirect : to.id;
    if (pubsub_publish(w, TOPIC_CLIENT, tracking_topic(&target), payload, is_durable) > 0 ||
        to.redirect == 0) {
        return;
    }
    lock_acquire(&t->lock);
    struct tracker *k = tracking_find_tracker(t, to.id);
    bool tell = k != NULL && !k->broken;
    if (k != NULL) {
        k->broken = true;
    }
    lock_release(&t->lock);
    if (tell && to.resp3) {
        struct buf text;
        buf_init(&text);
        resp_push(&text, 3, 2);
        resp_bulk_str(&text, "tracking-redir-broken");
        resp_integer(&text, (int64_t)to.redirect);
        (void)pubsub_publish(w, TOPIC_CLIENT, tracking_topic(&to.id), buf_readable(&text), false);
        buf_fini(&text);
    }
}

bool tracking_frame(const struct resp_client *c, struct slice payload, struct buf *ret_frame)
{
    buf_clear(ret_frame);
    if (payload.ptr[0] == '>') {
        buf_append_slice(ret_frame, payload);
        return c->proto == 3;
    }
    if (c->proto == 3) {
        resp_push(ret_frame, 3, 2);
        resp_bulk_str(ret_frame, "invalidate");
    } else {
        resp_array(ret_frame, 3);
        resp_bulk_str(ret_frame, "message");
        resp_bulk_str(ret_frame, "__redis__:invalidate");
    }
    buf_append_slice(ret_frame, payload);
    return c->proto == 3 || client_is_subscribed(c);
}

static struct message_to address_of(const struct tracker *k)
{
    return (struct message_to){.id = k->id, .redirect = k->redirect, .resp3 = k->resp3};
}

/* With the lock: takes the key's readers out of the table. The caller frees them. */
static struct message_to *take_readers(struct tracking *t, struct slice key, uint64_t author,
                                       uint32_t *ret_count)
{
    struct tracked_key *read = tracking_find_key(t, key);
    uint32_t count = 0;
    struct message_to *to = NULL;
    if (read != NULL) {
        to = xcalloc(read->reader_count, sizeof(*to));
        for (uint32_t i = 0; i < read->reader_count; i++) {
            const struct tracker *k = tracking_find_tracker(t, read->readers[i]);
            if (k != NULL && !k->bcast && !(k->noloop && k->id == author)) {
                to[count++] = address_of(k);
            }
        }
        tracking_free_key(t, read);
    }
    *ret_count = count;
    return to;
}

/* Of the key's prefix, of which there is at most one, since they do not overlap. NULL: none of them. */
static struct tracker_batch *batch_of(const struct tracker *k, struct slice key)
{
    uint32_t i = 0;
    while (i < k->prefix_count && !slice_begins(key, k->prefixes[i])) {
        i++;
    }
    return i < k->prefix_count || k->prefix_count == 0 ? &k->batches[i] : NULL;
}

/* With the lock. */
static void batch_change(struct tracking *t, struct slice key, const struct tracking_change *change)
{
    list_for_each (node, &t->all) {
        struct tracker *k = container_of(node, struct tracker, node);
        struct tracker_batch *b =
            k->bcast && !(k->noloop && k->id == change->author) ? batch_of(k, key) : NULL;
        if (b != NULL) {
            resp_bulk(&b->keys, key);
            b->count++;
            b->is_durable |= change->is_durable;
            k->batched++;
        }
    }
}

static void send_change(struct worker *w, struct slice key, const struct tracking_change *change)
{
    struct tracking *t = tracking_of(w);
    uint32_t count;
    lock_acquire(&t->lock);
    batch_change(t, key, change);
    struct message_to *to = take_readers(t, key, change->author, &count);
    lock_release(&t->lock);
    struct buf payload;
    buf_init(&payload);
    resp_array(&payload, 1);
    resp_bulk(&payload, key);
    for (uint32_t i = 0; i < count; i++) {
        send_payload(w, to[i], buf_readable(&payload), change->is_durable);
    }
    buf_fini(&payload);
    free(to);
}

/* Everything changed: all trackers are told so with a null, and the table is empty. */
static void send_flush(struct worker *w, bool is_durable)
{
    struct tracking *t = tracking_of(w);
    uint32_t count = 0;
    lock_acquire(&t->lock);
    tracking_free_keys(t);
    struct message_to *to = xcalloc(t->trackers.count + 1, sizeof(*to)); /* 1: never nothing */
    list_for_each (node, &t->all) {
        to[count++] = address_of(container_of(node, struct tracker, node));
    }
    lock_release(&t->lock);
    for (uint32_t i = 0; i < count; i++) {
        send_payload(w, to[i], to[i].resp3 ? SLICE("_\r\n") : SLICE("$-1\r\n"), is_durable);
    }
    free(to);
}

/* With the lock: the first batch of any client that has keys in it is taken. False: there is none. */
static bool take_batch(struct tracking *t, struct message_to *ret_to,
                       struct tracker_batch *ret_batch)
{
    list_for_each (node, &t->all) {
        struct tracker *k = container_of(node, struct tracker, node);
        if (k->batched > 0) {
            struct tracker_batch *b = k->batches;
            while (b->count == 0) {
                b++;
            }
            *ret_to = address_of(k);
            *ret_batch = *b;
            k->batched -= b->count;
            *b = (struct tracker_batch){.count = 0};
            buf_init(&b->keys);
            return true;
        }
    }
    return false;
}

/* What BCAST clients have coming, one after the other: publishing is not for those who hold the lock. */
static void send_batches(struct worker *w)
{
    struct tracking *t = tracking_of(w);
    for (;;) {
        struct message_to to;
        struct tracker_batch batch;
        lock_acquire(&t->lock);
        bool more = take_batch(t, &to, &batch);
        lock_release(&t->lock);
        if (!more) {
            return;
        }
        struct buf payload;
        buf_init(&payload);
        resp_array(&payload, batch.count);
        buf_append_slice(&payload, buf_readable(&batch.keys));
        buf_fini(&batch.keys);
        send_payload(w, to, buf_readable(&payload), batch.is_durable);
        buf_fini(&payload);
    }
}

void tracking_send(struct worker *w)
{
    struct buf changed = w->changed;
    bool is_flushed = false;
    bool is_durable = false;
    buf_init(&w->changed);
    struct slice rest = buf_readable(&changed);
    while (rest.len > 0) {
        struct tracking_change head;
        memcpy(&head, rest.ptr, sizeof(head));
        struct slice key = {rest.ptr + sizeof(head), head.len};
        rest = slice_from(rest, sizeof(head) + head.len);
        if (head.is_flush) {
            is_flushed = true; /* one database or all of them: one message */
            is_durable |= head.is_durable;
        } else {
            send_change(w, key, &head);
        }
    }
    send_batches(w);
    if (is_flushed) {
        send_flush(w, is_durable);
    }
    buf_fini(&changed);
}
