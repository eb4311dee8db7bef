/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buckets and chains: what the two halves of the index (table.c, table_size.c) share.
 *
 * Used slots of a bucket come first, and in a chain only the last bucket may have unused ones (T2),
 * so the end of a chain is the place for a new entry and the source for filling a hole.
 */
#ifndef STORE_BUCKET_H
#define STORE_BUCKET_H

#include "store/table.h"

enum { CHUNK_BUCKETS = STORE_PAGE / sizeof(struct bucket) };

static inline uint32_t bucket_index(const struct table *t, uint64_t hash)
{
    uint32_t fine = (uint32_t)hash & (2 * t->mask + 1);
    return fine < t->buckets ? fine : (uint32_t)hash & t->mask;
}

static inline struct bucket *bucket_at(const struct table *t, uint32_t index)
{
    struct bucket *chunk = pages_at(&t->slab->pages, t->chunk[index / CHUNK_BUCKETS]);
    return &chunk[index % CHUNK_BUCKETS];
}

static inline struct bucket *bucket_next(const struct table *t, const struct bucket *b)
{
    return b->link == 0 ? NULL : slab_at(t->slab, b->link);
}

static inline uint32_t bucket_used(const struct bucket *b)
{
    uint32_t used = BUCKET_SLOTS;
    while (used > 0 && b->tag[used - 1] == 0) {
        used--;
    }
    return used;
}

static inline struct bucket *chain_last(const struct table *t, struct bucket *b)
{
    for (struct bucket *next = bucket_next(t, b); next != NULL; next = bucket_next(t, b)) {
        b = next;
    }
    return b;
}

/* The first bucket of a table that has none; false without memory. */
bool table_start(struct table *t);

#endif
