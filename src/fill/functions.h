/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * functions: may an answer be kept that was computed with these functions? Asks PostgreSQL what
 * they are.
 */
#ifndef FILL_FUNCTIONS_H
#define FILL_FUNCTIONS_H

#include "fill/analyse.h"

#include <libpq-fe.h>

struct functions_verdict {
    const char *why;     /* the first function that forbids keeping, and what to do; NULL: none */
    bool opaque;         /* one of them may read tables that the statement does not name */
    struct oid_set user; /* those that do not come with PostgreSQL */
};

/* Blocking. Strings and sets live in `a`. */
void functions_judge(PGconn *conn, struct arena *a, const struct facts *f,
                     struct functions_verdict *ret_verdict);

/* "{1,2,3}", for `= ANY ($n::oid[])`. */
const char *functions_oid_array(struct arena *a, const struct oid_set *set);

#endif
