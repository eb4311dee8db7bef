/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a transaction's changes to the marks it raises.
 *
 * Each change marks, for the table and each ancestor: `any`; the row, values and templates of the
 * new and of the old row. What the change does not carry escalates to `all`:
 *
 *     old value of column c      O tuple: there            K tuple, or none after an UPDATE: only if c
 *                                                          belongs to the replica identity
 *     new value of column c      there; "unchanged TOAST": as in an O tuple, else unknown
 *
 * A NULL is a known value that no row or value dependency can have. In a template it is nothing
 * either, unless the column is text, where a client's own word for NULL ("None") could be a value:
 * then `all`.
 *
 * Per transaction every wide mark is noted once (serial numbers, so nothing is cleared), and a
 * table with over DEPEND_FLOOD dependencies has its `all` and its templates' `all` noted instead of
 * more: a transaction of a million rows costs a thousand marks and a counter.
 *
 * A large transaction comes in blocks, and others commit between them: what it notes is its own until it
 * commits. A part of it that is undone (ROLLBACK TO) leaves its marks noted: too many, never too few. If a
 * catalog is installed between its blocks, it marks everything.
 *
 * Invariants: D1. Marks may be too many, never too few. D2. A relation that the catalog does not
 * know or describes otherwise is marked as a whole, and the catalog counts as outdated.
 */
#include "follow/depend.h"

#include "base/alloc.h"
#include "base/number.h"
#include "follow/depend_tx.h"

#include <stdio.h>
#include <stdlib.h>

struct depend {
    /* immutable */
    struct fresh *fresh;
    bool break_row_all;
    /* by catalog */
    struct relation_catalog with;
    struct follow_value_column *values;
    /* by connection */
    struct relation_cache relations;
    struct depend_tx_table in_blocks;
    /* by transaction */
    uint64_t serial;        /* of the latest */
    struct depend_tx whole; /* the one that comes whole */
    struct depend_tx *tx;   /* whose changes come now, or whose commit */
};

/* --- noting ------------------------------------------------------------------------------------- */

static void note(struct depend *d, fresh_dep dep)
{
    depend_tx_note(d->tx, dep);
}

static void note_any(struct depend *d, struct wide_state *s, fresh_wide wide)
{
    if (s->any != d->tx->serial) {
        s->any = d->tx->serial;
        note(d, fresh_dep_any(d->fresh, wide));
    }
}

static void note_all(struct depend *d, struct wide_state *s, fresh_wide wide)
{
    if (s->all != d->tx->serial && !d->break_row_all) {
        s->all = d->tx->serial;
        note(d, fresh_dep_all(d->fresh, wide));
    }
}

static void note_table(struct depend *d, uint32_t index, bool all)
{
    fresh_wide wide = d->with.catalog->tables[index].wide;
    note_any(d, &d->tx->tables[index].wide, wide);
    if (all) {
        note_all(d, &d->tx->tables[index].wide, wide);
    }
}

static void note_template(struct depend *d, uint32_t index, bool all)
{
    fresh_wide wide = d->with.catalog->templates[index].wide;
    note_any(d, &d->tx->templates[index], wide);
    if (all) {
        note_all(d, &d->tx->templates[index], wide);
    }
}

/* Everything of one table: TRUNCATE, DDL, a description that does not fit. */
static void note_whole_table(struct depend *d, uint32_t index)
{
    const struct follow_table *table = &d->with.catalog->tables[index];
    note_table(d, index, true);
    for (uint32_t i = 0; i < d->with.catalog->template_count; i++) {
        if (d->with.catalog->templates[i].table == table) {
            note_template(d, i, true);
        }
    }
}

static void note_everything(struct depend *d)
{
    for (uint32_t i = 0; i < d->with.catalog->table_count; i++) {
        note_whole_table(d, i);
    }
}

/* A table that the catalog does not have. Only the stream names such tables, so they are few. */
static void note_stranger(struct depend *d, uint32_t oid)
{
    char name[32];
    int len = snprintf(name, sizeof(name), "t:%u", oid);
    fresh_wide wide = fresh_register(d->fresh, (struct slice){name, (size_t)len});
    note(d, fresh_dep_any(d->fresh, wide));
    note(d, fresh_dep_all(d->fresh, wide));
    d->tx->outdated = true;
}

