/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the catalog: a handful of queries in one read-only snapshot, joined here by oid.
 *
 *     tables ─ columns ─ keys ─ identity indexes ─ ancestors ─ publication members ─ templates
 *
 * Only user relations are kept (oid >= 16384), without those of pg_toast and temporary ones, which
 * only their own session sees. Every query is ordered by the table's oid, so each is one walk along
 * the sorted tables.
 *
 * A table counts as a member only if the publication publishes insert, update, delete and truncate
 * and has no row filter on it. With publish_via_partition_root partitions are no members: the
 * stream would then lose TRUNCATE of a leaf, so partitioned tables are not followed in that mode.
 *
 * The DDL triggers are known by their names: event triggers "freshet_...", enabled, one on
 * ddl_command_end and one on sql_drop.
 *
 * Threads: the keeper's, or a command's; blocking.
 */
#include "base/alloc.h"
#include "follow/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_USER_OID = 16384, HAS_COLUMN_LISTS = 150000 };

struct loading {
    PGconn *conn;
    const struct policy *policy;
    struct fresh *fresh; /* NULL: nothing is registered (check) */
    struct catalog *c;
    struct follow_table *tables;
    uint32_t count;
    char *why; /* the first failure */
};

/* --- asking ------------------------------------------------------------------------------------- */

/* NULL after a failure, which is noted. */
static PGresult *ask(struct loading *l, const char *sql, const char *param)
{
    if (l->why != NULL) {
        return NULL;
    }
    PGresult *r = PQexecParams(l->conn, sql, param != NULL ? 1 : 0, NULL, &param, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return r;
    }
    const char *primary = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    l->why =
        xasprintf("reading the catalog: %s", primary != NULL ? primary : PQerrorMessage(l->conn));
    PQclear(r);
    return NULL;
}

static int rows_of(const PGresult *r)
{
    return r != NULL ? PQntuples(r) : 0;
}

static uint32_t oid_at(const PGresult *r, int row, int column)
{
    return (uint32_t)strtoul(PQgetvalue(r, row, column), NULL, 10);
}

static int16_t attnum_at(const PGresult *r, int row, int column)
{
    return (int16_t)strtol(PQgetvalue(r, row, column), NULL, 10);
}

static bool true_at(const PGresult *r, int row, int column)
{
    return PQgetvalue(r, row, column)[0] == 't';
}

static char *text_at(struct loading *l, const PGresult *r, int row, int column)
{
    return arena_strdup(&l->c->arena, PQgetvalue(r, row, column));
}

/* How many rows from `row` on have the same oid in column 0. */
static int run_of(const PGresult *r, int row)
{
    int end = row + 1;
    while (end < PQntuples(r) && oid_at(r, end, 0) == oid_at(r, row, 0)) {
        end++;
    }
    return end - row;
}

static struct follow_table *find_table(struct loading *l, uint32_t oid)
{
    const struct follow_table *t = follow_catalog_find(&l->c->pub, oid);
    return t != NULL ? &l->tables[t - l->tables] : NULL;
}

/* The loader made the columns; they are const for everybody else. */
static struct follow_column *own_columns(struct follow_table *t)
{
    return (struct follow_column *)(uintptr_t)t->columns;
}

static struct follow_column *find_column(struct follow_table *t, int16_t attnum)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].attnum == attnum) {
            return &own_columns(t)[i];
        }
    }
    return NULL;
}

/* Calls `take` for each run of rows of a known table. */
static void walk(struct loading *l, PGresult *r,
                 void (*take)(struct loading *l, struct follow_table *t, const PGresult *r, int row,
                              int count))
{
    for (int row = 0; row < rows_of(r);) {
        int count = run_of(r, row);
        struct follow_table *t = find_table(l, oid_at(r, row, 0));
        if (t != NULL) {
            take(l, t, r, row, count);
        }
        row += count;
    }
    PQclear(r);
}

/* --- tables and columns ------------------------------------------------------------------------- */

