/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notes of changed keys, for those who react to keys and not to commands: clients blocked on a key,
 * client-side caches, events of expiry and eviction.
 *
 * A note is written under the shard's lock, next to the change; it is one byte each for what happened
 * and for the table, the key's length, the key. Nobody is called: whoever has time takes the notes
 * (S2). Beyond TOUCHED_MAX bytes in a shard, notes give way to a single one that all databases changed.
 *
 * Most observers wait for a key (blocked clients): their keys are counted in slots by hash, and what falls
 * into an empty slot is not noted. So while somebody waits for a list, SETs of other keys cost one hash.
 *
 * Threads: notes under the shard's lock; `touched` of the store has a bit for each shard with notes (shards
 * further than 64 share them), set after a note and cleared before it is taken.
 */
#include "store/priv.h"

#include "base/check.h"
#include "base/hash.h"

enum { TOUCHED_MAX = 4 * 1024 * 1024, NOTE_HEAD = 2 + sizeof(uint32_t) };

static void count_observer(_Atomic int *count, int change)
{
    int before = atomic_fetch_add_explicit(count, change, memory_order_relaxed);
    check(before + change >= 0);
}

void store_observe(struct store *s, int change)
{
    count_observer(&s->observers_of_all, change);
    count_observer(&s->observers, change);
}

static uint32_t slot_of(struct slice key)
{
    return (uint32_t)hash_slice(key) % OBSERVED_SLOTS;
}

void store_observe_key(struct store *s, struct slice key, int change)
{
    atomic_fetch_add_explicit(&s->observed[slot_of(key)], (uint32_t)change, memory_order_relaxed);
    count_observer(&s->observers, change);
}

bool store_key_observed(const struct store *s, struct slice key)
{
    return atomic_load_explicit(&s->observed[slot_of(key)], memory_order_relaxed) > 0;
}

bool store_touched(const struct store *s)
{
    return atomic_load_explicit(&s->touched, memory_order_relaxed) != 0;
}

static bool wanted(const struct store *s, enum store_touch what, struct slice key)
{
    return what == STORE_TOUCH_FLUSHED ||
           atomic_load_explicit(&s->observers_of_all, memory_order_relaxed) > 0 ||
           store_key_observed(s, key);
}

static uint64_t bit_of(const struct shard *sh)
{
    return 1ULL << ((size_t)(sh - sh->store->shards) % 64);
}

void touch_note_now(struct shard *sh, enum store_touch what, uint32_t table, struct slice key)
{
    if (!wanted(sh->store, what, key)) {
        return;
    }
    if (sh->touched_too_much || buf_len(&sh->touched) > TOUCHED_MAX) {
        sh->touched_too_much = true;
    } else {
        uint32_t len = (uint32_t)key.len;
        buf_append_char(&sh->touched, (char)what);
        buf_append_char(&sh->touched, (char)table);
        buf_append(&sh->touched, &len, sizeof(len));
        buf_append_slice(&sh->touched, key);
    }
    atomic_fetch_or_explicit(&sh->store->touched, bit_of(sh), memory_order_relaxed);
}

uint32_t store_db_of_table(const struct store *s, uint32_t table)
{
    for (uint32_t db = 0; db < s->db_count; db++) {
        if (store_table_of(s, db) == table) {
            return db;
        }
    }
    unreachable();
}

static void tell_notes(const struct store *s, struct slice notes, store_touch_fn *fn, void *arg)
{
    while (notes.len > 0) {
        uint32_t len;
        memcpy(&len, notes.ptr + 2, sizeof(len));
        fn(arg, (enum store_touch)notes.ptr[0], store_db_of_table(s, (uint8_t)notes.ptr[1]),
           (struct slice){notes.ptr + NOTE_HEAD, len});
        notes = slice_from(notes, NOTE_HEAD + len);
    }
}

static void take_of_shard(struct store *s, struct store_gate *g, struct shard *sh,
                          store_touch_fn *fn, void *arg)
{
    store_enter(g, sh);
    struct buf notes = sh->touched;
    bool too_much = sh->touched_too_much;
    buf_init(&sh->touched);
    sh->touched_too_much = false;
    store_leave(g, sh);
    tell_notes(s, buf_readable(&notes), fn, arg);
    for (uint32_t db = 0; too_much && db < s->db_count; db++) {
        fn(arg, STORE_TOUCH_FLUSHED, db, (struct slice){"", 0});
    }
    buf_fini(&notes);
}

void store_touched_take(struct store *s, struct store_gate *g, store_touch_fn *fn, void *arg)
{
    uint64_t bits = atomic_exchange_explicit(&s->touched, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < s->shard_count; i++) {
        if ((bits & bit_of(&s->shards[i])) != 0) {
            take_of_shard(s, g, &s->shards[i], fn, arg);
        }
    }
}
