/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Redis face: bytes from a connection to commands, commands to replies. What admits a command is in
 * resp_admit.c, what runs it in resp_run.c.
 *
 *   data ─> resp_parse ─> admit (known? arity? authenticated?) ─┬─> queue (inside MULTI)
 *                ^                                              └─> [proof, strict spaces] ─> run
 *                └──────────── the next command of the pipeline <────────────────────────────┘
 *
 * Everything that has arrived is answered into one output buffer, which net sends once per turn.
 * The loop stops early when the peer does not take its replies (conn_full), when the connection is
 * paused (a proof, or a question to other workers), or closed.
 *
 * A command that GETs or SETs allocates nothing here: arguments are slices into what was read.
 *
 * Threads: the connection's worker. Not done: a bound on the number of queued commands beyond their
 * bytes.
 */
#include "serve/blocked.h"
#include "serve/durable.h"
#include "serve/gate.h"
#include "serve/herd.h"
#include "serve/monitor.h"
#include "serve/pause.h"
#include "serve/pubsub.h"
#include "serve/resp_proof.h"
#include "serve/roll_call.h"
#include "serve/synced.h"
#include "serve/tracking.h"
#include "serve/users.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ARGS_MAX = 1024 * 1024,
    INLINE_MAX = 64 * 1024,
    REQUEST_BULKS = 4, /* one command's bytes, in times of the longest argument */
};

/* Filled by the face functions before any worker starts; constant from then on. */
static struct conn_limits conn_limits;
static struct resp_limits known_limits;
static struct resp_limits anonymous_limits;
static const struct conn_face plain_face;

void client_set_authenticated(struct resp_client *c, bool authenticated)
{
    c->authenticated = authenticated;
    c->parser.limits = authenticated ? &known_limits : &anonymous_limits;
    client_watch_admission(c);
}

void client_watch_admission(struct resp_client *c)
{
    c->guarded = !c->authenticated || (c->user != NULL && !user_is_full(c->user)) ||
                 (c->proto == 2 && client_is_subscribed(c));
}

/* --- one command of a connection ------------------------------------------------------------- */

static void queue_command(struct resp_client *c, const struct command *cmd)
{
    if ((cmd->flags & COMMAND_NO_MULTI) != 0) {
        c->multi_failed = true;
        resp_error(&c->conn.out, "ERR Command not allowed inside a transaction");
        return;
    }
    if (buf_len(&c->queue) + c->raw.len > REQUEST_BULKS * known_limits.bulk_max) {
        c->multi_failed = true;
        resp_error(&c->conn.out, "ERR transaction too big; see limits.bulk in the policy");
        return;
    }
    if (buf_try_reserve(&c->queue, c->raw.len) == NULL) {
        c->multi_failed = true;
        resp_error(&c->conn.out, "OOM no memory for a transaction of this size");
        return;
    }
    buf_append_slice(&c->queue, c->raw);
    c->queued++;
    c->queued_flags |= pause_flags(c, cmd);
    buf_append_str(&c->conn.out, "+QUEUED\r\n");
}

static void apply_reply_mode(struct resp_client *c, const struct command *cmd, size_t before)
{
    bool is_push =
        cmd != NULL && resp_is_for_subscribers(cmd) && (cmd->flags & COMMAND_PUBSUB) != 0;
    if ((c->reply == REPLY_OFF || c->reply == REPLY_SKIPPING) && !is_push) {
        buf_truncate(&c->conn.out, before);
    }
    if (c->reply == REPLY_SKIPPING) {
        c->reply = REPLY_ON;
    } else if (c->reply == REPLY_SKIP_NEXT) {
        c->reply = REPLY_SKIPPING;
    }
}

static inline bool is_to_queue(const struct resp_client *c, const struct command *cmd)
{
    return c->in_multi && (cmd->flags & COMMAND_UNQUEUED) == 0;
}

/* The way into the store, for one after the other of a pipeline. */
static inline bool enter(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                         uint32_t argc)
{
    const struct worker *w = c->worker;
    bool feeds = blocked_may_feed(w, cmd, argv, argc) ||
                 __builtin_expect(c->tracker != NULL && tracking_wants_author(c, cmd), 0);
    bool is_inside = w->gate_wait.is_passed && !store_own_is_wanted(w->server->store);
    return __builtin_expect(is_inside && !feeds && !command_owns(cmd, argc), 1) ||
           gate_enter_slowly(c, cmd, argv, argc, feeds);
}

/* A transaction that cannot begin is over. */
static void refuse_busy(struct resp_client *c, const struct command *cmd, size_t before)
{
    bool is_exec = cmd->run == cmd_exec && c->in_multi;
    if (is_exec) {
        client_discard(c);
    }
    c->multi_failed = c->in_multi;
    resp_error(&c->conn.out,
               "%sBUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN "
               "NOSAVE.",
               is_exec ? "EXECABORT Transaction discarded because of: " : "");
    (void)resp_count_reply(c, before);
}

