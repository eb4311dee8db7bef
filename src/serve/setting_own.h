/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings of CONFIG that have functions of their own: for cmd/config.c's table. */
#ifndef SERVE_SETTING_OWN_H
#define SERVE_SETTING_OWN_H

#include "base/log.h"
#include "serve/resp_client.h"

enum { SETTING_TEXT_MAX = LOG_SPEC_MAX };

typedef void setting_print_fn(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX]);
/* False and a reason. With `apply` false it only checks. */
typedef bool setting_set_fn(struct resp_client *c, struct slice value, bool apply,
                            char ret_why[SETTING_TEXT_MAX]);

setting_print_fn setting_print_policy;
setting_set_fn setting_set_policy;
setting_print_fn setting_print_memory;
setting_set_fn setting_set_memory;
setting_print_fn setting_print_bulk_max;
setting_print_fn setting_print_connections;
setting_print_fn setting_print_log_level;
setting_set_fn setting_set_log_level;
setting_print_fn setting_print_idle;
setting_set_fn setting_set_idle;
setting_print_fn setting_print_password;
setting_set_fn setting_set_password;
setting_print_fn setting_print_keepalive;
setting_print_fn setting_print_durable;
setting_print_fn setting_print_fsync;
setting_print_fn setting_print_dir;
setting_print_fn setting_print_port;
setting_print_fn setting_print_bind;
setting_print_fn setting_print_events;
setting_set_fn setting_set_events;
setting_print_fn setting_print_output_limits;
/* "32mb" and "33554432"; false: neither. */
bool setting_parse_bytes(struct slice text, uint64_t *ret_bytes);
setting_set_fn setting_set_output_limits;
setting_print_fn setting_print_channels;
setting_set_fn setting_set_channels;
setting_print_fn setting_print_tracking;
setting_set_fn setting_set_tracking;
setting_print_fn setting_print_percentiles;
setting_set_fn setting_set_percentiles;
setting_print_fn setting_print_debug;
/* One of `choices`, apart by a space, whatever the case of its letters; xmalloc'ed. */
bool setting_choose(const char *choices, struct slice value, char **ret_choice,
                    char ret_why[SETTING_TEXT_MAX]);

#endif
