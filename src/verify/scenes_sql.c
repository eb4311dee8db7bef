/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scenes of fills, of changes that do not say which rows they change, and of commits (see scenes.h).
 *
 * Two means make an order certain. A route that calls verify.pass() can be held in the middle: its
 * statement has found the row, then the function waits for the lock on `gate` that the stage manager holds. And
 * a synchronous standby that does not exist holds a commit in the state that lasts microseconds
 * otherwise: it is in the log, freshet has it, and no query can see it.
 */
#include "verify/scenes.h"

#include "base/check.h"
#include "base/clock.h"
#include "verify/http_read.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    WATCH_US = 3 * 1000 * 1000,
    QUIET_ROUNDS = 5,
    HOLD_TRIES = 20,
    CUT_ROUNDS = 10,
    WIDE_ROWS = 6
};

static struct target row_of_stage(uint32_t id)
{
    return (struct target){.table = RUN_STAGE, .id = id};
}

/* Asks until the answer of `sql` is `wanted`; false when it is not within 3 s (or the run fails). */
static bool watch(struct stage *s, const char *sql, const char *wanted)
{
    uint64_t begun_us = clock_now_us();
    char text[64];
    do {
        if (!db_value(&s->second, sql, text, sizeof(text))) {
            return false;
        }
        if (strcmp(text, wanted) == 0) {
            return true;
        }
        actor_pause(s->actor, 500);
    } while (clock_now_us() - begun_us < WATCH_US);
    return false;
}

/* --- fills ------------------------------------------------------------------------------------------ */

/*
 * A fill has its snapshot and is held. The row changes and the commit is applied. Others ask for the
 * same answer: those of the strict route may not be given what the fill brings home, nor may anybody later.
 */
static bool ask_while_held(struct stage *s, uint32_t id, bool *ret_held)
{
    struct actor *a = s->actor;
    struct target t = row_of_stage(id);
    struct reading rd[6];
    struct http_reply reply;
    static const char waiters[] =
        "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = "
        "'verify.gate'::regclass";
    bool ok = http_read_send(a, &s->http[1], t, FACE_HTTP_GATED, &rd[0]) &&
              http_read_send(a, &s->http[2], t, FACE_HTTP_GATED_STRICT, &rd[1]) &&
              http_read_send(a, &s->http[3], t, FACE_HTTP_GATED, &rd[2]);
    *ret_held = ok && watch(s, waiters, "t");
    if (!ok || (*ret_held && !(stage_write(s, id) && stage_settle(s, id)))) {
        return false;
    }
    ok = http_read_send(a, &s->http[4], t, FACE_HTTP_GATED, &rd[3]) &&
         http_read_send(a, &s->http[5], t, FACE_HTTP_GATED_STRICT, &rd[4]) &&
         http_read_send(a, &s->http[6], t, FACE_HTTP_GATED_STRICT, &rd[5]) &&
         db_exec(&s->second, "ROLLBACK");
    for (uint32_t i = 0; ok && i < array_len(rd); i++) {
        ok = http_read_receive(a, &s->http[i + 1], &rd[i], &reply);
    }
    return ok;
}

bool scene_fill_overtaken(struct stage *s, uint32_t id)
{
    struct actor *a = s->actor;
    struct http_reply reply;
    bool held = false;
    /* Not from memory: the row has just changed. */
    if (!stage_write(s, id) || !stage_settle(s, id) ||
        !db_exec(&s->second, "BEGIN; LOCK TABLE verify.gate IN ACCESS EXCLUSIVE MODE") ||
        !ask_while_held(s, id, &held)) {
        return false;
    }
    return http_read(a, &s->http[1], row_of_stage(id), FACE_HTTP_GATED, &reply) &&
           http_read(a, &s->http[1], row_of_stage(id), FACE_HTTP_GATED_STRICT, &reply);
}

/* --- changes that do not carry values ---------------------------------------------------------------- */

/* Rows that are in memory in every face. */
static bool warm(struct stage *s, uint32_t first)
{
    struct actor *a = s->actor;
    struct redis_miss miss;
    bool hit;
    for (uint32_t id = first; id < first + WIDE_ROWS; id++) {
        if (!stage_read_all(s, id)) {
            return false;
        }
        bool token = a->run->has_tokens;
        if (!redis_get(a, &s->redis[0], row_of_stage(id), FACE_REDIS, token, &hit, &miss)) {
            return false;
        }
        if (!hit && (!db_read(a, &s->db, miss.target, &s->page) ||
                     !redis_set(a, &s->redis[1], &miss, buf_readable(&s->page)))) {
            return false;
        }
    }
    return true;
}

