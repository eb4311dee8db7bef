/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking elements off the ends of lists: LPOP, RPOP, LMPOP, and with waiting BLPOP, BRPOP, BLMPOP.
 *
 * With several keys the first one that holds a list is popped (mpop.h). An element that does not
 * fit into a reply is not popped.
 */
#include "serve/cmd/mpop.h"
#include "serve/events.h"

#include "base/number.h"

/* --- one list --------------------------------------------------------------------------------- */

/* Replies the next `count` elements, one after the other, and removes them. */
static void pop(struct resp_client *c, struct store_hold *h, const struct store_item *item,
                enum coll_end end, uint64_t count)
{
    uint64_t length = coll_count(item);
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    coll_walk_begin(h, item, end == COLL_HEAD ? 0 : length - 1, end == COLL_TAIL, &walk);
    for (uint64_t i = 0; i < count && coll_walk_next(&walk, &e); i++) {
        if (!reply_bulk(c, e.name)) {
            return;
        }
    }
    coll_cut(h, end == COLL_HEAD ? 0 : length - count, count);
    client_event_taken(c, EVENT_LIST, end == COLL_HEAD ? "lpop" : "rpop", h->key,
                       store_peek(h, NULL) == NULL);
}

static uint64_t at_most(const struct store_item *item, uint64_t count)
{
    return count < coll_count(item) ? count : coll_count(item);
}

static void pop_one_key(struct resp_client *c, const struct slice *argv, uint32_t argc,
                        enum coll_end end)
{
    bool has_count = argc == 3;
    int64_t count = 1;
    if (argc > 3) {
        reply_wrong_arity(c, end == COLL_HEAD ? "lpop" : "rpop");
        return;
    }
    if (has_count && (!number_parse_i64(argv[2], &count) || count < 0)) {
        resp_error(&c->conn.out, "ERR value is out of range, must be positive");
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_find_kind(c, argv[1], STORE_LIST, &h, &item)) {
    case CLIENT_FOUND:
        if (has_count) {
            resp_array(&c->conn.out, at_most(item, (uint64_t)count));
        }
        if (count > 0) {
            pop(c, &h, item, end, at_most(item, (uint64_t)count));
        }
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        if (has_count) {
            resp_null_array(&c->conn.out, c->proto);
        } else {
            reply_null(c);
        }
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

void cmd_lpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    pop_one_key(c, argv, argc, COLL_HEAD);
}

void cmd_rpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    pop_one_key(c, argv, argc, COLL_TAIL);
}

/* --- the first of several lists --------------------------------------------------------------- */

static enum client_found pop_key(struct resp_client *c, struct slice key, const struct mpop *m)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_find_kind(c, key, STORE_LIST, &h, &item);
    if (found == CLIENT_FOUND) {
        uint64_t count = at_most(item, m->count);
        resp_array(&c->conn.out, 2);
        reply_bulk(c, key);
        if (!m->one) {
            resp_array(&c->conn.out, count);
        }
        pop(c, &h, item, m->from_second ? COLL_TAIL : COLL_HEAD, count);
        store_drop(&h);
    }
    return found;
}

static const struct mpop_kind lists = {
    .kind = STORE_LIST, .ends = {"left", "right"}, .pop = pop_key};

void cmd_blpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    mpop_one_or_wait(c, &lists, false, argv, argc);
}

void cmd_brpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    mpop_one_or_wait(c, &lists, true, argv, argc);
}

void cmd_lmpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    mpop_now(c, &lists, argv, argc);
}

void cmd_blmpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    mpop_or_wait(c, &lists, argv, argc);
}
