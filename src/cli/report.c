/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Findings, one a line: level, subject, text. The exit code follows from how many were problems.
 */
#include "cli/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *word;
    const char *colour;
} levels[] = {
    [REPORT_OK] = {"ok", "\033[32m"},
    [REPORT_NOTE] = {"note", "\033[36m"},
    [REPORT_WARNING] = {"warning", "\033[33m"},
    [REPORT_PROBLEM] = {"problem", "\033[31m"},
};

void report_init(struct report *r)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    bool wanted =
        (no_color == NULL || no_color[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0;
    *r = (struct report){.colours = wanted && isatty(STDOUT_FILENO) == 1};
}

void report_section(struct report *r, const char *title)
{
    printf(r->colours ? "\n\033[1m%s\033[0m\n" : "\n%s\n", title);
}

void report_line(struct report *r, enum report_level level, const char *subject, const char *fmt,
                 ...)
{
    const char *colour = r->colours ? levels[level].colour : "";
    const char *plain = r->colours ? "\033[0m" : "";
    printf("  %s%-7s%s  %s: ", colour, levels[level].word, plain, subject);
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    r->problems += level == REPORT_PROBLEM;
    r->warnings += level == REPORT_WARNING;
}

const char *report_plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

int report_end(struct report *r, const char *file)
{
    printf("\n%s: %u problem%s, %u warning%s\n", file, r->problems, report_plural(r->problems),
           r->warnings, report_plural(r->warnings));
    return r->problems > 0 ? 1 : 0;
}
