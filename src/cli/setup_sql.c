/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshet setup-sql: prints the SQL that a database administrator runs once, and again after the
 * policy changed. It changes nothing itself.
 *
 * What is printed is idempotent, explains each statement, and asks for as little as possible: a
 * role that may replicate and read exactly what the statements read, a publication of exactly the
 * tables that cached answers and key templates depend on (never FOR ALL TABLES: that breaks UPDATE
 * on tables without a replica identity), and two event triggers that put schema changes into the
 * stream.
 *
 * The tables come from the live database, since only it knows what stands behind views, functions
 * and row security; --offline knows the tables of `invalidate:` alone.
 */
#include "base/hash.h"
#include "cli/setup.h"
#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: freshet setup-sql [--role NAME] [--dsn DSN] [--offline] [FILE]\n\n"
    "Prints the SQL that lets freshet follow the database of the policy FILE (default "
    "freshet.yaml):\n"
    "role, publication, grants, event triggers. Read it, then run it as a superuser:\n\n"
    "  freshet setup-sql shop.yaml | psql -v ON_ERROR_STOP=1 DBNAME\n\n"
    "  --role NAME   the role that freshet logs in as (default freshet)\n"
    "  --dsn DSN     connect with this instead of the policy's own, to find the tables; for the "
    "first\n"
    "                time, when the policy's role does not exist yet\n"
    "  --offline     do not connect: only the tables of `invalidate:` are known then\n\n"
    "Nothing is changed by this command. Exit code: 0 printed; 1 it could not; 2 wrong usage.\n";

struct arguments {
    const char *file;
    const char *role;
    const char *dsn;
    bool offline;
};

/* False: `ret_rc` is the exit code. */
static bool parse(int argc, char **argv, struct arguments *ret_args, int *ret_rc)
{
    struct arguments a = {.role = "freshet"};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(usage, stdout);
            *ret_rc = 0;
            return false;
        }
        if (strcmp(argv[i], "--offline") == 0) {
            a.offline = true;
        } else if (strcmp(argv[i], "--role") == 0 && more) {
            a.role = argv[++i];
        } else if (strcmp(argv[i], "--dsn") == 0 && more) {
            a.dsn = argv[++i];
        } else if (argv[i][0] != '-' && a.file == NULL) {
            a.file = argv[i];
        } else {
            (void)fprintf(stderr, "freshet setup-sql: `%s` is not understood\n\n%s", argv[i],
                          usage);
            *ret_rc = 2;
            return false;
        }
    }
    a.file = a.file != NULL ? a.file : "freshet.yaml";
    *ret_args = a;
    return true;
}

static void print_all(const struct setup *s)
{
    printf("-- What freshet needs in this database for %s.\n"
           "-- Run it in the database that holds the tables, as a superuser (event triggers need "
           "one), and\n"
           "-- again whenever routes or `invalidate:` change. Running it twice does no harm.\n",
           s->policy->file);
    printf("\nBEGIN;\n");
    setup_role(s);
    setup_publication(s);
    setup_grants(s);
    printf("\nCOMMIT;\n");
    setup_event_triggers();
    printf("\n-- Then: freshet check %s\n", s->policy->file);
}

/* Statements that PostgreSQL refuses would silently be left out of everything below. */
static bool refuse_broken(const struct live *l)
{
    bool broken = false;
    for (uint32_t i = 0; i < l->plan->route_count; i++) {
        const struct plan_route *r = &l->plan->routes[i];
        if (r->broken) {
            (void)fprintf(stderr, "freshet setup-sql: %s: %s\n", r->route->match, r->why);
            broken = true;
        }
    }
    return broken;
}

static int run_live(const struct setup *s, const char *dsn)
{
    struct live l = {0};
    struct buf why;
    buf_init(&why);
    int rc = 1;
    if (dsn == NULL) {
        (void)fprintf(stderr, "freshet setup-sql: %s names no database (`database: dsn:`)\n",
                      s->policy->file);
    } else if (!live_open(&l, s->policy, dsn, &why)) {
        (void)fprintf(
            stderr,
            "freshet setup-sql: %.*s\nThe database is asked which tables stand behind views and "
            "functions. If the policy's role does not exist yet, connect as\nanother with --dsn; "
            "or use --offline and add the tables yourself.\n",
            (int)buf_len(&why), buf_readable(&why).ptr);
    } else if (!refuse_broken(&l)) {
        struct setup connected = *s;
        connected.live = &l;
        print_all(&connected);
        rc = 0;
    }
    live_close(&l);
    buf_fini(&why);
    return rc;
}

int cli_setup_sql(int argc, char **argv)
{
    struct arguments a;
    struct buf complaints;
    int rc = 0;
    if (!parse(argc, argv, &a, &rc)) {
        return rc;
    }
    hash_setup();
    buf_init(&complaints);
    const struct policy *p = policy_load(a.file, &complaints);
    if (buf_len(&complaints) > 0) {
        (void)fwrite(buf_readable(&complaints).ptr, 1, buf_len(&complaints), stderr);
    }
    buf_fini(&complaints);
    if (p == NULL) {
        return 1;
    }
    struct setup s = {.policy = p, .role = a.role};
    if (a.offline) {
        print_all(&s);
    } else {
        rc = run_live(&s, a.dsn != NULL ? a.dsn : p->database.dsn);
    }
    policy_unload(&p);
    return rc;
}
