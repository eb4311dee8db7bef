/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a plan: every route's statement is prepared once on a blocking connection while the server
 * is asked to show what it made of it.
 *
 *     SET debug_print_rewritten = on, client_min_messages = log
 *     for each route    Parse, Describe: parameter types; the tree comes as a notice
 *     RESET
 *     for each route    facts (analyse.c), functions (functions.c), verdict (verdict.c)
 *
 * The statement's id is a hash of its text, its parameters' types and the tree: an unchanged
 * statement keeps its prepared form on every connection across plans, a changed one is prepared
 * anew.
 *
 * Invariants: P1. A plan is whole: every route has an entry, and what could not be learnt is
 * PLAN_NEVER. P2. The trees are read by the role and search path of the DSN, the same that runs the
 * statements.
 *
 * Threads: made on one; the count of references is atomic (release on the last unref, acquire
 * before freeing). Known: the server also writes the trees to its own log, since LOG messages
 * always go there.
 */
#include "fill/plan.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "fill/verdict.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SERVER_OLDEST = 15, SERVER_NEWEST = 17 }; /* whose trees analyse.c knows */

struct plan_box {
    struct plan plan;
    struct arena arena;
    atomic_uint refs; /* release: plan_unref; acquire: the last plan_unref */
};

/* What the server said about one route. */
struct told {
    struct slice tree; /* empty: it did not */
    const char *error;
};

struct making {
    PGconn *conn;
    struct arena *arena;    /* the plan's: what stays */
    struct arena *scratch;  /* trees and facts: gone when the plan is made */
    struct told *listening; /* takes the next notice */
};

static struct plan_box *box_create(const struct policy *p, struct plan_route **ret_routes)
{
    struct plan_box *box = xcalloc(1, sizeof *box);
    arena_init(&box->arena);
    atomic_init(&box->refs, 1);
    struct plan_route *routes =
        arena_alloc(&box->arena, (p->route_count + 1) * sizeof(struct plan_route));
    for (uint32_t i = 0; i < p->route_count; i++) {
        const struct policy_route *route = &p->routes[i];
        routes[i].route = route;
        routes[i].keep = PLAN_NEVER;
        routes[i].statement = (struct pg_statement){
            .id = hash_slice(slice_of(route->sql)),
            .sql = route->sql,
            .param_count = route->param_count,
        };
        routes[i].param_types =
            arena_alloc(&box->arena, (route->param_count + 1) * sizeof(uint32_t));
    }
    box->plan =
        (struct plan){.routes = routes, .route_count = p->route_count, .policy = policy_share(p)};
    *ret_routes = routes;
    return box;
}

const struct plan *plan_blank(const struct policy *p)
{
    struct plan_route *routes = NULL;
    struct plan_box *box = box_create(p, &routes);
    for (uint32_t i = 0; i < p->route_count; i++) {
        routes[i].why = "no contact with the database yet";
    }
    return &box->plan;
}

static struct plan_box *box_of(const struct plan *p)
{
    return (struct plan_box *)(uintptr_t)p; /* the first member; only the count is written */
}

void plan_ref(const struct plan *p)
{
    atomic_fetch_add_explicit(&box_of(p)->refs, 1, memory_order_relaxed);
}

void plan_unref(const struct plan *p)
{
    if (p == NULL) {
        return;
    }
    struct plan_box *box = box_of(p);
    if (atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (box->plan.catalog != NULL) {
        follow_catalog_unref(box->plan.catalog);
    }
    policy_unload(&box->plan.policy);
    arena_fini(&box->arena);
    free(box);
}

/* --- asking -------------------------------------------------------------------------------------
 */

static void take_notice(void *arg, const PGresult *notice)
{
    struct making *m = arg;
    const char *title = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(notice, PG_DIAG_MESSAGE_DETAIL);
    if (m->listening != NULL && title != NULL && detail != NULL &&
        strcmp(title, "rewritten parse tree:") == 0) {
        m->listening->tree = slice_of(arena_strdup(m->scratch, detail));
    }
}

/* The server's message with its hint, on one line. */
static const char *error_text(struct arena *a, const PGresult *r)
{
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = PQresultErrorField(r, PG_DIAG_MESSAGE_HINT);
    if (message == NULL) {
        return "PostgreSQL went away while it was asked about the statement";
    }
    return arena_printf(a, "PostgreSQL refuses it: %s%s%s", message, hint != NULL ? ". " : "",
                        hint != NULL ? hint : "");
}

static void describe(struct making *m, struct plan_route *r, uint32_t *ret_types, struct told *told)
{
    PGresult *result = PQdescribePrepared(m->conn, "");
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        told->error = error_text(m->arena, result);
    } else if ((uint32_t)PQnparams(result) > r->route->param_count) {
        told->error = "it has more parameters than the route";
    }
    for (int i = 0; told->error == NULL && i < PQnparams(result); i++) {
        ret_types[i] = PQparamtype(result, i);
    }
    PQclear(result);
}

static void ask(struct making *m, struct plan_route *r, struct told *told)
{
    m->listening = told;
    PGresult *result = PQprepare(m->conn, "", r->route->sql, 0, NULL);
    m->listening = NULL;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        told->error = error_text(m->arena, result);
    }
    PQclear(result);
    if (told->error != NULL) {
        return;
    }
    uint32_t *types = arena_alloc(m->arena, (r->route->param_count + 1) * sizeof *types);
    describe(m, r, types, told);
    r->param_types = types;
    uint64_t id = hash_mix(hash_slice(slice_of(r->route->sql)), hash_slice(told->tree));
    r->statement.id = hash_mix(id, hash_bytes(types, r->route->param_count * sizeof *types));
}

