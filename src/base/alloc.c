/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *ptr)
{
    if (ptr == NULL) {
        (void)fputs("freshet: out of memory for control structures\n", stderr);
        abort();
    }
    return ptr;
}

void *xmalloc(size_t size)
{
    return must(malloc(size > 0 ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return must(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *xrealloc(void *ptr, size_t size)
{
    return must(realloc(ptr, size > 0 ? size : 1));
}

char *xstrdup(const char *text)
{
    return must(strdup(text));
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
    return must(len < 0 ? NULL : text);
}
