/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slowlog: the slowest commands of late, as SLOWLOG GET tells them, and LATENCY's events.
 *
 * Threads: any worker's. Lock: rank watch, taken only for what is slow.
 */
#ifndef SERVE_SLOWLOG_H
#define SERVE_SLOWLOG_H

#include "serve/resp_client.h"

struct slowlog;
struct slowlog *slowlog_create(void);
void slowlog_destroy(struct slowlog **l);
/* The command took at least as long as `slowlog-log-slower-than`. */
void slowlog_note(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                  uint32_t argc, uint64_t us);
/* After slowlog-max-len was changed. */
void slowlog_trim(struct server *s);

struct latency;
struct latency *latency_create(void);
void latency_destroy(struct latency **l);
/* Something took this long: noted when it is at least `latency-monitor-threshold`. `event` is static:
 * "command", "fast-command", "expire-cycle". */
void latency_note(struct server *s, const char *event, uint64_t ms);
static inline bool latency_is_slow(const struct server *s, uint64_t ms)
{
    uint64_t threshold = setting_get(&s->settings.latency_ms);
    return threshold > 0 && ms >= threshold;
}

#endif
