/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * figures: what a space holds, what became of what it held, and when it is about to be full.
 *
 * Each is exact; sums are of one moment only when nothing runs.
 *
 * Threads: any.
 */
#ifndef STORE_FIGURES_H
#define STORE_FIGURES_H

#include "store/store.h"

struct store_space_stats {
    uint64_t budget_bytes; /* or the limit, if that is lower */
    uint64_t used_bytes;   /* pages owned, index included */
    uint64_t item_bytes;   /* inside items */
    uint64_t keys;
    uint64_t evicted;
    uint64_t expired;
    uint64_t outdated;     /* refused by fresh at lookup */
    uint64_t expire_looks; /* items looked at to find the expired */
    uint64_t refused;      /* writes that found no room */
    uint64_t near_full;    /* 1: at STORE_NEAR_FULL percent of the budget, and not yet well below */
    uint64_t crossings;    /* how often that came about */
};
enum { STORE_NEAR_FULL = 80, STORE_NEAR_FULL_OVER = 75 };
/* True once each time the space has come to STORE_NEAR_FULL percent of its budget; not again before
 * it has fallen below STORE_NEAR_FULL_OVER. For one thread, a few times a second: whoever warns. */
bool store_space_crossed(struct store *s, uint32_t space);
/* Any thread, no lock. */
void store_space_stats(struct store *s, uint32_t space, struct store_space_stats *ret_stats);

/* What a space may use from now on, bytes: never more than its budget; 0: all of that. What it uses
 * beyond leaves by store_shrink(). Needs store_own(). */
void store_space_limit(struct store *s, uint32_t space, uint64_t bytes);
/* Whether it evicts when it is full; changing that needs store_own(). */
bool store_space_evicts(const struct store *s, uint32_t space);
void store_space_set_evict(struct store *s, uint32_t space, bool evicts);
/* A bounded step down to the limit, at the cost of entries if the space evicts. False: it is there,
 * or nothing is left that could leave. Needs store_own(). */
bool store_shrink(struct store *s, uint32_t space, uint64_t now_ms);

#endif
