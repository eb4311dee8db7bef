/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads one command from the front of the input: a multibulk ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n") or
 * an inline line ("GET k\r\n", in inline.c).
 *
 * A command that is complete in the input is read in one pass: each header byte is looked at once,
 * payload bytes not at all, nothing is allocated, argv points into the input.
 *
 * An unfinished command leaves its state behind: `at` (next byte to read), `want`, `have`. The
 * input may move between calls, so the arguments read so far are saved as offsets, each once, and
 * turned into pointers again when the command is complete:
 *
 *      *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhel        want 3, have 2, saved 2
 *                                    at               the header "$5" is read again, the rest is
 * not
 *
 * Invariants: P1. saved <= have <= want. P2. Between commands at, want, have and saved are 0.
 * P3. The result does not depend on how the bytes were split over calls.
 *
 * As Redis does, a header line ends at its CR and the two bytes after a payload are not looked at.
 *
 * Threads: none. Memory: argv, offsets and inline_text grow with what the client really sent, not
 * with what it announced; where there is none the command is refused. A big argv is given back at the
 * next command.
 */
#include "resp/resp.h"

#include "base/alloc.h"
#include "base/number.h"
#include "resp/inline.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define NO_MEMORY "no memory for a request of this size"

enum { ARGV_START = 16, ARGV_KEEP = 1024, ANONYMOUS_ARGS = 10, ANONYMOUS_BULK = 16384 };

void resp_parser_init(struct resp_parser *p, const struct resp_limits *limits)
{
    *p = (struct resp_parser){.limits = limits};
}

void resp_parser_fini(struct resp_parser *p)
{
    free(p->argv);
    free(p->offsets);
    buf_fini(&p->inline_text);
    *p = (struct resp_parser){0};
}

size_t resp_parser_bytes(const struct resp_parser *p)
{
    return p->argv_cap * sizeof(*p->argv) + p->offsets_cap * sizeof(*p->offsets) +
           p->inline_text.cap;
}

bool resp_parser_push(struct resp_parser *p, struct slice arg)
{
    if (__builtin_expect(p->have == p->argv_cap, 0)) {
        uint32_t cap = p->argv_cap > 0 ? p->argv_cap * 2 : ARGV_START;
        struct slice *argv = alloc_try_resize(p->argv, cap * sizeof(*argv));
        if (argv == NULL) {
            return false;
        }
        p->argv = argv;
        p->argv_cap = cap;
    }
    p->argv[p->have++] = arg;
    return true;
}

static enum resp_result fail(struct resp_parser *p, const char *error)
{
    p->error = error;
    return RESP_ERROR;
}

/* Gives back what an unusually long command needed. */
static void trim(struct resp_parser *p)
{
    if (p->argv_cap > ARGV_KEEP) {
        free(p->argv);
        p->argv = NULL;
        p->argv_cap = 0;
    }
    if (p->offsets_cap > ARGV_KEEP) {
        free(p->offsets);
        p->offsets = NULL;
        p->offsets_cap = 0;
    }
}

/* The input may move before the next call: keep the arguments as offsets. */
static enum resp_result suspend(struct resp_parser *p, const char *start, const char *pos)
{
    if (p->offsets_cap < p->have) {
        size_t *offsets = alloc_try_resize(p->offsets, p->argv_cap * sizeof(*offsets));
        if (offsets == NULL) {
            return fail(p, NO_MEMORY);
        }
        p->offsets = offsets;
        p->offsets_cap = p->argv_cap;
    }
    p->at = (size_t)(pos - start);
    for (; p->saved < p->have; p->saved++) {
        p->offsets[p->saved] = (size_t)(p->argv[p->saved].ptr - start);
    }
    return RESP_MORE;
}

enum line { LINE_OK, LINE_MORE, LINE_LONG, LINE_BAD };

/* The general reader of "<number>\r\n" at `pos`: negative, long, or cut off. */
static enum line read_line_slowly(const char *pos, const char *end, size_t max, int64_t *ret_value,
                                  const char **ret_pos)
{
    size_t len = (size_t)(end - pos);
    const char *cr = memchr(pos, '\r', len <= max ? len : max);
    if (cr == NULL) {
        return len < max ? LINE_MORE : LINE_LONG;
    }
    if (end - cr < 2) {
        return LINE_MORE;
    }
    if (!number_parse_i64((struct slice){pos, (size_t)(cr - pos)}, ret_value)) {
        return LINE_BAD;
    }
    *ret_pos = cr + 2;
    return LINE_OK;
}

