/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The window and its ghosts, and the order of things in a step; evict.h states the policy, clock.c is the
 * main area.
 *
 * Until the pool first evicts, what does not fit the window's share begins in main: an empty cache fills
 * with whatever comes. After that everything new passes the window, except what is larger than half of it
 * and what has a ghost.
 *
 * An item that was asked for twice in the window goes on to main, and begins there with one hit to its
 * credit, however many it brought: they may have been one page's burst. A space that never evicts has no window.
 *
 * Not done: frequency beyond eviction (a sketch), a window that adapts, the cost of a fill.
 */
#include "store/evict.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "store/clock.h"
#include "store/node.h"
#include "store/priv.h"

#include <stdlib.h>

enum {
    WINDOW_SHARE = 10,
    WINDOW_LOOKS = 64,
    WINDOW_HITS = 2,
    OVERSIZE = 2,
    GHOST_HITS = 1,
    MAIN_HITS = 1
};
enum { LIMBO_A_STEP = 64 };
enum { PRINT_BITS = 24, STALE_SLACK = 64, RETIRE = 2 };

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

/* --- fingerprints ------------------------------------------------------------------------------- */

/* Enough of the hash to find the item through the index: 24 bits of its bucket, and its tag, which
 * differs from table to table. */
static uint8_t tag_salt(uint32_t table)
{
    return (uint8_t)(table * 5);
}

static uint32_t print_of(uint64_t hash, uint32_t table)
{
    uint32_t tag = (uint8_t)(hash >> 40) ^ tag_salt(table);
    return (uint32_t)(hash & ((1U << PRINT_BITS) - 1)) | tag << PRINT_BITS;
}

/* So that a key in two databases has two ghosts. */
static uint64_t ghost_hash(uint64_t hash, const struct store_item *it)
{
    return hash ^ (uint64_t)(it->place & ITEM_TABLE) << 40;
}

struct candidate {
    uint32_t table;
    uint32_t print;
    struct store_item *found;
};

static bool is_wanted(void *arg, struct store_item *it)
{
    struct candidate *c = arg;
    if (!item_in_window(it) || print_of(hash_slice(item_key(it)), c->table) != c->print) {
        return false;
    }
    c->found = it;
    return true;
}

/* The item in the window that has this fingerprint, or NULL. */
static struct store_item *find_print(const struct shard *sh, const struct pool *p, uint32_t print)
{
    struct candidate c = {.print = print};
    for (; c.table < sh->store->db_count; c.table++) {
        const struct table *t = &sh->tables[c.table];
        if (t->slab != &p->slab || table_count(t) == 0) {
            continue;
        }
        uint8_t tag = (uint8_t)(print >> PRINT_BITS) ^ tag_salt(c.table);
        table_find_tag(t, print & ((1U << PRINT_BITS) - 1), PRINT_BITS, tag, is_wanted, &c);
        if (c.found != NULL) {
            break;
        }
    }
    return c.found;
}

/* --- what happens to items ---------------------------------------------------------------------- */

static uint64_t window_share(const struct pool *p)
{
    return (p->evict.has_evicted ? p->slab.bytes : p->share) / WINDOW_SHARE;
}

static void leave_window(struct pool *p, struct store_item *it)
{
    evict_removed(p, it);
    it->worth &= (uint8_t)~ITEM_IN_WINDOW;
}

/* Entries whose items were deleted would pile up where nothing is evicted: then the oldest go on to main. */
static void retire(struct shard *sh, struct pool *p)
{
    struct evict *e = &p->evict;
    uint32_t print;
    for (int i = 0; i < RETIRE && e->window.count > 2 * e->window_items + STALE_SLACK; i++) {
        check(window_pop(&e->window, &p->slab.pages, &print));
        struct store_item *it = find_print(sh, p, print);
        if (it != NULL) {
            leave_window(p, it);
        }
    }
}

void evict_inserted(struct shard *sh, struct pool *p, struct store_item *it, uint64_t hash)
{
    struct evict *e = &p->evict;
    struct pages *pages = &p->slab.pages;
    if (!pages->space->evict) {
        return;
    }
    ghost_fit(&e->ghost, pages, figure(&p->figures.keys));
    if (e->has_evicted && ghost_take(&e->ghost, pages, ghost_hash(hash, it))) {
        it->worth = (uint8_t)((it->worth & ~ITEM_HITS) | GHOST_HITS);
        return;
    }
    uint64_t share = window_share(p);
    size_t bytes = entry_bytes(p, it);
    if (bytes > share / OVERSIZE || (!e->has_evicted && e->window_bytes > share)) {
        return;
    }
    if (window_push(&e->window, pages, print_of(hash, it->place & ITEM_TABLE))) {
        it->worth |= ITEM_IN_WINDOW;
        e->window_bytes += bytes;
        e->window_items++;
        retire(sh, p);
    }
}

void evict_removed(struct pool *p, const struct store_item *it)
{
    if (item_in_window(it)) {
        p->evict.window_bytes -= entry_bytes(p, it);
        p->evict.window_items--;
    }
}

void evict_resized(struct pool *p, const struct store_item *it, int64_t change)
{
    if (item_in_window(it)) {
        p->evict.window_bytes += (uint64_t)change;
    }
}

void evict_forget(struct pool *p)
{
    ghost_forget(&p->evict.ghost, p->slab.pages.space);
    p->evict = (struct evict){0};
}

