/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of the process: flat set-up, reverse tear-down.
 *
 *      policy ─> threads, listeners (server_start) ─> log read back (server_load) ─> ready
 *                       ─> SIGHUP: reload ... SIGTERM, SIGINT, SHUTDOWN ─> drain ─> stop
 *
 * Signals are blocked in every thread and taken by this one with sigwait(), so no handler ever runs
 * in the middle of anything. What keeps the process from starting is one line on standard error and
 * exit code 1; while it drains a second signal ends it at once, and a thread that does not end is
 * left behind after TEARDOWN_S.
 *
 * Threads: main alone.
 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/watchdog.h"
#include "serve/server.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { TEARDOWN_S = 10, LARGE_BYTES = 4 << 20 };

static void block_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, SIGPIPE);
    (void)sigaddset(set, SIGXFSZ); /* a log file at its limit is a full disk */
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* Connections, files of the database pool, and some spare. */
static void raise_descriptor_limit(const struct policy *p)
{
    struct rlimit limit;
    rlim_t want = p->limits.connections + 256U;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < want) {
        log_warn("daemon",
                 "only %lu file descriptors allowed, limits.connections needs %lu: raise "
                 "`ulimit -n`",
                 (unsigned long)limit.rlim_cur, (unsigned long)want);
    }
}

/* The SHUTDOWN command: the same road as SIGTERM. */
static void shutdown_requested(void *arg)
{
    (void)arg;
    (void)kill(getpid(), SIGTERM);
}

static void log_complaints(const struct buf *complaints, bool valid)
{
    struct slice rest = buf_readable(complaints);
    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
        log_line(valid ? LOG_WARN : LOG_ERROR, "reload", "%.*s", (int)len, rest.ptr);
        rest = slice_from(rest, end != NULL ? len + 1 : len);
    }
}

/* SIGHUP. A file with mistakes, or one that needs a restart, changes nothing. */
static void reload(struct server *server, const struct daemon_options *options)
{
    struct buf text;
    buf_init(&text);
    const struct policy *policy = server_policy_load(options->file, &text);
    log_complaints(&text, policy != NULL);
    buf_clear(&text);
    bool accepted = false;
    if (policy == NULL) {
        log_error("reload",
                  "refused, nothing was changed: correct %s, try it with `freshet check %s`, "
                  "and send SIGHUP again",
                  options->file, options->file);
        server_reload_refused(server);
    } else if (!server_reload(server, policy, &text)) {
        log_error("reload", "refused, nothing was changed: only a restart can change %.*s",
                  (int)buf_len(&text), buf_readable(&text).ptr);
    } else {
        accepted = true;
        char wrong[LOG_SPEC_MAX];
        (void)log_apply_over(&policy->log, options->log_level, wrong); /* was read at start */
    }
    thread_turn(clock_now_us());
    trace(TRACE_RELOAD, accepted, 0, (struct slice){NULL, 0});
    policy_unload(&policy);
    buf_fini(&text);
}

static void wait_for_the_end(const sigset_t *set, struct server *server,
                             const struct daemon_options *options)
{
    int sig = 0;
    while (sig != SIGTERM && sig != SIGINT) {
        if (sigwait(set, &sig) != 0) {
            return;
        }
        if (sig == SIGHUP) {
            reload(server, options);
        }
    }
    log_info("daemon", "stopping: requests in progress may end; a second signal stops at once");
}

static void end_anyway(int sig)
{
    (void)sig;
    static const char text[] =
        "freshet: threads did not end after the drain (a database that does not "
        "answer?); leaving without them\n";
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(0);
}

/* Requests in progress end, or their time does, or a second signal comes; then everything is torn down. A
 * thread that waits for a database which neither answers nor refuses cannot hold that up for long. */
