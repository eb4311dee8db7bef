/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One key, read: looking it up, judging it, letting go of it.
 *
 * Everything that finds an item judges it on the way: what has expired or is outdated is removed by
 * the first who meets it, so no caller can see it. An entry that only cannot be proven right at the
 * moment is hidden and kept.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/priv.h"

#include "base/check.h"
#include "base/hash.h"

enum store_absence entry_judge(const struct store *s, const struct store_item *it, uint64_t now_ms)
{
    uint64_t expiry = item_expiry(it);
    if (expiry != 0 && expiry <= now_ms) {
        return STORE_EXPIRED;
    }
    if (it->dep_count == 0 || s->fresh == NULL) {
        return STORE_PRESENT;
    }
    uint32_t count;
    const fresh_dep *deps = store_item_deps(it, &count);
    switch (fresh_judge(s->fresh, store_item_stamp(it), deps, count, now_ms)) {
    case FRESH_HIT:
        return STORE_PRESENT;
    case FRESH_OUTDATED:
        return STORE_OUTDATED;
    case FRESH_VOID:
        return STORE_VOID;
    case FRESH_UNPROVEN:
        return STORE_UNPROVEN;
    }
    unreachable();
}

void entry_drop_at(struct shard *sh, struct table *t, uint64_t hash, struct table_at at,
                   enum store_touch why)
{
    struct store_item *it = table_item(t, at);
    struct pool *p = container_of(t->slab, struct pool, slab);
    if (sh->watches != NULL) {
        watch_touch(sh, it->place & ITEM_TABLE, hash, item_key(it));
    }
    touch_note(sh, why, it->place & ITEM_TABLE, item_key(it));
    if (why == STORE_TOUCH_EXPIRED) {
        figure_add(&p->figures.expired, 1);
    } else if (why == STORE_TOUCH_OUTDATED) {
        figure_add(&p->figures.outdated, 1);
    } else if (why == STORE_TOUCH_EVICTED) {
        figure_add(&p->figures.evicted, 1);
    }
    if (why != STORE_TOUCH_REMOVED && p->slab.pages.space->durable) {
        effect_dropped(sh, it->place & ITEM_TABLE, item_key(it));
    }
    entry_free_at(t, hash, at);
}

void entry_free_at(struct table *t, uint64_t hash, struct table_at at)
{
    struct store_item *it = table_item(t, at);
    struct pool *p = container_of(t->slab, struct pool, slab);
    figure_add(&p->figures.keys, (uint64_t)-1);
    evict_removed(p, it);
    table_count_expiring(t, -(int)item_expires(it));
    space_note_room(t->slab->pages.space);
    table_remove(t, hash, at);
    coll_release(t->slab, it);
    slab_free(t->slab, it);
    pool_note_bytes(p);
    table_tune(t);
}

void entry_drop(struct shard *sh, struct store_item *it, enum store_touch why)
{
    struct table *t = &sh->tables[it->place & ITEM_TABLE];
    uint64_t hash = hash_slice(item_key(it));
    entry_drop_at(sh, t, hash, table_find_item(t, hash, it), why);
}

/* --- reading ------------------------------------------------------------------------------------
 */

struct table_at entry_find_live(struct store_hold *h, enum store_absence *ret_why)
{
    struct table *t = h->table;
    struct table_at at = table_find(t, h->hash, h->key);
    if (at.bucket == NULL) {
        *ret_why = STORE_NO_KEY;
        return at;
    }
    *ret_why = entry_judge(h->store, table_item(t, at), h->now_ms);
    if (*ret_why != STORE_PRESENT) {
        if (entry_is_dead(*ret_why)) {
            entry_drop_at(h->shard, t, h->hash, at, entry_touch_of(*ret_why));
        }
        at.bucket = NULL;
    }
    return at;
}

struct store_item *store_peek(struct store_hold *h, enum store_absence *ret_why)
{
    enum store_absence why;
    struct table_at at = entry_find_live(h, &why);
    if (ret_why != NULL) {
        *ret_why = why;
    }
    return at.bucket == NULL ? NULL : table_item(h->table, at);
}

struct store_item *store_lookup(struct store_hold *h, enum store_absence *ret_why)
{
    struct store_item *it = store_peek(h, ret_why);
    if (it != NULL) {
        evict_count_hit(it);
    }
    return it;
}

struct store_item *store_inspect(struct store_hold *h)
{
    const struct table *t = h->table;
    struct table_at at = table_find(t, h->hash, h->key);
    return at.bucket == NULL ? NULL : table_item(t, at);
}
