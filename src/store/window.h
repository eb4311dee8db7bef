/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window: a queue of fingerprints of items, first in, first out, in pages of the pool.
 *
 * A fingerprint is 32 bits of a key's hash, mixed with its table: enough to find the item again through the index.
 * So the queue refers to no memory: items are moved, overwritten and freed without it being told, at four
 * bytes an entry. What it finds at its end may therefore be gone (skipped), or be there twice (deleted and
 * stored again: then looked at too early).
 *
 *      pages:  | taken . . oldest | ........ | newest . . room |      chained by the page descriptors
 *
 * Threads: the shard's lock.
 */
#ifndef STORE_WINDOW_H
#define STORE_WINDOW_H

#include "store/table.h"

struct window {
    uint32_t first; /* page of the oldest; 0: no page at all */
    uint32_t last;  /* page of the newest */
    uint32_t spare; /* a page to go on with; 0: none */
    uint32_t begin; /* of the oldest in its page */
    uint32_t end;   /* after the newest in its page */
    uint32_t count;
};

/* False: there was no memory, and nothing happens. */
bool window_push(struct window *w, struct pages *p, uint32_t print);
/* The oldest. False: empty. */
bool window_pop(struct window *w, struct pages *p, uint32_t *ret_print);
/* Visits all entries. */
typedef void window_fn(void *arg, uint32_t print);
void window_each(const struct window *w, const struct pages *p, window_fn *fn, void *arg);

#endif
