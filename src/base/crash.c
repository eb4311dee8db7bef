/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Crash reports, made inside signal handlers.
 *
 *   fault or abort ─> on_fatal ─> report: head, reason, this thread, the others ─> the signal's default
 *   watchdog ─> crash_report_stuck ─> question (QUESTION signal) ─> on_question, in that thread
 *
 * Everything here is async-signal-safe: no allocation, no stdio, no lock. The exceptions are backtrace() and
 * backtrace_symbols_fd(): glibc loads the unwinder at the first call (crash_setup() makes it), and afterwards
 * they neither allocate nor, with gcc 12 and glibc 2.35 or later, lock to unwind.
 *
 * Invariants
 *   C1. One report at a time; a second thread that faults meanwhile waits for the end.
 *   C2. A fault while reporting skips the part that faulted, not the report: each part runs behind
 *       sigsetjmp().
 *   C3. A report ends: writes wait at most WRITE_WAIT_MS, threads are waited for at most ANSWER_MS, and
 *       SIGALRM ends it all after REPORT_S.
 *   C4. Handlers run on a stack of their own, so a stack overflow is reported too.
 *
 * Threads: any; handlers in the thread that faulted or was asked.
 *
 * Not done: names of static functions. Frames have offsets for addr2line, which knows them.
 */
#include "base/crash.h"

#include "base/check.h"
#include "base/crash_text.h"
#include "base/thread.h"

#include <errno.h>
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAULTS_ARE_OURS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define FAULTS_ARE_OURS false
#else
#define FAULTS_ARE_OURS true
#endif
#else
#define FAULTS_ARE_OURS true
#endif

enum {
    STACK_BYTES = 64 * 1024,
    ANSWER_MS = 500,
    REPORT_S = 10,
};

#define QUESTION (SIGRTMIN + 1)

static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};

/* set before threads start */
static const char *report_dir;
static bool is_set_up;
static char stacks[THREAD_MAX][STACK_BYTES] __attribute__((aligned(16)));

/* of the report being made */
static _Atomic int reporter;             /* tid; 0: none. acq_rel: who comes first reports */
static sigjmp_buf part_env;              /* reporter only */
static volatile int final_signal;        /* reporter, then SIGALRM's handler */
static const char *_Atomic abort_reason; /* release: crash_abort(); acquire: the report */
static _Atomic uint32_t question;        /* number of the last question; relaxed */

/* --- parts of a report -------------------------------------------------------------------------- */

/* Runs one part; a fault in it is said and ends the part alone. */
#define part(statement)                                                                            \
    do {                                                                                           \
        if (sigsetjmp(part_env, 1) == 0) {                                                         \
            statement;                                                                             \
        } else {                                                                                   \
            crash_put("\n(this part of the report failed)\n");                                     \
        }                                                                                          \
    } while (0)

/* --- what a thread says of itself --------------------------------------------------------------- */

/* The frames of the thread itself: those of the signal handler, on top, are left out. */
static void take_frames(struct thread_testimony *mine, const ucontext_t *context)
{
    int count = backtrace(mine->frames, THREAD_FRAMES);
    int first = 0;
    while (first < count && mine->frames[first] != crash_place_of(context)) {
        first++;
    }
    first = first < count ? first : 0; /* a jump to nowhere: all that there is */
    memmove(mine->frames, mine->frames + first, (size_t)(count - first) * sizeof(mine->frames[0]));
    mine->frame_count = count - first;
}

static void take_work(struct thread *t)
{
    struct thread_testimony *mine = &t->testimony;
    mine->doing = t->work.doing;
    mine->step = t->work.step;
    size_t len = t->work.doing != NULL ? t->work.about.len : 0;
    len = len < THREAD_ABOUT ? len : THREAD_ABOUT;
    if (len > 0) {
        memcpy(mine->about, t->work.about.ptr, len);
    }
    mine->about[len] = '\0';
}

static void on_question(int sig, siginfo_t *info, void *context)
{
    int before = errno;
    struct thread *t = thread_self;
    if (t != NULL) {
        uint32_t number = atomic_load_explicit(&question, memory_order_acquire);
        take_work(t);
        take_frames(&t->testimony, context);
        atomic_store_explicit(&t->testimony.given, number, memory_order_release);
    }
    errno = before;
}

