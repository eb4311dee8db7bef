/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one transaction has noted so far, and the table of those that come in blocks. Private to
 * depend.
 *
 * Threads: the follower's.
 */
#ifndef FOLLOW_DEPEND_TX_H
#define FOLLOW_DEPEND_TX_H

#include "follow/relation.h"
#include "fresh/fresh.h"

/* Of a pair of wide marks: equal to the transaction's serial if it has noted them. */
struct wide_state {
    uint64_t any;
    uint64_t all;
};

struct table_state {
    struct wide_state wide;
    uint64_t counting; /* serial that `count` belongs to */
    uint64_t flooded;
    uint32_t count;
};

struct depend_tx {
    uint32_t xid; /* of one that comes in blocks, the low half */
    uint64_t serial;
    fresh_dep *deps;
    uint32_t count;
    uint32_t cap;
    uint64_t rows;
    bool outdated;
    bool crossed;               /* a catalog was installed between its blocks */
    struct table_state *tables; /* by catalog index */
    struct wide_state *templates;
    /* As described in its blocks: true for it alone until it commits. */
    struct relation_cache relations;
};

/* Room for the states of a catalog's tables and templates, all of them empty. */
void depend_tx_fit(struct depend_tx *tx, uint32_t table_count, uint32_t template_count);
void depend_tx_begin(struct depend_tx *tx, uint64_t serial);
void depend_tx_note(struct depend_tx *tx, fresh_dep dep);
void depend_tx_fini(struct depend_tx *tx);

/* Few: only transactions too large for the server's memory are in it. */
struct depend_tx_table {
    struct depend_tx **at;
    uint32_t count;
    uint32_t cap;
};
struct depend_tx *depend_tx_find(const struct depend_tx_table *t, uint32_t xid); /* or NULL */
struct depend_tx *depend_tx_add(struct depend_tx_table *t, uint32_t xid);
void depend_tx_drop(struct depend_tx_table *t, uint32_t xid);
void depend_tx_clear(struct depend_tx_table *t);

#endif
