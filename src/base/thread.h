/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thread: the threads of this process, for those who look at them from outside: `freshet tail`, crash
 * reports, the watchdog.
 *
 * A thread that matters registers itself when it begins and leaves when it ends. Its place is static memory
 * and is never freed, so a signal handler may look at all of them at any time.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/trace.h"

enum { THREAD_MAX = 96, THREAD_NAME = 16, THREAD_FRAMES = 48, THREAD_ABOUT = 48 };

/* What a thread has in hand. Written by the thread, read by it and by signal handlers that run on it. */
struct thread_work {
    const char *doing;  /* static: "GET", "set"; NULL: nothing */
    const char *step;   /* static; NULL: none */
    struct slice about; /* path without query, or key; valid while it is set */
};

/* What a thread says of itself when asked by a signal. */
struct thread_testimony {
    _Atomic uint32_t given; /* number of the question it answers; release: thread, acquire: asker */
    int frame_count;
    void *frames[THREAD_FRAMES];
    const char *doing;
    const char *step;
    char about[THREAD_ABOUT + 1];
};

struct thread {
    _Atomic int tid; /* 0: a free place; release: thread_enter(); acquire: who looks */
    char name[THREAD_NAME];
    bool must_turn;          /* it has an event loop that never waits elsewhere */
    _Atomic uint64_t turns;  /* relaxed: the watchdog compares */
    _Atomic bool is_resting; /* relaxed: waits for events */
    /* Relaxed: what it does may take long, and is nobody's mistake but a user's. */
    _Atomic bool is_patient;
    struct thread_work work;
    struct thread_testimony testimony;
    struct trace_ring ring;
};

/* NULL in a thread that did not register. */
extern _Thread_local struct thread *thread_self;

/* The calling thread registers under `name` (at most 15 bytes are kept); faults and questions reach it
 * from now on (base/crash.h). `must_turn`: the watchdog minds it. */
void thread_enter(const char *name, bool must_turn);
void thread_leave(void);

/* The place with that index, NULL when it is free. Any thread, and signal handlers. */
struct thread *thread_at(uint32_t index);

/* The loop is about to wait, and has a new turn before it. */
static inline void thread_rest(void)
{
    if (thread_self != NULL) {
        atomic_store_explicit(&thread_self->is_resting, true, memory_order_relaxed);
    }
}

/* The loop begins a turn at this time of clock_now_us(). */
void thread_turn(uint64_t now_us);

/* While this is so the watchdog tells of a long turn, and does not end the process for it. */
static inline void thread_be_patient(bool is_patient)
{
    if (thread_self != NULL) {
        atomic_store_explicit(&thread_self->is_patient, is_patient, memory_order_relaxed);
    }
}

/* What the thread works on now; see struct thread_work. A signal handler that
 * comes in between sees nothing in hand, never half of it. */
static inline void thread_does(const char *doing, struct slice about)
{
    struct thread *t = thread_self;
    if (t != NULL) {
        t->work.doing = NULL;
        atomic_signal_fence(memory_order_seq_cst);
        t->work.about = about;
        t->work.step = NULL;
        atomic_signal_fence(memory_order_seq_cst);
        t->work.doing = doing;
    }
}

static inline void thread_done(void)
{
    if (thread_self != NULL) {
        thread_self->work.doing = NULL;
    }
}

static inline void thread_steps(const char *step)
{
    if (thread_self != NULL) {
        thread_self->work.step = step;
    }
}

#endif
