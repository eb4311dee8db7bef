/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshet stats: the running daemon's figures, in groups for people or as JSON; and its slow
 * statements. The admin listener's text is the source of both, so a new figure needs nothing here.
 */
#include "cli/ask.h"
#include "cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: freshet stats [-c FILE] [--json] [--slow]\n\n"
    "Prints the running daemon's figures, `name value` a line, in groups; /metrics of the admin\n"
    "listener has the same for Prometheus, each with its explanation.\n\n"
    "  -c FILE   the daemon's policy (default freshet.yaml)\n"
    "  --slow    the last 128 statements that took longer than `log.slow_fill`, newest first\n"
    "  --json    one JSON object, or with --slow one a line\n";

/* The first word of "space.cache.keys", or nothing for a name without a dot. */
static struct slice group_of(struct slice name)
{
    const char *dot = name.len > 0 ? memchr(name.ptr, '.', name.len) : NULL;
    return (struct slice){name.ptr, dot != NULL ? (size_t)(dot - name.ptr) : 0};
}

static bool ends_with(struct slice text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

/* Large numbers once more, as one would say them. */
static void print_meaning(struct slice name, double value)
{
    static const char *const sizes[] = {"B", "KB", "MB", "GB", "TB"};
    size_t i = 0;
    if (ends_with(name, "bytes") && value >= 1024) {
        for (; value >= 1024 && i + 1 < sizeof(sizes) / sizeof(sizes[0]); i++) {
            value /= 1024;
        }
        (void)printf("  (%.1f %s)", value, sizes[i]);
    } else if (ends_with(name, "_s") && value >= 120) {
        long minutes = (long)(value / 60);
        (void)printf("  (%ld h %02ld min)", minutes / 60, minutes % 60);
    }
}

static void print_line(struct slice line)
{
    const char *space = line.len > 0 ? memchr(line.ptr, ' ', line.len) : NULL;
    if (space == NULL) {
        (void)printf("%.*s\n", (int)line.len, line.ptr);
        return;
    }
    struct slice name = {line.ptr, (size_t)(space - line.ptr)};
    struct slice value = slice_from(line, name.len + 1);
    char *end;
    double number = strtod(value.ptr, &end); /* a newline stands behind it */
    bool is_number = end == value.ptr + value.len;
    (void)printf(is_number ? "%-36.*s %12.*s" : "%-36.*s %.*s", (int)name.len, name.ptr,
                 (int)value.len, value.ptr);
    if (is_number) {
        print_meaning(name, number);
    }
    (void)putchar('\n');
}

/* A blank line between groups. */
static void print_figures(struct slice text)
{
    struct slice group = SLICE("");
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        struct slice now = group_of((struct slice){text.ptr, len});
        if (!slice_eq(now, group)) {
            (void)putchar('\n');
            group = now;
        }
        print_line((struct slice){text.ptr, len});
        text = slice_from(text, end != NULL ? len + 1 : len);
    }
}

int cli_stats(int argc, char **argv)
{
    const char *file = "freshet.yaml";
    const char *value;
    bool json = false;
    bool slow = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(usage, stdout);
            return 0;
        }
        if ((value = cli_option(argc, argv, &i, "-c")) != NULL) {
            file = value;
        } else if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--slow") == 0) {
            slow = true;
        } else {
            (void)fprintf(stderr, "freshet stats: `%s` is not understood\n\n%s", argv[i], usage);
            return 2;
        }
    }
    const struct policy *p = ask_policy(file);
    struct ask *a = p != NULL ? ask_open(p) : NULL;
    struct buf answer;
    buf_init(&answer);
    char path[64];
    (void)snprintf(path, sizeof(path), "/%s%s", slow ? "slow" : "stats",
                   json ? "?format=json" : "");
    bool ok = a != NULL && ask_get(a, path, &answer);
    if (ok && (json || slow)) {
        (void)fwrite(buf_readable(&answer).ptr, 1, buf_len(&answer), stdout);
    } else if (ok) {
        print_figures(buf_readable(&answer));
    }
    buf_fini(&answer);
    ask_close(&a);
    policy_unload(&p);
    return ok ? 0 : 1;
}
