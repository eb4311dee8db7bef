/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run: what all actors of one check share, private to verify. An *actor* is a thread that writes, reads or
 * plays scenes. Each has its own connections, counters, random numbers and journal; they meet in the
 * model and in a few atomics.
 *
 *      writers ──> PostgreSQL ──> freshet <── readers, session, scenes
 *         └───────────> model <── judging ──────┘
 *
 * Reads are judged by levels. `from` is the moment whose commits a read must reflect:
 *
 *      strict        from = when it was invoked
 *      own write     from = when the write was sent, and the write itself
 *      follow        from = the later of  invoked - (max_stale + OS allowance)
 *                                         what an earlier strict read has waited for
 *
 * The last line is what makes the check sharp: a strict read that was answered from memory has waited
 * until freshet had applied every commit that returned before it was sent. No later hit on this node may
 * be older than that, so under load `follow` is checked to about a millisecond.
 */
#ifndef VERIFY_RUN_H
#define VERIFY_RUN_H

#include "base/slice.h"
#include "verify/model.h"
#include "verify/verify.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    RUN_ACTORS_MAX = 16,
    RUN_VIOLATIONS_MAX = 32,
    RUN_EVENTS = 4096,
    RUN_OS_ALLOWANCE_US =
        100 * 1000, /* a daemon thread may be descheduled after it read the clock */
    RUN_AGES = 32,
};

/* The checker's tables; conf/verify/schema.sql says what is special about each. */
enum run_table {
    RUN_ITEM,  /* primary key, lists by group */
    RUN_PART,  /* no primary key, REPLICA IDENTITY FULL */
    RUN_CROWD, /* over 1,000 rows, all of them changed at once now and then */
    RUN_STAGE, /* written by the scenes alone */
    RUN_TABLES,
};

/* What can be read: a row by its id, or a list of the rows of a group. In a journal
 * RUN_TABLES stands for everything. */
struct target {
    enum run_table table;
    bool list;
    uint32_t id;
};

#define RUN_COUNTERS(X)                                                                            \
    X(http_follow, "HTTP reads, follow")                                                           \
    X(http_follow_hits, "of which hits")                                                           \
    X(http_strict, "HTTP reads, strict")                                                           \
    X(http_strict_hits, "of which hits")                                                           \
    X(http_own, "HTTP reads of own writes, by token")                                              \
    X(http_own_hits, "of which hits")                                                              \
    X(http_unchanged, "HTTP reads answered with: not modified")                                    \
    X(http_joined, "HTTP reads that joined another's fill")                                        \
    X(http_bypassed, "HTTP reads that went past the cache")                                        \
    X(http_errors, "HTTP answers with an error, not judged")                                       \
    X(redis_follow, "Redis reads, follow")                                                         \
    X(redis_follow_hits, "of which hits")                                                          \
    X(redis_strict, "Redis reads, strict")                                                         \
    X(redis_strict_hits, "of which hits")                                                          \
    X(sets, "SETs after a miss")                                                                   \
    X(sets_late, "SETs after a pause")                                                             \
    X(sets_token, "SETs with a fill token")                                                        \
    X(sets_through, "SETs after a write")                                                          \
    X(sets_given_up, "SETs not sent because the pause came close to implicit_lease")               \
    X(database_reads, "reads of the database itself")                                              \
    X(commits, "transactions committed")                                                           \
    X(commits_async, "of which with synchronous_commit off")                                       \
    X(rolled_back, "transactions and savepoints rolled back")                                      \
    X(rows_written, "rows written")                                                                \
    X(bulks, "transactions of many rows")                                                          \
    X(truncates, "TRUNCATEs")                                                                      \
    X(moves, "rows moved between groups or keys")                                                  \
    X(posts, "writes through freshet")                                                             \
    X(scenes, "scenes played")                                                                     \
    X(stalls, "commits held back by a synchronous standby")                                        \
    X(cuts, "times that the daemon's replication connection was cut")                              \
    X(censuses, "times that everything was read at rest")

