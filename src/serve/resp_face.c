/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Redis face: bytes from a connection to commands, commands to replies.
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
#include "serve/command_stats.h"
#include "serve/durable.h"
#include "serve/events.h"
#include "serve/gate.h"
#include "serve/herd.h"
#include "serve/monitor.h"
#include "serve/not_offered.h"
#include "serve/pause.h"
#include "serve/pubsub.h"
#include "serve/resp_proof.h"
#include "serve/roll_call.h"
#include "serve/slowlog.h"
#include "serve/touched.h"
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
    SMALL_REPLY = 1024,
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

/* --- admission -------------------------------------------------------------------------------- */

static void refuse_unknown(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    char args[256] = "";
    size_t len = 0;
    for (uint32_t i = 1; i < argc && len < 128; i++) {
        int room = 128 - (int)len;
        int take = argv[i].len < (size_t)room ? (int)argv[i].len : room;
        len += (size_t)snprintf(args + len, sizeof(args) - len, "'%.*s' ", take,
                                argv[i].ptr != NULL ? argv[i].ptr : "");
    }
    int shown = argv[0].len < 128 ? (int)argv[0].len : 128;
    const char *why = not_offered(argv[0]);
    resp_error(&c->conn.out, "ERR unknown command '%.*s', with args beginning with: %s%s%s%s",
               shown, argv[0].ptr, args, why != NULL ? "(" : "", why != NULL ? why : "",
               why != NULL ? ")" : "");
}

static void refuse_unknown_sub(struct resp_client *c, const struct command *cmd, struct slice name)
{
    char upper[32];
    size_t len = 0;
    for (; cmd->name[len] != '\0'; len++) {
        upper[len] = (char)(cmd->name[len] - 'a' + 'A');
    }
    upper[len] = '\0';
    int shown = name.len < 128 ? (int)name.len : 128;
    resp_error(&c->conn.out, "ERR unknown subcommand '%.*s'. Try %s HELP.", shown, name.ptr, upper);
}

/* A web page that makes a browser post Redis commands sends these first. */
static bool is_http(struct slice name)
{
    return slice_is_nocase(name, "post") || slice_is_nocase(name, "host:");
}

static const struct command *find_known(struct resp_client *c, const struct slice *argv,
                                        uint32_t argc)
{
    const struct command *cmd = command_find(argv[0]);
    if (cmd == NULL) {
        if (is_http(argv[0])) {
            log_event(LOG_WARN, "resp", "HTTP on the Redis port; closed",
                      log_text("peer", c->conn.peer));
            conn_close(&c->conn);
        } else {
            refuse_unknown(c, argv, argc);
        }
        return NULL;
    }
    if (__builtin_expect(cmd->sub_count > 0 && argc > 1, 0)) {
        const struct command *sub = command_find_sub(cmd, argv[1]);
        if (sub == NULL) {
            refuse_unknown_sub(c, cmd, argv[1]);
        }
        return sub;
    }
    return cmd;
}

/* An EXEC that cannot even run gives the transaction up. */
static void refuse_arity(struct resp_client *c, const struct command *cmd)
{
    if (cmd->run == cmd_exec) {
        client_discard(c);
        resp_error(&c->conn.out, "EXECABORT Transaction discarded because of: wrong number of "
                                 "arguments for 'exec' command");
    } else {
        reply_wrong_arity(c, cmd->full_name);
    }
}

/* A RESP2 client that listens could not tell replies from messages. */
static bool is_for_subscribers(const struct command *cmd)
{
    return cmd->run == cmd_ping || cmd->run == cmd_quit || cmd->run == cmd_reset ||
           cmd->run == cmd_subscribe || cmd->run == cmd_unsubscribe || cmd->run == cmd_psubscribe ||
           cmd->run == cmd_punsubscribe || cmd->run == cmd_ssubscribe ||
           cmd->run == cmd_sunsubscribe;
}

/* The slow look at a client that may not run everything; false after replying. */
static bool is_open_to(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                       uint32_t argc)
{
    if (!users_refresh(c)) {
        return false;
    }
    if (!c->authenticated && (cmd->flags & COMMAND_NO_AUTH) == 0) {
        bool is_exec = cmd->run == cmd_exec;
        resp_error(&c->conn.out, "%sNOAUTH Authentication required.",
                   is_exec ? "EXECABORT Transaction discarded because of: " : "");
        return false;
    }
    if (c->user != NULL && !user_is_full(c->user) && !users_admit(c, cmd, argv, argc)) {
        return false;
    }
    if (c->proto == 2 && !c->in_exec && client_is_subscribed(c) && !is_for_subscribers(cmd)) {
        resp_error(&c->conn.out,
                   "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT "
                   "/ RESET are allowed in this context",
                   cmd->full_name);
        return false;
    }
    return true;
}

/* A space that is full and never evicts refuses before the command has done half of its work. */
static bool room_admits(struct resp_client *c, const struct command *cmd)
{
    if ((cmd->flags & COMMAND_DENYOOM) == 0 || !store_is_full(client_store(c), c->db)) {
        return true;
    }
    reply_err(c, ERR_NOSPACE);
    return false;
}

