/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One key: looking it up, writing, editing, removing. All between store_hold() and store_drop().
 *
 * Every write ends in entry_write(): in place when the new item takes the same slot class, else into
 * new memory, then the index is turned to it and the old memory freed. So a write that finds no room
 * has changed nothing. While room is made, the runs of the old item and of what is being copied are
 * pinned: a value may be a slice of a stored item (RENAME, COPY) and must not move or leave under the
 * copy.
 *
 * Room comes from the shard's own pool. Only if that is exhausted are other shards asked: their free
 * pages first, then their items; by trying their locks, never by waiting (S2).
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/priv.h"

#include "base/check.h"
#include "base/hash.h"

enum { VALUE_MAX = 512 * 1024 * 1024, ROOM_TO_GROW = 8 };

static struct pool *pool_of(const struct store_hold *h)
{
    const struct table *t = h->table;
    return container_of(t->slab, struct pool, slab);
}

enum store_absence entry_judge(const struct store *s, const struct store_item *it,
                               uint64_t now_ms)
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

static void pool_note(struct pool *p)
{
    atomic_store_explicit(&p->figures.item_bytes, p->slab.bytes, memory_order_relaxed);
}

static void drop_at(struct shard *sh, struct table *t, uint64_t hash, struct table_at at,
                    enum store_absence why)
{
    struct store_item *it = table_item(t, at);
    struct pool *p = container_of(t->slab, struct pool, slab);
    if (sh->watches != NULL) {
        watch_touch(sh, it->place & ITEM_TABLE, hash, item_key(it));
    }
    if (why == STORE_EXPIRED) {
        figure_add(&p->figures.expired, 1);
    } else if (why == STORE_OUTDATED || why == STORE_VOID) {
        figure_add(&p->figures.outdated, 1);
    }
    figure_add(&p->figures.keys, (uint64_t)-1);
    table_remove(t, hash, at);
    slab_free(t->slab, it);
    pool_note(p);
    table_tune(t);
}

void entry_drop(struct shard *sh, struct store_item *it, enum store_absence why)
{
    struct table *t = &sh->tables[it->place & ITEM_TABLE];
    uint64_t hash = hash_slice(item_key(it));
    drop_at(sh, t, hash, table_find_item(t, hash, it), why);
}

/* --- reading ------------------------------------------------------------------------------------ */

static struct table_at find_live(struct store_hold *h, enum store_absence *ret_why)
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
            drop_at(h->shard, t, h->hash, at, *ret_why);
        }
        at.bucket = NULL;
    }
    return at;
}

