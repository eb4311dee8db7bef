/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every allocation of control memory passes through take(), resize() or must(): so tests can make the n-th
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

/* Relaxed: tests only. */
static _Atomic uint64_t fail_in;
static _Atomic bool fail_tries_only;

uint64_t alloc_fail_at(uint64_t n)
{
    atomic_store_explicit(&fail_tries_only, false, memory_order_relaxed);
    return atomic_exchange_explicit(&fail_in, n, memory_order_relaxed);
}

uint64_t alloc_fail_try_at(uint64_t n)
{
    atomic_store_explicit(&fail_tries_only, true, memory_order_relaxed);
    return atomic_exchange_explicit(&fail_in, n, memory_order_relaxed);
}

/* True once, when the count has run down. Two threads at once may count one too many: never below 0. */
static bool fails_now(bool may_fail)
{
    uint64_t left = atomic_load_explicit(&fail_in, memory_order_relaxed);
    if (__builtin_expect(left == 0, 1) ||
        (!may_fail && atomic_load_explicit(&fail_tries_only, memory_order_relaxed))) {
        return false;
    }
    return atomic_compare_exchange_strong_explicit(&fail_in, &left, left - 1, memory_order_relaxed,
                                                   memory_order_relaxed) &&
           left == 1;
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

static void *take(size_t size, bool may_fail)
{
    return fails_now(may_fail) ? NULL : malloc(size > 0 ? size : 1);
}

static void *resize(void *ptr, size_t size, bool may_fail)
{
    return fails_now(may_fail) ? NULL : realloc(ptr, size > 0 ? size : 1);
}

void *alloc_try(size_t size)
{
    return take(size, true);
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
    return must(take(size, false), size);
}

void *xcalloc(size_t count, size_t size)
{
    bool fails = fails_now(false);
    return must(fails ? NULL : calloc(count > 0 ? count : 1, size > 0 ? size : 1), count * size);
}

void *alloc_try_resize(void *ptr, size_t size)
{
    return resize(ptr, size, true);
}

void *xrealloc(void *ptr, size_t size)
{
    return must(resize(ptr, size, false), size);
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
