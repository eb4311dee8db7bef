/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The HTTP face: a connection's bytes become requests, one at a time and in order.
 *
 * A pipeline is worked off head by head; when a request parks (it waits for the database), the
 * connection is paused and the bytes behind it wait. Head and Content-Length body stay in the input until
 * the request has been admitted; a chunked body is decoded into `body` as it comes, so a slow sender
 * costs each byte once.
 *
 * Time: a whole head must come within limits.http_head_time, a body steadily (http_bounds.c); else 408.
 *
 * The public face (SQL routes) and the admin face share everything but what they do with a request.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/trace.h"
#include "serve/admin.h"
#include "serve/http_bounds.h"
#include "serve/problem.h"
#include "serve/request.h"

#include <stdlib.h>

enum { SPARE_REQUESTS = 64, SPARE_BYTES = 64 * 1024, STRANGER_LINE_MS = 10000 };

struct http_conn {
    struct conn conn;
    struct worker *worker;
    bool admin;
    struct request *request; /* parked */
    size_t need;             /* do not look again below this many bytes */
    bool told_continue;
    size_t head_len;        /* of a head whose body is not whole yet; 0: none */
    uint64_t body_began_ms; /* with head_len */
    struct http_body body_state;
    size_t body_at;  /* input bytes behind the head that were decoded */
    struct buf body; /* decoded chunked body */
    struct timer late;
};

/* --- requests, recycled ------------------------------------------------------------------------- */

static struct request *request_take(struct http_conn *c)
{
    struct worker *w = c->worker;
    struct list *node = list_pop_front(&w->spare_requests);
    struct request *r;
    if (node != NULL) {
        r = container_of(node, struct request, node);
        w->spare_request_count--;
    } else {
        r = xcalloc(1, sizeof(*r));
        list_init(&r->node);
        r->magic = REQUEST_MAGIC;
    }
    r->worker = w;
    r->conn = c;
    r->conn_id = c->conn.id;
    r->step = STEP_ADMIT;
    r->strict = r->bypass = r->keep = false;
    r->ticket = 0;
    r->at_least = 0;
    r->plan = w->plan;
    plan_ref(r->plan);
    c->request = r;
    return r;
}

static void request_free(struct request *r)
{
    buf_fini(&r->if_none_match);
    buf_fini(&r->params.text);
    buf_fini(&r->key);
    r->magic = 0;
    free(r);
}

static void request_give(struct request *r)
{
    struct worker *w = r->worker;
    plan_unref(r->plan);
    r->plan = NULL;
    r->conn = NULL;
    if (w->spare_request_count < SPARE_REQUESTS && r->params.text.cap + r->key.cap < SPARE_BYTES) {
        list_push_back(&w->spare_requests, &r->node);
        w->spare_request_count++;
    } else {
        request_free(r);
    }
}

void http_requests_free(struct worker *w)
{
    struct list *node;
    while ((node = list_pop_front(&w->spare_requests)) != NULL) {
        request_free(container_of(node, struct request, node));
    }
}

struct buf *http_request_out(struct request *r)
{
    return r->conn != NULL ? &r->conn->conn.out : NULL;
}

void http_request_done(struct request *r)
{
    struct http_conn *c = r->conn;
    if (c != NULL) {
        c->request = NULL;
        conn_dirty(&c->conn);
        if (r->close) {
            conn_close_after_flush(&c->conn);
        } else if (c->conn.paused) {
            conn_resume(&c->conn);
        }
    }
    request_give(r);
}

/* --- one message -------------------------------------------------------------------------------- */

static const struct policy_limits *limits_of(const struct http_conn *c)
{
    return &c->worker->plan->policy->limits;
}

static void refuse_message(struct http_conn *c, const struct http_refusal *refusal)
{
    int status = refusal->status;
    char detail[HTTP_DETAIL_MAX];
    http_refusal_detail(limits_of(c), status, refusal->reason, detail);
    serve_count(c->worker, http_refused);
    if (status == 408) {
        serve_count(c->worker, http_late);
    } else if (status == 413 || status == 414 || status == 431) {
        serve_count(c->worker, http_too_large);
    }
    trace(TRACE_REFUSE, c->conn.id, (uint64_t)status, slice_of(refusal->reason));
    log_event(LOG_DEBUG, "http", "refused a message", log_text("peer", c->conn.peer),
              log_number("status", (uint64_t)status), log_text("reason", detail));
    problem_put(&c->conn.out,
                &(struct problem){.status = status, .detail = detail, .retry = status == 503},
                false, true);
    timer_stop(&c->late);
    conn_close_after_flush(&c->conn);
}

/* A line for whoever set that client up, but no line for each of its attempts. */
static void note_stranger(struct http_conn *c, const struct http_refusal *refusal)
{
    struct worker *w = c->worker;
    uint64_t now_ms = loop_now_ms(w->loop);
    serve_count(w, http_strangers);
    if (w->stranger_told_ms == 0 || now_ms - w->stranger_told_ms >= STRANGER_LINE_MS) {
        w->stranger_told_ms = now_ms;
        log_event(LOG_WARN, "http", "a client spoke another protocol",
                  log_text("peer", c->conn.peer), log_text("reason", refusal->reason));
    }
}

