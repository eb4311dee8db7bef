/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every allocation of control memory passes through alloc_try() or must(): so tests can make the n-th
 * one fail (alloc_fail_at()), and a process that cannot go on says how much it asked for.
 */
#include "base/alloc.h"

#include "base/check.h"
#include "base/crash.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t fail_in; /* relaxed: tests only */

uint64_t alloc_fail_at(uint64_t n)
{
    return atomic_exchange_explicit(&fail_in, n, memory_order_relaxed);
}

/* True once, when the count of alloc_fail_at() has run down. */
static bool fails_now(void)
{
    if (__builtin_expect(atomic_load_explicit(&fail_in, memory_order_relaxed) == 0, 1)) {
        return false;
    }
    return atomic_fetch_sub_explicit(&fail_in, 1, memory_order_relaxed) == 1;
}

_Noreturn void alloc_failed(size_t size)
{
    static char text[256]; /* two threads at once say the same */
    (void)snprintf(text, sizeof(text),
                   "no memory for %zu bytes of control structures; give the process more, or "
                   "lower `memory`, `limits.buffers` or `limits.connections` in the policy",
                   size);
    crash_abort(text);
}

void *alloc_try(size_t size)
{
    return fails_now() ? NULL : malloc(size > 0 ? size : 1);
}

static void *must(void *ptr, size_t size)
{
    if (__builtin_expect(ptr == NULL, 0)) {
        alloc_failed(size);
    }
    return ptr;
}

void *xmalloc(size_t size)
{
    return must(alloc_try(size), size);
}

void *xcalloc(size_t count, size_t size)
{
    bool fails = fails_now();
    return must(fails ? NULL : calloc(count > 0 ? count : 1, size > 0 ? size : 1), count * size);
}

void *alloc_try_resize(void *ptr, size_t size)
{
    return fails_now() ? NULL : realloc(ptr, size > 0 ? size : 1);
}

void *xrealloc(void *ptr, size_t size)
{
    return must(alloc_try_resize(ptr, size), size);
}

char *xstrdup(const char *text)
{
    return xstrndup(text, strlen(text));
}

char *xstrndup(const char *text, size_t len)
{
    char *copy = xmalloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *xasprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    return must(len < 0 ? NULL : text, 0);
}
