/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshet log: looks at the log of durable spaces, repairs it, prints it. Nothing here needs a daemon;
 * repairing refuses while one uses the directory.
 */
#include "cli/verbs.h"

#include "cli/cli.h"
#include "persist/persist.h"
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

enum { FLUSH_BYTES = 64 * 1024 };

static const char usage[] =
    "usage: freshet log check|repair|show [DIR]\n"
    "       freshet log check|repair|show -c FILE\n\n"
    "The log of spaces with `keep: durable`. DIR is `durable.dir` of the policy; without it the "
    "policy\n"
    "is asked (FILE, default freshet.yaml).\n\n"
    "  check    reads everything and says whether it is whole\n"
    "  repair   keeps what can be read from the beginning, cuts the rest and keeps a copy of it; "
    "not while\n"
    "           a daemon uses the directory\n"
    "  show     prints the commands, for `redis-cli --pipe` or for reading\n";

static void print(struct buf *out)
{
    (void)fwrite(buf_readable(out).ptr, 1, buf_len(out), stdout);
    buf_clear(out);
}

static void print_some(struct buf *out)
{
    if (buf_len(out) > FLUSH_BYTES) {
        print(out);
    }
}

static int run(const char *what, const char *dir)
{
    struct buf out;
    bool ok;
    buf_init(&out);
    if (strcmp(what, "check") == 0) {
        ok = persist_check_dir(dir, &out);
    } else if (strcmp(what, "repair") == 0) {
        ok = persist_repair_dir(dir, &out);
    } else {
        ok = persist_show_dir(dir, &out, print_some);
    }
    print(&out);
    buf_fini(&out);
    return ok ? 0 : 1;
}

static int run_with_policy(const char *what, const char *file)
{
    const struct policy *p = cli_policy(file);
    int code = 1;
    if (p != NULL && p->durable.dir == NULL) {
        (void)fprintf(stderr, "freshet log: %s has no `durable`: there is no log\n", file);
    } else if (p != NULL) {
        code = run(what, p->durable.dir);
    }
    policy_unload(&p);
    return code;
}

int cli_log(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    const char *file = "freshet.yaml";
    const char *dir = NULL;
    if (strcmp(what, "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    bool known =
        strcmp(what, "check") == 0 || strcmp(what, "repair") == 0 || strcmp(what, "show") == 0;
    for (int i = 2; known && i < argc; i++) {
        const char *value = cli_option(argc, argv, &i, "-c");
        if (value != NULL) {
            file = value;
        } else if (dir == NULL && argv[i][0] != '-') {
            dir = argv[i];
        } else {
            known = false;
            what = argv[i];
        }
    }
    if (!known && what[0] != '\0') {
        (void)fprintf(stderr, "freshet log: `%s` is not understood\n\n", what);
    }
    if (!known) {
        (void)fputs(usage, stderr);
        return 2;
    }
    return dir != NULL ? run(what, dir) : run_with_policy(what, file);
}
