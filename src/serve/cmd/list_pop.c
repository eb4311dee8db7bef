/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking elements off the ends of lists: LPOP, RPOP, LMPOP, and with waiting BLPOP, BRPOP, BLMPOP.
 *
 * With several keys the first one that holds a list is popped; they are looked at at one moment. An element
 * that does not fit into a reply is not popped.
 */
#include "serve/blocked.h"
#include "serve/cmd/mpop.h"
#include "serve/edit.h"
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

struct pop_args {
    const struct slice *keys;
    uint32_t key_count;
    enum coll_end end;
    uint64_t count;
    bool nested; /* the elements are an array of their own in the reply */
};

/* False: absent. */
static bool pop_key(struct resp_client *c, struct slice key, const struct pop_args *p)
{
    struct store_hold h;
    struct store_item *item;
    switch (client_find_kind(c, key, STORE_LIST, &h, &item)) {
    case CLIENT_FOUND: {
        uint64_t count = at_most(item, p->count);
        resp_array(&c->conn.out, 2);
        reply_bulk(c, key);
        if (p->nested) {
            resp_array(&c->conn.out, count);
        }
        pop(c, &h, item, p->end, count);
        store_drop(&h);
        return true;
    }
    case CLIENT_WRONG_KIND:
        return true;
    case CLIENT_ABSENT:
        break;
    }
    return false;
}

static bool pop_first(struct resp_client *c, const void *args)
{
    const struct pop_args *p = args;
    bool done = false;
    if (p->key_count > 1) {
        client_own(c);
    }
    for (uint32_t i = 0; i < p->key_count && !done; i++) {
        done = pop_key(c, p->keys[i], p);
    }
    if (p->key_count > 1) {
        client_disown(c);
    }
    return done;
}

static void pop_or_wait(struct resp_client *c, const struct pop_args *p, uint64_t timeout_ms,
                        const struct slice *argv, uint32_t argc)
{
    block_run(c, &(struct block){.attempt = pop_first,
                                 .args = p,
                                 .kind = STORE_LIST,
                                 .keys = p->keys,
                                 .key_count = p->key_count,
                                 .timeout_ms = timeout_ms,
                                 .argv = argv,
                                 .argc = argc});
}

static void blocking_pop(struct resp_client *c, const struct slice *argv, uint32_t argc,
                         enum coll_end end)
{
    uint64_t timeout_ms;
    struct pop_args p = {.keys = argv + 1, .key_count = argc - 2, .end = end, .count = 1};
    if (arg_timeout_s(c, argv[argc - 1], &timeout_ms)) {
        pop_or_wait(c, &p, timeout_ms, argv, argc);
    }
}

void cmd_blpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    blocking_pop(c, argv, argc, COLL_HEAD);
}

void cmd_brpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    blocking_pop(c, argv, argc, COLL_TAIL);
}

static bool parse_mpop(struct resp_client *c, const struct slice *argv, uint32_t argc,
                       uint32_t first, struct pop_args *ret_args)
{
    struct mpop m;
    if (!arg_mpop(c, argv, argc, first, "left", "right", &m)) {
        return false;
    }
    *ret_args = (struct pop_args){.keys = m.keys,
                                  .key_count = m.key_count,
                                  .end = m.from_second ? COLL_TAIL : COLL_HEAD,
                                  .count = m.count,
                                  .nested = true};
    return true;
}

void cmd_lmpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct pop_args p;
    if (parse_mpop(c, argv, argc, 1, &p) && !pop_first(c, &p)) {
        resp_null_array(&c->conn.out, c->proto);
    }
}

void cmd_blmpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    uint64_t timeout_ms;
    struct pop_args p;
    if (arg_timeout_s(c, argv[1], &timeout_ms) && parse_mpop(c, argv, argc, 2, &p)) {
        pop_or_wait(c, &p, timeout_ms, argv, argc);
    }
}
