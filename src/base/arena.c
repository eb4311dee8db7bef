/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks of 4 KB in a list, the newest first; an allocation comes from the newest or from a block
 * made for it.
 *
 *      head ─> block ──next──> block ──next──> NULL
 *              |used...|free|
 *
 * What is left of an older block is not used again: what lives in an arena is small and made once.
 *
 * Threads: one owner at a time.
 */
#include "base/arena.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BLOCK = 4096, ARENA_ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t cap;
    _Alignas(ARENA_ALIGN) char mem[];
};

void arena_init(struct arena *a)
{
    a->head = NULL;
}

void arena_fini(struct arena *a)
{
    while (a->head != NULL) {
        struct arena_block *block = a->head;
        a->head = block->next;
        free(block);
    }
}

void *arena_alloc(struct arena *a, size_t size)
{
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct arena_block *block = a->head;
    if (block == NULL || block->cap - block->used < size) {
        size_t cap = size > ARENA_BLOCK ? size : ARENA_BLOCK;
        block = xmalloc(sizeof(*block) + cap);
        block->next = a->head;
        block->used = 0;
        block->cap = cap;
        a->head = block;
    }
    void *ptr = block->mem + block->used;
    block->used += size;
    memset(ptr, 0, size);
    return ptr;
}

char *arena_dup_slice(struct arena *a, struct slice s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
    return arena_dup_slice(a, slice_of(text));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    check(len >= 0);
    char *text = arena_alloc(a, (size_t)len + 1);
    (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}
