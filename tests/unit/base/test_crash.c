/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crash: reports of children that die in the ways that make reporting hard: no stack left, a jump to
 * nowhere, what it has in hand cannot be read, a thread that nobody knows, nobody who reads the report.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/crash.h"
#include "base/thread.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static char report[1 << 18];

/* Runs `die` in a child that is set up like the daemon; its signal, and what it said in `report`. */
static int signal_of(void (*die)(void))
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)dup2(fds[1], STDERR_FILENO);
        (void)close(fds[0]);
        (void)close(fds[1]);
        crash_setup(NULL);
        thread_enter("dying", false);
        trace(TRACE_REQUEST, 42, 0, SLICE("/last/words"));
        die();
        _exit(0);
    }
    (void)close(fds[1]);
    size_t len = 0;
    ssize_t got;
    while ((got = read(fds[0], report + len, sizeof(report) - 1 - len)) > 0) {
        len += (size_t)got;
    }
    report[len] = '\0';
    (void)close(fds[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return WTERMSIG(status);
}

static void assert_said(const char *what)
{
    if (strstr(report, what) == NULL) {
        fail_msg("`%s` is not in the report:\n%s", what, report);
    }
}

static void assert_whole(void)
{
    assert_said("\n=== freshet crash report ===\n");
    assert_said("version: freshet " FRESHET_VERSION ", build id ");
    assert_said("thread: dying, tid ");
    assert_said("request connection=42 /last/words\n");
    assert_said("VmRSS:");
    assert_said("=== end of crash report");
}

static void fail_a_check(void)
{
    thread_does("GET", SLICE("key:1"));
    thread_steps("lookup");
    check(1 > 2);
}

static void a_failed_check_is_named(void **state)
{
    assert_int_equal(signal_of(fail_a_check), SIGABRT);
    assert_whole();
    assert_said("test_crash.c:");
    assert_said("check failed: 1 > 2\n");
    assert_said("in hand: GET key:1, step lookup\n");
}

#ifndef SANITIZED
static void work_on_something_gone(void)
{
    thread_does("GET", (struct slice){(const char *)16, 8});
    check(!"unreadable");
}

static void kill_itself(void)
{
    (void)raise(SIGBUS);
}

static void what_cannot_be_read_does_not_end_the_report(void **state)
{
    assert_int_equal(signal_of(work_on_something_gone), SIGABRT);
    assert_whole();
    assert_said("(this part of the report failed)");
}

static volatile int depth;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winfinite-recursion"
static int recurse(int n)
{
    volatile char room[4096];
    room[0] = (char)n;
    depth = n;
    return recurse(n + 1) + room[0];
}
#pragma GCC diagnostic pop

static void overflow(void)
{
    depth = recurse(0);
}

static void a_stack_overflow_is_reported(void **state)
{
    assert_int_equal(signal_of(overflow), SIGSEGV);
    assert_whole();
    assert_said("signal: 11 SIGSEGV, address 0x");
}

static void jump_to_nowhere(void)
{
    void (*volatile nowhere)(void) = NULL;
    nowhere();
}

static void a_jump_to_nowhere_is_reported(void **state)
{
    assert_int_equal(signal_of(jump_to_nowhere), SIGSEGV);
    assert_whole();
    assert_said("instruction 0x0\n");
}

static void divide(void)
{
    volatile int seven = 7;
    volatile int zero = 0;
    depth = seven / zero;
}

static void a_division_by_zero_is_reported(void **state)
{
    assert_int_equal(signal_of(divide), SIGFPE);
    assert_whole();
    assert_said("SIGFPE");
}

static void a_signal_sent_from_outside_is_reported_with_its_sender(void **state)
{
    assert_int_equal(signal_of(kill_itself), SIGBUS);
    assert_whole();
    assert_said("SIGBUS, sent by process ");
}
#endif

static void *abort_unknown(void *arg)
{
    abort();
}

static void abort_in_another(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, abort_unknown, NULL) == 0) {
        (void)pthread_join(thread, NULL);
    }
}

static void a_thread_that_did_not_register_is_reported(void **state)
{
    assert_int_equal(signal_of(abort_in_another), SIGABRT);
    assert_said("thread: one that did not register, tid ");
    assert_said("--- other threads\nthread: dying, tid ");
    assert_said("=== end of crash report");
}

/* Its standard error is a full pipe whose reader does not read. */
static void abort_unheard(void)
{
    int fds[2];
    char byte = 'x';
    if (pipe2(fds, O_NONBLOCK) == 0) {
        while (write(fds[1], &byte, 1) == 1) {
        }
        (void)fcntl(fds[1], F_SETFL, 0);
        (void)dup2(fds[1], STDERR_FILENO);
    }
    abort();
}

static void a_report_that_nobody_reads_does_not_hold_up_the_end(void **state)
{
    assert_int_equal(signal_of(abort_unheard), SIGABRT);
    assert_string_equal(report, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_check_is_named),
#ifndef SANITIZED
        cmocka_unit_test(what_cannot_be_read_does_not_end_the_report),
        cmocka_unit_test(a_stack_overflow_is_reported),
        cmocka_unit_test(a_jump_to_nowhere_is_reported),
        cmocka_unit_test(a_division_by_zero_is_reported),
        cmocka_unit_test(a_signal_sent_from_outside_is_reported_with_its_sender),
#endif
        cmocka_unit_test(a_thread_that_did_not_register_is_reported),
        cmocka_unit_test(a_report_that_nobody_reads_does_not_hold_up_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
