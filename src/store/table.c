/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linear hashing; table.h says how it works and what must hold.
 *
 * Looking up compares a bucket's twelve tags in two machine words and touches an item only when its
 * tag fits (one in 255 by chance), so a hit costs two cache misses: bucket and item.
 *
 * Splitting and joining take the entries of one chain (or two) apart and build them anew out of the
 * same overflow buckets: n entries in two chains never need more buckets than they had, so a split
 * cannot fail half-way. Splitting must hash the keys again; the items are fetched ahead together.
 */
#include "store/table.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>

enum { CHUNK_BUCKETS = STORE_PAGE / sizeof(struct bucket), CHAIN_MAX = 256, CHUNKS_FIRST = 4 };

struct entry {
    uint32_t ref;
    uint8_t tag;
};

static uint8_t tag_of(uint64_t hash)
{
    uint8_t tag = (uint8_t)(hash >> 40);
    return tag == 0 ? 1 : tag;
}

static uint32_t index_of(const struct table *t, uint64_t hash)
{
    uint32_t fine = (uint32_t)hash & (2 * t->mask + 1);
    return fine < t->buckets ? fine : (uint32_t)hash & t->mask;
}

static struct bucket *bucket_at(const struct table *t, uint32_t index)
{
    struct bucket *chunk = pages_at(&t->slab->pages, t->chunk[index / CHUNK_BUCKETS]);
    return &chunk[index % CHUNK_BUCKETS];
}

static struct bucket *bucket_next(const struct table *t, const struct bucket *b)
{
    return b->link == 0 ? NULL : slab_at(t->slab, b->link);
}

/* Bit 8i+7 of the result is set where byte i of `word` is zero (and perhaps above a true one). */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;
}

/* The slots that may hold this tag, as a bit per slot. */
static uint32_t tag_matches(const struct bucket *b, uint8_t tag)
{
    uint64_t first;
    uint32_t last;
    memcpy(&first, b->tag, sizeof(first));
    memcpy(&last, b->tag + sizeof(first), sizeof(last));
    uint64_t pattern = 0x0101010101010101ULL * tag;
    uint64_t low = zero_bytes(first ^ pattern);
    uint64_t high = zero_bytes((last ^ (uint32_t)pattern) | 0xffffffff00000000ULL);
    /* Gather bits 7, 15, .. 63 into one byte. */
    low = (low >> 7) * 0x0102040810204080ULL >> 56;
    high = (high >> 7) * 0x0102040810204080ULL >> 56;
    return (uint32_t)(low | high << 8);
}

static bool key_is(const struct store_item *it, struct slice key)
{
    return slice_eq(item_key(it), key);
}

struct table_at table_find(const struct table *t, uint64_t hash, struct slice key)
{
    if (t->chunk == NULL) {
        return (struct table_at){NULL, 0};
    }
    uint8_t tag = tag_of(hash);
    for (struct bucket *b = bucket_at(t, index_of(t, hash)); b != NULL; b = bucket_next(t, b)) {
        for (uint32_t m = tag_matches(b, tag); m != 0; m &= m - 1) {
            uint32_t slot = (uint32_t)__builtin_ctz(m);
            if (b->tag[slot] == tag && key_is(slab_at(t->slab, b->ref[slot]), key)) {
                return (struct table_at){b, slot};
            }
        }
    }
    return (struct table_at){NULL, 0};
}

struct table_at table_find_item(const struct table *t, uint64_t hash, const struct store_item *it)
{
    uint32_t ref = slab_ref(t->slab, it);
    for (struct bucket *b = bucket_at(t, index_of(t, hash)); b != NULL; b = bucket_next(t, b)) {
        for (uint32_t slot = 0; slot < BUCKET_SLOTS; slot++) {
            if (b->tag[slot] != 0 && b->ref[slot] == ref) {
                return (struct table_at){b, slot};
            }
        }
    }
    unreachable();
}

/* --- chains ------------------------------------------------------------------------------------- */

static struct bucket *chain_last(const struct table *t, struct bucket *b)
{
    while (b->link != 0) {
        b = bucket_next(t, b);
    }
    return b;
}

/* Used slots come first (T2 and the way slots are filled and emptied). */
static uint32_t slots_used(const struct bucket *b)
{
    uint32_t used = BUCKET_SLOTS;
    while (used > 0 && b->tag[used - 1] == 0) {
        used--;
    }
    return used;
}

static uint32_t chain_count(const struct table *t, const struct bucket *b)
{
    uint32_t count = 0;
    for (; b != NULL; b = bucket_next(t, b)) {
        count += slots_used(b);
    }
    return count;
}

