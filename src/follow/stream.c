/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One replication connection, from its first query to the stream:
 *
 *   CLOSED ─ stream_open ─> CONNECTING ─> SETTINGS ─> PUBLICATION ─> SLOT ─ slot() ─> READY
 *                                                                                  │ stream_start
 *   any ─ error, silence ─> CLOSED, failed()                        STREAMING <────┘
 *
 * The publication must exist before the slot: decoding looks it up as of each change, and would
 * fail on every change that is older. The slot is temporary: it dies with the connection, so it can
 * never fill the server's disk with WAL that nobody reads.
 *
 * Once a second, and when asked, the applied position goes back. The server sends a keepalive
 * whenever it runs idle ahead of that position, and as the answer to a status update that asks for
 * one.
 *
 * Invariant: ST1. idle() is told only positions of keepalives: the server sends them behind every
 * commit that ended before. A change's own position proves nothing.
 */
#include "follow/stream.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "follow/decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { FEEDBACK_MS = 1000, SILENCE_MS = 60000, STREAM_CONNECT_MS = 5000 };

/* How much of unfinished transactions the server keeps before it sends a block of the largest. What it
 * keeps (64 MB by default) is sent at the commit, and then everybody waits for it. */
#define WORK_MEM "4MB"

enum stream_step {
    STREAM_CLOSED,
    STREAM_CONNECTING,
    STREAM_SETTINGS,
    STREAM_PUBLICATION,
    STREAM_SLOT,
    STREAM_READY,
    STREAM_STREAMING,
};

struct stream {
    const struct stream_face *face;
    void *arg;
    struct loop *loop;
    struct pg_session *session;
    struct timer feedback;
    const char *publication;
    char slot_name[64];
    enum stream_step step;
    bool asked; /* an answer to stream_ask() is due */
    uint64_t applied_lsn;
    uint64_t heard_ms; /* the last frame */
    uint64_t bytes;
};

/* --- ending ------------------------------------------------------------------------------------- */

void stream_close(struct stream *s)
{
    timer_stop(&s->feedback);
    pg_session_close(s->session);
    s->step = STREAM_CLOSED;
}

static void stream_fail(struct stream *s, const char *why, const char *sqlstate)
{
    char *text = pg_advice(why, sqlstate);
    stream_close(s);
    s->face->failed(s->arg, text);
    free(text);
}

/* --- feedback ----------------------------------------------------------------------------------- */

static void put_u64(struct buf *b, uint64_t value)
{
    for (int shift = 56; shift >= 0; shift -= 8) {
        buf_append_char(b, (char)(value >> shift & 0xff));
    }
}

/* Standby status update: r written:8 flushed:8 applied:8 time:8 reply:1. */
static void send_status(struct stream *s, bool ask_reply)
{
    enum { UNIX_TO_2000_S = 946684800 };
    struct buf b;
    buf_init(&b);
    buf_append_char(&b, 'r');
    put_u64(&b, s->applied_lsn);
    put_u64(&b, s->applied_lsn);
    put_u64(&b, s->applied_lsn);
    put_u64(&b, (clock_wall_ms() - UINT64_C(1000) * UNIX_TO_2000_S) * 1000);
    buf_append_char(&b, ask_reply ? 1 : 0);
    (void)pg_session_copy_put(s->session, buf_readable(&b));
    buf_fini(&b);
}

static void on_feedback(struct timer *t)
{
    struct stream *s = container_of(t, struct stream, feedback);
    if (loop_now_ms(s->loop) - s->heard_ms > SILENCE_MS) {
        stream_fail(s, "the stream is silent", NULL);
        return;
    }
    send_status(s, true);
    timer_start(s->loop, &s->feedback, FEEDBACK_MS, on_feedback);
}

void stream_applied(struct stream *s, uint64_t lsn)
{
    s->applied_lsn = lsn;
}

void stream_ask(struct stream *s)
{
    if (s->step == STREAM_STREAMING && !s->asked) {
        s->asked = true;
        send_status(s, true);
    }
}

uint64_t stream_bytes(const struct stream *s)
{
    return s->bytes;
}

/* --- the steps ---------------------------------------------------------------------------------- */

/* '...' or "..." around `text`. */
static char *quoted(const char *text, char quote)
{
    struct buf b;
    buf_init(&b);
    buf_append_char(&b, quote);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == quote) {
            buf_append_char(&b, quote);
        }
        buf_append_char(&b, *c);
    }
    buf_append_char(&b, quote);
    char *copy = xstrndup(b.mem + b.start, buf_len(&b));
    buf_fini(&b);
    return copy;
}

/* Text of the stream is compared with text of clients: it must not depend on the role's settings. */
static void ask_settings(struct stream *s)
{
    s->step = STREAM_SETTINGS;
    pg_session_query(s->session,
                     "set datestyle to 'ISO'; set logical_decoding_work_mem to '" WORK_MEM "'");
}

