/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WAL positions as text ("16/B374D848": two hexadecimal halves) and their normal form.
 *
 * A WAL page begins with a header: 24 bytes, 40 on the first page of a segment. The insert position
 * can stand just behind one while every position the server streams stands before it, since nothing
 * was written on the new page yet. Both mean the same history; waiting for the later one would
 * never end.
 */
#include "pg/pg.h"

#include <stdio.h>
#include <stdlib.h>

enum { WAL_PAGE = 8192, WAL_PAGE_HEADER = 24, WAL_SEGMENT_HEADER = 40, WAL_SEGMENT = 16 << 20 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *parse_half(const char *text, uint64_t *ret_half)
{
    uint64_t value = 0;
    const char *p = text;
    for (; hex_digit(*p) >= 0; p++) {
        if (p - text == 8) {
            return NULL;
        }
        value = value << 4 | (uint64_t)hex_digit(*p);
    }
    *ret_half = value;
    return p > text ? p : NULL;
}

bool pg_lsn_parse(const char *text, uint64_t *ret_lsn)
{
    uint64_t high = 0;
    uint64_t low = 0;
    const char *p = parse_half(text, &high);
    if (p == NULL || *p != '/') {
        return false;
    }
    p = parse_half(p + 1, &low);
    if (p == NULL || *p != '\0') {
        return false;
    }
    *ret_lsn = high << 32 | low;
    return true;
}

void pg_lsn_format(uint64_t lsn, char out[24])
{
    (void)snprintf(out, 24, "%X/%X", (unsigned)(lsn >> 32), (unsigned)(lsn & 0xffffffff));
}

uint64_t pg_lsn_normalise(uint64_t lsn, uint64_t segment_bytes)
{
    uint64_t segment = segment_bytes != 0 ? segment_bytes : WAL_SEGMENT;
    if (lsn % segment == WAL_SEGMENT_HEADER) {
        return lsn - WAL_SEGMENT_HEADER;
    }
    if (lsn % WAL_PAGE == WAL_PAGE_HEADER) {
        return lsn - WAL_PAGE_HEADER;
    }
    return lsn;
}
