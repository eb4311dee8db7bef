/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notes of changed keys, for those who react to keys and not to commands: clients blocked on a key,
 * client-side caches, events of expiry and eviction.
 *
 * A note is written under the shard's lock, next to the change; it is one byte each for what happened
 * and for the table, the key's length, the key. Nobody is called: whoever has time takes the notes
 * (S2). Beyond TOUCHED_MAX bytes in a shard, notes give way to a single one that all databases changed.
 *
 * Threads: notes under the shard's lock; `touched` of the store is a hint, relaxed.
 */
#include "store/priv.h"

#include "base/check.h"

enum { TOUCHED_MAX = 4 * 1024 * 1024, NOTE_HEAD = 2 + sizeof(uint32_t) };

void store_observe(struct store *s, int change)
{
    int before = atomic_fetch_add_explicit(&s->observers, change, memory_order_relaxed);
    check(before + change >= 0);
}

bool store_touched(const struct store *s)
{
    return atomic_load_explicit(&s->touched, memory_order_relaxed);
}

void touch_note_now(struct shard *sh, enum store_touch what, uint32_t table, struct slice key)
{
    if (sh->touched_too_much || buf_len(&sh->touched) > TOUCHED_MAX) {
        sh->touched_too_much = true;
    } else {
        uint32_t len = (uint32_t)key.len;
        buf_append_char(&sh->touched, (char)what);
        buf_append_char(&sh->touched, (char)table);
        buf_append(&sh->touched, &len, sizeof(len));
        buf_append_slice(&sh->touched, key);
    }
    atomic_store_explicit(&sh->store->touched, true, memory_order_relaxed);
}

static uint32_t db_of_table(const struct store *s, uint32_t table)
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
        fn(arg, (enum store_touch)notes.ptr[0], db_of_table(s, (uint8_t)notes.ptr[1]),
           (struct slice){notes.ptr + NOTE_HEAD, len});
        notes = slice_from(notes, NOTE_HEAD + len);
    }
}

void store_touched_take(struct store *s, struct store_gate *g, store_touch_fn *fn, void *arg)
{
    atomic_store_explicit(&s->touched, false, memory_order_relaxed);
    for (uint32_t i = 0; i < s->shard_count; i++) {
        struct shard *sh = &s->shards[i];
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
}
