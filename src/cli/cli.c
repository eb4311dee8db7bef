/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The freshet command: one table of verbs. `freshet --help` is printed from it; each verb prints its own
 * help for `--help`.
 */
#include "cli/cli.h"

#include "base/check.h"
#include "base/hash.h"
#include "cli/verbs.h"
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} verbs[] = {
    {"serve", cli_serve, "run the daemon with a policy file"},
    {"check", cli_check, "check a policy file, also against the live database"},
    {"setup-sql", cli_setup_sql, "print the SQL that a database administrator runs once"},
    {"explain", cli_explain, "say why a key or a route would hit or miss now"},
    {"stats", cli_stats, "print the running daemon's counters"},
    {"tail", cli_tail, "print what the running daemon's threads do, as it happens"},
    {"log", cli_log, "check, repair or show the log of durable spaces"},
    {"verify", cli_verify, "check that a running daemon never answers older than it promises"},
};

const char *cli_option(int argc, char **argv, int *i, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) != 0) {
        return NULL;
    }
    if (argv[*i][len] == '=') {
        return argv[*i] + len + 1;
    }
    if (argv[*i][len] == '\0' && *i + 1 < argc && argv[*i + 1] != NULL) {
        return argv[++*i];
    }
    return NULL;
}

const struct policy *cli_policy(const char *file)
{
    struct buf complaints;
    buf_init(&complaints);
    hash_setup();
    const struct policy *p = policy_load(file, &complaints);
    if (p == NULL) {
        (void)fwrite(buf_readable(&complaints).ptr, 1, buf_len(&complaints), stderr);
    }
    buf_fini(&complaints);
    return p;
}

static void help(FILE *to)
{
    (void)fputs("freshet: a cache that knows when your database changed\n\n"
                "usage: freshet VERB [options]\n\n",
                to);
    for (size_t i = 0; i < array_len(verbs); i++) {
        (void)fprintf(to, "  %-10s  %s\n", verbs[i].name, verbs[i].summary);
    }
    (void)fputs("\n`freshet VERB --help` says more. `freshet --version` prints the version.\n", to);
}

/* The verb that somebody may have meant; NULL: none is near. */
static const char *nearest_verb(const char *name)
{
    const char *best = NULL;
    unsigned least = 0;
    for (size_t i = 0; i < array_len(verbs); i++) {
        unsigned distance;
        if (policy_is_slip(name, verbs[i].name, &distance) && (best == NULL || distance < least)) {
            best = verbs[i].name;
            least = distance;
        }
    }
    return best;
}

static void refuse_verb(const char *name)
{
    const char *near = nearest_verb(name);
    (void)fprintf(stderr, "freshet: there is no verb `%s`", name);
    if (near != NULL) {
        (void)fprintf(stderr, "; did you mean `%s`?", near);
    }
    (void)fputs("\n\n", stderr);
}

int cli_main(int argc, char **argv)
{
    static char help_option[] = "--help";
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        (void)puts("freshet " FRESHET_VERSION);
        return 0;
    }
    if (argc > 2 && strcmp(argv[2], "-h") == 0) {
        argv[2] = help_option;
    }
    for (size_t i = 0; i < array_len(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return verbs[i].run(argc - 1, argv + 1);
        }
    }
    if (name[0] != '\0') {
        refuse_verb(name);
    }
    help(stderr);
    return 2;
}
