/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bringing what several lookups will touch into the processor's cache, all of it at once.
 *
 * A lookup among a million keys waits twice for main memory: for the bucket, then for the item. One
 * after the other, a pipeline of sixteen waits thirty-two times. Here the waits overlap: first
 * every bucket is asked for, then, when those have come, every item, then the place in it of the element that
 * the command may be about. Nothing is changed.
 *
 * Each pass locks a shard once for all keys that fall into it.
 *
 * Threads: as store_hold(). Inside an ownership it does nothing.
 */
#include "store/bucket.h"
#include "store/priv.h"

#include "base/hash.h"

_Static_assert(STORE_WARM_MAX <= 32, "keys are counted off in a 32-bit word");

struct warming {
    uint32_t count;
    const struct slice *words;
    uint64_t hash[STORE_WARM_MAX];
    struct shard *shard[STORE_WARM_MAX];
};

typedef void warm_fn(const struct table *t, uint64_t hash, const struct slice *words);

static void warm_bucket(const struct table *t, uint64_t hash, const struct slice *words)
{
    (void)words;
    table_warm_bucket(t, hash);
}

static void warm_item(const struct table *t, uint64_t hash, const struct slice *words)
{
    (void)words;
    (void)table_warm_item(t, hash);
}

static void warm_element(const struct table *t, uint64_t hash, const struct slice *words)
{
    struct store_item *it = words[0].ptr != NULL ? table_warm_item(t, hash) : NULL;
    if (it != NULL && it->kind != STORE_STRING) {
        coll_warm(t->slab, it, words);
    }
}

static NO_THREAD_SAFETY void pass(const struct warming *w, uint32_t table, warm_fn *touch)
{
    uint32_t rest = w->count < 32 ? (1U << w->count) - 1 : UINT32_MAX;
    while (rest != 0) {
        struct shard *sh = w->shard[__builtin_ctz(rest)];
        lock_acquire(&sh->lock);
        for (uint32_t m = rest; m != 0; m &= m - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(m);
            if (w->shard[i] == sh) {
                touch(&sh->tables[table], w->hash[i], &w->words[(size_t)i * STORE_WARM_WORDS + 1]);
                rest &= ~(1U << i);
            }
        }
        lock_release(&sh->lock);
    }
}

NO_THREAD_SAFETY void store_warm(struct store *s, struct store_gate *g, uint32_t db,
                                 const struct slice *words, uint32_t count)
{
    if (g->is_owning) {
        return;
    }
    struct warming w __attribute__((uninitialized));
    w.count = count < STORE_WARM_MAX ? count : STORE_WARM_MAX;
    w.words = words;
    bool has_elements = false;
    for (uint32_t i = 0; i < w.count; i++) {
        const struct slice *word = &words[(size_t)i * STORE_WARM_WORDS];
        has_elements |= word[1].ptr != NULL;
        w.hash[i] = hash_slice(word[0]);
        w.shard[i] = store_shard_of(s, w.hash[i]);
    }
    if (!g->is_passed && !lock_try(&g->lock)) {
        return; /* nobody waits for a hint */
    }
    uint32_t table = store_table_of(s, db);
    pass(&w, table, warm_bucket);
    pass(&w, table, warm_item);
    if (has_elements) {
        pass(&w, table, warm_element);
    }
    if (!g->is_passed) {
        lock_release(&g->lock);
    }
}
