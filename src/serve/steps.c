/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steps of a request for a SQL route: the request street of ARCHITECTURE.md, readable top down.
 *
 *   ADMIT ──────────> CATCH_UP ──> LOOKUP ──hit──> DONE
 *     │ POST             │ park       │ miss
 *     v                  └────────┐   v
 *   WRITE ─park─> WRITTEN         └─ FILL ──lead: park──> COMMIT ──> DONE
 *                   │                  └────join: park──> JOINED ──> DONE
 *                   v                                        └ refused ──> LOOKUP
 *                  DONE
 *
 * ADMIT     which route, which parameters, which consistency; the cache key.
 * CATCH_UP  strict routes and position tokens wait until the follower has applied what they must see;
 *           not within 50 ms: the request bypasses the cache.
 * LOOKUP    the store judges while it looks: what it returns may be served.
 * FILL      one leader per key asks the database, with a stamp from before its query; others wait.
 * COMMIT    the leader's rows become an answer; dependencies and the exact stamp are known now; the answer
 *           is judged once more and stored; waiters get it.
 * JOINED    a waiter judges the leader's answer for itself, and starts over when it is refused.
 * WRITE     a POST statement in one transaction; its answer carries the position of its commit.
 *
 * A step returns the next one, or STEP_PARKED after it has arranged to be called back; the callback
 * sets request->step and calls steps_run(). Nothing here blocks.
 *
 * What the words mean: a *plan* is what PostgreSQL said that each statement depends on
 * (fill/plan.h), a *flight* is one fill and all who wait for it (fill/flight.h), a *stamp* the
 * position that an answer is true as of (fresh/fresh.h), a *hold* a key locked in the store
 * (store/store.h). A request's fields are in request.h, its bytes are http_face.c's. Redis commands
 * do not come here: resp_face.c draws their lane.
 *
 * Threads: the connection's worker, also for what was parked.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/thread.h"
#include "serve/fill_answer.h"
#include "serve/fill_times.h"
#include "serve/gate.h"
#include "serve/hit.h"
#include "serve/problem.h"
#include "serve/request.h"

#include <stdio.h>

enum { CATCH_UP_MS = 45 }; /* the answer itself, late or not, is due within 50 */

static enum step refuse(struct request *r, const struct problem *p)
{
    struct buf *out = http_request_out(r);
    trace(TRACE_REFUSE, r->conn_id, (uint64_t)p->status, slice_of(p->detail));
    if (out != NULL) {
        problem_put(out, p, r->head_only, r->close);
    }
    if (p->status >= 500) {
        serve_count(r->worker, http_errors);
    }
    return STEP_DONE;
}

/* --- admit -------------------------------------------------------------------------------------- */

static enum step admit_no_route(struct request *r, unsigned methods)
{
    if (slice_is(r->head->path, "*")) {
        methods = 3; /* OPTIONS *: of the whole server */
    }
    if (methods == 0) {
        return refuse(
            r, &(struct problem){.status = 404, .detail = "no route of the policy has this path"});
    }
    const char *allow = methods == 1   ? "GET, HEAD, OPTIONS"
                        : methods == 2 ? "POST, OPTIONS"
                                       : "GET, HEAD, POST, OPTIONS";
    if (r->head->method != HTTP_OPTIONS) {
        return refuse(r, &(struct problem){.status = 405,
                                           .detail = "this path has only the methods that Allow "
                                                     "lists",
                                           .allow = allow});
    }
    struct buf *out = http_request_out(r);
    http_put_status(out, 204, clock_wall_ms());
    http_put_header(out, "Allow", slice_of(allow));
    if (r->close) {
        http_put_header(out, "Connection", SLICE("close"));
    }
    buf_append_str(out, "\r\n");
    return STEP_DONE;
}

/* "Freshet-Position" header first, then the cookie. A token that cannot be read is treated like one
 * of another epoch: the safe way. */
static void read_token(struct request *r)
{
    struct slice token = http_header_get(r->head, "Freshet-Position");
    if (token.ptr == NULL) {
        token = http_cookie_get(r->head, "freshet_position");
    }
    if (token.ptr == NULL || token.len == 0) {
        return;
    }
    if (fresh_token_parse(r->worker->server->fresh, token, &r->at_least) != FRESH_TOKEN_OK) {
        r->at_least = 0;
        r->strict = true;
    }
}

