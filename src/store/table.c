/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linear hashing; table.h says how it works and what must hold.
 *
 * Looking up compares a bucket's twelve tags in two machine words and touches an item only when its
 * tag fits (one in 255 by chance), so a hit costs two cache misses: bucket and item.
 *
 * Removing fills the hole from the end of the chain; a growing or shrinking table is table_size.c.
 */
#include "store/bucket.h"

#include "base/check.h"
#include "base/hash.h"

static uint8_t tag_of(uint64_t hash)
{
    uint8_t tag = (uint8_t)(hash >> 40);
    return tag == 0 ? 1 : tag;
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
    for (struct bucket *b = bucket_at(t, bucket_index(t, hash)); b != NULL; b = bucket_next(t, b)) {
        for (uint32_t m = tag_matches(b, tag); m != 0; m &= m - 1) {
            uint32_t slot = (uint32_t)__builtin_ctz(m);
            if (b->tag[slot] == tag && key_is(slab_at(t->slab, b->ref[slot]), key)) {
                return (struct table_at){b, slot};
            }
        }
    }
    return (struct table_at){NULL, 0};
}

void table_warm_bucket(const struct table *t, uint64_t hash)
{
    if (t->chunk != NULL) {
        __builtin_prefetch(bucket_at(t, bucket_index(t, hash)));
    }
}

struct store_item *table_warm_item(const struct table *t, uint64_t hash)
{
    if (t->chunk == NULL) {
        return NULL;
    }
    struct store_item *guess = NULL;
    const struct bucket *b = bucket_at(t, bucket_index(t, hash));
    uint8_t tag = tag_of(hash);
    for (uint32_t m = tag_matches(b, tag); m != 0; m &= m - 1) {
        uint32_t slot = (uint32_t)__builtin_ctz(m);
        if (b->tag[slot] == tag) {
            guess = slab_at(t->slab, b->ref[slot]);
            __builtin_prefetch(guess);
            __builtin_prefetch((const char *)guess + sizeof(*b)); /* most of a small value */
        }
    }
    return guess;
}

struct table_at table_find_item(const struct table *t, uint64_t hash, const struct store_item *it)
{
    uint32_t ref = slab_ref(t->slab, it);
    for (struct bucket *b = bucket_at(t, bucket_index(t, hash)); b != NULL; b = bucket_next(t, b)) {
        for (uint32_t slot = 0; slot < BUCKET_SLOTS; slot++) {
            if (b->tag[slot] != 0 && b->ref[slot] == ref) {
                return (struct table_at){b, slot};
            }
        }
    }
    unreachable();
}

static bool ask_chain(const struct table *t, const struct bucket *b, uint8_t tag, table_ask_fn *fn,
                      void *arg)
{
    for (; b != NULL; b = bucket_next(t, b)) {
        for (uint32_t m = tag_matches(b, tag); m != 0; m &= m - 1) {
            uint32_t slot = (uint32_t)__builtin_ctz(m);
            if (b->tag[slot] == tag && fn(arg, slab_at(t->slab, b->ref[slot]))) {
                return true;
            }
        }
    }
    return false;
}

void table_find_tag(const struct table *t, uint32_t low, uint32_t bits, uint8_t tag,
                    table_ask_fn *fn, void *arg)
{
    uint64_t span = 2 * (uint64_t)t->mask + 2; /* one step, but for enormous tables */
    tag = tag == 0 ? 1 : tag;
    for (uint64_t at = low; t->chunk != NULL && (at == low || at < span); at += 1ULL << bits) {
        if (ask_chain(t, bucket_at(t, bucket_index(t, at)), tag, fn, arg)) {
            return;
        }
    }
}

/* --- entries ------------------------------------------------------------------------------------
 */

static void count_add(struct table *t, uint64_t n)
{
    atomic_store_explicit(&t->count, table_count(t) + n, memory_order_relaxed);
}

struct table_at table_reserve(struct table *t, uint64_t hash)
{
    if (t->chunk == NULL && !table_start(t)) {
        return (struct table_at){NULL, 0};
    }
    struct bucket *b = chain_last(t, bucket_at(t, bucket_index(t, hash)));
    uint32_t slot = bucket_used(b);
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
    struct bucket *last = bucket_at(t, bucket_index(t, hash));
    for (struct bucket *next = bucket_next(t, last); next != NULL; next = bucket_next(t, last)) {
        before = last;
        last = next;
    }
    check(last->tag[0] != 0);
    uint32_t slot = bucket_used(last) - 1;
    at.bucket->tag[at.slot] = last->tag[slot];
    at.bucket->ref[at.slot] = last->ref[slot];
    last->tag[slot] = 0;
    if (slot == 0 && before != NULL) {
        before->link = 0;
        slab_free(t->slab, last);
    }
    count_add(t, (uint64_t)-1);
}

/* --- walking ------------------------------------------------------------------------------------
 */

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
    for (const struct bucket *b = bucket_at(t, bucket_index(t, *cursor)); b != NULL;
         b = bucket_next(t, b)) {
        uint32_t used = bucket_used(b);
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

/* --- life ---------------------------------------------------------------------------------------
 */

void table_init(struct table *t, struct slab *slab)
{
    *t = (struct table){.slab = slab};
}

void table_validate(const struct table *t)
{
    check((t->chunk == NULL) == (t->buckets == 0));
    check(t->chunk == NULL || (t->buckets > t->mask && t->buckets <= 2 * (uint64_t)t->mask + 2));
    uint64_t count = 0;
    uint64_t expiring = 0;
    for (uint32_t i = 0; i < t->buckets; i++) {
        const struct bucket *first = bucket_at(t, i);
        for (const struct bucket *b = first; b != NULL; b = bucket_next(t, b)) {
            uint32_t used = bucket_used(b);
            check(b->link == 0 || used == BUCKET_SLOTS); /* T2 */
            check(b == first || used > 0);
            for (uint32_t slot = 0; slot < used; slot++) {
                const struct store_item *it = slab_at(t->slab, b->ref[slot]);
                uint64_t hash = hash_slice(item_key(it));
                check(item_is_live(it) && bucket_index(t, hash) == i); /* T1 */
                check(b->tag[slot] == tag_of(hash));
                expiring += item_expires(it);
                struct table_at at = table_find(t, hash, item_key(it));
                check(at.bucket == b && at.slot == slot);
            }
            count += used;
        }
    }
    check(count == table_count(t));
    check(expiring == atomic_load_explicit(&t->expiring, memory_order_relaxed));
}
