/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One job on one connection: everything it needs leaves in one go (libpq's pipeline mode), and the
 * results are taken in the same order.
 *
 *   read    [limit S] begin [prepare] snapshot statement relations S commit S
 *   write   [limit S] begin [prepare] statement                    S commit lsn S
 *
 * S is a Sync. After an error the server skips everything up to the next one; so the COMMIT behind
 * the first Sync is always executed, and in a failed transaction COMMIT means ROLLBACK. Whatever
 * happens in between, the connection is clean after the last Sync, without a second round trip.
 *
 * Preparing stands behind BEGIN: its failure then has a transaction to end. Prepared statements
 * survive a rollback.
 *
 * A read is READ COMMITTED on purpose. Its statement takes its own snapshot once it has its locks, so
 * it shows at least what the snapshot that is reported shows. With one snapshot for the
 * transaction, taken before the locks, a statement that waits for a TRUNCATE would find the table empty, also when the
 * same transaction has filled it again: TRUNCATE is not MVCC-safe.
 *
 * Invariants: J1. `sending` runs before the first byte of the job. J2. A write is told as
 * definitely failed only if an error came before its COMMIT, or the COMMIT itself was refused on a
 * connection that lived on.
 *
 * Threads: the loop's, but for the canceller, which owns what it touches.
 *
 * Not done: several jobs on one connection at once; large results row by row.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "pg/pool_priv.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Prepared on every connection when it opens. */
static const struct {
    const char *name;
    const char *sql;
} own_statements[] = {
    {"freshet_begin_read", "begin isolation level read committed read only"},
    {"freshet_begin_write", "begin"},
    {"freshet_commit", "commit"},
    {"freshet_snapshot", "select pg_catalog.pg_current_snapshot()::text"},
    {"freshet_lsn", "select pg_catalog.pg_current_wal_insert_lsn()::text"},
    {"freshet_relations", "select distinct l.relation from pg_catalog.pg_locks l"
                          " join pg_catalog.pg_class c on c.oid = l.relation"
                          " where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation'"
                          " and l.relation >= 16384 and c.relkind in ('r', 'p', 'm', 'f')"},
};

/* --- sending ------------------------------------------------------------------------------------ */

/* Notes the step; `sent` is what libpq said of it. */
static bool add_step(struct pg_conn *c, enum job_step step, int sent)
{
    check(c->step_count < JOB_STEPS_MAX);
    c->steps[c->step_count++] = step;
    return sent == 1;
}

static bool add_sync(struct pg_conn *c)
{
    return add_step(c, STEP_SYNC, PQpipelineSync(c->link.conn));
}

static bool add_own(struct pg_conn *c, enum job_step step, const char *name)
{
    return add_step(c, step, PQsendQueryPrepared(c->link.conn, name, 0, NULL, NULL, NULL, 0));
}

/* What a value's text depends on is the same on every connection, whatever the role or the database
 * say. The time zone stays theirs: it is the application's. */
static const char settings_sql[] =
    "select set_config('datestyle', 'ISO', false), set_config('intervalstyle', 'postgres', false),"
    " set_config('extra_float_digits', '1', false), set_config('bytea_output', 'hex', false),"
    " pg_catalog.pg_backend_pid()";

bool job_send_setup(struct pg_conn *c)
{
    PGconn *conn = c->link.conn;
    bool sent = PQenterPipelineMode(conn) == 1 &&
                add_step(c, STEP_SETUP,
                         PQsendQueryParams(conn, settings_sql, 0, NULL, NULL, NULL, NULL, 0));
    for (size_t i = 0; i < array_len(own_statements) && sent; i++) {
        sent =
            add_step(c, STEP_SETUP,
                     PQsendPrepare(conn, own_statements[i].name, own_statements[i].sql, 0, NULL));
    }
    return sent && add_sync(c) && pg_link_flush(&c->link);
}

static bool send_limit(struct pg_conn *c, uint32_t limit_ms)
{
    if (c->limit_ms == limit_ms) {
        return true;
    }
    c->limit_ms = limit_ms;
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "set statement_timeout to %" PRIu32, limit_ms);
    return add_step(c, STEP_LIMIT,
                    PQsendQueryParams(c->link.conn, sql, 0, NULL, NULL, NULL, NULL, 0)) &&
           add_sync(c);
}

static bool is_prepared(const struct pg_conn *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->prepared_count; i++) {
        if (c->prepared[i] == id) {
            return true;
        }
    }
    return false;
}

