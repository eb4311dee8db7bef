/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fills in progress, by key; who fills and who waits. herd.h draws it.
 *
 *      bucket ── fill ── owner (a client, compared only), waiters
 *                  └──── also on its owner's list `fills`, so that a client that goes away takes them along
 *
 * Invariants: HD1. a waiter is on a fill's list, or its mail is under way (`fill` NULL), never both.
 * HD2. `open` is above 0 while there is a fill: a writer that reads 0 after its write need not look,
 * because a filler looks at the key again after it became one, under the same shard's lock.
 *
 * Threads: everything here under the herd's lock, except a waiter's client and timer, its worker's.
 */
#include "serve/herd.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/lock.h"

#include <stdlib.h>

enum { BUCKETS = 1024, FILLS_MAX = 1024 /* of one client: the oldest is given up */ };

struct fill {
    struct list node;
    struct list owned;
    struct list waiters;
    /* Lives while it is on this; `fills` and `fill_count` under the lock. */
    struct resp_client *owner;
    uint64_t hash;
    uint32_t db;
    size_t key_len;
    char key[];
};

struct herd_waiter {
    struct list node; /* lock, with `fill` */
    struct fill *fill;
    struct mail mail;
    struct mailbox *mailbox;
    /* client's worker */
    struct resp_client *client; /* NULL: gone */
    struct timer timer;
    herd_fn *woken;
    struct herd_question question;
    char key[];
};

struct herd {
    struct lock lock;
    struct list buckets[BUCKETS]; /* lock, with everything in it */
    bool stopped;
    _Atomic uint32_t open; /* written under the lock, read relaxed */
};

struct herd *herd_create(void)
{
    struct herd *h = xcalloc(1, sizeof(*h));
    lock_init(&h->lock, LOCK_RANK_FILL);
    for (size_t i = 0; i < BUCKETS; i++) {
        list_init(&h->buckets[i]);
    }
    return h;
}

static struct herd *herd_of(const struct resp_client *c)
{
    return c->worker->server->herd;
}

/* --- fills -------------------------------------------------------------------------------------- */

static uint64_t hash_of(uint32_t db, struct slice key)
{
    return hash_mix(hash_slice(key), db);
}

static struct fill *find_locked(struct herd *h, uint32_t db, struct slice key)
{
    uint64_t hash = hash_of(db, key);
    list_for_each (node, &h->buckets[hash % BUCKETS]) {
        struct fill *f = container_of(node, struct fill, node);
        if (f->hash == hash && f->db == db && slice_eq((struct slice){f->key, f->key_len}, key)) {
            return f;
        }
    }
    return NULL;
}

static void count_open(struct herd *h, int change)
{
    uint32_t open = atomic_load_explicit(&h->open, memory_order_relaxed);
    atomic_store_explicit(&h->open, open + (uint32_t)change, memory_order_relaxed);
}

static void answer(struct herd_waiter *w)
{
    struct resp_client *c = w->client;
    timer_stop(&w->timer);
    if (c != NULL) {
        c->herd = NULL;
        w->woken(c, &w->question);
    }
    free(w);
}

static void wake(struct mail *m)
{
    answer(container_of(m, struct herd_waiter, mail));
}

/* Everybody who waits is told to look again. */
static void end_locked(struct herd *h, struct fill *f)
{
    struct list *node;
    list_remove(&f->node);
    list_remove(&f->owned);
    f->owner->fill_count--;
    count_open(h, -1);
    while ((node = list_pop_front(&f->waiters)) != NULL) {
        struct herd_waiter *w = container_of(node, struct herd_waiter, node);
        w->fill = NULL;
        mailbox_post(w->mailbox, &w->mail, wake);
    }
    free(f);
}

static void give_locked(struct herd *h, struct fill *f, struct resp_client *c)
{
    if (c->fill_count == FILLS_MAX) {
        end_locked(h, container_of(c->fills.next, struct fill, owned));
    }
    f->owner = c;
    list_push_back(&c->fills, &f->owned);
    c->fill_count++;
}

