/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists: pushing at the ends, and reading and changing inside. Popping is in cmd/list_pop.c, moving between
 * lists in cmd/list_move.c, LPOS in cmd/list_pos.c.
 *
 * A place in a list is counted from its head, or backwards from its tail with -1 for the last element.
 */
#include "serve/edit.h"
#include "serve/events.h"

/* --- pushing ---------------------------------------------------------------------------------- */

static void reply_pushed(struct resp_client *c, struct slice key, enum coll_end end, enum err err,
                         uint64_t length)
{
    if (err != ERR_OK) {
        reply_err(c, err);
        return;
    }
    client_event(c, EVENT_LIST, end == COLL_HEAD ? "lpush" : "rpush", key);
    reply_integer(c, (int64_t)length);
}

static void reply_length(struct resp_client *c, enum err err, uint64_t length)
{
    if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        reply_integer(c, (int64_t)length);
    }
}

static void push(struct resp_client *c, const struct slice *argv, uint32_t argc, enum coll_end end)
{
    struct client_edit e __attribute__((uninitialized));
    if (!client_edit_begin(c, argv[1], STORE_LIST, &e)) {
        return;
    }
    uint64_t length = (e.item != NULL ? coll_count(e.item) : 0) + argc - 2;
    enum err err = coll_push(&e.hold, end, argv + 2, argc - 2, &e.meta);
    client_edit_end(c, &e);
    reply_pushed(c, argv[1], end, err, length);
}

