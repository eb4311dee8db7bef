/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setup-sql: the publication: every table that a cached answer or a key template depends on.
 *
 * Plans name those of the statements themselves, views expanded; the query adds what they cannot
 * see: tables that function bodies mention, tables that row security policies ask, and what stands
 * behind views in either. A table without a replica identity is left out with a comment, since
 * publishing it would make its UPDATEs fail.
 */
#include "base/alloc.h"
#include "cli/setup.h"
#include "cli/setup_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const char published_sql[] = CALLED_AND_WORDS(
    "") ", used(oid, mentioned) AS ("
        "  SELECT unnest($1::oid[]), false UNION SELECT oid, true FROM mentioned"
        "  UNION SELECT d.refobjid, u.mentioned FROM used u"
        "    CROSS JOIN LATERAL ("
        "      SELECT 'pg_rewrite'::regclass AS classid, r.oid AS objid FROM pg_rewrite r"
        "        JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v'"
        "       WHERE r.ev_class = u.oid"
        "      UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p"
        "       WHERE p.polrelid = u.oid) s"
        "    JOIN pg_depend d ON d.classid = s.classid AND d.objid = s.objid"
        "     AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> u.oid"
        "     AND d.refobjid >= 16384"
        "), leaves(root, oid) AS ("
        "  SELECT oid, oid FROM used UNION SELECT l.root, i.inhrelid FROM leaves l"
        "    JOIN pg_inherits i ON i.inhparent = l.oid"
        "), unfit(root) AS ("
        "  SELECT DISTINCT l.root FROM leaves l JOIN pg_class c ON c.oid = l.oid AND c.relkind = "
        "'r'"
        "   WHERE c.relreplident = 'n' OR (c.relreplident = 'd' AND NOT EXISTS ("
        "     SELECT FROM pg_index i"
        "      WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate))"
        "), foreign_heirs(root) AS ("
        "  SELECT DISTINCT l.root FROM leaves l JOIN pg_class c ON c.oid = l.oid AND c.relkind = "
        "'f')"
        " SELECT format('%I.%I', n.nspname, c.relname),"
        "        CASE WHEN c.oid IN (SELECT root FROM unfit) THEN 'no replica identity'"
        "             WHEN c.oid IN (SELECT root FROM foreign_heirs) THEN 'a foreign partition'"
        "             WHEN c.relpersistence <> 'p' THEN 'not in the WAL' END,"
        "        bool_and(u.mentioned)"
        "   FROM used u JOIN pg_class c ON c.oid = u.oid AND c.relkind IN ('r', 'p')"
        "   JOIN pg_namespace n ON n.oid = c.relnamespace"
        "  GROUP BY c.oid, n.nspname, c.relname, c.relpersistence ORDER BY 1";
/* clang-format on */

static bool is_cached(const struct plan_route *r)
{
    return strcmp(r->route->method, "GET") == 0 && r->route->consistency != POLICY_TTL &&
           r->route->fresh_ms > 0;
}

static void collect_published(const struct live *l, struct setup_oids *ret_tables,
                              struct setup_oids *ret_functions)
{
    for (uint32_t i = 0; i < l->policy->template_count; i++) {
        const struct follow_table *t = l->catalog->templates[i].table;
        if (t != NULL) {
            setup_oids_add(ret_tables, t->oid, 0);
        }
    }
    for (uint32_t i = 0; i < l->plan->route_count; i++) {
        const struct plan_route *r = &l->plan->routes[i];
        for (uint32_t k = 0; is_cached(r) && k < r->table_count; k++) {
            setup_oids_add(ret_tables, r->tables[k], 0);
        }
        if (is_cached(r)) {
            setup_oids_add_functions(ret_functions, r);
        }
    }
}

