/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A space's budget: how many bytes its databases may own, over all shards.
 *
 * Every page, page descriptor and directory entry is taken from here before it is used and given
 * back when the operating system has it again, so S1 (used <= budget) holds at every instant, not
 * on average. A take that does not fit changes nothing. A limit below the budget holds for takes only: what is used
 * already comes down to it as store_shrink() frees it.
 *
 * Threads: any. `used` is the only thing that shards of a space share; it is touched once per page,
 * never per item. Relaxed: it guards no other memory.
 */
#ifndef STORE_SPACE_H
#define STORE_SPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct space {
    /* immutable after create */
    const char *name;
    uint64_t budget;
    bool durable;
    /* atomic, relaxed; the first two are an owner's to change */
    _Atomic uint64_t limit; /* what may be used now; at most the budget */
    _Atomic bool evict;
    _Atomic bool is_full;   /* refused a small write; nothing written or removed since */
    _Atomic bool near_full; /* the rest: written by one thread only */
    _Atomic uint64_t crossings;
    _Alignas(64) _Atomic uint64_t used;
};

static inline uint64_t space_used(const struct space *s)
{
    return atomic_load_explicit(&s->used, memory_order_relaxed);
}

static inline uint64_t space_limit(const struct space *s)
{
    return atomic_load_explicit(&s->limit, memory_order_relaxed);
}

static inline bool space_evicts(const struct space *s)
{
    return atomic_load_explicit(&s->evict, memory_order_relaxed);
}

/* Something was written or removed: the next write may find room. */
static inline void space_note_room(struct space *s)
{
    if (__builtin_expect(atomic_load_explicit(&s->is_full, memory_order_relaxed), 0)) {
        atomic_store_explicit(&s->is_full, false, memory_order_relaxed);
    }
}

static inline bool space_take(struct space *s, uint64_t bytes)
{
    uint64_t used = space_used(s);
    uint64_t limit = space_limit(s);
    do {
        if (bytes > limit || used > limit - bytes) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&s->used, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static inline void space_give(struct space *s, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&s->used, bytes, memory_order_relaxed);
}

#endif
