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
#include "store/figures.h"
#include "store/priv.h"

#include "base/check.h"

/* Whoever is refused so little speaks for all. */
enum { SMALL = STORE_PAGE, SHRINK_STEPS = 16 };

/* What is wanted of the hold's pool, about how many bytes, and how to see whether it can be had now. */
struct wish {
    struct store_hold *hold;
    size_t size;
    room_try_fn *try_it;
    void *arg;
};

static bool wish_try(const struct wish *w)
{
    return w->try_it(w->arg);
}

/* Lets another shard free memory until the wish comes true here. */
static bool take_from(const struct wish *w, struct need *n, struct shard *other,
                      struct pool *theirs)
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

static NO_THREAD_SAFETY bool ask_others(const struct wish *w, struct need *n)
{
    const struct store_hold *h = w->hold;
    const struct store *s = h->store;
    const struct shard *here = h->shard;
    ptrdiff_t space = hold_pool(h) - here->pools;
    bool done = false;
    for (uint32_t i = 1; i < s->shard_count && !done; i++) {
        struct shard *other = &s->shards[((uint32_t)(here - s->shards) + i) % s->shard_count];
        if (!h->owned && !lock_try(&other->lock)) {
            continue;
        }
        done = take_from(w, n, other, &other->pools[space]);
        if (!h->owned) {
            lock_release(&other->lock);
        }
    }
    return done;
}

static void note_refusal(const struct wish *w)
{
    struct pool *p = hold_pool(w->hold);
    struct space *space = p->slab.pages.space;
    figure_add(&p->figures.refused, 1);
    if (!space_evicts(space) && w->size <= SMALL) {
        atomic_store_explicit(&space->is_full, true, memory_order_relaxed);
    }
}

bool room_make(struct store_hold *h, struct need *n, size_t size, room_try_fn *try_it, void *arg)
{
    struct wish w = {.hold = h, .size = size, .try_it = try_it, .arg = arg};
    bool done = wish_try(&w);
    if (done || size > space_limit(hold_pool(h)->slab.pages.space)) {
        return done;
    }
    while (!done && evict_step(h->shard, hold_pool(h), n)) {
        done = wish_try(&w);
    }
    if (!done && !ask_others(&w, n)) {
        note_refusal(&w);
        return false;
    }
    return true;
}

struct piece {
    struct slab *slab;
    size_t size;
    void *ptr;
};

static bool try_piece(void *arg)
{
    struct piece *p = arg;
    p->ptr = slab_alloc(p->slab, p->size);
    return p->ptr != NULL;
}

void *room_for_item(struct store_hold *h, size_t size, struct need *n)
{
    struct piece p = {.slab = &hold_pool(h)->slab, .size = size};
    (void)room_make(h, n, size, try_piece, &p);
    return p.ptr;
}

struct place {
    const struct store_hold *hold;
    struct table_at at;
};

static bool try_place(void *arg)
{
    struct place *p = arg;
    p->at = table_reserve(p->hold->table, p->hold->hash);
    return p->at.bucket != NULL;
}

struct table_at room_for_place(struct store_hold *h, struct need *n)
{
    struct place p = {.hold = h};
    n->idle = 0;
    n->visits = 0;
    (void)room_make(h, n, 0, try_place, &p);
    return p.at;
}

/* --- shrinking -------------------------------------------------------------------------------- */

void store_space_limit(struct store *s, uint32_t space, uint64_t bytes)
{
    struct space *sp = &s->spaces[space];
    bool is_all = bytes == 0 || bytes > sp->budget;
    atomic_store_explicit(&sp->limit, is_all ? sp->budget : bytes, memory_order_relaxed);
    space_note_room(sp);
}

bool store_space_evicts(const struct store *s, uint32_t space)
{
    return space_evicts(&s->spaces[space]);
}

void store_space_set_evict(struct store *s, uint32_t space, bool evicts)
{
    atomic_store_explicit(&s->spaces[space].evict, evicts, memory_order_relaxed);
    space_note_room(&s->spaces[space]);
}

bool store_shrink(struct store *s, uint32_t space, uint64_t now_ms)
{
    struct space *sp = &s->spaces[space];
    bool freed = false;
    for (uint32_t i = 0; i < s->shard_count; i++) {
        struct pool *p = &s->shards[i].pools[space];
        struct need n = {.now_ms = now_ms};
        for (uint32_t step = 0; step < SHRINK_STEPS; step++) {
            pages_trim(&p->slab.pages, 0);
            if (space_used(sp) <= space_limit(sp)) {
                return false;
            }
            if (!evict_step(&s->shards[i], p, &n)) {
                break;
            }
            freed = true;
        }
    }
    return freed;
}
