/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MONITOR, and what of a command may be shown to anybody.
 *
 * Threads: the worker's that runs the command.
 */
#ifndef SERVE_MONITOR_H
#define SERVE_MONITOR_H

#include "serve/resp_client.h"

/* Shows the command to everybody who monitors. Call it when the server's alert says ALERT_MONITOR. */
void monitor_show(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                  uint32_t argc);
/* Is this argument a secret (a password, a user's rules)? Then "(redacted)" is shown in its place, here
 * and in SLOWLOG. */
bool monitor_hides(const struct command *cmd, const struct slice *argv, uint32_t argc, uint32_t at);
/* The connection monitors no more (RESET, or it goes away). */
void monitor_end(struct resp_client *c);

#endif
