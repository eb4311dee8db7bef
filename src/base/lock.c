/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks with ranks. In debug builds each thread counts what it holds by rank, and taking a lock
 * below one that it holds fails a check: the order is wrong even if nobody happened to be waiting.
 * A lock that is only tried cannot deadlock, but is held to the same order.
 *
 * Threads: any.
 */
#include "base/lock.h"

#include "base/check.h"

struct thread_role follower_role;
struct thread_role keeper_role;
struct thread_role worker_role;

#ifdef FRESHET_DEBUG
static _Thread_local unsigned lock_held[LOCK_RANK_LOG + 1];

static void rank_enter(enum lock_rank rank)
{
    for (unsigned r = (unsigned)rank + 1; r < array_len(lock_held); r++) {
        check(lock_held[r] == 0);
    }
    /* Gates may be taken several times, in address order; so may shards, of which a second is tried only
     * (store.h, S2). */
    check(rank == LOCK_RANK_GATE || rank == LOCK_RANK_SHARD || lock_held[rank] == 0);
    lock_held[rank]++;
}

static void rank_leave(enum lock_rank rank)
{
    check(lock_held[rank] > 0);
    lock_held[rank]--;
}
#else
#define rank_enter(rank) ((void)(rank))
#define rank_leave(rank) ((void)(rank))
#endif

void lock_init(struct lock *l, enum lock_rank rank)
{
    check(pthread_mutex_init(&l->mutex, NULL) == 0);
    l->rank = rank;
}

void lock_fini(struct lock *l)
{
    check(pthread_mutex_destroy(&l->mutex) == 0);
}

NO_THREAD_SAFETY void lock_acquire(struct lock *l)
{
    rank_enter(l->rank);
    check(pthread_mutex_lock(&l->mutex) == 0);
}

NO_THREAD_SAFETY bool lock_try(struct lock *l)
{
    if (pthread_mutex_trylock(&l->mutex) != 0) {
        return false;
    }
    rank_enter(l->rank);
    return true;
}

NO_THREAD_SAFETY void lock_release(struct lock *l)
{
    check(pthread_mutex_unlock(&l->mutex) == 0);
    rank_leave(l->rank);
}