/* Answers the parsed command. False: it must wait, offer it again. */
static bool answer(struct resp_client *c, size_t used)
{
    const struct slice *argv = c->parser.argv;
    uint32_t argc = c->parser.argc;
    size_t before = buf_len(&c->conn.out);
    uint32_t alert = atomic_load_explicit(&c->worker->server->alert, memory_order_relaxed);
    c->running = true;
    const struct command *cmd = resp_admit(c, argv, argc);
    if (__builtin_expect(cmd == NULL, 0)) {
        c->multi_failed = c->in_multi;
        (void)resp_count_reply(c, before);
    } else if (__builtin_expect((alert & ALERT_BUSY) != 0, 0) &&
               (cmd->flags & COMMAND_ALLOW_BUSY) == 0) {
        refuse_busy(c, cmd, before);
    } else if (__builtin_expect((alert & ALERT_PAUSE) != 0, 0) && !is_to_queue(c, cmd) &&
               pause_holds(c, cmd)) { /* NOLINT(bugprone-branch-clone): asked in this order */
        c->running = false;
        return false;
    } else if (__builtin_expect(is_to_queue(c, cmd), 0)) {
        queue_command(c, cmd);
    } else if (__builtin_expect(c->strict, 0) && resp_proof_needed(c, cmd, argv, argc, used)) {
        c->running = false;
        resp_proof_ask(c);
        return false;
    } else if (!enter(c, cmd, argv, argc)) {
        c->running = false;
        return false;
    } else {
        resp_run(c, cmd, argv, argc);
        gate_after(c->worker);
    }
    if (__builtin_expect(c->reply != REPLY_ON, 0)) {
        apply_reply_mode(c, cmd, before);
    }
    c->running = false;
    if (__builtin_expect(c->subscriber != NULL, 0)) {
        pubsub_flush_own(c);
    }
    return true;
}

static void refuse_protocol(struct resp_client *c, const char *why)
{
    resp_error(&c->conn.out, "ERR Protocol error: %s", why);
    serve_count(c->worker, resp_errors);
    conn_close_after_flush(&c->conn);
}

static bool may_go_on(const struct resp_client *c)
{
    return !c->conn.dead && !c->conn.closing && !c->conn.paused && !conn_full(&c->conn);
}

_Static_assert((int)RESP_PEEK_WORDS == (int)STORE_WARM_WORDS, "what is seen ahead is what warms");

/* Lets the waits for memory of the coming commands overlap; returns how many follow the first of them. */
static uint32_t warm_ahead(struct resp_client *c, struct slice in)
{
    struct slice words[STORE_WARM_MAX * RESP_PEEK_WORDS] __attribute__((uninitialized));
    uint32_t count = resp_peek(in, words, STORE_WARM_MAX);
    if (count > 1) {
        store_warm(client_store(c), c->worker->gate, c->db, words, count);
    }
    return count > 0 ? count - 1 : 0;
}

/* What each of the connections asks for first. */
static void ahead(struct conn *const *conns, const struct slice *in, uint32_t count)
{
    struct slice words[STORE_WARM_MAX * RESP_PEEK_WORDS] __attribute__((uninitialized));
    uint32_t found = 0;
    const struct resp_client *first = container_of(conns[0], struct resp_client, conn);
    for (uint32_t i = 0; i < count && found < STORE_WARM_MAX; i++) {
        const struct resp_client *c = container_of(conns[i], struct resp_client, conn);
        if (c->db == first->db) {
            found += resp_peek(in[i], &words[(size_t)found * RESP_PEEK_WORDS], 1);
        }
    }
    if (found > 1) {
        store_warm(client_store(first), first->worker->gate, first->db, words, found);
    }
}

static size_t data(struct conn *conn, struct slice in)
{
    struct resp_client *c = container_of(conn, struct resp_client, conn);
    check_obj(c, RESP_CLIENT_MAGIC);
    if (atomic_load_explicit(&c->worker->has_messages, memory_order_relaxed)) {
        pubsub_deliver(c->worker);
    }
    c->worker->clock_us = clock_now_us();
    resp_proof_begin(c, in);
    durable_begin(c->worker, in.len);
    size_t used = 0;
    uint32_t warmed = 0; /* commands ahead */
    while (may_go_on(c)) {
        struct slice rest = slice_from(in, used);
        warmed = warmed > 0 ? warmed - 1 : warm_ahead(c, rest);
        size_t len = 0;
        enum resp_result result = resp_parse(&c->parser, rest, &len);
        if (result == RESP_ERROR) {
            refuse_protocol(c, c->parser.error);
            break;
        }
        if (result == RESP_MORE) {
            if (rest.len > REQUEST_BULKS * known_limits.bulk_max) {
                refuse_protocol(c, "too big request; see limits.bulk in the policy");
            }
            break;
        }
        c->raw = (struct slice){rest.ptr, len};
        if (c->parser.argc > 0 && !answer(c, used)) {
            break;
        }
        used += len;
    }
    gate_leave(c->worker);
    resp_proof_end(c, used);
    durable_end(c);
    conn->extra = c->queue.cap + resp_parser_bytes(&c->parser);
    if (!conn->dead && buf_len(&conn->out) > 0) {
        conn_dirty(conn);
    }
    return used;
}

