/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshet verify: the freshness checker against a running daemon. What the daemon promises (max_stale,
 * implicit_lease) is read from its policy file, so that the checker and the daemon cannot disagree.
 */
#include "verify/verify.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/number.h"
#include "cli/verbs.h"
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: freshet verify --dsn DSN --http ADDRESS --resp ADDRESS [options] FILE\n\n"
    "Writes to its own tables and reads them through a running freshet, as fast as it can, and "
    "judges\n"
    "every answer: was any older than its level promises? FILE is the daemon's policy, made from\n"
    "conf/verify/freshet.yaml; the tables come from conf/verify/schema.sql. `tools/verify` does "
    "all of\n"
    "this with a private PostgreSQL.\n\n"
    "  --dsn DSN        connects as a role that may write the schema `verify`\n"
    "  --http ADDRESS   the daemon's HTTP face, host:port or unix:/path\n"
    "  --resp ADDRESS   the daemon's Redis face\n"
    "  --own ADDRESS    its Redis face with `affinity: connection`, if it has one\n"
    "  --reads N        stop after N reads (default 1000000)\n"
    "  --seconds N      stop after N seconds, whatever comes first\n"
    "  --writes N       transactions a second (default 300)\n"
    "  --seed N         of the random numbers (default: drawn from the clock, and printed)\n"
    "  --disturb        now and then hold a commit back by naming a standby that does not exist "
    "(alters\n"
    "                   the server's synchronous_standby_names), and cut the daemon's replication\n"
    "                   connection; needs a superuser; for private servers only\n"
    "  --json           print the summary as JSON too\n\n"
    "Exit code: 0 nothing was older than promised; 1 something was, its history is printed; 2 it "
    "could\n"
    "not check, or wrong usage.\n";

struct number_option {
    const char *name;
    uint64_t *value;
};

/* "--name N" or "--name=N". 1: taken, 0: another option, -1: not a number. */
static int take_number(const struct number_option *o, int argc, char **argv, int *i)
{
    size_t len = strlen(o->name);
    const char *text = NULL;
    if (strncmp(argv[*i], o->name, len) != 0) {
        return 0;
    }
    if (argv[*i][len] == '=') {
        text = argv[*i] + len + 1;
    } else if (argv[*i][len] == '\0' && *i + 1 < argc) {
        text = argv[++*i];
    }
    return text != NULL && number_parse_u64(slice_of(text), o->value) ? 1 : -1;
}

/* 0 fine, -1 `--help`, 1 wrong usage. */
static int parse(int argc, char **argv, struct verify_options *o, const char **ret_file)
{
    uint64_t writes = 300;
    const struct number_option numbers[] = {{"--reads", &o->reads},
                                            {"--seconds", &o->seconds},
                                            {"--writes", &writes},
                                            {"--seed", &o->seed}};
    for (int i = 1; i < argc; i++) {
        int taken = 0;
        for (size_t n = 0; n < array_len(numbers) && taken == 0; n++) {
            taken = take_number(&numbers[n], argc, argv, &i);
        }
        bool more = i + 1 < argc;
        if (taken > 0) {
            continue;
        }
        if (strcmp(argv[i], "--help") == 0) {
            return -1;
        }
        if (strcmp(argv[i], "--disturb") == 0) {
            o->disturb = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
        } else if (strcmp(argv[i], "--dsn") == 0 && more) {
            o->dsn = argv[++i];
        } else if (strcmp(argv[i], "--http") == 0 && more) {
            o->http = argv[++i];
        } else if (strcmp(argv[i], "--resp") == 0 && more) {
            o->resp = argv[++i];
        } else if (strcmp(argv[i], "--own") == 0 && more) {
            o->own = argv[++i];
        } else if (taken == 0 && argv[i][0] != '-' && *ret_file == NULL) {
            *ret_file = argv[i];
        } else {
            (void)fprintf(stderr, "freshet verify: `%s` is not understood\n\n%s", argv[i], usage);
            return 1;
        }
    }
    o->writes = writes < 100000 ? (uint32_t)writes : 100000;
    if (*ret_file == NULL || o->dsn == NULL || o->http == NULL || o->resp == NULL) {
        (void)fputs(usage, stderr);
        return 1;
    }
    return 0;
}

/* The promises; the shortest lease of all templates. */
static bool read_policy(const char *file, struct verify_options *o)
{
    const struct policy *p = cli_policy(file);
    if (p == NULL) {
        return false;
    }
    o->max_stale_ms = p->database.max_stale_ms;
    o->lease_ms = UINT32_MAX;
    for (uint32_t i = 0; i < p->template_count; i++) {
        uint32_t lease_ms = p->templates[i].implicit_lease_ms;
        o->lease_ms = lease_ms < o->lease_ms ? lease_ms : o->lease_ms;
    }
    policy_unload(&p);
    return true;
}

int cli_verify(int argc, char **argv)
{
    struct verify_options options = {.reads = 1000000, .seed = clock_wall_ms() % 1000000};
    const char *file = NULL;
    int rc = parse(argc, argv, &options, &file);
    if (rc < 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    return rc > 0 || !read_policy(file, &options) ? 2 : verify_run(&options);
}
