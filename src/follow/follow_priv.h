/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of a follower: one struct, one file for each of its jobs. Private to follow/.
 *
 *   follow.c   life: threads, states, back-off, status        apply.c   stream's messages to fresh
 *   probe.c    snapshots, the log's end, proof, kick          wait.c    who waits for a position
 *   schema.c   when to load the catalog, what to raise then   keeper.c  the thread that loads it
 *
 * A call never goes up this table's order of events: a callback of the stream or the probe notes
 * what happened, and follow_progress() tells everybody else, at the end of the loop's turn.
 */
#ifndef FOLLOW_FOLLOW_PRIV_H
#define FOLLOW_FOLLOW_PRIV_H

#include "base/lock.h"
#include "base/tell.h"
#include "follow/depend.h"
#include "follow/follow.h"
#include "follow/stream.h"
#include "net/net.h"

#include <stdatomic.h>

enum { FOLLOW_MAGIC = 0x666f6c6c, PROOFS_MAX = 32 };

/* --- probe -------------------------------------------------------------------------------------- */

struct proof {
    uint64_t lsn;   /* once applied up to here, */
    uint64_t at_ms; /* contact is proven as of this time */
};

enum probe_step { PROBE_CLOSED, PROBE_CONNECTING, PROBE_SETTINGS, PROBE_READY };

struct probe {
    struct pg_session *session;
    enum probe_step step;
    bool in_flight;
    bool end_wanted;       /* somebody waits for a position that the log has */
    bool over_unconfirmed; /* commits waited for the fence when it was sent */
    uint64_t sent_ms;
    uint64_t segment_bytes;
    uint64_t xmax;          /* of the latest snapshot; 0: none yet */
    uint32_t fence_wait_ms; /* back-off while the fence is blocked */
    uint64_t fence_due_ms;
    struct timer again;
    struct loop_task task; /* sends at the end of the turn, if there is a reason */
    struct proof proofs[PROOFS_MAX];
    uint32_t proof_first;
    uint32_t proof_count;
    /* start-up */
    bool drain_wanted; /* the next probe's snapshot says what must end */
    bool drain_sent;   /* that of the probe in flight does */
    bool draining;
    uint64_t *drain_xids;
    uint32_t drain_count;
    /* kick */
    struct pg_session *kicker;
    enum probe_step kicker_step;
    uint64_t kicker_retry_ms;
    uint64_t kicker_sent_ms; /* its connection was begun */
    uint64_t kicker_good_ms; /* a new connection of its was answered */
    struct timer kick;
    uint64_t highest_lsn;  /* probed */
    uint64_t kicked_lsn;   /* every position probed up to here is flushed, or soon */
    uint64_t progress_lsn; /* applied when the kick timer was set */
};

/* --- waits -------------------------------------------------------------------------------------- */

struct waits {
    struct list unsent; /* strict, for the next probe */
    struct list sent;   /* strict, for the probe in flight */
    struct list placed; /* position known */
    fresh_pos lowest;   /* of `placed`, or below it */
    struct timer timer;
};

/* --- schema ------------------------------------------------------------------------------------- */

enum keeper_kind {
    KEEPER_LOAD,  /* and analyse */
    KEEPER_CHECK, /* compare with `known` */
};

struct keeper_job {
    struct mail mail;
    mail_fn *done;
    struct follow *follow;
    enum keeper_kind kind;
    uint64_t version;
    const struct policy *policy;        /* LOAD: a reference */
    const struct follow_catalog *known; /* CHECK: a reference */
    /* results */
    const struct follow_catalog *catalog; /* LOAD: a reference; NULL: `why` */
    void *analysis;
    const struct follow_value_column *values;
    uint32_t value_count;
    bool changed; /* CHECK */
    bool broken;  /* LOAD: the connection was lost meanwhile, `analysis` is not worth much */
    char *why;
};

struct schema {
    struct keeper_job job;
    bool busy;         /* `job` is at the keeper */
    bool load_wanted;  /* when the keeper is free and nothing is hidden */
    bool check_wanted; /* likewise */
    bool answered;     /* the keeper is done with `job`; it waits for the end of a transaction */
    uint64_t *hidden_xids; /* DDL that snapshots do not show yet */
    uint32_t hidden_count;
    struct timer check;
    struct timer retry;
    bool unpublished; /* the policy is a reload's and nobody has been told */
};

struct keeper {
    pthread_t thread;
    struct loop *loop;
    PGconn *conn;     /* keeper only */
    int fd;           /* follow's lock; of `conn`, -1: none */
    bool interrupted; /* follow's lock; the job in hand is in vain */
    bool stopping;    /* follow's lock */
};

