/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From "it depends on the table" to "it depends on one row, or on one value of a column".
 *
 * Row: one table of the top query, named once in the whole statement, whose every primary key
 * column is AND-ed equal to a parameter (analyse_top.c says why joins do no harm). Every other
 * relation keeps its table dependency. Value: the same with any one column of a table whose old
 * rows the WAL carries whole (REPLICA IDENTITY FULL); elsewhere each UPDATE would void all values
 * anyway.
 *
 * Invariants: both need values that are written in one way only, since the follower compares texts,
 * and equality as PostgreSQL's own btree operators see it.
 *
 * Threads: none shared. Not done: several rows in one statement; `pk = constant`; `pk = ANY`.
 */
#include "base/check.h"
#include "fill/verdict.h"

/* PostgreSQL's own equality operators, by what they compare. */
static bool is_equality(enum follow_kind kind, uint32_t op)
{
    switch (kind) {
    case FOLLOW_KIND_INTEGER: /* int2, int4, int8 in every pairing */
        return op == 94 || op == 96 || op == 410 || op == 532 || op == 533 || op == 1862 ||
               op == 1868 || op == 15 || op == 416;
    case FOLLOW_KIND_TEXT:
        return op == 98;
    case FOLLOW_KIND_UUID:
        return op == 2972;
    case FOLLOW_KIND_DATE:
        return op == 1093;
    case FOLLOW_KIND_OTHER:
        return false;
    }
    return false;
}

/* The equality that binds this column, or NULL. */
static const struct facts_equal *binding(const struct facts *f, const struct follow_table *t,
                                         const struct follow_column *column)
{
    if (column->kind == FOLLOW_KIND_TEXT && !column->collation_deterministic) {
        return NULL;
    }
    for (uint32_t i = 0; i < f->equal_count; i++) {
        const struct facts_equal *e = &f->equals[i];
        if (e->table_oid == t->oid && e->attnum == column->attnum &&
            is_equality(column->kind, e->op) &&
            follow_kind_of_type(e->param_type) == column->kind) {
            return e;
        }
    }
    return NULL;
}

static bool bind_row(const struct facts *f, const struct follow_table *t, struct plan_row *ret_row)
{
    struct plan_row row = {.table_oid = t->oid, .count = t->key_count};
    if (t->key_count == 0 || t->key_count > array_len(row.param)) {
        return false;
    }
    for (uint32_t i = 0; i < t->key_count; i++) {
        const struct follow_column *column = &t->columns[t->key[i]];
        const struct facts_equal *e = binding(f, t, column);
        if (e == NULL) {
            return false;
        }
        row.param[i] = e->param;
        row.kind[i] = column->kind;
    }
    *ret_row = row;
    return true;
}

static bool bind_value(const struct facts *f, const struct follow_table *t,
                       struct plan_value *ret_value)
{
    if (t->identity != 'f') {
        return false;
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct facts_equal *e = binding(f, t, &t->columns[i]);
        if (e != NULL) {
            *ret_value = (struct plan_value){.table_oid = t->oid,
                                             .attnum = e->attnum,
                                             .param = e->param,
                                             .kind = t->columns[i].kind};
            return true;
        }
    }
    return false;
}

/* The table, when its one place in the statement is the top query. Heirs are fine: what changes in
 * them marks their ancestors' rows and values too. */
static const struct follow_table *narrowable(const struct follow_catalog *c,
                                             const struct facts_relation *r)
{
    bool fits = r->on_top && r->uses == 1 && (r->relkind == 'r' || r->relkind == 'p');
    return fits ? follow_catalog_find(c, r->oid) : NULL;
}

void verdict_narrow(const struct facts *f, const struct follow_catalog *c, struct plan_route *r)
{
    for (uint32_t i = 0; i < f->relation_count && r->row.count == 0; i++) {
        const struct follow_table *t = narrowable(c, &f->relations[i]);
        if (t != NULL) {
            (void)bind_row(f, t, &r->row);
        }
    }
    for (uint32_t i = 0; i < f->relation_count && r->row.count == 0; i++) {
        const struct follow_table *t = narrowable(c, &f->relations[i]);
        if (t != NULL && bind_value(f, t, &r->value)) {
            return;
        }
    }
}
