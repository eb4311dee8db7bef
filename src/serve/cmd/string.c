/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading whole values, and several keys at once: GET, GETDEL, STRLEN, MGET, MSET, MSETNX.
 *
 * Several keys are read or written at one moment (the store is owned), as Redis does. A MSET that
 * runs out of space in the middle answers the error and leaves what was stored until then.
 */
#include "serve/edit.h"
#include "serve/events.h"

/* A string is held; else nil, or the error, was replied. */
static bool read_or_null(struct resp_client *c, struct slice key, struct store_hold *ret_hold,
                         struct store_item **ret_item)
{
    enum client_found found = client_read_kind(c, key, STORE_STRING, ret_hold, ret_item);
    if (found == CLIENT_ABSENT) {
        reply_null(c);
    }
    return __builtin_expect(found == CLIENT_FOUND, 1);
}

void cmd_get(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    if (read_or_null(c, argv[1], &h, &item)) {
        reply_bulk(c, store_item_value(item));
        store_drop(&h);
    }
}

void cmd_getdel(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    if (!read_or_null(c, argv[1], &h, &item)) {
        return;
    }
    if (reply_bulk(c, store_item_value(item))) {
        (void)store_remove(&h);
        client_event(c, EVENT_GENERIC, "del", argv[1]);
    }
    store_drop(&h);
}

void cmd_strlen(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    switch (client_read_kind(c, argv[1], STORE_STRING, &h, &item)) {
    case CLIENT_FOUND:
        reply_integer(c, (int64_t)store_item_value(item).len);
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        reply_integer(c, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

/* Other kinds are nil too. */
static void mget_one(struct resp_client *c, struct slice key)
{
    struct store_hold h;
    struct store_item *item;
    if (!client_read(c, key, &h, &item)) {
        reply_null(c);
        return;
    }
    if (store_item_kind(item) == STORE_STRING) {
        reply_bulk(c, store_item_value(item));
    } else {
        reply_null(c);
    }
    store_drop(&h);
}

void cmd_mget(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    bool several = argc > 2;
    resp_array(&c->conn.out, argc - 1);
    if (several) {
        client_own(c);
    }
    for (uint32_t i = 1; i < argc && client_room(c, REPLY_FRAME); i++) {
        mget_one(c, argv[i]);
    }
    if (several) {
        client_disown(c);
    }
}

/* Pairs from argv[1] on, with the store owned. */
static enum err put_pairs(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    LEASE_ROOM(room);
    enum err err = ERR_OK;
    for (uint32_t i = 1; i < argc && err == ERR_OK; i += 2) {
        const struct lease *lease = client_lease(c, argv[i], &room);
        struct store_hold h;
        client_hold(c, argv[i], &h);
        struct store_write w = {.value = argv[i + 1]};
        err = client_put(c, &h, lease, &w);
        store_drop(&h);
        if (err == ERR_OK) {
            client_event(c, EVENT_STRING, "set", argv[i]);
        }
    }
    return err;
}

static bool any_exists(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    bool found = false;
    for (uint32_t i = 1; i < argc && !found; i += 2) {
        struct store_hold h;
        client_hold(c, argv[i], &h);
        found = store_peek(&h, NULL) != NULL;
        store_drop(&h);
    }
    return found;
}

void cmd_mset(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (argc % 2 == 0) {
        reply_wrong_arity(c, "mset");
        return;
    }
    client_own(c);
    enum err err = put_pairs(c, argv, argc);
    client_disown(c);
    reply_stored(c, err);
}

void cmd_msetnx(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (argc % 2 == 0) {
        reply_wrong_arity(c, "msetnx");
        return;
    }
    client_own(c);
    bool wanted = !any_exists(c, argv, argc);
    enum err err = wanted ? put_pairs(c, argv, argc) : ERR_OK;
    client_disown(c);
    if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        reply_integer(c, wanted ? 1 : 0);
    }
}
