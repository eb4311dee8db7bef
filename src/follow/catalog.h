/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The catalog's private side: its memory, and comparing two of them. Private to follow/.
 */
#ifndef FOLLOW_CATALOG_H
#define FOLLOW_CATALOG_H

#include "base/arena.h"
#include "follow/follow.h"

#include <stdatomic.h>

struct catalog {
    struct follow_catalog pub; /* first: they are the same address */
    _Atomic uint32_t refs;     /* release: unref; acquire: the last unref, before freeing */
    struct arena arena;        /* holds everything that `pub` points at */
    const char *definitions;   /* fingerprint of what a message would tell; "" when messages tell */
};

/* One reference, empty, for this policy. */
struct catalog *catalog_create(const struct policy *p);
/* Before anybody else sees it. */
void catalog_set_version(const struct follow_catalog *c, uint64_t version);

bool catalog_table_equal(const struct follow_table *a, const struct follow_table *b);
bool catalog_template_equal(const struct follow_template *a, const struct follow_template *b);
/* Has a view, function, policy or rewritten table changed, that no message could tell? */
bool catalog_same_definitions(const struct follow_catalog *a, const struct follow_catalog *b);
/* Everything but the version: does what was made with `a` hold with `b`? */
bool catalog_equal(const struct follow_catalog *a, const struct follow_catalog *b);

/* catalog_follow.c: what may be followed. `published` says on entry whether the publication has the table
 * whole. `table` of the template is found or NULL. */
void catalog_judge_tables(struct follow_table *tables, uint32_t count);
void catalog_judge_template(const struct policy_template *pt, struct follow_template *ft);

#endif
