/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes RESP values to the end of a buffer.
 *
 * Bulks and integers are the hot ones: they reserve once and write header, payload and line end in
 * place. Types that RESP2 lacks are written as the RESP2 type that Redis uses for them.
 *
 * Threads: none; the buffer's owner.
 */
#include "resp/resp.h"

#include "base/number.h"
#include "base/real.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEADER_MAX = NUMBER_MAX_LEN + 3, ERROR_MAX = 1024 };

/* "<type><number>\r\n" at `at`; returns the end. */
static inline char *write_header(char *at, char type, uint64_t number)
{
    *at++ = type;
    if (number < 10) {
        *at++ = (char)('0' + number);
    } else {
        at += number_format_u64(at, number);
    }
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

static void append_header(struct buf *out, char type, uint64_t number)
{
    char *at = buf_reserve(out, HEADER_MAX);
    buf_commit(out, (size_t)(write_header(at, type, number) - at));
}

void resp_simple(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    char *at = buf_reserve(out, len + 3);
    at[0] = '+';
    memcpy(at + 1, text, len);
    memcpy(at + 1 + len, "\r\n", 2);
    buf_commit(out, len + 3);
}

void resp_error(struct buf *out, const char *fmt, ...)
{
    char text[ERROR_MAX];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    check(len >= 0);
    size_t kept = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    for (size_t i = 0; i < kept; i++) {
        text[i] = (char)(text[i] == '\r' || text[i] == '\n' ? ' ' : text[i]);
    }
    buf_append_char(out, '-');
    buf_append(out, text, kept);
    buf_append(out, "\r\n", 2);
}

void resp_integer(struct buf *out, int64_t value)
{
    if (value >= 0) {
        append_header(out, ':', (uint64_t)value);
        return;
    }
    char *at = buf_reserve(out, HEADER_MAX + 1);
    *at = ':';
    char *end = write_header(at + 1, '-', 0 - (uint64_t)value);
    buf_commit(out, (size_t)(end - at));
}

void resp_bulk(struct buf *out, struct slice value)
{
    char *start = buf_reserve(out, HEADER_MAX + value.len + 2);
    char *at = write_header(start, '$', value.len);
    if (value.len > 0) {
        memcpy(at, value.ptr, value.len);
        at += value.len;
    }
    at[0] = '\r';
    at[1] = '\n';
    buf_commit(out, (size_t)(at + 2 - start));
}

void resp_bulk_str(struct buf *out, const char *text)
{
    resp_bulk(out, slice_of(text));
}

void resp_null(struct buf *out, int proto)
{
    buf_append_str(out, proto >= 3 ? "_\r\n" : "$-1\r\n");
}

void resp_null_array(struct buf *out, int proto)
{
    buf_append_str(out, proto >= 3 ? "_\r\n" : "*-1\r\n");
}

void resp_array(struct buf *out, uint64_t len)
{
    append_header(out, '*', len);
}

void resp_map(struct buf *out, int proto, uint64_t pairs)
{
    append_header(out, proto >= 3 ? '%' : '*', proto >= 3 ? pairs : pairs * 2);
}

void resp_set(struct buf *out, int proto, uint64_t len)
{
    append_header(out, proto >= 3 ? '~' : '*', len);
}

void resp_push(struct buf *out, int proto, uint64_t len)
{
    append_header(out, proto >= 3 ? '>' : '*', len);
}

void resp_bool(struct buf *out, int proto, bool value)
{
    if (proto >= 3) {
        buf_append_str(out, value ? "#t\r\n" : "#f\r\n");
    } else {
        resp_integer(out, value ? 1 : 0);
    }
}

void resp_double(struct buf *out, int proto, double value)
{
    char text[REAL_MAX_LEN];
    size_t len = real_format(text, value);
    if (proto < 3) {
        resp_bulk(out, (struct slice){text, len});
        return;
    }
    buf_append_char(out, ',');
    buf_append(out, text, len);
    buf_append(out, "\r\n", 2);
}

void resp_verbatim(struct buf *out, int proto, const char *format3, struct slice text)
{
    if (proto < 3) {
        resp_bulk(out, text);
        return;
    }
    check(strlen(format3) == 3);
    append_header(out, '=', text.len + 4);
    buf_append(out, format3, 3);
    buf_append_char(out, ':');
    buf_append_slice(out, text);
    buf_append(out, "\r\n", 2);
}
