/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What SCAN, SSCAN, HSCAN, ZSCAN and KEYS share: cursor, COUNT, MATCH and TYPE, and a reply whose length is
 * known last.
 *
 * Threads: the worker's.
 */
#ifndef SERVE_SCAN_H
#define SERVE_SCAN_H

#include "serve/resp_client.h"

struct scan {
    uint32_t count;
    struct slice pattern; /* ptr NULL: all */
    bool by_kind;
    enum store_kind kind; /* above STORE_STREAM: one that no key has */
};

/* False after replying. */
bool scan_parse_cursor(struct resp_client *c, struct slice text, uint64_t *ret_cursor);
/* Options from argv[first] on, TYPE among them if `with_kind`; false after replying. */
bool scan_parse_options(struct resp_client *c, const struct slice *argv, uint32_t argc,
                        uint32_t first, bool with_kind, struct scan *ret_scan);

/* Bulks, collected while the store is walked. */
struct scan_found {
    struct slice pattern; /* ptr NULL: all */
    size_t max;           /* bytes; above, nothing more is collected */
    bool too_much;
    uint64_t count;
    struct buf bulks;
};

void scan_found_init(struct resp_client *c, struct slice pattern, struct scan_found *ret_found);
bool scan_found_wants(const struct scan_found *f, struct slice name);
void scan_found_add(struct scan_found *f, struct slice text);
/* Replies what was found, as an array, and frees it. */
void scan_reply(struct resp_client *c, struct scan_found *f);
/* The same behind the next cursor. */
void scan_reply_step(struct resp_client *c, uint64_t cursor, struct scan_found *f);

#endif
