/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict: who leaves a pool when there is no room. The policy's whole face: the rest of the store tells it
 * what happens to items, and asks for room. Another policy replaces evict.c, clock.c, window.c, ghost.c and
 * the struct; what it may want to know of an item is in `worth` (hits, cost of the fill) and its bytes.
 *
 * Now: S3-FIFO in bytes, with a main area that is aware of sizes.
 *
 *      stored ──> window ── hit ──> main ──(clock)── earned its room ──┐
 *         │      a tenth     │       ^ │ ^                             │
 *         │     of the bytes └ not ──┼─┼─└─────────────────────────────┘
 *         │                   ghost  │ └ not ──> out
 *         └── its ghost is here ─────┘
 *
 * One step, in this order, until something is freed:
 *
 *      limbo    nodes of collections that are gone (node.h)
 *      gather   when a class has as many free slots as a run has slots, the items and nodes of a sparse
 *               run move to the others and its pages are free for any class
 *      expire   what the notes of expire.c point at
 *      sweep    one run is searched for the outdated and void; what finds none pauses, up to SWEEP_PAUSE steps
 *      window   while it holds more than its share: its oldest item goes on to main if it was asked for
 *               in the window, else it leaves and its ghost stays
 *      clock    over the runs, for items in main. In the run under the hand the dead go first; only if
 *               there are none, the cold: each must have earned, since the last visit, a hit and one
 *               more for each mean item size it occupies, or it goes. Survivors pay with their hits.
 *               While run after run survives, the bar rises, so a step is bounded work
 *
 * A hit counts up in the item and moves nothing. An item too large for the window begins in main, with no
 * hit to its credit. Cost per item: 4 bits in its header, four bytes while it is in the window, two for ghosts.
 *
 * E1. An item with ITEM_IN_WINDOW is counted in window_bytes and has a fingerprint in the queue. Items are
 *     never referred to by address: moving or overwriting one is nothing to the policy.
 * E2. The policy's memory is the pool's, taken while the pool fills. It does without when there is none: an item
 *     that cannot queue is in main, a ghost that has no place is forgotten.
 *
 * Threads: the shard's lock.
 */
#ifndef STORE_EVICT_H
#define STORE_EVICT_H

#include "store/ghost.h"
#include "store/item.h"
#include "store/window.h"

enum { NEED_PINS = 4 };

struct evict {
    struct window window;
    struct ghost ghost;
    uint64_t window_bytes;
    uint32_t window_items;
    uint32_t hand;     /* page */
    uint32_t sweep;    /* page where the search for the outdated goes on */
    uint32_t pause;    /* steps until it does */
    uint32_t pauses;   /* how long the last pause was */
    uint32_t bar;      /* hits demanded beyond the price */
    uint32_t survived; /* items under the hand since one had to go */
    bool has_evicted;
};

/* Somebody needs memory. */
struct need {
    uint64_t now_ms;
    const void *pins[NEED_PINS]; /* addresses whose runs must stay as they are; NULL: none */
    uint64_t idle;               /* pages the hand passed since something was freed */
    uint32_t visits;             /* runs looked into */
};

struct shard;
struct pool;
struct slab;

/* Nothing that lies in these may move or leave. */
bool need_pins_run(const struct need *n, const struct slab *s, uint32_t page);

static inline void evict_count_hit(struct store_item *it)
{
    if ((it->worth & ITEM_HITS) != ITEM_HITS) {
        it->worth++;
    }
}

/* A new item is in the index; its hits and ITEM_IN_WINDOW are the policy's to set. */
void evict_inserted(struct shard *sh, struct pool *p, struct store_item *it, uint64_t hash);
/* The item will be freed, whatever the reason. */
void evict_removed(struct pool *p, const struct store_item *it);
/* It takes `change` bytes more now, elements of a collection included. */
void evict_resized(struct pool *p, const struct store_item *it, int64_t change);
/* The pool was emptied at once, its pages are gone. */
void evict_forget(struct pool *p);

/* One step towards free memory. False: nothing is left that could be freed for this need. */
bool evict_step(struct shard *sh, struct pool *p, struct need *n);

/* Bytes charged beside the pages. */
static inline uint64_t evict_charge(const struct evict *e)
{
    return ghost_charge(&e->ghost);
}

void evict_validate(const struct shard *sh, const struct pool *p);

#endif
