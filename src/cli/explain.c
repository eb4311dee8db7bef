/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshet explain: one question to /explain of the running daemon, printed as it comes, or as JSON.
 *
 * Which database a key is in is guessed from the policy when nobody says: where a template matches
 * it.
 */
#include "base/alloc.h"
#include "base/number.h"
#include "cli/ask.h"
#include "cli/explain_json.h"
#include "cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char explain_usage[] =
    "usage: freshet explain [-c FILE] [--json] GET /path?query\n"
    "       freshet explain [-c FILE] [--json] [--db N] key KEY\n\n"
    "Asks the running daemon why this answer or key would hit or miss now: which rule governs it,\n"
    "what it depends on and when that last changed, its stamp, age and TTL left.\n\n"
    "  -c FILE   the daemon's policy (default freshet.yaml)\n"
    "  --db N    Redis database of the key (default: the first one where a template matches it)\n"
    "  --json    one JSON object; what may come several times (rule, depends_on, ...) is a list\n";

struct arguments {
    const char *file;
    int db;
    bool json;
    const char *word[2];
    int words;
};

static bool parse_db(const char *text, int *ret_db)
{
    uint64_t db;
    if (!number_parse_u64(slice_of(text), &db) || db >= POLICY_DBS) {
        (void)fprintf(stderr, "freshet: --db `%s`: give the number of a Redis database, 0 to %d\n",
                      text, POLICY_DBS - 1);
        return false;
    }
    *ret_db = (int)db;
    return true;
}

/* 0: fine, otherwise the exit code + 1. */
static int parse(int argc, char **argv, const char *usage, struct arguments *a)
{
    *a = (struct arguments){.file = "freshet.yaml", .db = -1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(usage, stdout);
            return 1;
        }
        if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
            a->file = argv[++i];
        } else if (strcmp(argv[i], "--db") == 0 && i + 1 < argc) {
            if (!parse_db(argv[++i], &a->db)) {
                return 3;
            }
        } else if (strcmp(argv[i], "--json") == 0 && a->words == 0) {
            a->json = true;
        } else if (a->words < 2 && (argv[i][0] != '-' || a->words > 0)) {
            a->word[a->words++] = argv[i];
        } else {
            (void)fprintf(stderr, "freshet: `%s` is not understood\n\n%s", argv[i], usage);
            return 3;
        }
    }
    return 0;
}

static int ask_and_print(const struct policy *p, const char *target, bool json)
{
    struct buf answer;
    buf_init(&answer);
    bool ok = ask_daemon(p, "/explain", target, &answer);
    if (ok && buf_len(&answer) > 7 && strncmp(buf_readable(&answer).ptr, "error: ", 7) == 0) {
        (void)fprintf(stderr, "freshet: %.*s", (int)buf_len(&answer) - 7,
                      buf_readable(&answer).ptr + 7);
        ok = false;
    } else if (ok && json) {
        explain_json_print(buf_readable(&answer));
    } else if (ok) {
        (void)fwrite(buf_readable(&answer).ptr, 1, buf_len(&answer), stdout);
    }
    buf_fini(&answer);
    return ok ? 0 : 1;
}

static void note_match(void *arg, const struct policy_template *t, const struct slice *values)
{
    *(bool *)arg = true;
}

/* Where the key most likely lives: a template matches it there; else the first with followed keys. */
static int likely_db(const struct policy *p, struct slice key)
{
    int first = -1;
    for (int db = 0; db < POLICY_DBS; db++) {
        const struct policy_space *space = policy_space_of(p, (uint32_t)db);
        if (space == NULL || !policy_space_followed(p, space)) {
            continue;
        }
        struct slice rest;
        bool matches = false;
        if (policy_strip_prefix(space, key, &rest)) {
            policy_match_key(p, rest, note_match, &matches);
        }
        if (matches) {
            return db;
        }
        first = first < 0 ? db : first;
    }
    return first < 0 ? 0 : first;
}

int cli_explain(int argc, char **argv)
{
    struct arguments a;
    int rc = parse(argc, argv, explain_usage, &a);
    if (rc != 0) {
        return rc - 1;
    }
    if (a.words != 2) {
        (void)fputs(explain_usage, stderr);
        return 2;
    }
    const struct policy *p = ask_policy(a.file);
    if (p == NULL) {
        return 1;
    }
    int db = a.db >= 0 ? a.db : likely_db(p, slice_of(a.word[1]));
    char *target = strcmp(a.word[0], "key") == 0 ? xasprintf("key %d %s", db, a.word[1])
                                                 : xasprintf("%s %s", a.word[0], a.word[1]);
    rc = ask_and_print(p, target, a.json);
    free(target);
    policy_unload(&p);
    return rc;
}
