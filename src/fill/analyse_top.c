/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which columns the top query's WHERE binds to parameters.
 *
 *     QUERY.jointree.FROMEXPR.quals = [BOOLEXPR and] OPEXPR(VAR, PARAM), either way round
 *
 * Why the top WHERE is enough for a row dependency, joins or not: a joined row that holds row t of
 * T is decided by t and the other relations alone, as long as T stands in the statement once; and
 * every joined row without the wanted t is filtered out before anything else looks at it. ON
 * clauses are therefore not read.
 *
 * Invariants: only relabelling (varchar to text) may stand between operator, column and parameter;
 * the comparison uses the column's own collation. Whether the operator is an equality is judged in
 * verdict.c.
 *
 * Threads: none shared. Not done: constants (`id = 7`), views (`WHERE id = $1` outside of the
 * view).
 */
#include "fill/analyse_priv.h"

struct top {
    struct arena *arena;
    struct facts *facts;
    const struct node *query;
};

static const struct node *unwrap(const struct node *n)
{
    while (node_is(n, "RELABELTYPE")) {
        n = node_field(n, "arg");
    }
    return n;
}

static const struct node *range_entry(const struct node *query, uint32_t index)
{
    const struct node *rte = node_items(query, "rtable");
    for (uint32_t i = 1; rte != NULL && i < index; i++) {
        rte = rte->next;
    }
    return index > 0 ? rte : NULL;
}

static void note_equal(struct top *t, const struct node *op, const struct node *var,
                       const struct node *param)
{
    int64_t attnum = 0;
    if (!node_is(var, "VAR") || !node_is(param, "PARAM") || !node_says(param, "paramkind", "0") ||
        !node_says(var, "varlevelsup", "0") || !node_int(var, "varattno", &attnum) || attnum <= 0 ||
        attnum > INT16_MAX) {
        return;
    }
    const struct node *rte = range_entry(t->query, node_oid(var, "varno"));
    uint32_t paramid = node_oid(param, "paramid");
    uint32_t collation = node_oid(op, "inputcollid");
    bool own_collation = collation == 0 || collation == node_oid(var, "varcollid");
    if (!node_says(rte, "rtekind", "0") || paramid == 0 || paramid > UINT16_MAX || !own_collation) {
        return;
    }
    struct facts *f = t->facts;
    f->equals = facts_grow(t->arena, f->equals, f->equal_count, sizeof *f->equals, &f->equal_room);
    f->equals[f->equal_count++] = (struct facts_equal){
        .table_oid = node_oid(rte, "relid"),
        .attnum = (int16_t)attnum,
        .param = (uint16_t)(paramid - 1),
        .op = node_oid(op, "opno"),
        .param_type = node_oid(param, "paramtype"),
    };
}

static void note_quals(struct top *t, const struct node *qual)
{
    const struct node *args = node_items(qual, "args");
    if (node_is(qual, "BOOLEXPR") && node_says(qual, "boolop", "and")) {
        for (; args != NULL; args = args->next) {
            note_quals(t, args);
        }
    } else if (node_is(qual, "OPEXPR") && args != NULL && args->next != NULL) {
        const struct node *left = unwrap(args);
        const struct node *right = unwrap(args->next);
        note_equal(t, qual, left, right);
        note_equal(t, qual, right, left);
    }
}

void analyse_top(struct arena *a, struct facts *f, const struct node *query)
{
    struct top t = {.arena = a, .facts = f, .query = query};
    for (const struct node *rte = node_items(query, "rtable"); rte != NULL; rte = rte->next) {
        if (node_says(rte, "rtekind", "0")) {
            facts_relation(a, f, node_oid(rte, "relid"))->on_top = true;
        }
    }
    note_quals(&t, node_field(node_field(query, "jointree"), "quals"));
}