static void ask_all(struct making *m, struct plan_route *routes, struct told *told, uint32_t count)
{
    PQnoticeReceiver before = PQsetNoticeReceiver(m->conn, take_notice, m);
    PQclear(PQexec(m->conn, "SET debug_print_rewritten = on; SET debug_pretty_print = off;"
                            "SET client_min_messages = log"));
    for (uint32_t i = 0; i < count; i++) {
        ask(m, &routes[i], &told[i]);
    }
    PQclear(PQexec(m->conn, "RESET debug_print_rewritten; RESET debug_pretty_print;"
                            "RESET client_min_messages"));
    PQsetNoticeReceiver(m->conn, before, NULL);
}

/* --- judging ------------------------------------------------------------------------------------
 */

/* For messages: what people call the relations. */
static void name_relations(struct making *m, struct facts *f)
{
    struct oid_set oids = {0};
    for (uint32_t i = 0; i < f->relation_count; i++) {
        oid_set_add(m->scratch, &oids, f->relations[i].oid);
    }
    const char *const params[] = {functions_oid_array(m->scratch, &oids)};
    PGresult *r = PQexecParams(m->conn,
                               "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname)"
                               "  FROM pg_catalog.pg_class c"
                               "  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                               " WHERE c.oid = ANY ($1::oid[])",
                               1, NULL, params, NULL, NULL, 0);
    for (int row = 0; row < PQntuples(r); row++) {
        uint32_t oid = (uint32_t)strtoul(PQgetvalue(r, row, 0), NULL, 10);
        for (uint32_t i = 0; i < f->relation_count; i++) {
            if (f->relations[i].oid == oid) {
                f->relations[i].name = arena_strdup(m->scratch, PQgetvalue(r, row, 1));
            }
        }
    }
    PQclear(r);
}

/* NULL and the facts, or why there are none. */
static const char *read_facts(struct making *m, const struct told *told, struct facts *ret_facts)
{
    const char *why = NULL;
    int server = PQserverVersion(m->conn) / 10000;
    if (server < SERVER_OLDEST || server > SERVER_NEWEST) {
        return arena_printf(m->arena,
                            "freshet knows the parse trees of PostgreSQL %d to %d, not of %d: say "
                            "`consistency: ttl`",
                            SERVER_OLDEST, SERVER_NEWEST, server);
    }
    if (told->tree.len == 0) {
        return "PostgreSQL did not show its parse tree (debug_print_rewritten): say "
               "`consistency: ttl`";
    }
    return analyse(m->scratch, told->tree, ret_facts, &why) ? NULL : why;
}

static void judge(struct making *m, const struct follow_catalog *c, const struct told *told,
                  struct plan_route *r)
{
    struct facts f = {0};
    struct functions_verdict functions;
    if (told->error != NULL) {
        r->why = told->error;
        r->broken = true;
        return;
    }
    r->why = read_facts(m, told, &f);
    if (r->why == NULL) {
        name_relations(m, &f);
        functions_judge(m->conn, m->arena, &f, &functions);
        verdict_judge(m->arena, &f, &functions, c, r);
    } else if (strcmp(r->route->method, "GET") == 0 && r->route->consistency == POLICY_TTL &&
               r->route->fresh_ms > 0) {
        r->keep = PLAN_TTL; /* it runs read-only, and nobody asked for more than a TTL */
        r->why = NULL;
    }
}

/* Columns whose values the follower must mark, each once. */
static const struct follow_value_column *value_columns(struct arena *a,
                                                       const struct plan_route *routes,
                                                       uint32_t route_count, uint32_t *ret_count)
{
    struct follow_value_column *columns = arena_alloc(a, (route_count + 1) * sizeof *columns);
    uint32_t count = 0;
    for (uint32_t i = 0; i < route_count; i++) {
        const struct plan_value *v = &routes[i].value;
        uint32_t known = 0;
        while (known < count &&
               (columns[known].table_oid != v->table_oid || columns[known].attnum != v->attnum)) {
            known++;
        }
        if (v->table_oid != 0 && known == count) {
            columns[count++] = (struct follow_value_column){v->table_oid, v->attnum};
        }
    }
    *ret_count = count;
    return columns;
}

const struct plan *plan_make(PGconn *conn, const struct policy *p,
                             const struct follow_catalog *catalog,
                             const struct follow_value_column **ret_values,
                             uint32_t *ret_value_count)
{
    struct plan_route *routes = NULL;
    struct plan_box *box = box_create(p, &routes);
    struct arena *a = &box->arena;
    struct arena scratch;
    arena_init(&scratch);
    struct told *told = arena_alloc(&scratch, (p->route_count + 1) * sizeof *told);
    struct making m = {.conn = conn, .arena = a, .scratch = &scratch};
    follow_catalog_ref(catalog);
    box->plan.catalog = catalog;
    ask_all(&m, routes, told, p->route_count);
    for (uint32_t i = 0; i < p->route_count; i++) {
        judge(&m, catalog, &told[i], &routes[i]);
    }
    *ret_values = value_columns(a, routes, p->route_count, ret_value_count);
    arena_fini(&scratch);
    return &box->plan;
}
