/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool: which job runs on which connection, and when to connect.
 *
 *   pg_submit ─> waiting ─ pump ─> a connection (job.c) ─> done
 *                   │ deadline, no database, pool destroyed
 *                   └─> done, with an error          too many waiting ─> refused ─> done at turn's end
 *
 *   CLOSED ─ a job waits ─> CONNECTING ─> SETUP ─> IDLE <─> BUSY
 *     ^            (error: back-off 50 ms .. 0.5 s)  │        │
 *     └──────────────── connection lost ─────────────┴────────┘
 *
 * While no connection is open and the last attempt failed, jobs fail at once; the first one after
 * the back-off makes the next attempt and waits for it. So an absent database costs its callers
 * nothing but the answer, and nobody knocks when nobody asks.
 *
 * A server that is stopped, or behind a network that drops everything, refuses nothing: it is silent. The owner
 * hears of that sooner than a statement's deadline (pg_pool_doubt). When the pool's own questions are unanswered
 * for SILENT_MS too, it gives its connections up, but for writes that were sent, which may still commit; and
 * until something is answered again it fails what is not sent, and knocks twice a second by itself.
 *
 * Time: a job waits for a connection for `timeout_ms`; from then on the server counts
 * (statement_timeout), which ends a statement cleanly. BACKSTOP_MS later the pool gives up on the
 * server itself.
 *
 * Invariants: P1. `done` runs exactly once per job that was not cancelled, and never inside
 * pg_submit(). P2. A job is on one list (waiting or refused) or on one connection, never on two.
 * P3. A job that was sent is sent again only if the server said that nothing of it ran.
 *
 * Threads: the loop's.
 *
 * Not done: a pooler of transactions between us and PostgreSQL (refused: docs/decisions/0012); a DSN of several hosts that may reach a standby (say target_session_attrs=read-write).
 */
#include "base/alloc.h"
#include "base/log.h"
#include "base/trace.h"
#include "pg/pool_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 500, BACKSTOP_MS = 1000 };
enum { SILENT_MS = 1000 };

static void pool_pump(struct pg_pool *p);

/* --- jobs --------------------------------------------------------------------------------------- */

static struct pg_job *job_of(struct list *node)
{
    return container_of(node, struct pg_job, node);
}

/* The job leaves the pool. Its memory may be gone when this returns. */
static void job_done(struct pg_job *job, const struct pg_answer *answer)
{
    timer_stop(&job->timer);
    list_remove(&job->node);
    if (answer->err != ERR_OK) {
        job->pool->errors++;
    }
    job->pool = NULL;
    job->conn = NULL;
    job->done(job, answer);
}

static void run_refused(struct loop_task *task)
{
    struct pg_pool *p = container_of(task, struct pg_pool, refuse);
    struct list now;
    list_init(&now);
    struct list *node;
    while ((node = list_pop_front(&p->refused)) != NULL) {
        list_push_back(&now, node);
    }
    while (!list_empty(&now)) {
        struct pg_job *job = job_of(now.next);
        struct pg_answer answer = {
            .err = job->refused,
            .message = job->refused == ERR_NO_DATABASE ? p->last_error : err_text(job->refused),
        };
        job_done(job, &answer);
    }
}

static void job_refuse(struct pg_pool *p, struct pg_job *job, enum err err)
{
    timer_stop(&job->timer);
    list_remove(&job->node);
    job->refused = err;
    list_push_back(&p->refused, &job->node);
    loop_defer(p->loop, &p->refuse, run_refused);
}

static struct pg_job *take_waiting(struct pg_pool *p)
{
    struct list *node = list_pop_front(&p->waiting);
    if (node == NULL) {
        return NULL;
    }
    p->waiting_count--;
    return job_of(node);
}

/* --- connections -------------------------------------------------------------------------------- */

static bool is_open(const struct pg_conn *c)
{
    return c->state == CONN_IDLE || c->state == CONN_BUSY;
}

static bool is_opening(const struct pg_conn *c)
{
    return c->state == CONN_CONNECTING || c->state == CONN_SETUP;
}

static uint32_t count_conns(const struct pg_pool *p, bool (*is)(const struct pg_conn *c))
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->size; i++) {
        n += is(&p->conns[i]) ? 1 : 0;
    }
    return n;
}

static struct pg_conn *find_conn(struct pg_pool *p, enum conn_state state)
{
    for (uint32_t i = 0; i < p->size; i++) {
        if (p->conns[i].state == state) {
            return &p->conns[i];
        }
    }
    return NULL;
}