static void ask_publication(struct stream *s)
{
    char *name = quoted(s->publication, '\'');
    char *sql = xasprintf("select 1 from pg_catalog.pg_publication where pubname = %s", name);
    s->step = STREAM_PUBLICATION;
    pg_session_query(s->session, sql);
    free(sql);
    free(name);
}

static void ask_slot(struct stream *s)
{
    uint64_t random = 0;
    check(getrandom(&random, sizeof(random), 0) == (ssize_t)sizeof(random));
    (void)snprintf(s->slot_name, sizeof(s->slot_name), "freshet_%d_%08" PRIx32, (int)getpid(),
                   (uint32_t)random);
    char *sql = xasprintf("CREATE_REPLICATION_SLOT \"%s\" TEMPORARY LOGICAL pgoutput"
                          " NOEXPORT_SNAPSHOT",
                          s->slot_name);
    s->step = STREAM_SLOT;
    pg_session_query(s->session, sql);
    free(sql);
}

void stream_start(struct stream *s)
{
    check(s->step == STREAM_READY);
    char *identifier = quoted(s->publication, '"');
    char *names = quoted(identifier, '\'');
    char *sql = xasprintf("START_REPLICATION SLOT \"%s\" LOGICAL 0/0 (proto_version '2',"
                          " publication_names %s, messages 'true', streaming 'true')",
                          s->slot_name, names);
    s->step = STREAM_STREAMING;
    pg_session_query(s->session, sql);
    free(sql);
    free(names);
    free(identifier);
}

static void take_publication(struct stream *s, const PGresult *r)
{
    if (PQntuples(r) == 1) {
        ask_slot(s);
        return;
    }
    char *why = xasprintf("the publication \"%s\" does not exist", s->publication);
    stream_fail(s, why, "42704");
    free(why);
}

static void take_slot(struct stream *s, const PGresult *r)
{
    uint64_t lsn = 0;
    if (PQntuples(r) != 1 || PQnfields(r) < 2 || !pg_lsn_parse(PQgetvalue(r, 0, 1), &lsn)) {
        stream_fail(s, "the server answered CREATE_REPLICATION_SLOT with something else", NULL);
        return;
    }
    s->step = STREAM_READY;
    s->applied_lsn = lsn;
    s->face->slot(s->arg, lsn);
}

static void on_result(void *arg, PGresult *r)
{
    struct stream *s = arg;
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_BOTH) {
        const char *why = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
        stream_fail(s, why != NULL ? why : "an unknown error",
                    PQresultErrorField(r, PG_DIAG_SQLSTATE));
        return;
    }
    switch (s->step) {
    case STREAM_SETTINGS:
        ask_publication(s);
        break;
    case STREAM_PUBLICATION:
        take_publication(s, r);
        break;
    case STREAM_SLOT:
        take_slot(s, r);
        break;
    case STREAM_STREAMING:
        s->heard_ms = loop_now_ms(s->loop);
        send_status(s, true);
        timer_start(s->loop, &s->feedback, FEEDBACK_MS, on_feedback);
        break;
    case STREAM_CLOSED:
    case STREAM_CONNECTING:
    case STREAM_READY:
        break;
    }
}

static void on_ready(void *arg)
{
    ask_settings(arg);
}

static void on_failed(void *arg, const char *why)
{
    stream_fail(arg, why, NULL);
}

static void on_copy(void *arg, struct slice in)
{
    struct stream *s = arg;
    struct decode_frame f;
    s->heard_ms = loop_now_ms(s->loop);
    s->bytes += in.len;
    if (!decode_frame(in, &f)) {
        stream_fail(s, "the stream holds a frame that is broken", NULL);
        return;
    }
    if (!f.keepalive) {
        s->face->message(s->arg, f.message);
        return;
    }
    s->asked = false;
    s->face->idle(s->arg, f.end_lsn);
    if (f.reply_requested && s->step == STREAM_STREAMING) {
        send_status(s, false);
    }
}

static const struct pg_session_face session_face = {
    .ready = on_ready,
    .result = on_result,
    .failed = on_failed,
    .copy = on_copy,
};

/* --- the face ----------------------------------------------------------------------------------- */

struct stream *stream_create(struct loop *l, const struct stream_face *face, void *arg)
{
    struct stream *s = xcalloc(1, sizeof(*s));
    s->face = face;
    s->arg = arg;
    s->loop = l;
    s->session = pg_session_create(l, &session_face, s);
    return s;
}

void stream_destroy(struct stream **s)
{
    if (*s != NULL) {
        stream_close(*s);
        pg_session_destroy(&(*s)->session);
        free(*s);
        *s = NULL;
    }
}

void stream_open(struct stream *s, const char *dsn, const char *publication)
{
    check(s->step == STREAM_CLOSED);
    s->publication = publication;
    s->asked = false;
    s->step = STREAM_CONNECTING;
    pg_session_connect(s->session, dsn, "replication=database fallback_application_name=freshet",
                       STREAM_CONNECT_MS);
}
