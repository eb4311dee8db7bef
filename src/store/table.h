/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table: the index of one database within one shard. Linear hashing over 64-byte buckets.
 *
 *      bucket:  tag[12] | link | ref[12]          one cache line; tag 0: slot unused
 *      buckets: 64 to a page (a chunk), pages named by a small directory
 *      hash:    bits 0..31 choose the bucket, bits 40..47 are the tag (high bits chose the shard)
 *
 * The table grows by one bucket at a time: `buckets` lies between `mask + 1` and twice that, and a
 * hash belongs to bucket (hash & (2 * mask + 1)) if there is one, else to (hash & mask). When the
 * load passes TABLE_LOAD items a bucket, the next bucket in turn is split; when it falls far below,
 * the last bucket is joined back. So no operation ever pays for more than one bucket. Buckets whose
 * turn has not come overflow into linked buckets (about one in seven).
 *
 * A scan walks the buckets in the order of their reversed bits. A split or a join changes only how
 * finely that line is cut, never its order: a cursor is a point on the line and stays right.
 *
 * T1. An item is in the chain of the bucket its hash belongs to, once, under its tag.
 * T2. In a chain only the last bucket may have unused slots, and only the first may be empty.
 * T3. Growing is a wish: without memory for it chains get longer and everything stays right.
 *
 * Threads: the shard's lock; `count` may be read by anyone.
 */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include "store/slab.h"

enum { BUCKET_SLOTS = 12, TABLE_LOAD = 8 };

struct bucket {
    uint8_t tag[BUCKET_SLOTS];
    uint32_t link; /* overflow bucket (slab reference); 0: none */
    uint32_t ref[BUCKET_SLOTS];
};

_Static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");

struct table {
    struct slab *slab;
    uint32_t *chunk; /* page numbers; NULL while the table has never held anything */
    uint32_t chunk_cap;
    uint32_t buckets;
    uint32_t mask;
    _Atomic uint64_t count;    /* written under the shard's lock, read relaxed by anyone; as is: */
    _Atomic uint64_t expiring; /* items with an expiry */
};

/* Where an item is, or could be put: valid until the table changes. */
struct table_at {
    struct bucket *bucket; /* NULL: nowhere */
    uint32_t slot;
};

void table_init(struct table *t, struct slab *slab);
/* Gives everything back, items excepted. */
void table_fini(struct table *t);
/* Forgets everything: the slab was reset. */
void table_forget(struct table *t);

static inline uint64_t table_count(const struct table *t)
{
    return atomic_load_explicit(&t->count, memory_order_relaxed);
}

static inline void table_count_expiring(struct table *t, int change)
{
    uint64_t count = atomic_load_explicit(&t->expiring, memory_order_relaxed);
    atomic_store_explicit(&t->expiring, count + (uint64_t)(int64_t)change, memory_order_relaxed);
}

static inline struct store_item *table_item(const struct table *t, struct table_at at)
{
    return slab_at(t->slab, at.bucket->ref[at.slot]);
}

/* Asks for the memory that table_find() will touch: first the bucket, and once that has come, the item. */
void table_warm_bucket(const struct table *t, uint64_t hash);
/* Returns the item that it probably is, not looked at; NULL: the bucket has none. */
struct store_item *table_warm_item(const struct table *t, uint64_t hash);
struct table_at table_find(const struct table *t, uint64_t hash, struct slice key);
/* The place that refers to exactly this item. */
struct table_at table_find_item(const struct table *t, uint64_t hash, const struct store_item *it);
/* Asks `fn` about the items under `tag` whose hash begins with the low `bits` of `low`, until it says yes. */
typedef bool table_ask_fn(void *arg, struct store_item *it);
void table_find_tag(const struct table *t, uint32_t low, uint32_t bits, uint8_t tag,
                    table_ask_fn *fn, void *arg);
/* A place for a key that is absent; nowhere when the budget has no room for a bucket. */
struct table_at table_reserve(struct table *t, uint64_t hash);
void table_insert(struct table *t, struct table_at at, uint64_t hash, const struct store_item *it);
static inline void table_replace(struct table *t, struct table_at at, const struct store_item *it)
{
    at.bucket->ref[at.slot] = slab_ref(t->slab, it);
}
void table_remove(struct table *t, uint64_t hash, struct table_at at);

/* table_size.c: one step towards the right size; call after inserting and removing. */
void table_tune(struct table *t);
/* True when the table is so crowded that memory for growing is worth an eviction. */
bool table_is_crowded(const struct table *t);

typedef void table_item_fn(void *arg, struct store_item *it);
/* Calls `fn` for each item of the bucket that point `cursor` lies in and returns how many; moves
 * the cursor to the next bucket, to 0 after the last. `fn` may not change the table. */
uint32_t table_scan(const struct table *t, uint32_t *cursor, table_item_fn *fn, void *arg);
void table_validate(const struct table *t);

#endif
