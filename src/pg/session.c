/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session takes one plain query at a time: the probe, the kick, the replication stream.
 *
 *   DEAD ─ pg_session_connect ─> CONNECTING ─> IDLE ─ pg_session_query ─> BUSY ─> IDLE
 *                                                                          └─> COPY (START_REPLICATION)
 *   any ─ error, EOF ─> DEAD, failed()        any ─ pg_session_close ─> DEAD, silent
 *
 * Invariants: S1. `result` is called once per query, with the last result. S2. A statement's error
 * is a result; only the loss of the connection, and the end of a stream, is a failure.
 *
 * Threads: the loop's. Callbacks may close, connect and query, but not destroy.
 */
#include "base/alloc.h"
#include "pg/link.h"
#include "pg/pg.h"

#include <stdlib.h>

enum session_state { SESSION_DEAD, SESSION_CONNECTING, SESSION_IDLE, SESSION_BUSY, SESSION_COPY };

struct pg_session {
    struct pg_link link;
    const struct pg_session_face *face;
    void *arg;
    enum session_state state;
    PGresult *last; /* BUSY: the newest result so far */
};

static void session_forget(struct pg_session *s)
{
    PQclear(s->last);
    s->last = NULL;
    s->state = SESSION_DEAD;
}

/* Without a receiver libpq prints notices on standard error. */
static void session_notice(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

static void session_connected(struct pg_link *k)
{
    struct pg_session *s = container_of(k, struct pg_session, link);
    (void)PQsetNoticeReceiver(k->conn, session_notice, NULL);
    s->state = SESSION_IDLE;
    s->face->ready(s->arg);
}

/* The stream's data, until the socket has no more. The end of the stream is a failure (S2). */
static void session_copy(struct pg_session *s)
{
    uint64_t generation = s->link.generation;
    while (s->link.generation == generation && s->state == SESSION_COPY) {
        char *bytes = NULL;
        int len = PQgetCopyData(s->link.conn, &bytes, 1);
        if (len == 0) {
            return;
        }
        if (len > 0) {
            s->face->copy(s->arg, (struct slice){bytes, (size_t)len});
            PQfreemem(bytes);
            continue;
        }
        PGresult *end = len == -1 ? PQgetResult(s->link.conn) : NULL;
        const char *why = end != NULL ? PQresultErrorMessage(end) : PQerrorMessage(s->link.conn);
        char *text = xstrdup(why[0] != '\0' ? why : "the server ended the stream");
        PQclear(end);
        pg_link_fail(&s->link, text);
        free(text);
        return;
    }
}

static void session_deliver(struct pg_session *s, enum session_state next)
{
    PGresult *result = s->last;
    s->last = NULL;
    s->state = next;
    if (result != NULL) {
        s->face->result(s->arg, result);
        PQclear(result);
    }
}

static void session_results(struct pg_session *s)
{
    uint64_t generation = s->link.generation;
    while (s->link.generation == generation && s->state == SESSION_BUSY &&
           PQisBusy(s->link.conn) == 0) {
        PGresult *r = PQgetResult(s->link.conn);
        if (r == NULL) {
            if (PQstatus(s->link.conn) == CONNECTION_BAD) {
                pg_link_fail(&s->link, s->last != NULL ? PQresultErrorMessage(s->last)
                                                       : PQerrorMessage(s->link.conn));
                return;
            }
            session_deliver(s, SESSION_IDLE);
            continue;
        }
        PQclear(s->last);
        s->last = r;
        if (PQresultStatus(r) == PGRES_COPY_BOTH) {
            session_deliver(s, SESSION_COPY);
        }
    }
}

static void session_readable(struct pg_link *k)
{
    struct pg_session *s = container_of(k, struct pg_session, link);
    uint64_t generation = k->generation;
    session_results(s);
    if (k->generation == generation && s->state == SESSION_COPY) {
        session_copy(s);
    }
}

static void session_failed(struct pg_link *k, const char *why)
{
    struct pg_session *s = container_of(k, struct pg_session, link);
    session_forget(s);
    s->face->failed(s->arg, why);
}

static const struct pg_link_face session_link_face = {
    .connected = session_connected,
    .readable = session_readable,
    .failed = session_failed,
};

struct pg_session *pg_session_create(struct loop *l, const struct pg_session_face *face, void *arg)
{
    struct pg_session *s = xcalloc(1, sizeof(*s));
    pg_link_init(&s->link, l, &session_link_face);
    s->face = face;
    s->arg = arg;
    return s;
}

void pg_session_destroy(struct pg_session **s)
{
    if (*s != NULL) {
        pg_session_close(*s);
        free(*s);
        *s = NULL;
    }
}

void pg_session_connect(struct pg_session *s, const char *dsn, const char *extra,
                        uint32_t timeout_ms)
{
    session_forget(s);
    s->state = SESSION_CONNECTING;
    pg_link_open(&s->link, dsn, extra, timeout_ms);
}

void pg_session_close(struct pg_session *s)
{
    pg_link_close(&s->link);
    session_forget(s);
}

bool pg_session_idle(const struct pg_session *s)
{
    return s->state == SESSION_IDLE;
}

void pg_session_query(struct pg_session *s, const char *sql)
{
    check(s->state == SESSION_IDLE);
    s->state = SESSION_BUSY;
    /* If this cannot be sent the connection is broken, and the loop will say so. */
    (void)PQsendQuery(s->link.conn, sql);
    (void)pg_link_flush(&s->link);
}

bool pg_session_copy_put(struct pg_session *s, struct slice message)
{
    if (s->state != SESSION_COPY || message.len > INT32_MAX) {
        return false;
    }
    return PQputCopyData(s->link.conn, message.ptr, (int)message.len) == 1 &&
           pg_link_flush(&s->link);
}
