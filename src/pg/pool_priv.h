/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What pool.c (which job goes where) and job.c (one job on one connection) share. Private to pg/.
 */
#ifndef PG_POOL_PRIV_H
#define PG_POOL_PRIV_H

#include "base/tell.h"
#include "pg/link.h"
#include "pg/pg.h"

enum { POOL_MAGIC = 0x706f6f6c, POOL_ERROR_MAX = 512, JOB_STEPS_MAX = 12 };

enum job_step {
    STEP_SETUP, /* a statement of the connection's own preparation */
    STEP_LIMIT, /* SET statement_timeout */
    STEP_BEGIN,
    STEP_PREPARE,
    STEP_SNAPSHOT,
    STEP_STATEMENT,
    STEP_RELATIONS,
    STEP_COMMIT,
    STEP_LSN,
    STEP_SYNC,
};

enum conn_state {
    CONN_CLOSED,
    CONN_CONNECTING,
    CONN_SETUP, /* connected, its own statements are being prepared */
    CONN_IDLE,
    CONN_BUSY,
};

struct pg_conn {
    struct pg_link link;
    struct pg_pool *pool;
    enum conn_state state;
    uint64_t asked_ms;     /* CONNECTING, BUSY: since when an answer is due */
    struct pg_job *job;    /* BUSY: NULL when it was cancelled and the rest is only read off */
    uint64_t statement_id; /* of the job, which may be gone */
    /* what was sent and not yet answered */
    enum job_step steps[JOB_STEPS_MAX];
    uint32_t step_count;
    uint32_t step_now;
    bool step_answered; /* the step's result came, its end did not */
    /* the answer so far */
    PGresult *rows;
    PGresult *snapshot;
    PGresult *failure; /* the first error */
    enum job_step failed_at;
    bool committed;
    uint64_t wal_lsn;
    uint32_t *relations;
    uint32_t relation_count;
    uint32_t relation_cap;
    /* what this connection knows */
    uint64_t *prepared; /* statement ids */
    uint32_t prepared_count;
    uint32_t prepared_cap;
    uint32_t limit_ms; /* statement_timeout; UINT32_MAX: the server's own */
    int process;       /* the server's, as it was when the connection was prepared; 0: not known */
};

struct pg_pool {
    uint32_t magic;
    struct loop *loop;
    char *dsn;
    char *extra; /* connection settings beside the DSN */
    /* In the names of prepared statements: behind a pooler they could meet another's. */
    uint64_t nonce;
    uint32_t size;
    uint32_t queue_max;
    uint32_t connect_timeout_ms;
    struct pg_conn *conns; /* `size` of them */
    struct list waiting;   /* jobs, oldest first */
    uint32_t waiting_count;
    struct list refused; /* jobs whose `done` is called at the end of this turn */
    struct loop_task refuse;
    uint32_t backoff_ms; /* 0: the last connection attempt succeeded */
    uint64_t retry_ms;   /* no attempt before */
    uint64_t heard_ms;   /* the server's last word, on any connection */
    bool silent;         /* it was asked, and does not answer */
    uint64_t statements;
    uint64_t errors;
    char last_error[POOL_ERROR_MAX];
    struct tell tell;
};

/* job.c */
bool job_send_setup(struct pg_conn *c);
bool job_send(struct pg_conn *c, struct pg_job *job);
enum job_progress {
    JOB_MORE,   /* to come */
    JOB_DONE,   /* every step is answered */
    JOB_BROKEN, /* the answers do not fit what was sent (a COPY statement): give the connection up */
};
/* Takes the results that have arrived. */
enum job_progress job_read(struct pg_conn *c);
/* The answer as the results give it; slices and pointers live in the connection until job_clear(). */
void job_answer(struct pg_conn *c, const struct pg_job *job, struct pg_answer *ret_answer);
/* The connection is lost with a job on it. */
void job_answer_lost(struct pg_conn *c, const struct pg_job *job, enum err err, const char *why,
                     struct pg_answer *ret_answer);
/* Did the server say that its prepared statement is out of date, so that nothing has run? */
bool job_needs_prepare(const struct pg_conn *c);
void job_clear(struct pg_conn *c);
/* Asks the server to stop what runs there, from a thread of its own: libpq's cancel blocks. */
void job_cancel_remote(struct pg_conn *c);

#endif
