/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict: making room in a pool. The policy's whole face; another policy replaces evict.c and this.
 *
 * Policy now: a clock over slab runs, aware of sizes. A hit only counts up in the item. The hand visits
 * one run at a time: expired, outdated and void items go; the others must have earned, since the last
 * visit, one hit for each four mean item sizes they occupy, or they go too. Survivors pay for it with
 * their hits. When whole runs survive, the bar is raised, so one call is always bounded work.
 *
 * If the run then holds so few items that other runs of its class have room for them, they move there
 * and its pages are free for any class: memory flows between sizes without evicting for it.
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

static inline void evict_count_hit(struct store_item *it)
{
    if ((it->worth & ITEM_HITS) != ITEM_HITS) {
        it->worth++;
    }
}

/* One step towards free memory. False: nothing is left that could be freed for this need. */
bool evict_step(struct shard *sh, struct pool *p, struct need *n);

#endif
