/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of caching a statement's answers, in the order in which a reader should hear of them:
 * what cannot work at all, what freshet does not understand, what changes without a commit, what
 * changes without a trace in the WAL. A statement that passes them all depends on every relation it
 * names.
 *
 * Invariants: V1. When in doubt, a table; when in more doubt, not kept. V2. A statement that calls
 * a function which may read tables has table dependencies only (functions.c says why).
 *
 * Threads: none shared.
 */
#include "fill/verdict.h"

#include "fill/stable.h"

static const char *relations_why(struct arena *a, const struct facts *f,
                                 const struct follow_catalog *c)
{
    for (uint32_t i = 0; i < f->relation_count; i++) {
        const struct facts_relation *r = &f->relations[i];
        const char *why = NULL;
        if (r->uses == 0 || r->relkind == 'v') {
            continue; /* named for its privileges alone, or a view: what stands behind it counts */
        }
        if (r->oid < FIRST_USER_OID) {
            why = "system catalogs are not in the publication";
        } else if (r->relkind == 'S') {
            why = "sequences change without a commit";
        } else {
            why = plan_unfollowed(c, follow_catalog_find(c, r->oid));
        }
        if (why != NULL) {
            return arena_printf(a, "reads %s: %s", r->name != NULL ? r->name : "a relation", why);
        }
    }
    return NULL;
}

enum { F_NEXTVAL = 1574, F_SETVAL = 1576, F_SETVAL_CALLED = 1765 };

/* GET statements run in a READ ONLY transaction. */
static const char *broken_get(const struct facts *f)
{
    if (f->writes) {
        return "it writes, and GET routes run read-only: make it a POST route";
    }
    if (f->locks_rows) {
        return "FOR UPDATE and FOR SHARE lock rows, and GET routes run read-only: take it out";
    }
    if (f->draws_sequence || oid_set_has(&f->functions, F_NEXTVAL) ||
        oid_set_has(&f->functions, F_SETVAL) || oid_set_has(&f->functions, F_SETVAL_CALLED)) {
        return "it moves a sequence, and GET routes run read-only: make it a POST route";
    }
    return NULL;
}

static const char *unkept(struct arena *a, const struct facts *f,
                          const struct functions_verdict *functions, const struct follow_catalog *c)
{
    if (f->is_utility) {
        return "it is not a query: only SELECT can be cached";
    }
    if (f->unknown.len > 0) {
        return arena_printf(a, "it uses %.*s, which freshet does not know: say `consistency: ttl`",
                            (int)f->unknown.len, f->unknown.ptr);
    }
    if (f->reads_clock) {
        return "CURRENT_DATE and its relatives change without a commit: pass the date as a "
               "parameter, or say `consistency: ttl`";
    }
    if (f->samples) {
        return "TABLESAMPLE answers differently every time: say `consistency: ttl`";
    }
    if (f->reads_search_path) {
        return "CURRENT_SCHEMA depends on the search path: say `consistency: ttl`";
    }
    return functions->why != NULL ? functions->why : relations_why(a, f, c);
}

static void list_relations(struct arena *a, const struct facts *f, struct plan_route *r)
{
    uint32_t *tables = arena_alloc(a, (f->relation_count + 1) * sizeof *tables);
    struct plan_need *needs =
        arena_alloc(a, (f->relation_count + f->class_constants.count + 1) * sizeof *needs);
    for (uint32_t i = 0; i < f->relation_count; i++) {
        const struct facts_relation *relation = &f->relations[i];
        if (relation->uses > 0 && relation->relkind != 'v') {
            tables[r->table_count++] = relation->oid;
        }
        if (relation->perms != 0) {
            needs[r->need_count++] = (struct plan_need){relation->oid, relation->perms};
        }
    }
    for (uint32_t i = 0; i < f->class_constants.count; i++) {
        needs[r->need_count++] = (struct plan_need){f->class_constants.oid[i], PLAN_USAGE};
    }
    r->tables = tables;
    r->needs = needs;
}

void verdict_judge(struct arena *a, const struct facts *f,
                   const struct functions_verdict *functions, const struct follow_catalog *c,
                   struct plan_route *r)
{
    list_relations(a, f, r);
    r->functions = functions->user.oid;
    r->function_count = functions->user.count;
    r->writes = f->writes;
    r->keep = PLAN_NEVER;
    if (strcmp(r->route->method, "GET") != 0) {
        r->why = "writes are never cached";
        return;
    }
    r->why = broken_get(f);
    r->broken = r->why != NULL;
    if (r->broken) {
        return;
    }
    if (r->route->fresh_ms == 0) {
        r->why = "`fresh: 0` says so";
        return;
    }
    if (r->route->consistency == POLICY_TTL) {
        r->keep = PLAN_TTL;
        return;
    }
    r->why = unkept(a, f, functions, c);
    if (r->why != NULL) {
        return;
    }
    r->keep = PLAN_FOLLOWED;
    if (!functions->opaque) {
        verdict_narrow(f, c, r);
    }
}
