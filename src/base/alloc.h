/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control memory: small, bounded structures whose absence leaves nothing sensible to do.
 *
 * These never return NULL: out of memory prints a line and aborts. Data memory (cache entries) does
 * not come from here: the store meters it and returns ERR_NOSPACE. Any thread.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *ptr, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
