/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams, read: XRANGE, XREVRANGE, and XREAD, which may wait.
 *
 * XREAD waits for entries behind an id. "$" means "behind what is there now": before it waits, the id that
 * this stands for takes its place in the command, so that the command can be run again.
 */
#include "serve/blocked.h"
#include "serve/cmd/stream_id.h"
#include "serve/cmd/stream_reply.h"
#include "serve/edit.h"

#include "base/alloc.h"

#include <stdlib.h>

/* --- entries ---------------------------------------------------------------------------------- */

static bool reply_fields(struct resp_client *c, struct slice fields)
{
    struct slice text;
    resp_array(&c->conn.out, coll_field_count(fields));
    while (coll_field_next(&fields, &text)) {
        if (!reply_bulk(c, text)) {
            return false;
        }
    }
    return true;
}

bool reply_stream_entry(struct resp_client *c, const struct coll_element *e)
{
    if (!client_room(c, REPLY_FRAME + STREAM_ID_LEN)) {
        return false;
    }
    resp_array(&c->conn.out, 2);
    reply_stream_id(c, e->id);
    return reply_fields(c, e->name);
}

void reply_stream_entries(struct resp_client *c, const struct store_hold *h,
                          const struct store_item *item, uint64_t rank, uint64_t count,
                          bool backward)
{
    resp_array(&c->conn.out, count);
    if (count == 0) {
        return;
    }
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    coll_walk_begin(h, item, rank, backward, &walk);
    for (uint64_t i = 0; i < count && coll_walk_next(&walk, &e); i++) {
        if (!reply_stream_entry(c, &e)) {
            return;
        }
    }
}

/* --- XRANGE ----------------------------------------------------------------------------------- */

struct range {
    struct coll_id start;
    struct coll_id end;
    bool backward;
    int64_t count; /* negative: all */
};

static bool parse_range(struct resp_client *c, const struct slice *argv, uint32_t argc,
                        struct range *r)
{
    if (!arg_stream_start(c, argv[r->backward ? 3 : 2], &r->start) ||
        !arg_stream_end(c, argv[r->backward ? 2 : 3], &r->end)) {
        return false;
    }
    r->count = -1;
    for (uint32_t i = 4; i < argc; i += 2) {
        if (i + 1 == argc || !slice_is_nocase(argv[i], "count")) {
            reply_syntax(c);
            return false;
        }
        if (!arg_integer(c, argv[i + 1], &r->count)) {
            return false;
        }
        r->count = r->count < 0 ? 0 : r->count;
    }
    return true;
}

static void reply_range(struct resp_client *c, const struct store_hold *h,
                        const struct store_item *item, const struct range *r)
{
    uint64_t first = coll_rank_of_id(h, item, r->start, false);
    uint64_t end = coll_rank_of_id(h, item, r->end, true);
    uint64_t count = end > first ? end - first : 0;
    if (r->count == 0) {
        resp_null_array(&c->conn.out, c->proto);
        return;
    }
    if (r->count > 0 && (uint64_t)r->count < count) {
        count = (uint64_t)r->count;
    }
    reply_stream_entries(c, h, item, r->backward ? end - 1 : first, count, r->backward);
}

