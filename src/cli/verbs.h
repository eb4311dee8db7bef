/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs of the freshet command: each parses its own arguments and returns the exit code of cli.h. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

/* The value of "--name value" or "--name=value"; NULL when argv[*i] is something else. */
const char *cli_option(int argc, char **argv, int *i, const char *name);

/* Loads FILE, as a verb that needs only what stands in it. NULL after printing its mistakes; the caller unloads. */
struct policy;
const struct policy *cli_policy(const char *file);

int cli_serve(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_setup_sql(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_stats(int argc, char **argv);
int cli_tail(int argc, char **argv);
int cli_log(int argc, char **argv);
int cli_verify(int argc, char **argv);

#endif
