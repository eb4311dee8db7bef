/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shop: a catalog for the captured trees, as follow_catalog_load() would give it for
 * trees/schema.sql with all of its tables in the publication. Each test takes its own copy and
 * spoils what it is about.
 */
#ifndef TESTS_FILL_SHOP_H
#define TESTS_FILL_SHOP_H

#include "fill/plan.h"
#include "trees.h"

struct shop {
    struct follow_catalog catalog;
    struct follow_table tables[32];
};

void shop_init(struct shop *s, const struct trees *t, struct fresh *f);
struct follow_table *shop_table(struct shop *s, const struct trees *t, const char *name);

#endif
