/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Single values: durations, sizes, counts, choices, addresses, as text both ways.
 *
 * Private to policy. A value is read exactly or refused; on failure `ret_why` gets the reason and
 * the next step ("has no unit; write 30s for seconds"), static or in the arena. Threads: any; no
 * state.
 */
#ifndef POLICY_VALUES_H
#define POLICY_VALUES_H

#include "base/arena.h"
#include "policy/options.h"
#include "policy/policy.h"

#include <stdint.h>

/* "400MB" "64 KB" "1G" "512B" "0"; powers of 1024. */
bool policy_parse_size(const char *text, uint64_t *ret_bytes, const char **ret_why);

/* Reads a value of the option's kind and holds it against its range. Not for strings and trees. */
bool policy_parse_value(struct arena *arena, const struct policy_option *o, const char *text,
                        uint64_t *ret_value, const char **ret_why);
/* Index of `text` in "a|b|c". */
bool policy_parse_choice(struct arena *arena, const char *choices, const char *text,
                         uint64_t *ret_index, const char **ret_why);

/* "host:port", "[v6]:port", ":port" or "unix:/path". `ret_is_local`: only this machine can reach
 * it. */
bool policy_parse_address(struct arena *arena, const char *text, bool *ret_is_local,
                          const char **ret_why);

/* The shortest exact way to write it: "90s", "1h", "64KB". */
const char *policy_format_duration(struct arena *arena, uint64_t ms);
const char *policy_format_size(struct arena *arena, uint64_t bytes);

#endif
