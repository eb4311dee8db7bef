/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Figures of a space, and the walk that checks every structure against every other.
 *
 * Figures are kept per pool by whoever holds the shard and summed here without a lock: each is
 * exact, their sum is of a moment only when nothing runs. Validation is for tests and the DEBUG
 * command.
 */
#include "store/figures.h"
#include "store/node.h"
#include "store/priv.h"

#include "base/check.h"
#include "base/hash.h"

void store_space_stats(struct store *s, uint32_t space, struct store_space_stats *ret_stats)
{
    check(space < s->space_count);
    struct store_space_stats sum = {
        .budget_bytes = space_limit(&s->spaces[space]),
        .used_bytes = space_used(&s->spaces[space]),
        .near_full = atomic_load_explicit(&s->spaces[space].near_full, memory_order_relaxed),
        .crossings = figure(&s->spaces[space].crossings),
    };
    for (uint32_t i = 0; i < s->shard_count; i++) {
        const struct pool_figures *f = &s->shards[i].pools[space].figures;
        sum.item_bytes += figure(&f->item_bytes);
        sum.keys += figure(&f->keys);
        sum.evicted += figure(&f->evicted);
        sum.expired += figure(&f->expired);
        sum.outdated += figure(&f->outdated);
        sum.expire_looks += figure(&f->expire_looks);
        sum.refused += figure(&f->refused);
    }
    *ret_stats = sum;
}

bool store_space_crossed(struct store *s, uint32_t space)
{
    struct space *sp = &s->spaces[space];
    bool was = atomic_load_explicit(&sp->near_full, memory_order_relaxed);
    uint64_t percent = was ? STORE_NEAR_FULL_OVER : STORE_NEAR_FULL;
    bool is = space_used(sp) >= space_limit(sp) / 100 * percent;
    atomic_store_explicit(&sp->near_full, is, memory_order_relaxed);
    if (is && !was) {
        figure_add(&sp->crossings, 1);
    }
    return is && !was;
}

bool store_is_full(const struct store *s, uint32_t db)
{
    enum { ITEM_LEAST = 16 }; /* nothing smaller is ever stored */
    const struct space *sp = &s->spaces[s->table_space[store_table_of(s, db)]];
    bool is_lowered = space_limit(sp) < sp->budget;
    return atomic_load_explicit(&sp->is_full, memory_order_relaxed) ||
           (__builtin_expect(is_lowered, 0) && space_used(sp) + ITEM_LEAST > space_limit(sp));
}

/* Nodes in the runs of a pool. */
static uint64_t count_nodes(const struct slab *s)
{
    uint64_t nodes = 0;
    for (uint32_t page = 1; page < s->pages.top; page += s->pages.page[page].len) {
        size_t at = 0;
        void *piece;
        while (slab_run_has_items(s, page) && (piece = slab_run_next_piece(s, page, &at)) != NULL) {
            nodes += node_is_live(piece);
        }
    }
    return nodes;
}

/* Live items in the runs of a pool, each of them in its table; all nodes in one of their trees or in limbo; what
 * is accounted is what they occupy. */
static uint64_t validate_items(struct shard *sh, struct pool *p)
{
    struct slab *s = &p->slab;
    uint64_t items = 0;
    uint64_t nodes = node_limbo_count(s);
    uint64_t bytes = node_limbo_bytes(s);
    for (uint32_t page = 1; page < s->pages.top; page += s->pages.page[page].len) {
        if (!slab_run_has_items(s, page)) {
            continue;
        }
        uint64_t soonest = s->pages.page[page].soonest;
        size_t at = 0;
        for (struct store_item *it; (it = slab_run_next(s, page, &at)) != NULL; items++) {
            const struct table *t = &sh->tables[it->place & ITEM_TABLE];
            check(t->slab == s);
            check(item_size(it) <= slab_run_slot_bytes(s, page));
            nodes += coll_validate(s, it);
            bytes += entry_bytes(p, it);
            uint64_t expiry = item_expiry(it) >> 10;
            check(item_expiry(it) == 0 || expiry >= soonest || expiry >= PAGE_NEVER);
            struct table_at where = table_find(t, hash_slice(item_key(it)), item_key(it));
            check(where.bucket != NULL && table_item(t, where) == it);
        }
    }
    check(nodes == count_nodes(s) && p->building == 0);
    check(bytes == s->bytes);
    return items;
}

static uint64_t pool_charge(const struct pages *p)
{
    uint64_t pages = p->top - 1;
    return (pages - p->hollow) * STORE_PAGE + pages * sizeof(struct page);
}

static uint64_t validate_pool(struct shard *sh, uint32_t space)
{
    const struct store *s = sh->store;
    struct pool *p = &sh->pools[space];
    slab_validate(&p->slab);
    uint64_t charge = pool_charge(&p->slab.pages) + evict_charge(&p->evict);
    uint64_t keys = 0;
    for (uint32_t i = 0; i < s->db_count; i++) {
        if (s->table_space[i] == space) {
            table_validate(&sh->tables[i]);
            keys += table_count(&sh->tables[i]);
            charge += sh->tables[i].chunk_cap * sizeof(uint32_t);
        }
    }
    check(keys == figure(&p->figures.keys));
    check(keys == validate_items(sh, p));
    check(p->slab.bytes == figure(&p->figures.item_bytes));
    evict_validate(sh, p);
    return charge;
}

void store_validate(struct store *s)
{
    for (uint32_t space = 0; space < s->space_count; space++) {
        uint64_t charge = 0;
        for (uint32_t i = 0; i < s->shard_count; i++) {
            charge += validate_pool(&s->shards[i], space);
        }
        check(charge == space_used(&s->spaces[space]));
        check(charge <= s->spaces[space].budget); /* S1 */
    }
}
