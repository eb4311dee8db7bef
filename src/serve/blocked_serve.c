/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who gets what a write made, and when.
 *
 * blocked_note() writes down which keys may feed somebody while the store's notes are taken;
 * blocked_serve() then goes through them, key by key, and in each key's line by order of arrival.
 * The *hand* runs each waiter's command again: who finds something has its reply and leaves, who
 * finds nothing keeps its place.
 *
 * Threads: any worker. blocked_serve() owns the store meanwhile.
 */
#include "serve/blocked_priv.h"

#include "base/clock.h"
#include "serve/detached.h"
#include "serve/users.h"

bool blocked_may_feed_now(const struct worker *w, const struct command *cmd,
                          const struct slice *argv, uint32_t argc)
{
    if (cmd->first_key == 0) {
        return true;
    }
    uint32_t last = cmd->last_key < 0 ? argc - (uint32_t)-cmd->last_key : (uint32_t)cmd->last_key;
    for (uint32_t i = (uint32_t)cmd->first_key; i <= last && i < argc;
         i += (uint32_t)cmd->key_step) {
        if (store_key_observed(w->server->store, argv[i])) {
            return true;
        }
    }
    return false;
}

struct fed_head {
    enum store_touch what;
    uint32_t db;
    size_t len;
};

void blocked_note(const struct worker *w, enum store_touch what, uint32_t db, struct slice key,
                  struct buf *ret_fed)
{
    bool feeds = what == STORE_TOUCH_FLUSHED || /* exchanged, perhaps */
                 (what == STORE_TOUCH_WRITTEN && store_key_observed(w->server->store, key));
    if (feeds && blocked_count(w->server) > 0) {
        struct fed_head head = {.what = what, .db = db, .len = key.len};
        buf_append(ret_fed, &head, sizeof(head));
        buf_append_slice(ret_fed, key);
    }
}

static struct resp_client *hand_of(struct worker *w)
{
    if (w->hand == NULL) {
        w->hand = detached_create(w);
    }
    return w->hand;
}

/* False: there is still nothing for it. */
static bool serve_waiter(struct worker *at, struct waiter *w)
{
    if (atomic_load_explicit(&w->is_gone, memory_order_acquire)) {
        return false;
    }
    struct resp_client *hand = hand_of(at);
    hand->proto = w->proto;
    hand->no_touch = w->no_touch;
    (void)client_select(hand, w->db);
    hand->would_block = false;
    uint64_t began_us = clock_now_us();
    if (users_still_admit(at->server, w->user, w->cmd, w->argv, w->argc, &hand->conn.out)) {
        resp_perform(hand, w->cmd, w->argv, w->argc);
    }
    w->us = clock_now_us() - began_us;
    if (hand->would_block) {
        buf_clear(&hand->conn.out);
        return false;
    }
    w->reply = hand->conn.out;
    buf_init(&hand->conn.out);
    waiter_end(at, w);
    return true;
}

/* False: no value. */
static bool kind_of_key(struct worker *at, const struct wait_key *k, enum store_kind *ret_kind)
{
    struct store_hold h;
    store_hold(at->server->store, at->gate, k->db, wait_key_name(k), loop_now_ms(at->loop), &h);
    const struct store_item *it = store_peek(&h, NULL);
    if (it != NULL) {
        *ret_kind = store_item_kind(it);
    }
    store_drop(&h);
    return it != NULL;
}

/* While one waiter is served, no other leaves the list: it ends its own wait only. */
static void serve_key(struct worker *at, struct wait_key *k)
{
    k->serving = true;
    enum store_kind kind;
    struct list *node = k->waiters.next;
    while (node != &k->waiters && kind_of_key(at, k, &kind)) {
        struct waiter *w = container_of(node, struct wait_link, node)->waiter;
        node = node->next;
        if (w->kind == kind) {
            (void)serve_waiter(at, w);
        }
    }
    k->serving = false;
    wait_key_drop_if_unused(at->server->blocked, k);
}

/* SWAPDB: any key of the database may have come into being. */
static void serve_database(struct worker *at, uint32_t db)
{
    const struct blocked *b = at->server->blocked;
    struct buf names; /* serving changes the registry */
    buf_init(&names);
    for (struct map_node *n = map_walk(&b->keys, NULL); n != NULL; n = map_walk(&b->keys, n)) {
        const struct wait_key *k = container_of(n, struct wait_key, node);
        if (k->db == db) {
            blocked_note(at, STORE_TOUCH_WRITTEN, db, wait_key_name(k), &names);
        }
    }
    blocked_serve(at, &names);
    buf_fini(&names);
}

bool blocked_serve(struct worker *at, struct buf *fed)
{
    if (!worker_own_try(at)) {
        return false;
    }
    struct buf keys = *fed; /* serving feeds others */
    buf_init(fed);
    loop_read_clock(at->loop); /* what was pushed by a long transaction may have expired by now */
    struct slice rest = buf_readable(&keys);
    while (rest.len > 0) {
        struct fed_head head;
        memcpy(&head, rest.ptr, sizeof(head));
        struct slice key = {rest.ptr + sizeof(head), head.len};
        rest = slice_from(rest, sizeof(head) + head.len);
        struct wait_key *k = head.what == STORE_TOUCH_WRITTEN
                                 ? wait_key_find(at->server->blocked, head.db, key)
                                 : NULL;
        if (k != NULL) {
            serve_key(at, k);
        } else if (head.what == STORE_TOUCH_FLUSHED) {
            serve_database(at, head.db);
        }
    }
    buf_fini(&keys);
    worker_disown(at);
    return true;
}
