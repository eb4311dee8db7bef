/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two tables of tracking.c, and their life: who tracks, and which keys they have read.
 *
 * Threads: any worker's, with the lock.
 */
#include "serve/tracking_priv.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>

/* --- trackers ------------------------------------------------------------------------------------- */

struct tracker *tracking_find_tracker(const struct tracking *t, uint64_t id)
{
    struct map_node *n = map_find(&t->trackers, id);
    return n != NULL ? container_of(n, struct tracker, by_id) : NULL;
}

void tracking_add_tracker(struct tracking *t, struct tracker *k)
{
    map_add(&t->trackers, &k->by_id, k->id);
    list_push_back(&t->all, &k->node);
    t->prefix_count += k->prefix_count;
}

void tracking_remove_tracker(struct tracking *t, struct tracker *k)
{
    map_remove(&t->trackers, &k->by_id);
    list_remove(&k->node);
    t->prefix_count -= k->prefix_count;
}

/* --- keys ----------------------------------------------------------------------------------------- */

struct tracked_key *tracking_find_key(const struct tracking *t, struct slice key)
{
    for (struct map_node *n = map_find(&t->keys, hash_slice(key)); n != NULL;
         n = map_find_next(n)) {
        struct tracked_key *k = container_of(n, struct tracked_key, by_text);
        if (slice_eq((struct slice){k->text, k->len}, key)) {
            return k;
        }
    }
    return NULL;
}

struct tracked_key *tracking_add_key(struct tracking *t, struct slice key)
{
    struct tracked_key *k = xcalloc(1, sizeof(*k) + key.len);
    memcpy(k->text, key.ptr, key.len);
    k->len = key.len;
    map_add(&t->keys, &k->by_text, hash_slice(key));
    list_push_back(&t->by_age, &k->node);
    return k;
}

void tracking_free_key(struct tracking *t, struct tracked_key *k)
{
    map_remove(&t->keys, &k->by_text);
    list_remove(&k->node);
    t->item_count -= k->reader_count;
    free(k->readers);
    free(k);
}

void tracking_free_keys(struct tracking *t)
{
    while (!list_empty(&t->by_age)) {
        tracking_free_key(t, container_of(t->by_age.next, struct tracked_key, node));
    }
}

void tracking_add_reader(struct tracking *t, struct tracked_key *k, uint64_t id)
{
    for (uint32_t i = 0; i < k->reader_count; i++) {
        if (k->readers[i] == id) {
            return;
        }
    }
    if (k->reader_count == k->reader_cap) {
        k->reader_cap = k->reader_cap > 0 ? k->reader_cap * 2 : 2;
        k->readers = xrealloc(k->readers, k->reader_cap * sizeof(*k->readers));
    }
    k->readers[k->reader_count++] = id;
    t->item_count++;
}

/* --- life ----------------------------------------------------------------------------------------- */

struct tracking *tracking_create(void)
{
    struct tracking *t = xcalloc(1, sizeof(*t));
    lock_init(&t->lock, LOCK_RANK_WATCH);
    map_init(&t->trackers);
    list_init(&t->all);
    map_init(&t->keys);
    list_init(&t->by_age);
    return t;
}

void tracking_destroy(struct tracking **tp)
{
    struct tracking *t = *tp;
    *tp = NULL;
    tracking_free_keys(t);
    map_fini(&t->keys);
    map_fini(&t->trackers);
    lock_fini(&t->lock);
    free(t);
}
