/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setup-sql: publication and grants, from what the plans say that the statements read.
 *
 * The publication gets every table that a cached answer or a template depends on. Plans name those
 * of the statements themselves, views expanded; the query adds what they cannot see: tables that
 * function bodies mention (a word of the source that is a table's name: too many rather than too
 * few), tables that row security policies ask, and what stands behind views in either. A table
 * without a replica identity is left out with a comment, since publishing it would make its UPDATEs
 * fail.
 *
 * Grants follow the privileges that PostgreSQL will check for the role itself.
 */
#include "base/alloc.h"
#include "cli/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words of the bodies of functions, recursively: $1 relations, $2 functions. */
#define CALLED_AND_WORDS(descend)                                                                  \
    "WITH RECURSIVE called(oid) AS ("                                                              \
    "  SELECT unnest($2::oid[])"                                                                   \
    "  UNION SELECT p.oid FROM called c JOIN pg_proc b ON b.oid = c.oid" descend                   \
    "    JOIN pg_language l ON l.oid = b.prolang AND l.lanname IN ('sql', 'plpgsql')"              \
    "    CROSS JOIN LATERAL (SELECT DISTINCT lower(m[1]) FROM regexp_matches("                     \
    "      coalesce(pg_get_function_sqlbody(b.oid), b.prosrc),"                                    \
    "      '([[:alpha:]_][[:alnum:]_$]*)', 'g') m) w(word)"                                        \
    "    JOIN pg_proc p ON p.oid >= 16384 AND p.proname = w.word AND p.prokind = 'f'"              \
    "), words(word) AS ("                                                                          \
    "  SELECT DISTINCT lower(m[1]) FROM called c JOIN pg_proc b ON b.oid = c.oid" descend          \
    "    JOIN pg_language l ON l.oid = b.prolang AND l.lanname IN ('sql', 'plpgsql')"              \
    "    CROSS JOIN LATERAL regexp_matches(coalesce(pg_get_function_sqlbody(b.oid), b.prosrc),"    \
    "      '([[:alpha:]_][[:alnum:]_$]*)', 'g') m"                                                 \
    "), mentioned(oid) AS ("                                                                       \
    "  SELECT c.oid FROM words w JOIN pg_class c ON c.relname = w.word AND c.oid >= 16384"         \
    "     AND c.relkind IN ('r', 'p', 'v', 'm')"                                                   \
    "    JOIN pg_namespace n ON n.oid = c.relnamespace"                                            \
    "   WHERE pg_table_is_visible(c.oid) OR n.nspname IN (SELECT word FROM words)"                 \
    ")"

static const char published_sql[] = CALLED_AND_WORDS(
    "") ", used(oid, mentioned) AS ("
        "  SELECT unnest($1::oid[]), false UNION SELECT oid, true FROM mentioned"
        "  UNION SELECT d.refobjid, u.mentioned FROM used u"
        "    CROSS JOIN LATERAL ("
        "      SELECT 'pg_rewrite'::regclass AS classid, r.oid AS objid FROM pg_rewrite r"
        "        JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v' WHERE r.ev_class = u.oid"
        "      UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p WHERE p.polrelid = "
        "u.oid) s"
        "    JOIN pg_depend d ON d.classid = s.classid AND d.objid = s.objid"
        "     AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> u.oid AND d.refobjid >= "
        "16384"
        "), leaves(root, oid) AS ("
        "  SELECT oid, oid FROM used UNION SELECT l.root, i.inhrelid FROM leaves l"
        "    JOIN pg_inherits i ON i.inhparent = l.oid"
        "), unfit(root) AS ("
        "  SELECT DISTINCT l.root FROM leaves l JOIN pg_class c ON c.oid = l.oid AND c.relkind = "
        "'r'"
        "   WHERE c.relreplident = 'n' OR (c.relreplident = 'd' AND NOT EXISTS ("
        "     SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND "
        "i.indimmediate))"
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

