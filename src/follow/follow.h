/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * follow: from PostgreSQL's write-ahead log to marks. One thread, the follower, holds a replication
 * stream and turns every committed transaction into fresh_apply(); a second, the keeper, reads the
 * catalog and has the statements analysed whenever the schema changed.
 *
 *   stream ─> decode (pgoutput) ─> rows ─> dependencies ─> fresh_apply ─┐
 *   probe  ─> pg_current_snapshot(), pg_current_wal_insert_lsn() ─> fresh_confirm, fresh_proof, strict
 *
 * The probe is one query on an ordinary connection, one in flight. It is sent when commits wait for
 * the fence, when strict readers wait, and every 100 ms to prove contact. When the log's end is not
 * reached within a millisecond (an unflushed tail), a kick (pg_logical_emit_message) flushes it.
 *
 * Life
 *
 *   OFF ─> CONNECTING ─> SLOT ─> CATALOG ─> DRAINING ─> FOLLOWING
 *              ^            (any error: fresh_close, new epoch next time)  │
 *              └──────── BACKOFF (50 ms .. 0.25 s) <────────────────────────┘
 *
 *   SLOT creates a temporary slot, so every connection is a new epoch. CATALOG loads tables and has
 *   the statements analysed, on the keeper. DRAINING waits until every transaction in progress in a
 *   snapshot taken after the slot's creation has ended: what was written before the slot's start is never
 *   streamed. Only then fresh_open().
 *
 * Schema changes arrive as logical messages ("freshet.ddl", sent by the event trigger that
 * setup-sql prints) in commit order: the follower raises the marks of what the message names (or of
 * everything), the catalog counts as outdated, the keeper loads and analyses again, the follower
 * raises every changed mark once more and only then publishes the result. Every 30 s the keeper
 * compares the publication with the catalog, for changes that no message tells; without the event
 * trigger every second, and the definitions too.
 *
 * Invariants: W1. A transaction's marks are written before A passes it. W2. Nothing is published
 * before the marks of what it governs are raised. W3. A catalog older than `follow_version()` must
 * not be used to store anything.
 *
 * Threads: create, destroy, wait, status: any. Callbacks say theirs.
 */
#ifndef FOLLOW_FOLLOW_H
#define FOLLOW_FOLLOW_H

#include "base/mailbox.h"
#include "fresh/fresh.h"
#include "pg/pg.h"
#include "policy/policy.h"

#include <stdint.h>

struct follow;

/* --- the catalog -------------------------------------------------------------------------------- */

/* How a value's text in the stream compares with the same value's text in a key or parameter. */
enum follow_kind {
    FOLLOW_KIND_OTHER,   /* no canonical text: not usable in rows, values, templates */
    FOLLOW_KIND_INTEGER, /* int2, int4, int8: decimal without sign or zeros in front */
    FOLLOW_KIND_TEXT,    /* text, varchar of a deterministic collation: bytes */
    FOLLOW_KIND_UUID,    /* lower case with hyphens */
    FOLLOW_KIND_DATE,    /* YYYY-MM-DD */
};
enum follow_kind follow_kind_of_type(uint32_t type_oid);
/* Is `text` the one way in which this kind is written? */
bool follow_kind_canonical(enum follow_kind kind, struct slice text);

struct follow_column {
    const char *name;
    int16_t attnum;
    uint32_t type_oid;
    enum follow_kind kind;
    bool collation_deterministic;
    bool identity; /* part of the replica identity: its old value is in the stream */
    bool streamed; /* published: not generated, in the publication's column list */
};

struct follow_table {
    uint32_t oid;
    const char *schema;
    const char *name;
    char relkind;     /* pg_class.relkind: r p m f v */
    char persistence; /* p u t */
    char identity;    /* pg_class.relreplident: d n f i */
    bool published;   /* in the publication, with identity fit for UPDATE and DELETE */
    const struct follow_column *columns;
    uint32_t column_count;
    const uint16_t *key; /* primary key: indexes into columns; none: key_count 0 */
    uint32_t key_count;
    const uint32_t *ancestors; /* partition roots and inheritance parents, oids */
    uint32_t ancestor_count;
    fresh_wide wide; /* registered as "t:<oid>" */
};

/* What the catalog says of one policy template. */
struct follow_template {
    const struct follow_table *table; /* NULL: no such table */
    bool followed;                    /* changes of the table reach us */
    const char *why;                  /* when not followed, or followed coarsely; NULL: all well */
    enum follow_kind kinds[POLICY_PLACEHOLDERS_MAX];
    fresh_wide wide; /* registered as "k:<template text>@<table oid>" */
};

/* Immutable after loading; reference-counted. */
struct follow_catalog {
    uint64_t version;
    const struct follow_table *tables; /* sorted by oid; system catalogs left out */
    uint32_t table_count;
    const struct follow_template *templates; /* by policy template index */
    uint32_t template_count;
    const struct policy *policy; /* that it was loaded for: a reference */
    bool sees_ddl;               /* the event triggers freshet_* are there and enabled */
    bool publication_exists;
    const char *server_version;
    const char *search_path;
};
/* NULL: the catalog has no such table. */
const struct follow_table *follow_catalog_find(const struct follow_catalog *c, uint32_t oid);
/* References are counted; any thread. */
void follow_catalog_ref(const struct follow_catalog *c);
void follow_catalog_unref(const struct follow_catalog *c);
/* Blocking; for the keeper and for `freshet check`. NULL and a message on failure (caller
 * frees). */
