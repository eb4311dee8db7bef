/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Durable spaces on the side of the workers; durable.h says what clients notice.
 *
 * A held connection is on one of its worker's two lists:
 *
 *      fresh     held in this turn; its position is not known yet
 *      waiting   its position is known and not safe yet
 *
 *      durable_hold ─> fresh ── end of turn: position = journal_end() ─┬─ safe: released, flushed in this turn
 *                        ^                                             └─> waiting ─ mail from the log ─> released
 *                        └───────────── what it was told meanwhile ────────────────────┘
 *
 * The position is taken once for all at the end of the turn, outside every ownership of other workers. What another
 * worker made for a client of ours, perhaps inside its ownership (a reply to one that was blocked, a message), waits
 * until the worker can pass its own gate: its effects are in the journal by then. If that is not now, because a
 * script owns the store, it is at the end of the turn in which the gate opens.
 *
 * A connection that waits is not asked anything, but it is told messages. Those wait behind what it waits for already,
 * which leaves first: a stream of messages must not hold up the first of them for ever.
 *
 * The log is read through a client without a connection (detached.h), of a worker that has no thread and
 * whose clock stands at 0: nothing is expired while the log is read, since a key whose expiry was moved must
 * not die at the older one. What has expired by then leaves afterwards like everything else.
 *
 * Threads: main for life and loading; workers for the rest; log_moved() is the log's thread's.
 */
#include "serve/durable.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "serve/detached.h"
#include "serve/gate.h"
#include "serve/synced.h"
#include "store/journal.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { TELL_EVERY_MS = 1000, EFFECT_FACTOR = 2 };

struct durable {
    struct server *server;
    struct persist *log;
    struct store_gate *gate; /* main's while loading, then the log's thread's */
    uint8_t dbs[POLICY_DBS];
    uint32_t db_count;
    bool has_db[POLICY_DBS];
    /* loading: main writes, relaxed */
    uint64_t began_wall_ms; /* before any other thread */
    uint64_t began_ms;
    uint64_t told_ms;
    _Atomic bool is_loading;
    _Atomic uint64_t done_bytes, all_bytes, took_ms;
};

/* --- waiting for the disk ------------------------------------------------------------------------- */

static void release(struct resp_client *c)
{
    list_remove(&c->unsafe);
    c->is_placed = false;
    if (c->told_more) {
        c->told_more = false;
        conn_clear(&c->conn, c->safe_end);
        list_push_back(&c->worker->durable.fresh, &c->unsafe);
    } else {
        c->wants_sync = false;
        conn_release(&c->conn);
    }
}

static bool is_safe(const struct persist *log, const struct resp_client *c)
{
    uint64_t safe = c->wants_sync ? persist_synced(log) : persist_safe(log);
    return c->safe_at <= safe;
}

static void release_safe(struct worker *w)
{
    const struct persist *log = w->server->durable->log;
    if (log == NULL) {
        return; /* the server has stopped: mail that was late, and nobody to send to */
    }
    list_for_each (node, &w->durable.waiting) {
        struct resp_client *c = container_of(node, struct resp_client, unsafe);
        /* What runs a script has replies of this batch in its output. */
        if (is_safe(log, c) && !c->conn.offering) {
            release(c);
        }
    }
}

static void safe_moved(struct mail *m)
{
    struct worker *w = container_of(m, struct worker, durable.mail);
    (void)atomic_exchange_explicit(&w->durable.mailed, false, memory_order_acq_rel);
    release_safe(w);
    synced_moved(w);
}

static void log_moved(void *arg)
{
    const struct durable *d = arg;
    for (uint32_t i = 0; i < d->server->worker_count; i++) {
        struct worker *w = &d->server->workers[i];
        if (!atomic_exchange_explicit(&w->durable.mailed, true, memory_order_acq_rel)) {
            mailbox_post(loop_mailbox(w->loop), &w->durable.mail, safe_moved);
        }
    }
}

/* Is what other workers did for clients of ours in the journal, and what a script of ours does? */
static bool others_are_done(struct worker *w)
{
    bool took = false;
    bool done = w->own_depth == 0 && gate_try(w, &took);
    if (took) {
        gate_leave(w);
    }
    return done;
}

/* Gives those that are fresh their position, as far as it can be known. False: none got one. */
static bool place(struct worker *w)
{
    bool may_pass = others_are_done(w);
    uint64_t upto = journal_end(store_journal(w->server->store));
    struct persist *log = w->server->durable->log;
    bool any = false;
    bool for_sync = false;
    list_for_each (node, &w->durable.fresh) {
        struct resp_client *c = container_of(node, struct resp_client, unsafe);
        if (c->served_by_other && !may_pass) {
            continue;
        }
        c->served_by_other = false;
        c->safe_at = upto;
        c->safe_end = conn_out_end(&c->conn);
        c->is_placed = true;
        any = true;
        for_sync |= c->wants_sync;
        list_remove(node);
        list_push_back(&w->durable.waiting, node);
    }
    if (any && persist_safe(log) < upto && !persist_is_always(log)) {
        persist_write(log);
    }
    if (any && (persist_safe(log) < upto || for_sync)) {
        persist_wake(log, for_sync);
    }
    return any;
}