/* Takes the chain of a bucket apart: its entries, and its overflow buckets onto `spare`. */
static void chain_take(struct table *t, struct bucket *first, struct entry *entries,
                       uint32_t *count, uint32_t *spare)
{
    for (const struct bucket *b = first; b != NULL; b = bucket_next(t, b)) {
        uint32_t used = slots_used(b);
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
    uint32_t slot = slots_used(b);
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

static void spare_free(struct table *t, uint32_t spare)
{
    while (spare != 0) {
        struct bucket *b = slab_at(t->slab, spare);
        spare = b->link;
        slab_free(t->slab, b);
    }
}

/* --- size --------------------------------------------------------------------------------------- */

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

static bool table_start(struct table *t)
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
    spare_free(t, spare);
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
    spare_free(t, spare);
    if (last % CHUNK_BUCKETS == 0) {
        pages_give(&t->slab->pages, t->chunk[last / CHUNK_BUCKETS]);
    }
    t->mask = mask;
    t->buckets = last;
}

bool table_is_crowded(const struct table *t)
{
    return table_count(t) > (uint64_t)t->buckets * TABLE_LOAD * 2;
}

void table_tune(struct table *t)
{
    uint64_t count = table_count(t);
    if (count > (uint64_t)t->buckets * TABLE_LOAD) {
        table_split(t);
    } else if (count == 0) {
        table_fini(t);
    } else if (t->buckets > 1 && count < (uint64_t)t->buckets * TABLE_LOAD / 2) {
        table_join(t);
    }
}

/* --- entries ------------------------------------------------------------------------------------ */

static void count_add(struct table *t, uint64_t n)
{
    atomic_store_explicit(&t->count, table_count(t) + n, memory_order_relaxed);
}

struct table_at table_reserve(struct table *t, uint64_t hash)
{
    if (t->chunk == NULL && !table_start(t)) {
        return (struct table_at){NULL, 0};
    }
    struct bucket *b = chain_last(t, bucket_at(t, index_of(t, hash)));
    uint32_t slot = slots_used(b);
    if (slot == BUCKET_SLOTS) {
        struct bucket *more = slab_alloc_bucket(t->slab);
        if (more == NULL) {
            return (struct table_at){NULL, 0};
        }
        memset(more, 0, sizeof(*more));
        b->link = slab_ref(t->slab, more);
        return (struct table_at){more, 0};
    }
    return (struct table_at){b, slot};
}

void table_insert(struct table *t, struct table_at at, uint64_t hash, const struct store_item *it)
{
    at.bucket->tag[at.slot] = tag_of(hash);
    at.bucket->ref[at.slot] = slab_ref(t->slab, it);
    count_add(t, 1);
}

void table_remove(struct table *t, uint64_t hash, struct table_at at)
{
    struct bucket *before = NULL;
    struct bucket *last = bucket_at(t, index_of(t, hash));
    while (last->link != 0) {
        before = last;
        last = bucket_next(t, last);
    }
    uint32_t slot = slots_used(last) - 1;
    at.bucket->tag[at.slot] = last->tag[slot];
    at.bucket->ref[at.slot] = last->ref[slot];
    last->tag[slot] = 0;
    if (slot == 0 && before != NULL) {
        before->link = 0;
        slab_free(t->slab, last);
    }
    count_add(t, (uint64_t)-1);
}

/* --- walking ------------------------------------------------------------------------------------ */

static uint32_t reverse_bits(uint32_t v)
{
    v = (v >> 1 & 0x55555555U) | (v & 0x55555555U) << 1;
    v = (v >> 2 & 0x33333333U) | (v & 0x33333333U) << 2;
    v = (v >> 4 & 0x0f0f0f0fU) | (v & 0x0f0f0f0fU) << 4;
    return __builtin_bswap32(v);
}

uint32_t table_scan(const struct table *t, uint32_t *cursor, table_item_fn *fn, void *arg)
{
    if (t->chunk == NULL) {
        *cursor = 0;
        return 0;
    }
    uint32_t seen = 0;
    for (const struct bucket *b = bucket_at(t, index_of(t, *cursor)); b != NULL;
         b = bucket_next(t, b)) {
        uint32_t used = slots_used(b);
        for (uint32_t i = 0; i < used; i++) {
            fn(arg, slab_at(t->slab, b->ref[i]));
        }
        seen += used;
    }
    bool is_split = (*cursor & t->mask) + t->mask + 1 < t->buckets;
    uint32_t mask = is_split ? 2 * t->mask + 1 : t->mask;
    *cursor = reverse_bits(reverse_bits(*cursor | ~mask) + 1);
    return seen;
}

/* --- life --------------------------------------------------------------------------------------- */

void table_init(struct table *t, struct slab *slab)
{
    *t = (struct table){.slab = slab};
}

void table_forget(struct table *t)
{
    if (t->chunk != NULL) {
        chunks_free(t);
    }
    atomic_store_explicit(&t->count, 0, memory_order_relaxed);
}

void table_fini(struct table *t)
{
    for (uint32_t i = 0; i < t->buckets; i++) {
        spare_free(t, bucket_at(t, i)->link);
    }
    for (uint32_t i = 0; i * CHUNK_BUCKETS < t->buckets; i++) {
        pages_give(&t->slab->pages, t->chunk[i]);
    }
    table_forget(t);
}

void table_validate(const struct table *t)
{
    check((t->chunk == NULL) == (t->buckets == 0));
    check(t->chunk == NULL || (t->buckets > t->mask && t->buckets <= 2 * (uint64_t)t->mask + 2));
    uint64_t count = 0;
    for (uint32_t i = 0; i < t->buckets; i++) {
        const struct bucket *first = bucket_at(t, i);
        for (const struct bucket *b = first; b != NULL; b = bucket_next(t, b)) {
            uint32_t used = slots_used(b);
            check(b->link == 0 || used == BUCKET_SLOTS); /* T2 */
            check(b == first || used > 0);
            for (uint32_t slot = 0; slot < used; slot++) {
                const struct store_item *it = slab_at(t->slab, b->ref[slot]);
                uint64_t hash = hash_slice(item_key(it));
                check(item_is_live(it) && index_of(t, hash) == i); /* T1 */
                check(b->tag[slot] == tag_of(hash));
                struct table_at at = table_find(t, hash, item_key(it));
                check(at.bucket == b && at.slot == slot);
            }
            count += used;
        }
    }
    check(count == table_count(t));
}