static bool read_rows(struct stage *s, uint32_t first)
{
    for (uint32_t id = first; id < first + WIDE_ROWS; id++) {
        if (!stage_read_all(s, id)) {
            return false;
        }
    }
    return true;
}

/* TRUNCATE names no rows. */
bool scene_truncate(struct stage *s, uint32_t id)
{
    struct model_table *t = &s->actor->run->tables[RUN_STAGE];
    uint32_t first = id < t->row_count - WIDE_ROWS ? id : t->row_count - WIDE_ROWS;
    if (!warm(s, first)) {
        return false;
    }
    tx_begin(&s->tx, RUN_STAGE, "truncate");
    for (uint32_t i = 0; i < t->row_count; i++) {
        if (s->tx.changes[tx_lock(&s->tx, i)].old_group != MODEL_ABSENT) {
            tx_set(&s->tx, i, MODEL_ABSENT);
        }
    }
    bool ok = tx_send_raw(&s->tx, "TRUNCATE verify.stage");
    if (ok) {
        tx_committed(&s->tx, clock_now_us());
    }
    ok = ok && stage_settle(s, first) && read_rows(s, first);
    for (uint32_t i = 0; ok && i < t->row_count; i++) {
        tx_set(&s->tx, i, (int32_t)(i % t->groups));
    }
    ok = ok && tx_send(&s->tx, TX_IMPLICIT);
    tx_end(&s->tx);
    run_count(s->actor, truncates);
    return ok && stage_settle(s, first) && read_rows(s, first);
}

/* Over a thousand rows in one transaction: freshet may stop counting them one by one. */
bool scene_everything_changes(struct stage *s, uint32_t id)
{
    struct actor *a = s->actor;
    struct model_table *t = &a->run->tables[RUN_CROWD];
    struct http_reply reply;
    struct target shown = {.table = RUN_CROWD};
    for (shown.id = 0; shown.id < WIDE_ROWS; shown.id++) {
        if (!http_read(a, &s->http[1], shown, FACE_HTTP_STRICT, &reply) ||
            !http_read(a, &s->http[1], shown, FACE_HTTP, &reply)) {
            return false;
        }
    }
    tx_begin(&s->tx, RUN_CROWD, "every row");
    for (uint32_t i = 0; i < t->row_count; i++) {
        int32_t group = s->tx.changes[tx_lock(&s->tx, i)].old_group;
        tx_set(&s->tx, i, group == MODEL_ABSENT ? 0 : group);
    }
    bool ok = tx_send(&s->tx, TX_IMPLICIT);
    tx_end(&s->tx);
    run_count(a, bulks);
    for (shown.id = 0; ok && shown.id < WIDE_ROWS; shown.id++) {
        ok = http_read(a, &s->http[1], shown, FACE_HTTP_STRICT, &reply) &&
             http_read(a, &s->http[1], shown, FACE_HTTP, &reply);
    }
    return ok;
}

/* --- commits ---------------------------------------------------------------------------------------- */

/* Nobody else writes, so nothing but this commit moves freshet on: a strict read right after it. */
bool scene_quiet_commit(struct stage *s, uint32_t id)
{
    struct run *r = s->actor->run;
    bool ok = true;
    for (uint32_t i = 0; ok && i < QUIET_ROUNDS; i++) {
        ok = stage_read_all(s, id);
        ok = ok && stage_read_all(s, id); /* now a hit, where it can be one */
        if (!ok) {
            break;
        }
        tx_begin(&s->tx, RUN_STAGE, "quiet commit");
        uint32_t at = tx_lock(&s->tx, id);
        int32_t group = s->tx.changes[at].old_group;
        tx_set(&s->tx, at, group == MODEL_ABSENT ? 0 : group);
        check(pthread_rwlock_unlock(&r->writing) == 0);
        check(pthread_rwlock_wrlock(&r->writing) == 0);
        ok = tx_send(&s->tx, i % 2 == 0 ? TX_IMPLICIT : TX_ASYNC) && stage_read_all(s, id);
        tx_end(&s->tx);
    }
    return ok;
}

static bool alter_standby(struct stage *s, const char *names)
{
    char sql[96];
    (void)snprintf(sql, sizeof(sql), "ALTER SYSTEM SET synchronous_standby_names = '%s'", names);
    return db_exec(&s->second, sql) && db_exec(&s->second, "SELECT pg_reload_conf()") &&
           watch(s, "SHOW synchronous_standby_names", names);
}

