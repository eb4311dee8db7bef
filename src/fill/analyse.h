/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * analyse: what a rewritten parse tree says about a statement. Facts only; whether they allow
 * caching is judged elsewhere (verdict.h), and nothing here asks a database.
 */
#ifndef FILL_ANALYSE_H
#define FILL_ANALYSE_H

#include "fill/nodes.h"

/* A set of object ids in the order in which they were first seen. */
struct oid_set {
    uint32_t *oid;
    uint32_t count;
    uint32_t room;
};

struct facts_relation {
    uint32_t oid;
    char relkind;
    uint32_t uses;    /* range table entries that name it, views' own rules included */
    uint32_t perms;   /* PLAN_SELECT ... that the calling role itself needs */
    bool on_top;      /* one of them is in the top query's range table */
    const char *name; /* schema-qualified; filled in by plan.c */
};

/* `column = $n`, AND-ed at the top of the top query's WHERE. */
struct facts_equal {
    uint32_t table_oid;
    int16_t attnum;
    uint16_t param; /* 0-based */
    uint32_t op;    /* pg_operator */
    uint32_t param_type;
};

struct facts {
    struct facts_relation *relations;
    uint32_t relation_count;
    uint32_t relation_room;
    struct facts_equal *equals;
    uint32_t equal_count;
    uint32_t equal_room;
    struct oid_set functions; /* called by name, aggregates and window functions included */
    struct oid_set operators;
    struct oid_set input_types;     /* a text is read as this type while the statement runs */
    struct oid_set class_constants; /* regclass literals: sequences of nextval('x') */
    bool writes;                    /* INSERT, UPDATE, DELETE, MERGE, anywhere in it */
    bool is_utility;                /* no query at all: SET, CALL, CREATE */
    bool locks_rows;                /* FOR UPDATE, FOR SHARE */
    bool samples;                   /* TABLESAMPLE */
    bool reads_clock;               /* CURRENT_DATE and its relatives */
    bool reads_search_path;         /* CURRENT_SCHEMA */
    bool draws_sequence;            /* an identity column's next value */
    struct slice unknown;           /* a kind of node that this reader does not know; empty: none */
};

/* False when the text cannot be read; `ret_why` (static) says why. The facts live in `a` and borrow
 * `tree`. */
bool analyse(struct arena *a, struct slice tree, struct facts *ret_facts, const char **ret_why);

void oid_set_add(struct arena *a, struct oid_set *set, uint32_t oid); /* 0 is ignored */
bool oid_set_has(const struct oid_set *set, uint32_t oid);

#endif
