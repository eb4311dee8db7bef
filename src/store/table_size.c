/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The size of a table: splitting and joining buckets, one at a time.
 *
 * A split or a join takes the entries of one chain (or two) apart and builds them anew out of the
 * same overflow buckets. n entries in two chains never need more buckets than they had in one, so a
 * split cannot fail half-way; a join may need one more and takes it beforehand. Splitting must hash
 * the keys again: the items are fetched together first, so their cache misses overlap.
 *
 *      round:  0 .......... mask | mask+1 .... buckets-1 | (buckets: split off next, from
 *              split already: .. |  their other halves    |  bucket number `buckets & mask`)
 *
 * Chains longer than CHAIN_MAX entries, which only long lack of memory can make, are left alone.
 */
#include "store/bucket.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>

enum { CHAIN_MAX = 256, CHUNKS_FIRST = 4, SHRINK_SHARE = 2, CROWD = 2 };

struct entry {
    uint32_t ref;
    uint8_t tag;
};

static uint32_t chain_count(const struct table *t, const struct bucket *b)
{
    uint32_t count = 0;
    for (; b != NULL; b = bucket_next(t, b)) {
        count += bucket_used(b);
    }
    return count;
}

/* Takes the chain of a bucket apart: its entries, and its overflow buckets onto `spare`. */
static void chain_take(struct table *t, struct bucket *first, struct entry *entries,
                       uint32_t *count, uint32_t *spare)
{
    for (const struct bucket *b = first; b != NULL; b = bucket_next(t, b)) {
        uint32_t used = bucket_used(b);
        for (uint32_t i = 0; i < used; i++) {
            entries[(*count)++] = (struct entry){.ref = b->ref[i], .tag = b->tag[i]};
        }
    }
    if (first->link != 0) {
        chain_last(t, first)->link = *spare;
        *spare = first->link;
    }
    memset(first, 0, sizeof(*first));
}

static void chain_add(struct table *t, struct bucket *b, const struct entry *e, uint32_t *spare)
{
    b = chain_last(t, b);
    uint32_t slot = bucket_used(b);
    if (slot == BUCKET_SLOTS) {
        check(*spare != 0);
        b->link = *spare;
        b = bucket_next(t, b);
        *spare = b->link;
        memset(b, 0, sizeof(*b));
        slot = 0;
    }
    b->tag[slot] = e->tag;
    b->ref[slot] = e->ref;
}

/* Frees a list of overflow buckets. */
static void free_chain(struct table *t, uint32_t link)
{
    while (link != 0) {
        struct bucket *b = slab_at(t->slab, link);
        link = b->link;
        slab_free(t->slab, b);
    }
}

static bool chunk_add(struct table *t, uint32_t chunks)
{
    if (chunks == t->chunk_cap) {
        uint32_t cap = chunks == 0 ? CHUNKS_FIRST : chunks * 2;
        if (!space_take(t->slab->pages.space, (cap - chunks) * sizeof(uint32_t))) {
            return false;
        }
        t->chunk = xrealloc(t->chunk, cap * sizeof(uint32_t));
        t->chunk_cap = cap;
    }
    uint32_t page = pages_take(&t->slab->pages, 1, PAGE_INDEX);
    if (page == 0) {
        return false;
    }
    t->chunk[chunks] = page;
    memset(pages_at(&t->slab->pages, page), 0, STORE_PAGE);
    return true;
}

static void chunks_free(struct table *t)
{
    space_give(t->slab->pages.space, t->chunk_cap * sizeof(uint32_t));
    free(t->chunk);
    t->chunk = NULL;
    t->chunk_cap = 0;
    t->buckets = 0;
    t->mask = 0;
}

bool table_start(struct table *t)
{
    if (!chunk_add(t, 0)) {
        chunks_free(t);
        return false;
    }
    t->buckets = 1;
    t->mask = 0;
    return true;
}

static uint64_t entry_hash(const struct table *t, const struct entry *e)
{
    return hash_slice(item_key(slab_at(t->slab, e->ref)));
}

static void table_split(struct table *t)
{
    uint32_t fresh = t->buckets;
    uint32_t mask = fresh == 2 * t->mask + 2 ? 2 * t->mask + 1 : t->mask; /* perhaps a new round */
    struct bucket *from = bucket_at(t, fresh & mask);
    if (chain_count(t, from) > CHAIN_MAX) {
        return;
    }
    if (fresh % CHUNK_BUCKETS == 0 && !chunk_add(t, fresh / CHUNK_BUCKETS)) {
        return;
    }
    struct bucket *to = bucket_at(t, fresh);
    struct entry entries[CHAIN_MAX];
    uint32_t count = 0;
    uint32_t spare = 0;
    chain_take(t, from, entries, &count, &spare);
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(slab_at(t->slab, entries[i].ref));
    }
    for (uint32_t i = 0; i < count; i++) {
        bool moves = ((uint32_t)entry_hash(t, &entries[i]) & (2 * mask + 1)) == fresh;
        chain_add(t, moves ? to : from, &entries[i], &spare);
    }
    free_chain(t, spare);
    t->mask = mask;
    t->buckets = fresh + 1;
}

static void table_join(struct table *t)
{
    uint32_t last = t->buckets - 1;
    uint32_t mask = last == t->mask ? t->mask / 2 : t->mask; /* perhaps the round before */
    struct bucket *from = bucket_at(t, last);
    struct bucket *to = bucket_at(t, last & mask);
    if (chain_count(t, from) + chain_count(t, to) > CHAIN_MAX) {
        return;
    }
    struct bucket *more = slab_alloc_bucket(t->slab); /* two last buckets may not fit into one */
    if (more == NULL) {
        return;
    }
    more->link = 0;
    uint32_t spare = slab_ref(t->slab, more);
    struct entry entries[CHAIN_MAX];
    uint32_t count = 0;
    chain_take(t, from, entries, &count, &spare);
    chain_take(t, to, entries, &count, &spare);
    for (uint32_t i = 0; i < count; i++) {
        chain_add(t, to, &entries[i], &spare);
    }
    free_chain(t, spare);
    if (last % CHUNK_BUCKETS == 0) {
        pages_give(&t->slab->pages, t->chunk[last / CHUNK_BUCKETS]);
    }
    t->mask = mask;
    t->buckets = last;
}

void table_forget(struct table *t)
{
    if (t->chunk != NULL) {
        chunks_free(t);
    }
    atomic_store_explicit(&t->count, 0, memory_order_relaxed);
    atomic_store_explicit(&t->expiring, 0, memory_order_relaxed);
}

void table_fini(struct table *t)
{
    for (uint32_t i = 0; i < t->buckets; i++) {
        free_chain(t, bucket_at(t, i)->link);
    }
    for (uint32_t i = 0; i * CHUNK_BUCKETS < t->buckets; i++) {
        pages_give(&t->slab->pages, t->chunk[i]);
    }
    table_forget(t);
}

bool table_is_crowded(const struct table *t)
{
    return table_count(t) > (uint64_t)t->buckets * TABLE_LOAD * CROWD;
}

void table_tune(struct table *t)
{
    uint64_t count = table_count(t);
    if (count > (uint64_t)t->buckets * TABLE_LOAD) {
        table_split(t);
    } else if (count == 0) {
        table_fini(t);
    } else if (t->buckets > 1 && count < (uint64_t)t->buckets * TABLE_LOAD / SHRINK_SHARE) {
        table_join(t);
    }
}
