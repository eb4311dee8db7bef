/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link follows one libpq connection through its life:
 *
 *   closed ─ pg_link_open ─> connecting ─ PQconnectPoll says OK ─> connected ─> closed
 *                                │                                    │
 *                                └──── error, EOF, time-out ──────────┴─> failed(), closed
 *
 * While connecting, libpq may replace its socket (several hosts, an SSL retry), even by one of the
 * same number; so the descriptor is taken out of the loop before each PQconnectPoll() and put back
 * after.
 *
 * Invariants: L1. The source is watched only while `conn` is set and has its socket. L2. `failed` is called from
 * the loop, never from inside pg_link_open() or pg_link_flush(), so a caller's state is settled
 * first.
 *
 * Not done: name look-up inside PQconnectStart() blocks the loop. Use a numeric address or a socket
 * where that matters.
 */
#include "pg/link.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdlib.h>

enum { LINK_SETTINGS_MAX = 48 };

void pg_link_init(struct pg_link *k, struct loop *l, const struct pg_link_face *face)
{
    *k = (struct pg_link){.loop = l, .face = face};
    k->source.fd = -1;
}

void pg_link_close(struct pg_link *k)
{
    timer_stop(&k->connect_timer);
    k->connected = false;
    if (k->conn != NULL) {
        loop_unwatch(&k->source);
        PQfinish(k->conn);
        k->conn = NULL;
        k->generation++;
    }
}

void pg_link_fail(struct pg_link *k, const char *why)
{
    size_t len = strlen(why);
    while (len > 0 && (why[len - 1] == '\n' || why[len - 1] == ' ')) {
        len--;
    }
    char *text = xstrndup(why, len); /* `why` often belongs to the connection */
    pg_link_close(k);
    k->face->failed(k, len > 0 ? text : "the connection was closed");
    free(text);
}

/* False: the connection is lost. libpq has then closed its socket itself, and the number may be anybody's by now:
 * it must not be touched again. */
static bool flush(struct pg_link *k)
{
    if (k->source.loop == NULL) {
        return false;
    }
    int rest = PQflush(k->conn);
    if (rest < 0 || PQsocket(k->conn) != k->source.fd) {
        loop_unwatch(&k->source);
        return false;
    }
    loop_rewatch(&k->source, rest == 0 ? LOOP_READ : LOOP_READ | LOOP_WRITE);
    return true;
}

static void link_ready(struct loop_source *src, unsigned events)
{
    struct pg_link *k = container_of(src, struct pg_link, source);
    if ((events & LOOP_WRITE) != 0 && PQflush(k->conn) < 0) {
        /* The server's last words may still be readable. */
        (void)PQconsumeInput(k->conn);
        pg_link_fail(k, PQerrorMessage(k->conn));
        return;
    }
    if (PQconsumeInput(k->conn) == 0) {
        pg_link_fail(k, PQerrorMessage(k->conn));
        return;
    }
    uint64_t generation = k->generation;
    k->face->readable(k);
    if (k->generation == generation && !flush(k)) {
        pg_link_fail(k, PQerrorMessage(k->conn));
    }
}

/* libpq would print them. */
static void link_notice(void *arg, const PGresult *r)
{
    (void)arg;
    const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    log_debug("pg", "%s", text != NULL ? text : "a notice without words");
}

static void link_poll(struct loop_source *src, unsigned events)
{
    struct pg_link *k = container_of(src, struct pg_link, source);
    loop_unwatch(src);
    PostgresPollingStatusType want = PQconnectPoll(k->conn);
    if (want == PGRES_POLLING_FAILED) {
        pg_link_fail(k, PQerrorMessage(k->conn));
        return;
    }
    if (want != PGRES_POLLING_OK) {
        loop_watch(k->loop, src, PQsocket(k->conn),
                   want == PGRES_POLLING_READING ? LOOP_READ : LOOP_WRITE, link_poll);
        return;
    }
    timer_stop(&k->connect_timer);
    k->connected = true;
    (void)PQsetnonblocking(k->conn, 1);
    (void)PQsetNoticeReceiver(k->conn, link_notice, NULL);
    loop_watch(k->loop, src, PQsocket(k->conn), LOOP_READ, link_ready);
    k->face->connected(k);
}

static void link_timeout(struct timer *t)
{
    struct pg_link *k = container_of(t, struct pg_link, connect_timer);
    pg_link_fail(k, "no answer while connecting");
}

static void link_doomed(struct timer *t)
{
    struct pg_link *k = container_of(t, struct pg_link, connect_timer);
    pg_link_fail(k, k->conn != NULL ? PQerrorMessage(k->conn) : "out of memory");
}

void pg_link_fail_later(struct pg_link *k)
{
    timer_start(k->loop, &k->connect_timer, 0, link_doomed);
}

static PGconn *link_start(const char *dsn, const char *extra)
{
    const char *names[LINK_SETTINGS_MAX + 2] = {"dbname", "client_encoding"};
    const char *values[LINK_SETTINGS_MAX + 2] = {dsn, "UTF8"};
    size_t n = 2;
    PQconninfoOption *more = extra != NULL ? PQconninfoParse(extra, NULL) : NULL;
    for (PQconninfoOption *o = more; o != NULL && o->keyword != NULL; o++) {
        if (o->val != NULL && n < LINK_SETTINGS_MAX) {
            names[n] = o->keyword;
            values[n++] = o->val;
        }
    }
    PGconn *conn = PQconnectStartParams(names, values, 1);
    PQconninfoFree(more);
    return conn;
}

void pg_link_open(struct pg_link *k, const char *dsn, const char *extra, uint32_t timeout_ms)
{
    pg_link_close(k);
    k->generation++;
    k->conn = link_start(dsn, extra);
    if (k->conn == NULL || PQstatus(k->conn) == CONNECTION_BAD || PQsocket(k->conn) < 0) {
        pg_link_fail_later(k); /* a bad DSN */
        return;
    }
    timer_start(k->loop, &k->connect_timer, timeout_ms, link_timeout);
    /* libpq's rule: before the first PQconnectPoll(), wait as if it had said WRITING. */
    loop_watch(k->loop, &k->source, PQsocket(k->conn), LOOP_WRITE, link_poll);
}

bool pg_link_flush(struct pg_link *k)
{
    if (flush(k)) {
        return true;
    }
    pg_link_fail_later(k);
    return false;
}
