/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * complain: the one place that writes a line about a policy file.
 *
 * Every line has the same shape (file, line, column, key, reason; next step), so an editor can jump
 * to it and a test can look for it. Lines are kept until the end and sorted, because the parts of a
 * policy are not read in the order of the file. Text from the file may hold control characters:
 * they are shown as '?', so that a hostile file cannot write to a terminal or add lines of its own.
 *
 * Threads: one owner.
 */
#include "policy/complain.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 1000 }; /* of each part of a line */

void policy_complaints_init(struct complaints *c, const char *file)
{
    *c = (struct complaints){.file = file};
}

bool policy_complaints_full(const struct complaints *c)
{
    return c->errors >= POLICY_COMPLAINTS_MAX;
}

static void append_clean(struct buf *out, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        bool is_control = (unsigned char)text[i] < 0x20 || text[i] == 0x7f;
        if (i == TEXT_MAX) {
            buf_append_str(out, "...");
            return;
        }
        if (is_control) {
            buf_append_char(out, '?');
        } else {
            buf_append_char(out, text[i]);
        }
    }
}

static printf_like(5, 0) void add_line(struct complaints *c, struct policy_spot at,
                                       const char *kind, const char *path, const char *fmt,
                                       va_list args)
{
    char reason[1024];
    (void)vsnprintf(reason, sizeof(reason), fmt, args);
    c->list = xrealloc(c->list, (c->count + 1) * sizeof(*c->list));
    struct complaint *one = &c->list[c->count];
    *one = (struct complaint){.at = at, .order = c->count};
    c->count++;
    buf_init(&one->line);
    append_clean(&one->line, c->file);
    if (at.line > 0) {
        buf_printf(&one->line, ":%u:%u", at.line, at.column);
    }
    buf_append_str(&one->line, ": ");
    buf_append_str(&one->line, kind);
    if (path[0] != '\0') {
        append_clean(&one->line, path);
        buf_append_str(&one->line, ": ");
    }
    append_clean(&one->line, reason);
    buf_append_char(&one->line, '\n');
}

void policy_complain(struct complaints *c, struct policy_spot at, const char *path, const char *fmt,
                     ...)
{
    if (++c->errors > POLICY_COMPLAINTS_MAX) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    add_line(c, at, "", path, fmt, args);
    va_end(args);
}

void policy_warn(struct complaints *c, struct policy_spot at, const char *path, const char *fmt,
                 ...)
{
    if (++c->warnings > POLICY_COMPLAINTS_MAX) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    add_line(c, at, "warning: ", path, fmt, args);
    va_end(args);
}

void policy_complain_later(struct complaints *c, struct policy_spot at, const char *path,
                           const char *what)
{
    policy_complain(c, at, path, "not in this version yet: %s; remove it", what);
}

static int compare(const void *a, const void *b)
{
    const struct complaint *x = a;
    const struct complaint *y = b;
    if (x->at.line != y->at.line) {
        return x->at.line < y->at.line ? -1 : 1;
    }
    if (x->at.column != y->at.column) {
        return x->at.column < y->at.column ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

void policy_complaints_fini(struct complaints *c, struct buf *out)
{
    if (c->count > 1) {
        qsort(c->list, c->count, sizeof(*c->list), compare);
    }
    for (uint32_t i = 0; i < c->count; i++) {
        buf_append_slice(out, buf_readable(&c->list[i].line));
        buf_fini(&c->list[i].line);
    }
    if (c->errors > POLICY_COMPLAINTS_MAX) {
        append_clean(out, c->file);
        buf_printf(out, ": %u more mistakes are not shown\n", c->errors - POLICY_COMPLAINTS_MAX);
    }
    free(c->list);
    *c = (struct complaints){0};
}