static void load_tables(struct loading *l)
{
    PGresult *r = ask(l,
                      "select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence,"
                      " c.relreplident from pg_catalog.pg_class c"
                      " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
                      " where c.relkind in ('r', 'p', 'm', 'f', 'v') and c.oid >= 16384"
                      " and c.relpersistence <> 't' and n.nspname not in"
                      " ('pg_catalog', 'information_schema', 'pg_toast') order by c.oid",
                      NULL);
    l->count = (uint32_t)rows_of(r);
    l->tables = arena_alloc(&l->c->arena, (l->count + 1) * sizeof(*l->tables));
    for (uint32_t i = 0; i < l->count; i++) {
        l->tables[i] = (struct follow_table){
            .oid = oid_at(r, (int)i, 0),
            .schema = text_at(l, r, (int)i, 1),
            .name = text_at(l, r, (int)i, 2),
            .relkind = PQgetvalue(r, (int)i, 3)[0],
            .persistence = PQgetvalue(r, (int)i, 4)[0],
            .identity = PQgetvalue(r, (int)i, 5)[0],
        };
    }
    l->c->pub.tables = l->tables;
    l->c->pub.table_count = l->count;
    PQclear(r);
}

static void take_columns(struct loading *l, struct follow_table *t, const PGresult *r, int row,
                         int count)
{
    struct follow_column *columns = arena_alloc(&l->c->arena, (size_t)count * sizeof(*columns));
    for (int i = 0; i < count; i++) {
        struct follow_column *c = &columns[i];
        c->attnum = attnum_at(r, row + i, 1);
        c->name = text_at(l, r, row + i, 2);
        c->type_oid = oid_at(r, row + i, 3);
        c->collation_deterministic = true_at(r, row + i, 4);
        c->kind = c->collation_deterministic ? follow_kind_of_type(c->type_oid) : FOLLOW_KIND_OTHER;
        c->identity = t->identity == 'f';
        c->streamed = !true_at(r, row + i, 5); /* if the table is published: see load_members() */
    }
    t->columns = columns;
    t->column_count = (uint32_t)count;
}

static void load_columns(struct loading *l)
{
    walk(l,
         ask(l,
             "select a.attrelid, a.attnum, a.attname, a.atttypid,"
             " coalesce(co.collisdeterministic, true), a.attgenerated <> ''"
             " from pg_catalog.pg_attribute a"
             " join pg_catalog.pg_class c on c.oid = a.attrelid"
             " left join pg_catalog.pg_collation co on co.oid = a.attcollation"
             " where a.attrelid >= 16384 and a.attnum > 0 and not a.attisdropped"
             " and c.relkind in ('r', 'p', 'm', 'f', 'v') order by 1, 2",
             NULL),
         take_columns);
}

/* --- keys and identities ------------------------------------------------------------------------ */

static void take_key(struct loading *l, struct follow_table *t, const PGresult *r, int row,
                     int count)
{
    uint16_t *key = arena_alloc(&l->c->arena, (size_t)count * sizeof(*key));
    for (int i = 0; i < count; i++) {
        struct follow_column *c = find_column(t, attnum_at(r, row + i, 1));
        if (c == NULL) {
            return;
        }
        key[i] = (uint16_t)(c - t->columns);
        /* PostgreSQL's own rule: a deferrable primary key identifies nothing. */
        if (t->identity == 'd' && true_at(r, row + i, 2)) {
            c->identity = true;
        }
    }
    t->key = key;
    t->key_count = (uint32_t)count;
}

static void take_identity(struct loading *l, struct follow_table *t, const PGresult *r, int row,
                          int count)
{
    (void)l;
    for (int i = 0; i < count && t->identity == 'i'; i++) {
        struct follow_column *c = find_column(t, attnum_at(r, row + i, 1));
        if (c != NULL) {
            c->identity = true;
        }
    }
}

#define KEY_COLUMNS(condition)                                                                     \
    "select i.indrelid, k.attnum, i.indimmediate and i.indisvalid from pg_catalog.pg_index i,"     \
    " unnest(i.indkey::int2[]) with ordinality k(attnum, n) where " condition                      \
    " and k.n <= i.indnkeyatts and i.indrelid >= 16384 order by 1, k.n"

static void load_keys(struct loading *l)
{
    walk(l, ask(l, KEY_COLUMNS("i.indisprimary"), NULL), take_key);
    walk(l, ask(l, KEY_COLUMNS("i.indisreplident and i.indisvalid"), NULL), take_identity);
}