static void too_late(struct http_conn *c, const char *what)
{
    refuse_message(c, &(struct http_refusal){.status = 408, .reason = what});
}

static void head_late(struct timer *t)
{
    too_late(container_of(t, struct http_conn, late),
             "the request's head did not arrive in time (limits.http_head_time)");
}

static void body_late(struct timer *t)
{
    struct http_conn *c = container_of(t, struct http_conn, late);
    uint64_t now_ms = loop_now_ms(c->conn.loop);
    size_t received = buf_len(&c->conn.in) - c->head_len;
    uint64_t deadline_ms = http_body_deadline(limits_of(c), c->body_began_ms, received);
    if (now_ms < deadline_ms) {
        timer_start(c->conn.loop, t, deadline_ms - now_ms, body_late);
    } else {
        too_late(c, "the request's body arrived too slowly (limits.http_idle, "
                    "limits.http_body_rate, limits.http_body_time)");
    }
}

static void expect_head(struct http_conn *c, uint32_t within_ms)
{
    if (!timer_running(&c->late)) {
        timer_start(c->conn.loop, &c->late, within_ms, head_late);
    }
}

static void expect_body(struct http_conn *c, size_t head_len)
{
    if (c->head_len == 0) {
        uint64_t now_ms = loop_now_ms(c->conn.loop);
        c->head_len = head_len;
        c->body_began_ms = now_ms;
        timer_start(c->conn.loop, &c->late, http_body_deadline(limits_of(c), now_ms, 0) - now_ms,
                    body_late);
    }
}

/* True when the body is complete: then its bytes and how many of `in` (behind the head) it took. */
static bool take_body(struct http_conn *c, const struct http_request *head,
                      const struct http_limits *limits, struct slice in, struct slice *ret_body,
                      size_t *ret_used)
{
    struct slice rest = slice_from(in, head->head_len);
    if (head->has_body && head->expect_continue && !c->told_continue && rest.len == 0) {
        buf_append_str(&c->conn.out, "HTTP/1.1 100 Continue\r\n\r\n");
        c->told_continue = true;
    }
    if (!head->has_body) {
        *ret_body = (struct slice){NULL, 0};
        *ret_used = 0;
        return true;
    }
    if (!head->chunked) {
        c->need = head->head_len + head->content_length;
        *ret_body = (struct slice){rest.ptr, head->content_length};
        *ret_used = head->content_length;
        return in.len >= c->need;
    }
    size_t used = 0;
    struct http_refusal refusal;
    enum http_result got = http_parse_body(&c->body_state, head, limits,
                                           slice_from(rest, c->body_at), &used, &c->body, &refusal);
    c->body_at += used;
    c->conn.extra = c->body.cap;
    c->need = in.len + 1;
    *ret_body = buf_readable(&c->body);
    *ret_used = c->body_at;
    if (got == HTTP_REFUSED) {
        refuse_message(c, &refusal);
    }
    return got == HTTP_DONE;
}

static bool is_json(const struct http_request *head)
{
    struct slice type = http_header_get(head, "Content-Type");
    const char *end = type.len > 0 ? memchr(type.ptr, ';', type.len) : NULL;
    if (end != NULL) {
        type.len = (size_t)(end - type.ptr);
    }
    while (type.len > 0 && (type.ptr[type.len - 1] == ' ' || type.ptr[type.len - 1] == '\t')) {
        type.len--;
    }
    return type.len == 0 || slice_is_nocase(type, "application/json");
}

/* Why a body cannot be read, or NULL. Nothing is decompressed here: a small body could become a huge one. */
static const struct problem *judge_body_kind(const struct http_request *head)
{
    static const struct problem not_json = {
        .status = 415, .detail = "send the body as application/json", .accept_post = true};
    static const struct problem packed = {
        .status = 415,
        .detail = "send the body without Content-Encoding",
        .accept_identity = true,
    };
    struct slice coding = http_header_get(head, "Content-Encoding");
    if (coding.len > 0 && !slice_is_nocase(coding, "identity")) {
        return &packed;
    }
    return is_json(head) ? NULL : &not_json;
}

static void run_request(struct http_conn *c, const struct http_request *head, struct slice body)
    REQUIRES(worker_role)
{
    struct worker *w = c->worker;
    /* A 1.0 client takes the connection for kept only when the answer says so: ours never does. */
    bool close = !head->keep_alive || head->minor == 0 ||
                 atomic_load_explicit(&w->server->draining, memory_order_relaxed);
    if (c->admin) {
        admin_answer(w, head, close, &c->conn.out);
        if (close) {
            conn_close_after_flush(&c->conn);
        }
        return;
    }
    const struct problem *unread = head->has_body ? judge_body_kind(head) : NULL;
    if (unread != NULL) {
        problem_put(&c->conn.out, unread, false, close);
        if (close) {
            conn_close_after_flush(&c->conn);
        }
        return;
    }
    struct request *r = request_take(c);
    r->close = close;
    r->head = head;
    r->body = body;
    steps_run(r);
    if (c->request != NULL) {
        r->head = NULL;
        r->body = (struct slice){NULL, 0};
        conn_pause(&c->conn);
    }
}

