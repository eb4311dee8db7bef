/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One command, run: served to those who wait for what it writes, counted, timed, shown to those who
 * watch (MONITOR, SLOWLOG, tracking, keyspace events).
 *
 * resp_run() is what a client asked for; resp_perform() is the command alone, as EXEC, scripts and clients that
 * were blocked have it done.
 *
 * Threads: the connection's worker.
 */
#include "serve/blocked.h"
#include "serve/command_stats.h"
#include "serve/durable.h"
#include "serve/events.h"
#include "serve/monitor.h"
#include "serve/scripting.h"
#include "serve/slowlog.h"
#include "serve/touched.h"
#include "serve/tracking.h"

#include "base/clock.h"
#include "base/thread.h"

enum { SMALL_REPLY = 1024 };

/* True: it was an error. */
bool resp_count_reply(struct resp_client *c, size_t before)
{
    const struct buf *out = &c->conn.out;
    bool failed = buf_len(out) > before && out->mem[out->start + before] == '-';
    if (__builtin_expect(failed && !c->error_told, 0)) {
        struct slice text = slice_from(buf_readable(out), before + 1);
        serve_count(c->worker, resp_errors);
        command_stats_error(c->worker, text);
        trace(TRACE_REPLY_ERROR, c->conn.id, 0, text);
    }
    c->error_told = false;
    return failed;
}

/* Whose name a slow command gets: of a script's, who runs the script; NULL: nobody's. */
static struct resp_client *who_asked(struct resp_client *c)
{
    return c->detached ? scripting_caller(c) : c;
}

/* A command that ran has cost this much. What was slow is kept for those who ask. */
static void note_slow(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                      uint32_t argc, uint64_t us)
{
    struct server *s = c->worker->server;
    int64_t slow_us = atomic_load_explicit(&s->settings.slowlog_us, memory_order_relaxed);
    if (c->waiter != NULL) {
        return; /* it has only begun to wait: resp_account_late() */
    }
    if (slow_us >= 0 && us >= (uint64_t)slow_us && who_asked(c) != NULL &&
        (cmd->flags & COMMAND_SKIP_SLOWLOG) == 0 && setting_get(&s->settings.slowlog_max) > 0) {
        slowlog_note(who_asked(c), cmd, argv, argc, us);
    }
    if (latency_is_slow(s, us / 1000) && cmd->run != cmd_exec) {
        latency_note(s, (cmd->flags & COMMAND_FAST) != 0 ? "fast-command" : "command", us / 1000);
    }
}

void resp_account_late(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                       uint32_t argc, uint64_t us, struct slice reply)
{
    if (reply.len > 0 && *reply.ptr == '-') {
        serve_count(c->worker, resp_errors);
        command_stats_error(c->worker, slice_from(reply, 1));
        command_stats_failed(c->worker, cmd);
    }
    note_slow(c, cmd, argv, argc, us);
}

static inline void account(struct resp_client *c, const struct command *cmd,
                           const struct slice *argv, uint32_t argc, uint64_t began_us, bool failed)
{
    struct worker *w = c->worker;
    const struct server_settings *settings = &w->server->settings;
    w->clock_us = clock_now_us();
    uint64_t us = w->clock_us - began_us;
    command_stats_ran(w, cmd, us, failed);
    int64_t slow_us = atomic_load_explicit(&settings->slowlog_us, memory_order_relaxed);
    if (__builtin_expect(us >= (uint64_t)slow_us || latency_is_slow(w->server, us / 1000), 0)) {
        note_slow(c, cmd, argv, argc, us);
    }
}

/* Takes back the reply of a command that said too much. */
static void refuse_reply(struct resp_client *c, size_t before)
{
    buf_truncate(&c->conn.out, before);
    c->reply_failed = false;
    serve_count(c->worker, resp_replies_too_large);
    resp_error(&c->conn.out,
               "OOM the reply is larger than limits.output in the policy, or than memory "
               "allows; ask for less at once");
}