/* Only to a list that is there. */
static void push_more(struct resp_client *c, const struct slice *argv, uint32_t argc,
                      enum coll_end end)
{
    struct store_hold h;
    struct store_item *item;
    switch (client_find_kind(c, argv[1], STORE_LIST, &h, &item)) {
    case CLIENT_FOUND: {
        uint64_t length = coll_count(item) + argc - 2;
        enum err err = coll_push(&h, end, argv + 2, argc - 2, NULL);
        store_drop(&h);
        reply_pushed(c, argv[1], end, err, length);
        break;
    }
    case CLIENT_ABSENT:
        reply_integer(c, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

void cmd_lpush(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    push(c, argv, argc, COLL_HEAD);
}

void cmd_rpush(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    push(c, argv, argc, COLL_TAIL);
}

void cmd_lpushx(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    push_more(c, argv, argc, COLL_HEAD);
}

void cmd_rpushx(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    push_more(c, argv, argc, COLL_TAIL);
}

/* --- reading ---------------------------------------------------------------------------------- */

void cmd_llen(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_count(c, argv[1], STORE_LIST);
}

struct span {
    uint64_t first;
    uint64_t count;
};

/* The part of `length` elements from `start` to `stop`, both included, as far as it exists. */
static struct span span_of(int64_t start, int64_t stop, uint64_t length)
{
    int64_t n = (int64_t)length;
    start = start < 0 ? start + n : start;
    stop = stop < 0 ? stop + n : stop;
    start = start < 0 ? 0 : start;
    stop = stop >= n ? n - 1 : stop;
    if (start > stop || start >= n) {
        return (struct span){0, 0};
    }
    return (struct span){(uint64_t)start, (uint64_t)(stop - start) + 1};
}

static void reply_span(struct resp_client *c, const struct store_hold *h,
                       const struct store_item *item, struct span span)
{
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    resp_array(&c->conn.out, span.count);
    if (span.count == 0) {
        return;
    }
    coll_walk_begin(h, item, span.first, false, &walk);
    for (uint64_t i = 0; i < span.count && coll_walk_next(&walk, &e); i++) {
        if (!reply_bulk(c, e.name)) {
            return;
        }
    }
}

void cmd_lrange(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t start;
    int64_t stop;
    if (!arg_integer(c, argv[2], &start) || !arg_integer(c, argv[3], &stop)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_read_kind(c, argv[1], STORE_LIST, &h, &item)) {
    case CLIENT_FOUND:
        reply_span(c, &h, item, span_of(start, stop, coll_count(item)));
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        resp_array(&c->conn.out, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

/* False: there is no such place. */
static bool rank_of(int64_t index, uint64_t length, uint64_t *ret_rank)
{
    if (index < 0) {
        index += (int64_t)length;
    }
    if (index < 0 || (uint64_t)index >= length) {
        return false;
    }
    *ret_rank = (uint64_t)index;
    return true;
}

static void reply_at(struct resp_client *c, const struct store_hold *h,
                     const struct store_item *item, struct slice index_arg)
{
    int64_t index;
    uint64_t rank;
    struct coll_element e;
    if (!arg_integer(c, index_arg, &index)) {
        return;
    }
    if (rank_of(index, coll_count(item), &rank) && coll_at(h, item, rank, &e)) {
        reply_bulk(c, e.name);
    } else {
        reply_null(c);
    }
}

void cmd_lindex(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    switch (client_read_kind(c, argv[1], STORE_LIST, &h, &item)) {
    case CLIENT_FOUND:
        reply_at(c, &h, item, argv[2]);
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        reply_null(c);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

/* --- changing --------------------------------------------------------------------------------- */

static void set_at(struct resp_client *c, struct store_hold *h, const struct store_item *item,
                   const struct slice *argv)
{
    int64_t index;
    uint64_t rank;
    if (!arg_integer(c, argv[2], &index)) {
        return;
    }
    if (!rank_of(index, coll_count(item), &rank)) {
        resp_error(&c->conn.out, "ERR index out of range");
        return;
    }
    enum err err = coll_replace(h, rank, argv[3]);
    if (err == ERR_OK) {
        client_event(c, EVENT_LIST, "lset", argv[1]);
    }
    reply_stored(c, err);
}

void cmd_lset(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    switch (client_find_kind(c, argv[1], STORE_LIST, &h, &item)) {
    case CLIENT_FOUND:
        set_at(c, &h, item, argv);
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        resp_error(&c->conn.out, "ERR no such key");
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

void cmd_linsert(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    bool after = slice_is_nocase(argv[2], "after");
    if (!after && !slice_is_nocase(argv[2], "before")) {
        reply_syntax(c);
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_find_kind(c, argv[1], STORE_LIST, &h, &item)) {
    case CLIENT_FOUND: {
        uint64_t length = coll_count(item) + 1;
        bool found = false;
        enum err err = coll_insert(&h, argv[3], after, argv[4], &found);
        store_drop(&h);
        if (err == ERR_OK && found) {
            client_event(c, EVENT_LIST, "linsert", argv[1]);
        }
        reply_length(c, err, found ? length : UINT64_MAX /* -1 */);
        break;
    }
    case CLIENT_ABSENT:
        reply_integer(c, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

void cmd_lrem(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t count;
    if (!arg_integer(c, argv[2], &count)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_find_kind(c, argv[1], STORE_LIST, &h, &item)) {
    case CLIENT_FOUND: {
        uint64_t length = coll_count(item);
        uint64_t removed = coll_remove_equal(&h, count, argv[3]);
        store_drop(&h);
        if (removed > 0) {
            client_event_taken(c, EVENT_LIST, "lrem", argv[1], removed == length);
        }
        reply_integer(c, (int64_t)removed);
        break;
    }
    case CLIENT_ABSENT:
        reply_integer(c, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

/* The tail first: what is kept does not change its rank by that. */
static void trim(struct store_hold *h, struct span kept, uint64_t length)
{
    if (kept.count == 0) {
        (void)store_remove(h);
        return;
    }
    uint64_t end = kept.first + kept.count;
    if (end < length) {
        coll_cut(h, end, length - end);
    }
    if (kept.first > 0) {
        coll_cut(h, 0, kept.first);
    }
}

void cmd_ltrim(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t start;
    int64_t stop;
    if (!arg_integer(c, argv[2], &start) || !arg_integer(c, argv[3], &stop)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_find_kind(c, argv[1], STORE_LIST, &h, &item)) {
    case CLIENT_FOUND: {
        struct span kept = span_of(start, stop, coll_count(item));
        trim(&h, kept, coll_count(item));
        store_drop(&h);
        client_event_taken(c, EVENT_LIST, "ltrim", argv[1], kept.count == 0);
        reply_ok(c);
        break;
    }
    case CLIENT_ABSENT:
        reply_ok(c);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}
