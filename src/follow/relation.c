/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The relation cache, and the way from a relation's columns to the dependencies of its rows.
 *
 * Columns are joined by name: the stream, the catalog's table and each ancestor number them
 * differently. A column that the stream lacks stays -1, and whatever needs it escalates to the wide
 * mark later.
 *
 * Invariant R1. `fits` is true only if every column of the stream is in the catalog under the same
 * name and type, every column that the catalog says is streamed is in the stream, and name and
 * identity agree. A relation that does not fit is marked as a whole, whatever its rows say.
 */
#include "follow/relation.h"

#include "base/alloc.h"

#include <stdlib.h>

/* --- the cache ---------------------------------------------------------------------------------- */

static void relation_free(struct relation *r)
{
    arena_fini(&r->described);
    arena_fini(&r->resolved);
    free(r);
}

void relation_cache_clear(struct relation_cache *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        relation_free(c->at[i]);
    }
    free(c->at);
    *c = (struct relation_cache){0};
}

/* The first place whose oid is not below `oid`. */
static uint32_t place_of(const struct relation_cache *c, uint32_t oid)
{
    uint32_t low = 0;
    uint32_t high = c->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->at[middle]->oid < oid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct relation *relation_cache_find(struct relation_cache *c, uint32_t oid)
{
    if (c->last != NULL && c->last->oid == oid) {
        return c->last;
    }
    uint32_t i = place_of(c, oid);
    if (i == c->count || c->at[i]->oid != oid) {
        return NULL;
    }
    c->last = c->at[i];
    return c->last;
}

static struct relation *relation_describe(const struct decode_relation *from)
{
    struct relation *r = xcalloc(1, sizeof(*r));
    arena_init(&r->described);
    arena_init(&r->resolved);
    r->oid = from->oid;
    r->identity = from->identity;
    r->schema = arena_dup_slice(&r->described, from->schema);
    r->name = arena_dup_slice(&r->described, from->name);
    struct relation_column *columns =
        arena_alloc(&r->described, (from->column_count + 1) * sizeof(*columns));
    for (uint32_t i = 0; i < from->column_count; i++) {
        columns[i].name = arena_dup_slice(&r->described, from->columns[i].name);
        columns[i].type_oid = from->columns[i].type_oid;
        columns[i].identity = from->columns[i].identity;
    }
    r->columns = columns;
    r->column_count = from->column_count;
    return r;
}

static void put(struct relation_cache *c, struct relation *r)
{
    uint32_t i = place_of(c, r->oid);
    c->last = r;
    if (i < c->count && c->at[i]->oid == r->oid) {
        relation_free(c->at[i]);
        c->at[i] = r;
        return;
    }
    if (c->count == c->cap) {
        c->cap = c->cap > 0 ? c->cap * 2 : 64;
        c->at = xrealloc(c->at, c->cap * sizeof(struct relation *));
    }
    memmove(&c->at[i + 1], &c->at[i], (c->count - i) * sizeof(struct relation *));
    c->at[i] = r;
    c->count++;
}

struct relation *relation_cache_put(struct relation_cache *c, const struct decode_relation *from)
{
    struct relation *r = relation_describe(from);
    put(c, r);
    return r;
}

void relation_cache_merge(struct relation_cache *to, struct relation_cache *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        put(to, from->at[i]);
    }
    free(from->at);
    *from = (struct relation_cache){0};
}

/* --- fitting ------------------------------------------------------------------------------------ */

static int32_t column_named(const struct relation *r, const char *name)
{
    for (uint32_t i = 0; i < r->column_count; i++) {
        if (strcmp(r->columns[i].name, name) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

static const struct follow_column *table_column(const struct follow_table *t, const char *name)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (strcmp(t->columns[i].name, name) == 0) {
            return &t->columns[i];
        }
    }
    return NULL;
}

static bool relation_fits(const struct relation *r, const struct follow_table *t)
{
    if (r->identity != t->identity || strcmp(r->schema, t->schema) != 0 ||
        strcmp(r->name, t->name) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < r->column_count; i++) {
        const struct follow_column *c = table_column(t, r->columns[i].name);
        if (c == NULL || c->type_oid != r->columns[i].type_oid) {
            return false;
        }
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].streamed && column_named(r, t->columns[i].name) < 0) {
            return false;
        }
    }
    return true;
}