static void conn_forget(struct pg_conn *c)
{
    job_clear(c);
    pg_link_close(&c->link);
    c->state = CONN_CLOSED;
    c->job = NULL;
    c->prepared_count = 0;
    c->limit_ms = UINT32_MAX;
}

/* Puts the job back before all others: it has waited already. */
static void job_again(struct pg_pool *p, struct pg_job *job)
{
    job->retried = true;
    job->conn = NULL;
    list_remove(&job->node);
    list_push_back(p->waiting.next, &job->node);
    p->waiting_count++;
}

/* Closes the connection and ends its job, if any, with `err`. A read whose connection went away is
 * asked once more on another one: it may have died before the question reached the server. */
static void conn_lose(struct pg_conn *c, enum err err, const char *why)
{
    struct pg_job *job = c->job;
    if (job == NULL) {
        conn_forget(c);
        return;
    }
    if (err == ERR_NO_DATABASE && job->shape == PG_READ && !job->retried) {
        job_again(c->pool, job);
        conn_forget(c);
        return;
    }
    struct pg_answer answer;
    job_answer_lost(c, job, err, why, &answer);
    c->job = NULL;
    /* Out of pump's reach until the answer, which points into it, was given. */
    c->state = CONN_BUSY;
    job_done(job, &answer);
    conn_forget(c);
}

static void note_error(struct pg_pool *p, const char *why)
{
    (void)snprintf(p->last_error, sizeof(p->last_error), "%s", why);
}

static void conn_attempt_failed(struct pg_pool *p, const char *why)
{
    if (tell_due(&p->tell, why, loop_now_ms(p->loop))) {
        char *advised = pg_advice(why, NULL);
        log_event(LOG_WARN, "pg", "cannot connect", log_text("reason", advised));
        free(advised);
    }
    note_error(p, why);
    p->backoff_ms = p->backoff_ms == 0 ? BACKOFF_FIRST_MS : p->backoff_ms * 2;
    if (p->backoff_ms > BACKOFF_MAX_MS) {
        p->backoff_ms = BACKOFF_MAX_MS;
    }
    p->retry_ms = loop_now_ms(p->loop) + p->backoff_ms;
}

static void conn_failed(struct pg_link *k, const char *why)
{
    struct pg_conn *c = container_of(k, struct pg_conn, link);
    struct pg_pool *p = c->pool;
    trace(TRACE_DB_CUT, is_opening(c) ? 0 : 1, 0, slice_of(why));
    if (is_opening(c)) {
        conn_forget(c);
        conn_attempt_failed(p, why);
    } else {
        if (tell_due(&p->tell, why, loop_now_ms(p->loop))) {
            log_event(LOG_WARN, "pg", "lost a connection", log_text("reason", why));
        }
        note_error(p, why);
        conn_lose(c, ERR_NO_DATABASE, why);
    }
    pool_pump(p);
}

static void heard(struct pg_pool *p)
{
    p->heard_ms = loop_now_ms(p->loop);
    if (p->silent) {
        p->silent = false;
        p->backoff_ms = 0;
        p->retry_ms = 0;
        log_info("pg", "PostgreSQL answers again");
    }
}

static void conn_connected(struct pg_link *k)
{
    struct pg_conn *c = container_of(k, struct pg_conn, link);
    heard(c->pool);
    c->state = CONN_SETUP;
    if (!job_send_setup(c)) {
        pg_link_fail(k, PQerrorMessage(k->conn));
    }
}

static void conn_setup_done(struct pg_conn *c)
{
    struct pg_pool *p = c->pool;
    if (c->failure != NULL) {
        pg_link_fail(&c->link, PQresultErrorMessage(c->failure));
        return;
    }
    for (uint32_t i = 0; i < p->size; i++) {
        const struct pg_conn *other = &p->conns[i];
        if (other != c && is_open(other) && c->process != 0 && other->process == c->process) {
            pg_link_fail(&c->link, "two connections share a server process");
            return;
        }
    }
    job_clear(c);
    c->state = CONN_IDLE;
    trace(TRACE_DB_READY, 0, 0, (struct slice){NULL, 0});
    if (p->backoff_ms > 0) {
        log_info("pg", "connected again");
    }
    tell_over(&p->tell);
    p->backoff_ms = 0;
    p->retry_ms = 0;
    p->last_error[0] = '\0';
    pool_pump(p);
}

