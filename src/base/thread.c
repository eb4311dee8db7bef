/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The places of all threads, in static memory: a signal handler, the watchdog and /trace walk over
 * them without a lock. A place is taken under one and given back by setting `tid` to 0; what it
 * holds stays readable.
 *
 * Threads: thread_enter(), thread_leave(), thread_turn(): their own; thread_at(): any, and signal
 * handlers.
 */
#include "base/thread.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/lock.h"

#include <pthread.h>
#include <unistd.h>

/* 12 MB that are never touched unless a thread is there. */
static struct thread threads[THREAD_MAX];
static struct lock places = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_RANK_LOG};

_Thread_local struct thread *thread_self;

static struct thread *free_place(void)
{
    for (uint32_t i = 0; i < THREAD_MAX; i++) {
        if (atomic_load_explicit(&threads[i].tid, memory_order_relaxed) == 0) {
            return &threads[i];
        }
    }
    return NULL;
}

void thread_enter(const char *name, bool must_turn)
{
    check(thread_self == NULL);
    lock_acquire(&places);
    struct thread *t = free_place();
    check(t != NULL);
    size_t len = strlen(name) < THREAD_NAME - 1 ? strlen(name) : THREAD_NAME - 1;
    memcpy(t->name, name, len);
    t->name[len] = '\0';
    t->must_turn = must_turn;
    t->work = (struct thread_work){0};
    atomic_store_explicit(&t->ring.now_us, clock_now_us(), memory_order_relaxed);
    atomic_store_explicit(&t->is_resting, false, memory_order_relaxed);
    atomic_store_explicit(&t->tid, (int)gettid(), memory_order_release);
    lock_release(&places);
    if ((int)gettid() != (int)getpid()) { /* the first thread's name is the process's */
        (void)pthread_setname_np(pthread_self(), t->name);
    }
    thread_self = t;
    crash_arm_thread((uint32_t)(t - threads));
}

void thread_leave(void)
{
    struct thread *t = thread_self;
    if (t != NULL) {
        crash_disarm_thread();
        thread_self = NULL;
        atomic_store_explicit(&t->tid, 0, memory_order_release);
    }
}

struct thread *thread_at(uint32_t index)
{
    struct thread *t = &threads[index];
    return atomic_load_explicit(&t->tid, memory_order_acquire) != 0 ? t : NULL;
}

void thread_turn(uint64_t now_us)
{
    struct thread *t = thread_self;
    if (t != NULL) {
        atomic_store_explicit(&t->ring.now_us, now_us, memory_order_relaxed);
        uint64_t turns = atomic_load_explicit(&t->turns, memory_order_relaxed);
        atomic_store_explicit(&t->turns, turns + 1, memory_order_relaxed);
        atomic_store_explicit(&t->is_resting, false, memory_order_relaxed);
    }
}
