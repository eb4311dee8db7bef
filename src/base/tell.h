/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tell: which of the things that go wrong again and again deserve another line in the log.
 *
 *     if (tell_due(&t, why, now_ms)) { log_warn(...); }      each attempt of an outage
 *     tell_over(&t);                                         it works again
 *
 * In one outage each reason is told once, however often it comes and whatever comes in between. In the
 * next one it is told again, unless the last time is less than TELL_AGAIN_MS ago: what breaks every second
 * fills no disk. Digits do not make a reason another one (process ids, positions, ports).
 *
 * Threads: one owner.
 */
#ifndef BASE_TELL_H
#define BASE_TELL_H

#include <stdbool.h>
#include <stdint.h>

enum { TELL_REASONS = 16, TELL_AGAIN_MS = 60000 };

struct tell { /* zeroed: nothing was told */
    struct {
        uint64_t hash;
        uint64_t at_ms;
        uint64_t outage;
    } reason[TELL_REASONS];
    uint32_t next; /* the place that is used again first */
    uint64_t outage;
};

/* True: log it, and it counts as told. */
bool tell_due(struct tell *t, const char *why, uint64_t now_ms);
void tell_over(struct tell *t);

#endif