static bool send_statement(struct pg_conn *c, const struct pg_job *job)
{
    const struct pg_statement *st = job->statement;
    char name[48];
    (void)snprintf(name, sizeof(name), "s%" PRIx64 "_%" PRIu64, c->pool->nonce, st->id);
    if (!is_prepared(c, st->id) &&
        !add_step(c, STEP_PREPARE, PQsendPrepare(c->link.conn, name, st->sql, 0, NULL))) {
        return false;
    }
    if (job->shape == PG_READ && !add_own(c, STEP_SNAPSHOT, "freshet_snapshot")) {
        return false;
    }
    return add_step(
        c, STEP_STATEMENT,
        PQsendQueryPrepared(c->link.conn, name, (int)st->param_count, job->params, NULL, NULL, 0));
}

bool job_send(struct pg_conn *c, struct pg_job *job)
{
    c->job = job;
    c->statement_id = job->statement->id;
    job->conn = c;
    if (job->sending != NULL) {
        job->sending(job);
    }
    job->sent_us = clock_now_us();
    if (!send_limit(c, job->timeout_ms)) {
        return false;
    }
    if (job->shape == PG_READ) {
        return add_own(c, STEP_BEGIN, "freshet_begin_read") && send_statement(c, job) &&
               add_own(c, STEP_RELATIONS, "freshet_relations") && add_sync(c) &&
               add_own(c, STEP_COMMIT, "freshet_commit") && add_sync(c) && pg_link_flush(&c->link);
    }
    return add_own(c, STEP_BEGIN, "freshet_begin_write") && send_statement(c, job) && add_sync(c) &&
           add_own(c, STEP_COMMIT, "freshet_commit") && add_own(c, STEP_LSN, "freshet_lsn") &&
           add_sync(c) && pg_link_flush(&c->link);
}

/* --- taking the results ------------------------------------------------------------------------- */

static void note_prepared(struct pg_conn *c)
{
    if (c->prepared_count == c->prepared_cap) {
        c->prepared_cap = c->prepared_cap > 0 ? c->prepared_cap * 2 : 16;
        c->prepared = xrealloc(c->prepared, c->prepared_cap * sizeof(*c->prepared));
    }
    c->prepared[c->prepared_count++] = c->statement_id;
}

static void note_relations(struct pg_conn *c, const PGresult *r)
{
    uint32_t count = (uint32_t)PQntuples(r);
    if (count > c->relation_cap) {
        c->relation_cap = count;
        c->relations = xrealloc(c->relations, count * sizeof(*c->relations));
    }
    for (uint32_t i = 0; i < count; i++) {
        c->relations[i] = (uint32_t)strtoul(PQgetvalue(r, (int)i, 0), NULL, 10);
    }
    c->relation_count = count;
}

/* A step succeeded. Returns true if it keeps the result. */
static bool take_good(struct pg_conn *c, enum job_step step, PGresult *r)
{
    switch (step) {
    case STEP_SETUP:
        if (PQntuples(r) == 1) {
            c->process = (int)strtol(PQgetvalue(r, 0, PQnfields(r) - 1), NULL, 10);
        }
        return false;
    case STEP_PREPARE:
        note_prepared(c);
        return false;
    case STEP_SNAPSHOT:
        c->snapshot = r;
        return true;
    case STEP_STATEMENT:
        c->rows = r;
        return true;
    case STEP_RELATIONS:
        note_relations(c, r);
        return false;
    case STEP_COMMIT:
        c->committed = c->failure == NULL;
        return false;
    case STEP_LSN:
        (void)pg_lsn_parse(PQgetvalue(r, 0, 0), &c->wal_lsn);
        return false;
    case STEP_LIMIT:
    case STEP_BEGIN:
    case STEP_SYNC:
        return false;
    }
    unreachable();
}