static void note_relation(struct depend *d, const struct relation *r)
{
    if (d->tx->crossed) {
        return; /* everything is marked when it commits */
    }
    for (uint32_t i = 0; i < r->target_count; i++) {
        note_whole_table(d, r->targets[i].table_index);
    }
    if (!r->known) {
        note_stranger(d, r->oid);
    }
}

/* --- values ------------------------------------------------------------------------------------- */

enum side { SIDE_OLD, SIDE_NEW };
enum known { KNOWN, KNOWN_NULL, UNKNOWN };

struct change {
    enum decode_kind kind;
    const struct relation *relation;
    const struct decode_row *row;
};

static enum known value_in(const struct decode_tuple *tuple, int32_t column, struct slice *ret_text)
{
    const struct decode_value *v = &tuple->values[column];
    *ret_text = v->text;
    return v->kind == DECODE_TEXT ? KNOWN : v->kind == DECODE_NULL ? KNOWN_NULL : UNKNOWN;
}

static enum known value_of(const struct change *c, enum side side, int32_t column,
                           struct slice *ret_text)
{
    const struct decode_row *row = c->row;
    if (column < 0) {
        return UNKNOWN;
    }
    bool identity = c->relation->columns[column].identity;
    if (side == SIDE_OLD && row->old_kind != DECODE_OLD_NONE) {
        bool told = row->old_kind == DECODE_OLD_FULL || identity;
        return told ? value_in(&row->old_row, column, ret_text) : UNKNOWN;
    }
    if (side == SIDE_OLD && !identity) {
        return UNKNOWN;
    }
    /* The new value; or the old one of an UPDATE that left the replica identity alone. */
    enum known k = value_in(&row->new_row, column, ret_text);
    if (k == UNKNOWN && row->old_kind == DECODE_OLD_FULL) {
        return value_in(&row->old_row, column, ret_text);
    }
    return k;
}

static enum known gather(const struct change *c, enum side side, const struct relation_item *item,
                         struct slice *ret_values)
{
    enum known result = KNOWN;
    for (uint32_t i = 0; i < item->column_count; i++) {
        enum known k = value_of(c, side, item->columns[i], &ret_values[i]);
        if (k > result) {
            result = k;
        }
    }
    return result;
}

/* --- items -------------------------------------------------------------------------------------- */

static uint64_t item_hash(const struct depend *d, const struct relation_target *target,
                          const struct relation_item *item, const struct slice *values)
{
    uint32_t oid = d->with.catalog->tables[target->table_index].oid;
    switch (item->kind) {
    case RELATION_ROW:
        return follow_row_hash(oid, values, item->column_count);
    case RELATION_VALUE:
        return follow_value_hash(oid, item->attnum, values[0]);
    case RELATION_TEMPLATE:
        return policy_template_hash(&d->with.catalog->policy->templates[item->template_index],
                                    values);
    }
    unreachable();
}

/* Could a client have put a word of its own where this row has NULL? */
static bool null_has_words(const struct depend *d, const struct relation_item *item)
{
    if (item->kind != RELATION_TEMPLATE) {
        return false;
    }
    const struct follow_template *t = &d->with.catalog->templates[item->template_index];
    for (uint32_t i = 0; i < item->column_count; i++) {
        if (t->kinds[i] == FOLLOW_KIND_TEXT) {
            return true;
        }
    }
    return false;
}

static void note_item_all(struct depend *d, const struct relation_target *target,
                          const struct relation_item *item)
{
    if (item->kind == RELATION_TEMPLATE) {
        note_template(d, item->template_index, true);
    } else {
        note_table(d, target->table_index, true);
    }
}

static void note_hash(struct depend *d, const struct relation_target *target, uint64_t hash)
{
    note(d, fresh_dep_hash(d->fresh, hash));
    struct table_state *s = &d->tx->tables[target->table_index];
    if (s->counting != d->tx->serial) {
        s->counting = d->tx->serial;
        s->count = 0;
    }
    s->count++;
}

