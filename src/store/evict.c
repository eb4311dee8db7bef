/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A clock over slab runs; evict.h states the policy.
 *
 * Slots that the hand frees lie behind it, so what is stored next has the hand's whole circle to be
 * asked for. Nothing is linked: a victim's place in the index is found by hashing its key again.
 *
 * Bounded work: a visit is one run (some tens of items). BAR_RUNS visits in a row that free nothing
 * raise the bar by one hit; above ITEM_HITS nobody passes it. It sinks again when most of a run
 * goes. A space that never evicts lets only the dead go, and looks into NEVER_VISITS runs for a
 * need.
 *
 * Not done: frequency beyond eviction (a sketch), a window for newcomers, the cost of a fill.
 */
#include "store/evict.h"

#include "base/check.h"
#include "base/hash.h"
#include "store/priv.h"

enum { BAR_RUNS = 32, NEVER_VISITS = 128 };
enum { IDLE_CIRCLES = (ITEM_HITS + 3) * BAR_RUNS };

bool need_pins_run(const struct need *n, const struct slab *s, uint32_t page)
{
    const char *begin = pages_at(&s->pages, page);
    const char *end = begin + (size_t)s->pages.page[page].len * STORE_PAGE;
    for (int i = 0; i < NEED_PINS; i++) {
        const char *pin = n->pins[i];
        if (pin >= begin && pin < end) {
            return true;
        }
    }
    return false;
}

/* Moves the hand to the next run with items and past it; 0 after a circle in which nothing was
 * freed. */
static uint32_t hand_next(struct pool *p, struct need *n)
{
    const struct slab *s = &p->slab;
    while (n->idle < s->pages.top) {
        uint32_t at = p->evict.hand;
        if (at == 0 || at >= s->pages.top) {
            p->evict.hand = 1;
            n->idle++;
            continue;
        }
        uint32_t len = pages_step(&s->pages, at);
        p->evict.hand = at + len;
        n->idle += len;
        if (slab_run_has_items(s, at) && !need_pins_run(n, s, at)) {
            return at;
        }
    }
    return 0;
}

/* What an item of `slot` bytes must have earned to stay: a hit, and one more for each mean item whose
 * room it takes. */
static uint32_t price_of(const struct pool *p, size_t slot)
{
    uint64_t keys = atomic_load_explicit(&p->figures.keys, memory_order_relaxed);
    uint64_t mean = keys == 0 ? slot : p->slab.bytes / keys;
    uint64_t price = 1 + slot / (mean + 1);
    return price < ITEM_HITS ? (uint32_t)price : ITEM_HITS;
}

static uint32_t items_taken(const struct slab *s, uint32_t page)
{
    const struct page *run = &s->pages.page[page];
    return run->kind == PAGE_LARGE ? 1 : run->used;
}

static uint32_t drop_dead(struct shard *sh, struct pool *p, uint32_t page, uint64_t now_ms)
{
    uint32_t taken = items_taken(&p->slab, page);
    uint32_t dropped = 0;
    size_t at = 0;
    for (uint32_t seen = 0; seen < taken; seen++) {
        struct store_item *it = slab_run_next(&p->slab, page, &at);
        if (it == NULL) {
            break;
        }
        enum store_absence why = entry_judge(sh->store, it, now_ms);
        if (entry_is_dead(why)) {
            entry_drop(sh, it, entry_touch_of(why));
            dropped++;
        }
    }
    return dropped;
}

static void tune_bar(struct evict *e, uint32_t taken, uint32_t dropped)
{
    if (dropped > 0) {
        e->idle_runs = 0;
        e->bar -= dropped * 2 > taken && e->bar > 0;
    } else if (++e->idle_runs >= BAR_RUNS && e->bar <= ITEM_HITS) {
        e->idle_runs = 0;
        e->bar++;
    }
}

static uint32_t drop_cold(struct shard *sh, struct pool *p, uint32_t page)
{
    uint32_t price = price_of(p, slab_run_slot_bytes(&p->slab, page));
    uint32_t taken = items_taken(&p->slab, page);
    uint32_t dropped = 0;
    size_t at = 0;
    for (uint32_t seen = 0; seen < taken; seen++) {
        struct store_item *it = slab_run_next(&p->slab, page, &at);
        if (it == NULL) {
            break;
        }
        uint32_t hits = it->worth & ITEM_HITS;
        if (hits >= price + p->evict.bar) {
            it->worth = (uint8_t)(it->worth - price);
            continue;
        }
        entry_drop(sh, it, STORE_TOUCH_EVICTED);
        dropped++;
    }
    tune_bar(&p->evict, taken, dropped);
    return dropped;
}

/* The dead of a run first; only if there are none, the cold. */
static uint32_t visit(struct shard *sh, struct pool *p, uint32_t page, uint64_t now_ms)
{
    uint32_t dropped = drop_dead(sh, p, page, now_ms);
    return dropped > 0 || !p->slab.pages.space->evict ? dropped : drop_cold(sh, p, page);
}

/* Moves all items of a run to other runs of its class, which have room. */
static void run_empty(struct shard *sh, struct pool *p, uint32_t page)
{
    struct slab *s = &p->slab;
    uint32_t left = s->pages.page[page].used;
    size_t at = 0;
    for (uint32_t moved = 0; moved < left; moved++) {
        struct store_item *it = slab_run_next(s, page, &at);
        check(it != NULL);
        struct table *t = &sh->tables[it->place & ITEM_TABLE];
        struct table_at where = table_find_item(t, hash_slice(item_key(it)), it);
        struct store_item *copy = slab_alloc_beside(s, page);
        memcpy(copy, it, item_size(it));
        table_replace(t, where, copy);
        if (item_expiry(copy) != 0) {
            slab_note_expiry(s, copy, item_expiry(copy));
        }
        slab_free(s, it);
    }
}

bool evict_step(struct shard *sh, struct pool *p, struct need *n)
{
    struct slab *s = &p->slab;
    if (s->pages.top <= 1) {
        return false;
    }
    uint32_t spread = slab_find_spread(s);
    if (spread != 0 && !need_pins_run(n, s, spread)) {
        run_empty(sh, p, spread);
        n->idle = 0;
        return true;
    }
    if (expire_turn(sh, p, n) > 0) {
        n->idle = 0;
        return true;
    }
    for (uint32_t page; (page = hand_next(p, n)) != 0;) {
        if (!s->pages.space->evict && ++n->visits > NEVER_VISITS) {
            return false;
        }
        if (visit(sh, p, page, n->now_ms) > 0) {
            n->idle = 0;
            return true;
        }
    }
    return false;
}
