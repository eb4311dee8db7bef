/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of this module share: the structs behind store.h and the steps between them.
 *
 *      store.c   life, gates, holds          entry.c   one key, read
 *      space.h   budgets                     write.c   one key, written
 *      pages.c   runs of pages               room.c    memory for a write
 *      slab.c    slots of size classes       evict.c   what leaves when there is none
 *      clock.c   its main area          window.c  its queue of newcomers   ghost.c   who left lately
 *      table.c   index of one database       expire.c  upkeep: expired items, memory given back
 *      item.c    bytes of one item           db.c      whole databases: size, flush, scan, random
 *      watch.c   WATCH                       figures.c statistics, validation
 *      touch.c   notes of changed keys       effect.c  what durable spaces must remember
 *      coll_*.c  collections, see coll.h     pack.c    bytes of their elements
 *      journal.c effects on their way to disk
 *
 * A *pool* is what one shard owns in one space. Several tables of a shard share it.
 */
#ifndef STORE_PRIV_H
#define STORE_PRIV_H

#include "base/buf.h"
#include "base/lock.h"
#include "store/evict.h"
#include "store/item.h"
#include "store/journal.h"
#include "store/slab.h"
#include "store/space.h"
#include "store/table.h"
#include "store/watch.h"

enum { CACHE_LINE = 64, OBSERVED_SLOTS = 8192 };

/* Counters of a pool: one writer at a time (the shard's lock), any reader. */
struct pool_figures {
    _Atomic uint64_t item_bytes;
    _Atomic uint64_t keys;
    _Atomic uint64_t evicted;
    _Atomic uint64_t expired;
    _Atomic uint64_t outdated;
    _Atomic uint64_t expire_looks;
    _Atomic uint64_t refused;
};

struct pool {
    struct slab slab;
    struct evict evict;
    uint64_t share;       /* of the budget, were it divided evenly over the shards */
    uint32_t limbo;       /* nodes of collections that are gone, to be freed: node.h */
    uint32_t building;    /* nodes of one that is being copied */
    uint32_t expire_hand; /* page where the search for expired items goes on */
    struct pool_figures figures;
};

struct shard {
    struct lock lock;
    struct store *store;         /* immutable after create, as are the arrays' addresses */
    struct table *tables;        /* by table number */
    struct pool *pools;          /* by space */
    struct store_watch *watches; /* shard lock */
    struct buf touched;          /* shard lock; notes of touch.c */
    bool touched_too_much;       /* shard lock; notes were dropped for want of room */
    struct store_gate *gate;     /* shard lock; whose thread is inside, NULL: one that only tried */
} __attribute__((aligned(CACHE_LINE)));

struct store_gate {
    struct lock lock;
    bool is_owning; /* the gate's thread, with the rest */
    bool is_passed; /* store_gate_try(): holds do not take `lock` */
    /* who was refused: seq_cst, with the fences in gate.c */
    _Atomic bool is_refused;
    void (*opened)(void *arg); /* immutable after start */
    void *opened_arg;
    uint64_t random;
    struct buf scratch; /* new elements of a collection, packed */
    /* of the unit being made: see effect.h */
    struct buf effects;
    uint32_t effect_count;
    uint32_t effect_first_db;
    uint32_t effect_db; /* that of the last effect */
    struct {            /* that effect, if more may join it; no name: it may not */
        const char *name;
        size_t at;  /* where it begins in `effects` */
        size_t key; /* and its first argument */
        size_t words;
    } effect_open;
    bool journalled; /* a unit went to the journal since the thread last asked */
} __attribute__((aligned(CACHE_LINE)));

struct coll_limits;

struct store {
    /* immutable after create */
    struct fresh *fresh;
    uint32_t shard_bits;
    uint32_t shard_count;
    uint32_t gate_count;
    uint32_t space_count;
    uint32_t db_count;
    struct shard *shards;
    struct store_gate *gates;
    struct space spaces[STORE_SPACE_MAX];
    uint8_t table_space[STORE_DB_MAX];
    /* atomic: written by owners only, read relaxed by anyone */
    _Atomic uint8_t db_table[STORE_DB_MAX];
    _Atomic uint32_t gates_taken;
    struct lock owner_lock;  /* held by who owns all gates, or is closing them */
    _Atomic bool is_closing; /* seq_cst: while `owner_lock` is held */
    /* relaxed: gates order them where it matters */
    _Atomic int observers;                     /* of any kind */
    _Atomic int observers_of_all;              /* of every key */
    _Atomic uint32_t observed[OBSERVED_SLOTS]; /* by the hash of the key */
    _Atomic uint64_t touched;                  /* a bit for the shards that hold notes */
    _Atomic bool remembers;                    /* relaxed: changes only while nobody else writes */
    struct store_gate *owner;                  /* all gates; NULL: nobody owns the store */
    struct journal *journal;                   /* NULL: no space is durable */
    const struct coll_limits *coll_limits;     /* immutable after start; NULL: presets */
};