static void conn_job_done(struct pg_conn *c)
{
    struct pg_pool *p = c->pool;
    struct pg_job *job = c->job;
    bool stale = job_needs_prepare(c);
    c->job = NULL;
    p->statements++;
    if (stale && !job->retried) {
        job_again(p, job);
    } else {
        struct pg_answer answer;
        job_answer(c, job, &answer);
        if (answer.err == ERR_OK) {
            p->last_error[0] = '\0';
        } else {
            note_error(p, answer.message);
        }
        job_done(job, &answer); /* the connection counts as busy until the answer was read */
    }
    job_clear(c);
    c->state = CONN_IDLE;
    if (stale) {
        conn_forget(c);
    }
    pool_pump(p);
}

static void conn_readable(struct pg_link *k)
{
    struct pg_conn *c = container_of(k, struct pg_conn, link);
    heard(c->pool);
    if (c->state == CONN_IDLE) {
        return; /* notices, or parameter changes */
    }
    switch (job_read(c)) {
    case JOB_MORE:
        return;
    case JOB_BROKEN:
        pg_link_fail(k, "the statement cannot be run in a pipeline (COPY?)");
        return;
    case JOB_DONE:
        break;
    }
    if (c->state == CONN_SETUP) {
        conn_setup_done(c);
    } else {
        conn_job_done(c);
    }
}

static const struct pg_link_face conn_link_face = {
    .connected = conn_connected,
    .readable = conn_readable,
    .failed = conn_failed,
};

/* --- deadlines ---------------------------------------------------------------------------------- */

static void job_overdue(struct timer *t)
{
    struct pg_job *job = container_of(t, struct pg_job, timer);
    struct pg_pool *p = job->pool;
    struct pg_conn *c = job->conn;
    const char *why = "no answer in time";
    if (c == NULL) {
        p->waiting_count--;
        job_done(job, &(struct pg_answer){.err = ERR_TIMEOUT,
                                          .message = "no connection was free in time"});
        return;
    }
    job_cancel_remote(c);
    note_error(p, why);
    conn_lose(c, ERR_TIMEOUT, why);
    pool_pump(p);
}

/* --- the pump ----------------------------------------------------------------------------------- */

static void conn_start(struct pg_conn *c, struct pg_job *job)
{
    c->state = CONN_BUSY;
    c->asked_ms = loop_now_ms(c->pool->loop);
    if (job->timeout_ms > 0) {
        timer_start(c->pool->loop, &job->timer, (uint64_t)job->timeout_ms + BACKSTOP_MS,
                    job_overdue);
    }
    if (!job_send(c, job)) {
        pg_link_fail_later(&c->link);
    }
}

static void conn_open(struct pg_conn *c)
{
    struct pg_pool *p = c->pool;
    c->state = CONN_CONNECTING;
    trace(TRACE_DB_CONNECT, 0, 0, (struct slice){NULL, 0});
    c->asked_ms = loop_now_ms(p->loop);
    pg_link_open(&c->link, p->dsn, p->extra, p->silent ? SILENT_MS : p->connect_timeout_ms);
}

static void refuse_waiting(struct pg_pool *p)
{
    struct pg_job *job;
    while ((job = take_waiting(p)) != NULL) {
        job_refuse(p, job, ERR_NO_DATABASE);
    }
}

static void pool_pump(struct pg_pool *p)
{
    struct pg_conn *c;
    struct pg_job *job;
    while ((c = find_conn(p, CONN_IDLE)) != NULL && (job = take_waiting(p)) != NULL) {
        conn_start(c, job);
    }
    if (p->silent) {
        refuse_waiting(p);
        return;
    }
    if (loop_now_ms(p->loop) >= p->retry_ms) {
        uint32_t opening = count_conns(p, is_opening);
        while (opening < p->waiting_count && (c = find_conn(p, CONN_CLOSED)) != NULL) {
            conn_open(c);
            opening++;
        }
    }
    if (count_conns(p, is_open) == 0 && count_conns(p, is_opening) == 0) {
        refuse_waiting(p);
    }
}

/* --- silence ------------------------------------------------------------------------------------ */

static bool is_unanswered(const struct pg_conn *c)
{
    uint64_t now = loop_now_ms(c->pool->loop);
    return (c->state == CONN_BUSY || is_opening(c)) && now - c->asked_ms >= SILENT_MS;
}

static void fall_silent(struct pg_pool *p)
{
    static const char why[] = "PostgreSQL does not answer";
    p->silent = true;
    p->retry_ms = loop_now_ms(p->loop) + BACKOFF_MAX_MS;
    note_error(p, why);
    log_warn(
        "pg",
        "%s: is it stopped, or is the network cut? Until it answers, what needs it fails at once",
        why);
    for (uint32_t i = 0; i < p->size; i++) {
        struct pg_conn *c = &p->conns[i];
        bool writes = c->state == CONN_BUSY && (c->job == NULL || c->job->shape == PG_WRITE);
        if (c->state == CONN_CLOSED || writes) {
            continue;
        }
        if (c->job != NULL) {
            c->job->retried = true; /* there is no other connection to try */
        }
        conn_lose(c, ERR_NO_DATABASE, why);
    }
    pool_pump(p);
}

