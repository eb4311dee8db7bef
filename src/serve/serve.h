/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve: requests to answers. This header is the ground that the faces (HTTP, Redis protocol, admin)
 * share inside src/serve; the daemon sees only server.h.
 *
 *   socket ─> net ─> http|resp parse ─> request ─> steps: admit ─> lookup ─> judge ─> answer ─> net
 *                                                     └─ miss ─> fill (parked) ─> commit ─┘
 *
 * A *server* is what all workers share; a *worker* is one thread with its event loop, its gate to the
 * store and its database connections. A connection stays with its worker for life.
 *
 * Threads: struct server's fields are immutable after start, or atomic, or own a lock of their own.
 * struct worker belongs to its thread.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include "base/buf.h"
#include "base/tell.h"
#include "fill/plan.h"
#include "follow/follow.h"
#include "fresh/fresh.h"
#include "net/net.h"
#include "pg/pg.h"
#include "policy/policy.h"
#include "serve/refusals.h"
#include "serve/settings.h"
#include "store/store.h"

#include <stdatomic.h>

struct blocked;
struct durable;
struct fill_times;
struct flights;
struct herd;
struct leases;
struct pubsub;
struct slowlog;
struct tracking;
struct users;
struct latency;
struct command_stats;
struct stats_base;
struct listen;
struct reload;
struct gzip;
struct tags;
struct scripting;
struct scripting_state;

/* Ways to break the rule on purpose (debug only): the checker must notice each. */
struct serve_breaks {
    bool fence;       /* V follows A unconfirmed */
    bool late_marks;  /* A advances before marks are written */
    bool store_stamp; /* stamps taken when storing, not before reading */
    bool oldest_miss; /* a SET answers only the oldest miss of its key */
    bool row_all;     /* row entries lack the `all` mark */
};

/* Counters: one line each; struct, stats output and INFO come from here. Relaxed, per worker, summed
 * when read. */
#define SERVE_COUNTERS(X)                                                                          \
    X(http_requests, "HTTP requests answered")                                                     \
    X(http_hits, "SQL route answers served from the store")                                        \
    X(http_misses, "SQL route answers that needed the database")                                   \
    X(http_joined, "requests that waited for another request's fill")                              \
    X(http_refused, "HTTP messages refused as malformed")                                          \
    X(http_late, "HTTP messages that did not arrive in time")                                      \
    X(http_too_large, "HTTP messages refused because of limits.http_head or limits.http_body")     \
    X(http_strangers, "connections to an HTTP port that spoke TLS or HTTP/2")                      \
    X(http_errors, "HTTP answers with status 500 and above")                                       \
    X(gzip_made, "answers compressed: a stored one only once")                                     \
    X(gzip_sent, "answers sent compressed")                                                        \
    X(gzip_saved_bytes, "bytes of bodies not sent because of that")                                \
    X(resp_commands, "Redis commands run")                                                         \
    X(resp_hits, "Redis reads that found their key")                                               \
    X(resp_misses, "Redis reads that did not")                                                     \
    X(resp_errors, "Redis commands answered with an error")                                        \
    X(denied_auth, "wrong users or passwords")                                                     \
    X(denied_command, "Redis commands that their user may not run")                                \
    X(denied_key, "Redis commands refused because of a key")                                       \
    X(denied_channel, "Redis commands refused because of a channel")                               \
    X(set_outdated, "SETs not stored because a change came between the miss and the SET")          \
    X(set_unfollowed, "SETs not stored because there is no contact or the table is not followed")  \
    X(fills, "statements run to fill the store")                                                   \
    X(fills_outdated, "fills not stored because a change came meanwhile")                          \
    X(fills_failed, "fills that ended with an error")                                              \
    X(writes, "POST statements run")                                                               \
    X(strict_waits, "requests that waited for the end of the log")                                 \
    X(strict_bypasses, "strict requests that went to the database instead")                        \
    X(connections_accepted, "connections accepted")                                                \
    X(connections_refused, "connections refused because of limits.connections")                    \
    X(connections_cut_input, "connections cut because of an unfinished request too large")         \
    X(connections_cut_output, "connections cut because of waiting answers too large")              \
    X(connections_cut_stalled, "connections cut because nothing was taken for limits.stall")       \
    X(connections_cut_idle, "connections closed because they were idle")                           \
    X(connections_cut_buffers, "connections cut because of limits.buffers")                        \
    X(connections_cut_memory, "connections cut because the system had no memory")                  \
    X(subscribers_cut, "subscribers cut because more than limits.subscriber waited for them")      \
    X(resp_replies_too_large, "Redis commands whose answer was above limits.output")               \
    X(tags_dropped, "tags dropped")                                                                \
    X(herd_waits, "FRESHET.GETs that waited for another client's fill")                            \
    X(herd_stale, "FRESHET.GETs answered with a stale value while another client fills")

