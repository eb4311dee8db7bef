/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ZPOPMIN, ZPOPMAX, ZMPOP, and the popping that the blocking commands share (zpop.h).
 *
 * The reply is composed first and the members are cut afterwards, so a reply that may not be sent loses
 * nothing.
 */
#include "serve/cmd/zpop.h"

#include "serve/cmd/mpop.h"

/* --- popping ---------------------------------------------------------------------------------- */

/* Returns whether each member is a pair of its own. */
static bool reply_head(struct resp_client *c, struct slice key, uint64_t count,
                       enum zpop_reply form)
{
    bool as_pairs = form == ZPOP_KEY_MANY || (form == ZPOP_SEVERAL && c->proto >= 3);
    switch (form) {
    case ZPOP_ONE:
    case ZPOP_SEVERAL:
        resp_array(&c->conn.out, as_pairs ? count : 2 * count);
        break;
    case ZPOP_KEY_ONE:
        resp_array(&c->conn.out, 3);
        reply_bulk(c, key);
        break;
    case ZPOP_KEY_MANY:
        resp_array(&c->conn.out, 2);
        if (reply_bulk(c, key)) {
            resp_array(&c->conn.out, count);
        }
        break;
    }
    return as_pairs;
}

enum client_found zpop(struct resp_client *c, struct slice key, bool highest, uint64_t count,
                       enum zpop_reply form)
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
    enum zpop_reply form = argc == 3 ? ZPOP_SEVERAL : ZPOP_ONE;
    if (zpop(c, argv[1], highest, (uint64_t)count, form) == CLIENT_ABSENT) {
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

/* --- ZMPOP ------------------------------------------------------------------------------------ */

void cmd_zmpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct mpop m;
    if (!arg_mpop(c, argv, argc, 1, "min", "max", &m)) {
        return;
    }
    enum client_found found = CLIENT_ABSENT;
    client_own(c);
    for (uint32_t i = 0; i < m.key_count && found == CLIENT_ABSENT; i++) {
        found = zpop(c, m.keys[i], m.from_second, m.count, ZPOP_KEY_MANY);
    }
    client_disown(c);
    if (found == CLIENT_ABSENT) {
        resp_null_array(&c->conn.out, c->proto);
    }
}
