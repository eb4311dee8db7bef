/* SPDX-License-Identifier: BSD-3-Clause */
/* The sentences of a crash report. Private to crash.c; async-signal-safe. */
#ifndef BASE_CRASH_TEXT_H
#define BASE_CRASH_TEXT_H

#include "base/crash_out.h"
#include "base/thread.h"

#include <signal.h>
#include <ucontext.h>

/* Once, before there are threads: looks for the linker's build id. */
void crash_find_build_id(void);

/* Where the thread was when the signal came; NULL: not known on this machine. */
void *crash_place_of(const ucontext_t *context);

void crash_put_version(void);
void crash_put_signal(int sig, const siginfo_t *info, const ucontext_t *context);
/* `doing` and `step` may be NULL. */
void crash_put_work(const char *doing, const char *step, const char *about);
void crash_put_thread_name(const struct thread *t);
void crash_put_frames(void *const *frames, int count);
/* The last of its trace events. */
void crash_put_events(const struct thread *t);
void crash_put_figures(void);

#endif
