/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explain_deps: positions and dependencies in words. Part of explain.
 *
 * An entry holds slot numbers, not names. Wide marks are found in the catalog; what a hashed one stands for
 * is known only to the question (this key's placeholders, this route's parameters), which puts its names here
 * first.
 */
#ifndef SERVE_EXPLAIN_DEPS_H
#define SERVE_EXPLAIN_DEPS_H

#include "serve/serve.h"

enum { EXPLAIN_NAMES_MAX = 16 };

struct explain_names { /* zeroed: no names */
    uint32_t count;
    fresh_dep dep[EXPLAIN_NAMES_MAX];
    struct buf text[EXPLAIN_NAMES_MAX];
    struct buf narrow; /* what every other hashed dependency is; empty: not known */
};

void explain_names_fini(struct explain_names *n);
/* A key's match with a template: how its dependency reads. */
void explain_name_match(struct explain_names *n, struct fresh *f, const struct policy_template *t,
                        const struct slice *values);
/* A route's one row or value, with these parameters. */
void explain_name_route(struct explain_names *n, const struct follow_catalog *c,
                        const struct plan_route *planned, const char *const *params);

/* "name: position". */
void explain_position(struct worker *w, struct buf *out, const char *name, fresh_pos pos);
/* "depends on: ...", one line each. `names` may be NULL. */
void explain_deps(struct worker *w, struct buf *out, fresh_pos stamp, const fresh_dep *deps,
                  uint32_t count, const struct explain_names *names);

#endif