struct run_counters {
#define X(name, help) _Atomic uint64_t name;
    RUN_COUNTERS(X)
#undef X
    /* Follow hits by log2 of how long they were outdated, us; 0: current. */
    _Atomic uint64_t ages[RUN_AGES];
    _Atomic uint64_t oldest_us;
    _Atomic uint64_t oldest_cut_us; /* while contact was cut */
};

/* Only its actor adds. */
#define run_count(actor, name) run_add(&(actor)->counters.name, 1)

static inline void run_add(_Atomic uint64_t *counter, uint64_t more)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + more, memory_order_relaxed);
}

/* One line of an actor's journal: what may explain a violation later. Hits are not kept. */
struct event {
    uint64_t begun_us;
    uint64_t ended_us;
    struct target target;
    const char *what;
    char text[72];
};

struct run;

struct actor {
    struct run *run;
    const char *name;
    void (*body)(struct actor *a);
    uint64_t random;
    struct run_counters counters;
    struct event *events; /* a ring; read by others only after the thread has ended */
    uint64_t event_count;
    pthread_t thread;
};

struct violation {
    const char *actor;
    const char *face;
    const char *rule;  /* what was promised */
    const char *wrong; /* what came instead */
    struct target target;
    uint64_t invoked_us;
    struct model_window window;
    uint32_t row;    /* in the target's table; UINT32_MAX: the page as a whole */
    uint64_t seen;   /* its version; 0: absent */
    uint64_t wanted; /* the version it should have shown at least; 0: not known */
    char outcome[96];
    char page[96];
};

struct run {
    /* immutable while actors run */
    const struct verify_options *options;
    struct model_table tables[RUN_TABLES];
    uint64_t begun_us;
    uint64_t bound_us; /* max_stale and the allowance */
    bool has_tokens;   /* the daemon knows FRESHET.GET */
    struct actor actors[RUN_ACTORS_MAX];
    uint32_t actor_count;

    /* atomic */
    _Atomic bool last_call; /* enough reads: one more census, then stop */
    _Atomic bool cut;       /* the daemon's connection has been cut and does not follow again yet */
    _Atomic bool stop;
    _Atomic uint64_t caught_up_us; /* relaxed max: commits returned before it are applied */

    /* Writers hold it shared during a transaction; who needs rest holds it alone. */
    pthread_rwlock_t writing;

    pthread_mutex_t lock;
    uint64_t violation_count;                        /* lock */
    struct violation violations[RUN_VIOLATIONS_MAX]; /* lock */
    char failure[256]; /* lock: why it could not check; empty: it could */
};

/* --- actors ------------------------------------------------------------------------------------- */

struct actor *run_add_actor(struct run *r, const char *name, void (*body)(struct actor *a));
bool run_stopping(const struct run *r);
/* Ends the run with exit code 2; the first reason counts. Any thread. */
void run_fail(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Uniform in 0 .. below-1. */
uint32_t actor_random(struct actor *a, uint32_t below);
bool actor_chance(struct actor *a, uint32_t percent);
/* Sleeps, in slices so that the run can stop. */
void actor_pause(struct actor *a, uint64_t us);

void writer_body(struct actor *a);
void session_body(struct actor *a);
void http_reader_body(struct actor *a);
void redis_reader_body(struct actor *a);
void own_reader_body(struct actor *a);
void scenes_body(struct actor *a);

/* --- the journal and violations ------------------------------------------------------------------ */

void journal_add(struct actor *a, const char *what, struct target t, uint64_t begun_us,
                 uint64_t ended_us, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Counts it, keeps the first ones, ends the run. */
void run_violated(struct run *r, const struct violation *v);

void report_progress(struct run *r, uint64_t elapsed_us, struct run_counters *last);
void report_summary(struct run *r, uint64_t elapsed_us);
uint64_t report_reads(const struct run *r);

#endif
