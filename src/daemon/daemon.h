/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon: the life of the process. Loads the policy, starts the server, waits for signals, stops it.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdint.h>

struct daemon_options {
    const char *file;          /* the policy */
    const char *const *breaks; /* see serve/server.h */
    uint32_t break_count;
    /* A spec as in log_settings_read(), stronger than the policy; NULL: none. */
    const char *log_level;
};

/* Runs until SIGTERM or SIGINT. Exit code: 0 after a clean stop, 1 when it could not start (the reason is
 * on standard error). Prints one line "ready http=... resp=..." on standard output once it answers. */
int daemon_run(const struct daemon_options *options);

#endif
