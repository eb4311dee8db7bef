/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal: one buffer under one lock; journal.h says what for.
 *
 * Taking swaps buffers when it can, so appenders never wait for a large copy.
 *
 * Invariant: J1. `end` counts exactly the bytes that went through `pending`, SELECT and MULTI included.
 * Threads: `lock` is a leaf: nothing is called under it. `end` and `swaps` are read without it.
 */
#include "store/journal.h"

#include "base/alloc.h"
#include "base/lock.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { NO_DB = UINT32_MAX, KEEP_BYTES = 1024 * 1024 };

struct journal {
    struct lock lock;
    struct buf pending;     /* lock */
    uint32_t db;            /* lock; the database that `pending` ends in */
    _Atomic uint64_t end;   /* release: journal_append(); acquire: journal_end() */
    _Atomic uint32_t swaps; /* relaxed: read by a walker inside an ordered dump */
};

struct journal *journal_create(void)
{
    struct journal *j = xcalloc(1, sizeof(*j));
    lock_init(&j->lock, LOCK_RANK_JOURNAL);
    buf_init(&j->pending);
    j->db = NO_DB;
    return j;
}

void journal_destroy(struct journal **jp)
{
    struct journal *j = *jp;
    *jp = NULL;
    if (j != NULL) {
        buf_fini(&j->pending);
        lock_fini(&j->lock);
        free(j);
    }
}

static void put_select(struct buf *out, uint32_t db)
{
    buf_printf(out, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%u\r\n", db < 10 ? 1 : 2, db);
}

void journal_append(struct journal *j, uint32_t first_db, uint32_t last_db, uint32_t count,
                    struct slice commands)
{
    lock_acquire(&j->lock);
    struct buf *out = &j->pending;
    size_t before = buf_len(out);
    if (j->db != first_db) {
        put_select(out, first_db);
    }
    j->db = last_db;
    if (count > 1) {
        buf_append_str(out, "*1\r\n$5\r\nMULTI\r\n");
    }
    buf_append_slice(out, commands);
    if (count > 1) {
        buf_append_str(out, "*1\r\n$4\r\nEXEC\r\n");
    }
    uint64_t end = atomic_load_explicit(&j->end, memory_order_relaxed) + buf_len(out) - before;
    atomic_store_explicit(&j->end, end, memory_order_release);
    lock_release(&j->lock);
}

void journal_note_swap(struct journal *j)
{
    atomic_fetch_add_explicit(&j->swaps, 1, memory_order_relaxed);
}

uint64_t journal_end(const struct journal *j)
{
    return atomic_load_explicit(&j->end, memory_order_acquire);
}

uint32_t journal_swaps(const struct journal *j)
{
    return atomic_load_explicit(&j->swaps, memory_order_relaxed);
}

uint64_t journal_take(struct journal *j, struct buf *out)
{
    lock_acquire(&j->lock);
    if (buf_len(out) == 0) {
        struct buf empty = *out;
        *out = j->pending;
        j->pending = empty;
    } else {
        buf_append_slice(out, buf_readable(&j->pending));
        buf_clear(&j->pending);
    }
    buf_shrink(&j->pending, KEEP_BYTES);
    j->db = NO_DB;
    uint64_t end = atomic_load_explicit(&j->end, memory_order_relaxed);
    lock_release(&j->lock);
    return end;
}