/* The same for the usual case: a few digits that do not begin with 0. */
static inline enum line read_line(const char *pos, const char *end, size_t max, int64_t *ret_value,
                                  const char **ret_pos)
{
    const char *digit = pos;
    const char *stop = end - pos > 9 ? pos + 9 : end;
    int64_t value = 0;
    while (digit < stop && (unsigned)*digit - '0' <= 9) {
        value = value * 10 + (*digit - '0');
        digit++;
    }
    if (__builtin_expect(digit > pos && *pos != '0' && end - digit >= 2 && *digit == '\r', 1)) {
        *ret_value = value;
        *ret_pos = digit + 2;
        return LINE_OK;
    }
    return read_line_slowly(pos, end, max, ret_value, ret_pos);
}

static enum resp_result fail_type(struct resp_parser *p, char got)
{
    if (got == '\0') {
        return fail(p, "expected '$', got NUL");
    }
    (void)snprintf(p->error_text, sizeof(p->error_text), "expected '$', got '%c'", got);
    return fail(p, p->error_text);
}

static enum resp_result fail_multibulk(struct resp_parser *p, enum line line)
{
    return fail(p, line == LINE_LONG ? "too big mbulk count string" : "invalid multibulk length");
}

static enum resp_result fail_bulk(struct resp_parser *p, enum line line)
{
    return fail(p, line == LINE_LONG ? "too big bulk count string" : "invalid bulk length");
}

/* "*<n>\r\n". Sets `want`; 0 afterwards means an empty command. */
static enum resp_result read_header(struct resp_parser *p, const char *start, const char *end,
                                    const char **ret_pos)
{
    int64_t count;
    enum line line = read_line(start + 1, end, p->limits->inline_max, &count, ret_pos);
    if (line == LINE_MORE) {
        return RESP_MORE;
    }
    if (line == LINE_OK && p->limits->anonymous && count > ANONYMOUS_ARGS && count <= INT_MAX) {
        return fail(p, "unauthenticated multibulk length");
    }
    if (line != LINE_OK || count > p->limits->args_max) {
        return fail_multibulk(p, line);
    }
    p->want = count > 0 ? (uint32_t)count : 0;
    return RESP_COMMAND;
}

static enum resp_result read_arguments(struct resp_parser *p, const char *start, const char *pos,
                                       const char *end, size_t *ret_used)
{
    while (p->have < p->want) {
        if (pos == end) {
            return suspend(p, start, pos);
        }
        if (__builtin_expect(*pos != '$', 0)) {
            return fail_type(p, *pos);
        }
        int64_t len = 0;
        const char *payload = NULL;
        enum line line = read_line(pos + 1, end, p->limits->inline_max, &len, &payload);
        if (line == LINE_MORE) {
            return suspend(p, start, pos);
        }
        if (line != LINE_OK || len < 0 || (uint64_t)len > p->limits->bulk_max) {
            return fail_bulk(p, line);
        }
        if (p->limits->anonymous && len > ANONYMOUS_BULK) {
            return fail(p, "unauthenticated bulk length");
        }
        if (end - payload < len + 2) {
            return suspend(p, start, pos);
        }
        if (!resp_parser_push(p, (struct slice){payload, (size_t)len})) {
            return fail(p, NO_MEMORY);
        }
        pos = payload + len + 2;
    }
    for (uint32_t i = 0; i < p->saved; i++) {
        p->argv[i].ptr = start + p->offsets[i];
    }
    p->argc = p->have;
    *ret_used = (size_t)(pos - start);
    p->at = 0;
    p->want = p->have = p->saved = 0;
    return RESP_COMMAND;
}

enum resp_result resp_parse(struct resp_parser *p, struct slice in, size_t *ret_used)
{
    if (in.len == 0) {
        return RESP_MORE;
    }
    const char *end = in.ptr + in.len;
    const char *pos = in.ptr + p->at;
    if (p->want == 0) {
        if (__builtin_expect(p->argv_cap > ARGV_KEEP || p->offsets_cap > ARGV_KEEP, 0)) {
            trim(p);
        }
        if (*in.ptr != '*') {
            return resp_parse_inline(p, in, ret_used);
        }
        enum resp_result header = read_header(p, in.ptr, end, &pos);
        if (header != RESP_COMMAND) {
            return header;
        }
    }
    return read_arguments(p, in.ptr, pos, end, ret_used);
}