static enum step step_admit(struct request *r)
{
    const struct http_request *head = r->head;
    struct worker *w = r->worker;
    struct slice values[POLICY_PARAMS_MAX];
    unsigned methods = 0;
    serve_count(w, http_requests);
    trace(TRACE_REQUEST, r->conn_id, 0, head->path);
    r->head_only = head->method == HTTP_HEAD;
    struct slice method = r->head_only ? SLICE("GET") : head->method_name;
    r->route = policy_find_route(r->plan->policy, method, head->path, values, &methods);
    if (r->route == NULL || head->method == HTTP_OPTIONS) {
        return admit_no_route(r, methods);
    }
    const struct plan_route *planned = &r->plan->routes[r->route->index];
    struct problem wrong;
    struct params_source from = {.path_values = values, .query = head->query, .body = r->body};
    if (!params_collect(&r->params, r->route, planned->param_types, &from, &wrong)) {
        return refuse(r, &wrong);
    }
    if (w->pool == NULL) {
        return refuse(r, &(struct problem){.status = 503, .detail = err_text(ERR_NO_DATABASE)});
    }
    r->accepts = http_accepted_codings(head);
    if (!r->accepts.gzip && !r->accepts.identity) {
        return refuse(r, &(struct problem){.status = 406,
                                           .detail = "answers come in gzip or without a coding; "
                                                     "Accept-Encoding takes neither"});
    }
    r->get = slice_is(method, "GET");
    if (!r->get) {
        return STEP_WRITE;
    }
    struct slice none_match = http_header_get(head, "If-None-Match");
    buf_clear(&r->if_none_match);
    buf_append_slice(&r->if_none_match, none_match);
    r->keep = planned->keep != PLAN_NEVER && r->route->fresh_ms > 0;
    r->fwd = "fwd=miss";
    route_key(r->route, &r->params, &r->key);
    if (planned->keep == PLAN_FOLLOWED) {
        r->strict = r->route->consistency == POLICY_STRICT;
        read_token(r);
        return STEP_CATCH_UP;
    }
    return STEP_LOOKUP;
}

/* --- catch up ----------------------------------------------------------------------------------- */

static void caught_up(struct follow_wait *wait)
{
    struct request *r = container_of(wait, struct request, wait);
    check_obj(r, REQUEST_MAGIC);
    role_assume(&worker_role);
    if (!wait->reached) {
        r->bypass = true;
        r->fwd = "fwd=bypass; detail=behind";
        serve_count(r->worker, strict_bypasses);
    }
    r->step = STEP_LOOKUP;
    steps_run(r);
}

static enum step step_catch_up(struct request *r)
{
    struct server *s = r->worker->server;
    if (!r->strict && (r->at_least == 0 || fresh_applied(s->fresh) >= r->at_least)) {
        return STEP_LOOKUP;
    }
    serve_count(r->worker, strict_waits);
    r->wait = (struct follow_wait){
        .position = r->at_least,
        .strict = r->strict,
        .timeout_ms = CATCH_UP_MS,
        .reply = loop_mailbox(r->worker->loop),
        .done = caught_up,
    };
    follow_wait(s->follow, &r->wait);
    return STEP_PARKED;
}

/* --- lookup ------------------------------------------------------------------------------------- */

static const char *fwd_of(enum store_absence why)
{
    switch (why) {
    case STORE_PRESENT:
        break;
    case STORE_NO_KEY:
        return "fwd=uri-miss";
    case STORE_EXPIRED:
        return "fwd=stale; detail=expired";
    case STORE_OUTDATED:
        return "fwd=stale; detail=outdated";
    case STORE_VOID:
        return "fwd=stale; detail=epoch";
    case STORE_UNPROVEN:
        return "fwd=bypass; detail=no-contact";
    }
    return "fwd=miss";
}

static enum step look_up(struct request *r)
{
    struct worker *w = r->worker;
    struct store_hold hold;
    enum store_absence why;
    store_hold(w->server->store, w->gate, w->server->http_db, buf_readable(&r->key), r->now_ms,
               &hold);
    struct store_item *item = store_lookup(&hold, &why);
    if (item != NULL) {
        uint64_t expiry = store_item_expiry(item);
        serve_count(w, http_hits);
        trace(TRACE_HIT, r->conn_id, expiry > r->now_ms ? expiry - r->now_ms : 0,
              slice_of(r->route->match));
        hit_put(r, &hold, item);
        return STEP_DONE;
    }
    store_drop(&hold);
    serve_count(w, http_misses);
    r->fwd = fwd_of(why);
    trace(TRACE_MISS, r->conn_id, 0, slice_of(r->fwd));
    if (refusal_of_absence(why) != REFUSAL_NONE) {
        refusals_note(w->server->refusals, w->server->http_db, buf_readable(&r->key),
                      &(struct refusal){.kind = refusal_of_absence(why), .at_ms = r->now_ms});
    }
    return STEP_FILL;
}

