/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of the store share: a store of one thread, and one-line forms of its functions.
 */
#ifndef STORE_TEST_H
#define STORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/hash.h"
#include "store/figures.h"
#include "store/watch.h"

enum { MB = 1024 * 1024, TEST_DBS = 4 };

struct rig {
    struct store *store;
    struct store_gate *gate;
    uint64_t now_ms;
};

/* Two spaces, "cache" and "queue" (evicting or not as told), of the same budget; databases 0 to 2
 * are in the first, 3 in the second. */
static inline void rig_open(struct rig *r, uint64_t budget, bool evict, struct fresh *fresh)
{
    struct store_space_options spaces[] = {
        {.name = "cache", .budget_bytes = budget, .evict = evict},
        {.name = "queue", .budget_bytes = budget, .evict = false},
    };
    uint8_t db_space[TEST_DBS] = {0, 0, 0, 1};
    struct store_options options = {
        .fresh = fresh,
        .threads = 1,
        .space_count = 2,
        .spaces = spaces,
        .db_count = TEST_DBS,
        .db_space = db_space,
    };
    r->store = store_create(&options);
    r->gate = store_gate_take(r->store);
    r->now_ms = 1000 * 1000;
}

static inline void rig_validate(struct rig *r)
{
    store_own(r->store, r->gate);
    store_validate(r->store);
    store_disown(r->store, r->gate);
}

static inline void rig_close(struct rig *r)
{
    rig_validate(r);
    store_destroy(&r->store);
    assert_null(r->store);
}

static inline void rig_hold(struct rig *r, uint32_t db, struct slice key,
                            struct store_hold *ret_hold)
{
    store_hold(r->store, r->gate, db, key, r->now_ms, ret_hold);
}

static inline enum err rig_write(struct rig *r, uint32_t db, struct slice key,
                                 const struct store_write *w)
{
    struct store_hold h;
    rig_hold(r, db, key, &h);
    enum err e = store_put(&h, w);
    store_drop(&h);
    return e;
}

static inline enum err rig_put(struct rig *r, uint32_t db, struct slice key, struct slice value,
                               uint64_t expiry_ms)
{
    struct store_write w = {.value = value, .expiry_ms = expiry_ms};
    return rig_write(r, db, key, &w);
}

static inline void rig_set(struct rig *r, const char *key, const char *value)
{
    assert_int_equal(rig_put(r, 0, slice_of(key), slice_of(value), 0), ERR_OK);
}

/* Is the value of the key exactly this? NULL: is the key absent? */
static inline bool rig_has(struct rig *r, uint32_t db, struct slice key, const char *value)
{
    struct store_hold h;
    rig_hold(r, db, key, &h);
    const struct store_item *it = store_peek(&h, NULL);
    bool is_so = it == NULL ? value == NULL
                            : value != NULL && slice_is(store_item_value(it), value) &&
                                  slice_eq(store_item_key(it), key);
    store_drop(&h);
    return is_so;
}

static inline bool rig_remove(struct rig *r, uint32_t db, struct slice key)
{
    struct store_hold h;
    rig_hold(r, db, key, &h);
    bool removed = store_remove(&h);
    store_drop(&h);
    return removed;
}

static inline bool rig_expire(struct rig *r, uint32_t db, struct slice key, uint64_t expiry_ms)
{
    struct store_hold h;
    rig_hold(r, db, key, &h);
    bool found = false;
    assert_int_equal(store_expire(&h, expiry_ms, &found), ERR_OK);
    store_drop(&h);
    return found;
}

static inline struct store_space_stats rig_stats(struct rig *r, uint32_t space)
{
    struct store_space_stats stats;
    store_space_stats(r->store, space, &stats);
    return stats;
}

/* A seed of its own for each run of a test, printed so that a failure can be repeated: set SEED. */
static inline uint64_t test_seed(const char *what)
{
    const char *given = getenv("SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)(uintptr_t)&given >> 4;
    print_message("# %s: SEED=%llu\n", what, (unsigned long long)seed);
    return seed;
}

static inline uint64_t test_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15ULL;
    return hash_mix(*state, 1);
}

#endif
