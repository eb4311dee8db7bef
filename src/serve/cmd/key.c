/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys as such: DEL, UNLINK, EXISTS, TOUCH, TYPE, RENAME, RENAMENX, COPY, MOVE, RANDOMKEY.
 *
 * A value that moves to another name is true as of its own stamp, not of now: it is stored again
 * under what the new name depends on, with the old stamp (store.h, S4) and the old tags.
 *
 * Several keys are changed at one moment: the store is owned.
 */
#include "serve/durable.h"
#include "serve/edit.h"
#include "serve/events.h"

/* --- counting --------------------------------------------------------------------------------- */

typedef bool key_fn(struct resp_client *c, struct slice key);

static void count_keys(struct resp_client *c, const struct slice *argv, uint32_t argc, key_fn *does)
{
    bool several = argc > 2;
    int64_t count = 0;
    if (several) {
        client_own(c);
    }
    for (uint32_t i = 1; i < argc; i++) {
        count += does(c, argv[i]) ? 1 : 0;
    }
    if (several) {
        client_disown(c);
    }
    reply_integer(c, count);
}

static bool delete_key(struct resp_client *c, struct slice key)
{
    struct store_hold h;
    client_hold(c, key, &h);
    bool was_live = store_remove(&h);
    store_drop(&h);
    if (was_live) {
        client_event(c, EVENT_GENERIC, "del", key);
    }
    return was_live;
}

static bool key_exists(struct resp_client *c, struct slice key)
{
    struct store_hold h;
    struct store_item *item;
    bool found = client_peek(c, key, &h, &item);
    if (found) {
        store_drop(&h);
    }
    return found;
}

static bool touch_key(struct resp_client *c, struct slice key)
{
    struct store_hold h;
    client_hold(c, key, &h);
    bool found = client_item(c, &h) != NULL;
    store_drop(&h);
    return found;
}

void cmd_del(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    count_keys(c, argv, argc, delete_key);
}

void cmd_exists(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    count_keys(c, argv, argc, key_exists);
}

void cmd_touch(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    count_keys(c, argv, argc, touch_key);
}

void cmd_type(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    if (client_peek(c, argv[1], &h, &item)) {
        resp_simple(&c->conn.out, kind_name(store_item_kind(item)));
        store_drop(&h);
    } else {
        resp_simple(&c->conn.out, "none");
    }
}

/* --- to another name -------------------------------------------------------------------------- */

enum move_result { MOVE_DONE, MOVE_NO_SOURCE, MOVE_TARGET_EXISTS, MOVE_FAILED };

struct move {
    struct slice from;
    uint32_t to_db;
    struct slice to;
    bool replace; /* an existing target is overwritten */
    bool keep_source;
};

static bool exists_in(struct resp_client *c, uint32_t db, struct slice key)
{
    struct store_hold h;
    store_hold(client_store(c), c->worker->gate, db, key, client_now(c), &h);
    bool found = store_peek(&h, NULL) != NULL;
    store_drop(&h);
    return found;
}

/* Tags are the entry's, not the name's. */
static void tags_of_item(const struct fresh *f, const struct store_item *item,
                         struct fresh_deps *ret_tags)
{
    uint32_t count;
    const fresh_dep *deps = store_item_deps(item, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (fresh_dep_is_tag(f, deps[i])) {
            fresh_deps_add(ret_tags, deps[i]);
        }
    }
}

/* With the source, `item`, held. */
static enum err put_moving(struct resp_client *c, const struct move *mv, struct store_hold *from,
                           const struct store_item *item)
{
    LEASE_ROOM(room);
    struct fresh_deps tags = {.count = 0};
    struct store_write meta = {.expiry_ms = store_item_expiry(item)};
    lease_with_stamp(c->worker, mv->to_db, mv->to, store_item_stamp(item), &room);
    tags_of_item(c->worker->server->fresh, item, &tags);
    (void)lease_add_tags(&room, &tags, store_item_stamp(item));
    struct store_hold to;
    enum err err = ERR_OK;
    store_hold(client_store(c), c->worker->gate, mv->to_db, mv->to, client_now(c), &to);
    if (!lease_holds(c->worker, &room, &to)) {
        (void)store_remove(&to);
        if (!mv->keep_source) {
            (void)store_remove(from);
        }
    } else {
        lease_apply(&room, &meta);
        err = mv->keep_source ? store_copy(from, &to, &meta) : store_move(from, &to, &meta);
    }
    store_drop(&to);
    return err;
}

