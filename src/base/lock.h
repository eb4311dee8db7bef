/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one mutex wrapper. Locks have ranks, in the order in which they may be taken (ARCHITECTURE.md says
 * what each guards): in debug builds taking a lock of a rank not above the highest already held by this
 * thread fails a check, so a lock-order mistake shows at its first run, not at its first deadlock. No lock
 * is held across a call into another module's callback, and none across I/O.
 *
 * LOCK_RANK_FILE breaks the latter (docs/principles.md, 10): what is written to the log must be taken from
 * the journal and written in one order, whoever does it.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/role.h"

#include <pthread.h>
#include <stdbool.h>

enum lock_rank {
    LOCK_RANK_GATE,    /* store gates, in thread order (same rank, ascending address) */
    LOCK_RANK_FILL,    /* who fills what: flights of routes, the herd of Redis keys */
    LOCK_RANK_PLAN,    /* current plan pointer */
    LOCK_RANK_FILE,    /* the log's file; alone held across I/O */
    LOCK_RANK_SHARD,   /* store shards; a second one is only tried */
    LOCK_RANK_MISS,    /* tables of misses, names of tags, refusals */
    LOCK_RANK_FRESH,   /* registration and recent commits */
    LOCK_RANK_WATCH,   /* slow log, latency, bases of statistics, users, tracking */
    LOCK_RANK_PUBSUB,  /* topics and inboxes */
    LOCK_RANK_SCRIPT,  /* which scripts exist */
    LOCK_RANK_JOURNAL, /* effects on their way to the log */
    LOCK_RANK_MAILBOX, /* message queues */
    LOCK_RANK_LOG,     /* log lines, times of fills; innermost */
};

struct CAPABILITY("lock") lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

/* Errors of the mutex are bugs of ours: they fail a check. */
void lock_init(struct lock *l, enum lock_rank rank);
void lock_fini(struct lock *l);
void lock_acquire(struct lock *l) ACQUIRE(l);
/* False: somebody has it. */
bool lock_try(struct lock *l) TRY_ACQUIRE(true, l);
void lock_release(struct lock *l) RELEASE(l);

#endif
