/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request: one HTTP request on its way through the steps.
 *
 * A request outlives its connection when it is parked (a statement is running) and the client leaves: then
 * `conn` is NULL, the result is still stored, and the request frees itself. Requests are recycled by
 * their connection, so a hit allocates nothing.
 */
#ifndef SERVE_REQUEST_H
#define SERVE_REQUEST_H

#include "fill/flight.h"
#include "http/http.h"
#include "serve/params.h"
#include "serve/serve.h"

struct http_conn;

enum step {
    STEP_ADMIT,
    STEP_CATCH_UP,
    STEP_LOOKUP,
    STEP_FILL,
    STEP_COMMIT,
    STEP_JOINED,
    STEP_WRITE,
    STEP_WRITTEN,
    STEP_DONE,
    STEP_PARKED, /* not a step: the request waits, request->step says where it goes on */
};

struct request {
    uint32_t magic;
    struct list node; /* among the worker's spare requests, or those that wait for the store */
    struct worker *worker;
    struct http_conn *conn; /* NULL: the client has gone */
    uint64_t conn_id;       /* for traces */
    enum step step;
    uint64_t now_ms; /* of the turn that works on it */

    /* what was asked; slices into the connection's input, valid only until the request is parked */
    const struct http_request *head;
    struct slice body;

    /* what is kept over parking */
    bool head_only;
    bool close;
    bool get;
    struct http_codings accepts;
    struct buf if_none_match;
    const struct policy_route *route;
    const struct plan *plan; /* a reference */
    struct params params;
    struct buf key;

    /* freshness of this request */
    bool strict;        /* route, or a token of another epoch */
    bool bypass;        /* could not catch up: answer from the database, store nothing */
    fresh_pos at_least; /* position token; 0: none */
    bool keep;          /* may be looked up and stored */
    const char *fwd;    /* Cache-Status: why it was not a hit */

    /* the parts that can be waited for */
    struct follow_wait wait;
    struct pg_job job;
    struct flight *flight; /* leading */
    struct flight_waiter waiter;
    uint64_t ticket; /* the waiter's, for when it starts over */
    struct fresh_window window;
    struct fresh_deps known; /* dependencies known before the query */
    uint64_t version;        /* of the catalog when the query was sent */
    uint64_t submitted_us;   /* handed to the pool */
    uint64_t queue_us;       /* waited there for a connection */
    struct flight_answer *answer;
    struct pg_answer result; /* copied parts of the job's answer; rows valid inside the callback */
};

enum { REQUEST_MAGIC = 0x4e90e577 };

/* Runs from request->step until the request is parked or done. When done, the answer is in the
 * connection's output (if it is still there) and http_request_done() has been called. */
void steps_run(struct request *r) REQUIRES(worker_role);

/* http_face: the request is finished; it may be recycled and the connection goes on. */
void http_request_done(struct request *r);
struct buf *http_request_out(struct request *r); /* NULL when the client has gone */

#endif