struct store_item *store_peek(struct store_hold *h, enum store_absence *ret_why)
{
    enum store_absence why;
    struct table_at at = find_live(h, &why);
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

/* --- room --------------------------------------------------------------------------------------- */

/* Lets another shard free memory until `size` bytes can be had here. */
static void *take_from(struct pool *own, size_t size, struct need *n, struct shard *other,
                       struct pool *theirs)
{
    void *ptr;
    n->idle = 0;
    n->visits = 0;
    do {
        pages_trim(&theirs->slab.pages, 0);
        ptr = slab_alloc(&own->slab, size);
    } while (ptr == NULL && evict_step(other, theirs, n));
    return ptr;
}

static NO_THREAD_SAFETY void *ask_others(struct store_hold *h, size_t size, struct need *n)
{
    struct store *s = h->store;
    struct pool *own = pool_of(h);
    struct shard *here = h->shard;
    void *ptr = NULL;
    for (uint32_t i = 1; i < s->shard_count && ptr == NULL; i++) {
        struct shard *other = &s->shards[((uint32_t)(here - s->shards) + i) % s->shard_count];
        if (!h->owned && pthread_mutex_trylock(&other->lock.mutex) != 0) {
            continue;
        }
        ptr = take_from(own, size, n, other, &other->pools[own - here->pools]);
        if (!h->owned) {
            check(pthread_mutex_unlock(&other->lock.mutex) == 0);
        }
    }
    return ptr;
}

static void *take_memory(struct store_hold *h, size_t size, struct need *n)
{
    struct pool *p = pool_of(h);
    void *ptr = slab_alloc(&p->slab, size);
    if (ptr != NULL || size > p->slab.pages.space->budget) {
        return ptr;
    }
    while (ptr == NULL && evict_step(h->shard, p, n)) {
        ptr = slab_alloc(&p->slab, size);
    }
    return ptr != NULL ? ptr : ask_others(h, size, n);
}

static struct table_at take_place(struct store_hold *h, struct need *n)
{
    struct table_at at = table_reserve(h->table, h->hash);
    while (at.bucket == NULL && evict_step(h->shard, pool_of(h), n)) {
        at = table_reserve(h->table, h->hash);
    }
    return at;
}

/* --- writing ------------------------------------------------------------------------------------ */

/* Can `old` become an item of `size` bytes where it lies? */
static bool fits(struct slab *s, struct store_item *old, size_t size)
{
    size_t old_size = item_size(old);
    if (slab_round(size) == slab_round(old_size)) {
        return true;
    }
    if (size <= SLAB_MAX || old_size <= SLAB_MAX) {
        return false;
    }
    size_t have = slab_bytes(s, old);
    return (size <= have && have - size <= size / ROOM_TO_GROW) || slab_resize(s, old, size);
}

static bool lies_in(const struct store_item *it, const void *ptr)
{
    const char *at = ptr;
    return at >= (const char *)it && at < (const char *)it + item_size(it);
}

/* After a write of `it`: expiry noted, watchers told. */
static void written(struct store_hold *h, const struct store_item *it)
{
    struct pool *p = pool_of(h);
    struct shard *sh = h->shard;
    if ((it->place & ITEM_EXPIRES) != 0) {
        slab_note_expiry(&p->slab, it, item_expiry(it));
    }
    if (sh->watches != NULL) {
        watch_touch(sh, it->place & ITEM_TABLE, h->hash, h->key);
    }
    pool_note(p);
}

static enum err insert_new(struct store_hold *h, struct store_item *it, struct need *n)
{
    struct table *t = h->table;
    struct pool *p = pool_of(h);
    n->pins[3] = it; /* it is not in the index yet */
    struct table_at at = take_place(h, n);
    if (at.bucket == NULL) {
        slab_free(&p->slab, it);
        return ERR_NOSPACE;
    }
    table_insert(t, at, h->hash, it);
    figure_add(&p->figures.keys, 1);
    table_tune(t);
    if (table_is_crowded(t) && evict_step(h->shard, p, n)) {
        table_tune(t);
    }
    return ERR_OK;
}

/* Makes the item at `at` (nowhere: a new one) consist of `parts`. */
static enum err entry_write(struct store_hold *h, struct table_at at, struct item_parts *parts,
                            struct store_item **ret_item)
{
    struct table *t = h->table;
    struct slab *s = t->slab;
    struct store_item *old = at.bucket == NULL ? NULL : table_item(t, at);
    size_t size = item_parts_size(parts);
    bool is_shared = old != NULL && (lies_in(old, parts->value.ptr) || lies_in(old, parts->deps));
    if (old != NULL && !is_shared && fits(s, old, size)) {
        item_write(old, parts);
        written(h, old);
        *ret_item = old;
        return ERR_OK;
    }
    struct need n = {.now_ms = h->now_ms, .pins = {old, parts->value.ptr, parts->deps}};
    struct store_item *it = NULL;
    if (is_shared && size > SLAB_MAX) {
        it = slab_alloc(s, size + size / ROOM_TO_GROW); /* what grows once grows again */
    }
    if (it == NULL && (it = take_memory(h, size, &n)) == NULL) {
        return ERR_NOSPACE;
    }
    item_write(it, parts);
    if (old != NULL) {
        table_replace(t, table_find_item(t, h->hash, old), it);
        slab_free(s, old);
    } else if (insert_new(h, it, &n) != ERR_OK) {
        return ERR_NOSPACE;
    }
    written(h, it);
    *ret_item = it;
    return ERR_OK;
}

static struct item_parts parts_of_write(const struct store_hold *h, const struct store_write *w)
{
    const struct table *t = h->table;
    const struct shard *sh = h->shard;
    check(w->dep_count <= FRESH_DEPS_MAX);
    return (struct item_parts){
        .key = h->key,
        .value = w->value,
        .value_len = w->value.len,
        .expiry_ms = w->expiry_ms,
        .stamp = w->dep_count != 0 ? w->stamp : 0,
        .deps = w->deps,
        .dep_count = w->dep_count,
        .worth = item_worth_of_cost(w->cost_us),
        .table = (uint8_t)(t - sh->tables),
    };
}

enum err store_put(struct store_hold *h, const struct store_write *w)
{
    if (w->value.len > VALUE_MAX || h->key.len > STORE_KEY_MAX) {
        return ERR_TOO_BIG;
    }
    struct item_parts parts = parts_of_write(h, w);
    struct table_at at = table_find(h->table, h->hash, h->key);
    if (at.bucket != NULL) {
        parts.worth |= table_item(h->table, at)->worth & ITEM_HITS;
    }
    struct store_item *it;
    return entry_write(h, at, &parts, &it);
}

enum err store_edit(struct store_hold *h, size_t len, const struct store_write *meta,
                    char **ret_value)
{
    if (len > VALUE_MAX || h->key.len > STORE_KEY_MAX) {
        return ERR_TOO_BIG;
    }
    enum store_absence why;
    struct table_at at = find_live(h, &why);
    struct item_parts parts;
    if (at.bucket != NULL) {
        struct store_item *old = table_item(h->table, at);
        size_t old_len = old->value_len;
        char *value = (char *)old + (item_size(old) - old_len);
        if (fits(&pool_of(h)->slab, old, item_size(old) - old_len + len)) {
            old->value_len = (uint32_t)len;
            if (len > old_len) {
                memset(value + old_len, 0, len - old_len);
            }
            written(h, old);
            *ret_value = value;
            return ERR_OK;
        }
        item_read(old, &parts);
        parts.key = h->key;
        parts.value.len = old_len < len ? old_len : len;
    } else {
        at = table_find(h->table, h->hash, h->key); /* unproven: replaced */
        parts = parts_of_write(h, meta);
        parts.value = (struct slice){NULL, 0};
    }
    parts.value_len = len;
    struct store_item *it;
    enum err e = entry_write(h, at, &parts, &it);
    if (e == ERR_OK) {
        *ret_value = (char *)it + (item_size(it) - len);
    }
    return e;
}

bool store_remove(struct store_hold *h)
{
    enum store_absence why;
    struct table_at at = find_live(h, &why);
    bool was_live = at.bucket != NULL;
    if (why == STORE_UNPROVEN) {
        at = table_find(h->table, h->hash, h->key); /* absent to readers, but it must not come back */
    }
    if (at.bucket != NULL) {
        drop_at(h->shard, h->table, h->hash, at, STORE_PRESENT);
    }
    return was_live;
}

enum err store_expire(struct store_hold *h, uint64_t expiry_ms, bool *ret_found)
{
    enum store_absence why;
    struct table_at at = find_live(h, &why);
    if (at.bucket == NULL) {
        *ret_found = false;
        return ERR_OK;
    }
    struct store_item *it = table_item(h->table, at);
    bool has = (it->place & ITEM_EXPIRES) != 0;
    size_t size = item_size(it);
    struct item_parts parts;
    if (expiry_ms != 0 && has) {
        memcpy(it->fields, &expiry_ms, sizeof(expiry_ms));
    } else if (expiry_ms == 0 && has) {
        it->place &= (uint8_t)~ITEM_EXPIRES; /* a slot that is too large for it will do */
        memmove(it->fields, it->fields + sizeof(expiry_ms), size - sizeof(*it) - sizeof(expiry_ms));
    } else if (expiry_ms != 0 && slab_round(size + sizeof(expiry_ms)) == slab_round(size)) {
        memmove(it->fields + sizeof(expiry_ms), it->fields, size - sizeof(*it));
        memcpy(it->fields, &expiry_ms, sizeof(expiry_ms));
        it->place |= ITEM_EXPIRES;
    } else if (expiry_ms != 0) {
        item_read(it, &parts);
        parts.key = h->key;
        parts.expiry_ms = expiry_ms;
        enum err e = entry_write(h, at, &parts, &it);
        if (e != ERR_OK) {
            return e;
        }
    }
    written(h, it);
    *ret_found = true;
    return ERR_OK;
}

size_t store_item_bytes(const struct store_item *it)
{
    return slab_round(item_size(it));
}
