/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SCAN and KEYS: walking over a database.
 *
 * Keys are collected as bulks while the store is walked, then put behind the header that needs
 * their number. SCAN's cursor is the store's own.
 */
#include "serve/glob.h"
#include "serve/resp_client.h"

#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

enum { SCAN_COUNT = 10, SCAN_COUNT_MAX = 100000, KEYS_STEP = 1000 };

struct collect {
    struct slice pattern; /* ptr NULL: all */
    size_t max;           /* bytes; above, nothing more is collected */
    bool too_much;
    uint64_t count;
    struct buf keys;
};

static void collect_key(void *arg, const struct store_item *item)
{
    struct collect *found = arg;
    struct slice key = store_item_key(item);
    if (found->pattern.ptr == NULL || glob_match(found->pattern, key, false)) {
        found->too_much = found->too_much || buf_len(&found->keys) > found->max ||
                          buf_try_reserve(&found->keys, key.len + REPLY_FRAME) == NULL;
        if (!found->too_much) {
            resp_bulk(&found->keys, key);
            found->count++;
        }
    }
}

static void reply_collected(struct resp_client *c, struct collect *found)
{
    struct slice keys = buf_readable(&found->keys);
    resp_array(&c->conn.out, found->count);
    if (found->too_much) {
        c->reply_failed = true;
    } else if (client_room(c, keys.len)) {
        buf_append_slice(&c->conn.out, keys);
    }
    buf_fini(&found->keys);
}

/* --- SCAN ------------------------------------------------------------------------------------- */

struct scan {
    uint64_t cursor;
    uint32_t count;
    bool none; /* a type that no key has */
    struct slice pattern;
};

static bool parse_scan_option(struct resp_client *c, struct slice name, struct slice value,
                              struct scan *s)
{
    int64_t count;
    if (slice_is_nocase(name, "count")) {
        if (!arg_integer(c, value, &count)) {
            return false;
        }
        if (count < 1) {
            reply_syntax(c);
            return false;
        }
        s->count = count < SCAN_COUNT_MAX ? (uint32_t)count : SCAN_COUNT_MAX;
    } else if (slice_is_nocase(name, "match")) {
        s->pattern = slice_is(value, "*") ? (struct slice){NULL, 0} : value;
    } else if (slice_is_nocase(name, "type")) {
        s->none = !slice_is_nocase(value, "string");
    } else {
        reply_syntax(c);
        return false;
    }
    return true;
}

/* As Redis does, with strtoul(): an empty word is 0, and a sign counts. */
static bool parse_cursor(struct slice text, uint64_t *ret_cursor)
{
    char copy[NUMBER_MAX_LEN + 1] = "";
    char *end = copy;
    if (text.len >= sizeof(copy) || (text.len > 0 && isspace((unsigned char)text.ptr[0]))) {
        return false;
    }
    memcpy(copy, text.ptr != NULL ? text.ptr : "", text.len);
    errno = 0;
    *ret_cursor = strtoul(copy, &end, 10);
    return *end == '\0' && errno == 0;
}

static bool parse_scan(struct resp_client *c, const struct slice *argv, uint32_t argc,
                       struct scan *ret_scan)
{
    struct scan s = {.count = SCAN_COUNT};
    if (!parse_cursor(argv[1], &s.cursor)) {
        resp_error(&c->conn.out, "ERR invalid cursor");
        return false;
    }
    for (uint32_t i = 2; i < argc; i += 2) {
        if (i + 1 == argc) {
            reply_syntax(c);
            return false;
        }
        if (!parse_scan_option(c, argv[i], argv[i + 1], &s)) {
            return false;
        }
    }
    *ret_scan = s;
    return true;
}

void cmd_scan(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct scan s;
    if (!parse_scan(c, argv, argc, &s)) {
        return;
    }
    struct collect found = {.pattern = s.pattern, .max = c->conn.face->limits->output_max};
    uint64_t next = 0;
    if (!s.none) {
        next = store_scan(client_store(c), c->worker->gate, c->db, s.cursor, s.count, client_now(c),
                          collect_key, &found);
    }
    char text[NUMBER_MAX_LEN];
    size_t len = number_format_u64(text, next);
    resp_array(&c->conn.out, 2);
    reply_bulk(c, (struct slice){text, len});
    reply_collected(c, &found);
}

/* --- KEYS ------------------------------------------------------------------------------------- */

void cmd_keys(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct collect found = {.pattern = slice_is(argv[1], "*") ? (struct slice){NULL, 0} : argv[1],
                            .max = c->conn.face->limits->output_max};
    uint64_t cursor = 0;
    client_own(c); /* nothing moves, so no key comes twice */
    do {
        cursor = store_scan(client_store(c), c->worker->gate, c->db, cursor, KEYS_STEP,
                            client_now(c), collect_key, &found);
    } while (cursor != 0 && !found.too_much);
    client_disown(c);
    reply_collected(c, &found);
}
