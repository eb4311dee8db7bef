/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a rewritten parse tree to facts: one walk over every node of every query, sub-query, view
 * and row security policy.
 *
 * How: a table says for each label what to note; a label that is not in the table is an expression
 * that this reader does not know, and its statement will not be cached.
 *
 * Invariants: A1. A node kind is either known or reported. A2. A relation is noted wherever it
 * stands. A3. Functions behind operators are found through the operator, since the function's
 * own field need not be filled in views.
 *
 * Labels and fields are those of PostgreSQL 15; 16 and 17 moved the privileges into
 * RTEPERMISSIONINFO and added JSON constructors. Threads: none shared. Not done: what functions do
 * inside (functions.c), implicit output of values (fixed by the session).
 */
#include "fill/analyse.h"

#include "base/check.h"
#include "base/number.h"
#include "fill/analyse_priv.h"

struct walk {
    struct arena *arena;
    struct facts *facts;
};

/* --- one note per label --------------------------------------------------------------------------
 */

typedef void note_fn(struct walk *w, const struct node *n);

static void note_unknown(struct walk *w, const struct node *n)
{
    if (w->facts->unknown.len == 0) {
        w->facts->unknown = n->text;
    }
}

enum command { COMMAND_SELECT = 1, COMMAND_MERGE = 5 }; /* 2 to 5 write, above: utility */

static void note_query(struct walk *w, const struct node *n)
{
    uint32_t command = node_oid(n, "commandType");
    if (command < COMMAND_SELECT) {
        note_unknown(w, n);
    }
    w->facts->writes |= command > COMMAND_SELECT && command <= COMMAND_MERGE;
    w->facts->is_utility |= command > COMMAND_MERGE;
    w->facts->locks_rows |=
        node_items(n, "rowMarks") != NULL || node_says(n, "hasForUpdate", "true");
}

enum { RTE_RELATION = 0, RTE_LAST_KNOWN = 8 };
enum { RELKIND_EXCLUDED = 'c' }; /* "excluded" of ON CONFLICT: the target's oid, nothing is read */

static void note_permission(struct walk *w, const struct node *n)
{
    uint32_t oid = node_oid(n, "relid");
    if (oid != 0 && node_oid(n, "checkAsUser") == 0) {
        facts_relation(w->arena, w->facts, oid)->perms |= node_oid(n, "requiredPerms");
    }
}

static void note_range(struct walk *w, const struct node *n)
{
    int64_t kind = -1;
    if (!node_int(n, "rtekind", &kind) || kind < RTE_RELATION || kind > RTE_LAST_KNOWN) {
        note_unknown(w, n);
        return;
    }
    if (kind != RTE_RELATION) {
        return;
    }
    const struct node *relkind = node_field(n, "relkind");
    uint32_t oid = node_oid(n, "relid");
    if (oid == 0 || relkind == NULL || relkind->text.len != 1) {
        note_unknown(w, n);
        return;
    }
    note_permission(w, n);
    if (relkind->text.ptr[0] != RELKIND_EXCLUDED) {
        struct facts_relation *r = facts_relation(w->arena, w->facts, oid);
        r->relkind = relkind->text.ptr[0];
        r->uses++;
    }
}

static void note_function(struct walk *w, const struct node *n)
{
    static const char *const fields[] = {"funcid", "aggfnoid", "winfnoid", "startInRangeFunc",
                                         "endInRangeFunc"};
    for (size_t i = 0; i < array_len(fields); i++) {
        oid_set_add(w->arena, &w->facts->functions, node_oid(n, fields[i]));
    }
}

static void note_operator(struct walk *w, const struct node *n)
{
    static const char *const fields[] = {"opno", "eqop", "sortop", "cycle_mark_neop"};
    for (size_t i = 0; i < array_len(fields); i++) {
        oid_set_add(w->arena, &w->facts->operators, node_oid(n, fields[i]));
    }
    for (const struct node *item = node_items(n, "opnos"); item != NULL; item = item->next) {
        int64_t oid = 0; /* the first word of the list is "o" */
        if (number_parse_i64(item->text, &oid) && oid > 0 && oid <= UINT32_MAX) {
            oid_set_add(w->arena, &w->facts->operators, (uint32_t)oid);
        }
    }
}

static void note_input(struct walk *w, const struct node *n)
{
    oid_set_add(w->arena, &w->facts->input_types, node_oid(n, "resulttype"));
}

enum { CURRENT_DATE_FIRST = 0, LOCALTIMESTAMP_LAST = 8, CURRENT_CATALOG = 13 };

/* The role and the database are the connection's, fixed for all answers: only time and path vary.
 */
static void note_sql_value(struct walk *w, const struct node *n)
{
    int64_t op = -1;
    if (!node_int(n, "op", &op) || op < CURRENT_DATE_FIRST) {
        note_unknown(w, n);
        return;
    }
    w->facts->reads_clock |= op <= LOCALTIMESTAMP_LAST;
    w->facts->reads_search_path |= op > CURRENT_CATALOG;
}

static void note_next_value(struct walk *w, const struct node *n)
{
    (void)n;
    w->facts->draws_sequence = true;
}

static void note_sample(struct walk *w, const struct node *n)
{
    (void)n;
    w->facts->samples = true;
}

static void note_row_mark(struct walk *w, const struct node *n)
{
    (void)n;
    w->facts->locks_rows = true;
}