/* True when it has answered in time. */
static bool ask(struct thread *t, uint32_t number, uint64_t deadline_ms)
{
    int tid = atomic_load_explicit(&t->tid, memory_order_relaxed);
    if (syscall(SYS_tgkill, getpid(), tid, QUESTION) != 0) {
        return false;
    }
    while (atomic_load_explicit(&t->testimony.given, memory_order_acquire) != number) {
        if (crash_now_ms() > deadline_ms) {
            return false;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return true;
}

static void put_asked(struct thread *t, uint32_t number, uint64_t deadline_ms)
{
    crash_put_thread_name(t);
    if (!ask(t, number, deadline_ms)) {
        crash_put("it does not answer\n");
        return;
    }
    const struct thread_testimony *said = &t->testimony;
    crash_put_work(said->doing, said->step, said->about);
    crash_put_frames(said->frames, said->frame_count);
}

static void put_others(const struct thread *me)
{
    uint32_t number = atomic_fetch_add_explicit(&question, 1, memory_order_acq_rel) + 1;
    uint64_t deadline_ms = crash_now_ms() + ANSWER_MS;
    crash_put("--- other threads\n");
    for (uint32_t i = 0; i < THREAD_MAX; i++) {
        struct thread *t = thread_at(i);
        if (t != NULL && t != me) {
            part(put_asked(t, number, deadline_ms));
        }
    }
}

/* --- a fatal signal ----------------------------------------------------------------------------- */

static void put_this_thread(const ucontext_t *context)
{
    struct thread *t = thread_self;
    static struct thread_testimony mine; /* one reporter */
    if (t != NULL) {
        crash_put_thread_name(t);
        part(take_work(t));
        part(take_frames(&t->testimony, context));
        part(crash_put_work(t->testimony.doing, t->testimony.step, t->testimony.about));
        part(crash_put_frames(t->testimony.frames, t->testimony.frame_count));
        part(crash_put_events(t));
    } else {
        crash_put("thread: one that did not register, tid ");
        crash_put_number((uint64_t)gettid());
        crash_put("\n");
        part(take_frames(&mine, context));
        part(crash_put_frames(mine.frames, mine.frame_count));
    }
}

static void put_head(const char *reason)
{
    crash_put("\n=== freshet crash report ===\n");
    if (reason != NULL) {
        crash_put("reason: ");
        crash_put(reason);
        crash_put("\n");
    }
}

static void put_tail(const struct thread *me)
{
    part(crash_put_figures());
    part(put_others(me));
    crash_put("=== end of crash report; please send it with the build id ===\n");
}

static void end_by(int sig)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    (void)sigaction(sig, &usual, NULL);
    sigset_t one;
    (void)sigemptyset(&one);
    (void)sigaddset(&one, sig);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

/* The report hangs: end now. */
static void on_alarm(int sig)
{
    end_by(final_signal);
    (void)kill(getpid(), final_signal);
}

static void begin_report(int sig)
{
    final_signal = sig;
    struct sigaction act = {.sa_handler = on_alarm};
    (void)sigaction(SIGALRM, &act, NULL);
    sigset_t one;
    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGALRM);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    (void)alarm(REPORT_S);
    crash_out_open(report_dir);
}

static void on_fatal(int sig, siginfo_t *info, void *context)
{
    int me = (int)gettid();
    int nobody = 0;
    if (!atomic_compare_exchange_strong_explicit(&reporter, &nobody, me, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        if (nobody == me) {
            siglongjmp(part_env, 1);
        }
        for (;;) {
            (void)pause(); /* the reporter ends the process */
        }
    }
    begin_report(sig);
    part(put_head(atomic_load_explicit(&abort_reason, memory_order_acquire)));
    part(crash_put_signal(sig, info, context));
    part(crash_put_version());
    put_this_thread(context);
    put_tail(thread_self);
    crash_out_close();
    end_by(sig);
    if (info->si_code <= 0) {
        (void)raise(sig); /* sent, not caused by the instruction we return to */
    }
}

_Noreturn void crash_abort(const char *reason)
{
    const char *none = NULL;
    (void)atomic_compare_exchange_strong_explicit(&abort_reason, &none, reason,
                                                  memory_order_acq_rel, memory_order_acquire);
    if (!is_set_up) {
        crash_out_open(NULL);
        crash_put("freshet: ");
        crash_put(reason);
        crash_put("\n");
    }
    abort();
}

/* --- a stuck thread ----------------------------------------------------------------------------- */

static void put_stuck(struct thread *t, uint32_t seconds)
{
    uint32_t number = atomic_fetch_add_explicit(&question, 1, memory_order_acq_rel) + 1;
    put_head(NULL);
    crash_put("reason: thread ");
    crash_put(t->name);
    crash_put(" has not moved for ");
    crash_put_number(seconds);
    crash_put(" s\n");
    crash_put_version();
    put_asked(t, number, crash_now_ms() + ANSWER_MS);
    crash_put_events(t);
    crash_put_figures();
}

void crash_report_stuck(struct thread *t, uint32_t seconds, bool fatal)
{
    int nobody = 0;
    if (!atomic_compare_exchange_strong_explicit(&reporter, &nobody, (int)gettid(),
                                                 memory_order_acq_rel, memory_order_acquire)) {
        return;
    }
    crash_out_open(report_dir);
    part(put_stuck(t, seconds));
    if (fatal) {
        part(put_others(t));
    }
    crash_put(fatal ? "=== end of crash report: the process ends ===\n"
                    : "=== end of crash report: the process goes on ===\n");
    crash_out_close();
    if (fatal) {
        end_by(SIGABRT);
        abort();
    }
    atomic_store_explicit(&reporter, 0, memory_order_release);
}

/* --- setting up --------------------------------------------------------------------------------- */

void crash_setup(const char *dir)
{
    void *frame;
    report_dir = dir;
    crash_find_build_id();
    (void)backtrace(&frame, 1); /* loads the unwinder */
    struct sigaction fatal = {.sa_sigaction = on_fatal,
                              .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    struct sigaction asked = {.sa_sigaction = on_question,
                              .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    check(sigaction(SIGABRT, &fatal, NULL) == 0);
    check(sigaction(QUESTION, &asked, NULL) == 0);
    for (size_t i = 0; FAULTS_ARE_OURS && i < array_len(fault_signals); i++) {
        check(sigaction(fault_signals[i], &fatal, NULL) == 0);
    }
    is_set_up = true;
}

void crash_arm_thread(uint32_t index)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < array_len(fault_signals); i++) {
        (void)sigaddset(&set, fault_signals[i]);
    }
    (void)sigaddset(&set, SIGABRT);
    (void)sigaddset(&set, QUESTION);
    check(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    if (FAULTS_ARE_OURS) {
        stack_t stack = {.ss_sp = stacks[index], .ss_size = STACK_BYTES};
        check(sigaltstack(&stack, NULL) == 0);
    }
}

void crash_disarm_thread(void)
{
    if (FAULTS_ARE_OURS) {
        stack_t none = {.ss_flags = SS_DISABLE};
        check(sigaltstack(&none, NULL) == 0);
    }
}