/* Whoever waits for what the command writes is served before anybody else can look at it. */
static void run_and_serve(struct resp_client *c, const struct command *cmd,
                          const struct slice *argv, uint32_t argc)
{
    /* What an EXEC or a script runs is its client's already. */
    bool is_author = tracking_wants_author(c, cmd) && c->worker->author != c->conn.id;
    /* Somebody who began to wait when we had passed the gate already is served from the notes. */
    bool owns = is_author ||
                (blocked_may_feed(c->worker, cmd, argv, argc) && !c->worker->gate_wait.is_passed);
    if (__builtin_expect(owns, 0)) {
        worker_own(c->worker);
    }
    if (__builtin_expect(is_author, 0)) {
        touched_drain(c->worker); /* what others did is not this client's */
        c->worker->author = c->conn.id;
    }
    cmd->run(c, argv, argc);
    if (__builtin_expect(owns, 0)) {
        worker_disown(c->worker);
        c->worker->author = is_author ? 0 : c->worker->author;
    } else {
        touched_after_command(c->worker);
    }
}

void resp_finish(struct resp_client *c, size_t before)
{
    lease_note_refused(c->worker);
    if (__builtin_expect(c->reply_failed || client_says_too_much(c), 0)) {
        refuse_reply(c, before);
    }
    (void)resp_count_reply(c, before);
}

/* Every command finds room for a small reply. An EXEC's parts have been judged one by one. */
void resp_perform(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                  uint32_t argc)
{
    size_t before = buf_len(&c->conn.out);
    if (__builtin_expect(c->conn.out.cap - c->conn.out.end < SMALL_REPLY, 0) &&
        !conn_reserve(&c->conn, SMALL_REPLY)) {
        conn_cut(&c->conn, CONN_CUT_MEMORY);
        return;
    }
    run_and_serve(c, cmd, argv, argc);
    lease_note_refused(c->worker);
    if (__builtin_expect(c->reply_failed || client_says_too_much(c), 0) && cmd->run != cmd_exec) {
        refuse_reply(c, before);
    }
}

void resp_run(struct resp_client *c, const struct command *cmd, const struct slice *argv,
              uint32_t argc)
{
    size_t before = buf_len(&c->conn.out);
    struct slice key = {NULL, 0};
    if (cmd->first_key > 0 && (uint32_t)cmd->first_key < argc) {
        key = argv[cmd->first_key];
    }
    c->last = c->in_exec ? c->last : cmd;
    c->worker->durable.shown |=
        c->durable && (cmd->flags & (COMMAND_READONLY | COMMAND_WRITE)) != 0;
    serve_count(c->worker, resp_commands);
    char exec_name[4]; /* as the client wrote it; what EXEC runs is parsed into the same place */
    memcpy(exec_name, argv[0].ptr, argv[0].len < 4 ? argv[0].len : 4);
    uint64_t began_us = c->detached ? clock_now_us() : c->worker->clock_us;
    uint32_t alert = atomic_load_explicit(&c->worker->server->alert, memory_order_relaxed);
    if (__builtin_expect((alert & ALERT_MONITOR) != 0, 0) && cmd->run != cmd_exec) {
        monitor_show(c, cmd, argv, argc);
    }
    thread_does(cmd->full_name, key);
    trace(TRACE_COMMAND, c->conn.id, cmd->word[0], key);
    bool tracks = __builtin_expect((alert & ALERT_TRACKING) != 0, 0) && c->tracker != NULL;
    if (tracks) {
        tracking_note_read(c, cmd, argv, argc);
    }
    resp_perform(c, cmd, argv, argc);
    if (tracks) {
        tracking_note_read(c, cmd, argv, argc);
        tracking_command_over(c, cmd);
    }
    thread_done();
    if (__builtin_expect(events_wait(c->worker) || buf_len(&c->worker->changed) > 0, 0)) {
        events_and_changes_send(c->worker);
    }
    bool failed = resp_count_reply(c, before);
    if (__builtin_expect((alert & ALERT_MONITOR) != 0, 0) && cmd->run == cmd_exec) {
        monitor_show(c, cmd, &(struct slice){exec_name, 4}, 1); /* behind what it ran */
    }
    account(c, cmd, argv, argc, began_us, failed);
}