static void stop(struct server **server, const sigset_t *set)
{
    sigset_t enough = *set;
    (void)sigdelset(&enough, SIGHUP);
    (void)sigdelset(&enough, SIGPIPE);
    int hurry_fd = signalfd(-1, &enough, SFD_CLOEXEC);
    server_drain(*server, hurry_fd);
    (void)signal(SIGALRM, end_anyway);
    (void)alarm(TEARDOWN_S);
    server_stop(server);
    (void)alarm(0);
    (void)close(hurry_fd);
}

/* A copy that lives as long as the process, NULL for none. */
static const char *crash_dir(const struct policy *p)
{
    static char dir[256];
    if (p->crash_dir == NULL) {
        return NULL;
    }
    if (access(p->crash_dir, W_OK | X_OK) != 0 || strlen(p->crash_dir) >= sizeof(dir)) {
        log_event(LOG_WARN, "daemon",
                  "crash reports go to standard error only: crash_dir is no directory to write to",
                  log_text("crash_dir", p->crash_dir), log_text("reason", strerror(errno)));
        return NULL;
    }
    (void)snprintf(dir, sizeof(dir), "%s", p->crash_dir);
    return dir;
}

/* A descriptor 2 that is closed would soon be a client's socket, and get the log. */
static void open_standard_descriptors(void)
{
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO) {
        fd = open("/dev/null", O_RDWR);
    }
    if (fd > STDERR_FILENO) {
        (void)close(fd);
    }
}

static void say_ready(const struct server *s)
{
    struct buf line;
    buf_init(&line);
    buf_append_str(&line, "ready ");
    server_addresses(s, &line);
    buf_printf(&line, " took=%.1fms", (double)server_start_us(s) / 1000);
    buf_append_char(&line, '\n');
    struct slice text = buf_readable(&line);
    log_info("daemon", "%.*s", (int)text.len - 1, text.ptr);
    (void)fwrite(text.ptr, 1, text.len, stdout);
    (void)fflush(stdout);
    buf_fini(&line);
}

/* Left to itself, glibc keeps up to 64 MB of what was freed once large buffers have come and gone. */
static void return_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BYTES);
}

/* Takes the reason. The exit code. */
static int give_up(char *why)
{
    (void)fprintf(stderr, "freshet: %s\n", why);
    free(why);
    return 1;
}

/* From the policy to the exit code. */
static int run(const struct policy *policy, const struct daemon_options *options, uint64_t began_us)
{
    sigset_t set;
    crash_setup(crash_dir(policy));
    thread_enter("main", false);
    block_signals(&set);
    raise_descriptor_limit(policy);

    char *why = NULL;
    struct server *server = server_start(
        &(struct server_options){
            .policy = policy,
            .breaks = options->breaks,
            .break_count = options->break_count,
            .request_shutdown = shutdown_requested,
            .began_us = began_us,
        },
        &why);
    if (server == NULL) {
        return give_up(why);
    }
    int code = 0;
    watchdog_start(policy->watchdog_ms);
    if (server_load(server, &why)) {
        say_ready(server);
        wait_for_the_end(&set, server, options);
    } else if (why != NULL) {
        code = give_up(why);
    }
    stop(&server, &set);
    watchdog_stop();
    return code;
}

int daemon_run(const struct daemon_options *options)
{
    uint64_t began_us = clock_now_us();
    return_memory();
    open_standard_descriptors();
    hash_setup();
    struct buf complaints;
    buf_init(&complaints);
    const struct policy *policy = server_policy_load(options->file, &complaints);
    (void)fwrite(buf_readable(&complaints).ptr, 1, buf_len(&complaints), stderr);
    buf_fini(&complaints);
    if (policy == NULL) {
        return 1;
    }
    char wrong[LOG_SPEC_MAX];
    int code = 1;
    if (log_apply_over(&policy->log, options->log_level, wrong)) {
        code = run(policy, options, began_us);
    } else {
        (void)fprintf(stderr, "freshet: --log-level: %s\n", wrong);
    }
    policy_unload(&policy);
    return code;
}
