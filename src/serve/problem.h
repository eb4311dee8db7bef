/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * problem: error answers as application/problem+json (RFC 9457). Says what, where and what to do, and
 * nothing of the inside. Threads: pure.
 */
#ifndef SERVE_PROBLEM_H
#define SERVE_PROBLEM_H

#include "base/buf.h"
#include "pg/pg.h"
#include "policy/policy.h"

struct problem {
    int status;
    const char *detail;    /* one sentence; NULL: none */
    const char *parameter; /* the request parameter that is wrong; NULL: none */
    const char *allow;     /* 405 and OPTIONS: Allow header; NULL: none */
    const char *sqlstate;  /* shown for 4xx from the database; NULL: none */
    bool retry;            /* adds Retry-After: 1 */
    bool accept_post;      /* adds Accept-Post: application/json */
    bool accept_identity;  /* adds Accept-Encoding: identity, for 415 */
};

/* The whole message, head and body. */
void problem_put(struct buf *out, const struct problem *p, bool head_only, bool close);
/* What a client may learn of a failed statement: data errors are theirs, the rest is ours. `detail`
 * points into the answer for RAISE EXCEPTION (the application's own words); `route` names the parameter. */
struct problem problem_from_database(const struct pg_answer *answer,
                                     const struct policy_route *route);

#endif
