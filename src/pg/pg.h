/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pg: PostgreSQL without waiting. A pool of libpq connections inside one event loop, and the
 * replication stream. Knows how to ask; knows nothing of caching.
 *
 * A *job* is one statement run in one of two shapes, each sent as one pipeline (one round trip):
 *
 *   PG_READ   BEGIN READ ONLY; pg_current_snapshot(); the statement, which sees at least that much;
 *             relations locked by this backend; COMMIT
 *   PG_WRITE  BEGIN; the statement; COMMIT; pg_current_wal_insert_lsn()
 *
 * Statements are prepared once per connection, by name. A job that waits longer than its deadline, or
 * that loses its connection, ends with an error; a write that may have been committed is never sent
 * again. Connections are opened on demand, up to `size`, and reconnect with back-off (50 ms to 0.5 s).
 *
 * Threads: everything belongs to the loop's thread.
 */
#ifndef PG_PG_H
#define PG_PG_H

#include "base/err.h"
#include "base/slice.h"
#include "net/net.h"

#include <libpq-fe.h>
#include <stdint.h>

/* A statement with positional parameters $1..$n. Immutable; must outlive pools that used it. */
struct pg_statement {
    uint64_t id; /* unique in the process, names the prepared statement */
    const char *sql;
    uint32_t param_count;
};

enum pg_shape { PG_READ, PG_WRITE };

struct pg_answer {
    enum err err;          /* ERR_OK, ERR_NO_DATABASE, ERR_TIMEOUT, ERR_DATABASE, ERR_BUSY */
    const PGresult *rows;  /* of the statement; NULL on error. Valid inside the callback. */
    struct slice snapshot; /* PG_READ: pg_current_snapshot(), the statement's or a little older */
    const uint32_t *relations; /* PG_READ: oids >= 16384 of tables, matviews, foreign tables */
    uint32_t relation_count;
    uint64_t wal_lsn;     /* PG_WRITE: asked after the commit returned; 0: committed, not known */
    bool maybe_committed; /* PG_WRITE lost its connection after COMMIT was sent */
    char sqlstate[6];     /* ERR_DATABASE */
    const char *message;  /* ERR_DATABASE, ERR_NO_DATABASE: for the log, may be internal */
    const char *detail;   /* may be NULL */
    uint32_t parameter;   /* ERR_DATABASE: n of the $n that has no value of its type; 0: none */
    uint64_t elapsed_us;  /* from sending to the last result */
};

struct pg_job;
typedef void pg_job_fn(struct pg_job *job, const struct pg_answer *answer);

struct pg_job {
    const struct pg_statement *statement;
    enum pg_shape shape;
    const char *const *params; /* text, NULL for SQL NULL; must live until `done` */
    uint32_t timeout_ms; /* waiting for a connection, then each statement (statement_timeout) */
    pg_job_fn *done;     /* called exactly once, never from inside pg_submit() */
    /* Just before the bytes are sent on a connection: the last moment to take a stamp. May be NULL. */
    void (*sending)(struct pg_job *job);
    /* private */
    struct list node;
    struct timer timer;
    struct pg_pool *pool; /* NULL: not submitted, or done */
    struct pg_conn *conn; /* NULL: waiting */
    uint64_t sent_us;
    enum err refused; /* on the pool's refused list: with this */
    bool retried;
};

struct pg_pool_options {
    const char *dsn;    /* libpq connection string or URI */
    uint32_t size;      /* connections, >= 1 */
    uint32_t queue_max; /* jobs waiting for one: beyond, ERR_BUSY */
    uint32_t connect_timeout_ms;
    const char *application_name;
};

struct pg_pool;
/* Copies the options. Opens no connection yet, and never fails: a DSN that cannot work is what each job hears. */
struct pg_pool *pg_pool_create(struct loop *l, const struct pg_pool_options *options);
/* Fails every job with ERR_NO_DATABASE, then frees. */
void pg_pool_destroy(struct pg_pool **p);
/* Somebody else has waited long for this server's answer, or (false) has had one. While it is doubted, the pool
 * looks at its own connections; when none of them is answered either, reads in progress end with
 * ERR_NO_DATABASE, and what is not sent yet fails at once, until a connection is answered again. Call it a few
 * times a second while it is true. */
void pg_pool_doubt(struct pg_pool *p, bool doubted);
/* `done` is called later, whatever happens. The job and its parameters stay put until then. */
void pg_submit(struct pg_pool *p, struct pg_job *job);
struct pg_pool_stats {
    uint32_t open;
    uint32_t busy;
    uint32_t waiting;
    bool silent; /* the server does not answer: everything fails at once */
    uint64_t statements;
    uint64_t errors;
    const char *last_error; /* NULL: none since the last success */
};
void pg_pool_stats(const struct pg_pool *p, struct pg_pool_stats *ret_stats);

/* --- a connection that takes one plain query at a time (probe, catalog, kick) ------------------------ */

struct pg_session;
struct pg_session_face {
    /* Connected and idle. */
    void (*ready)(void *arg);
    /* One query's results; `result` is the last of them, NULL never. Valid inside the callback. */
    void (*result)(void *arg, PGresult *result);
    /* Connection lost or never made; the session is dead until pg_session_connect(). */
    void (*failed)(void *arg, const char *why);
    /* CopyBoth (replication): one message of the stream. NULL for plain sessions. */
    void (*copy)(void *arg, struct slice message);
};
/* Not connected; borrows the face. Destroying closes it without a word to the face. */
struct pg_session *pg_session_create(struct loop *l, const struct pg_session_face *face, void *arg);
void pg_session_destroy(struct pg_session **s);
/* `extra` is appended to the DSN as key=value settings, e.g. "replication=database". */
void pg_session_connect(struct pg_session *s, const char *dsn, const char *extra,
                        uint32_t timeout_ms);
/* At once, and without failed(). */
void pg_session_close(struct pg_session *s);
bool pg_session_idle(const struct pg_session *s);
/* Session must be idle. Simple protocol. */
void pg_session_query(struct pg_session *s, const char *sql);
/* Sends a copy message (standby status update) on a replication stream. */
bool pg_session_copy_put(struct pg_session *s, struct slice message);

/* Blocking, for idle connections. Does PostgreSQL itself answer here, and not a pooler in front of it? */
bool pg_is_direct(PGconn *conn);
/* Do both have the same server process, though both are open? Then it changes between transactions, and what a
 * session keeps (settings, prepared statements) is anybody's. */
bool pg_shares_process(PGconn *conn, PGconn *other);

/* What to do about it: "WHY; NEXT STEP", or a copy of `why` when no step is known, in one line. `sqlstate` may be
 * NULL. Caller frees. */
char *pg_advice(const char *why, const char *sqlstate);

/* "16/B374D848" both ways. */
bool pg_lsn_parse(const char *text, uint64_t *ret_lsn);
void pg_lsn_format(uint64_t lsn, char out[24]);
/* Page and segment headers hold no records: an insert position just behind one equals the position
 * before it (segment 16 MB unless told otherwise). */
uint64_t pg_lsn_normalise(uint64_t lsn, uint64_t segment_bytes);

#endif
