/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relation: what a row of the stream's relation n means for the marks, worked out once per RELATION
 * message and catalog. Private to follow/.
 *
 * A *target* is a table whose dependencies a row of the relation may touch: the table itself and
 * each of its ancestors (a query on a partitioned table reads its leaves). An *item* is one
 * dependency of a target that needs values: its row, one column's value, one key template.
 *
 * Threads: the follower's.
 */
#ifndef FOLLOW_RELATION_H
#define FOLLOW_RELATION_H

#include "base/arena.h"
#include "follow/decode.h"
#include "follow/follow.h"

/* PostgreSQL's own limit for an index is 32 columns. */
enum { RELATION_ITEM_COLUMNS_MAX = 32 };

enum relation_item_kind { RELATION_ROW, RELATION_VALUE, RELATION_TEMPLATE };

struct relation_item {
    enum relation_item_kind kind;
    uint32_t template_index; /* TEMPLATE */
    int16_t attnum;          /* VALUE */
    uint32_t column_count;
    const int32_t *columns; /* places in the stream's tuple; -1: not sent */
};

struct relation_target {
    uint32_t table_index; /* in the catalog */
    const struct relation_item *items;
    uint32_t item_count;
};

struct relation_column {
    const char *name;
    uint32_t type_oid;
    bool identity;
};

struct relation {
    uint32_t oid;
    char identity;
    const char *schema;
    const char *name;
    const struct relation_column *columns;
    uint32_t column_count;
    struct arena described; /* holds the above */
    /* worked out */
    uint64_t resolved_for; /* serial of the catalog; 0: none */
    bool known;            /* the catalog has the table */
    bool fits;             /* and describes it as the stream does */
    const struct relation_target *targets;
    uint32_t target_count;
    struct arena resolved; /* holds the targets */
};

/* The relations of one connection, by oid. */
struct relation_cache {
    struct relation **at; /* sorted */
    uint32_t count;
    uint32_t cap;
    struct relation *last; /* the latest found: rows come in runs */
};

struct relation_catalog {
    const struct follow_catalog *catalog;
    const struct follow_value_column *values;
    uint32_t value_count;
    uint64_t serial; /* > 0, new for every catalog installed */
};

void relation_cache_clear(struct relation_cache *c);
/* Adds or replaces. */
struct relation *relation_cache_put(struct relation_cache *c, const struct decode_relation *r);
struct relation *relation_cache_find(struct relation_cache *c, uint32_t oid);
/* Moves everything of `from`, which is then empty, into `to`. */
void relation_cache_merge(struct relation_cache *to, struct relation_cache *from);
/* Works the targets out again if the catalog is another one. */
void relation_resolve(struct relation *r, const struct relation_catalog *with);

#endif