/* --- ancestors ---------------------------------------------------------------------------------- */

static void take_ancestors(struct loading *l, struct follow_table *t, const PGresult *r, int row,
                           int count)
{
    uint32_t *oids = arena_alloc(&l->c->arena, (size_t)count * sizeof(*oids));
    for (int i = 0; i < count; i++) {
        oids[i] = oid_at(r, row + i, 1);
    }
    t->ancestors = oids;
    t->ancestor_count = (uint32_t)count;
}

static void load_ancestors(struct loading *l)
{
    walk(l,
         ask(l,
             "with recursive up(heir, ancestor) as ("
             " select inhrelid, inhparent from pg_catalog.pg_inherits union"
             " select up.heir, i.inhparent from up"
             " join pg_catalog.pg_inherits i on i.inhrelid = up.ancestor)"
             " select heir, ancestor from up where heir >= 16384 order by 1, 2",
             NULL),
         take_ancestors);
}

/* --- the publication ---------------------------------------------------------------------------- */

static bool column_listed(const PGresult *r, int row, int count, const char *name)
{
    for (int i = row; i < row + count; i++) {
        if (PQgetisnull(r, i, 2) != 0 || strcmp(PQgetvalue(r, i, 2), name) == 0) {
            return true;
        }
    }
    return false;
}

/* One row per published column; a NULL name stands for all of them. */
static void take_member(struct loading *l, struct follow_table *t, const PGresult *r, int row,
                        int count)
{
    (void)l;
    t->published = !true_at(r, row, 1);
    for (uint32_t i = 0; i < t->column_count; i++) {
        struct follow_column *c = &own_columns(t)[i];
        c->streamed = c->streamed && column_listed(r, row, count, c->name);
    }
}

#define MEMBERS(filtered, columns, more)                                                           \
    "select c.oid, " filtered ", " columns " from pg_catalog.pg_publication_tables t"              \
    " join pg_catalog.pg_namespace n on n.nspname = t.schemaname"                                  \
    " join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.tablename" more       \
    " where t.pubname = $1 order by 1"

static void load_members(struct loading *l)
{
    const char *name = l->policy->database.publication;
    PGresult *r = ask(l,
                      "select pubinsert and pubupdate and pubdelete and pubtruncate"
                      " from pg_catalog.pg_publication where pubname = $1",
                      name);
    l->c->pub.publication_exists = rows_of(r) == 1;
    bool whole = rows_of(r) == 1 && true_at(r, 0, 0);
    PQclear(r);
    if (whole && PQserverVersion(l->conn) >= HAS_COLUMN_LISTS) {
        walk(l,
             ask(l,
                 MEMBERS("t.rowfilter is not null", "a.name",
                         " left join lateral unnest(t.attnames) a(name) on true"),
                 name),
             take_member);
    } else if (whole) {
        walk(l, ask(l, MEMBERS("false", "null::name", ""), name), take_member);
    }
    for (uint32_t i = 0; i < l->count; i++) {
        struct follow_table *t = &l->tables[i];
        for (uint32_t k = 0; k < t->column_count && !t->published; k++) {
            own_columns(t)[k].streamed = false;
        }
    }
}

/* --- the rest ----------------------------------------------------------------------------------- */

static void load_settings(struct loading *l)
{
    PGresult *r = ask(l,
                      "select pg_catalog.current_setting('search_path'),"
                      " pg_catalog.current_setting('server_version'),"
                      " (select count(distinct evtevent) = 2 from pg_catalog.pg_event_trigger"
                      " where evtname like 'freshet\\_%' and evtenabled in ('O', 'A')"
                      " and evtevent in ('ddl_command_end', 'sql_drop'))",
                      NULL);
    if (rows_of(r) == 1) {
        l->c->pub.search_path = text_at(l, r, 0, 0);
        l->c->pub.server_version = text_at(l, r, 0, 1);
        l->c->pub.sees_ddl = true_at(r, 0, 2);
    }
    PQclear(r);
}

/*
 * Without the event trigger nothing tells of a replaced view or function, a policy, a rewritten table or a
 * refreshed matview. Their rows' xmin changes with each of them, and not with ANALYZE or VACUUM.
 */
