/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SSCAN, HSCAN, ZSCAN: walking over a collection with a cursor. A small one comes whole in one step; what
 * stays in a larger one for the whole walk is seen (coll_scan() says how).
 *
 * Scores are written as Redis writes them here: with the fewest digits while the set is compact, with 17 when
 * it is not.
 */
#include "base/real.h"
#include "serve/cmd/scan.h"
#include "serve/edit.h"

struct walk {
    struct scan_found found;
    enum store_kind kind;
    bool is_compact;
};

static void add_score(struct walk *w, double score)
{
    char text[REAL_MAX_LEN];
    size_t len = w->is_compact ? real_format(text, score) : real_format_17(text, score);
    scan_found_add(&w->found, (struct slice){text, len});
}

static void visit_element(void *arg, const struct coll_element *e)
{
    struct walk *w = arg;
    if (!scan_found_wants(&w->found, e->name)) {
        return;
    }
    scan_found_add(&w->found, e->name);
    if (w->kind == STORE_HASH) {
        scan_found_add(&w->found, e->value);
    } else if (w->kind == STORE_ZSET) {
        add_score(w, e->score);
    }
}

/* An absent key is answered before the options are looked at, as Redis does. */
static void scan_collection(struct resp_client *c, const struct slice *argv, uint32_t argc,
                            enum store_kind kind)
{
    uint64_t cursor;
    struct scan s;
    struct store_hold h;
    struct store_item *item;
    struct walk w = {.kind = kind};
    if (!scan_parse_cursor(c, argv[2], &cursor)) {
        return;
    }
    scan_found_init(c, (struct slice){NULL, 0}, &w.found);
    switch (client_read_kind(c, argv[1], kind, &h, &item)) {
    case CLIENT_FOUND:
        if (scan_parse_options(c, argv, argc, 3, false, &s)) {
            w.found.pattern = s.pattern;
            w.is_compact = strcmp(coll_encoding(item), "listpack") == 0;
            cursor = coll_scan(&h, item, cursor, s.count, visit_element, &w);
            scan_reply_step(c, cursor, &w.found);
        }
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        scan_reply_step(c, 0, &w.found);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

void cmd_sscan(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    scan_collection(c, argv, argc, STORE_SET);
}

void cmd_hscan(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    scan_collection(c, argv, argc, STORE_HASH);
}

void cmd_zscan(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    scan_collection(c, argv, argc, STORE_ZSET);
}
