/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * depend: the changes of one transaction as dependencies to mark. No I/O. Private to follow/.
 *
 * Threads: the follower's.
 */
#ifndef FOLLOW_DEPEND_H
#define FOLLOW_DEPEND_H

#include "follow/decode.h"
#include "follow/follow.h"

struct depend;

enum {
    DEPEND_FLOOD = 1000
}; /* more dependencies of a table in one transaction: its `all` instead */

struct depend *depend_create(struct fresh *f, bool break_row_all);
void depend_destroy(struct depend **d);

/* From now on rows mean what this catalog says. Takes a reference; copies `values`. Between transactions
 * and blocks only; what is between its blocks marks everything when it commits. */
void depend_install(struct depend *d, const struct follow_catalog *catalog,
                    const struct follow_value_column *values, uint32_t value_count);
const struct follow_catalog *depend_catalog(const struct depend *d); /* NULL before the first */
/* A new connection: forgets every relation and every unfinished transaction. */
void depend_reset(struct depend *d);

void depend_begin(struct depend *d);
/* A large transaction comes in blocks, between which others begin and commit. Until depend_block_end() rows,
 * relations and DDL are those of `xid`; what they mark is kept apart. */
void depend_block_begin(struct depend *d, uint32_t xid);
void depend_block_end(struct depend *d);
/* It has committed: depend_deps() and its like now speak of it, until depend_forget(). False: it never had a
 * block. */
bool depend_choose(struct depend *d, uint32_t xid);
/* It is over, whatever its end was. Nothing happens if it is not known. */
void depend_forget(struct depend *d, uint32_t xid);
void depend_relation(struct depend *d, const struct decode_relation *r);
/* INSERT, UPDATE, DELETE. False: the row contradicts its relation, or has none; the stream is broken. */
bool depend_row(struct depend *d, enum decode_kind kind, const struct decode_row *row);
bool depend_truncate(struct depend *d, const struct decode_truncate *t);
/* Content of a "freshet.ddl" message: "table OID" (its schema), "matview OID" (refreshed), or "all". */
void depend_ddl(struct depend *d, struct slice content);

/* What the transaction marks so far; valid until the next depend_begin(). */
const fresh_dep *depend_deps(const struct depend *d, uint32_t *ret_count);
uint64_t depend_row_count(const struct depend *d);
/* The schema is not what the catalog says: it must be loaded again. */
bool depend_outdated(const struct depend *d);

#endif