/* The end of a turn, before what was answered in it is sent. Who is released and was told more is fresh again. */
static void end_turn(void *arg)
{
    struct worker *w = arg;
    release_safe(w);
    while (!list_empty(&w->durable.fresh) && place(w)) {
        release_safe(w);
    }
}

void durable_hold(struct resp_client *c)
{
    struct worker *w = c->worker;
    if (w->server->durable == NULL || c->detached || c->conn.dead) {
        return;
    }
    if (c->is_placed) {
        c->told_more = true;
    } else if (list_empty(&c->unsafe)) {
        list_push_back(&w->durable.fresh, &c->unsafe);
    }
    conn_hold(&c->conn);
}

void durable_hold_told(struct resp_client *c)
{
    c->served_by_other = true;
    durable_hold(c);
}

void durable_hold_synced(struct resp_client *c)
{
    c->wants_sync = true;
    durable_hold(c);
}

void durable_forget(struct resp_client *c)
{
    list_remove(&c->unsafe);
}

/* --- admission ------------------------------------------------------------------------------------ */

void durable_begin_now(struct worker *w, size_t bytes)
{
    struct durable *d = w->server->durable;
    if (__builtin_expect(atomic_load_explicit(&d->is_loading, memory_order_acquire), 0)) {
        w->durable.bars = BAR_LOADING;
    } else {
        w->durable.bars = persist_admits(d->log, EFFECT_FACTOR * bytes) ? 0 : BAR_DISK;
    }
}

static void refuse_full(struct resp_client *c)
{
    struct buf why;
    buf_init(&why);
    persist_trouble(c->worker->server->durable->log, &why);
    resp_error(&c->conn.out, "%.*s", (int)buf_len(&why), buf_readable(&why).ptr);
    buf_fini(&why);
}

bool durable_admits_now(struct resp_client *c, const struct command *cmd)
{
    uint8_t bars = c->worker->durable.bars;
    if ((bars & BAR_LOADING) != 0 && (cmd->flags & COMMAND_LOADING) == 0) {
        resp_error(&c->conn.out, "LOADING Redis is loading the dataset in memory");
        return false;
    }
    if ((bars & BAR_DISK) != 0 && (cmd->flags & COMMAND_WRITE) != 0 && c->durable) {
        refuse_full(c);
        return false;
    }
    return true;
}

bool durable_has_db(const struct server *s, uint32_t db)
{
    return s->durable != NULL && s->durable->has_db[db];
}

bool durable_reaches(struct resp_client *c, uint32_t db)
{
    struct worker *w = c->worker;
    if (!durable_has_db(w->server, db)) {
        return true;
    }
    w->durable.shown = true;
    if ((w->durable.bars & BAR_DISK) != 0) {
        refuse_full(c);
        return false;
    }
    return true;
}

/* --- reading the log ------------------------------------------------------------------------------ */

/* Reads the log as a client would say it. */
struct replay {
    struct resp_client *client;
    struct buf error;  /* of the last command that failed, with the next step */
    uint64_t left_out; /* commands for databases that are not durable any more */
};

static bool say_failed(struct replay *r, struct slice why, struct slice *ret_error)
{
    static const char oom[] = "OOM";
    bool is_full = why.len > 3 && memcmp(why.ptr, oom, 3) == 0;
    why.len -= why.len > 0 && why.ptr[why.len - 1] == '.' ? 1 : 0;
    buf_clear(&r->error);
    buf_append_slice(&r->error, why);
    buf_append_str(&r->error, is_full ? "; give it more `memory`" : "");
    *ret_error = buf_readable(&r->error);
    return false;
}

/* A database that the policy no longer has may not be passed over in silence, and what comes next in the log may not
 * go into another one. */
static bool say_no_space(struct replay *r, struct slice db, struct slice *ret_error)
{
    buf_clear(&r->error);
    buf_printf(&r->error,
               "the policy has no space for database %.*s; give it one again: with `keep: durable` "
               "its keys stay, with `keep: volatile` they are left out",
               (int)db.len, db.ptr);
    *ret_error = buf_readable(&r->error);
    return false;
}

/* A command of the log; MULTI and EXEC say nothing here, since nobody can look between. */
static bool run_logged(void *arg, const struct slice *argv, uint32_t argc, struct slice *ret_error)
{
    struct replay *r = arg;
    struct resp_client *c = r->client;
    bool is_select = argc == 2 && slice_is(argv[0], "SELECT");
    if (argc == 1 && (slice_is(argv[0], "MULTI") || slice_is(argv[0], "EXEC"))) {
        return true;
    }
    if (!is_select && !c->durable) {
        r->left_out++;
        return true;
    }
    detached_call(c, argv, argc);
    struct slice reply = buf_readable(&c->conn.out);
    if (reply.len == 0 || reply.ptr[0] != '-') {
        return true;
    }
    struct slice why = {reply.ptr + 1, reply.len - 3};
    return is_select ? say_no_space(r, argv[1], ret_error) : say_failed(r, why, ret_error);
}

