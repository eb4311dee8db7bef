/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operators' pages: a table of paths, each with the function that appends its text.
 *
 * Every answer is made at once, from memory, by the worker that has the connection: an operator is
 * answered also when the database is not. Nothing here changes anything.
 *
 * Threads: the connection's worker. Not done: TLS, users; the listener belongs on loopback or
 * behind a password.
 */
#include "serve/admin.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/number.h"
#include "serve/fill_times.h"
#include "serve/problem.h"
#include "serve/stats.h"
#include "serve/trace_page.h"

/* Takes the same time whatever the difference, so a password cannot be guessed byte by byte. */
static bool same_secret(struct slice given, struct slice want)
{
    unsigned diff = given.len == want.len ? 0 : 1;
    for (size_t i = 0; i < given.len && want.len > 0; i++) {
        diff |= (unsigned char)given.ptr[i] ^ (unsigned char)want.ptr[i % want.len];
    }
    return diff == 0;
}

static bool allowed(const struct worker *w, const struct http_request *head)
{
    const char *password = w->plan->policy->auth.password;
    if (password == NULL) {
        return true;
    }
    struct slice given = http_header_get(head, "Authorization");
    static const char scheme[] = "Bearer ";
    size_t skip = sizeof(scheme) - 1;
    return given.len >= skip && strncasecmp(given.ptr, scheme, skip) == 0 &&
           same_secret(slice_from(given, skip), slice_of(password));
}

/* Takes a database's number and a blank off the start of a key; without them it is 0. False: no number. */
static bool take_db(struct slice *key, uint32_t *ret_db)
{
    const char *blank = memchr(key->ptr, ' ', key->len);
    size_t len = blank != NULL ? (size_t)(blank - key->ptr) : 0;
    uint64_t db = 0;
    if (len >= 1 && len <= 2) {
        if (!number_parse_u64((struct slice){key->ptr, len}, &db)) {
            return false;
        }
        *key = slice_from(*key, len + 1);
    }
    *ret_db = (uint32_t)db;
    return db < POLICY_DBS;
}

/* "key NAME", "key DB NAME" or "GET /path?query", as the command line says it. */
static bool explain_target(struct worker *w, struct slice target, struct buf *text)
{
    if (target.len > 4 && strncmp(target.ptr, "key ", 4) == 0) {
        struct slice key = slice_from(target, 4);
        uint32_t db;
        if (!take_db(&key, &db)) {
            return false;
        }
        explain_key(w, db, key, text);
        return true;
    }
    const char *space = target.len > 0 ? memchr(target.ptr, ' ', target.len) : NULL;
    if (space == NULL) {
        return false;
    }
    size_t len = (size_t)(space - target.ptr);
    explain_route(w, (struct slice){target.ptr, len}, slice_from(target, len + 1), text);
    return true;
}

static bool query_target(struct slice query, struct buf *target)
{
    struct slice name;
    struct slice value;
    while (http_query_next(&query, &name, &value)) {
        if (slice_is(name, "target")) {
            return http_percent_decode(value, true, target);
        }
    }
    return false;
}

/* --- the pages ---------------------------------------------------------------------------------- */

static bool put_health(struct worker *w, struct slice query, struct buf *text)
{
    buf_append_str(text, "ok\n");
    return true;
}

static bool put_stats(struct worker *w, struct slice query, struct buf *text)
{
    if (slice_is(query, "format=json")) {
        stats_json(w, text);
    } else {
        stats_text(w, text);
    }
    return true;
}

static bool put_metrics(struct worker *w, struct slice query, struct buf *text)
{
    metrics_text(w, text);
    return true;
}

static bool put_slow(struct worker *w, struct slice query, struct buf *text)
{
    fill_times_slow(w->server->fill_times, slice_is(query, "format=json"), text);
    return true;
}

static bool put_explanation(struct worker *w, struct slice query, struct buf *text)
{
    struct buf target;
    buf_init(&target);
    bool ok = query_target(query, &target) && explain_target(w, buf_readable(&target), text);
    buf_fini(&target);
    return ok;
}

/* Each appends its text, or answers false: then `usage` tells what its query may be. */
static const struct page {
    const char *path;
    bool (*put)(struct worker *w, struct slice query, struct buf *text);
    const char *usage;
} pages[] = {
    {"/healthz", put_health, NULL},
    {"/stats", put_stats, NULL},
    {"/metrics", put_metrics, NULL},
    {"/slow", put_slow, NULL},
    {"/explain", put_explanation, "target is `key NAME`, `key DB NAME` or `GET /path?query`"},
    {"/trace", trace_page,
     "the query may have since (a cursor or `now`), age (milliseconds), event, thread, match, and "
     "format (text or json)"},
};

/* The status; behind 200 `text` is the answer, else `ret_detail` says why. */
static int answer_text(struct worker *w, const struct http_request *head, struct buf *text,
                       const char **ret_detail)
{
    *ret_detail = "there are /stats, /metrics, /slow, /explain, /trace and /healthz";
    if (!allowed(w, head)) {
        *ret_detail = "send Authorization: Bearer <password>";
        return 401;
    }
    if (head->method != HTTP_GET && head->method != HTTP_HEAD) {
        return 405;
    }
    for (size_t i = 0; i < array_len(pages); i++) {
        if (slice_is(head->path, pages[i].path)) {
            *ret_detail = pages[i].usage;
            return pages[i].put(w, head->query, text) ? 200 : 400;
        }
    }
    return 404;
}

void admin_answer(struct worker *w, const struct http_request *head, bool close, struct buf *out)
{
    struct buf text;
    buf_init(&text);
    const char *detail;
    int status = answer_text(w, head, &text, &detail);
    if (status != 200) {
        problem_put(out,
                    &(struct problem){.status = status,
                                      .allow = status == 405 ? "GET, HEAD" : NULL,
                                      .detail = detail},
                    head->method == HTTP_HEAD, close);
    } else {
        http_put_status(out, 200, clock_wall_ms());
        http_put_header(out, "Content-Type", SLICE("text/plain; version=0.0.4; charset=utf-8"));
        http_put_header_fmt(out, "Content-Length", "%zu", buf_len(&text));
        http_put_header(out, "Cache-Control", SLICE("no-store"));
        if (close) {
            http_put_header(out, "Connection", SLICE("close"));
        }
        buf_append_str(out, "\r\n");
        if (head->method != HTTP_HEAD) {
            buf_append_slice(out, buf_readable(&text));
        }
    }
    buf_fini(&text);
}
