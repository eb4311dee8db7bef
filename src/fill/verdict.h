/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verdict: from facts, functions and the catalog to what a route's answers depend on, or why they
 * cannot be kept. Pure.
 */
#ifndef FILL_VERDICT_H
#define FILL_VERDICT_H

#include "fill/functions.h"
#include "fill/plan.h"

/* Fills everything of `r` but route, statement and param_types. Texts and arrays live in `a`. */
void verdict_judge(struct arena *a, const struct facts *f,
                   const struct functions_verdict *functions, const struct follow_catalog *c,
                   struct plan_route *r);

/* Narrows the dependency on one table to a row or a value, where the facts allow it. */
void verdict_narrow(const struct facts *f, const struct follow_catalog *c, struct plan_route *r);

#endif
