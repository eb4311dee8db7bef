/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check: every route's statement: its verdict, what its answers depend on, the privileges that it
 * needs. The verdicts are fill's own (plan.h), so that this page and the daemon cannot disagree.
 */
#include "base/alloc.h"
#include "cli/check_database.h"

#include <stdlib.h>
#include <string.h>

static const struct follow_column *column_of(const struct follow_table *t, int16_t attnum)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].attnum == attnum) {
            return &t->columns[i];
        }
    }
    return NULL;
}

static const char *param_name(const struct plan_route *r, uint16_t param)
{
    return param < r->route->param_count ? r->route->params[param].name : "?";
}

static void append_row(struct buf *out, const struct plan_route *r, const struct follow_table *t)
{
    buf_printf(out, "the row of %s with ", t->name);
    for (uint32_t i = 0; i < r->row.count; i++) {
        buf_printf(out, "%s%s = :%s", i > 0 ? ", " : "", t->columns[t->key[i]].name,
                   param_name(r, r->row.param[i]));
    }
}

static void append_value(struct buf *out, const struct plan_route *r, const struct follow_table *t)
{
    const struct follow_column *c = column_of(t, r->value.attnum);
    buf_printf(out, "the rows of %s with %s = :%s", t->name, c != NULL ? c->name : "?",
               param_name(r, r->value.param));
}

static void append_dependencies(struct buf *out, const struct live *l, const struct plan_route *r)
{
    for (uint32_t i = 0; i < r->table_count; i++) {
        const struct follow_table *t = follow_catalog_find(l->catalog, r->tables[i]);
        buf_append_str(out, i == 0 ? "" : i + 1 < r->table_count ? ", " : " and ");
        if (t == NULL) {
            buf_append_str(out, "?");
        } else if (r->row.count > 0 && r->row.table_oid == t->oid) {
            append_row(out, r, t);
        } else if (r->value.table_oid == t->oid) {
            append_value(out, r, t);
        } else {
            buf_append_str(out, t->name);
        }
    }
    buf_append_str(out, r->table_count > 0 ? "" : "no table");
    buf_append_str(out, r->function_count > 0 ? ", and what its functions read" : "");
}

static void report_verdict(struct report *r, const struct live *l, const struct plan_route *p)
{
    struct buf text;
    const char *name = p->route->match;
    const char *strict = p->route->consistency == POLICY_STRICT ? ", strict" : "";
    buf_init(&text);
    if (p->broken) {
        report_line(r, REPORT_PROBLEM, name, "%s", p->why);
    } else if (strcmp(p->route->method, "GET") != 0) {
        report_line(r, REPORT_OK, name, "runs in one transaction; never cached");
    } else if (p->keep == PLAN_TTL) {
        report_line(r, REPORT_NOTE, name, "kept for its TTL alone, as `consistency: ttl` says");
    } else if (p->keep == PLAN_FOLLOWED) {
        append_dependencies(&text, l, p);
        report_line(r, REPORT_OK, name, "cached%s; depends on %.*s", strict, (int)buf_len(&text),
                    buf_readable(&text).ptr);
    } else {
        report_line(r, p->route->fresh_ms > 0 ? REPORT_WARNING : REPORT_NOTE, name,
                    "not cached: %s", p->why);
    }
    buf_fini(&text);
}

/* --- privileges ---------------------------------------------------------------------------------
 */

/* clang-format off */
static const char missing_sql[] =
    "SELECT c.oid::pg_catalog.regclass::text, w.privilege,"
    "       CASE WHEN c.relkind = 'S' THEN 'sequence ' ELSE '' END"
    "  FROM unnest($1::oid[], $2::int[]) n(oid, perms)"
    "  JOIN pg_catalog.pg_class c ON c.oid = n.oid"
    "  JOIN (VALUES (1, 'INSERT'), (2, 'SELECT'), (4, 'UPDATE'), (8, 'DELETE'), (256, 'USAGE'))"
    "       w(bit, privilege) ON n.perms & w.bit <> 0"
    " WHERE CASE WHEN w.bit = 256 THEN c.relkind = 'S'"
    "                AND NOT pg_catalog.has_sequence_privilege(c.oid, 'USAGE')"
    "            WHEN w.bit = 8 THEN NOT pg_catalog.has_table_privilege(c.oid, w.privilege)"
    "            ELSE NOT pg_catalog.has_any_column_privilege(c.oid, w.privilege) END"
    " UNION ALL"
    " SELECT p.oid::pg_catalog.regprocedure::text, 'EXECUTE', 'function '"
    "   FROM pg_catalog.pg_proc p WHERE p.oid = ANY ($3::oid[])"
    "    AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE')";
/* clang-format on */

static void check_privileges(struct report *r, const struct live *l, const struct plan_route *p)
{
    uint32_t *oids = xcalloc(p->need_count + 1, sizeof *oids);
    uint32_t *perms = xcalloc(p->need_count + 1, sizeof *perms);
    for (uint32_t i = 0; i < p->need_count; i++) {
        oids[i] = p->needs[i].oid;
        perms[i] = p->needs[i].perms;
    }
    char *params[] = {live_oid_array(oids, p->need_count), live_oid_array(perms, p->need_count),
                      live_oid_array(p->functions, p->function_count)};
    const char *const texts[] = {params[0], params[1], params[2]};
    PGresult *m = live_query(l->conn, missing_sql, 3, texts);
    for (int i = 0; i < PQntuples(m); i++) {
        report_line(r, REPORT_PROBLEM, p->route->match,
                    "the role may not %s %s%s: run what `freshet setup-sql` prints",
                    PQgetvalue(m, i, 1), PQgetvalue(m, i, 2), PQgetvalue(m, i, 0));
    }
    PQclear(m);
    for (size_t i = 0; i < array_len(params); i++) {
        free(params[i]);
    }
    free(oids);
    free(perms);
}

void check_routes(struct report *r, const struct live *l)
{
    if (l->plan->route_count == 0) {
        return;
    }
    report_section(r, "routes");
    for (uint32_t i = 0; i < l->plan->route_count; i++) {
        report_verdict(r, l, &l->plan->routes[i]);
        check_privileges(r, l, &l->plan->routes[i]);
    }
}
