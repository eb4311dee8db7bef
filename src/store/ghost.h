/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ghost: which keys left not long ago, as fingerprints of 16 bits.
 *
 *      set (a cache line):  next | print[31]      the oldest print of a set is overwritten
 *      page:                set[64]
 *
 * It grows with the pool, a page (1984 prints) for each GHOST_PAGE_ITEMS, so it remembers four keys for
 * five items, at 1.7 bytes an item. Growing is linear hashing over pages: the new page begins as a copy of the
 * one it is split from, since prints do not say which of the two they belong to.
 *
 * A pool of few items uses part of its only page: who remembers too long takes the wrong ones back.
 *
 * A print fits another key once in 2,000 times: the price is an item that is taken for better than it is.
 *
 * Threads: the shard's lock.
 */
#ifndef STORE_GHOST_H
#define STORE_GHOST_H

#include "store/pages.h"

enum { GHOST_SET = 64, GHOST_WAYS = 31, GHOST_PAGE_ITEMS = 2480 };

struct ghost {
    uint32_t *page; /* NULL: none yet */
    uint32_t pages;
    uint32_t cap;  /* of `page` */
    uint32_t mask; /* pages lie between mask + 1 and twice that */
    uint32_t sets; /* of a page that are used: fewer while few items need the only one */
};

/* One step towards the size for a pool of `items`; call it when there is one more. Without memory it stays as
 * it is. */
void ghost_fit(struct ghost *g, struct pages *p, uint64_t items);
void ghost_note(const struct ghost *g, struct pages *p, uint64_t hash);
/* True, and forgets it, if it is remembered. */
bool ghost_take(const struct ghost *g, struct pages *p, uint64_t hash);
/* Forgets everything when the pool's pages are gone. */
void ghost_forget(struct ghost *g, struct space *space);
/* Bytes charged beside the pages. */
static inline uint64_t ghost_charge(const struct ghost *g)
{
    return g->cap * sizeof(uint32_t);
}

#endif
