/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of one item. One allocation, aligned to 8; optional fields take room only when present.
 *
 *      OFFSET  SIZE  MEANING
 *      0       4     value length (29 bits) and kind (3)
 *      4       1     key length; ITEM_LONG_KEY: the real one is in the long-key field
 *      5       1     how many dependencies (7 bits, 0: not followed), edited in place (1)
 *      6       1     worth: hits (3 bits, saturating), ITEM_IN_WINDOW, what the fill cost (4, log scale)
 *      7       1     place: number of the table (6 bits), ITEM_EXPIRES, ITEM_LIVE
 *      8       8     expiry, monotonic ms            only with ITEM_EXPIRES
 *      ..      8     stamp                           only with dependencies
 *      ..      4*n   dependencies
 *      ..      4     key length                      only with ITEM_LONG_KEY
 *      ..            key, then value
 *
 * I1. Byte 7 of a free slot has no ITEM_LIVE, so walkers of slab pages can tell items from holes.
 * I2. The order of the optional fields keeps the stamp aligned to 8 and dependencies to 4.
 *
 * Threads: the shard's lock.
 */
#ifndef STORE_ITEM_H
#define STORE_ITEM_H

#include "store/store.h"

enum {
    ITEM_VALUE_MAX = (1 << 29) - 1,
    ITEM_LONG_KEY = 255,
    ITEM_TABLE = 0x3f,
    ITEM_EXPIRES = 0x40,
    ITEM_LIVE = 0x80,
    ITEM_HITS = 0x07,
    ITEM_IN_WINDOW = 0x08, /* evict.h */
    ITEM_COST_SHIFT = 4,
};

struct store_item {
    uint32_t value_len : 29;
    uint32_t kind : 3; /* enum store_kind */
    uint8_t key_len;
    uint8_t dep_count : 7;
    uint8_t is_edited : 1; /* a string changed in place: APPEND, SETRANGE, SETBIT */
    uint8_t worth;
    uint8_t place;
    char fields[];
};

_Static_assert(sizeof(struct store_item) == 8, "the header is what every item pays");

/* What an item is made of. `value` may be shorter than `value_len`: the rest becomes zeros. */
struct item_parts {
    struct slice key;
    struct slice value;
    const void *pin; /* where they lie in the store: see entry_put() */
    size_t value_len;
    uint64_t expiry_ms; /* 0: none */
    fresh_pos stamp;
    const fresh_dep *deps;
    uint32_t dep_count;
    uint8_t worth;
    uint8_t table;
    uint8_t kind;
    bool is_edited;
};

size_t item_parts_size(const struct item_parts *p);
/* Writes all of it. `value` and `deps` may not lie inside `it`. */
void item_write(struct store_item *it, const struct item_parts *p);
/* The parts of an existing item, borrowed from it. */
void item_read(const struct store_item *it, struct item_parts *ret_parts);
size_t item_size(const struct store_item *it);
uint8_t item_worth_of_cost(uint32_t cost_us);

static inline bool item_in_window(const struct store_item *it)
{
    return (it->worth & ITEM_IN_WINDOW) != 0;
}

static inline bool item_is_live(const struct store_item *it)
{
    return (it->place & ITEM_LIVE) != 0;
}

static inline bool item_expires(const struct store_item *it)
{
    return (it->place & ITEM_EXPIRES) != 0;
}

static inline uint64_t item_expiry(const struct store_item *it)
{
    return (it->place & ITEM_EXPIRES) != 0 ? *(const uint64_t *)(const void *)it->fields : 0;
}

/* Of an item with dependencies. */
static inline void item_set_stamp(struct store_item *it, fresh_pos stamp)
{
    size_t at = item_expires(it) ? sizeof(uint64_t) : 0;
    memcpy(it->fields + at, &stamp, sizeof(stamp));
}

/* Where the key (or its long length) begins in `fields`. */
static inline size_t item_optional_bytes(const struct store_item *it)
{
    size_t at = (it->place & ITEM_EXPIRES) != 0 ? sizeof(uint64_t) : 0;
    return it->dep_count == 0 ? at : at + sizeof(fresh_pos) + it->dep_count * sizeof(fresh_dep);
}

static inline struct slice item_key(const struct store_item *it)
{
    const char *at = it->fields + item_optional_bytes(it);
    if (it->key_len != ITEM_LONG_KEY) {
        return (struct slice){at, it->key_len};
    }
    return (struct slice){at + sizeof(uint32_t), *(const uint32_t *)(const void *)at};
}

static inline struct slice item_value(const struct store_item *it)
{
    struct slice key = item_key(it);
    return (struct slice){key.ptr + key.len, it->value_len};
}

#endif
