/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one mutex wrapper. Locks have ranks (lock.def order in ARCHITECTURE.md): in debug builds taking
 * a lock of a rank not above the highest already held by this thread fails a check, so a lock-order
 * mistake shows at its first run, not at its first deadlock. No lock is held across a call into
 * another module's callback, and none across I/O.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/role.h"

#include <pthread.h>
#include <stdbool.h>

enum lock_rank {
    LOCK_RANK_GATE,    /* store gates, in thread order (same rank, ascending address) */
    LOCK_RANK_FILL,    /* single-flight table */
    LOCK_RANK_PLAN,    /* current plan pointer */
    LOCK_RANK_FILE,    /* the log's file; alone held across I/O, with nothing else held before */
    LOCK_RANK_SHARD,   /* one store shard */
    LOCK_RANK_MISS,    /* miss table */
    LOCK_RANK_FRESH,   /* registration and recent commits */
    LOCK_RANK_WATCH,   /* slow log, latency, bases of statistics */
    LOCK_RANK_PUBSUB,  /* topics and inboxes */
    LOCK_RANK_SCRIPT,  /* which scripts exist */
    LOCK_RANK_JOURNAL, /* effects on their way to the log */
    LOCK_RANK_MAILBOX, /* message queues */
    LOCK_RANK_LOG,     /* innermost */
};

struct CAPABILITY("lock") lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

void lock_init(struct lock *l, enum lock_rank rank);
void lock_fini(struct lock *l);
void lock_acquire(struct lock *l) ACQUIRE(l);
/* False: somebody has it. */
bool lock_try(struct lock *l) TRY_ACQUIRE(true, l);
void lock_release(struct lock *l) RELEASE(l);

#endif