void pg_pool_doubt(struct pg_pool *p, bool doubted)
{
    uint64_t now = loop_now_ms(p->loop);
    if (!p->silent) {
        bool quiet = doubted && now - p->heard_ms >= SILENT_MS;
        if (quiet && count_conns(p, is_unanswered) > 0) {
            fall_silent(p);
        }
        return;
    }
    struct pg_conn *c = find_conn(p, CONN_CLOSED);
    if ((!doubted || now >= p->retry_ms) && c != NULL && count_conns(p, is_opening) == 0) {
        conn_open(c);
    }
}

/* --- the face ----------------------------------------------------------------------------------- */

/* Settings beside the DSN; a name in the DSN itself wins. */
static char *extra_settings(const char *application_name)
{
    struct buf b;
    buf_init(&b);
    buf_append_str(&b, "fallback_application_name='");
    const char *name = application_name != NULL ? application_name : "freshet";
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\') {
            buf_append_char(&b, '\\');
        }
        buf_append_char(&b, *c);
    }
    buf_append_str(&b, "'");
    char *text = xstrndup(b.mem + b.start, buf_len(&b));
    buf_fini(&b);
    return text;
}

struct pg_pool *pg_pool_create(struct loop *l, const struct pg_pool_options *options)
{
    check(options->size >= 1);
    struct pg_pool *p = xcalloc(1, sizeof(*p));
    p->magic = POOL_MAGIC;
    p->loop = l;
    p->dsn = xstrdup(options->dsn);
    p->extra = extra_settings(options->application_name);
    check(getrandom(&p->nonce, sizeof(p->nonce), 0) == (ssize_t)sizeof(p->nonce));
    p->size = options->size;
    p->queue_max = options->queue_max;
    p->connect_timeout_ms = options->connect_timeout_ms;
    p->conns = xcalloc(p->size, sizeof(*p->conns));
    for (uint32_t i = 0; i < p->size; i++) {
        p->conns[i].pool = p;
        p->conns[i].limit_ms = UINT32_MAX;
        pg_link_init(&p->conns[i].link, l, &conn_link_face);
    }
    list_init(&p->waiting);
    list_init(&p->refused);
    list_init(&p->refuse.node);
    return p;
}

void pg_pool_destroy(struct pg_pool **pp)
{
    struct pg_pool *p = *pp;
    *pp = NULL;
    if (p == NULL) {
        return;
    }
    note_error(p, "the pool is closing");
    p->queue_max = 0; /* a job submitted from a callback is refused below */
    p->retry_ms = UINT64_MAX;
    for (uint32_t i = 0; i < p->size; i++) {
        conn_lose(&p->conns[i], ERR_NO_DATABASE, p->last_error);
    }
    pool_pump(p);
    while (!list_empty(&p->refused)) {
        run_refused(&p->refuse);
    }
    list_remove(&p->refuse.node);
    for (uint32_t i = 0; i < p->size; i++) {
        free(p->conns[i].prepared);
        free(p->conns[i].relations);
    }
    free(p->conns);
    free(p->extra);
    free(p->dsn);
    free(p);
}

void pg_submit(struct pg_pool *p, struct pg_job *job)
{
    check_obj(p, POOL_MAGIC);
    job->pool = p;
    job->conn = NULL;
    job->retried = false;
    job->refused = ERR_OK;
    job->timer = (struct timer){0};
    list_init(&job->node);
    if (p->waiting_count >= p->queue_max && find_conn(p, CONN_IDLE) == NULL) {
        job_refuse(p, job, ERR_BUSY);
        return;
    }
    list_push_back(&p->waiting, &job->node);
    p->waiting_count++;
    if (job->timeout_ms > 0) {
        timer_start(p->loop, &job->timer, job->timeout_ms, job_overdue);
    }
    pool_pump(p);
}

void pg_pool_stats(const struct pg_pool *p, struct pg_pool_stats *ret_stats)
{
    *ret_stats = (struct pg_pool_stats){
        .open = count_conns(p, is_open),
        .waiting = p->waiting_count,
        .silent = p->silent,
        .statements = p->statements,
        .errors = p->errors,
        .last_error = p->last_error[0] != '\0' ? p->last_error : NULL,
    };
    for (uint32_t i = 0; i < p->size; i++) {
        ret_stats->busy += p->conns[i].state == CONN_BUSY ? 1 : 0;
    }
}
