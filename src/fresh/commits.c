/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Applied commits and the visibility fence.
 *
 * PostgreSQL streams a commit when it is flushed and lets queries see it a moment later. So an applied
 * commit waits in a ring until a snapshot shows it; V moves only past commits that are shown. Confirmed
 * commits stay in the ring a while, because a SQL fill knows its own snapshot exactly and may take a
 * higher stamp than V (fresh_stamp_exact).
 *
 *      first ........ confirmed ........ next
 *        visible, kept  |  applied, not yet seen by any snapshot
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/number.h"
#include "fresh/fresh_priv.h"

#include <stdlib.h>

void ring_reset(struct commit_ring *r)
{
    r->first = r->confirmed = r->next = 0;
    r->forgotten = 0;
}

static struct recent_commit *ring_at(const struct commit_ring *r, uint64_t i)
{
    return &r->at[i & (r->cap - 1)];
}

static void ring_grow(struct commit_ring *r)
{
    struct commit_ring bigger = *r;
    bigger.cap = r->cap > 0 ? r->cap * 2 : 64;
    bigger.at = xcalloc(bigger.cap, sizeof(*bigger.at));
    for (uint64_t i = r->first; i < r->next; i++) {
        *ring_at(&bigger, i) = *ring_at(r, i);
    }
    free(r->at);
    *r = bigger;
}

static void ring_push(struct commit_ring *r, fresh_pos pos, uint64_t xid)
{
    while (r->confirmed - r->first > RING_KEEP) {
        r->forgotten = ring_at(r, r->first)->pos;
        r->first++;
    }
    if (r->next - r->first == r->cap) {
        ring_grow(r);
    }
    *ring_at(r, r->next) = (struct recent_commit){pos, xid};
    r->next++;
}

/* Moves A up to `pos`, keeping nothing of the local order at the old position (F3: marks first). */
static void advance(struct fresh *f, fresh_pos pos)
{
    fresh_pos now = atomic_load_explicit(&f->now, memory_order_relaxed);
    while ((now & ~POS_GIVEN) < pos &&
           !atomic_compare_exchange_weak_explicit(&f->now, &now, pos, memory_order_release,
                                                  memory_order_relaxed)) {
    }
}

static void set_visible(struct fresh *f, fresh_pos pos)
{
    f->confirmed = pos;
    if (f->open) {
        atomic_store_explicit(&f->visible, pos, memory_order_release);
    }
}

static void write_late_marks(struct fresh *f)
{
    for (uint32_t i = 0; i < f->late_count; i++) {
        marks_raise(f, f->late[i], f->late_pos);
    }
    f->late_count = 0;
}

static void write_marks(struct fresh *f, const struct fresh_commit *c, fresh_pos pos)
{
    if (f->break_late_marks) {
        write_late_marks(f);
        f->late = xrealloc(f->late, c->count * sizeof(*c->deps));
        memcpy(f->late, c->deps, c->count * sizeof(*c->deps));
        f->late_count = c->count;
        f->late_pos = pos;
        return;
    }
    uint64_t hashed = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        marks_raise(f, c->deps[i], pos);
        hashed += c->deps[i] < f->slots ? 1 : 0;
    }
    atomic_fetch_add_explicit(&f->raised, hashed, memory_order_relaxed);
}

void fresh_apply(struct fresh *f, const struct fresh_commit *c)
{
    lock_acquire(&f->lock);
    fresh_pos pos = pos_of_lsn_locked(f, c->end_lsn);
    ring_push(&f->ring, pos, c->xid);
    lock_release(&f->lock);
    write_marks(f, c, pos);
    advance(f, pos);
    if (f->break_fence) {
        (void)fresh_confirm(f, SLICE("9223372036854775807:9223372036854775807:"));
    }
}

void fresh_apply_idle(struct fresh *f, uint64_t lsn)
{
    lock_acquire(&f->lock);
    fresh_pos pos = pos_of_lsn_locked(f, lsn);
    lock_release(&f->lock);
    advance(f, pos);
    if (!fresh_unconfirmed(f) && pos > f->confirmed) {
        set_visible(f, pos);
    }
}

bool fresh_unconfirmed(const struct fresh *f)
{
    /* The follower is the ring's only writer, so it may read these without the lock. */
    return f->ring.confirmed < f->ring.next;
}

bool fresh_confirm(struct fresh *f, struct slice snapshot)
{
    fresh_pos seen = 0;
    lock_acquire(&f->lock);
    struct commit_ring *r = &f->ring;
    while (r->confirmed < r->next &&
           fresh_snapshot_shows(snapshot, ring_at(r, r->confirmed)->xid)) {
        seen = ring_at(r, r->confirmed)->pos;
        r->confirmed++;
    }
    bool all = r->confirmed == r->next;
    lock_release(&f->lock);
    if (all) {
        seen = pos_wal(fresh_applied(f));
    }
    if (seen <= f->confirmed) {
        return false;
    }
    set_visible(f, seen);
    return true;
}

fresh_pos fresh_stamp_exact(struct fresh *f, const struct fresh_window *w, struct slice snapshot)
{
    if (w->stamp == 0 || w->applied <= w->stamp) {
        return w->stamp;
    }
    fresh_pos stamp = w->stamp;
    bool all = true;
    lock_acquire(&f->lock);
    const struct commit_ring *r = &f->ring;
    if (w->visible < r->forgotten || w->visible < f->base) {
        all = false; /* commits of the window are no longer known */
    } else {
        uint64_t i = r->next;
        while (i > r->first && ring_at(r, i - 1)->pos > w->visible) {
            i--;
        }
        for (; i < r->next && ring_at(r, i)->pos <= w->applied; i++) {
            if (!fresh_snapshot_shows(snapshot, ring_at(r, i)->xid)) {
                all = false;
                break;
            }
            stamp = ring_at(r, i)->pos | POS_N_MASK;
        }
    }
    lock_release(&f->lock);
    return all ? w->applied : stamp;
}

/* --- snapshots ----------------------------------------------------------------------------------- */

/* Takes digits up to `end` (or the end of the text) off the front. */
static bool take_xid(struct slice *rest, char end, uint64_t *ret_xid)
{
    const char *stop = memchr(rest->ptr, end, rest->len);
    size_t len = stop != NULL ? (size_t)(stop - rest->ptr) : rest->len;
    if (!number_parse_u64((struct slice){rest->ptr, len}, ret_xid)) {
        return false;
    }
    *rest = slice_from(*rest, stop != NULL ? len + 1 : len);
    return true;
}

uint64_t fresh_snapshot_xmax(struct slice snapshot)
{
    uint64_t xmin;
    uint64_t xmax;
    if (!take_xid(&snapshot, ':', &xmin) || !take_xid(&snapshot, ':', &xmax)) {
        return 0;
    }
    return xmax;
}

bool fresh_snapshot_shows(struct slice snapshot, uint64_t xid)
{
    uint64_t xmin;
    uint64_t xmax;
    if (!take_xid(&snapshot, ':', &xmin) || !take_xid(&snapshot, ':', &xmax) || xid >= xmax) {
        return false;
    }
    if (xid < xmin) {
        return true;
    }
    uint64_t running;
    while (snapshot.len > 0 && take_xid(&snapshot, ',', &running)) {
        if (running == xid) {
            return false;
        }
    }
    return true;
}