static inline void figure_add(_Atomic uint64_t *figure, uint64_t n)
{
    atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t figure(const _Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}

static inline void pool_note_bytes(struct pool *p)
{
    atomic_store_explicit(&p->figures.item_bytes, p->slab.bytes, memory_order_relaxed);
}

static inline struct pool *hold_pool(const struct store_hold *h)
{
    const struct table *t = h->table;
    return container_of(t->slab, struct pool, slab);
}

static inline uint32_t store_table_of(const struct store *s, uint32_t db)
{
    return atomic_load_explicit(&s->db_table[db], memory_order_relaxed);
}

static inline struct pool *shard_pool_of_table(const struct shard *sh, uint32_t table)
{
    return &sh->pools[sh->store->table_space[table]];
}

/* --- store.c --- */
struct shard *store_shard_of(struct store *s, uint64_t hash);
/* Passes the gate and locks a shard; inside an ownership both are no work. */
void store_enter(struct store_gate *g, struct shard *sh);
void store_leave(struct store_gate *g, struct shard *sh);

/* --- coll_keep.c: what the rest of the store owes to collections --- */
/* The item will be freed or overwritten: its nodes go to limbo. */
void coll_release(struct slab *s, struct store_item *it);
/* The item's bytes have come to another place. */
void coll_moved(struct slab *s, struct store_item *it);
/* It will be asked for an element, or given one, by a command with these words behind its key: asks for the
 * memory of the place. */
void coll_warm(struct slab *s, struct store_item *it, const struct slice *words);
/* Bytes of its nodes. O(1). */
uint64_t coll_node_bytes(const struct store_item *it);
/* Checks the item's trees; returns how many nodes they have. */
uint64_t coll_validate(struct slab *s, struct store_item *it);

/* --- entry.c --- */
/* STORE_PRESENT, or why nobody may see it at `now_ms`. */
enum store_absence entry_judge(const struct store *s, const struct store_item *it, uint64_t now_ms);
/* The item of the hold's key if it may be seen; removes it if it is dead. */
struct table_at entry_find_live(struct store_hold *h, enum store_absence *ret_why);
/* Takes an item out of everything and frees it, with all its elements. */
void entry_drop(struct shard *sh, struct store_item *it, enum store_touch why);
void entry_drop_at(struct shard *sh, struct table *t, uint64_t hash, struct table_at at,
                   enum store_touch why);

/* The same, telling nobody. */
void entry_free_at(struct table *t, uint64_t hash, struct table_at at);

/* All that an item occupies. */
static inline size_t entry_bytes(const struct pool *p, const struct store_item *it)
{
    return slab_bytes(&p->slab, it) + coll_node_bytes(it);
}

static inline bool entry_is_dead(enum store_absence why)
{
    return why == STORE_EXPIRED || why == STORE_OUTDATED || why == STORE_VOID;
}

/* For an item that is dead. */
static inline enum store_touch entry_touch_of(enum store_absence why)
{
    return why == STORE_EXPIRED ? STORE_TOUCH_EXPIRED : STORE_TOUCH_OUTDATED;
}

/* --- write.c --- */
/* A new item of this kind and value in place of whatever has the key. `pin`: where what it is made of lies
 * in the store, which must stay meanwhile. */
enum err entry_put(struct store_hold *h, const struct store_write *meta, enum store_kind kind,
                   struct slice value, const void *pin, struct store_item **ret_item);
/* Replaces `cut` bytes at `at` of the item's value by `add` bytes that the caller writes. Cutting never
 * fails. The item may move, and others with it. */
enum err entry_splice(struct store_hold *h, struct store_item *it, size_t at, size_t cut,
                      size_t add, struct store_item **ret_item);

/* Tells watchers and observers of a change of the hold's key, which is this item. */
void entry_written(struct store_hold *h, const struct store_item *it);

/* --- room.c --- */
/* Memory for an item, and a place for it in the index, whatever must leave for it; NULL and nowhere
 * when nothing can. Both may change the index: a place found before is void. */
void *room_for_item(struct store_hold *h, size_t size, struct need *n);
struct table_at room_for_place(struct store_hold *h, struct need *n);
/* The same for any other wish, of about `size` bytes: calls `try_it` until it answers true, making room in
 * between. */
typedef bool room_try_fn(void *arg);
bool room_make(struct store_hold *h, struct need *n, size_t size, room_try_fn *try_it, void *arg);

/* --- expire.c --- */
/* Drops expired items that a short search finds. */
uint32_t expire_turn(struct shard *sh, struct pool *p, const struct need *n);

/* --- touch.c --- */
uint32_t store_db_of_table(const struct store *s, uint32_t table);
void touch_note_now(struct shard *sh, enum store_touch what, uint32_t table, struct slice key);
static inline void touch_note(struct shard *sh, enum store_touch what, uint32_t table,
                              struct slice key)
{
    if (__builtin_expect(atomic_load_explicit(&sh->store->observers, memory_order_relaxed) > 0,
                         0)) {
        touch_note_now(sh, what, table, key);
    }
}

/* --- effect.c --- */
/* The key is gone; it has a new expiry (0: none). */
void effect_removed(struct store_hold *h);
void effect_expiry(struct store_hold *h, uint64_t expiry_ms);
/* The value of a string, with its expiry. */
void effect_string(struct store_hold *h, const struct store_item *it);

/* An item leaves by itself: it has expired or was evicted. With the shard's lock. */
void effect_dropped(struct shard *sh, uint32_t table, struct slice key);
/* The whole database. With the store owned. */
void effect_flushed(struct store *s, uint32_t db);
void effect_swapped(struct store *s, uint32_t a, uint32_t b);
/* Hands the gate's effects to the journal, as one unit. */
void effect_hand_over(struct store *s, struct store_gate *g);

/* --- watch.c --- */
/* Marks the watches of this key. */
void watch_touch(struct shard *sh, uint32_t table, uint64_t hash, struct slice key);
/* Marks the watches on `table` whose key lives in table `holder`: 0 for `now_ms`, or has not been removed yet. */
void watch_touch_table(struct shard *sh, uint32_t table, uint32_t holder, uint64_t now_ms);

#endif
