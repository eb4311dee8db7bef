/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Single flight. The table is a small chained hash: flights are as few as queries in progress. Several
 * flights of one key can exist when a newer one replaces an outdated one; the newest is found first.
 */
#include "fill/flight.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/lock.h"

#include <stdlib.h>

enum { FLIGHT_BUCKETS = 256 };

struct flight {
    struct list node;
    uint64_t hash;
    char *key;
    size_t key_len;
    uint64_t sent_at; /* ticket; 0: not sent */
    fresh_pos stamp;
    struct fresh_deps deps;
    struct list waiters;
};

struct flights {
    struct lock lock;
    uint64_t ticket;                     /* lock: the latest given */
    struct list buckets[FLIGHT_BUCKETS]; /* lock, with everything in it */
};

struct flight_answer *flight_answer_create(void)
{
    struct flight_answer *a = xcalloc(1, sizeof(*a));
    atomic_init(&a->refs, 1);
    return a;
}

void flight_answer_ref(struct flight_answer *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
}

void flight_answer_unref(struct flight_answer **ap)
{
    struct flight_answer *a = *ap;
    *ap = NULL;
    if (a != NULL && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1) {
        buf_fini(&a->value);
        free(a);
    }
}

struct flights *flights_create(void)
{
    struct flights *fs = xcalloc(1, sizeof(*fs));
    lock_init(&fs->lock, LOCK_RANK_FILL);
    for (size_t i = 0; i < FLIGHT_BUCKETS; i++) {
        list_init(&fs->buckets[i]);
    }
    return fs;
}

void flights_destroy(struct flights **fsp)
{
    struct flights *fs = *fsp;
    *fsp = NULL;
    if (fs == NULL) {
        return;
    }
    for (size_t i = 0; i < FLIGHT_BUCKETS; i++) {
        check(list_empty(&fs->buckets[i]));
    }
    lock_fini(&fs->lock);
    free(fs);
}

/* May a newcomer share this flight's read, or wait behind it? */
static bool joinable(const struct flight *fl, struct fresh *f, const struct flight_waiter *w,
                     uint64_t now_ms)
{
    if (fl->sent_at == 0 || fl->stamp == 0 || w->distrusts || fresh_visible(f) == 0) {
        return true;
    }
    enum fresh_verdict v = fresh_judge(f, fl->stamp, fl->deps.dep, fl->deps.count, now_ms);
    return v == FRESH_HIT || v == FRESH_UNPROVEN;
}

static struct flight *find(struct list *bucket, uint64_t hash, struct slice key)
{
    list_for_each (node, bucket) {
        struct flight *fl = container_of(node, struct flight, node);
        if (fl->hash == hash && slice_eq((struct slice){fl->key, fl->key_len}, key)) {
            return fl;
        }
    }
    return NULL;
}

struct flight *flight_lead_or_join(struct flights *fs, struct fresh *f, struct slice key,
                                   struct flight_waiter *w, uint64_t now_ms)
{
    uint64_t hash = hash_slice(key);
    struct list *bucket = &fs->buckets[hash % FLIGHT_BUCKETS];
    struct flight *led = NULL;
    lock_acquire(&fs->lock);
    w->ticket = w->ticket != 0 ? w->ticket : ++fs->ticket;
    struct flight *fl = find(bucket, hash, key);
    if (fl != NULL && joinable(fl, f, w, now_ms)) {
        w->unconditional = fl->sent_at == 0;
        w->flight = fl;
        list_push_back(&fl->waiters, &w->node);
    } else {
        led = xcalloc(1, sizeof(*led));
        led->hash = hash;
        led->key = xstrndup(key.ptr, key.len);
        led->key_len = key.len;
        list_init(&led->waiters);
        list_push_back(bucket->next, &led->node); /* in front: newest first */
    }
    lock_release(&fs->lock);
    return led;
}

void flight_sent(struct flights *fs, struct flight *fl, fresh_pos stamp,
                 const struct fresh_deps *deps)
{
    lock_acquire(&fs->lock);
    fl->sent_at = ++fs->ticket;
    fl->stamp = stamp;
    fl->deps = *deps;
    lock_release(&fs->lock);
}

static void waiter_mail(struct mail *m)
{
    struct flight_waiter *w = container_of(m, struct flight_waiter, mail);
    w->landed(w);
}

void flight_land(struct flights *fs, struct flight **flp, struct flight_answer *answer)
{
    struct flight *fl = *flp;
    *flp = NULL;
    lock_acquire(&fs->lock);
    list_remove(&fl->node);
    /* Off the table nobody can join; leaving still takes the lock, so waiters are marked under it. */
    list_for_each (node, &fl->waiters) {
        struct flight_waiter *w = container_of(node, struct flight_waiter, node);
        w->flight = NULL;
        w->unconditional = w->unconditional || w->ticket < fl->sent_at;
    }
    lock_release(&fs->lock);
    struct list *node;
    while ((node = list_pop_front(&fl->waiters)) != NULL) {
        struct flight_waiter *w = container_of(node, struct flight_waiter, node);
        flight_answer_ref(answer);
        w->answer = answer;
        mailbox_post(w->reply, &w->mail, waiter_mail);
    }
    free(fl->key);
    free(fl);
}
