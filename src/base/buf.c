/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Byte queues; buf.h draws one. Growing doubles the memory, so that appending costs O(1) a byte,
 * and moves what is readable to the front; a queue that is mostly consumed is moved within the
 * memory it has.
 *
 * Threads: one owner.
 */
#include "base/buf.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/number.h"

#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

void buf_fini(struct buf *b)
{
    free(b->mem);
    *b = (struct buf){0};
}

bool buf_sane(const struct buf *b)
{
    return b->start <= b->end && b->end <= b->cap && (b->start != b->end || b->start == 0);
}

/* False when there is no memory; `must`: then it ends the process. Moves what is there to the front, in the
 * old memory if it fits. */
static bool buf_grow(struct buf *b, size_t len, bool must)
{
    size_t used = buf_len(b);
    if (b->start > 0 && b->cap - used >= len && b->start >= used) {
        memmove(b->mem, b->mem + b->start, used);
    } else {
        size_t cap = b->cap > 0 ? b->cap : 256;
        while (cap - used < len) {
            if (cap > SIZE_MAX / 2) {
                return false;
            }
            cap *= 2;
        }
        char *mem = must ? xmalloc(cap) : alloc_try(cap);
        if (mem == NULL) {
            return false;
        }
        if (used > 0) {
            memcpy(mem, b->mem + b->start, used);
        }
        free(b->mem);
        b->mem = mem;
        b->cap = cap;
    }
    b->start = 0;
    b->end = used;
    return true;
}

char *buf_try_reserve(struct buf *b, size_t len)
{
    if (b->cap - b->end < len && !buf_grow(b, len, false)) {
        return NULL;
    }
    return b->mem + b->end;
}

char *buf_reserve(struct buf *b, size_t len)
{
    if (b->cap - b->end < len && !buf_grow(b, len, true)) {
        alloc_failed(len);
    }
    return b->mem + b->end;
}

void buf_commit(struct buf *b, size_t len)
{
    check(len <= b->cap - b->end);
    b->end += len;
}

void buf_consume(struct buf *b, size_t len)
{
    check(len <= buf_len(b));
    b->start += len;
    if (b->start == b->end) {
        b->start = b->end = 0;
    }
}

void buf_clear(struct buf *b)
{
    b->start = b->end = 0;
}

void buf_truncate(struct buf *b, size_t len)
{
    check(len <= buf_len(b));
    b->end = b->start + len;
    if (len == 0) {
        buf_clear(b);
    }
}

void buf_shrink(struct buf *b, size_t keep)
{
    if (buf_len(b) == 0 && b->cap > keep) {
        buf_fini(b);
    }
}

void buf_append(struct buf *b, const void *ptr, size_t len)
{
    if (len > 0) {
        memcpy(buf_reserve(b, len), ptr, len);
        b->end += len;
    }
}

void buf_append_slice(struct buf *b, struct slice s)
{
    buf_append(b, s.ptr, s.len);
}

bool buf_try_append_slice(struct buf *b, struct slice s)
{
    bool fits = s.len == 0 || buf_try_reserve(b, s.len) != NULL;
    if (fits) {
        buf_append_slice(b, s);
    }
    return fits;
}

void buf_append_str(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}

void buf_append_char(struct buf *b, char c)
{
    *buf_reserve(b, 1) = c;
    b->end += 1;
}

void buf_append_printable(struct buf *b, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        buf_append_char(b, c >= ' ' && c != 0x7f ? (char)c : '?');
    }
}

void buf_append_u64(struct buf *b, uint64_t value)
{
    char *at = buf_reserve(b, NUMBER_MAX_LEN);
    b->end += number_format_u64(at, value);
}

void buf_append_i64(struct buf *b, int64_t value)
{
    char *at = buf_reserve(b, NUMBER_MAX_LEN);
    b->end += number_format_i64(at, value);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    char small[256];
    int len = vsnprintf(small, sizeof(small), fmt, args);
    check(len >= 0);
    if ((size_t)len < sizeof(small)) {
        buf_append(b, small, (size_t)len);
    } else {
        char *room = buf_reserve(b, (size_t)len + 1);
        (void)vsnprintf(room, (size_t)len + 1, fmt, again);
        b->end += (size_t)len;
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(b, fmt, args);
    va_end(args);
}
