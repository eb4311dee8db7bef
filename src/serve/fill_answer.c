/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What comes back from the database, made into answers.
 *
 * A SQL answer may be stored when the route is kept, the statement succeeded, the catalog is still the
 * one that the plan was made from, a stamp could be given before the query, and every relation that the
 * transaction really touched is followed. Its stamp is the exact one: what its snapshot shows.
 */
#include "serve/fill_answer.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "serve/answer.h"
#include "serve/gate.h"
#include "serve/gzip.h"
#include "serve/problem.h"
#include "serve/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char json_type[] = "application/json";

/* Routes fail with every request, the log tells it once a minute. */
static bool is_due(const struct request *r)
{
    char what[256];
    (void)snprintf(what, sizeof(what), "%s %s %s", r->route->match, err_text(r->result.err),
                   r->result.sqlstate);
    tell_over(&r->worker->tell);
    return tell_due(&r->worker->tell, what, r->now_ms);
}

void fill_answer_log(const struct request *r)
{
    const struct pg_answer *result = &r->result;
    /* An absent database is told by those who connect, once, not with every request. */
    bool told = result->err == ERR_NO_DATABASE && !result->maybe_committed;
    bool theirs = result->err == ERR_DATABASE && (strncmp(result->sqlstate, "22", 2) == 0 ||
                                                  strncmp(result->sqlstate, "23", 2) == 0 ||
                                                  strcmp(result->sqlstate, "P0001") == 0);
    enum log_level level = theirs || told || !is_due(r) ? LOG_DEBUG : LOG_WARN;
    char *reason = pg_advice(result->message != NULL ? result->message : "", result->sqlstate);
    log_event(level, "serve", err_text(result->err), log_text("route", r->route->match),
              log_text("sqlstate", result->sqlstate), log_text("reason", reason));
    free(reason);
}

static void make_body(struct request *r, struct flight_answer *a)
{
    const PGresult *rows = r->result.rows;
    bool object = r->route->answer == POLICY_ANSWER_OBJECT;
    struct buf body;
    buf_init(&body);
    int status = 200;
    const char *type = json_type;
    if (object && PQntuples(rows) == 0) {
        status = 404;
        type = "application/problem+json";
        buf_append_str(&body, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                              "\"detail\":\"no such record\"}\n");
    } else if (object) {
        rows_put_object(&body, rows);
    } else {
        rows_put_array(&body, rows);
    }
    a->status = status;
    answer_make(&a->value, status, type, buf_readable(&body), r->now_ms);
    buf_fini(&body);
    if (r->accepts.gzip && answer_compress(&a->value, &r->worker->gzip, false)) {
        serve_count(r->worker, gzip_made);
    }
}

static void make_problem(struct request *r, struct flight_answer *a)
{
    struct problem p = problem_from_database(&r->result, r->route);
    struct buf whole;
    buf_init(&whole);
    problem_put(&whole, &p, false, false);
    struct slice text = buf_readable(&whole);
    const char *body = memmem(text.ptr, text.len, "\r\n\r\n", 4);
    check(body != NULL);
    a->status = p.status;
    answer_make(&a->value, p.status, "application/problem+json",
                slice_from(text, (size_t)(body - text.ptr) + 4), r->now_ms);
    buf_fini(&whole);
}

/* NULL when the answer may be stored; otherwise why not (static). */
static const char *judge_store(struct request *r, struct flight_answer *a)
{
    struct server *s = r->worker->server;
    const struct plan_route *planned = &r->plan->routes[r->route->index];
    if (!r->keep || r->bypass) {
        return "not kept";
    }
    if (planned->keep == PLAN_TTL) {
        return NULL;
    }
    a->followed = true;
    if (r->window.stamp == 0) {
        return "no contact";
    }
    if (r->plan->catalog == NULL || r->version != r->plan->catalog->version) {
        return "schema changed";
    }
    const char *why;
    if (!plan_deps(r->plan, planned, s->fresh, r->params.value, r->result.relations,
                   r->result.relation_count, &a->deps, &why)) {
        return why;
    }
    a->stamp = s->breaks.store_stamp ? fresh_stamp(s->fresh)
                                     : fresh_stamp_exact(s->fresh, &r->window, r->result.snapshot);
    return NULL;
}