static enum step step_lookup(struct request *r)
{
    if (r->conn == NULL) {
        return STEP_DONE;
    }
    if (r->bypass || !r->keep) {
        return STEP_FILL;
    }
    if (!gate_pass(r->worker)) {
        gate_park(r);
        return STEP_PARKED;
    }
    enum step next = look_up(r);
    gate_leave(r->worker);
    return next;
}

/* --- fill --------------------------------------------------------------------------------------- */

/* The last moment before the query leaves: the stamp must be older than its snapshot. */
static void fill_sending(struct pg_job *job)
{
    struct request *r = container_of(job, struct request, job);
    struct server *s = r->worker->server;
    const struct plan_route *planned = &r->plan->routes[r->route->index];
    const char *why;
    r->queue_us = clock_now_us() - r->submitted_us;
    trace(TRACE_FILL, r->conn_id, r->queue_us, slice_of(r->route->match));
    r->version = s->follow != NULL ? follow_version(s->follow) : 0;
    r->window = fresh_window_open(s->fresh);
    r->known = (struct fresh_deps){0};
    (void)plan_deps(r->plan, planned, s->fresh, r->params.value, NULL, 0, &r->known, &why);
    if (r->flight != NULL) {
        flight_sent(s->flights, r->flight, r->window.stamp, &r->known);
    }
}

static void fill_done(struct pg_job *job, const struct pg_answer *result)
{
    struct request *r = container_of(job, struct request, job);
    check_obj(r, REQUEST_MAGIC);
    role_assume(&worker_role);
    r->result = *result;
    r->step = STEP_COMMIT;
    steps_run(r);
}

static void fill_landed(struct flight_waiter *waiter)
{
    struct request *r = container_of(waiter, struct request, waiter);
    check_obj(r, REQUEST_MAGIC);
    role_assume(&worker_role);
    r->answer = waiter->answer;
    waiter->answer = NULL;
    r->step = STEP_JOINED;
    steps_run(r);
}

static void submit(struct request *r, enum pg_shape shape, pg_job_fn *done,
                   void (*sending)(struct pg_job *job))
{
    r->job = (struct pg_job){
        .statement = &r->plan->routes[r->route->index].statement,
        .shape = shape,
        .params = r->params.value,
        .timeout_ms = r->route->timeout_ms,
        .done = done,
        .sending = sending,
    };
    r->submitted_us = clock_now_us();
    r->queue_us = 0;
    pg_submit(r->worker->pool, &r->job);
}

static enum step step_fill(struct request *r)
{
    struct server *s = r->worker->server;
    if (r->worker->pool == NULL) {
        return refuse(r, &(struct problem){.status = 503,
                                           .retry = true,
                                           .detail = "the server is stopping; try again"});
    }
    if (r->keep) {
        r->waiter = (struct flight_waiter){
            .reply = loop_mailbox(r->worker->loop),
            .landed = fill_landed,
            .distrusts = r->bypass,
            .ticket = r->ticket,
        };
        r->flight =
            flight_lead_or_join(s->flights, s->fresh, buf_readable(&r->key), &r->waiter, r->now_ms);
        r->ticket = r->waiter.ticket;
        if (r->flight == NULL) {
            serve_count(r->worker, http_joined);
            trace(TRACE_JOIN, r->conn_id, 0, slice_of(r->route->match));
            return STEP_PARKED;
        }
    }
    serve_count(r->worker, fills);
    submit(r, PG_READ, fill_done, fill_sending);
    return STEP_PARKED;
}

/* A statement has answered. One that was never sent has waited all the time. */
static void note_time(struct request *r, const char *outcome, size_t bytes)
{
    uint64_t whole_us = clock_now_us() - r->submitted_us;
    bool was_sent = r->result.elapsed_us > 0;
    struct fill_time t = {
        .route = r->route,
        .is_write = !r->get,
        .queue_us = was_sent ? r->queue_us : whole_us,
        .database_us = r->result.elapsed_us,
        .rows = r->result.rows != NULL ? (uint64_t)PQntuples(r->result.rows) : 0,
        .bytes = bytes,
        .outcome = outcome,
    };
    trace(TRACE_FILLED, r->conn_id, t.database_us, slice_of(outcome));
    fill_times_note(r->worker->server->fill_times, r->plan->policy, &t);
}

/* --- commit ------------------------------------------------------------------------------------- */