const struct command *resp_admit(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    const struct command *cmd = find_known(c, argv, argc);
    if (cmd == NULL) {
        return NULL;
    }
    if (!command_takes(cmd, argc)) {
        refuse_arity(c, cmd);
        command_stats_rejected(c->worker, cmd);
        return NULL;
    }
    uint32_t alert = atomic_load_explicit(&c->worker->server->alert, memory_order_relaxed);
    bool guarded = c->guarded || (alert & ALERT_USERS) != 0;
    if ((__builtin_expect(guarded, 0) && !is_open_to(c, cmd, argv, argc)) ||
        !durable_admits(c, cmd) || !room_admits(c, cmd)) {
        command_stats_rejected(c->worker, cmd);
        return NULL;
    }
    return cmd;
}

/* --- running ---------------------------------------------------------------------------------- */

/* True: it was an error. */
static inline bool count_reply(struct resp_client *c, size_t before)
{
    const struct buf *out = &c->conn.out;
    bool failed = buf_len(out) > before && out->mem[out->start + before] == '-';
    if (__builtin_expect(failed, 0)) {
        struct slice text = slice_from(buf_readable(out), before + 1);
        serve_count(c->worker, resp_errors);
        command_stats_error(c->worker, text);
        trace(TRACE_REPLY_ERROR, c->conn.id, 0, text);
    }
    return failed;
}

/* A command that ran has cost this much. What was slow is kept for those who ask. */
static void note_slow(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                      uint32_t argc, uint64_t us)
{
    struct server *s = c->worker->server;
    int64_t slow_us = atomic_load_explicit(&s->settings.slowlog_us, memory_order_relaxed);
    if (slow_us >= 0 && us >= (uint64_t)slow_us && !c->detached &&
        (cmd->flags & COMMAND_SKIP_SLOWLOG) == 0 && setting_get(&s->settings.slowlog_max) > 0) {
        slowlog_note(c, cmd, argv, argc, us);
    }
    if (latency_is_slow(s, us / 1000) && cmd->run != cmd_exec) {
        latency_note(s, (cmd->flags & COMMAND_FAST) != 0 ? "fast-command" : "command", us / 1000);
    }
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
    bool is_author = tracking_wants_author(c, cmd);
    bool owns = is_author || blocked_may_feed(c->worker, cmd, argv, argc);
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
        c->worker->author = 0;
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
    (void)count_reply(c, before);
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
    c->last = cmd;
    c->worker->durable.shown |= c->durable;
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
    bool failed = count_reply(c, before);
    if (__builtin_expect((alert & ALERT_MONITOR) != 0, 0) && cmd->run == cmd_exec) {
        monitor_show(c, cmd, &(struct slice){exec_name, 4}, 1); /* behind what it ran */
    }
    account(c, cmd, argv, argc, began_us, failed);
}

static void queue_command(struct resp_client *c, const struct command *cmd)
{
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
    c->queued_flags |= cmd->flags;
    buf_append_str(&c->conn.out, "+QUEUED\r\n");
}

static void apply_reply_mode(struct resp_client *c, const struct command *cmd, size_t before)
{
    bool is_push = cmd != NULL && is_for_subscribers(cmd) && (cmd->flags & COMMAND_PUBSUB) != 0;
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
    bool feeds = blocked_may_feed(w, cmd, argv, argc);
    bool is_inside = w->gate_wait.is_passed && !store_own_is_wanted(w->server->store);
    return __builtin_expect(is_inside && !feeds && !command_owns(cmd, argc), 1) ||
           gate_enter_slowly(c, cmd, argv, argc, feeds);
}

static void refuse_busy(struct resp_client *c, size_t before)
{
    c->multi_failed = c->in_multi;
    resp_error(&c->conn.out, "BUSY Redis is running a script. You can only call SCRIPT KILL or "
                             "SHUTDOWN NOSAVE.");
    (void)count_reply(c, before);
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
        (void)count_reply(c, before);
    } else if (__builtin_expect((alert & ALERT_BUSY) != 0, 0) &&
               (cmd->flags & COMMAND_ALLOW_BUSY) == 0) {
        refuse_busy(c, before);
    } else if (__builtin_expect((alert & ALERT_PAUSE) != 0, 0) && !is_to_queue(c, cmd) &&
               pause_holds(c, cmd)) {
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

/* Lets the waits for memory of the coming commands overlap; returns how many follow the first of them. */
static uint32_t warm_ahead(struct resp_client *c, struct slice in)
{
    struct slice keys[STORE_WARM_MAX];
    uint32_t count = resp_peek_keys(in, keys, STORE_WARM_MAX);
    if (count > 1) {
        store_warm(client_store(c), c->worker->gate, c->db, keys, count);
    }
    return count > 0 ? count - 1 : 0;
}

/* The first key that each of the connections asks for. */
static void ahead(struct conn *const *conns, const struct slice *in, uint32_t count)
{
    struct slice keys[STORE_WARM_MAX];
    uint32_t found = 0;
    const struct resp_client *first = container_of(conns[0], struct resp_client, conn);
    for (uint32_t i = 0; i < count && found < STORE_WARM_MAX; i++) {
        const struct resp_client *c = container_of(conns[i], struct resp_client, conn);
        if (c->db == first->db) {
            found += resp_peek_keys(in[i], &keys[found], 1);
        }
    }
    if (found > 1) {
        store_warm(client_store(first), first->worker->gate, first->db, keys, found);
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
    conn_limits = (struct conn_limits){
        .input_max = (REQUEST_BULKS + 1) * p->limits.bulk_max + INLINE_MAX,
        .output_limit = p->limits.pipeline_max,
        .output_max = p->limits.output_max + p->limits.pipeline_max,
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
