/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crash: what is said when this process dies of a mistake of ours, or is stuck.
 *
 * On SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT (so also on a failed check) a report goes to standard
 * error, and to a file if a directory was named: version and build id, signal and address, what the
 * thread had in hand, its backtrace and last trace events, the other threads, connections, memory.
 * Then the signal takes its usual course: exit status and core dump are the real ones. A report holds
 * names, keys and paths, cut short; never values, bodies, parameters or passwords.
 *
 * Builds with a sanitizer leave faults to it and report only what aborts.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct thread;

enum { CRASH_BUILD_ID_MAX = 64 };

/* Once, before other threads start. `dir` (NULL: none) must outlive the process; reports become
 * DIR/freshet-crash-PID.txt there. */
void crash_setup(const char *dir);
/* A number that every report shows; at most four. It takes the place of the one of that name before; NULL: it is
 * gone. */
void crash_figure(const char *name, const _Atomic uint32_t *value);

/* thread.c's: faults of the calling thread, whose place is `index`, and questions to it arrive. */
void crash_arm_thread(uint32_t index);
void crash_disarm_thread(void);

/* The calling thread cannot go on: reports `reason` and aborts. Any thread, any time. */
_Noreturn void crash_abort(const char *reason);

/* Reports a thread that has not moved for `seconds`, with its live backtrace; then returns, or
 * (`fatal`) aborts. The watchdog's thread. */
void crash_report_stuck(struct thread *t, uint32_t seconds, bool fatal);

#endif
