/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Room for a write: memory for an item, a place in the index.
 *
 * Asked in this order: what the budget still has; the shard's own pool, through evict.c; the other
 * shards of the space, their free pages first, then their items. Other shards are reached by trying
 * their locks, never by waiting (S2): a shard whose neighbour is busy does without it.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/priv.h"

#include "base/check.h"

/* Whoever is refused so little speaks for all. */
enum { SMALL = STORE_PAGE };

/* What is wanted of the hold's pool: memory for an item, or (size 0) a place in the index. */
struct wish {
    struct store_hold *hold;
    size_t size;
    void *ptr;
    struct table_at at;
};

static bool wish_try(struct wish *w)
{
    if (w->size > 0) {
        w->ptr = slab_alloc(&hold_pool(w->hold)->slab, w->size);
        return w->ptr != NULL;
    }
    w->at = table_reserve(w->hold->table, w->hold->hash);
    return w->at.bucket != NULL;
}

/* Lets another shard free memory until the wish comes true here. */
static bool take_from(struct wish *w, struct need *n, struct shard *other, struct pool *theirs)
{
    n->idle = 0;
    n->visits = 0;
    do {
        pages_trim(&theirs->slab.pages, 0);
        if (wish_try(w)) {
            return true;
        }
    } while (evict_step(other, theirs, n));
    return false;
}

static NO_THREAD_SAFETY bool ask_others(struct wish *w, struct need *n)
{
    const struct store_hold *h = w->hold;
    const struct store *s = h->store;
    const struct shard *here = h->shard;
    ptrdiff_t space = hold_pool(h) - here->pools;
    bool done = false;
    for (uint32_t i = 1; i < s->shard_count && !done; i++) {
        struct shard *other = &s->shards[((uint32_t)(here - s->shards) + i) % s->shard_count];
        if (!h->owned && pthread_mutex_trylock(&other->lock.mutex) != 0) {
            continue;
        }
        done = take_from(w, n, other, &other->pools[space]);
        if (!h->owned) {
            check(pthread_mutex_unlock(&other->lock.mutex) == 0);
        }
    }
    return done;
}

static void note_refusal(const struct wish *w)
{
    struct pool *p = hold_pool(w->hold);
    struct space *space = p->slab.pages.space;
    figure_add(&p->figures.refused, 1);
    if (!space->evict && w->size <= SMALL) {
        atomic_store_explicit(&space->is_full, true, memory_order_relaxed);
    }
}

static void make_room(struct wish *w, struct need *n)
{
    bool done = wish_try(w);
    if (done || w->size > hold_pool(w->hold)->slab.pages.space->budget) {
        return;
    }
    while (!done && evict_step(w->hold->shard, hold_pool(w->hold), n)) {
        done = wish_try(w);
    }
    if (!done && !ask_others(w, n)) {
        note_refusal(w);
    }
}

void *room_for_item(struct store_hold *h, size_t size, struct need *n)
{
    struct wish w = {.hold = h, .size = size};
    make_room(&w, n);
    return w.ptr;
}

struct table_at room_for_place(struct store_hold *h, struct need *n)
{
    struct wish w = {.hold = h};
    n->idle = 0;
    n->visits = 0;
    make_room(&w, n);
    return w.at;
}