struct flight_answer *fill_answer_make(struct request *r)
{
    struct flight_answer *a = flight_answer_create();
    if (r->result.err != ERR_OK) {
        serve_count(r->worker, fills_failed);
        fill_answer_log(r);
        make_problem(r, a);
        a->note = "failed";
        return a;
    }
    make_body(r, a);
    a->note = judge_store(r, a);
    a->storable = a->note == NULL;
    return a;
}

void fill_answer_store(struct request *r, struct flight_answer *a)
{
    struct worker *w = r->worker;
    struct server *s = w->server;
    if (a->followed &&
        fresh_judge(s->fresh, a->stamp, a->deps.dep, a->deps.count, r->now_ms) != FRESH_HIT) {
        serve_count(w, fills_outdated);
        a->note = "outdated meanwhile";
        struct refusal refusal = {
            .kind = REFUSAL_FILL_OUTDATED, .at_ms = r->now_ms, .stamp = a->stamp};
        refusal_blame(&refusal, s->fresh, &a->deps);
        refusals_note(s->refusals, s->http_db, buf_readable(&r->key), &refusal);
        return;
    }
    struct store_hold hold;
    struct store_write write = {
        .value = buf_readable(&a->value),
        .expiry_ms = r->now_ms + r->route->fresh_ms,
        .stamp = a->stamp,
        .deps = a->deps.dep,
        .dep_count = a->deps.count,
        .cost_us =
            (uint32_t)(r->result.elapsed_us < UINT32_MAX ? r->result.elapsed_us : UINT32_MAX),
    };
    if (!gate_pass(w)) {
        a->note = "the store belongs to a script";
        return;
    }
    store_hold(s->store, w->gate, s->http_db, buf_readable(&r->key), r->now_ms, &hold);
    enum err err = store_put(&hold, &write);
    store_drop(&hold);
    gate_leave(w);
    if (err != ERR_OK) {
        a->note = "no space";
    }
}

/* Nobody stores the answer of a POST, so it needs no tag and no Vary. */
static bool compress_written(struct request *r, struct buf *body)
{
    size_t len = buf_len(body);
    bool is_small = len < ANSWER_GZIP_MIN;
    if (!r->accepts.gzip || len > ANSWER_GZIP_MAX || (is_small && r->accepts.identity)) {
        return false;
    }
    struct buf text;
    buf_init(&text);
    size_t max = r->accepts.identity ? len : gzip_bound(len);
    if (!gzip_put(&r->worker->gzip, buf_readable(body), max, &text)) {
        buf_fini(&text);
        return false;
    }
    serve_count(r->worker, gzip_made);
    serve_count(r->worker, gzip_sent);
    serve_count_by(r->worker, gzip_saved_bytes, len > buf_len(&text) ? len - buf_len(&text) : 0);
    buf_fini(body);
    *body = text;
    return true;
}

void written_put(struct request *r, struct buf *out)
{
    struct server *s = r->worker->server;
    struct buf body;
    buf_init(&body);
    if (r->route->answer == POLICY_ANSWER_ARRAY) {
        rows_put_array(&body, r->result.rows);
    } else if (PQntuples(r->result.rows) > 0) {
        rows_put_object(&body, r->result.rows);
    } else {
        buf_append_str(&body, "{}");
    }
    bool is_gzip = compress_written(r, &body);
    http_put_status(out, 200, clock_wall_ms());
    http_put_header(out, "Content-Type", slice_of(json_type));
    http_put_header_fmt(out, "Content-Length", "%zu", buf_len(&body));
    if (is_gzip) {
        http_put_header(out, "Content-Encoding", SLICE("gzip"));
    }
    http_put_header(out, "Cache-Control", SLICE("no-store"));
    http_put_header(out, "Cache-Status", SLICE("freshet; fwd=method"));
    if (r->result.wal_lsn != 0 && fresh_epoch(s->fresh) != 0) {
        char token[FRESH_TOKEN_MAX];
        (void)fresh_token_format(s->fresh, fresh_pos_of_lsn(s->fresh, r->result.wal_lsn), token);
        http_put_header(out, "Freshet-Position", slice_of(token));
        http_put_header_fmt(out, "Set-Cookie",
                            "freshet_position=%s; Path=/; Max-Age=300; HttpOnly; SameSite=Lax",
                            token);
    }
    if (r->close) {
        http_put_header(out, "Connection", SLICE("close"));
    }
    buf_append_str(out, "\r\n");
    buf_append_slice(out, buf_readable(&body));
    buf_fini(&body);
}
