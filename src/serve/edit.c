/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading and changing keys of a given kind, under the freshness rules; edit.h draws how.
 *
 * Threads: the connection's worker.
 */
#include "serve/edit.h"

void reply_wrong_kind(struct resp_client *c)
{
    resp_error(&c->conn.out, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void reply_no_memory(struct resp_client *c)
{
    resp_error(&c->conn.out, "OOM no memory to bring the result together; ask for less at once");
}

const char *kind_name(enum store_kind kind)
{
    static const char *const names[] = {
        [STORE_STRING] = "string", [STORE_LIST] = "list", [STORE_SET] = "set",
        [STORE_ZSET] = "zset",     [STORE_HASH] = "hash", [STORE_STREAM] = "stream",
    };
    return (size_t)kind < array_len(names) ? names[kind] : "";
}

/* Lets go of a held key of another kind, after replying. */
static inline enum client_found judge_kind(struct resp_client *c, struct store_hold *h,
                                           const struct store_item *item, enum store_kind kind)
{
    if (__builtin_expect(store_item_kind(item) != kind, 0)) {
        store_drop(h);
        reply_wrong_kind(c);
        return CLIENT_WRONG_KIND;
    }
    return CLIENT_FOUND;
}

enum client_found client_read_kind(struct resp_client *c, struct slice key, enum store_kind kind,
                                   struct store_hold *ret_hold, struct store_item **ret_item)
{
    if (!client_read(c, key, ret_hold, ret_item)) {
        return CLIENT_ABSENT;
    }
    return judge_kind(c, ret_hold, *ret_item, kind);
}

enum client_found client_find_kind(struct resp_client *c, struct slice key, enum store_kind kind,
                                   struct store_hold *ret_hold, struct store_item **ret_item)
{
    client_hold(c, key, ret_hold);
    *ret_item = client_item(c, ret_hold);
    if (*ret_item == NULL) {
        store_drop(ret_hold);
        return CLIENT_ABSENT;
    }
    return judge_kind(c, ret_hold, *ret_item, kind);
}

/* What the key is to be created with: also if it is there, since a mark may rise at any moment and make it
 * absent to the write; then it must follow the database as before, and be outdated as before. */
static void prepare_meta(struct resp_client *c, struct client_edit *e)
{
    e->is_void = false;
    e->meta = (struct store_write){.expiry_ms = 0};
    if (c->space->ttl_ms > 0 && !c->replaying) {
        e->meta.expiry_ms = e->hold.now_ms + c->space->ttl_ms;
    }
    if (e->lease != NULL) {
        lease_apply(e->lease, &e->meta);
    }
}

/* Before an absent key is created. */
static void judge_lease(struct resp_client *c, struct client_edit *e)
{
    if (e->lease != NULL && !lease_holds(c->worker, e->lease, &e->hold)) {
        e->is_void = true;
        (void)store_remove(&e->hold); /* unproven: it must not come back */
    }
}

bool client_edit_begin_from(struct resp_client *c, struct slice key, enum store_kind kind,
                            fresh_pos stamp, struct client_edit *ret_edit)
{
    struct client_edit *e = ret_edit;
    e->lease = client_lease(c, key, &e->room);
    e->source_stamp = stamp;
    if (e->lease != NULL && stamp != 0 && stamp < e->room.stamp) {
        e->room.stamp = stamp;
    }
    client_hold(c, key, &e->hold);
    e->item = client_item(c, &e->hold);
    if (e->item != NULL && store_item_kind(e->item) != kind) {
        store_drop(&e->hold);
        reply_wrong_kind(c);
        return false;
    }
    e->is_new = e->item == NULL;
    prepare_meta(c, e);
    if (e->is_new) {
        judge_lease(c, e);
    }
    return true;
}

bool client_edit_begin(struct resp_client *c, struct slice key, enum store_kind kind,
                       struct client_edit *ret_edit)
{
    return client_edit_begin_from(c, key, kind, 0, ret_edit);
}

static void tell_if_new(struct resp_client *c, struct client_edit *e)
{
    if (e->is_new && client_wants_event(c, EVENT_NEW) && store_inspect(&e->hold) != NULL) {
        client_event(c, EVENT_NEW, "new", e->hold.key);
    }
}

void client_edit_end(struct resp_client *c, struct client_edit *e)
{
    if (__builtin_expect(e->is_void, 0)) {
        (void)store_remove(&e->hold);
    } else {
        if (e->source_stamp != 0) {
            store_lower_stamp(&e->hold, e->source_stamp);
        }
        tell_if_new(c, e);
    }
    store_drop(&e->hold);
}

/* --- whole new values ------------------------------------------------------------------------- */

const struct store_write CLIENT_REMAKE_META = {.expiry_ms = 0};

static void remake(struct resp_client *c, struct slice key, struct client_remake *r)
{
    client_hold(c, key, &r->edit.hold);
    prepare_meta(c, &r->edit);
    store_draft_begin(&r->edit.hold, &r->draft);
}

void client_remake_begin(struct resp_client *c, struct slice key, struct client_remake *ret_remake)
{
    ret_remake->edit.lease = client_lease(c, key, &ret_remake->edit.room);
    remake(c, key, ret_remake);
}

void client_remake_begin_from(struct resp_client *c, struct slice key, fresh_pos stamp,
                              struct client_remake *ret_remake)
{
    struct client_edit *e = &ret_remake->edit;
    e->lease = NULL;
    if (c->followed) {
        e->lease = &e->room;
        lease_with_stamp(c->worker, c->db, key, stamp, &e->room);
    }
    remake(c, key, ret_remake);
}

enum err client_remake_end(struct resp_client *c, struct client_remake *r, enum err err)
{
    struct client_edit *e = &r->edit;
    if (err == ERR_OK) {
        e->is_new = store_peek(&e->hold, NULL) == NULL;
        judge_lease(c, e);
        if (!e->is_void) {
            err = store_draft_publish(&r->draft, &e->hold, &e->meta);
        }
    }
    store_draft_discard(&r->draft);
    if (err == ERR_OK && !e->is_void) {
        tell_if_new(c, e);
    }
    store_drop(&e->hold);
    return err;
}

void client_event_taken(struct resp_client *c, uint32_t class, const char *event, struct slice key,
                        bool was_last)
{
    client_event(c, class, event, key);
    if (was_last) {
        client_event(c, EVENT_GENERIC, "del", key);
    }
}

void reply_count(struct resp_client *c, struct slice key, enum store_kind kind)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, key, kind, &h, &item);
    uint64_t count = 0;
    if (found == CLIENT_FOUND) {
        count = coll_count(item);
        store_drop(&h);
    }
    if (found != CLIENT_WRONG_KIND) {
        reply_integer(c, (int64_t)count);
    }
}

