/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of fresh: shared by its .c files only. The story is in fresh.h. */
#ifndef FRESH_FRESH_PRIV_H
#define FRESH_FRESH_PRIV_H

#include "base/lock.h"
#include "fresh/fresh.h"

#include <stdatomic.h>

/* Low bits of a position: the order of local events. */
enum { POS_N_BITS = 12 };
#define POS_N_MASK ((fresh_pos)((1U << POS_N_BITS) - 1))
/* Top bit of `now`: a stamp was given at exactly this position. */
#define POS_GIVEN ((fresh_pos)1 << 63)

static inline fresh_pos pos_wal(fresh_pos p)
{
    return p & ~POS_N_MASK;
}

/* Commits that were applied lately, in WAL order. */
struct commit_ring {
    struct recent_commit {
        fresh_pos pos;
        uint64_t xid;
    } * at;
    uint32_t cap;        /* power of two */
    uint64_t first;      /* oldest kept */
    uint64_t confirmed;  /* oldest not yet known to be visible */
    uint64_t next;       /* first <= confirmed <= next */
    fresh_pos forgotten; /* position of the newest commit dropped from the ring */
};

enum { RING_KEEP = 4096, SAMPLES = 4096, SAMPLE_MS = 40 };

struct fresh {
    /* immutable after create */
    uint32_t slots;
    fresh_dep tags; /* index of the first mark of tags, of which there are `slots` */
    uint32_t max_stale_ms;
    uint64_t created_wall_ms; /* stands for the epoch in tokens before the first */
    bool break_fence;
    bool break_late_marks;
    _Atomic fresh_pos *marks;   /* 2 * slots + 2 * FRESH_WIDES_MAX; relaxed max, ordered by `now` */
    _Atomic fresh_pos *earlier; /* the change before the last, as far as marks; same order */

    /* atomic */
    _Atomic fresh_pos now;     /* release: advance(); acquire: fresh_stamp(), fresh_applied() */
    _Atomic fresh_pos visible; /* 0: no stamps. release: confirm; acquire: fresh_stamp() */
    _Atomic fresh_pos floor;   /* release: fresh_new_epoch(); acquire: fresh_judge() */
    _Atomic fresh_pos born;    /* A at the first fresh_open(), 0 before it; relaxed */
    _Atomic uint64_t raised;   /* hashed marks raised by commits; relaxed */
    _Atomic uint64_t proof_ms; /* relaxed: a bound, not an order */
    _Atomic uint64_t epoch;    /* relaxed; exact pairs are read under `lock` */

    struct lock lock;
    /* lock */
    fresh_pos base;
    uint64_t start_lsn;
    char **wide_names;
    uint32_t wide_count;
    struct commit_ring ring;
    struct {
        uint64_t ms;
        fresh_pos stamp;   /* that a read begun then would have had; 0: none */
        fresh_pos applied; /* A then */
    } samples[SAMPLES];
    uint64_t sample_count;

    /* follower only */
    fresh_pos confirmed; /* V, also while closed */
    bool open;
    fresh_dep *late; /* break_late_marks: marks of the last commit, written with the next one */
    uint32_t late_count;
    fresh_pos late_pos;
};

static inline fresh_pos pos_next_wal(fresh_pos p)
{
    return (p | POS_N_MASK) + 1;
}

/* Marks `now` as given and returns it. */
fresh_pos pos_give_now(struct fresh *f);
void marks_raise(struct fresh *f, fresh_dep dep, fresh_pos to);
fresh_pos pos_of_lsn_locked(const struct fresh *f, uint64_t lsn) REQUIRES(f->lock);
void ring_reset(struct commit_ring *r);

#endif
