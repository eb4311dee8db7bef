/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report: findings for people, one a line, on standard output. Colours only on a terminal that
 * wants them (NO_COLOR, TERM=dumb). Every problem and warning is counted.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

struct report {
    bool colours;
    uint32_t problems; /* something will not work */
    uint32_t warnings; /* it works, but not as well as it could */
};

enum report_level { REPORT_OK, REPORT_NOTE, REPORT_WARNING, REPORT_PROBLEM };

void report_init(struct report *r);
void report_section(struct report *r, const char *title);
/* `subject` is what the finding is about; the text says what, why and the next step. */
void report_line(struct report *r, enum report_level level, const char *subject, const char *fmt,
                 ...) printf_like(4, 5);
/* "s", or "" for one. */
const char *report_plural(uint32_t count);
/* The last line. Returns the exit code: 0 without problems, 1 with. */
int report_end(struct report *r, const char *file);

#endif