/* HDEL, SREM, ZREM */
static void tell_removed(struct resp_client *c, enum store_kind kind, struct slice key,
                         bool was_last)
{
    if (kind == STORE_HASH) {
        client_event_taken(c, EVENT_HASH, "hdel", key, was_last);
    } else if (kind == STORE_SET) {
        client_event_taken(c, EVENT_SET, "srem", key, was_last);
    } else {
        client_event_taken(c, EVENT_ZSET, "zrem", key, was_last);
    }
}

void reply_removed(struct resp_client *c, enum store_kind kind, const struct slice *argv,
                   uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_find_kind(c, argv[1], kind, &h, &item);
    if (found == CLIENT_WRONG_KIND) {
        return;
    }
    int64_t removed = 0;
    if (found == CLIENT_FOUND) {
        uint64_t left = coll_count(item);
        for (uint32_t i = 2; i < argc && left > 0; i++) {
            bool was = coll_remove(&h, argv[i]);
            removed += was ? 1 : 0;
            left -= was ? 1 : 0;
        }
        if (removed > 0) {
            tell_removed(c, kind, argv[1], left == 0);
        }
        store_drop(&h);
    }
    reply_integer(c, removed);
}

bool reply_scored(struct resp_client *c, const struct coll_element *e, bool as_pair)
{
    if (!client_room(c, e->name.len + (size_t)2 * REPLY_FRAME)) {
        return false;
    }
    if (as_pair) {
        resp_array(&c->conn.out, 2);
    }
    resp_bulk(&c->conn.out, e->name);
    resp_double(&c->conn.out, c->proto, e->score);
    return true;
}
