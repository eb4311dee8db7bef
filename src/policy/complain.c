/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * complain: the one place that writes a line about a policy file.
 *
 * Every line has the same shape (file, line, column, key, reason; next step), so an editor can jump
 * to it and a test can look for it. Text from the file may hold control characters: they are shown
 * as '?', so that a hostile file cannot write to a terminal or add lines of its own.
 *
 * Threads: one owner.
 */
#include "policy/complain.h"

#include <stdarg.h>
#include <stdio.h>

static void append_clean(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        buf_append_char(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

static void append_line(struct complaints *c, struct policy_spot at, const char *kind,
                        const char *path, const char *reason)
{
    append_clean(c->out, c->file);
    if (at.line > 0) {
        buf_printf(c->out, ":%u:%u", at.line, at.column);
    }
    buf_append_str(c->out, ": ");
    buf_append_str(c->out, kind);
    if (path[0] != '\0') {
        append_clean(c->out, path);
        buf_append_str(c->out, ": ");
    }
    append_clean(c->out, reason);
    buf_append_char(c->out, '\n');
}

static void complain_va(struct complaints *c, struct policy_spot at, const char *kind,
                        const char *path, const char *fmt, va_list args)
{
    char reason[1024];
    (void)vsnprintf(reason, sizeof(reason), fmt, args);
    append_line(c, at, kind, path, reason);
}

void policy_complain(struct complaints *c, struct policy_spot at, const char *path, const char *fmt,
                     ...)
{
    if (++c->errors > POLICY_COMPLAINTS_MAX) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    complain_va(c, at, "", path, fmt, args);
    va_end(args);
}

void policy_warn(struct complaints *c, struct policy_spot at, const char *path, const char *fmt, ...)
{
    if (++c->warnings > POLICY_COMPLAINTS_MAX) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    complain_va(c, at, "warning: ", path, fmt, args);
    va_end(args);
}

void policy_complain_later(struct complaints *c, struct policy_spot at, const char *path,
                           const char *what)
{
    policy_complain(c, at, path, "not in this version yet: %s; remove it", what);
}

void policy_complaints_close(struct complaints *c)
{
    if (c->errors > POLICY_COMPLAINTS_MAX) {
        append_clean(c->out, c->file);
        buf_printf(c->out, ": %u more mistakes are not shown\n", c->errors - POLICY_COMPLAINTS_MAX);
    }
}