static void send_answer(struct request *r, const struct flight_answer *answer, const char *joined)
{
    char status[160];
    (void)snprintf(status, sizeof(status), "%s%s%s", r->fwd, joined,
                   answer->note == NULL ? "; stored" : "");
    fresh_put(r, buf_readable(&answer->value), status);
}

static enum step step_commit(struct request *r)
{
    struct server *s = r->worker->server;
    r->answer = fill_answer_make(r);
    if (r->answer->storable) {
        fill_answer_store(r, r->answer);
    }
    note_time(r, r->answer->note != NULL ? r->answer->note : "stored", buf_len(&r->answer->value));
    if (r->flight != NULL) {
        flight_land(s->flights, &r->flight, r->answer);
    }
    send_answer(r, r->answer, "");
    flight_answer_unref(&r->answer);
    return STEP_DONE;
}

static enum step step_joined(struct request *r)
{
    struct flight_answer *a = r->answer;
    struct server *s = r->worker->server;
    bool good =
        r->waiter.unconditional || (a->storable && !a->followed && !r->bypass) ||
        (a->storable && !r->bypass &&
         fresh_judge(s->fresh, a->stamp, a->deps.dep, a->deps.count, r->now_ms) == FRESH_HIT);
    if (good) {
        send_answer(r, a, "; collapsed");
    }
    flight_answer_unref(&r->answer);
    return good ? STEP_DONE : STEP_LOOKUP;
}

/* --- write -------------------------------------------------------------------------------------- */

static void write_sending(struct pg_job *job)
{
    struct request *r = container_of(job, struct request, job);
    r->queue_us = clock_now_us() - r->submitted_us;
}

static void write_done(struct pg_job *job, const struct pg_answer *result)
{
    struct request *r = container_of(job, struct request, job);
    check_obj(r, REQUEST_MAGIC);
    role_assume(&worker_role);
    r->result = *result;
    r->step = STEP_WRITTEN;
    steps_run(r);
}

static enum step step_write(struct request *r)
{
    serve_count(r->worker, writes);
    submit(r, PG_WRITE, write_done, write_sending);
    return STEP_PARKED;
}

static enum step step_written(struct request *r)
{
    struct buf *out = http_request_out(r);
    note_time(r, r->result.err == ERR_OK ? "written" : "failed", 0);
    if (out == NULL) {
        return STEP_DONE;
    }
    if (r->result.err != ERR_OK) {
        fill_answer_log(r);
        struct problem p = problem_from_database(&r->result, r->route);
        return refuse(r, &p);
    }
    written_put(r, out);
    return STEP_DONE;
}

/* --- the table ---------------------------------------------------------------------------------- */

static enum step (*const steps[])(struct request *r) = {
    [STEP_ADMIT] = step_admit, [STEP_CATCH_UP] = step_catch_up, [STEP_LOOKUP] = step_lookup,
    [STEP_FILL] = step_fill,   [STEP_COMMIT] = step_commit,     [STEP_JOINED] = step_joined,
    [STEP_WRITE] = step_write, [STEP_WRITTEN] = step_written,
};

static const char *const step_names[] = {
    [STEP_ADMIT] = "admit", [STEP_CATCH_UP] = "catch_up", [STEP_LOOKUP] = "lookup",
    [STEP_FILL] = "fill",   [STEP_COMMIT] = "commit",     [STEP_JOINED] = "joined",
    [STEP_WRITE] = "write", [STEP_WRITTEN] = "written",
};

static void tell_begin(const struct request *r)
{
    bool is_new = r->step == STEP_ADMIT;
    struct slice about = is_new ? r->head->path : slice_of(r->route->match);
    thread_does("HTTP request", about);
    if (!is_new) {
        trace(TRACE_WAKE, r->conn_id, trace_word(step_names[r->step]), about);
    }
}

void steps_run(struct request *r)
{
    r->now_ms = loop_now_ms(r->worker->loop);
    enum step next = r->step;
    /* A parked request may have been overtaken by a shutdown: its answer is the connection's
     * last. */
    r->close |= atomic_load_explicit(&r->worker->server->draining, memory_order_relaxed);
    tell_begin(r);
    while (next != STEP_DONE && next != STEP_PARKED) {
        r->step = next;
        thread_steps(step_names[next]);
        next = steps[next](r);
    }
    if (next == STEP_DONE) {
        http_request_done(r);
    } else {
        trace(TRACE_PARK, r->conn_id, trace_word(step_names[r->step]), slice_of(r->route->match));
    }
    thread_done();
}