enum { TYPE_REGCLASS = 2205 };

/* The four bytes of a regclass literal, as a little-endian server writes them: "4 [ -81 64 0 0 ...
 * ]". */
static void note_constant(struct walk *w, const struct node *n)
{
    const struct node *length = node_field(n, "constvalue");
    if (node_oid(n, "consttype") != TYPE_REGCLASS || length == NULL || length->next == NULL) {
        return;
    }
    uint32_t oid = 0;
    unsigned shift = 0;
    for (const struct node *b = length->next->child; b != NULL && shift < 32; b = b->next) {
        int64_t byte = 0;
        (void)number_parse_i64(b->text, &byte);
        oid |= (uint32_t)(byte & 0xff) << shift;
        shift += 8;
    }
    oid_set_add(w->arena, &w->facts->class_constants, oid);
}

/* Sorted by label. No function: known, and nothing to note. */
static const struct label {
    const char *name;
    note_fn *note;
} labels[] = {
    {"AGGREF", note_function},
    {"ALIAS", NULL},
    {"ARRAYCOERCEEXPR", NULL},
    {"ARRAYEXPR", NULL},
    {"BOOLEANTEST", NULL},
    {"BOOLEXPR", NULL},
    {"CASEEXPR", NULL},
    {"CASETESTEXPR", NULL},
    {"CASEWHEN", NULL},
    {"COALESCEEXPR", NULL},
    {"COERCETODOMAIN", NULL},
    {"COERCETODOMAINVALUE", NULL},
    {"COERCEVIAIO", note_input},
    {"COLLATEEXPR", NULL},
    {"COMMONTABLEEXPR", NULL},
    {"CONST", note_constant},
    {"CONVERTROWTYPEEXPR", NULL},
    {"CTECYCLECLAUSE", note_operator},
    {"CTESEARCHCLAUSE", NULL},
    {"DISTINCTEXPR", note_operator},
    {"FIELDSELECT", NULL},
    {"FIELDSTORE", NULL},
    {"FROMEXPR", NULL},
    {"FUNCEXPR", note_function},
    {"GROUPINGFUNC", NULL},
    {"GROUPINGSET", NULL},
    {"INFERENCEELEM", NULL},
    {"JOINEXPR", NULL},
    {"JSONCONSTRUCTOREXPR", NULL},
    {"JSONFORMAT", NULL},
    {"JSONISPREDICATE", NULL},
    {"JSONRETURNING", NULL},
    {"JSONVALUEEXPR", NULL},
    {"MERGEACTION", NULL},
    {"MINMAXEXPR", NULL},
    {"NAMEDARGEXPR", NULL},
    {"NEXTVALUEEXPR", note_next_value},
    {"NULLIFEXPR", note_operator},
    {"NULLTEST", NULL},
    {"ONCONFLICTEXPR", NULL},
    {"OPEXPR", note_operator},
    {"PARAM", NULL},
    {"QUERY", note_query},
    {"RANGETBLENTRY", note_range},
    {"RANGETBLFUNCTION", NULL},
    {"RANGETBLREF", NULL},
    {"RELABELTYPE", NULL},
    {"ROWCOMPAREEXPR", note_operator},
    {"ROWEXPR", NULL},
    {"ROWMARKCLAUSE", note_row_mark},
    {"RTEPERMISSIONINFO", note_permission},
    {"SCALARARRAYOPEXPR", note_operator},
    {"SETOPERATIONSTMT", NULL},
    {"SETTODEFAULT", NULL},
    {"SORTGROUPCLAUSE", note_operator},
    {"SQLVALUEFUNCTION", note_sql_value},
    {"SUBLINK", NULL},
    {"SUBSCRIPTINGREF", NULL},
    {"TABLESAMPLECLAUSE", note_sample},
    {"TARGETENTRY", NULL},
    {"VAR", NULL},
    {"WINDOWCLAUSE", note_function},
    {"WINDOWFUNC", note_function},
    {"WITHCHECKOPTION", NULL},
};

static void note_struct(struct walk *w, const struct node *n)
{
    for (size_t i = 0; i < array_len(labels); i++) {
        if (slice_is(n->text, labels[i].name)) {
            if (labels[i].note != NULL) {
                labels[i].note(w, n);
            }
            return;
        }
    }
    note_unknown(w, n);
}

/* Depth is bounded by the reader (N2). */
static void walk_node(struct walk *w, const struct node *n)
{
    if (n->kind == NODE_ATOM) {
        return;
    }
    if (n->kind == NODE_STRUCT) {
        note_struct(w, n);
    }
    for (const struct node *child = n->child; child != NULL; child = child->next) {
        walk_node(w, child);
    }
}

bool analyse(struct arena *a, struct slice tree, struct facts *ret_facts, const char **ret_why)
{
    const struct node *root = nodes_parse(a, tree, ret_why);
    if (root == NULL) {
        return false;
    }
    const struct node *first = root->kind == NODE_LIST ? root->child : NULL;
    if (first == NULL || !node_is(first, "QUERY")) {
        *ret_why = "the parse tree holds no query"; /* a rule said DO INSTEAD NOTHING */
        return false;
    }
    *ret_facts = (struct facts){0};
    struct walk w = {.arena = a, .facts = ret_facts};
    walk_node(&w, root);
    if (first->next == NULL) {
        analyse_top(a, ret_facts, first);
    }
    return true;
}
