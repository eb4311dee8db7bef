/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Error answers, and what a client learns of a failed statement: a table from SQLSTATE to status
 * and sentence. A constraint that the data broke is the client's business; what happened inside is
 * the operator's, and stands in the log.
 *
 * SQLSTATE classes: PostgreSQL manual, appendix A. Threads: pure.
 */
#include "serve/problem.h"

#include "base/clock.h"
#include "base/json.h"
#include "http/http.h"

#include <string.h>

static void put_member(struct buf *out, const char *name, const char *value)
{
    if (value != NULL) {
        buf_printf(out, ",\"%s\":", name);
        json_put_string(out, slice_of(value));
    }
}

void problem_put(struct buf *out, const struct problem *p, bool head_only, bool close)
{
    struct buf body;
    buf_init(&body);
    buf_append_str(&body, "{\"type\":\"about:blank\",\"title\":");
    json_put_string(&body, slice_of(http_status_text(p->status)));
    buf_printf(&body, ",\"status\":%d", p->status);
    put_member(&body, "detail", p->detail);
    put_member(&body, "parameter", p->parameter);
    put_member(&body, "sqlstate", p->sqlstate);
    buf_append_str(&body, "}\n");

    http_put_status(out, p->status, clock_wall_ms());
    http_put_header(out, "Content-Type", SLICE("application/problem+json"));
    http_put_header_fmt(out, "Content-Length", "%zu", buf_len(&body));
    http_put_header(out, "Cache-Control", SLICE("no-store"));
    if (p->allow != NULL) {
        http_put_header(out, "Allow", slice_of(p->allow));
    }
    if (p->retry) {
        http_put_header(out, "Retry-After", SLICE("1"));
    }
    if (p->status == 401) {
        http_put_header(out, "WWW-Authenticate", SLICE("Bearer realm=\"freshet\""));
    }
    if (p->accept_post) {
        http_put_header(out, "Accept-Post", SLICE("application/json"));
    }
    if (p->accept_identity) {
        http_put_header(out, "Accept-Encoding", SLICE("identity"));
    }
    if (close) {
        http_put_header(out, "Connection", SLICE("close"));
    }
    buf_append_str(out, "\r\n");
    if (!head_only) {
        buf_append_slice(out, buf_readable(&body));
    }
    buf_fini(&body);
}

/* Longest prefix of the SQLSTATE wins. */
static const struct {
    const char *prefix;
    int status;
    const char *detail;
} sqlstate_table[] = {
    {"P0001", 422, NULL}, /* RAISE EXCEPTION: the application speaks */
    {"23505", 409, "the record exists already"},
    {"23503", 409, "the record refers to one that does not exist, or is referred to"},
    {"23502", 422, "a required value is missing"},
    {"23514", 422, "a value is outside what the table allows"},
    {"23P01", 409, "the record conflicts with another"},
    {"23", 422, "the record breaks a constraint"},
    {"22", 400, "a value has the wrong form or is out of range"},
    {"25006", 405, "this route only reads, but its statement writes"},
    {"40", 503, "the transaction met another one; try again"},
    {"42501", 403, "the server may not do this"},
    {"53", 503, "the database has no resources left; try again"},
    {"55P03", 503, "the record is locked; try again"},
    {"57014", 504, "the database did not answer in time"},
    {"57", 503, "the database is restarting; try again"},
    {"08", 503, "the database cannot be reached; try again"},
    {"", 500, "the statement failed; the server's log says why"},
};

struct problem problem_from_database(const struct pg_answer *answer,
                                     const struct policy_route *route)
{
    if (answer->err != ERR_DATABASE) {
        int status = err_status(answer->err);
        return (struct problem){.status = status,
                                .retry = status == 503,
                                .detail = answer->maybe_committed
                                              ? "contact was lost while committing; the change may "
                                                "have been made: read before sending again"
                                              : err_text(answer->err)};
    }
    size_t i = 0;
    while (strncmp(answer->sqlstate, sqlstate_table[i].prefix, strlen(sqlstate_table[i].prefix)) !=
           0) {
        i++;
    }
    struct problem p = {.status = sqlstate_table[i].status, .detail = sqlstate_table[i].detail};
    if (p.detail == NULL) {
        p.detail = answer->message;
    }
    p.retry = p.status == 503;
    if (answer->parameter > 0 && answer->parameter <= route->param_count) {
        p.parameter = route->params[answer->parameter - 1].name;
    }
    if (p.status < 500) {
        p.sqlstate = answer->sqlstate;
    }
    return p;
}
