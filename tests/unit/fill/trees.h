/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trees: parse trees captured from a real PostgreSQL (trees/capture.py), for the tests of this
 * folder.
 */
#ifndef TESTS_FILL_TREES_H
#define TESTS_FILL_TREES_H

#include "base/slice.h"

#include <stdint.h>

struct trees; /* one trees-<major>.txt, in memory */

struct trees *trees_load(const char *path); /* aborts when it cannot be read */
void trees_free(struct trees **t);
/* The tree of the shape of that name; aborts when there is none. */
struct slice trees_find(const struct trees *t, const char *name);
/* The n-th shape's name; empty behind the last. */
struct slice trees_name(const struct trees *t, uint32_t n);
/* Between a relation's name and its oid in that capture; 0 and "?" when unknown. */
uint32_t trees_oid(const struct trees *t, const char *relation);
struct slice trees_relation(const struct trees *t, uint32_t oid);

#endif