static void forget_message(struct http_conn *c)
{
    timer_stop(&c->late);
    c->need = 0;
    c->told_continue = false;
    c->head_len = 0;
    c->body_state = (struct http_body){0};
    c->body_at = 0;
    c->conn.extra = 0;
    if (c->body.mem != NULL) {
        buf_fini(&c->body);
    }
}

/* Works on the first message of `in`; 0: it is not complete yet. */
static size_t one_message(struct http_conn *c, struct slice in) REQUIRES(worker_role)
{
    const struct policy_limits *limits = limits_of(c);
    struct http_limits http_limits = {
        .head_max = limits->http_head_max,
        .line_max = limits->http_head_max / 2,
        .body_max = limits->http_body_max,
    };
    struct http_request head;
    struct http_refusal refusal;
    if (in.len < c->need) {
        return 0;
    }
    enum http_result got = http_parse_head(in, &http_limits, &head, &refusal);
    if (got == HTTP_REFUSED) {
        if (refusal.is_stranger) {
            note_stranger(c, &refusal);
        }
        refuse_message(c, &refusal);
        return 0;
    }
    if (got == HTTP_MORE) {
        expect_head(c, limits->http_head_ms);
        return 0;
    }
    struct slice body;
    size_t body_used;
    if (!take_body(c, &head, &http_limits, in, &body, &body_used)) {
        if (!c->conn.closing) {
            expect_body(c, head.head_len);
        }
        return 0;
    }
    run_request(c, &head, body);
    forget_message(c);
    return head.head_len + body_used;
}

/* --- the face ----------------------------------------------------------------------------------- */

static size_t http_data(struct conn *conn, struct slice in)
{
    role_assume(&worker_role);
    struct http_conn *c = container_of(conn, struct http_conn, conn);
    size_t used = 0;
    while (used < in.len && !conn->closing && !conn->paused && !conn_full(conn)) {
        size_t took = one_message(c, slice_from(in, used));
        if (took == 0) {
            break;
        }
        used += took;
    }
    return used;
}

static void http_open(struct conn *conn, void *context)
{
    struct http_conn *c = container_of(conn, struct http_conn, conn);
    c->worker = context;
}

static void admin_open(struct conn *conn, void *context)
{
    http_open(conn, context);
    container_of(conn, struct http_conn, conn)->admin = true;
}

/* A client that stopped in the middle of a message is told; one that sent nothing is not. */
static void http_idle(struct conn *conn)
{
    struct http_conn *c = container_of(conn, struct http_conn, conn);
    if (timer_running(&c->late)) {
        too_late(c, "the rest of the request did not come (limits.http_idle)");
    } else {
        conn_close_after_flush(conn);
    }
}

static void http_closed(struct conn *conn)
{
    struct http_conn *c = container_of(conn, struct http_conn, conn);
    timer_stop(&c->late);
    buf_fini(&c->body);
    if (c->request != NULL) {
        c->request->conn = NULL;
    }
    serve_connection_closed(c->worker, conn);
}

/* Cut because of what it sent. */
static void http_last_word(struct conn *conn)
{
    refuse_message(container_of(conn, struct http_conn, conn),
                   &(struct http_refusal){
                       .status = conn->cut == CONN_CUT_INPUT ? 413 : 503,
                       .reason = conn->cut == CONN_CUT_INPUT
                                     ? "the request is larger than this server takes"
                                     : "the server has no memory for this request; try again"});
}

static struct conn_limits http_limits;

static const struct conn_face http_conn_face = {
    .size = sizeof(struct http_conn),
    .limits = &http_limits,
    .open = http_open,
    .data = http_data,
    .idle = http_idle,
    .last_word = http_last_word,
    .closed = http_closed,
};

static const struct conn_face admin_conn_face = {
    .size = sizeof(struct http_conn),
    .limits = &http_limits,
    .open = admin_open,
    .data = http_data,
    .idle = http_idle,
    .last_word = http_last_word,
    .closed = http_closed,
};

const struct conn_face *http_face(const struct policy *p)
{
    http_limits = (struct conn_limits){
        /* A chunked body's framing is bounded by the parser; twice the body is above it. */
        .input_max = p->limits.http_head_max + 2 * (size_t)p->limits.http_body_max + 65536,
        .output_limit = 1 << 20,
        .output_max = SIZE_MAX,
        .idle_ms = p->limits.http_idle_ms,
        .stall_ms = p->limits.stall_ms,
        .stall_min = p->limits.http_body_rate * p->limits.stall_ms / 1000,
        .keepalive_s = p->limits.keepalive_ms / 1000,
    };
    return &http_conn_face;
}

const struct conn_face *admin_face(const struct policy *p)
{
    (void)http_face(p);
    return &admin_conn_face;
}