/* --- life ------------------------------------------------------------------------------------- */

void resp_client_begin(struct resp_client *c, struct worker *w)
{
    c->magic = RESP_CLIENT_MAGIC;
    c->worker = w;
    list_init(&c->fills);
    c->proto = 2;
    list_init(&c->held);
    list_init(&c->at_gate);
    c->conn.face = &plain_face;
    c->opened_ms = client_now(c);
    list_init(&c->unsafe);
    resp_parser_init(&c->parser, &known_limits);
    users_begin(c);
    (void)client_select_first(c);
}

static void open_client(struct conn *conn, void *context)
{
    struct resp_client *c = container_of(conn, struct resp_client, conn);
    const struct conn_face *face = conn->face;
    resp_client_begin(c, context);
    conn->face = face;
    if (c->space == NULL) {
        resp_error(&conn->out, "ERR no space of the policy has a `db`");
        conn_close_after_flush(conn);
    }
}

static void open_affinity_client(struct conn *conn, void *context)
{
    open_client(conn, context);
    container_of(conn, struct resp_client, conn)->leases.affinity = true;
}

static void last_word(struct conn *conn)
{
    resp_error(&conn->out,
               conn->cut == CONN_CUT_MEMORY
                   ? "OOM no memory for a request of this size"
                   : "ERR Protocol error: too big request; see limits.bulk in the policy");
}

void resp_client_end(struct resp_client *c)
{
    client_discard(c);
    pubsub_leave(c);
    users_end(c);
    resp_parser_fini(&c->parser);
    free(c->name);
    free(c->lib_name);
    free(c->lib_version);
    c->magic = 0;
}

/* Who listens may be silent for as long as it likes. */
static void idle(struct conn *conn)
{
    const struct resp_client *c = container_of(conn, struct resp_client, conn);
    if (!client_is_subscribed(c) && pubsub_subscriptions(c, TOPIC_MONITOR) == 0) {
        conn_cut(conn, CONN_CUT_IDLE);
    }
}

static void closed(struct conn *conn)
{
    struct resp_client *c = container_of(conn, struct resp_client, conn);
    resp_proof_forget(c);
    roll_call_forget(c);
    blocked_forget(c);
    synced_forget(c);
    herd_forget(c);
    pause_forget(c);
    gate_forget(c);
    monitor_end(c);
    tracking_end(c);
    durable_forget(c);
    resp_client_end(c);
    serve_connection_closed(c->worker, conn);
}

static void set_limits(const struct policy *p)
{
    known_limits = (struct resp_limits){
        .args_max = ARGS_MAX, .bulk_max = p->limits.bulk_max, .inline_max = INLINE_MAX};
    anonymous_limits = known_limits;
    anonymous_limits.anonymous = true;
    uint64_t most = p->limits.output_max;
    uint32_t pipeline = p->limits.pipeline_max < most ? p->limits.pipeline_max : (uint32_t)most;
    conn_limits = (struct conn_limits){
        .input_max = (REQUEST_BULKS + 1) * p->limits.bulk_max + INLINE_MAX,
        .output_limit = pipeline,
        .output_max = p->limits.output_max + pipeline,
        .idle_ms = p->limits.resp_idle_ms,
        .stall_ms = p->limits.stall_ms,
        .keepalive_s = p->limits.keepalive_ms / 1000,
    };
    command_setup();
}

static const struct conn_face plain_face = {
    .size = sizeof(struct resp_client),
    .limits = &conn_limits,
    .open = open_client,
    .data = data,
    .ahead = ahead,
    .idle = idle,
    .last_word = last_word,
    .closed = closed,
};

static const struct conn_face affinity_face = {
    .size = sizeof(struct resp_client),
    .limits = &conn_limits,
    .open = open_affinity_client,
    .data = data,
    .ahead = ahead,
    .idle = idle,
    .last_word = last_word,
    .closed = closed,
};

void resp_set_idle(uint32_t idle_ms)
{
    atomic_store_explicit(&conn_limits.idle_ms, idle_ms, memory_order_relaxed);
}

uint32_t resp_idle(void)
{
    return atomic_load_explicit(&conn_limits.idle_ms, memory_order_relaxed);
}

const struct conn_face *resp_face(const struct policy *p)
{
    set_limits(p);
    return &plain_face;
}

const struct conn_face *resp_affinity_face(const struct policy *p)
{
    set_limits(p);
    return &affinity_face;
}

bool resp_client_is(const struct conn *conn)
{
    return conn->face == &plain_face || conn->face == &affinity_face;
}
