/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Upkeep: finding expired items that nobody asks for, freeing what is left of collections, and giving free
 * memory back.
 *
 * Every slab run notes the soonest expiry of its items in its page descriptor. So the search runs
 * over descriptors (24 bytes a run) and looks only into runs in which something has expired; there
 * it notes the next soonest. The note is a lower bound: an overwritten or removed item may leave it
 * too early, which costs one look and corrects itself. Live items without a TTL are never walked.
 *
 * One call goes at most once around each pool, PAGES_A_CALL descriptors and RUNS_A_CALL runs, with
 * the shard unlocked every RUNS_A_TURN runs. A caller who gets a large number back may call again
 * at once.
 *
 * Threads: any with a gate; one shard at a time.
 */
#include "store/node.h"
#include "store/priv.h"

#include "base/check.h"

enum { PAGES_A_TURN = 2048, RUNS_A_TURN = 8, PAGES_A_CALL = 16384, RUNS_A_CALL = 256 };
enum { PAGES_A_NEED = 64, RUNS_A_NEED = 1 };
enum { LIMBO_A_TURN = 512, LIMBO_TURNS = 256 };
enum { FREE_KEPT = 64, FREE_KEPT_SHARE = 16, TRIMS_A_CALL = 64 };

static uint32_t expire_run(struct shard *sh, struct pool *p, uint32_t page, uint64_t now_ms)
{
    struct slab *s = &p->slab;
    struct page *run = &s->pages.page[page];
    uint32_t left = run->kind == PAGE_LARGE ? 1 : run->used;
    uint32_t dropped = 0;
    uint64_t soonest = UINT64_MAX;
    size_t at = 0;
    for (uint32_t seen = 0; seen < left; seen++) {
        struct store_item *it = slab_run_next(s, page, &at);
        if (it == NULL) {
            break;
        }
        uint64_t expiry = item_expiry(it);
        if (expiry != 0 && expiry <= now_ms) {
            entry_drop(sh, it, STORE_TOUCH_EXPIRED);
            dropped++;
        } else if (expiry != 0 && expiry < soonest) {
            soonest = expiry;
        }
    }
    figure_add(&p->figures.expire_looks, left);
    if (dropped < left) { /* else the run is gone */
        run->soonest = PAGE_NEVER;
        if (soonest != UINT64_MAX) {
            slab_note_run_expiry(s, page, soonest);
        }
    }
    return dropped;
}

/* A search in steps: what it may still look at, and what it found. */
struct sweep {
    uint32_t pages;
    uint32_t runs;
    uint32_t dropped;
    const struct need *need; /* whose pins count; NULL: nobody's */
};

static void sweep_step(struct shard *sh, struct pool *p, uint64_t now_ms, struct sweep *sw)
{
    const struct slab *s = &p->slab;
    if (p->expire_hand == 0 || p->expire_hand >= s->pages.top) {
        p->expire_hand = 1;
    }
    uint32_t at = p->expire_hand;
    uint32_t len = pages_step(&s->pages, at);
    p->expire_hand += len;
    sw->pages -= len < sw->pages ? len : sw->pages;
    if (slab_run_has_items(s, at) && s->pages.page[at].soonest <= now_ms >> 10 &&
        (sw->need == NULL || !need_pins_run(sw->need, s, at))) {
        sw->dropped += expire_run(sh, p, at, now_ms);
        sw->runs--;
    }
}

uint32_t expire_turn(struct shard *sh, struct pool *p, const struct need *n)
{
    struct sweep sw = {.pages = PAGES_A_NEED, .runs = RUNS_A_NEED, .need = n};
    while (sw.pages > 0 && sw.runs > 0 && p->slab.pages.top > 1) {
        sweep_step(sh, p, n->now_ms, &sw);
    }
    return sw.dropped;
}

/* One turn under the lock; false when the sweep of this pool is over. */
static bool sweep_turn(struct shard *sh, struct pool *p, uint64_t now_ms, struct sweep *sw)
{
    uint32_t stop = sw->runs > RUNS_A_TURN ? sw->runs - RUNS_A_TURN : 0;
    for (uint32_t looks = 0; looks < PAGES_A_TURN && sw->runs > stop; looks++) {
        if (sw->pages == 0 || p->slab.pages.top <= 1) {
            return false;
        }
        sweep_step(sh, p, now_ms, sw);
    }
    return sw->runs > 0;
}

/* Gives a little of what is free back to the system; false when that was all. */
static bool trim_turn(struct pool *p)
{
    struct pages *pages = &p->slab.pages;
    return pages_trim_step(pages, FREE_KEPT + (pages->top - pages->hollow) / FREE_KEPT_SHARE);
}

static uint32_t sweep_pool(struct store_gate *g, struct shard *sh, struct pool *p, uint64_t now_ms)
{
    struct sweep sw = {.runs = RUNS_A_CALL};
    store_enter(g, sh);
    uint32_t top = p->slab.pages.top;
    sw.pages = top < PAGES_A_CALL ? top : PAGES_A_CALL;
    while (sweep_turn(sh, p, now_ms, &sw)) {
        store_leave(g, sh);
        store_enter(g, sh);
    }
    for (uint32_t turn = 0; turn < LIMBO_TURNS && node_limbo_free(&p->slab, LIMBO_A_TURN); turn++) {
        store_leave(g, sh);
        store_enter(g, sh);
    }
    for (int i = 0; i < TRIMS_A_CALL && trim_turn(p); i++) {
        store_leave(g, sh);
        store_enter(g, sh);
    }
    store_leave(g, sh);
    return sw.dropped;
}

uint32_t store_expire_some(struct store *s, struct store_gate *g, uint64_t now_ms)
{
    uint32_t dropped = 0;
    for (uint32_t i = 0; i < s->shard_count; i++) {
        for (uint32_t space = 0; space < s->space_count; space++) {
            struct shard *sh = &s->shards[i];
            dropped += sweep_pool(g, sh, &sh->pools[space], now_ms);
        }
    }
    return dropped;
}
