/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan: what each SQL route depends on and whether its answers may be kept, as PostgreSQL itself says.
 *
 * For every statement: PREPARE under debug_print_rewritten, read the node tree that comes back as a LOG
 * message (views expanded, row security added), collect the relations, the functions and their
 * volatility, and look for `primary key = $n` on the one relation of a simple query. Never our own SQL parser.
 *
 * A plan is immutable and reference-counted; it is made by the keeper and used by every worker.
 * Source: PostgreSQL 15 nodes/outfuncs.c for the text form (checked per major
 * version: an unknown form makes a route uncached with a reason, never wrongly cached).
 */
#ifndef FILL_PLAN_H
#define FILL_PLAN_H

#include "base/buf.h"
#include "follow/follow.h"

enum plan_keep {
    PLAN_FOLLOWED, /* stored with dependencies */
    PLAN_TTL,      /* stored for its TTL only, because the route says consistency: ttl */
    PLAN_NEVER,    /* not stored; `why` says the reason and what to do */
};

struct plan_row { /* WHERE primary key = $n, for every key column */
    uint32_t table_oid;
    uint32_t count;    /* 0: no row dependency; tables only */
    uint16_t param[8]; /* 0-based parameter for each key column, in key order */
    enum follow_kind kind[8];
};

struct plan_value {     /* WHERE column = $n on a table with REPLICA IDENTITY FULL */
    uint32_t table_oid; /* 0: none */
    int16_t attnum;
    uint16_t param;
    enum follow_kind kind;
};

/* What the calling role must be allowed to do with one relation (views: with the view alone). */
struct plan_need {
    uint32_t oid;
    uint32_t perms; /* PLAN_SELECT ...: the server's own bits */
};
enum { PLAN_INSERT = 1, PLAN_SELECT = 2, PLAN_UPDATE = 4, PLAN_DELETE = 8, PLAN_USAGE = 256 };

struct plan_route {
    const struct policy_route *route;
    struct pg_statement statement;
    enum plan_keep keep;
    const char *why;             /* PLAN_NEVER; or a warning; NULL */
    const uint32_t *param_types; /* type oids, route->param_count of them */
    const uint32_t *tables;      /* oids of every relation read, leaves and roots */
    uint32_t table_count;
    struct plan_row row;
    struct plan_value value;
    bool writes; /* INSERT/UPDATE/DELETE or data-modifying CTE */
    bool broken; /* it cannot work: PostgreSQL refuses it, or a GET that writes */
    /* for `check` and `setup-sql` */
    const struct plan_need *needs;
    uint32_t need_count;
    const uint32_t *functions; /* oids of called functions that do not come with PostgreSQL */
    uint32_t function_count;
};

struct plan {
    const struct follow_catalog *catalog; /* a reference */
    const struct plan_route *routes;      /* by policy route index */
    uint32_t route_count;
    const struct policy *policy; /* a reference */
};

/* Keeper thread or `freshet check`; blocking. Never fails as a whole: a statement that PostgreSQL refuses
 * gets PLAN_NEVER with its message. */
const struct plan *plan_make(PGconn *conn, const struct policy *p,
                             const struct follow_catalog *catalog,
                             const struct follow_value_column **ret_values,
                             uint32_t *ret_value_count);
/* Before any database was seen: every route PLAN_NEVER ("no contact with the database yet"). */
const struct plan *plan_blank(const struct policy *p);
void plan_ref(const struct plan *p);
void plan_unref(const struct plan *p);

/* The dependencies of one answer: the route's tables (or its row), united with the relations that the
 * fill's own transaction locked. `params` are canonical texts. False when a relation is not followed: the
 * answer must not be stored; `ret_why` (static or the plan's own) then says which. */
bool plan_deps(const struct plan *p, const struct plan_route *r, struct fresh *f,
               const char *const *params, const uint32_t *relations, uint32_t relation_count,
               struct fresh_deps *ret_deps, const char **ret_why);

/* Why answers that read this relation cannot be followed (static); NULL: they can. `t` NULL: the
 * relation is not in the catalog. Views count as followed: the relations behind them are judged. */
const char *plan_unfollowed(const struct follow_catalog *c, const struct follow_table *t);

#endif