/* What to grant. Functions that run with their owner's rights need nothing beyond EXECUTE; row
 * security asks its tables with the reader's rights. */
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
                                                     "n.oid AND c.oid >= 16384 GROUP BY n.oid, "
                                                     "c.relkind)"
                                                     " SELECT n.nspname, format('%I.%I', "
                                                     "n.nspname, c.relname),"
                                                     "       CASE WHEN c.relkind = 'S' THEN "
                                                     "'sequence' ELSE 'table' END,"
                                                     "       array_to_string(ARRAY["
                                                     "         CASE WHEN m.perms & 2 <> 0 THEN "
                                                     "'SELECT' END, CASE WHEN m.perms & 1 <> 0 "
                                                     "THEN 'INSERT' END,"
                                                     "         CASE WHEN m.perms & 4 <> 0 THEN "
                                                     "'UPDATE' END, CASE WHEN m.perms & 8 <> 0 "
                                                     "THEN 'DELETE' END,"
                                                     "         CASE WHEN m.perms & 256 <> 0 THEN "
                                                     "'USAGE' END], ', ')"
                                                     "  FROM merged m JOIN pg_class c ON c.oid = "
                                                     "m.oid AND m.perms <> 0"
                                                     "  JOIN pg_namespace n ON n.oid = "
                                                     "c.relnamespace"
                                                     " UNION ALL SELECT n.nspname, "
                                                     "p.oid::regprocedure::text,"
                                                     "       CASE WHEN "
                                                     "has_function_privilege('public', p.oid, "
                                                     "'EXECUTE') THEN 'schema' ELSE 'function' END,"
                                                     "       'EXECUTE' FROM pg_proc p JOIN "
                                                     "pg_namespace n ON n.oid = p.pronamespace"
                                                     "  WHERE p.oid = ANY ($2::oid[])"
                                                     " UNION ALL SELECT n.nspname, "
                                                     "p.oid::regprocedure::text, 'rights', ''"
                                                     "  FROM pg_proc p JOIN pg_namespace n ON "
                                                     "n.oid = p.pronamespace"
                                                     "  JOIN pg_language l ON l.oid = p.prolang "
                                                     "AND l.lanname NOT IN ('c', 'internal')"
                                                     " WHERE p.oid = ANY ($2::oid[]) AND NOT "
                                                     "p.prosecdef AND p.provolatile = 'v'"
                                                     " ORDER BY 3, 2";

/* --- collecting ---------------------------------------------------------------------------------
 */

struct oids {
    uint32_t *oid;
    uint32_t *perms; /* beside each, or all 0 */
    uint32_t count;
};

static void add(struct oids *set, uint32_t oid, uint32_t perms)
{
    set->oid = xrealloc(set->oid, (set->count + 1) * sizeof *set->oid);
    set->perms = xrealloc(set->perms, (set->count + 1) * sizeof *set->perms);
    set->oid[set->count] = oid;
    set->perms[set->count++] = perms;
}

static void oids_fini(struct oids *set)
{
    free(set->oid);
    free(set->perms);
}

static bool is_cached(const struct plan_route *r)
{
    return strcmp(r->route->method, "GET") == 0 && r->route->consistency != POLICY_TTL &&
           r->route->fresh_ms > 0;
}

static void add_functions(struct oids *set, const struct plan_route *r)
{
    for (uint32_t i = 0; i < r->function_count; i++) {
        add(set, r->functions[i], 0);
    }
}

static void collect_published(const struct live *l, struct oids *ret_tables,
                              struct oids *ret_functions)
{
    for (uint32_t i = 0; i < l->policy->template_count; i++) {
        const struct follow_table *t = l->catalog->templates[i].table;
        if (t != NULL) {
            add(ret_tables, t->oid, 0);
        }
    }
    for (uint32_t i = 0; i < l->plan->route_count; i++) {
        const struct plan_route *r = &l->plan->routes[i];
        for (uint32_t k = 0; is_cached(r) && k < r->table_count; k++) {
            add(ret_tables, r->tables[k], 0);
        }
        if (is_cached(r)) {
            add_functions(ret_functions, r);
        }
    }
}

static void collect_needs(const struct live *l, struct oids *ret_needs, struct oids *ret_functions)
{
    for (uint32_t i = 0; i < l->plan->route_count; i++) {
        const struct plan_route *r = &l->plan->routes[i];
        for (uint32_t k = 0; k < r->need_count; k++) {
            add(ret_needs, r->needs[k].oid, r->needs[k].perms);
        }
        add_functions(ret_functions, r);
    }
}

/* --- the publication ----------------------------------------------------------------------------
 */

static void publication_head(const struct setup *s)
{
    const char *name = s->policy->database.publication;
    const char *quoted = setup_identifier(name);
    printf(
        "\n-- 2. The publication: exactly the tables that cached answers and key templates depend "
        "on.\n"
        "--    Never FOR ALL TABLES: UPDATE would fail on every table without a replica identity.\n"
        "DO $freshet$\n"
        "BEGIN\n"
        "    IF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = %s AND puballtables) "
        "THEN\n"
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
    printf("-- Not connected (--offline): only the tables of `invalidate:`. Add those that routes "
           "read.\n");
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
            printf(
                "--   Publishing it would make its UPDATEs and DELETEs fail. Give it a primary "
                "key, or\n"
                "--   ALTER TABLE %s REPLICA IDENTITY FULL; then run `freshet setup-sql` again.\n",
                name);
        }
    }
}

static void publish_used(const struct setup *s)
{
    struct oids tables = {0};
    struct oids functions = {0};
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
    oids_fini(&tables);
    oids_fini(&functions);
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

/* --- grants -------------------------------------------------------------------------------------
 */

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
    struct oids needs = {0};
    struct oids functions = {0};
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
    oids_fini(&needs);
    oids_fini(&functions);
}
