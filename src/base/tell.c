/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small table of what was told, by hash. When it is full the oldest place is used again, so an outage with
 * more than TELL_REASONS reasons in turn would tell some of them again.
 */
#include "base/tell.h"

#include <stddef.h>

static uint64_t hash_without_digits(const char *why)
{
    uint64_t h = 1;
    for (const char *c = why; *c != '\0'; c++) {
        if (*c < '0' || *c > '9') {
            h = (h ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
        }
    }
    return h;
}

bool tell_due(struct tell *t, const char *why, uint64_t now_ms)
{
    uint64_t hash = hash_without_digits(why);
    for (size_t i = 0; i < TELL_REASONS; i++) {
        if (t->reason[i].hash != hash) {
            continue;
        }
        bool due = t->reason[i].outage != t->outage && now_ms - t->reason[i].at_ms >= TELL_AGAIN_MS;
        t->reason[i].outage = t->outage;
        t->reason[i].at_ms = due ? now_ms : t->reason[i].at_ms;
        return due;
    }
    t->reason[t->next].hash = hash;
    t->reason[t->next].at_ms = now_ms;
    t->reason[t->next].outage = t->outage;
    t->next = (t->next + 1) % TELL_REASONS;
    return true;
}

void tell_over(struct tell *t)
{
    t->outage++;
}
