/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The watchdog's clock is a count of its own ticks, each worth at most TICK_MS: whatever stops the whole
 * process, or moves a clock, stops or moves nothing here.
 *
 * Threads: its own; start and stop from main.
 */
#include "base/watchdog.h"

#include "base/check.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/thread.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TICK_MS = 250 };

struct watched {
    uint64_t turns;    /* at which it was seen last */
    uint64_t stuck_ms; /* ticks without a turn, in milliseconds */
    bool is_told;
};

static struct watched seen[THREAD_MAX]; /* the watchdog's thread */
static uint32_t limit;
static pthread_t thread;
static int stop_fd = -1;

static void look_at(struct thread *t, struct watched *w, uint64_t step_ms)
{
    uint64_t turns = atomic_load_explicit(&t->turns, memory_order_relaxed);
    if (!t->must_turn || turns != w->turns ||
        atomic_load_explicit(&t->is_resting, memory_order_relaxed)) {
        if (w->is_told) {
            log_event(LOG_WARN, "daemon", "the stuck thread moves again",
                      log_text("thread", t->name), log_number("after_ms", w->stuck_ms));
        }
        *w = (struct watched){.turns = turns};
        return;
    }
    w->stuck_ms += step_ms;
    bool is_patient = atomic_load_explicit(&t->is_patient, memory_order_relaxed);
    bool fatal = w->stuck_ms >= 2 * (uint64_t)limit && !is_patient;
    if (is_patient && w->stuck_ms >= limit && !w->is_told) {
        w->is_told = true;
        log_event(LOG_WARN, "daemon",
                  "one function of a script takes very long (a pattern of string.find, say); its "
                  "worker's clients wait for it, and SCRIPT KILL comes after it",
                  log_text("thread", t->name), log_number("for_ms", w->stuck_ms));
    } else if (fatal || (w->stuck_ms >= limit && !w->is_told)) {
        w->is_told = true;
        log_event(LOG_ERROR, "daemon", "a thread is stuck", log_text("thread", t->name),
                  log_number("for_ms", w->stuck_ms));
        crash_report_stuck(t, (uint32_t)(w->stuck_ms / 1000), fatal);
    }
}

static void *body(void *arg)
{
    thread_enter("watchdog", false);
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
    uint32_t step_ms = limit > 0 && limit / 4 < TICK_MS ? limit / 4 + 1 : TICK_MS;
    while (poll(&stop, 1, (int)step_ms) <= 0) {
        log_catch_up();
        for (uint32_t i = 0; limit > 0 && i < THREAD_MAX; i++) {
            struct thread *t = thread_at(i);
            if (t != NULL) {
                look_at(t, &seen[i], step_ms);
            } else {
                seen[i] = (struct watched){0};
            }
        }
    }
    thread_leave();
    return NULL;
}

void watchdog_start(uint32_t limit_ms)
{
    sigset_t all;
    sigset_t before;
    limit = limit_ms;
    stop_fd = eventfd(0, EFD_CLOEXEC);
    check(stop_fd >= 0);
    (void)sigfillset(&all);
    check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    check(pthread_create(&thread, NULL, body, NULL) == 0);
    check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

void watchdog_stop(void)
{
    if (stop_fd < 0) {
        return;
    }
    uint64_t one = 1;
    (void)!write(stop_fd, &one, sizeof(one));
    check(pthread_join(thread, NULL) == 0);
    (void)close(stop_fd);
    stop_fd = -1;
}
