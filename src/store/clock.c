/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A clock over slab runs: the main area of evict.h.
 *
 * Memory is its queue. Slots that the hand frees lie behind it, so what is stored there has the hand's
 * whole circle to be asked for; what comes from the window lies anywhere. Measured on recorded traces this is as
 * good as an exact queue of items, which would cost four bytes each (bench/results/evict.md). Nothing is
 * linked: a victim's place in the index is found by hashing its key again.
 *
 * An item pays for its stay with hits: one, and one more for each mean item whose room it takes. So of
 * two that are asked for equally often, the smaller one stays.
 *
 * Bounded work: a visit is one run. BAR_ITEMS survivors in a row raise the bar by one hit; above the most
 * that can be counted nobody passes it. A space that never evicts lets only the dead go, and looks into
 * NEVER_VISITS runs for a need.
 */
#include "store/clock.h"

enum {
    BAR_ITEMS = 1024,
    SWEEP_PAUSE = 16,
    SWEEP_PAGES = 256,
    NEVER_VISITS = 128,
    IDLE_CIRCLES = ITEM_HITS + 2
};

/* Moves the hand to the next run with items and past it; 0 after so many circles in which nothing
 * was freed that nobody can have a hit left. */
static uint32_t hand_next(struct pool *p, struct need *n)
{
    const struct slab *s = &p->slab;
    uint64_t circles = space_evicts(s->pages.space) ? IDLE_CIRCLES : 1;
    while (n->idle < s->pages.top * circles) {
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

/* What an item of so many bytes must have earned to stay. */
static uint32_t price_of(const struct pool *p, size_t bytes)
{
    uint64_t keys = figure(&p->figures.keys);
    uint64_t mean = keys == 0 ? bytes : p->slab.bytes / keys;
    uint64_t price = 1 + bytes / (mean + 1);
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

bool clock_sweep(struct shard *sh, struct pool *p, const struct need *n)
{
    const struct slab *s = &p->slab;
    struct evict *e = &p->evict;
    if (sh->store->fresh == NULL || e->pause > 0) {
        e->pause -= e->pause > 0;
        return false;
    }
    for (uint32_t pages = 0; pages < SWEEP_PAGES;) {
        uint32_t at = e->sweep == 0 || e->sweep >= s->pages.top ? 1 : e->sweep;
        uint32_t len = pages_step(&s->pages, at);
        e->sweep = at + len;
        pages += len;
        if (!slab_run_has_items(s, at) || need_pins_run(n, s, at)) {
            continue;
        }
        if (drop_dead(sh, p, at, n->now_ms) > 0) {
            e->pauses = 0;
            return true;
        }
        break;
    }
    e->pauses = e->pauses < SWEEP_PAUSE ? e->pauses + 1 : SWEEP_PAUSE;
    e->pause = e->pauses;
    return false;
}

static void tune_bar(struct evict *e, uint32_t survived, uint32_t dropped)
{
    e->survived += survived;
    if (dropped > 0) {
        e->survived = 0;
        e->bar = 0;
    } else if (e->survived >= BAR_ITEMS && e->bar <= ITEM_HITS) {
        e->survived = 0;
        e->bar++;
    }
}

static uint32_t drop_cold(struct shard *sh, struct pool *p, uint32_t page)
{
    uint32_t taken = items_taken(&p->slab, page);
    uint32_t survived = 0;
    uint32_t dropped = 0;
    size_t at = 0;
    for (uint32_t seen = 0; seen < taken; seen++) {
        struct store_item *it = slab_run_next(&p->slab, page, &at);
        if (it == NULL) {
            break;
        }
        if (item_in_window(it)) {
            continue;
        }
        uint32_t price = price_of(p, entry_bytes(p, it));
        if ((it->worth & ITEM_HITS) >= price + p->evict.bar) {
            it->worth = (uint8_t)(it->worth - price);
            survived++;
            continue;
        }
        entry_drop(sh, it, STORE_TOUCH_EVICTED);
        dropped++;
    }
    tune_bar(&p->evict, survived, dropped);
    return dropped;
}

/* The dead of a run first; only if there are none, the cold. */
static uint32_t visit(struct shard *sh, struct pool *p, uint32_t page, uint64_t now_ms)
{
    uint32_t dropped = drop_dead(sh, p, page, now_ms);
    return dropped > 0 || !space_evicts(p->slab.pages.space) ? dropped : drop_cold(sh, p, page);
}

bool clock_step(struct shard *sh, struct pool *p, struct need *n)
{
    for (uint32_t page; (page = hand_next(p, n)) != 0;) {
        if (!space_evicts(p->slab.pages.space) && ++n->visits > NEVER_VISITS) {
            return false;
        }
        if (visit(sh, p, page, n->now_ms) > 0) {
            return true;
        }
    }
    return false;
}
