/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transactions that are being read.
 *
 * The ordinary one comes whole, and its struct is used again for the next: what it has noted of a
 * table is told from older notes by its serial, so nothing is cleared. One that comes in blocks has
 * states of its own, since others begin and commit between its blocks; it lives from its first block
 * to its end. Its memory is bounded by what depend.c notes: 1,000 dependencies of a table, then the
 * table as a whole.
 */
#include "follow/depend_tx.h"

#include "base/alloc.h"

#include <stdlib.h>

void depend_tx_fit(struct depend_tx *tx, uint32_t table_count, uint32_t template_count)
{
    free(tx->tables);
    free(tx->templates);
    tx->tables = xcalloc(table_count + 1, sizeof(*tx->tables));
    tx->templates = xcalloc(template_count + 1, sizeof(*tx->templates));
}

void depend_tx_begin(struct depend_tx *tx, uint64_t serial)
{
    tx->serial = serial;
    tx->count = 0;
    tx->rows = 0;
    tx->outdated = tx->crossed = false;
}

void depend_tx_note(struct depend_tx *tx, fresh_dep dep)
{
    if (tx->count == tx->cap) {
        tx->cap = tx->cap > 0 ? tx->cap * 2 : 256;
        tx->deps = xrealloc(tx->deps, tx->cap * sizeof(*tx->deps));
    }
    tx->deps[tx->count++] = dep;
}

void depend_tx_fini(struct depend_tx *tx)
{
    relation_cache_clear(&tx->relations);
    free(tx->deps);
    free(tx->tables);
    free(tx->templates);
}

struct depend_tx *depend_tx_find(const struct depend_tx_table *t, uint32_t xid)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->at[i]->xid == xid) {
            return t->at[i];
        }
    }
    return NULL;
}

struct depend_tx *depend_tx_add(struct depend_tx_table *t, uint32_t xid)
{
    if (t->count == t->cap) {
        t->cap = t->cap > 0 ? t->cap * 2 : 8;
        t->at = xrealloc(t->at, t->cap * sizeof(struct depend_tx *));
    }
    struct depend_tx *tx = xcalloc(1, sizeof(*tx));
    tx->xid = xid;
    t->at[t->count++] = tx;
    return tx;
}

void depend_tx_drop(struct depend_tx_table *t, uint32_t xid)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->at[i]->xid == xid) {
            depend_tx_fini(t->at[i]);
            free(t->at[i]);
            t->at[i] = t->at[--t->count];
            return;
        }
    }
}

void depend_tx_clear(struct depend_tx_table *t)
{
    while (t->count > 0) {
        depend_tx_drop(t, t->at[0]->xid);
    }
    free(t->at);
    *t = (struct depend_tx_table){0};
}