struct serve_counters {
#define X(name, help) _Atomic uint64_t name;
    SERVE_COUNTERS(X)
#undef X
};

/* Only the owning worker adds, so a plain load and store suffices. */
#define serve_count_by(worker, name, amount)                                                       \
    atomic_store_explicit(&(worker)->counters.name,                                                \
                          atomic_load_explicit(&(worker)->counters.name, memory_order_relaxed) +   \
                              (amount),                                                            \
                          memory_order_relaxed)
#define serve_count(worker, name) serve_count_by(worker, name, 1)
#define serve_count_db(worker, db, what)                                                           \
    atomic_store_explicit(&(worker)->dbs[db].what,                                                 \
                          atomic_load_explicit(&(worker)->dbs[db].what, memory_order_relaxed) + 1, \
                          memory_order_relaxed)

enum { RATE_COMMANDS, RATE_IN, RATE_OUT, RATES };

struct server {
    /* A reference. What only a restart changes (memory, spaces, listen, limits) may be read here; what
     * says how to answer is the worker's `plan->policy`. */
    const struct policy *started_with;
    struct fresh *fresh;
    struct store *store;
    struct follow *follow; /* NULL without a database */
    struct flights *flights;
    struct listen *listen;     /* worker 0's */
    struct refusals *refusals; /* for explain */
    struct fill_times *fill_times;
    struct leases *leases;
    struct tags *tags;
    struct herd *herd; /* Redis clients that wait for each other's fills */
    struct pubsub *pubsub;
    struct blocked *blocked;
    struct slowlog *slowlog;
    struct tracking *tracking;
    struct users *users;
    struct latency *latency;
    struct lock watch_lock;        /* of those two and the next */
    struct stats_base *stats_base; /* watch_lock; NULL: never reset */
    bool observes_store;           /* watch_lock: events_observe() */
    struct server_settings settings;
    _Atomic bool keeps_expired;      /* relaxed: DEBUG SET-ACTIVE-EXPIRE 0 */
    _Atomic bool scripts_debug;      /* relaxed: scripts may call DEBUG */
    _Atomic uint64_t writes_saved;   /* relaxed: command_stats_writes() at the last SAVE */
    _Atomic uint32_t alert;          /* relaxed: enum server_alert */
    _Atomic uint32_t pause_kind;     /* relaxed: pause.c */
    _Atomic uint64_t pause_until_ms; /* relaxed */
    _Atomic uint64_t rates[RATES];   /* relaxed: a second, of the last one; worker 0 writes them */
    uint64_t rates_at_ms;            /* worker 0: when that was counted, and how many there were */
    uint64_t rates_counted[RATES];
    _Atomic uint64_t held_clients; /* relaxed: commands that wait for the end of a pause */
    _Atomic uint64_t synced_waits; /* relaxed: clients that wait for the disk: synced.c */
    struct durable *durable;       /* NULL: no space is */
    struct reload *reload;
    struct serve_breaks breaks;
    struct worker *workers;
    uint32_t worker_count;
    uint64_t started_wall_ms;
    uint64_t started_ms;
    uint64_t start_us; /* how long it took */
    /* relaxed: what INFO counts from since CONFIG RESETSTAT; metrics go on */
    struct serve_counters info_base;
    _Atomic uint64_t info_base_space[3]; /* evicted, expired, outdated */
    _Atomic uint64_t info_base_net[2];   /* bytes read, bytes sent */
    uint32_t http_db;                    /* the store's database that holds HTTP answers */
    _Atomic uint32_t connections;        /* relaxed: a limit, not an order */
    _Atomic bool draining;               /* relaxed: new work is turned away soon enough */
    struct scripting_state *scripting;   /* see scripting.h */
    struct buf told_routes; /* keeper: what was last logged of routes that are not cached */
    void (*request_shutdown)(void *arg); /* SHUTDOWN command; any thread */
    void *request_shutdown_arg;
};

