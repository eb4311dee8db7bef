/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tags: names that applications give to keys and drop, and what is needed around the marks that they are.
 *
 * A tag is one place in `fresh` (fresh_dep_tag), the same in every database. Here are the two things which
 * that place cannot know: what explain says of it (name, last drop), and which stamp a write without a token
 * gets: that of this connection's own last miss of the key, or the position now.
 *
 * Threads: any; one lock, held for a copy.
 */
#ifndef SERVE_TAGS_H
#define SERVE_TAGS_H

#include "serve/lease.h"

struct tags *tags_create(void);
void tags_destroy(struct tags **t);

/* The dependency of a tag that is being given to something; its name is remembered for explain. */
fresh_dep tags_dep(struct server *s, struct slice name);
/* Drops tags: whatever depends on one of them and was stamped before is outdated. */
void tags_drop(struct server *s, const struct slice *names, uint32_t count, uint64_t now_ms);

/* A read found `key` absent; as lease_miss(), for keys that follow no table. Nothing until the first tag. */
void tags_miss(struct worker *w, struct lease_session *ls, uint32_t db, struct slice key);
/* The stamp of a write without a token. It answers the miss it finds: the next one does not find it again. */
fresh_pos tags_stamp(struct worker *w, struct lease_session *ls, uint32_t db, struct slice key);

/* For explain. Appends "tag `x`" and when it was last dropped. */
void tags_explain(struct server *s, fresh_dep dep, uint64_t now_ms, struct buf *out);

#endif