/* What clients do while the commit is in the log and nobody can see it: they find the old row, rightly,
 * and none of it may be kept. */
static bool fill_while_held(struct stage *s, uint32_t id)
{
    struct actor *a = s->actor;
    struct redis_miss miss;
    bool hit;
    for (uint32_t i = 0; i < 3; i++) {
        if (!stage_read_all(s, id) || !redis_get(a, &s->redis[0], row_of_stage(id), FACE_REDIS,
                                                 a->run->has_tokens && i == 1, &hit, &miss)) {
            return false;
        }
        if (!hit && (!db_read(a, &s->second, miss.target, &s->page) ||
                     !redis_set(a, &s->redis[1], &miss, buf_readable(&s->page)))) {
            return false;
        }
    }
    return true;
}

/* Until the statement in progress waits for the standby, or is done: the servers' processes learn of the
 * setting one after another. */
static bool wait_until_held(struct stage *s, bool *ret_held)
{
    char sql[160];
    char text[8] = "";
    bool ok = true;
    (void)snprintf(sql, sizeof(sql),
                   "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = %d",
                   PQbackendPID(s->db.pg));
    while (ok && strcmp(text, "t") != 0 && !run_stopping(s->actor->run)) {
        ok = PQconsumeInput(s->db.pg) == 1;
        if (ok && PQisBusy(s->db.pg) == 0) {
            break;
        }
        ok = ok && db_value(&s->second, sql, text, sizeof(text));
    }
    *ret_held = strcmp(text, "t") == 0;
    return ok;
}

static bool commit_under_standby(struct stage *s, uint32_t id, bool *ret_held)
{
    char sql[96];
    PGresult *result;
    tx_begin(&s->tx, RUN_STAGE, "held commit");
    uint32_t i = tx_lock(&s->tx, id);
    tx_set(&s->tx, i, s->tx.changes[i].old_group);
    (void)snprintf(sql, sizeof(sql), "UPDATE verify.stage SET v = %llu WHERE id = %u",
                   (unsigned long long)s->tx.changes[i].number, id);
    bool ok = PQsendQuery(s->db.pg, sql) == 1 && wait_until_held(s, ret_held);
    if (*ret_held) {
        ok = ok && fill_while_held(s, id);
        ok = alter_standby(s, "") && ok;
    }
    while ((result = PQgetResult(s->db.pg)) != NULL) {
        ok = PQresultStatus(result) == PGRES_COMMAND_OK && ok;
        PQclear(result);
    }
    if (ok) {
        tx_committed(&s->tx, clock_now_us());
    }
    tx_end(&s->tx);
    return ok;
}

bool scene_held_commit(struct stage *s, uint32_t id)
{
    bool held = false;
    if (!s->actor->run->options->disturb) {
        return true;
    }
    bool ok = stage_write(s, id) && alter_standby(s, "nobody");
    for (uint32_t i = 0; ok && !held && i < HOLD_TRIES; i++) {
        ok = commit_under_standby(s, id, &held);
    }
    ok = (held || alter_standby(s, "")) && ok;
    run_add(&s->actor->counters.stalls, held ? 1 : 0);
    return ok && stage_read_all(s, id) && stage_settle(s, id) && stage_read_all(s, id);
}

/* The daemon's replication connection is cut. What commits before it follows again is not streamed to it: nothing
 * from before may be served any more when it does, and until then only for max_stale. */
bool scene_lost_contact(struct stage *s, uint32_t id)
{
    struct run *r = s->actor->run;
    if (!r->options->disturb) {
        return true;
    }
    bool ok = warm(s, id < WIDE_ROWS ? 0 : id - WIDE_ROWS) && stage_settle(s, id);
    atomic_store_explicit(&r->cut, true, memory_order_relaxed);
    ok = ok && db_exec(&s->second, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
    struct target everything = {.table = RUN_TABLES};
    uint64_t cut_us = clock_now_us();
    journal_add(s->actor, "cut", everything, cut_us, cut_us, "the daemon's connection");
    for (uint32_t i = 0; ok && i < CUT_ROUNDS; i++) {
        ok = stage_write(s, id) && stage_read_all(s, id);
    }
    ok = ok && stage_settle(s, id) && stage_read_all(s, id);
    journal_add(s->actor, "cut", everything, cut_us, clock_now_us(), "it has caught up again");
    atomic_store_explicit(&r->cut, false, memory_order_relaxed);
    run_count(s->actor, cuts);
    return ok;
}