/* --- the follower ------------------------------------------------------------------------------- */

struct follow {
    uint32_t magic;
    /* immutable after create */
    struct follow_options options;
    const char *dsn;        /* the statements' role and server */
    const char *stream_dsn; /* direct, with the right to replicate */
    struct fresh *fresh;
    pthread_t thread;
    struct loop *loop;
    struct keeper keeper;
    /* atomic: release: schema_outdated(); acquire: follow_version() */
    _Atomic uint64_t version;
    _Atomic bool silent; /* relaxed: a hint */
    /* lock */
    struct lock lock;
    struct follow_status shown;
    /* follower only */
    const struct policy *policy; /* a reference; that of the next load */
    enum follow_state state;
    struct follow_status status;
    struct stream *stream;
    struct depend *depend;
    struct decoder *decoder;
    bool catalog_known; /* this connection's */
    bool in_transaction;
    bool in_block; /* of a large transaction that has not ended */
    uint32_t xid;  /* of the transaction, low half */
    uint64_t applied_lsn;
    struct probe probe;
    struct waits waits;
    struct schema schema;
    uint32_t backoff_ms;
    uint64_t entered_ms; /* the state */
    bool told_slow;      /* that the state takes long */
    struct timer retry;
    struct timer tick;
    struct loop_task progress;
    struct tell tell;
    bool told_loss;           /* so the return is told too */
    uint64_t answered_ms;     /* the server's first answer since contact was lost */
    uint32_t connect_most_ms; /* how long an attempt may take, by how long the last one took */
};

/* follow.c */
void follow_enter(struct follow *f, enum follow_state state);
/* Contact is lost: everything closes, the next attempt comes after the back-off. */
void follow_lost(struct follow *f, enum follow_loss loss, const char *why);
/* A connection ended with these words of libpq. */
void follow_disconnected(struct follow *f, const char *why);
/* The server refused something, or (once it streams) sent what cannot be followed. */
void follow_fail(struct follow *f, const char *why);
void follow_fail_printf(struct follow *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The server let us in: how long it took says how long to wait next time. */
void follow_answered(struct follow *f);
/* The catalog of this connection is installed. */
void follow_catalog_known(struct follow *f);
/* A, V or the snapshot moved: at the end of the turn, whoever waits for that looks again. */
void follow_progress(struct follow *f);

/* apply.c */
void apply_reset(struct follow *f);
void apply_message(struct follow *f, struct slice message) REQUIRES(follower_role);
void apply_idle(struct follow *f, uint64_t lsn) REQUIRES(follower_role);
/* The full id nearest to one that was current lately. */
uint64_t apply_extend_xid(uint32_t low, uint64_t near);

/* probe.c */
void probe_init(struct follow *f);
void probe_fini(struct follow *f);
void probe_open(struct follow *f);
void probe_close(struct follow *f);
void probe_drain(struct follow *f); /* start-up: note what is in progress from now on */
bool probe_drained(const struct follow *f);
void probe_wanted(struct follow *f);     /* there may be a reason to send */
void probe_end_wanted(struct follow *f); /* there is a reason: where does the log end? */
void probe_tick(struct follow *f);
uint64_t
probe_waited(const struct follow *f); /* ms that an answer, or a connection, is due; 0: none is */
void probe_progress(struct follow *f) REQUIRES(follower_role);
void probe_kick(struct follow *f);

/* wait.c */
void waits_init(struct follow *f);
void waits_fail(struct follow *f);
bool waits_unsent(const struct follow *f);
bool waits_pending(const struct follow *f);       /* somebody waits for a known position */
void waits_sent(struct follow *f);                /* a probe left */
void waits_place(struct follow *f, uint64_t lsn); /* it says: the log ends here */
void waits_progress(struct follow *f);

/* schema.c */
void schema_fini(struct follow *f);
void schema_start(struct follow *f); /* a new connection: load everything */
void schema_stop(struct follow *f);
/* Takes the reference. */
void schema_policy(struct follow *f, const struct policy *p);
/* From now on nothing is stored by the catalog as it is. `xid` 0: visible already. */
void schema_outdated(struct follow *f, uint64_t xid);
void schema_snapshot(struct follow *f, struct slice snapshot);
void schema_progress(struct follow *f) REQUIRES(follower_role); /* between transactions */

/* keeper.c */
void keeper_create(struct follow *f);
void keeper_destroy(struct follow *f);
void keeper_interrupt(struct follow *f); /* the job in hand, if any, ends soon, with an error */
/* The answer is mail to the follower. */
void keeper_post(struct follow *f, struct keeper_job *job, mail_fn *done);

#endif
