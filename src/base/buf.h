/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A growable byte queue: bytes are appended at the end and consumed from the start.
 *
 *     mem            start              end                 cap
 *      |  consumed    |   readable       |   room             |
 *
 * Invariants: B1. start <= end <= cap. B2. start == end implies start == 0 (an emptied buffer
 * rewinds). Slices into a buffer stay valid until the next call that may grow or consume it.
 *
 * Typical reader:   char *room = buf_reserve(b, 4096); n = read(fd, room, 4096); buf_commit(b, n);
 *                   used = parse(buf_readable(b)); buf_consume(b, used);
 *
 * Threads: one owner. Memory: control memory (xalloc); callers bound what they append.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/slice.h"

#include <stdarg.h>
#include <stdint.h>

struct buf {
    char *mem;
    size_t start;
    size_t end;
    size_t cap;
};

void buf_init(struct buf *b);
void buf_fini(struct buf *b);
bool buf_sane(const struct buf *b);

/* Makes room for at least `len` more bytes and returns where they go; follow with buf_commit(). */
char *buf_reserve(struct buf *b, size_t len);
/* The same for sizes that a client chooses: NULL, and nothing changed, when there is no memory. */
char *buf_try_reserve(struct buf *b, size_t len);
/* `len` bytes were written where buf_reserve() said; they become readable. */
void buf_commit(struct buf *b, size_t len);
void buf_consume(struct buf *b, size_t len);
void buf_clear(struct buf *b);
/* Drops bytes from the end until `len` readable ones are left (undo of an append). */
void buf_truncate(struct buf *b, size_t len);
/* Gives memory above `keep` bytes back when the buffer is empty. */
void buf_shrink(struct buf *b, size_t keep);

/* Copies what a client chose the size of. False, and nothing changed, when there is no memory. */
bool buf_try_append_slice(struct buf *b, struct slice s);
/* Copies. Aborts when there is no memory: what a client chooses goes through the former. */
void buf_append(struct buf *b, const void *ptr, size_t len);
void buf_append_slice(struct buf *b, struct slice s);
void buf_append_str(struct buf *b, const char *text);
void buf_append_char(struct buf *b, char c);
/* For lines that people read: a control character, which could end the line, becomes '?'. */
void buf_append_printable(struct buf *b, struct slice s);
void buf_append_u64(struct buf *b, uint64_t value);
void buf_append_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->start;
}

/* Never a NULL pointer, so that an empty one may be passed to memcpy() and fwrite(). */
static inline struct slice buf_readable(const struct buf *b)
{
    return (struct slice){b->mem != NULL ? b->mem + b->start : "", b->end - b->start};
}

#endif