static void publication_head(const struct setup *s)
{
    const char *name = s->policy->database.publication;
    const char *quoted = setup_identifier(name);
    printf("\n-- 2. The publication: exactly the tables that cached answers and key templates\n"
           "--    depend on. Never FOR ALL TABLES: UPDATE would fail on every table without a\n"
           "--    replica identity.\n"
           "DO $freshet$\n"
           "BEGIN\n"
           "    IF EXISTS (SELECT FROM pg_catalog.pg_publication\n"
           "                WHERE pubname = %s AND puballtables) THEN\n"
           "        DROP PUBLICATION %s;\n"
           "    END IF;\n"
           "    IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = %s) THEN\n"
           "        CREATE PUBLICATION %s;\n"
           "    END IF;\n"
           "END $freshet$;\n",
           setup_literal(name), quoted, setup_literal(name), quoted);
    printf("ALTER PUBLICATION %s SET (publish = 'insert, update, delete, truncate',\n"
           "    publish_via_partition_root = false); -- true would hide TRUNCATE of a partition\n",
           quoted);
}

static void publish_named(const struct setup *s)
{
    const char *before = "";
    printf("-- Not connected (--offline): only the tables of `invalidate:`.\n"
           "-- Add those that routes read.\n");
    for (uint32_t i = 0; i < s->policy->template_count; i++) {
        const struct policy_template *t = &s->policy->templates[i];
        bool seen = false;
        for (uint32_t k = 0; k < i && !seen; k++) {
            const struct policy_template *u = &s->policy->templates[k];
            seen =
                strcmp(t->table, u->table) == 0 &&
                strcmp(t->schema != NULL ? t->schema : "", u->schema != NULL ? u->schema : "") == 0;
        }
        if (seen) {
            continue;
        }
        if (*before == '\0') {
            printf("ALTER PUBLICATION %s SET TABLE\n",
                   setup_identifier(s->policy->database.publication));
        }
        printf("%s    %s%s%s", before, t->schema != NULL ? setup_identifier(t->schema) : "",
               t->schema != NULL ? "." : "", setup_identifier(t->table));
        before = ",\n";
    }
    printf("%s", *before != '\0' ? ";\n" : "");
}

static void print_left_out(const PGresult *t)
{
    for (int i = 0; i < PQntuples(t); i++) {
        const char *name = PQgetvalue(t, i, 0);
        const char *why = PQgetvalue(t, i, 1);
        if (PQgetisnull(t, i, 1) != 0) {
            continue;
        }
        printf("-- Left out: %s (%s). What reads it is not cached.\n", name, why);
        if (strcmp(why, "no replica identity") == 0) {
            printf("--   Publishing it would make its UPDATEs and DELETEs fail. Give it a primary\n"
                   "--   key, or ALTER TABLE %s REPLICA IDENTITY FULL;\n"
                   "--   then run `freshet setup-sql` again.\n",
                   name);
        }
    }
}

static void publish_used(const struct setup *s)
{
    struct setup_oids tables = {0};
    struct setup_oids functions = {0};
    collect_published(s->live, &tables, &functions);
    char *table_oids = live_oid_array(tables.oid, tables.count);
    char *function_oids = live_oid_array(functions.oid, functions.count);
    const char *const params[] = {table_oids, function_oids};
    PGresult *t = live_query(s->live->conn, published_sql, 2, params);
    print_left_out(t);
    int last = -1;
    for (int i = 0; i < PQntuples(t); i++) {
        last = PQgetisnull(t, i, 1) != 0 ? i : last;
    }
    if (last < 0) {
        printf("-- No table needs to be published.\n");
    } else {
        printf("ALTER PUBLICATION %s SET TABLE\n",
               setup_identifier(s->policy->database.publication));
    }
    for (int i = 0; i <= last; i++) {
        if (PQgetisnull(t, i, 1) != 0) {
            printf("    %s%s%s\n", PQgetvalue(t, i, 0), i == last ? ";" : ",",
                   *PQgetvalue(t, i, 2) == 't' ? " -- a function mentions it" : "");
        }
    }
    PQclear(t);
    free(table_oids);
    free(function_oids);
    setup_oids_fini(&tables);
    setup_oids_fini(&functions);
}

void setup_publication(const struct setup *s)
{
    publication_head(s);
    if (s->live != NULL) {
        publish_used(s);
    } else {
        publish_named(s);
    }
}
