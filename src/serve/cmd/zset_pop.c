/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking members off the ends of sorted sets: ZPOPMIN, ZPOPMAX, ZMPOP, and with waiting BZPOPMIN,
 * BZPOPMAX, BZMPOP, which differ in how the reply looks.
 *
 * The reply is composed first and the members are cut afterwards, so a reply that may not be sent
 * loses nothing.
 */
#include "serve/cmd/mpop.h"

enum pop_reply {
    POP_ONE,      /* [member, score]                          ZPOPMIN key */
    POP_SEVERAL,  /* [member, score, ...], in RESP3 as pairs  ZPOPMIN key count */
    POP_KEY_ONE,  /* [key, member, score]                     BZPOPMIN */
    POP_KEY_MANY, /* [key, [[member, score], ...]]            ZMPOP, BZMPOP */
};

/* --- popping ---------------------------------------------------------------------------------- */

/* Returns whether each member is a pair of its own. */
static bool reply_head(struct resp_client *c, struct slice key, uint64_t count, enum pop_reply form)
{
    bool as_pairs = form == POP_KEY_MANY || (form == POP_SEVERAL && c->proto >= 3);
    switch (form) {
    case POP_ONE:
    case POP_SEVERAL:
        resp_array(&c->conn.out, as_pairs ? count : 2 * count);
        break;
    case POP_KEY_ONE:
        resp_array(&c->conn.out, 3);
        reply_bulk(c, key);
        break;
    case POP_KEY_MANY:
        resp_array(&c->conn.out, 2);
        if (reply_bulk(c, key)) {
            resp_array(&c->conn.out, count);
        }
        break;
    }
    return as_pairs;
}

/* Pops up to `count` members from the end with the highest scores, or the lowest. CLIENT_FOUND:
 * replied (nothing is popped if the reply says too much; count 0 replies an empty array).
 * CLIENT_ABSENT: no reply yet. CLIENT_WRONG_KIND: the error was replied. */
static enum client_found pop(struct resp_client *c, struct slice key, bool highest, uint64_t count,
                             enum pop_reply form)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_find_kind(c, key, STORE_ZSET, &h, &item);
    if (found != CLIENT_FOUND) {
        return found;
    }
    uint64_t total = coll_count(item);
    count = count < total ? count : total;
    bool as_pairs = reply_head(c, key, count, form);
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    bool fits = !c->reply_failed;
    coll_walk_begin(&h, item, highest ? total - 1 : 0, highest, &walk);
    for (uint64_t i = 0; i < count && fits && coll_walk_next(&walk, &e); i++) {
        fits = reply_scored(c, &e, as_pairs);
    }
    if (fits && count > 0) {
        client_event_taken(c, EVENT_ZSET, highest ? "zpopmax" : "zpopmin", key, count == total);
        coll_cut(&h, highest ? total - count : 0, count);
    }
    store_drop(&h);
    return CLIENT_FOUND;
}

/* --- ZPOPMIN, ZPOPMAX ------------------------------------------------------------------------- */

static void pop_command(struct resp_client *c, const struct slice *argv, uint32_t argc,
                        bool highest)
{
    int64_t count = 1;
    if (argc > 3) {
        reply_syntax(c);
        return;
    }
    if (argc == 3 && !arg_count(c, argv[2], &count)) {
        return;
    }
    enum pop_reply form = argc == 3 ? POP_SEVERAL : POP_ONE;
    if (pop(c, argv[1], highest, (uint64_t)count, form) == CLIENT_ABSENT) {
        resp_array(&c->conn.out, 0);
    }
}

void cmd_zpopmin(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    pop_command(c, argv, argc, false);
}

void cmd_zpopmax(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    pop_command(c, argv, argc, true);
}

/* --- the first of several sorted sets --------------------------------------------------------- */

static enum client_found pop_key(struct resp_client *c, struct slice key, const struct mpop *m)
{
    return pop(c, key, m->from_second, m->count, m->one ? POP_KEY_ONE : POP_KEY_MANY);
}

static const struct mpop_kind zsets = {.kind = STORE_ZSET, .ends = {"min", "max"}, .pop = pop_key};

void cmd_bzpopmin(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    mpop_one_or_wait(c, &zsets, false, argv, argc);
}

void cmd_bzpopmax(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    mpop_one_or_wait(c, &zsets, true, argv, argc);
}

void cmd_zmpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    mpop_now(c, &zsets, argv, argc);
}

void cmd_bzmpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    mpop_or_wait(c, &zsets, argv, argc);
}