static void note_item(struct depend *d, const struct change *c,
                      const struct relation_target *target, const struct relation_item *item)
{
    struct slice values[RELATION_ITEM_COLUMNS_MAX];
    if (item->kind == RELATION_TEMPLATE) {
        note_template(d, item->template_index, false);
    }
    if (item->column_count == 0) {
        return; /* a template that depends on every change: `any` says it */
    }
    uint64_t other = 0;
    bool has_other = false;
    for (enum side side = SIDE_OLD; side <= SIDE_NEW; side++) {
        if (c->kind == (side == SIDE_OLD ? DECODE_INSERT : DECODE_DELETE)) {
            continue;
        }
        enum known k = gather(c, side, item, values);
        if (k == UNKNOWN || (k == KNOWN_NULL && null_has_words(d, item))) {
            note_item_all(d, target, item);
        } else if (k == KNOWN) {
            uint64_t hash = item_hash(d, target, item, values);
            if (!has_other || hash != other) {
                note_hash(d, target, hash);
            }
            other = hash;
            has_other = true;
        }
    }
}

static void note_flood(struct depend *d, const struct relation_target *target)
{
    d->tx->tables[target->table_index].flooded = d->tx->serial;
    note_whole_table(d, target->table_index);
}

static void note_target(struct depend *d, const struct change *c,
                        const struct relation_target *target)
{
    struct table_state *s = &d->tx->tables[target->table_index];
    if (s->flooded == d->tx->serial) {
        return;
    }
    note_table(d, target->table_index, false);
    for (uint32_t i = 0; i < target->item_count; i++) {
        note_item(d, c, target, &target->items[i]);
    }
    if (s->counting == d->tx->serial && s->count > DEPEND_FLOOD) {
        note_flood(d, target);
    }
}

/* --- the face ----------------------------------------------------------------------------------- */

struct depend *depend_create(struct fresh *f, bool break_row_all)
{
    struct depend *d = xcalloc(1, sizeof(*d));
    d->fresh = f;
    d->break_row_all = break_row_all;
    d->tx = &d->whole;
    return d;
}

static void forget_catalog(struct depend *d)
{
    if (d->with.catalog != NULL) {
        follow_catalog_unref(d->with.catalog);
    }
    free(d->values);
}

void depend_destroy(struct depend **dp)
{
    struct depend *d = *dp;
    *dp = NULL;
    if (d != NULL) {
        forget_catalog(d);
        relation_cache_clear(&d->relations);
        depend_tx_clear(&d->in_blocks);
        depend_tx_fini(&d->whole);
        free(d);
    }
}

void depend_install(struct depend *d, const struct follow_catalog *catalog,
                    const struct follow_value_column *values, uint32_t value_count)
{
    follow_catalog_ref(catalog);
    forget_catalog(d);
    d->values = xcalloc(value_count + 1, sizeof(*d->values));
    if (value_count > 0) {
        memcpy(d->values, values, value_count * sizeof(*values));
    }
    depend_tx_fit(&d->whole, catalog->table_count, catalog->template_count);
    for (uint32_t i = 0; i < d->in_blocks.count; i++) {
        d->in_blocks.at[i]->crossed = true;
    }
    d->with.catalog = catalog;
    d->with.values = d->values;
    d->with.value_count = value_count;
    d->with.serial++;
}

const struct follow_catalog *depend_catalog(const struct depend *d)
{
    return d->with.catalog;
}

void depend_reset(struct depend *d)
{
    relation_cache_clear(&d->relations);
    depend_tx_clear(&d->in_blocks);
    depend_begin(d);
}

void depend_begin(struct depend *d)
{
    d->tx = &d->whole;
    depend_tx_begin(d->tx, ++d->serial);
}

void depend_block_begin(struct depend *d, uint32_t xid)
{
    d->tx = depend_tx_find(&d->in_blocks, xid);
    if (d->tx == NULL) {
        d->tx = depend_tx_add(&d->in_blocks, xid);
        depend_tx_fit(d->tx, d->with.catalog->table_count, d->with.catalog->template_count);
        depend_tx_begin(d->tx, ++d->serial);
    }
}

void depend_block_end(struct depend *d)
{
    depend_begin(d);
}

bool depend_choose(struct depend *d, uint32_t xid)
{
    struct depend_tx *tx = depend_tx_find(&d->in_blocks, xid);
    if (tx == NULL) {
        return false;
    }
    relation_cache_merge(&d->relations, &tx->relations);
    d->tx = tx;
    if (tx->crossed) {
        /* What it noted before speaks of the old catalog, and its rows since were not looked at. */
        depend_tx_fit(tx, d->with.catalog->table_count, d->with.catalog->template_count);
        note_everything(d);
    }
    return true;
}

