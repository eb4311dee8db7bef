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

enum client_found client_read_kind(struct resp_client *c, struct slice key, enum store_kind kind,
                                   struct store_hold *ret_hold, struct store_item **ret_item)
{
    if (!client_read(c, key, ret_hold, ret_item)) {
        return CLIENT_ABSENT;
    }
    if (__builtin_expect(store_item_kind(*ret_item) != kind, 0)) {
        store_drop(ret_hold);
        reply_wrong_kind(c);
        return CLIENT_WRONG_KIND;
    }
    return CLIENT_FOUND;
}

bool client_edit_begin(struct resp_client *c, struct slice key, enum store_kind kind,
                       struct client_edit *ret_edit)
{
    struct client_edit *e = ret_edit;
    e->lease = client_lease(c, key, &e->room);
    client_hold(c, key, &e->hold);
    e->item = client_item(c, &e->hold);
    e->is_void = false;
    if (e->item != NULL && store_item_kind(e->item) != kind) {
        store_drop(&e->hold);
        reply_wrong_kind(c);
        return false;
    }
    e->meta = (struct store_write){.expiry_ms = 0};
    if (e->item == NULL) {
        if (c->space->ttl_ms > 0) {
            e->meta.expiry_ms = e->hold.now_ms + c->space->ttl_ms;
        }
        if (e->lease != NULL) {
            e->is_void = !lease_holds(c->worker, e->lease, &e->hold);
            if (e->is_void) {
                (void)store_remove(&e->hold); /* unproven: it must not come back */
            } else {
                lease_apply(e->lease, &e->meta);
            }
        }
    }
    return true;
}

void client_edit_end(struct resp_client *c, struct client_edit *e)
{
    if (__builtin_expect(e->is_void, 0)) {
        (void)store_remove(&e->hold);
    }
    store_drop(&e->hold);
}
