/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * journal: the effects of durable spaces on their way to the log, in the order of the changes.
 *
 * A unit is what one hold or one ownership did: one RESP command, or several between MULTI and EXEC. Units
 * are appended while the shard is locked (or the store owned), so the order here is the order in which
 * anybody could see the changes. A *position* counts the bytes ever appended: whoever has seen a value
 * has seen nothing behind journal_end() at that moment, so it may be told to others once that position is
 * safe on disk.
 *
 * What is taken begins with SELECT: each group of the log can be read alone.
 *
 * The journal itself has no bound: who appends has asked before whether there is room (persist/persist.h),
 * and connections that wait for the disk are not read.
 *
 * Threads: any. One leaf lock, held for a memcpy.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "base/buf.h"

struct journal;

/* Control memory; grows with what has not been taken. */
struct journal *journal_create(void);
void journal_destroy(struct journal **j);

/* One unit of `count` commands, written for database `first_db`, ending in `last_db`. */
void journal_append(struct journal *j, uint32_t first_db, uint32_t last_db, uint32_t count,
                    struct slice commands);
/* Two databases changed places: a walk over one of them has lost its way. */
void journal_note_swap(struct journal *j);

/* Bytes ever appended; acquire. */
uint64_t journal_end(const struct journal *j);
/* How often databases changed places. */
uint32_t journal_swaps(const struct journal *j);
/* Appends to `out` everything that has not been taken yet. Returns the position behind it. */
uint64_t journal_take(struct journal *j, struct buf *out);

#endif
