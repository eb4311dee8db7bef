/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command_stats: how often each command ran, how long it took, and with what errors.
 *
 * Each worker counts for itself, with plain loads and stores; readers sum over the workers and subtract
 * what had been counted at the last CONFIG RESETSTAT. Times are microseconds, kept as a histogram whose
 * buckets are an eighth of a power of two wide.
 *
 * Threads: counting is the worker's; reading is anybody's.
 */
#ifndef SERVE_COMMAND_STATS_H
#define SERVE_COMMAND_STATS_H

#include "serve/resp_client.h"

enum { STATS_BUCKETS = 256 };

struct command_figures {
    uint64_t calls;
    uint64_t us;
    uint64_t rejected; /* refused before they ran */
    uint64_t failed;   /* answered with an error */
    uint64_t timed;    /* calls in the buckets: those while latency-tracking was on */
    uint64_t buckets[STATS_BUCKETS];
};

struct command_stats *command_stats_create(void);
void command_stats_destroy(struct command_stats **st);

/* After a command: `us` is how long it took. */
void command_stats_ran(struct worker *w, const struct command *cmd, uint64_t us, bool failed);
/* One that ran, and waited, has failed in the end. */
void command_stats_failed(struct worker *w, const struct command *cmd);
void command_stats_rejected(struct worker *w, const struct command *cmd);
/* `text` follows the minus sign of an error reply: its first word is counted. */
void command_stats_error(struct worker *w, struct slice text);

/* False when the command never ran and was never rejected. */
bool command_stats_sum(struct server *s, const struct command *cmd,
                       struct command_figures *ret_figures);
/* Commands that may write and were answered without an error, since the start whatever was reset. */
uint64_t command_stats_writes(const struct server *s);
/* The time in microseconds below which `share` (0 to 1) of the calls were. */
double command_stats_percentile(const struct command_figures *f, double share);
/* The upper end of a bucket, microseconds. */
uint64_t command_stats_bucket_end(uint32_t bucket);
typedef void command_stats_error_fn(void *arg, const char *word, uint64_t count);
/* Each first word of error replies since the last reset. */
void command_stats_each_error(struct server *s, command_stats_error_fn *fn, void *arg);
/* Forgets everything counted so far, of commands and of errors. */
void command_stats_reset(struct server *s);
void command_stats_free_base(struct server *s);

#endif
