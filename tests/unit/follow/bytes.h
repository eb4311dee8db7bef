/* SPDX-License-Identifier: BSD-3-Clause */
/* Builds pgoutput messages by hand, for tests of what reads them. */
#ifndef TESTS_FOLLOW_BYTES_H
#define TESTS_FOLLOW_BYTES_H

#include "base/buf.h"

#include <stdint.h>

static inline void put_number(struct buf *b, uint64_t value, int bytes)
{
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
        buf_append_char(b, (char)(value >> shift & 0xff));
    }
}

static inline void put_cstring(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text) + 1);
}

/* "nut": per column n (null), u (unchanged) or t, whose texts follow in order. */
static inline void put_tuple(struct buf *b, char tag, const char *kinds, const char *const *texts)
{
    buf_append_char(b, tag);
    put_number(b, strlen(kinds), 2);
    for (const char *k = kinds; *k != '\0'; k++) {
        buf_append_char(b, *k);
        if (*k == 't') {
            put_number(b, strlen(*texts), 4);
            buf_append_str(b, *texts++);
        }
    }
}

#endif
