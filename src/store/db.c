/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole databases: counting, emptying, swapping, walking, drawing lots.
 *
 * A scan's cursor is a shard and a point on the line of reversed hash bits within it (table.h):
 *
 *      63 ................ shard_bits | shard_bits - 1 ... 0
 *      point (bucket bits)            | shard
 *
 * 0 is both the start and the end, and never the cursor in between: the first shard's point moves
 * first, and a later shard has its number in it. Nothing is remembered between two steps.
 *
 * Threads: as store.h says for each.
 */
#include "store/priv.h"

#include "base/buf.h"
#include "base/check.h"

enum { EMPTY_LOOKS = 10, DRAWS = 64 };

uint64_t store_db_size(struct store *s, uint32_t db)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < s->shard_count; i++) {
        size += table_count(&s->shards[i].tables[store_table_of(s, db)]);
    }
    return size;
}

uint64_t store_db_expiring(struct store *s, uint32_t db)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < s->shard_count; i++) {
        const struct table *t = &s->shards[i].tables[store_table_of(s, db)];
        count += atomic_load_explicit(&t->expiring, memory_order_relaxed);
    }
    return count;
}

static void free_item(void *arg, struct store_item *it)
{
    struct pool *p = arg;
    evict_removed(p, it);
    coll_release(&p->slab, it);
    slab_free(&p->slab, it);
}

static void flush_table(struct shard *sh, struct table *t, struct pool *p)
{
    uint64_t count = table_count(t);
    uint64_t keys = atomic_load_explicit(&p->figures.keys, memory_order_relaxed);
    if (count == keys) { /* nobody else has items here: no need to look at each */
        table_forget(t);
        evict_forget(p);
        slab_reset(&p->slab);
        p->limbo = 0;
    } else {
        uint32_t cursor = 0;
        do {
            (void)table_scan(t, &cursor, free_item, p);
        } while (cursor != 0);
        table_fini(t);
    }
    figure_add(&p->figures.keys, (uint64_t)-count);
    space_note_room(p->slab.pages.space);
    atomic_store_explicit(&p->figures.item_bytes, p->slab.bytes, memory_order_relaxed);
}

void store_db_flush(struct store *s, uint32_t db)
{
    check(db < s->db_count);
    uint32_t table = store_table_of(s, db);
    if (store_db_size(s, db) > 0) {
        effect_flushed(s, db);
    }
    for (uint32_t i = 0; i < s->shard_count; i++) {
        struct shard *sh = &s->shards[i];
        if (table_count(&sh->tables[table]) > 0) {
            watch_touch_table(sh, table, table, 0);
            flush_table(sh, &sh->tables[table], shard_pool_of_table(sh, table));
        }
    }
    touch_note(&s->shards[0], STORE_TOUCH_FLUSHED, table, (struct slice){"", 0});
}

bool store_db_swap(struct store *s, uint32_t a, uint32_t b, uint64_t now_ms)
{
    check(a < s->db_count && b < s->db_count);
    uint32_t table_a = store_table_of(s, a);
    uint32_t table_b = store_table_of(s, b);
    if (s->table_space[table_a] != s->table_space[table_b]) {
        return false;
    }
    for (uint32_t i = 0; i < s->shard_count && a != b; i++) {
        struct shard *sh = &s->shards[i]; /* a key that lives in either changes for its watchers */
        watch_touch_table(sh, table_a, table_a, now_ms);
        watch_touch_table(sh, table_a, table_b, now_ms);
        watch_touch_table(sh, table_b, table_a, now_ms);
        watch_touch_table(sh, table_b, table_b, now_ms);
    }
    touch_note(&s->shards[0], STORE_TOUCH_FLUSHED, table_a, (struct slice){"", 0});
    touch_note(&s->shards[0], STORE_TOUCH_FLUSHED, table_b, (struct slice){"", 0});
    if (a != b) {
        effect_swapped(s, a, b);
    }
    atomic_store_explicit(&s->db_table[a], (uint8_t)table_b, memory_order_relaxed);
    atomic_store_explicit(&s->db_table[b], (uint8_t)table_a, memory_order_relaxed);
    return true;
}

/* --- scanning -----------------------------------------------------------------------------------
 */

enum { DEAD_AT_ONCE = 64 };

struct scan {
    struct store *store;
    uint64_t now_ms;
    store_visit_fn *visit;
    void *arg;
    uint32_t visited;
    bool buries;
    uint32_t dead_count;
    struct store_item *dead[DEAD_AT_ONCE]; /* found on the way, until the shard is left */
};

