/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From one list to another at one moment: LMOVE, RPOPLPUSH, and with waiting BLMOVE, BRPOPLPUSH.
 *
 * The element is pushed first and taken away afterwards, so that a full space changes nothing; within one
 * list this turns it round, and never empties it in between. What is left is what any other command could
 * have made of it: the store is owned meanwhile.
 *
 * A waiting move waits for its source only. When it is served, the element goes straight to the destination,
 * and whoever waits for that is served next.
 */
#include "serve/blocked.h"
#include "serve/edit.h"
#include "serve/events.h"

struct move_args {
    struct slice from;
    struct slice to;
    enum coll_end from_end;
    enum coll_end to_end;
};

/* Copies the element that would move, and tells the source's stamp. CLIENT_WRONG_KIND after replying, for want of
 * memory too. */
static enum client_found look(struct resp_client *c, const struct move_args *m,
                              struct buf *ret_element, fresh_pos *ret_stamp)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_find_kind(c, m->from, STORE_LIST, &h, &item);
    if (found == CLIENT_FOUND) {
        struct coll_element e;
        uint64_t rank = m->from_end == COLL_HEAD ? 0 : coll_count(item) - 1;
        check(coll_at(&h, item, rank, &e));
        bool fits = buf_try_append_slice(ret_element, e.name);
        *ret_stamp = store_item_stamp(item);
        store_drop(&h);
        if (!fits) {
            reply_no_memory(c);
            return CLIENT_WRONG_KIND;
        }
    }
    return found;
}

static void take_away(struct resp_client *c, const struct move_args *m)
{
    struct store_hold h;
    client_hold(c, m->from, &h);
    const struct store_item *item = client_item(c, &h);
    if (item != NULL) {
        uint64_t length = coll_count(item);
        bool at_head = m->from_end == COLL_HEAD;
        client_event_taken(c, EVENT_LIST, at_head ? "lpop" : "rpop", m->from, length == 1);
        coll_cut(&h, at_head ? 0 : length - 1, 1);
    }
    store_drop(&h);
}

static void move_element(struct resp_client *c, const struct move_args *m, struct slice element,
                         fresh_pos stamp)
{
    struct client_edit e __attribute__((uninitialized));
    if (!client_room(c, element.len + REPLY_FRAME)) {
        return; /* what cannot be told must not happen */
    }
    if (!client_edit_begin_from(c, m->to, STORE_LIST, stamp, &e)) {
        return;
    }
    enum err err = coll_push(&e.hold, m->to_end, &element, 1, &e.meta);
    client_edit_end(c, &e);
    if (err != ERR_OK) {
        reply_err(c, err);
        return;
    }
    client_event(c, EVENT_LIST, m->to_end == COLL_HEAD ? "lpush" : "rpush", m->to);
    take_away(c, m);
    reply_bulk(c, element);
}

/* False: no source. */
static bool move(struct resp_client *c, const void *args)
{
    const struct move_args *m = args;
    struct buf element;
    fresh_pos stamp;
    buf_init(&element);
    client_own(c);
    enum client_found found = look(c, m, &element, &stamp);
    if (found == CLIENT_FOUND) {
        move_element(c, m, buf_readable(&element), stamp);
    }
    client_disown(c);
    buf_fini(&element);
    return found != CLIENT_ABSENT;
}

static void move_now(struct resp_client *c, const struct move_args *m)
{
    if (!move(c, m)) {
        reply_null(c);
    }
}

static void move_or_wait(struct resp_client *c, const struct move_args *m, struct slice timeout,
                         const struct slice *argv, uint32_t argc)
{
    struct block b = {.attempt = move,
                      .args = m,
                      .kind = STORE_LIST,
                      .keys = &m->from,
                      .key_count = 1,
                      .argv = argv,
                      .argc = argc,
                      .null_is_value = true};
    if (arg_timeout_s(c, timeout, &b.timeout_ms)) {
        block_run(c, &b);
    }
}

static bool parse_end(struct resp_client *c, struct slice arg, enum coll_end *ret_end)
{
    bool left = slice_is_nocase(arg, "left");
    if (!left && !slice_is_nocase(arg, "right")) {
        reply_syntax(c);
        return false;
    }
    *ret_end = left ? COLL_HEAD : COLL_TAIL;
    return true;
}

void cmd_lmove(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct move_args m = {.from = argv[1], .to = argv[2]};
    if (parse_end(c, argv[3], &m.from_end) && parse_end(c, argv[4], &m.to_end)) {
        move_now(c, &m);
    }
}

void cmd_rpoplpush(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct move_args m = {
        .from = argv[1], .to = argv[2], .from_end = COLL_TAIL, .to_end = COLL_HEAD};
    move_now(c, &m);
}

void cmd_blmove(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct move_args m = {.from = argv[1], .to = argv[2]};
    if (parse_end(c, argv[3], &m.from_end) && parse_end(c, argv[4], &m.to_end)) {
        move_or_wait(c, &m, argv[5], argv, argc);
    }
}

void cmd_brpoplpush(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct move_args m = {
        .from = argv[1], .to = argv[2], .from_end = COLL_TAIL, .to_end = COLL_HEAD};
    move_or_wait(c, &m, argv[3], argv, argc);
}
