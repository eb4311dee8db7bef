/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Can answers that read a relation be followed? By what the catalog says of it: its kind, its
 * persistence, the publication, the replica identity, and whether schema changes reach the
 * follower.
 *
 * Invariants: V3. Heirs (partitions, inheritance children) are read with the table, so a table is
 * followed only if every heir is; and since attaching or detaching one leaves no trace in the
 * stream of rows, only if schema changes are seen.
 *
 * Threads: any; the catalog is immutable.
 */
#include "fill/verdict.h"

static bool descends_from(const struct follow_table *t, uint32_t oid)
{
    for (uint32_t i = 0; i < t->ancestor_count; i++) {
        if (t->ancestors[i] == oid) {
            return true;
        }
    }
    return false;
}

static const char *unpublished(const struct follow_catalog *c, const struct follow_table *t)
{
    if (!c->publication_exists) {
        return "the publication does not exist: run what `freshet setup-sql` prints";
    }
    if (t->identity == 'n' || (t->identity == 'd' && t->key_count == 0)) {
        return "it has no primary key, so its UPDATEs and DELETEs cannot be followed: add one, or "
               "ALTER TABLE ... REPLICA IDENTITY FULL, then run what `freshet setup-sql` prints";
    }
    return "it is not in the publication: run what `freshet setup-sql` prints";
}

/* V3. Sets whether there are heirs at all. */
static const char *heirs_trouble(const struct follow_catalog *c, const struct follow_table *t,
                                 bool *ret_has_heirs)
{
    *ret_has_heirs = false;
    for (uint32_t i = 0; i < c->table_count; i++) {
        const struct follow_table *heir = &c->tables[i];
        if (!descends_from(heir, t->oid)) {
            continue;
        }
        *ret_has_heirs = true;
        if (heir->relkind == 'f') {
            return "one of its partitions is a foreign table";
        }
        if (heir->relkind == 'r' && !heir->published) {
            return "one of its partitions is not in the publication, or has no replica identity: "
                   "run what "
                   "`freshet setup-sql` prints";
        }
    }
    return NULL;
}

static const char *table_trouble(const struct follow_catalog *c, const struct follow_table *t)
{
    bool has_heirs = false;
    const char *why = heirs_trouble(c, t, &has_heirs);
    if (why != NULL) {
        return why;
    }
    bool rows_follow = t->published || (t->relkind == 'p' && has_heirs);
    if (!rows_follow) {
        return unpublished(c, t);
    }
    if ((has_heirs || t->relkind == 'p') && !c->sees_ddl) {
        return "attached and detached partitions are seen only with freshet's event trigger: run "
               "what "
               "`freshet setup-sql` prints";
    }
    return NULL;
}

const char *plan_unfollowed(const struct follow_catalog *c, const struct follow_table *t)
{
    if (t == NULL) {
        return "it is temporary, or newer than what freshet knows of the schema";
    }
    if (t->relkind == 'v') {
        return NULL;
    }
    if (t->persistence == 'u') {
        return "an unlogged table's changes are not in the WAL";
    }
    if (t->persistence == 't') {
        return "it is temporary";
    }
    switch (t->relkind) {
    case 'r':
    case 'p':
        return table_trouble(c, t);
    case 'm':
        return c->sees_ddl ? NULL
                           : "a REFRESH is seen only with freshet's event trigger: run what "
                             "`freshet setup-sql` prints";
    case 'f':
        return "a foreign table's changes happen elsewhere";
    default:
        return "only tables and materialized views can be followed";
    }
}