static void scan_item(void *arg, struct store_item *it)
{
    struct scan *sc = arg;
    enum store_absence why = entry_judge(sc->store, it, sc->now_ms);
    if (why == STORE_PRESENT) {
        sc->visit(sc->arg, it);
        sc->visited++;
    } else if (sc->buries && entry_is_dead(why) && sc->dead_count < DEAD_AT_ONCE) {
        sc->dead[sc->dead_count++] = it;
    }
}

/* Between two steps of the walk: dropping moves nothing but the index. */
static void scan_bury(struct scan *sc, struct shard *sh)
{
    for (uint32_t i = 0; i < sc->dead_count; i++) {
        enum store_absence why = entry_judge(sc->store, sc->dead[i], sc->now_ms);
        entry_drop(sh, sc->dead[i], entry_touch_of(why));
    }
    sc->dead_count = 0;
}

static uint64_t scan_step(struct scan *sc, struct store_gate *g, uint32_t db, uint64_t cursor,
                          uint32_t count)
{
    struct store *s = sc->store;
    check(db < s->db_count);
    uint32_t shard = (uint32_t)cursor & (s->shard_count - 1);
    uint32_t point = (uint32_t)(cursor >> s->shard_bits);
    uint64_t looks = (uint64_t)count * EMPTY_LOOKS + 1;
    do {
        struct shard *sh = &s->shards[shard];
        store_enter(g, sh);
        const struct table *t = &sh->tables[store_table_of(s, db)];
        do {
            (void)table_scan(t, &point, scan_item, sc);
            scan_bury(sc, sh);
            looks--;
        } while (point != 0 && looks > 0 && sc->visited < count);
        store_leave(g, sh);
        if (point == 0 && ++shard == s->shard_count) {
            return 0;
        }
    } while (looks > 0 && sc->visited < count);
    return (uint64_t)point << s->shard_bits | shard;
}

uint64_t store_scan(struct store *s, struct store_gate *g, uint32_t db, uint64_t cursor,
                    uint32_t count, uint64_t now_ms, store_visit_fn *visit, void *arg)
{
    struct scan sc = {.store = s, .now_ms = now_ms, .visit = visit, .arg = arg};
    return scan_step(&sc, g, db, cursor, count);
}

uint64_t store_scan_tidily(struct store *s, struct store_gate *g, uint32_t db, uint64_t cursor,
                           uint32_t count, uint64_t now_ms, store_visit_fn *visit, void *arg)
{
    struct scan sc = {.store = s, .now_ms = now_ms, .visit = visit, .arg = arg, .buries = true};
    return scan_step(&sc, g, db, cursor, count);
}

/* --- random key ---------------------------------------------------------------------------------
 */

uint32_t store_draw(struct store_gate *g)
{
    g->random ^= g->random << 13;
    g->random ^= g->random >> 7;
    g->random ^= g->random << 17;
    return (uint32_t)(g->random >> 32);
}

struct lot {
    struct scan scan;
    struct store_gate *gate;
    struct buf *out;
    uint32_t seen;
};

/* Keeps each live item of a bucket with the same chance. */
static void lot_item(void *arg, const struct store_item *it)
{
    struct lot *lot = arg;
    lot->seen++;
    if (store_draw(lot->gate) % lot->seen == 0) {
        buf_clear(lot->out);
        buf_append_slice(lot->out, item_key(it));
    }
}

bool store_random_key(struct store *s, struct store_gate *g, uint32_t db, uint64_t now_ms,
                      struct buf *out)
{
    check(db < s->db_count);
    struct buf key;
    buf_init(&key);
    struct lot lot = {.gate = g, .out = &key};
    lot.scan =
        (struct scan){.store = s, .now_ms = now_ms, .visit = lot_item, .arg = &lot, .buries = true};
    uint64_t total = store_db_size(s, db);
    for (int i = 0; i < DRAWS && total > 0 && lot.seen == 0; i++) {
        struct shard *sh = &s->shards[store_draw(g) & (s->shard_count - 1)];
        uint32_t point = store_draw(g);
        store_enter(g, sh);
        (void)table_scan(&sh->tables[store_table_of(s, db)], &point, scan_item, &lot.scan);
        scan_bury(&lot.scan, sh);
        store_leave(g, sh);
    }
    uint64_t cursor = 0;
    while (lot.seen == 0 && total > 0) { /* few are alive: take what a walk finds first */
        cursor = store_scan(s, g, db, cursor, 1, now_ms, lot_item, &lot);
        if (cursor == 0) {
            break;
        }
    }
    buf_append_slice(out, buf_readable(&key));
    buf_fini(&key);
    return lot.seen > 0;
}