static void load_definitions(struct loading *l)
{
    l->c->definitions = "";
    if (l->c->pub.sees_ddl) {
        return;
    }
    PGresult *r =
        ask(l,
            "select coalesce(pg_catalog.md5(pg_catalog.string_agg(x, ',' order by x)), '') from ("
            " select 'c' || oid || '.' || xmin from pg_catalog.pg_class where oid >= 16384"
            " and relpersistence <> 't' and relkind in ('r', 'p', 'v', 'm', 'f')"
            " union all select 'f' || oid || '.' || xmin from pg_catalog.pg_proc where oid >= 16384"
            " union all select 'v' || r.oid || '.' || r.xmin from pg_catalog.pg_rewrite r"
            " join pg_catalog.pg_class c on c.oid = r.ev_class"
            " where r.oid >= 16384 and c.relpersistence <> 't'"
            " union all select 'p' || oid || '.' || xmin from pg_catalog.pg_policy"
            " union all select 'i' || inhrelid || '.' || xmin from pg_catalog.pg_inherits) s(x)",
            NULL);
    if (rows_of(r) == 1) {
        l->c->definitions = text_at(l, r, 0, 0);
    }
    PQclear(r);
}

/* What the policy's name means on this connection's search path; quoted, so letter case counts. */
static const struct follow_table *resolve(struct loading *l, const struct policy_template *t)
{
    char *schema =
        t->schema != NULL ? PQescapeIdentifier(l->conn, t->schema, strlen(t->schema)) : NULL;
    char *table = PQescapeIdentifier(l->conn, t->table, strlen(t->table));
    char *name = xasprintf("%s%s%s", schema != NULL ? schema : "", schema != NULL ? "." : "",
                           table != NULL ? table : "\"\"");
    PGresult *r = ask(l, "select pg_catalog.to_regclass($1)::oid", name);
    uint32_t oid = rows_of(r) == 1 ? oid_at(r, 0, 0) : 0;
    PQclear(r);
    free(name);
    PQfreemem(table);
    PQfreemem(schema);
    return oid >= FIRST_USER_OID ? find_table(l, oid) : NULL;
}

static fresh_wide register_name(struct loading *l, const char *name)
{
    return l->fresh != NULL ? fresh_register(l->fresh, slice_of(name)) : 0;
}

static void load_templates(struct loading *l)
{
    uint32_t count = l->policy->template_count;
    struct follow_template *templates = arena_alloc(&l->c->arena, (count + 1) * sizeof(*templates));
    for (uint32_t i = 0; i < count; i++) {
        const struct policy_template *t = &l->policy->templates[i];
        templates[i].table = resolve(l, t);
        catalog_judge_template(t, &templates[i]);
        if (templates[i].table != NULL) {
            char *name = xasprintf("k:%s@%" PRIu32, t->text, templates[i].table->oid);
            templates[i].wide = register_name(l, name);
            free(name);
        }
    }
    l->c->pub.templates = templates;
    l->c->pub.template_count = count;
}

static void register_tables(struct loading *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "t:%" PRIu32, l->tables[i].oid);
        l->tables[i].wide = register_name(l, name);
    }
}

const struct follow_catalog *follow_catalog_load(PGconn *conn, struct fresh *f,
                                                 const struct policy *p, char **ret_why)
{
    struct loading l = {.conn = conn, .policy = p, .fresh = f, .c = catalog_create(p)};
    PQclear(ask(&l, "begin isolation level repeatable read read only", NULL));
    load_settings(&l);
    load_definitions(&l);
    load_tables(&l);
    load_columns(&l);
    load_keys(&l);
    load_ancestors(&l);
    load_members(&l);
    catalog_judge_tables(l.tables, l.count);
    if (l.why == NULL) {
        register_tables(&l);
    }
    load_templates(&l);
    PQclear(ask(&l, "commit", NULL));
    if (l.why != NULL) {
        PQclear(PQexec(conn, "rollback"));
        follow_catalog_unref(&l.c->pub);
        *ret_why = l.why;
        return NULL;
    }
    return &l.c->pub;
}
