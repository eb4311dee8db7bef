/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control memory: small, bounded structures whose absence leaves nothing sensible to do.
 *
 * These never return NULL: out of memory prints a line and aborts, since nothing sensible could be done
 * (docs/decisions/0009). Two kinds of memory do not come from here: cache entries, which the store meters
 * and refuses with ERR_NOSPACE; and buffers whose size a client chooses, which ask with alloc_try() and
 * turn the one client away. Any thread.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *ptr, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* malloc() and realloc() that may say NULL; then `ptr` is as it was. */
void *alloc_try(size_t size);
void *alloc_try_resize(void *ptr, size_t size);
/* The end for an allocation that nobody can do without. */
_Noreturn void alloc_failed(size_t size);

/* For tests: the n-th allocation from now, of those that may fail and those that may not, fails once; 0:
 * none. Returns how many were still to come, 0 when it has failed. Any thread; counts those of all. */
uint64_t alloc_fail_at(uint64_t n);
/* The same, counting only those that may fail: who gets NULL must go on. */
uint64_t alloc_fail_try_at(uint64_t n);

#endif