/* With the store owned. */
static enum move_result move_value(struct resp_client *c, const struct move *mv, enum err *ret_err)
{
    struct store_hold h;
    struct store_item *item;
    if (!client_peek(c, mv->from, &h, &item)) {
        return MOVE_NO_SOURCE;
    }
    enum move_result result = MOVE_DONE;
    bool onto_itself = mv->to_db == c->db && slice_eq(mv->from, mv->to);
    if (!mv->replace && exists_in(c, mv->to_db, mv->to)) {
        result = MOVE_TARGET_EXISTS;
    } else if (!onto_itself) {
        *ret_err = put_moving(c, mv, &h, item);
        result = *ret_err == ERR_OK ? MOVE_DONE : MOVE_FAILED;
    }
    store_drop(&h);
    return result;
}

static void tell_move(struct resp_client *c, const struct move *mv)
{
    if (mv->to_db != c->db || !slice_eq(mv->from, mv->to)) {
        client_event_in(c, EVENT_NEW, mv->to_db, "new",
                        mv->to); /* over an old value too, as in Redis */
    }
    if (mv->keep_source) {
        client_event_in(c, EVENT_GENERIC, mv->to_db, "copy_to", mv->to);
    } else if (mv->to_db != c->db) {
        client_event(c, EVENT_GENERIC, "move_from", mv->from);
        client_event_in(c, EVENT_GENERIC, mv->to_db, "move_to", mv->to);
    } else if (!slice_eq(mv->from, mv->to)) {
        client_event(c, EVENT_GENERIC, "rename_from", mv->from);
        client_event(c, EVENT_GENERIC, "rename_to", mv->to);
    }
}

static enum move_result run_move(struct resp_client *c, const struct move *mv)
{
    enum err err = ERR_OK;
    client_own(c);
    enum move_result result = move_value(c, mv, &err);
    client_disown(c);
    if (result == MOVE_FAILED) {
        reply_err(c, err);
    } else if (result == MOVE_DONE) {
        tell_move(c, mv);
    }
    return result;
}

static void rename_key(struct resp_client *c, const struct slice *argv, bool replace)
{
    struct move mv = {.from = argv[1], .to_db = c->db, .to = argv[2], .replace = replace};
    enum move_result result = run_move(c, &mv);
    if (result == MOVE_NO_SOURCE) {
        resp_error(&c->conn.out, "ERR no such key");
    } else if (result != MOVE_FAILED && replace) {
        reply_ok(c);
    } else if (result != MOVE_FAILED) {
        reply_integer(c, result == MOVE_DONE ? 1 : 0);
    }
}

void cmd_rename(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    rename_key(c, argv, true);
}

void cmd_renamenx(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    rename_key(c, argv, false);
}

static bool refuse_same(struct resp_client *c)
{
    resp_error(&c->conn.out, "ERR source and destination objects are the same");
    return false;
}

/* A database number of a request; false after replying. */
static bool parse_db(struct resp_client *c, struct slice arg, uint32_t *ret_db)
{
    int64_t db;
    if (!arg_database(c, arg, &db)) {
        return false;
    }
    if (!client_db_exists(c, db)) {
        resp_error(&c->conn.out, "ERR DB index is out of range");
        return false;
    }
    *ret_db = (uint32_t)db;
    return durable_reaches(c, *ret_db);
}

static bool parse_copy(struct resp_client *c, const struct slice *argv, uint32_t argc,
                       struct move *ret_move)
{
    struct move mv = {.from = argv[1], .to_db = c->db, .to = argv[2], .keep_source = true};
    for (uint32_t i = 3; i < argc; i++) {
        if (slice_is_nocase(argv[i], "replace")) {
            mv.replace = true;
        } else if (slice_is_nocase(argv[i], "db") && i + 1 < argc) {
            if (!parse_db(c, argv[++i], &mv.to_db)) {
                return false;
            }
        } else {
            reply_syntax(c);
            return false;
        }
    }
    *ret_move = mv;
    return (mv.to_db != c->db || !slice_eq(mv.from, mv.to)) || refuse_same(c);
}

void cmd_copy(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct move mv;
    if (!parse_copy(c, argv, argc, &mv)) {
        return;
    }
    enum move_result result = run_move(c, &mv);
    if (result != MOVE_FAILED) {
        reply_integer(c, result == MOVE_DONE ? 1 : 0);
    }
}

void cmd_move(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct move mv = {.from = argv[1], .to = argv[1]};
    if (!parse_db(c, argv[2], &mv.to_db)) {
        return;
    }
    if (mv.to_db == c->db) {
        (void)refuse_same(c);
        return;
    }
    enum move_result result = run_move(c, &mv);
    if (result != MOVE_FAILED) {
        reply_integer(c, result == MOVE_DONE ? 1 : 0);
    }
}

void cmd_randomkey(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf key;
    buf_init(&key);
    if (store_random_key(client_store(c), c->worker->gate, c->db, client_now(c), &key)) {
        reply_bulk(c, buf_readable(&key));
    } else {
        reply_null(c);
    }
    buf_fini(&key);
}
