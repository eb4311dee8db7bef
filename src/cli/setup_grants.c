/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setup-sql: grants: the privileges that PostgreSQL will check for the role itself, and no others.
 * Tables behind views and behind functions that run with their owner's rights need none.
 */
#include "base/alloc.h"
#include "cli/setup.h"
#include "cli/setup_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What to grant. Functions that run with their owner's rights need nothing beyond EXECUTE; row
 * security asks its tables with the reader's rights. */
/* clang-format off */
static const char grants_sql[] = CALLED_AND_WORDS(
    " AND NOT b.prosecdef AND b.provolatile <> 'v'") ", needs(oid, perms) AS ("
                                                     "  SELECT * FROM unnest($1::oid[], $3::int[]) "
                                                     "UNION SELECT oid, 2 FROM mentioned"
                                                     "  UNION SELECT d.refobjid, 2 FROM needs n "
                                                     "JOIN pg_policy p ON p.polrelid = n.oid"
                                                     "    JOIN pg_depend d ON d.classid = "
                                                     "'pg_policy'::regclass AND d.objid = p.oid"
                                                     "     AND d.refclassid = 'pg_class'::regclass "
                                                     "AND d.refobjid <> n.oid"
                                                     "), merged(oid, perms) AS ("
                                                     "  SELECT n.oid, bit_or(n.perms) & CASE WHEN "
                                                     "c.relkind = 'S' THEN 258 ELSE 15 END"
                                                     "    FROM needs n JOIN pg_class c ON c.oid = "
                                                     "n.oid AND c.oid >= 16384"
                                                     "   GROUP BY n.oid, c.relkind)"
                                                     " SELECT n.nspname, format('%I.%I', "
                                                     "n.nspname, c.relname),"
                                                     "        CASE WHEN c.relkind = 'S' THEN "
                                                     "'sequence' ELSE 'table' END,"
                                                     "        (SELECT string_agg(w.privilege, ', ' "
                                                     "ORDER BY w.place)"
                                                     "           FROM (VALUES (1, 2, 'SELECT'), "
                                                     "(2, 1, 'INSERT'), (3, 4, 'UPDATE'),"
                                                     "                        (4, 8, 'DELETE'), "
                                                     "(5, 256, 'USAGE')) w(place, bit, privilege)"
                                                     "          WHERE m.perms & w.bit <> 0)"
                                                     "   FROM merged m JOIN pg_class c ON c.oid = "
                                                     "m.oid AND m.perms <> 0"
                                                     "   JOIN pg_namespace n ON n.oid = "
                                                     "c.relnamespace"
                                                     " UNION ALL"
                                                     " SELECT n.nspname, p.oid::regprocedure::text,"
                                                     "        CASE WHEN "
                                                     "has_function_privilege('public', p.oid, "
                                                     "'EXECUTE') THEN 'schema'"
                                                     "             ELSE 'function' END, 'EXECUTE'"
                                                     "   FROM pg_proc p JOIN pg_namespace n ON "
                                                     "n.oid = p.pronamespace"
                                                     "  WHERE p.oid = ANY ($2::oid[])"
                                                     " UNION ALL"
                                                     " SELECT n.nspname, "
                                                     "p.oid::regprocedure::text, 'rights', ''"
                                                     "   FROM pg_proc p JOIN pg_namespace n ON "
                                                     "n.oid = p.pronamespace"
                                                     "   JOIN pg_language l ON l.oid = p.prolang "
                                                     "AND l.lanname NOT IN ('c', 'internal')"
                                                     "  WHERE p.oid = ANY ($2::oid[]) AND NOT "
                                                     "p.prosecdef AND p.provolatile = 'v'"
                                                     "  ORDER BY 3, 2";
/* clang-format on */

static void collect_needs(const struct live *l, struct setup_oids *ret_needs,
                          struct setup_oids *ret_functions)
{
    for (uint32_t i = 0; i < l->plan->route_count; i++) {
        const struct plan_route *r = &l->plan->routes[i];
        for (uint32_t k = 0; k < r->need_count; k++) {
            setup_oids_add(ret_needs, r->needs[k].oid, r->needs[k].perms);
        }
        setup_oids_add_functions(ret_functions, r);
    }
}

static void print_grants(const PGresult *g, const char *role)
{
    for (int i = 0; i < PQntuples(g); i++) {
        const char *schema = PQgetvalue(g, i, 0);
        bool seen = false;
        for (int k = 0; k < i && !seen; k++) {
            seen = strcmp(PQgetvalue(g, k, 0), schema) == 0;
        }
        if (!seen) {
            printf("GRANT USAGE ON SCHEMA %s TO %s;\n", setup_identifier(schema), role);
        }
    }
    for (int i = 0; i < PQntuples(g); i++) {
        const char *name = PQgetvalue(g, i, 1);
        const char *kind = PQgetvalue(g, i, 2);
        if (strcmp(kind, "rights") == 0) {
            printf("-- %s runs with the caller's rights: grant what its body needs, or make it\n"
                   "-- SECURITY DEFINER with a fixed search_path.\n",
                   name);
        } else if (strcmp(kind, "schema") != 0) {
            const char *what = strcmp(kind, "table") == 0      ? ""
                               : strcmp(kind, "function") == 0 ? "FUNCTION "
                                                               : "SEQUENCE ";
            printf("GRANT %s ON %s%s TO %s;\n", PQgetvalue(g, i, 3), what, name, role);
        }
    }
}

void setup_grants(const struct setup *s)
{
    printf("\n-- 3. What the routes' statements read and write, and nothing else.\n");
    if (s->live == NULL) {
        printf("-- Not connected (--offline): grant what the statements read and write.\n");
        return;
    }
    struct setup_oids needs = {0};
    struct setup_oids functions = {0};
    collect_needs(s->live, &needs, &functions);
    char *need_oids = live_oid_array(needs.oid, needs.count);
    char *perms = live_oid_array(needs.perms, needs.count);
    char *function_oids = live_oid_array(functions.oid, functions.count);
    const char *const params[] = {need_oids, function_oids, perms};
    PGresult *g = live_query(s->live->conn, grants_sql, 3, params);
    char *role = xstrdup(setup_identifier(s->role));
    print_grants(g, role);
    free(role);
    PQclear(g);
    free(need_oids);
    free(perms);
    free(function_oids);
    setup_oids_fini(&needs);
    setup_oids_fini(&functions);
}