void depend_forget(struct depend *d, uint32_t xid)
{
    depend_begin(d);
    depend_tx_drop(&d->in_blocks, xid);
}

void depend_relation(struct depend *d, const struct decode_relation *from)
{
    bool whole = d->tx == &d->whole;
    struct relation *r = relation_cache_put(whole ? &d->relations : &d->tx->relations, from);
    relation_resolve(r, &d->with);
    if (!r->fits) {
        d->tx->outdated = true;
        note_relation(d, r);
    }
}

static struct relation *find_relation(struct depend *d, uint32_t oid)
{
    struct relation *r = relation_cache_find(&d->tx->relations, oid);
    if (r == NULL) {
        r = relation_cache_find(&d->relations, oid);
    }
    if (r != NULL) {
        relation_resolve(r, &d->with);
    }
    return r;
}

bool depend_row(struct depend *d, enum decode_kind kind, const struct decode_row *row)
{
    const struct relation *r = find_relation(d, row->relation);
    bool new_fits = kind == DECODE_DELETE || (r != NULL && row->new_row.count == r->column_count);
    bool old_fits =
        row->old_kind == DECODE_OLD_NONE || (r != NULL && row->old_row.count == r->column_count);
    if (r == NULL || !new_fits || !old_fits) {
        return false;
    }
    d->tx->rows++;
    if (!r->fits) {
        d->tx->outdated = true;
        note_relation(d, r);
        return true;
    }
    if (d->tx->crossed) {
        return true;
    }
    struct change c = {.kind = kind, .relation = r, .row = row};
    for (uint32_t i = 0; i < r->target_count; i++) {
        note_target(d, &c, &r->targets[i]);
    }
    return true;
}

bool depend_truncate(struct depend *d, const struct decode_truncate *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        const struct relation *r = find_relation(d, t->relations[i]);
        if (r == NULL) {
            return false;
        }
        d->tx->outdated = d->tx->outdated || !r->fits;
        note_relation(d, r);
    }
    return true;
}

/* The table itself, its ancestors, and what inherits from it. */
static void note_family(struct depend *d, uint32_t oid)
{
    const struct follow_catalog *c = d->with.catalog;
    for (uint32_t i = 0; i < c->table_count; i++) {
        const struct follow_table *t = &c->tables[i];
        bool related = t->oid == oid;
        for (uint32_t k = 0; k < t->ancestor_count && !related; k++) {
            related = t->ancestors[k] == oid;
        }
        if (related) {
            note_whole_table(d, i);
        }
        for (uint32_t k = 0; k < t->ancestor_count && t->oid == oid; k++) {
            const struct follow_table *up = follow_catalog_find(c, t->ancestors[k]);
            if (up != NULL) {
                note_whole_table(d, (uint32_t)(up - c->tables));
            }
        }
    }
}

void depend_ddl(struct depend *d, struct slice content)
{
    const char *space = content.len > 0 ? memchr(content.ptr, ' ', content.len) : NULL;
    uint64_t oid = 0;
    if (space == NULL ||
        !number_parse_u64(slice_from(content, (size_t)(space - content.ptr) + 1), &oid) ||
        oid > UINT32_MAX) {
        d->tx->crossed = d->tx != &d->whole; /* one that comes in blocks: when it commits */
        if (!d->tx->crossed) {
            note_everything(d);
        }
        d->tx->outdated = true;
        return;
    }
    if (!d->tx->crossed) {
        note_family(d, (uint32_t)oid);
    }
    /* A REFRESH changes rows, not the schema. */
    bool refreshed =
        slice_is((struct slice){content.ptr, (size_t)(space - content.ptr)}, "matview") &&
        follow_catalog_find(d->with.catalog, (uint32_t)oid) != NULL;
    d->tx->outdated = d->tx->outdated || !refreshed;
}

const fresh_dep *depend_deps(const struct depend *d, uint32_t *ret_count)
{
    *ret_count = d->tx->count;
    return d->tx->deps;
}

uint64_t depend_row_count(const struct depend *d)
{
    return d->tx->rows;
}

bool depend_outdated(const struct depend *d)
{
    return d->tx->outdated;
}
