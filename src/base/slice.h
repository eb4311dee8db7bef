/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A slice is a borrowed run of bytes: pointer and length, never NUL-terminated by promise, never
 * freed through the slice. An empty slice may have a NULL pointer. Whoever hands a slice out says how
 * long the bytes stay put (usually: until the parser's buffer is consumed).
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *ptr;
    size_t len;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, text != NULL ? strlen(text) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_begins(struct slice a, struct slice prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool slice_is(struct slice a, const char *text)
{
    return slice_eq(a, slice_of(text));
}

/* ASCII case-insensitive, for command and header names. */
static inline bool slice_is_nocase(struct slice a, const char *text)
{
    return a.len == strlen(text) && (a.len == 0 || strncasecmp(a.ptr, text, a.len) == 0);
}

static inline struct slice slice_from(struct slice a, size_t start)
{
    return (struct slice){start > 0 ? a.ptr + start : a.ptr, a.len - start};
}

#endif
