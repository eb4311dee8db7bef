/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * params: a route's named parameters from path, JSON body and query, in that order of precedence,
 * checked against the statement's types and brought to one canonical text (so that one value is one
 * cache key). Threads: pure.
 */
#ifndef SERVE_PARAMS_H
#define SERVE_PARAMS_H

#include "base/buf.h"
#include "fill/plan.h"
#include "serve/problem.h"

struct params {
    struct buf text;                      /* NUL-terminated values, one behind another */
    uint32_t offset[POLICY_PARAMS_MAX];   /* into text; PARAM_NULL for SQL NULL */
    const char *value[POLICY_PARAMS_MAX]; /* as libpq wants them; valid until the next collect */
    uint32_t count;
    char wrong[256]; /* room for the complaint */
};

struct params_source {
    const struct slice *path_values; /* undecoded, in template order */
    struct slice query;              /* undecoded */
    struct slice body;               /* JSON object, or empty */
};

/* False and a problem (400 with the parameter's name, 413, 415) when a value is missing, given twice
 * or not of its type. `types` may be NULL (not known yet: the database checks). */
bool params_collect(struct params *p, const struct policy_route *route, const uint32_t *types,
                    const struct params_source *from, struct problem *ret_problem);

/* The cache key of one route with one set of values. Values hold no NUL, so a NUL separates them. */
void route_key(const struct policy_route *route, const struct params *p, struct buf *out);

#endif