static void range(struct resp_client *c, const struct slice *argv, uint32_t argc, bool backward)
{
    struct range r = {.backward = backward};
    if (!parse_range(c, argv, argc, &r)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_read_kind(c, argv[1], STORE_STREAM, &h, &item)) {
    case CLIENT_FOUND:
        reply_range(c, &h, item, &r);
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        resp_array(&c->conn.out, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

void cmd_xrange(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    range(c, argv, argc, false);
}

void cmd_xrevrange(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    range(c, argv, argc, true);
}

/* --- XREAD ------------------------------------------------------------------------------------ */

struct read_args {
    const struct slice *keys;
    const struct slice *id_args;
    uint32_t key_count;
    uint64_t count; /* 0: all */
    bool waits;
    uint64_t timeout_ms;
    struct coll_id *after; /* one a key */
};

/* STREAMS, and as many keys as ids, are what is left at `at`. False after replying. */
static bool parse_streams(struct resp_client *c, const struct slice *argv, uint32_t argc,
                          uint32_t at, struct read_args *a)
{
    uint32_t left = argc - at;
    if (left % 2 != 0) {
        resp_error(&c->conn.out, "ERR Unbalanced 'xread' list of streams: for each stream key an "
                                 "ID or '$' must be specified.");
        return false;
    }
    a->key_count = left / 2;
    a->keys = argv + at;
    a->id_args = a->keys + a->key_count;
    return true;
}

static bool parse_read(struct resp_client *c, const struct slice *argv, uint32_t argc,
                       struct read_args *a)
{
    for (uint32_t i = 1; i < argc; i++) {
        uint32_t more = argc - 1 - i;
        int64_t count;
        if (more >= 1 && slice_is_nocase(argv[i], "block")) {
            a->waits = true;
            if (!arg_timeout_ms(c, argv[++i], &a->timeout_ms)) {
                return false;
            }
        } else if (more >= 1 && slice_is_nocase(argv[i], "count")) {
            if (!arg_integer(c, argv[++i], &count)) {
                return false;
            }
            a->count = count > 0 ? (uint64_t)count : 0;
        } else if (more >= 1 && slice_is_nocase(argv[i], "streams")) {
            return parse_streams(c, argv, argc, i + 1, a);
        } else if ((more >= 2 && slice_is_nocase(argv[i], "group")) ||
                   slice_is_nocase(argv[i], "noack")) {
            bool is_group = slice_is_nocase(argv[i], "group");
            resp_error(&c->conn.out,
                       "ERR The %s option is only supported by XREADGROUP. You called XREAD "
                       "instead.",
                       is_group ? "GROUP" : "NOACK");
            return false;
        } else {
            break;
        }
    }
    reply_syntax(c);
    return false;
}

/* What one stream's id argument stands for now. False after replying. */
static bool find_after(struct resp_client *c, struct slice key, struct slice arg,
                       struct coll_id *ret_after)
{
    struct store_hold h;
    struct store_item *item;
    struct coll_id last = {0, 0};
    switch (client_find_kind(c, key, STORE_STREAM, &h, &item)) {
    case CLIENT_FOUND:
        last = coll_stream_info(item).last;
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        break;
    case CLIENT_WRONG_KIND:
        return false;
    }
    if (slice_is(arg, "$")) {
        *ret_after = last;
        return true;
    }
    if (slice_is(arg, ">")) {
        resp_error(&c->conn.out, "ERR The > ID can be specified only when calling XREADGROUP using "
                                 "the GROUP <group> <consumer> option.");
        return false;
    }
    return arg_stream_id(c, arg, 0, ret_after);
}

/* How many entries of an item there are behind an id, at most `limit` (0: all). */
static uint64_t news_of(const struct store_hold *h, const struct store_item *item,
                        struct coll_id after, uint64_t limit, uint64_t *ret_rank)
{
    *ret_rank = coll_rank_of_id(h, item, after, true);
    uint64_t count = coll_count(item) - *ret_rank;
    return limit > 0 && limit < count ? limit : count;
}

/* With `reply`: appends key and entries. Returns whether there are any. */
static bool read_one(struct resp_client *c, const struct read_args *a, uint32_t i, bool reply)
{
    struct store_hold h;
    struct store_item *item;
    if (client_find_kind(c, a->keys[i], STORE_STREAM, &h, &item) != CLIENT_FOUND) {
        return false;
    }
    uint64_t rank;
    uint64_t count = news_of(&h, item, a->after[i], a->count, &rank);
    if (count > 0 && reply) {
        if (c->proto < 3) {
            resp_array(&c->conn.out, 2);
        }
        if (reply_bulk(c, a->keys[i])) {
            reply_stream_entries(c, &h, item, rank, count, false);
        }
    }
    store_drop(&h);
    return count > 0;
}

static bool read_news(struct resp_client *c, const void *args)
{
    const struct read_args *a = args;
    uint32_t streams = 0;
    client_own(c);
    for (uint32_t i = 0; i < a->key_count; i++) {
        streams += read_one(c, a, i, false) ? 1 : 0;
    }
    if (streams > 0 && c->proto < 3) {
        resp_array(&c->conn.out, streams);
    } else if (streams > 0) {
        resp_map(&c->conn.out, c->proto, streams);
    }
    for (uint32_t i = 0; i < a->key_count && streams > 0; i++) {
        (void)read_one(c, a, i, true);
    }
    client_disown(c);
    return streams > 0;
}

/* The command with every "$" replaced; memory of its own, in one piece. */
static struct slice *settle_ids(const struct slice *argv, uint32_t argc, const struct read_args *a)
{
    struct slice *settled = xmalloc(argc * sizeof(*settled) + (size_t)a->key_count * STREAM_ID_LEN);
    char *text = (char *)(settled + argc);
    memcpy(settled, argv, argc * sizeof(*settled));
    for (uint32_t i = 0; i < a->key_count; i++) {
        if (slice_is(a->id_args[i], "$")) {
            settled[a->id_args - argv + i] =
                (struct slice){text, stream_id_format(text, a->after[i])};
            text += STREAM_ID_LEN;
        }
    }
    return settled;
}

static void read_or_wait(struct resp_client *c, const struct read_args *a, const struct slice *argv,
                         uint32_t argc)
{
    if (!a->waits) {
        if (!read_news(c, a)) {
            resp_null_array(&c->conn.out, c->proto);
        }
        return;
    }
    struct slice *settled = settle_ids(argv, argc, a);
    block_run(c, &(struct block){.attempt = read_news,
                                 .args = a,
                                 .kind = STORE_STREAM,
                                 .keys = a->keys,
                                 .key_count = a->key_count,
                                 .timeout_ms = a->timeout_ms,
                                 .argv = settled,
                                 .argc = argc});
    free(settled);
}

void cmd_xread(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct read_args a = {.count = 0};
    if (!parse_read(c, argv, argc, &a)) {
        return;
    }
    a.after = xmalloc(a.key_count * sizeof(*a.after));
    bool fits = true;
    client_own(c);
    for (uint32_t i = 0; i < a.key_count && fits; i++) {
        fits = find_after(c, a.keys[i], a.id_args[i], &a.after[i]);
    }
    if (fits) {
        read_or_wait(c, &a, argv, argc);
    }
    client_disown(c);
    free(a.after);
}