/* Reads of one Redis database; as struct serve_counters. */
struct db_counters {
    _Atomic uint64_t hits;
    _Atomic uint64_t misses;
};

/* See gate.h. */
struct gate {
    bool is_passed;       /* store_gate_try() */
    bool is_owned_ahead;  /* store_own_try(), for the worker_own() to come */
    bool is_over;         /* the worker ends */
    _Atomic bool is_told; /* acq_rel: `opened` is on its way */
    struct mail opened;
    struct list clients; /* that wait for the gate to open */
    struct list requests;
    struct resp_watch *watches; /* of clients that have left: to be removed (cmd/multi.c) */
    struct buf fed;             /* keys whose waiting clients are to be served (touched.c) */
};

struct worker {
    struct server *server;
    uint32_t index;
    struct loop *loop;
    struct store_gate *gate;
    uint32_t own_depth;       /* how often worker_own() without worker_disown() */
    struct gate gate_wait;    /* gate.h: what cannot pass now */
    struct resp_client *hand; /* does what blocked clients asked for; NULL until needed */
    struct pg_pool *pool;     /* NULL without a database */
    const struct plan *plan;  /* a reference; replaced by mail */
    struct serve_counters counters;
    struct command_stats *stats;
    struct db_counters dbs[POLICY_DBS];
    uint64_t clock_us;  /* when the last command ended, or its pipeline came */
    struct buf changed; /* keys whose trackers are to be told: tracking.c */
    uint64_t author;    /* the client that alone can have changed what is noted now; 0: unknown */
    struct buf events;  /* told by the command that runs: events.c */
    struct list held;   /* clients that CLIENT PAUSE holds */
    struct timer pause_timer; /* its end */
    struct timer upkeep;      /* expiry, a few times a second */
    struct tell tell;         /* failed statements in the log */
    struct {                  /* noted by lease_holds() inside a hold, until lease_note_refused() */
        struct refusal refusal;
        uint32_t db;
        struct slice key;
    } refused;
    struct list spare_requests; /* recycled HTTP requests */
    uint32_t spare_request_count;
    uint64_t stranger_told_ms;    /* when the log last heard of one */
    struct gzip *gzip;            /* NULL until it is first needed */
    _Atomic bool has_messages;    /* relaxed: its inbox (pubsub.c) is not empty */
    struct scripting *scripting;  /* the same */
    _Atomic uint32_t connections; /* relaxed: worker 0 reads it to find the least busy */
    struct {
        struct list fresh;   /* connections held in this turn */
        struct list waiting; /* held until their position is safe */
        struct list syncing; /* waits of synced.c */
        struct mail mail;
        _Atomic bool mailed; /* release: log_moved(); acquire: safe_moved() */
        bool shown;          /* a command of this batch looked at a durable space */
        uint8_t bars;        /* which commands are refused now */
    } durable;
    pthread_t thread;
};

/* The whole store for this worker, as often as wanted: pairs nest. Whoever waits for a key that was written
 * meanwhile is served before the outermost ownership ends (touched.h). */
void worker_own(struct worker *w);
/* False, and nothing has happened, when that would mean to wait. */
bool worker_own_try(struct worker *w);
void worker_disown(struct worker *w);

/* A worker whose loop does not run, for reading the log: what a detached client needs. */
struct worker *worker_create_threadless(struct server *s, struct store_gate *gate);
void worker_destroy_threadless(struct worker *w);

/* Sum of one counter over all workers; `offset` is offsetof(struct serve_counters, name). */
uint64_t serve_counter_sum(const struct server *s, size_t offset);

/* --- faces -------------------------------------------------------------------------------------- */

/* `context` of open() is the worker; each face's struct begins with struct conn. */
const struct conn_face *http_face(const struct policy *p);
const struct conn_face *resp_face(const struct policy *p);
const struct conn_face *resp_affinity_face(const struct policy *p);
const struct conn_face *admin_face(const struct policy *p);

/* Each face's closed() says that one of the worker's connections is gone. */
void serve_connection_closed(struct worker *w, const struct conn *c);
/* http_face: frees the worker's spare requests, at the very end. */
void http_requests_free(struct worker *w);

/* Text of `freshet explain key K` / `FRESHET.EXPLAIN` and of `explain GET /path?query`. Appends lines
 * "name: value". */
void explain_key(struct worker *w, uint32_t db, struct slice key, struct buf *out);
void explain_route(struct worker *w, struct slice method, struct slice target, struct buf *out);

#endif
