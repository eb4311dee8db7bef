/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which tables and templates can be followed, from what the catalog says of them.
 *
 * A table's changes reach us if it is a permanent table in the publication, whole (all four
 * operations, no row filter; the loader sees to that), and its rows can be told apart: PostgreSQL
 * refuses UPDATE and DELETE of a published table without a replica identity, so such a publication
 * is a trap, not a promise. A partitioned table has no rows of its own: it is followed if every
 * leaf is.
 *
 * A template is followed if its table is and each placeholder is a column with one way of writing.
 * Where the replica identity lacks a placeholder's column, an UPDATE or DELETE voids the whole
 * template; that is correct, so it is allowed, and said.
 */
#include "follow/catalog.h"

/* --- tables ------------------------------------------------------------------------------------- */

static bool has_identity(const struct follow_table *t)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].identity) {
            return true;
        }
    }
    return false;
}

static bool is_under(const struct follow_table *t, uint32_t oid)
{
    for (uint32_t i = 0; i < t->ancestor_count; i++) {
        if (t->ancestors[i] == oid) {
            return true;
        }
    }
    return false;
}

static bool leaves_published(const struct follow_table *tables, uint32_t count, uint32_t root)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        if (tables[i].relkind == 'p' || !is_under(&tables[i], root)) {
            continue;
        }
        if (!tables[i].published) {
            return false;
        }
        any = true;
    }
    return any;
}

void catalog_judge_tables(struct follow_table *tables, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct follow_table *t = &tables[i];
        t->published =
            t->published && t->relkind == 'r' && t->persistence == 'p' && has_identity(t);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (tables[i].relkind == 'p') {
            tables[i].published = leaves_published(tables, count, tables[i].oid);
        }
    }
}

/* --- templates ---------------------------------------------------------------------------------- */

static const struct follow_column *column_named(const struct follow_table *t, const char *name)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (strcmp(t->columns[i].name, name) == 0) {
            return &t->columns[i];
        }
    }
    return NULL;
}

static const char *unfollowed_table(const struct follow_table *t, const struct policy_template *pt)
{
    if (t == NULL) {
        return pt->schema != NULL ? "no such table" : "no such table on the search path";
    }
    if (t->relkind != 'r' && t->relkind != 'p') {
        return "it is not a table: name the tables that it reads";
    }
    if (t->persistence == 'u') {
        return "an unlogged table's changes are not in the WAL";
    }
    if (!t->published) {
        return "the table is not in the publication with all its operations and rows, or has no "
               "replica identity: run what `freshet setup-sql` prints";
    }
    return NULL;
}

static const char *unusable_columns(const struct follow_table *t, const struct policy_template *pt,
                                    struct follow_template *ft)
{
    for (uint32_t i = 0; i < pt->column_count; i++) {
        const struct follow_column *c = column_named(t, pt->columns[i]);
        if (c == NULL) {
            return "a placeholder is not a column of the table";
        }
        ft->kinds[i] = c->kind;
        if (c->kind == FOLLOW_KIND_OTHER) {
            return "a placeholder's column is not integer, text, varchar, uuid or date (with a "
                   "deterministic collation)";
        }
    }
    return NULL;
}

static const char *coarse(const struct follow_table *t, const struct policy_template *pt)
{
    for (uint32_t i = 0; i < pt->column_count; i++) {
        const struct follow_column *c = column_named(t, pt->columns[i]);
        if (c == NULL || !c->identity) {
            return "the replica identity lacks a placeholder's column: every UPDATE or DELETE "
                   "voids the whole template; ALTER TABLE ... REPLICA IDENTITY FULL makes it exact";
        }
    }
    return NULL;
}

void catalog_judge_template(const struct policy_template *pt, struct follow_template *ft)
{
    ft->why = unfollowed_table(ft->table, pt);
    if (ft->why == NULL) {
        ft->why = unusable_columns(ft->table, pt, ft);
    }
    ft->followed = ft->why == NULL;
    if (ft->followed) {
        ft->why = coarse(ft->table, pt);
    }
}
