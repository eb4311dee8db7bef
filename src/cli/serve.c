/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshet serve: arguments into options; the rest is daemon.c's.
 */
#include "cli/verbs.h"
#include "daemon/daemon.h"

#include <stdio.h>
#include <string.h>

enum { BREAKS_MAX = 8 };

static const char usage[] =
    "usage: freshet serve [--log-level LEVELS] [FILE]\n\n"
    "Runs in the foreground with the policy FILE (default freshet.yaml). Prints one line\n"
    "`ready http=... resp=... admin=... took=...ms` on standard output once it answers; logs go "
    "to\n"
    "standard error. SIGTERM and SIGINT let requests in progress end, then it exits with 0.\n"
    "SIGHUP reads FILE again: what changed is void, a file with mistakes changes nothing.\n\n"
    "  --log-level L  error, warn, info (default), debug or trace, also by module:\n"
    "                 info,follow=debug; stronger than the policy's `log`\n"
    "  --break NAME   for the freshness checker, with `debug: true` only: break the rule on\n"
    "                 purpose (fence, late-marks, store-stamp, oldest-miss, row-all)\n";

int cli_serve(int argc, char **argv)
{
    const char *breaks[BREAKS_MAX];
    struct daemon_options options = {.breaks = breaks};
    for (int i = 1; i < argc; i++) {
        const char *value;
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(usage, stdout);
            return 0;
        }
        if ((value = cli_option(argc, argv, &i, "--log-level")) != NULL ||
            (value = cli_option(argc, argv, &i, "--log")) != NULL) {
            options.log_level = value;
        } else if (options.break_count < BREAKS_MAX &&
                   (value = cli_option(argc, argv, &i, "--break")) != NULL) {
            breaks[options.break_count++] = value;
        } else if (argv[i][0] != '-' && options.file == NULL) {
            options.file = argv[i];
        } else {
            (void)fprintf(stderr, "freshet serve: `%s` is not understood\n\n%s", argv[i], usage);
            return 2;
        }
    }
    if (options.file == NULL) {
        options.file = "freshet.yaml";
    }
    return daemon_run(&options);
}