static bool told_to_stop(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

static bool go_on(void *arg, uint64_t done_bytes, uint64_t all_bytes)
{
    const struct replay *r = arg;
    struct durable *d = r->client->worker->server->durable;
    uint64_t now_ms = clock_now_ms();
    atomic_store_explicit(&d->done_bytes, done_bytes, memory_order_relaxed);
    atomic_store_explicit(&d->all_bytes, all_bytes, memory_order_relaxed);
    if (now_ms - d->told_ms < TELL_EVERY_MS) {
        return true;
    }
    d->told_ms = now_ms;
    log_event(LOG_INFO, "persist", "reading the log", log_number("bytes", done_bytes),
              log_number("of", all_bytes),
              log_number("percent", all_bytes > 0 ? done_bytes * 100 / all_bytes : 100));
    return !told_to_stop();
}

static uint64_t count_keys(const struct durable *d)
{
    uint64_t keys = 0;
    for (uint32_t i = 0; i < d->db_count; i++) {
        keys += store_db_size(d->server->store, d->dbs[i]);
    }
    return keys;
}

static void tell_loaded(struct durable *d, uint64_t left_out)
{
    struct persist_figures f;
    persist_figures(d->log, &f);
    log_event(LOG_INFO, "persist", "the log was read", log_number("keys", count_keys(d)),
              log_number("commands", f.load_commands), log_number("bytes", f.bytes),
              log_number("ms", f.load_us / 1000));
    if (left_out > 0) {
        log_event(LOG_WARN, "persist",
                  "the log has changes of databases that are volatile now: they were left out, and "
                  "are gone once the log is rewritten",
                  log_number("commands", left_out));
    }
}

bool durable_load(struct durable *d, char **ret_why)
{
    struct worker *w = worker_create_threadless(d->server, d->gate);
    loop_stand_still(w->loop, 0);
    struct resp_client *c = detached_create(w);
    c->replaying = true;
    d->told_ms = clock_now_ms();
    struct replay r = {.client = c};
    buf_init(&r.error);
    enum persist_loaded result = persist_load(
        d->log, &(struct persist_reader){.arg = &r, .run = run_logged, .go_on = go_on}, ret_why);
    buf_fini(&r.error);
    detached_destroy(&c);
    worker_destroy_threadless(w);
    atomic_store_explicit(&d->took_ms, clock_now_ms() - d->began_ms, memory_order_relaxed);
    if (result != PERSIST_LOADED) {
        return false;
    }
    tell_loaded(d, r.left_out);
    persist_start(d->log);
    atomic_store_explicit(&d->is_loading, false, memory_order_release);
    return true;
}

/* --- life ----------------------------------------------------------------------------------------- */

struct durable *durable_open(struct server *s, char **ret_why)
{
    const struct policy *p = s->started_with;
    if (store_journal(s->store) == NULL) {
        return NULL;
    }
    struct durable *d = xcalloc(1, sizeof(*d));
    d->server = s;
    d->gate = store_gate_take(s->store);
    for (uint32_t db = 0; db < POLICY_DBS; db++) {
        const struct policy_space *space = policy_space_of(p, db);
        if (space != NULL && space->durable) {
            d->has_db[db] = true;
            d->dbs[d->db_count++] = (uint8_t)db;
        }
    }
    d->log = persist_open(
        &(struct persist_options){
            .dir = p->durable.dir,
            .always = p->durable.always,
            .rewrite_growth = p->durable.rewrite_growth,
            .rewrite_min_bytes = p->durable.rewrite_min,
            .store = s->store,
            .gate = d->gate,
            .dbs = d->dbs,
            .db_count = d->db_count,
            .arg = d,
            .safe_moved = log_moved,
        },
        ret_why);
    if (d->log == NULL) {
        free(d);
        return NULL;
    }
    d->began_ms = clock_now_ms();
    d->began_wall_ms = clock_wall_ms();
    atomic_init(&d->is_loading, true);
    return d;
}

void durable_worker_init(struct worker *w)
{
    list_init(&w->durable.fresh);
    list_init(&w->durable.waiting);
    list_init(&w->durable.syncing);
    if (w->server->durable != NULL) {
        loop_before_flush(w->loop, end_turn, w);
    }
}

void durable_stop(struct durable *d)
{
    if (d != NULL) {
        persist_stop(&d->log);
    }
}

void durable_destroy(struct durable **dp)
{
    if (*dp != NULL) {
        persist_stop(&(*dp)->log);
        free(*dp);
        *dp = NULL;
    }
}

void durable_loading(const struct durable *d, struct durable_loading *ret_loading)
{
    *ret_loading = (struct durable_loading){
        .is_loading = atomic_load_explicit(&d->is_loading, memory_order_relaxed),
        .began_wall_ms = d->began_wall_ms,
        .done_bytes = atomic_load_explicit(&d->done_bytes, memory_order_relaxed),
        .all_bytes = atomic_load_explicit(&d->all_bytes, memory_order_relaxed),
        .took_ms = atomic_load_explicit(&d->took_ms, memory_order_relaxed),
    };
}

struct persist *durable_log(const struct durable *d)
{
    return d->log;
}
