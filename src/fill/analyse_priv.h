/* SPDX-License-Identifier: BSD-3-Clause */
/* analyse, private: what analyse.c (every node) and analyse_top.c (the top WHERE) share. */
#ifndef FILL_ANALYSE_PRIV_H
#define FILL_ANALYSE_PRIV_H

#include "fill/analyse.h"

/* Room for at least one more item in an arena array: returns the array to use from now on. */
void *facts_grow(struct arena *a, void *items, uint32_t count, size_t size, uint32_t *room);
/* Found or added. */
struct facts_relation *facts_relation(struct arena *a, struct facts *f, uint32_t oid);
/* Notes which relations the top query names and which columns its WHERE binds to parameters. */
void analyse_top(struct arena *a, struct facts *f, const struct node *query);

#endif