static void begin_locked(struct herd *h, struct resp_client *c, const struct herd_question *q)
{
    struct fill *f = xcalloc(1, sizeof(*f) + q->key.len);
    list_init(&f->waiters);
    f->hash = hash_of(q->db, q->key);
    f->db = q->db;
    f->key_len = q->key.len;
    memcpy(f->key, q->key.ptr, q->key.len);
    give_locked(h, f, c);
    list_push_back(&h->buckets[f->hash % BUCKETS], &f->node);
    count_open(h, 1);
}

void herd_done(struct herd *h, uint32_t db, struct slice key)
{
    if (atomic_load_explicit(&h->open, memory_order_relaxed) == 0) {
        return;
    }
    lock_acquire(&h->lock);
    struct fill *f = find_locked(h, db, key);
    if (f != NULL) {
        end_locked(h, f);
    }
    lock_release(&h->lock);
}

/* --- waiting ------------------------------------------------------------------------------------ */

/* The client has waited long enough for somebody else, and takes over. */
static void time_is_up(struct timer *t)
{
    struct herd_waiter *w = container_of(t, struct herd_waiter, timer);
    struct herd *h = herd_of(w->client);
    lock_acquire(&h->lock);
    struct fill *f = w->fill;
    if (f != NULL) {
        list_remove(&w->node);
        w->fill = NULL;
        list_remove(&f->owned);
        f->owner->fill_count--;
        give_locked(h, f, w->client);
    }
    lock_release(&h->lock);
    if (f != NULL) { /* else its mail is under way */
        answer(w);
    }
}

static void wait_locked(struct resp_client *c, struct fill *f, const struct herd_question *q,
                        herd_fn *woken)
{
    struct herd_waiter *w = xcalloc(1, sizeof(*w) + q->key.len);
    w->fill = f;
    list_push_back(&f->waiters, &w->node);
    w->mailbox = loop_mailbox(c->worker->loop);
    w->client = c;
    w->woken = woken;
    w->question = *q;
    memcpy(w->key, q->key.ptr, q->key.len);
    w->question.key.ptr = w->key;
    c->herd = w;
    uint64_t now_ms = client_now(c);
    uint64_t left_ms = q->deadline_ms > now_ms ? q->deadline_ms - now_ms : 0;
    timer_start(c->worker->loop, &w->timer, left_ms, time_is_up);
}

enum herd_role herd_ask(struct resp_client *c, const struct herd_question *q, herd_fn *woken)
{
    struct herd *h = herd_of(c);
    enum herd_role role = HERD_NEITHER;
    lock_acquire(&h->lock);
    struct fill *f = find_locked(h, q->db, q->key);
    if (f == NULL && !h->stopped) {
        begin_locked(h, c, q);
        role = HERD_FILLER;
    } else if (f != NULL && f->owner == c) {
        role = HERD_FILLER;
    } else if (f != NULL && woken != NULL) {
        wait_locked(c, f, q, woken);
        role = HERD_WAITS;
    }
    lock_release(&h->lock);
    return role;
}

void herd_forget(struct resp_client *c)
{
    struct herd *h = herd_of(c);
    struct herd_waiter *w = c->herd;
    c->herd = NULL;
    bool was_waiting = false;
    lock_acquire(&h->lock);
    while (!list_empty(&c->fills)) {
        end_locked(h, container_of(c->fills.next, struct fill, owned));
    }
    if (w != NULL) {
        was_waiting = w->fill != NULL;
        list_remove(&w->node);
        w->fill = NULL;
    }
    lock_release(&h->lock);
    if (w != NULL) {
        timer_stop(&w->timer);
        w->client = NULL;
    }
    if (was_waiting) {
        free(w);
    }
}

/* --- the end ------------------------------------------------------------------------------------ */

void herd_stop(struct herd *h)
{
    lock_acquire(&h->lock);
    h->stopped = true;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (!list_empty(&h->buckets[i])) {
            end_locked(h, container_of(h->buckets[i].next, struct fill, node));
        }
    }
    lock_release(&h->lock);
}

void herd_destroy(struct herd **hp)
{
    if (*hp != NULL) {
        herd_stop(*hp);
        lock_fini(&(*hp)->lock);
        free(*hp);
        *hp = NULL;
    }
}
