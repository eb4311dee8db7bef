/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SCAN and KEYS: walking over a database. SCAN's cursor is the store's own.
 */
#include "serve/cmd/scan.h"

enum { KEYS_STEP = 1000 };

struct walk {
    struct scan scan;
    struct scan_found found;
};

static void visit_key(void *arg, const struct store_item *item)
{
    struct walk *w = arg;
    struct slice key = store_item_key(item);
    bool of_kind = !w->scan.by_kind || store_item_kind(item) == w->scan.kind;
    if (of_kind && scan_found_wants(&w->found, key)) {
        scan_found_add(&w->found, key);
    }
}

void cmd_scan(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct walk w;
    uint64_t cursor;
    if (!scan_parse_cursor(c, argv[1], &cursor) ||
        !scan_parse_options(c, argv, argc, 2, true, &w.scan)) {
        return;
    }
    scan_found_init(c, w.scan.pattern, &w.found);
    cursor = store_scan_tidily(client_store(c), c->worker->gate, c->db, cursor, w.scan.count,
                               client_now(c), visit_key, &w);
    scan_reply_step(c, cursor, &w.found);
}

void cmd_keys(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct walk w = {.scan = {.by_kind = false}};
    uint64_t cursor = 0;
    scan_found_init(c, slice_is(argv[1], "*") ? (struct slice){NULL, 0} : argv[1], &w.found);
    client_own(c); /* nothing moves, so no key comes twice */
    do {
        cursor = store_scan(client_store(c), c->worker->gate, c->db, cursor, KEYS_STEP,
                            client_now(c), visit_key, &w);
    } while (cursor != 0 && !w.found.too_much);
    client_disown(c);
    scan_reply(c, &w.found);
}
