/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshet tail: polls GET /trace with the cursor of the answer before, over one connection, and prints what
 * came. Ends with 0 on Ctrl-C and when nobody reads its output any more.
 */
#include "cli/ask.h"
#include "cli/verbs.h"

#include "base/alloc.h"
#include "policy/policy.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POLL_MS = 100 };

static const char usage[] =
    "usage: freshet tail [options] [FILE]\n\n"
    "Prints what every thread of the running daemon does: connections, requests, hits and misses "
    "with\n"
    "their reason, fills, commits of the database. Ends with Ctrl-C. FILE is the daemon's policy\n"
    "(default freshet.yaml); it needs an admin listener. docs/reference/trace.md explains the "
    "events.\n\n"
    "  --since TIME   begin with what happened in the last 30s, 5m ... (as far as it is still "
    "there)\n"
    "  --once         print that, and do not wait for more; alone: all that is still there\n"
    "  --event LIST   only these events: --event hit,miss,filled\n"
    "  --thread NAME  only this thread: worker-0, follower ...\n"
    "  --match TEXT   only events whose text (key, path, route, reason) holds this\n"
    "  --json         one JSON object a line\n";

struct wish {
    const char *file;
    const char *event;
    const char *thread;
    const char *match;
    const char *since;
    bool once;
    bool json;
};

static volatile sig_atomic_t is_over;

static void on_interrupt(int sig)
{
    is_over = 1;
}

static bool take_option(int argc, char **argv, int *i, const char *name, const char **ret_value)
{
    const char *value = cli_option(argc, argv, i, name);
    *ret_value = value != NULL ? value : *ret_value;
    return value != NULL;
}

static bool parse(int argc, char **argv, struct wish *w)
{
    for (int i = 1; i < argc; i++) {
        if (take_option(argc, argv, &i, "--since", &w->since) ||
            take_option(argc, argv, &i, "--event", &w->event) ||
            take_option(argc, argv, &i, "--thread", &w->thread) ||
            take_option(argc, argv, &i, "--match", &w->match) ||
            take_option(argc, argv, &i, "-c", &w->file)) {
            continue;
        }
        if (strcmp(argv[i], "--once") == 0) {
            w->once = true;
        } else if (strcmp(argv[i], "--json") == 0) {
            w->json = true;
        } else if (argv[i][0] != '-' && w->file == NULL) {
            w->file = argv[i];
        } else {
            (void)fprintf(stderr, "freshet tail: `%s` is not understood\n\n%s", argv[i], usage);
            return false;
        }
    }
    w->file = w->file != NULL ? w->file : "freshet.yaml";
    return true;
}

/* --- questions ---------------------------------------------------------------------------------- */

static void put_filter(struct buf *path, const char *name, const char *value)
{
    if (value != NULL) {
        buf_printf(path, "&%s=", name);
        ask_put_encoded(path, value);
    }
}

/* The query's part that stays the same. */
static void make_filters(const struct wish *w, struct buf *out)
{
    buf_printf(out, "format=%s", w->json ? "json" : "text");
    put_filter(out, "event", w->event);
    put_filter(out, "thread", w->thread);
    put_filter(out, "match", w->match);
}

/* Where the first answer begins; false after saying what is wrong. */
static bool make_first(const struct wish *w, struct buf *out)
{
    uint64_t ms;
    const char *why;
    if (w->since == NULL) {
        buf_append_str(out, w->once ? "" : "&since=now");
        return true;
    }
    if (!policy_parse_duration(w->since, &ms, &why)) {
        (void)fprintf(stderr, "freshet tail: --since: `%s` %s\n", w->since, why);
        return false;
    }
    buf_printf(out, "&age=%" PRIu64, ms);
    return true;
}

/* --- answers ------------------------------------------------------------------------------------ */

/* Cuts the last line off, which says where to go on. False: there is none. */
static bool take_cursor(struct slice *text, struct buf *ret_cursor, uint64_t *ret_lost)
{
    const char *end = text->len > 0 ? memrchr(text->ptr, '\n', text->len - 1) : NULL;
    struct slice last = end != NULL ? slice_from(*text, (size_t)(end + 1 - text->ptr)) : *text;
    char *line = xstrndup(last.ptr, last.len);
    const char *cursor = strchr(line, 'S');
    const char *lost = strstr(line, "lost");
    bool ok = cursor != NULL && lost != NULL;
    if (ok) {
        buf_clear(ret_cursor);
        buf_append(ret_cursor, cursor, strspn(cursor, "S0123456789.-"));
        *ret_lost = strtoull(lost + strcspn(lost, "0123456789"), NULL, 10);
        text->len -= last.len;
    }
    free(line);
    return ok;
}

/* False: nobody reads us. */
static bool print(struct slice text, uint64_t lost)
{
    if (lost > 0) {
        (void)fprintf(stderr, "# %" PRIu64 " events were overwritten before they could be read\n",
                      lost);
    }
    return fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
}

static int follow(struct ask *a, const struct wish *w, struct buf *filters, struct buf *first)
{
    struct buf path;
    struct buf answer;
    struct buf cursor;
    int rc = 1;
    buf_init(&path);
    buf_init(&answer);
    buf_init(&cursor);
    for (;;) {
        uint64_t lost = 0;
        bool begins = buf_len(&cursor) == 0;
        buf_clear(&path);
        buf_clear(&answer);
        buf_append_str(&path, "/trace?");
        buf_append_slice(&path, buf_readable(filters));
        buf_append_str(&path, begins ? "" : "&since=");
        buf_append_slice(&path, buf_readable(begins ? first : &cursor));
        buf_append_char(&path, '\0');
        if (!ask_get(a, buf_readable(&path).ptr, &answer)) {
            break;
        }
        struct slice text = buf_readable(&answer);
        if (!take_cursor(&text, &cursor, &lost)) {
            (void)fprintf(stderr,
                          "freshet tail: the answer has no cursor: is the daemon of another "
                          "version?\n");
            break;
        }
        if (!print(text, lost) || w->once || is_over) {
            rc = 0;
            break;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
        if (is_over) {
            rc = 0;
            break;
        }
    }
    buf_fini(&path);
    buf_fini(&answer);
    buf_fini(&cursor);
    return rc;
}

int cli_tail(int argc, char **argv)
{
    struct wish w = {0};
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (!parse(argc, argv, &w)) {
        return 2;
    }
    struct buf filters;
    struct buf first;
    buf_init(&filters);
    buf_init(&first);
    int rc = 2;
    make_filters(&w, &filters);
    if (make_first(&w, &first)) {
        rc = 1;
        struct sigaction over = {.sa_handler = on_interrupt};
        (void)sigaction(SIGINT, &over, NULL);
        (void)sigaction(SIGTERM, &over, NULL);
        (void)signal(SIGPIPE, SIG_IGN);
        const struct policy *p = ask_policy(w.file);
        struct ask *a = p != NULL ? ask_open(p) : NULL;
        if (a != NULL) {
            rc = follow(a, &w, &filters, &first);
        }
        ask_close(&a);
        policy_unload(&p);
    }
    buf_fini(&filters);
    buf_fini(&first);
    return rc;
}
