/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict: making room in a pool. The policy's whole face; another policy replaces evict.c and this.
 *
 * One step, in this order, until something is freed:
 *
 *      gather   when a class has as many free slots as a run has slots, the items of a sparse run
 *               move to the others and its pages are free for any class
 *      expire   what the notes of expire.c point at
 *      clock    over the runs, aware of sizes; a hit only counts up in the item. In the run under
 *               the hand the expired, outdated and void go first; only if there are none, the cold:
 *               each must have earned, since the last visit, a hit and one more for each mean item
 *               size it occupies, or it goes. Survivors pay with their hits. While run after run
 *               survives, the bar rises, so a step is bounded work
 *
 * Cost per item: 4 bits in its header. Threads: the shard's lock.
 */
#ifndef STORE_EVICT_H
#define STORE_EVICT_H

#include "store/item.h"

enum { NEED_PINS = 4 };

struct evict {
    uint32_t hand; /* page */
    uint32_t bar;  /* hits demanded beyond the price */
    uint32_t idle_runs;
};

/* Somebody needs memory. */
struct need {
    uint64_t now_ms;
    const void *pins[NEED_PINS]; /* addresses whose runs must stay as they are; NULL: none */
    uint32_t idle;               /* pages the hand passed since something was freed */
    uint32_t visits;             /* runs looked into */
};

struct shard;
struct pool;
struct slab;

bool need_pins_run(const struct need *n, const struct slab *s, uint32_t page);

static inline void evict_count_hit(struct store_item *it)
{
    if ((it->worth & ITEM_HITS) != ITEM_HITS) {
        it->worth++;
    }
}

/* One step towards free memory. False: nothing is left that could be freed for this need. */
bool evict_step(struct shard *sh, struct pool *p, struct need *n);

#endif
