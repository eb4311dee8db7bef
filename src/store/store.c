/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of the store, and holds. The shape is drawn in store.h, the structs are in priv.h.
 *
 * Gates are in gate.c.
 *
 * Lock order: the owner's, gates by address, then one shard. A shard that cannot find room may *try* another
 * shard's lock (entry.c); trying cannot deadlock.
 *
 * Threads: store_create, store_destroy: alone. The rest as store.h says.
 */
#include "store/priv.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>

enum { SHARDS_PER_THREAD = 4, SHARDS_MAX = 64, SHARD_BUDGET_MIN = 8 * 1024 * 1024 };

/* Enough shards that threads seldom meet, not so many that half-used pages of each add up. */
static uint32_t choose_shards(const struct store_options *o)
{
    uint32_t shards = 1;
    while (shards < SHARDS_MAX && shards < o->threads * SHARDS_PER_THREAD) {
        shards *= 2;
    }
    for (uint32_t i = 0; i < o->space_count; i++) {
        while (shards > 1 && o->spaces[i].budget_bytes / shards < SHARD_BUDGET_MIN) {
            shards /= 2;
        }
    }
    return shards;
}

static void *alloc_lines(size_t count, size_t size)
{
    void *ptr = aligned_alloc(CACHE_LINE, count * size);
    check(ptr != NULL);
    memset(ptr, 0, count * size);
    return ptr;
}

static void shard_init(struct shard *sh, struct store *s)
{
    lock_init(&sh->lock, LOCK_RANK_SHARD);
    sh->store = s;
    sh->pools = xcalloc(s->space_count, sizeof(*sh->pools));
    for (uint32_t i = 0; i < s->space_count; i++) {
        slab_init(&sh->pools[i].slab, &s->spaces[i], s->shard_count);
        sh->pools[i].share = s->spaces[i].budget / s->shard_count;
    }
    sh->tables = xcalloc(s->db_count, sizeof(*sh->tables));
    for (uint32_t i = 0; i < s->db_count; i++) {
        table_init(&sh->tables[i], &shard_pool_of_table(sh, i)->slab);
    }
}

static void shard_fini(struct shard *sh)
{
    const struct store *s = sh->store;
    for (uint32_t i = 0; i < s->db_count; i++) {
        table_forget(&sh->tables[i]);
    }
    for (uint32_t i = 0; i < s->space_count; i++) {
        evict_forget(&sh->pools[i]);
        slab_fini(&sh->pools[i].slab);
    }
    free(sh->tables);
    free(sh->pools);
    buf_fini(&sh->touched);
    lock_fini(&sh->lock);
}

struct store *store_create(const struct store_options *o)
{
    check(o->threads > 0 && o->space_count > 0 && o->space_count <= STORE_SPACE_MAX);
    check(o->db_count > 0 && o->db_count <= STORE_DB_MAX);
    uint32_t shards = o->shards != 0 ? o->shards : choose_shards(o);
    check((shards & (shards - 1)) == 0 && shards <= 256);
    struct store *s = alloc_lines(1, (sizeof(*s) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    s->fresh = o->fresh;
    s->shard_count = shards;
    s->shard_bits = (uint32_t)__builtin_ctz(shards);
    s->gate_count = o->threads;
    s->space_count = o->space_count;
    s->db_count = o->db_count;
    for (uint32_t i = 0; i < o->space_count; i++) {
        s->spaces[i].name = o->spaces[i].name;
        s->spaces[i].budget = o->spaces[i].budget_bytes;
        atomic_init(&s->spaces[i].limit, o->spaces[i].budget_bytes);
        atomic_init(&s->spaces[i].evict, o->spaces[i].evict);
        s->spaces[i].durable = o->spaces[i].durable;
    }
    for (uint32_t i = 0; i < o->db_count; i++) {
        check(o->db_space[i] < o->space_count);
        s->table_space[i] = o->db_space[i];
        atomic_init(&s->db_table[i], (uint8_t)i);
    }
    for (uint32_t i = 0; i < o->space_count; i++) {
        if (o->spaces[i].durable && s->journal == NULL) {
            s->journal = journal_create();
        }
    }
    atomic_init(&s->remembers, s->journal != NULL);
    lock_init(&s->owner_lock, LOCK_RANK_GATE);
    s->gates = alloc_lines(o->threads, sizeof(*s->gates));
    for (uint32_t i = 0; i < o->threads; i++) {
        lock_init(&s->gates[i].lock, LOCK_RANK_GATE);
        s->gates[i].random = hash_bytes(&i, sizeof(i)) | 1;
    }
    s->shards = alloc_lines(shards, sizeof(*s->shards));
    for (uint32_t i = 0; i < shards; i++) {
        shard_init(&s->shards[i], s);
    }
    return s;
}

void store_destroy(struct store **sp)
{
    struct store *s = *sp;
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < s->shard_count; i++) {
        shard_fini(&s->shards[i]);
    }
    for (uint32_t i = 0; i < s->gate_count; i++) {
        lock_fini(&s->gates[i].lock);
        buf_fini(&s->gates[i].effects);
        buf_fini(&s->gates[i].scratch);
    }
    journal_destroy(&s->journal);
    lock_fini(&s->owner_lock);
    free(s->shards);
    free(s->gates);
    free(s);
    *sp = NULL;
}

struct store_gate *store_gate_take(struct store *s)
{
    uint32_t taken = atomic_fetch_add_explicit(&s->gates_taken, 1, memory_order_relaxed);
    check(taken < s->gate_count);
    return &s->gates[taken];
}

struct shard *store_shard_of(struct store *s, uint64_t hash)
{
    return &s->shards[hash >> 1 >> (63 - s->shard_bits)];
}

void store_hold(struct store *s, struct store_gate *g, uint32_t db, struct slice key,
                uint64_t now_ms, struct store_hold *ret_hold)
{
    check(db < s->db_count);
    uint64_t hash = hash_slice(key);
    struct shard *sh = store_shard_of(s, hash);
    store_enter(g, sh);
    *ret_hold = (struct store_hold){
        .store = s,
        .gate = g,
        .shard = sh,
        .table = &sh->tables[store_table_of(s, db)],
        .key = key,
        .hash = hash,
        .now_ms = now_ms,
        .db = db,
        .owned = g->is_owning,
    };
}

void store_drop(struct store_hold *h)
{
    store_leave(h->gate, h->shard);
    h->shard = NULL;
}

/* --- remembering -------------------------------------------------------------------------------- */

struct journal *store_journal(const struct store *s)
{
    return s->journal;
}

void store_remember(struct store *s, bool remembers)
{
    atomic_store_explicit(&s->remembers, remembers && s->journal != NULL, memory_order_relaxed);
}

bool store_gate_journalled(struct store_gate *g)
{
    bool journalled = g->journalled;
    g->journalled = false;
    return journalled;
}
