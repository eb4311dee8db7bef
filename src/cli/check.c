/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshet check: is this policy right, and does the database agree?
 *
 * First the file alone, then, unless --offline, the database: what is looked at is what the daemon
 * will look at, through the same code (catalog, plans). Each finding names the next step. A
 * *problem* is something that will not work (exit code 1); a *warning* works, but caches less than
 * it could.
 */
#include "base/hash.h"
#include "cli/check_database.h"
#include "cli/check_spaces.h"
#include "cli/verbs.h"
#include "serve/server.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: freshet check [--offline] [FILE]\n\n"
    "Checks the policy FILE (default freshet.yaml) and says what each of its spaces promises: "
    "budget,\n"
    "eviction, durability, and the room for the log. Then the database that it names: version, "
    "WAL\n"
    "level, replication, publication, replica identities, privileges, and for each statement what\n"
    "its answers depend on or why they cannot be cached. Changes nothing.\n\n"
    "  --offline   the file alone\n\n"
    "Exit code: 0 fine, warnings included; 1 something will not work; 2 wrong usage.\n";

struct arguments {
    const char *file;
    bool offline;
};

/* False: `ret_rc` is the exit code. */
static bool parse(int argc, char **argv, struct arguments *ret_args, int *ret_rc)
{
    struct arguments a = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(usage, stdout);
            *ret_rc = 0;
            return false;
        }
        if (strcmp(argv[i], "--offline") == 0) {
            a.offline = true;
        } else if (argv[i][0] != '-' && a.file == NULL) {
            a.file = argv[i];
        } else {
            (void)fprintf(stderr, "freshet check: `%s` is not understood\n\n%s", argv[i], usage);
            *ret_rc = 2;
            return false;
        }
    }
    a.file = a.file != NULL ? a.file : "freshet.yaml";
    *ret_args = a;
    return true;
}

/* Keys of a space with a prefix are matched behind it: a template that repeats the prefix matches
 * only keys that carry it twice. */
static void check_prefixes(struct report *r, const struct policy *p)
{
    bool somewhere = p->template_count == 0;
    for (uint32_t s = 0; s < p->space_count; s++) {
        const struct policy_space *space = &p->spaces[s];
        somewhere = somewhere || policy_space_followed(p, space);
        for (uint32_t t = 0; space->prefix != NULL && t < p->template_count; t++) {
            struct slice rest;
            if (policy_strip_prefix(space, slice_of(p->templates[t].text), &rest)) {
                report_line(r, REPORT_WARNING, p->templates[t].text,
                            "begins with the prefix \"%s\" of space %s, but templates apply behind "
                            "it: write \"%.*s\"",
                            space->prefix, space->name, (int)rest.len, rest.ptr);
            }
        }
    }
    if (!somewhere) {
        report_line(r, REPORT_WARNING, "invalidate",
                    "no space follows the database, so no key can match a template");
    }
}

/* What the loader said, one line each; of a valid policy these are warnings. */
static void pass_on(struct report *r, struct slice complaints)
{
    if (complaints.len == 0) {
        return;
    }
    (void)fwrite(complaints.ptr, 1, complaints.len, stderr);
    for (size_t i = 0; i < complaints.len; i++) {
        r->warnings += complaints.ptr[i] == '\n';
    }
}

static const struct policy *check_file(struct report *r, const char *file)
{
    struct buf complaints;
    buf_init(&complaints);
    const struct policy *p = server_policy_load(file, &complaints);
    pass_on(r, buf_readable(&complaints));
    if (p == NULL) {
        (void)fprintf(stderr, "%s: not valid\n", file);
    } else {
        report_section(r, "policy");
        report_line(r, REPORT_OK, file, "%u space%s, %u key template%s, %u route%s", p->space_count,
                    report_plural(p->space_count), p->template_count,
                    report_plural(p->template_count), p->route_count,
                    report_plural(p->route_count));
        check_prefixes(r, p);
        check_spaces(r, p);
    }
    buf_fini(&complaints);
    return p;
}

static void check_live(struct report *r, const struct policy *p)
{
    struct live l;
    struct buf why;
    buf_init(&why);
    if (!live_open(&l, p, p->database.dsn, &why)) {
        struct slice text = buf_readable(&why);
        report_section(r, "database");
        report_line(
            r, REPORT_PROBLEM, "connection",
            "%.*s. Is PostgreSQL running, and is `database: dsn:` right? `--offline` checks "
            "the file alone",
            (int)text.len, text.ptr);
    } else {
        check_server(r, &l);
        check_tables(r, &l);
        check_routes(r, &l);
        check_templates(r, &l);
    }
    buf_fini(&why);
    live_close(&l);
}

int cli_check(int argc, char **argv)
{
    struct arguments a;
    struct report r;
    int rc = 0;
    if (!parse(argc, argv, &a, &rc)) {
        return rc;
    }
    hash_setup();
    report_init(&r);
    const struct policy *p = check_file(&r, a.file);
    if (p == NULL) {
        return 1;
    }
    if (!a.offline && p->database.dsn != NULL) {
        check_live(&r, p);
    } else {
        report_section(&r, "database");
        report_line(&r, REPORT_NOTE, "database",
                    a.offline ? "not asked (--offline)" : "none: nothing is followed");
    }
    rc = report_end(&r, a.file);
    policy_unload(&p);
    return rc;
}
