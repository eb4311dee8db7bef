/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clock: the main area of the eviction policy; evict.h says what it is for, clock.c how it works.
 */
#ifndef STORE_CLOCK_H
#define STORE_CLOCK_H

#include "store/priv.h"

/* A look at one run, now and then, for what is outdated or void; true when something left. The
 * expired have notes of their own (expire.c). */
bool clock_sweep(struct shard *sh, struct pool *p, const struct need *n);
/* Turns the hand until a visit frees something. False: a need of this kind finds nothing more. */
bool clock_step(struct shard *sh, struct pool *p, struct need *n);

#endif
