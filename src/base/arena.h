/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bump allocation for things that die together (a parsed policy, one request's parameters).
 *
 * Nothing is freed singly; arena_fini() frees all. Pointers stay put. Control memory: never fails.
 * Threads: one owner at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *head;
};

/* An arena that holds nothing needs no arena_fini(). */
void arena_init(struct arena *a);
void arena_fini(struct arena *a);
/* Zeroed, aligned to 16. */
void *arena_alloc(struct arena *a, size_t size);
/* NUL-terminated copies. */
char *arena_strdup(struct arena *a, const char *text);
char *arena_dup_slice(struct arena *a, struct slice s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