/* --- targets ------------------------------------------------------------------------------------ */

/* Collects the items of one target. */
struct gathering {
    struct relation *relation;
    const struct relation_catalog *with;
    const struct follow_table *table;
    struct relation_item *items;
    uint32_t count;
};

static int32_t *item_columns(struct gathering *g, uint32_t count)
{
    return arena_alloc(&g->relation->resolved, (count + 1) * sizeof(int32_t));
}

static void gather_row(struct gathering *g)
{
    const struct follow_table *t = g->table;
    if (t->key_count == 0 || t->key_count > RELATION_ITEM_COLUMNS_MAX) {
        return;
    }
    int32_t *columns = item_columns(g, t->key_count);
    for (uint32_t i = 0; i < t->key_count; i++) {
        const struct follow_column *c = &t->columns[t->key[i]];
        if (c->kind == FOLLOW_KIND_OTHER) {
            return; /* no statement can depend on such a row by its key */
        }
        columns[i] = column_named(g->relation, c->name);
    }
    g->items[g->count++] = (struct relation_item){
        .kind = RELATION_ROW, .columns = columns, .column_count = t->key_count};
}

static void gather_values(struct gathering *g)
{
    const struct follow_table *t = g->table;
    for (uint32_t i = 0; i < g->with->value_count; i++) {
        const struct follow_value_column *v = &g->with->values[i];
        for (uint32_t k = 0; k < t->column_count && v->table_oid == t->oid; k++) {
            if (t->columns[k].attnum == v->attnum) {
                int32_t *columns = item_columns(g, 1);
                columns[0] = column_named(g->relation, t->columns[k].name);
                g->items[g->count++] = (struct relation_item){.kind = RELATION_VALUE,
                                                              .attnum = v->attnum,
                                                              .columns = columns,
                                                              .column_count = 1};
            }
        }
    }
}

static void gather_templates(struct gathering *g)
{
    const struct policy *p = g->with->catalog->policy;
    for (uint32_t i = 0; i < p->template_count; i++) {
        const struct follow_template *ft = &g->with->catalog->templates[i];
        if (ft->table != g->table || !ft->followed) {
            continue;
        }
        const struct policy_template *t = &p->templates[i];
        int32_t *columns = item_columns(g, t->column_count);
        for (uint32_t k = 0; k < t->column_count; k++) {
            columns[k] = column_named(g->relation, t->columns[k]);
        }
        g->items[g->count++] = (struct relation_item){.kind = RELATION_TEMPLATE,
                                                      .template_index = i,
                                                      .columns = columns,
                                                      .column_count = t->column_count};
    }
}

static void resolve_target(struct relation *r, const struct relation_catalog *with,
                           const struct follow_table *table, struct relation_target *ret_target)
{
    size_t most = 1 + with->value_count + with->catalog->policy->template_count;
    struct gathering g = {.relation = r, .with = with, .table = table};
    g.items = arena_alloc(&r->resolved, most * sizeof(*g.items));
    gather_row(&g);
    gather_values(&g);
    gather_templates(&g);
    *ret_target = (struct relation_target){
        .table_index = (uint32_t)(table - with->catalog->tables),
        .items = g.items,
        .item_count = g.count,
    };
}

void relation_resolve(struct relation *r, const struct relation_catalog *with)
{
    if (r->resolved_for == with->serial) {
        return;
    }
    arena_fini(&r->resolved);
    arena_init(&r->resolved);
    r->resolved_for = with->serial;
    r->target_count = 0;
    const struct follow_table *table = follow_catalog_find(with->catalog, r->oid);
    r->known = table != NULL;
    r->fits = r->known && relation_fits(r, table);
    if (!r->known) {
        return;
    }
    struct relation_target *targets =
        arena_alloc(&r->resolved, (1 + table->ancestor_count) * sizeof(*targets));
    resolve_target(r, with, table, &targets[r->target_count++]);
    for (uint32_t i = 0; i < table->ancestor_count; i++) {
        const struct follow_table *up = follow_catalog_find(with->catalog, table->ancestors[i]);
        if (up != NULL) {
            resolve_target(r, with, up, &targets[r->target_count++]);
        }
    }
    r->targets = targets;
}