static bool is_copy(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

static void take(struct pg_conn *c, PGresult *r)
{
    enum job_step step = c->steps[c->step_now];
    bool kept = false;
    switch (PQresultStatus(r)) {
    case PGRES_PIPELINE_SYNC:
        check(step == STEP_SYNC);
        c->step_now++;
        break;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        c->step_answered = true;
        kept = take_good(c, step, r);
        break;
    case PGRES_PIPELINE_ABORTED: /* skipped because of an error before it */
        c->step_answered = true;
        break;
    default:
        c->step_answered = true;
        /* The position is a courtesy: the commit stands without it. */
        if (c->failure == NULL && step != STEP_LSN) {
            c->failure = r;
            c->failed_at = step;
            kept = true;
        }
        break;
    }
    if (!kept) {
        PQclear(r);
    }
}

enum job_progress job_read(struct pg_conn *c)
{
    /* libpq gives NULL after each command's result, and may give one more before the first. */
    unsigned idle_nulls = 0;
    while (c->step_now < c->step_count && PQisBusy(c->link.conn) == 0) {
        PGresult *r = PQgetResult(c->link.conn);
        if (r != NULL) {
            idle_nulls = 0;
            if (is_copy(r)) {
                PQclear(r);
                return JOB_BROKEN;
            }
            take(c, r);
        } else if (c->step_answered) {
            c->step_answered = false;
            c->step_now++;
        } else if (++idle_nulls > 1) {
            return JOB_BROKEN;
        }
    }
    return c->step_now == c->step_count ? JOB_DONE : JOB_MORE;
}

/* --- the answer --------------------------------------------------------------------------------- */

static const char *failure_field(const struct pg_conn *c, int field)
{
    return c->failure != NULL ? PQresultErrorField(c->failure, field) : NULL;
}

/* "unnamed portal parameter $3 = '...'": what the server says about a value it could not read. */
static uint32_t parameter_in(const char *context)
{
    static const char words[] = "portal parameter $";
    const char *at = context != NULL ? strstr(context, words) : NULL;
    return at != NULL ? (uint32_t)strtoul(at + sizeof(words) - 1, NULL, 10) : 0;
}

static void answer_failure(struct pg_conn *c, struct pg_answer *a)
{
    const char *state = failure_field(c, PG_DIAG_SQLSTATE);
    const char *message = failure_field(c, PG_DIAG_MESSAGE_PRIMARY);
    (void)snprintf(a->sqlstate, sizeof(a->sqlstate), "%s", state != NULL ? state : "");
    a->message = message != NULL ? message : PQresultErrorMessage(c->failure);
    a->detail = failure_field(c, PG_DIAG_MESSAGE_DETAIL);
    a->parameter = parameter_in(failure_field(c, PG_DIAG_CONTEXT));
    a->err = strcmp(a->sqlstate, "57014") == 0 ? ERR_TIMEOUT : ERR_DATABASE;
}

void job_answer(struct pg_conn *c, const struct pg_job *job, struct pg_answer *ret_answer)
{
    struct pg_answer a = {.err = ERR_OK, .elapsed_us = clock_now_us() - job->sent_us};
    if (c->failure != NULL) {
        answer_failure(c, &a);
    } else {
        a.rows = c->rows;
        a.relations = c->relations;
        a.relation_count = c->relation_count;
        a.wal_lsn = c->wal_lsn;
        if (c->snapshot != NULL) {
            a.snapshot = slice_of(PQgetvalue(c->snapshot, 0, 0));
        }
    }
    *ret_answer = a;
}

void job_answer_lost(struct pg_conn *c, const struct pg_job *job, enum err err, const char *why,
                     struct pg_answer *ret_answer)
{
    if (c->committed) {
        job_answer(c, job, ret_answer);
        return;
    }
    bool failed_before_commit = c->failure != NULL && c->failed_at != STEP_COMMIT;
    *ret_answer = (struct pg_answer){
        .err = err,
        .message = why,
        .maybe_committed = job->shape == PG_WRITE && !failed_before_commit,
        .elapsed_us = clock_now_us() - job->sent_us,
    };
}

bool job_needs_prepare(const struct pg_conn *c)
{
    const char *state = failure_field(c, PG_DIAG_SQLSTATE);
    if (state == NULL || c->failed_at != STEP_STATEMENT) {
        return false;
    }
    /* "cached plan must not change result type" shares its code with much else, and its text is
     * translated; and a name that somebody deallocated. */
    const char *where = failure_field(c, PG_DIAG_SOURCE_FUNCTION);
    return (strcmp(state, "0A000") == 0 && where != NULL &&
            strcmp(where, "RevalidateCachedQuery") == 0) ||
           strcmp(state, "26000") == 0;
}

void job_clear(struct pg_conn *c)
{
    PQclear(c->rows);
    PQclear(c->snapshot);
    PQclear(c->failure);
    c->rows = c->snapshot = c->failure = NULL;
    c->step_count = c->step_now = c->relation_count = 0;
    c->step_answered = c->committed = false;
    c->wal_lsn = 0;
}

/* --- cancelling --------------------------------------------------------------------------------- */

static void *canceller(void *arg)
{
    char why[256];
    (void)PQcancel(arg, why, sizeof(why)); /* best effort: statement_timeout stands behind it */
    PQfreeCancel(arg);
    return NULL;
}

void job_cancel_remote(struct pg_conn *c)
{
    PGcancel *cancel = PQgetCancel(c->link.conn);
    if (cancel == NULL) {
        return;
    }
    /* Signals belong to the threads that were made for them. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    if (pthread_create(&thread, NULL, canceller, cancel) == 0) {
        (void)pthread_detach(thread);
    } else {
        PQfreeCancel(cancel);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}
