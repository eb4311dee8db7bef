/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dependencies of one answer.
 *
 * How: the statement's relations, known since the plan was made, united with the relations that the
 * fill's own transaction locked (function bodies, dynamic SQL):
 *
 *     the narrowed table    hash of its row or value, and `all` of the table
 *     every other relation  `any` of the table
 *     a locked heir         nothing, when an ancestor is there: a heir's change marks its ancestors
 *
 * A parameter that is NULL or not written in the one canonical way names no row: the table's `any`
 * then. A parameter that names the clock ('today') forbids storing; so does an answer made by
 * functions that read nothing: with no mark to hold, not even a new function body could void it.
 *
 * Invariants: D1. Every relation that was read has a mark in the set, or the answer is refused. D2.
 * A row's or value's mark never comes without the table's `all`.
 *
 * Threads: any; plan and catalog are immutable.
 */
#include "fill/plan.h"

#include "fill/stable.h"
#include "fill/verdict.h"

struct oids {
    const uint32_t *oid;
    uint32_t count;
};

static bool has(struct oids set, uint32_t oid)
{
    for (uint32_t i = 0; i < set.count; i++) {
        if (set.oid[i] == oid) {
            return true;
        }
    }
    return false;
}

/* The text of a parameter as the follower would write it; false when it cannot name a row. */
static bool canonical(const char *const *params, uint16_t param, enum follow_kind kind,
                      struct slice *ret_text)
{
    if (params == NULL || params[param] == NULL) {
        return false;
    }
    *ret_text = slice_of(params[param]);
    return follow_kind_canonical(kind, *ret_text);
}

static bool row_hash(const struct plan_row *row, const char *const *params, uint64_t *ret_hash)
{
    struct slice values[8];
    if (row->count == 0) {
        return false;
    }
    for (uint32_t i = 0; i < row->count; i++) {
        if (!canonical(params, row->param[i], row->kind[i], &values[i])) {
            return false;
        }
    }
    *ret_hash = follow_row_hash(row->table_oid, values, row->count);
    return true;
}

static bool value_hash(const struct plan_value *value, const char *const *params,
                       uint64_t *ret_hash)
{
    struct slice text;
    if (value->table_oid == 0 || !canonical(params, value->param, value->kind, &text)) {
        return false;
    }
    *ret_hash = follow_value_hash(value->table_oid, value->attnum, text);
    return true;
}

/* PostgreSQL reads 'today' as a date whose answer is another one tomorrow. */
static bool names_clock(const struct plan_route *r, const char *const *params)
{
    uint32_t count = params != NULL ? r->statement.param_count : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (params[i] != NULL && stable_text_names_clock(params[i])) {
            return true;
        }
    }
    return false;
}

/* One relation of the statement. */
static bool add_named(const struct plan *p, const struct plan_route *r, struct fresh *f,
                      const char *const *params, uint32_t oid, struct fresh_deps *deps)
{
    const struct follow_table *t = follow_catalog_find(p->catalog, oid);
    uint64_t hash = 0;
    if (t == NULL) {
        return false;
    }
    bool narrow = (r->row.table_oid == oid && row_hash(&r->row, params, &hash)) ||
                  (r->value.table_oid == oid && value_hash(&r->value, params, &hash));
    if (narrow) {
        fresh_deps_add(deps, fresh_dep_hash(f, hash));
        fresh_deps_add(deps, fresh_dep_all(f, t->wide));
    } else {
        fresh_deps_add(deps, fresh_dep_any(f, t->wide));
    }
    return true;
}

/* One relation that was locked while the statement ran. */
static bool add_locked(const struct plan *p, struct fresh *f, struct oids named, struct oids locked,
                       uint32_t oid, struct fresh_deps *deps, const char **ret_why)
{
    if (has(named, oid)) {
        return true;
    }
    const struct follow_table *t = follow_catalog_find(p->catalog, oid);
    const char *why = plan_unfollowed(p->catalog, t);
    if (why != NULL) {
        *ret_why = why;
        return false;
    }
    if (t->relkind == 'v') {
        return true;
    }
    for (uint32_t i = 0; i < t->ancestor_count; i++) {
        if (has(named, t->ancestors[i]) || has(locked, t->ancestors[i])) {
            return true;
        }
    }
    fresh_deps_add(deps, fresh_dep_any(f, t->wide));
    return true;
}

bool plan_deps(const struct plan *p, const struct plan_route *r, struct fresh *f,
               const char *const *params, const uint32_t *relations, uint32_t relation_count,
               struct fresh_deps *ret_deps, const char **ret_why)
{
    struct fresh_deps deps = {0};
    struct oids named = {r->tables, r->table_count};
    struct oids locked = {relations, relation_count};
    if (r->keep == PLAN_NEVER) {
        *ret_why = r->why;
        return false;
    }
    if (r->keep == PLAN_TTL) {
        *ret_deps = deps;
        return true;
    }
    if (names_clock(r, params)) {
        *ret_why = "a parameter says now, today, tomorrow or yesterday";
        return false;
    }
    for (uint32_t i = 0; i < r->table_count; i++) {
        if (!add_named(p, r, f, params, r->tables[i], &deps)) {
            *ret_why = plan_unfollowed(p->catalog, NULL);
            return false;
        }
    }
    for (uint32_t i = 0; i < relation_count; i++) {
        if (!add_locked(p, f, named, locked, relations[i], &deps, ret_why)) {
            return false;
        }
    }
    if (deps.count == 0 && r->function_count > 0) {
        *ret_why = "its functions read no table this time, so nothing would tell when they change";
        return false;
    }
    if (deps.overflow) {
        *ret_why = "it reads too many tables: say `consistency: ttl`";
        return false;
    }
    *ret_deps = deps;
    return true;
}