/* --- making room -------------------------------------------------------------------------------- */

/* The oldest of the window: true when it left. */
static bool judge_oldest(struct shard *sh, struct pool *p, struct store_item *it, uint64_t now_ms)
{
    enum store_absence why = entry_judge(sh->store, it, now_ms);
    if (entry_is_dead(why)) {
        entry_drop(sh, it, entry_touch_of(why));
        return true;
    }
    if ((it->worth & ITEM_HITS) >= WINDOW_HITS) {
        leave_window(p, it);
        it->worth = (uint8_t)((it->worth & ~ITEM_HITS) | MAIN_HITS);
        return false;
    }
    ghost_note(&p->evict.ghost, &p->slab.pages, ghost_hash(hash_slice(item_key(it)), it));
    entry_drop(sh, it, STORE_TOUCH_EVICTED);
    return true;
}

static bool window_step(struct shard *sh, struct pool *p, const struct need *n)
{
    struct evict *e = &p->evict;
    uint32_t print;
    for (int i = 0; i < WINDOW_LOOKS && window_pop(&e->window, &p->slab.pages, &print); i++) {
        struct store_item *it = find_print(sh, p, print);
        if (it == NULL) {
            continue;
        }
        if (need_pins_run(n, &p->slab, slab_run_of(&p->slab, it))) {
            leave_window(p, it); /* the clock will see to it another time */
        } else if (judge_oldest(sh, p, it, n->now_ms)) {
            return true;
        }
    }
    return false;
}

/* Moves all items and nodes of a run to other runs of its class, which have room. */
static void run_empty(struct shard *sh, struct pool *p, uint32_t page)
{
    struct slab *s = &p->slab;
    uint32_t left = s->pages.page[page].used;
    size_t at = 0;
    for (uint32_t moved = 0; moved < left; moved++) {
        void *piece = slab_run_next_piece(s, page, &at);
        check(piece != NULL);
        if (node_is_live(piece)) {
            node_move(s, piece, slab_alloc_beside(s, page));
            continue;
        }
        struct store_item *it = piece;
        struct table *t = &sh->tables[it->place & ITEM_TABLE];
        struct table_at where = table_find_item(t, hash_slice(item_key(it)), it);
        struct store_item *copy = slab_alloc_beside(s, page);
        memcpy(copy, it, item_size(it));
        table_replace(t, where, copy);
        if (item_expiry(copy) != 0) {
            slab_note_expiry(s, copy, item_expiry(copy));
        }
        coll_moved(s, copy);
        slab_free(s, it);
    }
}

/* The living, when nothing else helps. */
static bool drop_living(struct shard *sh, struct pool *p, struct need *n)
{
    struct evict *e = &p->evict;
    if (!space_evicts(p->slab.pages.space)) {
        return clock_step(sh, p, n);
    }
    if (clock_sweep(sh, p, n)) {
        return true;
    }
    e->has_evicted = true;
    if (e->window_bytes > window_share(p) && window_step(sh, p, n)) {
        return true;
    }
    while (!clock_step(sh, p, n)) {
        if (e->window.count == 0) {
            return false;
        }
        n->idle = 0; /* whatever is left is in the window */
        if (window_step(sh, p, n)) {
            return true;
        }
    }
    return true;
}

bool evict_step(struct shard *sh, struct pool *p, struct need *n)
{
    const struct slab *s = &p->slab;
    if (s->pages.top <= 1) {
        return false;
    }
    if (node_limbo_free(&p->slab, LIMBO_A_STEP)) {
        n->idle = 0;
        return true;
    }
    uint32_t spread = slab_find_spread(s);
    bool gathers = spread != 0 && !need_pins_run(n, s, spread);
    if (gathers) {
        run_empty(sh, p, spread);
    }
    if (!gathers && expire_turn(sh, p, n) == 0 && !drop_living(sh, p, n)) {
        return false;
    }
    n->idle = 0;
    return true;
}

/* --- checking ----------------------------------------------------------------------------------- */

struct prints {
    uint32_t *print;
    uint32_t count;
};

static void collect(void *arg, uint32_t print)
{
    struct prints *all = arg;
    all->print[all->count++] = print;
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* E1 */
void evict_validate(const struct shard *sh, const struct pool *p)
{
    const struct slab *s = &p->slab;
    const struct evict *e = &p->evict;
    struct prints all = {xcalloc(e->window.count + 1, sizeof(uint32_t)), 0};
    window_each(&e->window, &s->pages, collect, &all);
    check(all.count == e->window.count);
    qsort(all.print, all.count, sizeof(*all.print), compare);
    uint64_t bytes = 0;
    uint32_t items = 0;
    for (uint32_t page = 1; page < s->pages.top; page += s->pages.page[page].len) {
        size_t at = 0;
        struct store_item *it;
        while (slab_run_has_items(s, page) && (it = slab_run_next(s, page, &at)) != NULL) {
            if (item_in_window(it)) {
                uint32_t print = print_of(hash_slice(item_key(it)), it->place & ITEM_TABLE);
                check(bsearch(&print, all.print, all.count, sizeof(print), compare) != NULL);
                check(find_print(sh, p, print) != NULL);
                bytes += entry_bytes(p, it);
                items++;
            }
        }
    }
    free(all.print);
    check(bytes == e->window_bytes && items == e->window_items);
}