const struct follow_catalog *follow_catalog_load(PGconn *conn, struct fresh *f,
                                                 const struct policy *p, char **ret_why);

/* The identity of a row and of a column's value, the same for the stream and for a statement's
 * parameters. Values are canonical text in primary key order. */
uint64_t follow_row_hash(uint32_t table_oid, const struct slice *values, uint32_t count);
uint64_t follow_value_hash(uint32_t table_oid, int16_t attnum, struct slice value);

/* --- following ---------------------------------------------------------------------------------- */

struct follow_value_column {
    uint32_t table_oid;
    int16_t attnum;
};

struct follow_options {
    const struct policy *policy; /* database.dsn is set; a reference is taken */
    struct fresh *fresh;         /* borrowed */
    void *arg;
    /* Keeper thread, blocking is fine: analyse every statement against this catalog. The result
     * goes to `publish`. `ret_values`: columns that need value marks (memory owned by the result).
     * The policy is the catalog's. */
    void *(*analyse)(void *arg, PGconn *conn, const struct follow_catalog *catalog,
                     const struct follow_value_column **ret_values, uint32_t *ret_value_count);
    /* Follower thread (or, for a result that came too late, follow_destroy's): marks are raised,
     * use it from now on. Takes the result; the catalog is borrowed, ref it to keep it. Both NULL:
     * the policy of follow_reload() cannot be analysed before there is contact again. */
    void (*publish)(void *arg, void *analysis, const struct follow_catalog *catalog);
    /* Debug switch that breaks the rule on purpose: `all` is not raised where a change lacks
     * values. */
    bool break_row_all;
};

struct follow *follow_create(const struct follow_options *options); /* starts both threads */
void follow_destroy(struct follow **f);                             /* stops and joins them */

/* Another policy with the same `database`: its statements are analysed and its templates looked up,
 * what is new or gone is raised, then `publish`. Meanwhile nothing is stored by the old one. Takes
 * a reference. Any thread. */
void follow_reload(struct follow *f, const struct policy *p);

/* The newest catalog version that may be used to store: compare with catalog->version (acquire). */
uint64_t follow_version(const struct follow *f);

enum follow_state {
    FOLLOW_OFF,
    FOLLOW_CONNECTING,
    FOLLOW_SLOT,
    FOLLOW_CATALOG,
    FOLLOW_DRAINING,
    FOLLOW_FOLLOWING,
    FOLLOW_BACKOFF,
};
const char *follow_state_name(enum follow_state s);

/* Why contact ended, or was not made. One line each; status, stats and metrics come from here. */
#define FOLLOW_LOSSES(X)                                                                           \
    X(unreachable, "no connection could be made")                                                  \
    X(refused, "the server refused the login, the slot, the publication or the catalog")           \
    X(silent, "the server stopped answering")                                                      \
    X(cut, "a connection was closed")                                                              \
    X(broken, "the stream held something that cannot be followed")
enum follow_loss {
#define X(name, help) FOLLOW_LOSS_##name,
    FOLLOW_LOSSES(X)
#undef X
        FOLLOW_LOSS_COUNT
};

struct follow_status {
    enum follow_state state;
    uint64_t commits; /* applied */
    uint64_t rows;
    uint64_t bytes; /* of the stream */
    uint64_t reconnects;
    uint64_t lost_by[FOLLOW_LOSS_COUNT]; /* they add up to `reconnects` */
    uint64_t lost_ms;                    /* monotonic: since then not following; 0: following */
    uint64_t recovery_ms; /* from the server's first answer to following, the last time */
    char last_loss[256];  /* why contact was lost the last time; stays when it is back */
    uint64_t probes;
    uint64_t kicks;
    uint64_t fence_waits; /* commits that were not visible at the first probe */
    char last_error[256]; /* with the next step; empty when none since FOLLOWING */
};
/* A copy of this moment. Any thread. */
void follow_status(struct follow *f, struct follow_status *ret_status);
/* The server has not answered for a second, nor refused: whoever else waits for it may look at his
 * own connections (pg_pool_doubt). Any thread. */
bool follow_silent(const struct follow *f);

/* --- waiting for a position --------------------------------------------------------------------- */

/* Embedded in the waiting request. `done` runs in the thread that reads `reply`. */
struct follow_wait;
typedef void follow_wait_fn(struct follow_wait *w);
struct follow_wait {
    fresh_pos position;  /* wait for A >= this; ignored when strict */
    bool strict;         /* wait for the log's end as of a probe sent after this call */
    uint32_t timeout_ms; /* usually 50 */
    struct mailbox *reply;
    follow_wait_fn *done;
    bool reached;         /* result; false: time-out or no contact, go to the database */
    fresh_pos reached_at; /* strict: the position that was waited for */
    /* private */
    struct follow *follow;
    struct mail mail;
    struct list node;
    uint64_t deadline_ms;
};
/* `done` is always called, later. The wait must stay in memory until then. */
void follow_wait(struct follow *f, struct follow_wait *w);

#endif
