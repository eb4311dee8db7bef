/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hashes: fields set, read and deleted. HINCRBY and its kin are in cmd/hash_number.c, HRANDFIELD in
 * cmd/random.c, HSCAN in cmd/coll_scan.c.
 *
 * One field costs one hold and one search; nothing is allocated. A HSET that runs out of space in the
 * middle answers the error and leaves what was set until then, as MSET does.
 */
#include "serve/edit.h"

/* --- setting ---------------------------------------------------------------------------------- */

/* Pairs from argv[2] on; `ret_created` counts fields that were not there. */
static enum err put_fields(struct client_edit *e, const struct slice *argv, uint32_t argc,
                           int64_t *ret_created)
{
    enum err err = ERR_OK;
    *ret_created = 0;
    for (uint32_t i = 2; i + 1 < argc && err == ERR_OK; i += 2) {
        struct coll_element field = {.name = argv[i], .value = argv[i + 1]};
        bool was = true;
        err = coll_put(&e->hold, STORE_HASH, &field, &e->meta, &was);
        *ret_created += was ? 0 : 1;
    }
    return err;
}

static bool set_fields(struct resp_client *c, const struct slice *argv, uint32_t argc,
                       const char *name, int64_t *ret_created)
{
    if (argc % 2 != 0) {
        reply_wrong_arity(c, name);
        return false;
    }
    struct client_edit e __attribute__((uninitialized));
    if (!client_edit_begin(c, argv[1], STORE_HASH, &e)) {
        return false;
    }
    enum err err = put_fields(&e, argv, argc, ret_created);
    client_edit_end(c, &e);
    if (err != ERR_OK) {
        reply_err(c, err);
        return false;
    }
    client_event(c, EVENT_HASH, "hset", argv[1]);
    return true;
}

void cmd_hset(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t created;
    if (set_fields(c, argv, argc, "hset", &created)) {
        reply_integer(c, created);
    }
}

void cmd_hmset(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t created;
    if (set_fields(c, argv, argc, "hmset", &created)) {
        reply_ok(c);
    }
}

void cmd_hsetnx(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct client_edit e __attribute__((uninitialized));
    if (!client_edit_begin(c, argv[1], STORE_HASH, &e)) {
        return;
    }
    struct coll_element field = {.name = argv[2], .value = argv[3]};
    struct coll_element old;
    bool exists = e.item != NULL && coll_find(&e.hold, e.item, argv[2], &old);
    enum err err = exists ? ERR_OK : coll_put(&e.hold, STORE_HASH, &field, &e.meta, NULL);
    client_edit_end(c, &e);
    if (err != ERR_OK) {
        reply_err(c, err);
        return;
    }
    if (!exists) {
        client_event(c, EVENT_HASH, "hset", argv[1]);
    }
    reply_integer(c, exists ? 0 : 1);
}

void cmd_hdel(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_removed(c, STORE_HASH, argv, argc);
}

/* --- one field -------------------------------------------------------------------------------- */

void cmd_hget(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, argv[1], STORE_HASH, &h, &item);
    if (__builtin_expect(found == CLIENT_FOUND, 1)) {
        struct coll_element field;
        if (coll_find(&h, item, argv[2], &field)) {
            reply_bulk(c, field.value);
        } else {
            reply_null(c);
        }
        store_drop(&h);
    } else if (found == CLIENT_ABSENT) {
        reply_null(c);
    }
}

/* The field's value length, or whether it exists. */
static void reply_about_field(struct resp_client *c, const struct slice *argv, bool length)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, argv[1], STORE_HASH, &h, &item);
    int64_t answer = 0;
    if (found == CLIENT_FOUND) {
        struct coll_element field;
        if (coll_find(&h, item, argv[2], &field)) {
            answer = length ? (int64_t)field.value.len : 1;
        }
        store_drop(&h);
    }
    if (found != CLIENT_WRONG_KIND) {
        reply_integer(c, answer);
    }
}

void cmd_hexists(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_about_field(c, argv, false);
}

void cmd_hstrlen(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_about_field(c, argv, true);
}

/* --- several ---------------------------------------------------------------------------------- */

void cmd_hmget(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, argv[1], STORE_HASH, &h, &item);
    if (found == CLIENT_WRONG_KIND) {
        return;
    }
    resp_array(&c->conn.out, argc - 2);
    for (uint32_t i = 2; i < argc && client_room(c, REPLY_FRAME); i++) {
        struct coll_element field;
        if (found == CLIENT_FOUND && coll_find(&h, item, argv[i], &field)) {
            reply_bulk(c, field.value);
        } else {
            reply_null(c);
        }
    }
    if (found == CLIENT_FOUND) {
        store_drop(&h);
    }
}

void cmd_hlen(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_count(c, argv[1], STORE_HASH);
}

/* --- all -------------------------------------------------------------------------------------- */

static void reply_fields(struct resp_client *c, const struct store_hold *h,
                         const struct store_item *item, bool names, bool values)
{
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element field;
    bool fits = true;
    coll_walk_begin(h, item, 0, false, &walk);
    while (fits && coll_walk_next(&walk, &field)) {
        fits = (!names || reply_bulk(c, field.name)) && (!values || reply_bulk(c, field.value));
    }
}

static void reply_whole(struct resp_client *c, struct slice key, bool names, bool values)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, key, STORE_HASH, &h, &item);
    if (found == CLIENT_WRONG_KIND) {
        return;
    }
    uint64_t count = found == CLIENT_FOUND ? coll_count(item) : 0;
    if (names && values) {
        resp_map(&c->conn.out, c->proto, count);
    } else {
        resp_array(&c->conn.out, count);
    }
    if (found == CLIENT_FOUND) {
        reply_fields(c, &h, item, names, values);
        store_drop(&h);
    }
}

void cmd_hgetall(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_whole(c, argv[1], true, true);
}

void cmd_hkeys(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_whole(c, argv[1], true, false);
}

void cmd_hvals(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_whole(c, argv[1], false, true);
}
