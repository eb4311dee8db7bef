/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets: members added, removed, moved and asked for. (cmd/string_set.c is the command SET.) Intersections, unions
 * and differences are in cmd/set_algebra.c; SPOP and SRANDMEMBER in cmd/random.c; SSCAN in cmd/coll_scan.c.
 *
 * A SADD that runs out of space in the middle answers the error and leaves what was added until then.
 */
#include "serve/edit.h"

/* --- changing --------------------------------------------------------------------------------- */

void cmd_sadd(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct client_edit e __attribute__((uninitialized));
    if (!client_edit_begin(c, argv[1], STORE_SET, &e)) {
        return;
    }
    enum err err = ERR_OK;
    int64_t added = 0;
    for (uint32_t i = 2; i < argc && err == ERR_OK; i++) {
        struct coll_element member = {.name = argv[i]};
        bool was = true;
        err = coll_put(&e.hold, STORE_SET, &member, &e.meta, &was);
        added += was ? 0 : 1;
    }
    client_edit_end(c, &e);
    if (added > 0) {
        client_event(c, EVENT_SET, "sadd", argv[1]);
    }
    if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        reply_integer(c, added);
    }
}

void cmd_srem(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_removed(c, STORE_SET, argv, argc);
}

struct smove {
    bool has;        /* the source has the member */
    bool was_last;   /* and no other */
    bool was;        /* the target had it */
    fresh_pos stamp; /* of the source, if it moves */
};

/* The target first, so that a full space loses nothing. Making room may evict the source, member and all. */
static enum err move_member(struct resp_client *c, const struct slice *argv, struct client_edit *to,
                            struct smove *m)
{
    struct coll_element member = {.name = argv[3]};
    enum err err = coll_put(&to->hold, STORE_SET, &member, &to->meta, &m->was);
    struct store_hold h;
    client_hold(c, argv[1], &h);
    if (err == ERR_OK && store_peek(&h, NULL) != NULL) {
        (void)coll_remove(&h, argv[3]);
        client_event_taken(c, EVENT_SET, "srem", argv[1], m->was_last);
    }
    store_drop(&h);
    return err;
}

/* With the store owned; to itself nothing moves. */
static void smove(struct resp_client *c, const struct slice *argv)
{
    struct store_hold h;
    struct store_item *item;
    struct smove m = {.has = false};
    bool moves = false;
    enum client_found found = client_find_kind(c, argv[1], STORE_SET, &h, &item);
    if (found == CLIENT_FOUND) {
        struct coll_element member;
        m.has = coll_find(&h, item, argv[3], &member);
        m.was_last = coll_count(item) == 1;
        moves = m.has && !slice_eq(argv[1], argv[2]);
        m.stamp = moves ? store_item_stamp(item) : 0;
        store_drop(&h);
    }
    struct client_edit to __attribute__((uninitialized));
    if (found == CLIENT_WRONG_KIND ||
        (found == CLIENT_FOUND && !client_edit_begin_from(c, argv[2], STORE_SET, m.stamp, &to))) {
        return;
    }
    enum err err = ERR_OK;
    if (moves) {
        err = move_member(c, argv, &to, &m);
    }
    if (found == CLIENT_FOUND) {
        client_edit_end(c, &to);
    }
    if (err != ERR_OK) {
        reply_err(c, err);
        return;
    }
    if (moves && !m.was) {
        client_event(c, EVENT_SET, "sadd", argv[2]);
    }
    reply_integer(c, m.has ? 1 : 0);
}

void cmd_smove(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    client_own(c);
    smove(c, argv);
    client_disown(c);
}

/* --- asking ----------------------------------------------------------------------------------- */

void cmd_scard(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_count(c, argv[1], STORE_SET);
}

/* For each of the names, 1 or 0. */
static void reply_membership(struct resp_client *c, const struct slice *argv, uint32_t argc,
                             bool several)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, argv[1], STORE_SET, &h, &item);
    if (found == CLIENT_WRONG_KIND) {
        return;
    }
    if (several) {
        resp_array(&c->conn.out, argc - 2);
    }
    for (uint32_t i = 2; i < argc && client_room(c, REPLY_FRAME); i++) {
        struct coll_element member;
        bool has = found == CLIENT_FOUND && coll_find(&h, item, argv[i], &member);
        reply_integer(c, has ? 1 : 0);
    }
    if (found == CLIENT_FOUND) {
        store_drop(&h);
    }
}

void cmd_sismember(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_membership(c, argv, argc, false);
}

void cmd_smismember(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_membership(c, argv, argc, true);
}

void cmd_smembers(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, argv[1], STORE_SET, &h, &item);
    if (found == CLIENT_ABSENT) {
        resp_set(&c->conn.out, c->proto, 0);
    }
    if (found != CLIENT_FOUND) {
        return;
    }
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element member;
    resp_set(&c->conn.out, c->proto, coll_count(item));
    coll_walk_begin(&h, item, 0, false, &walk);
    while (coll_walk_next(&walk, &member) && reply_bulk(c, member.name)) {
    }
    store_drop(&h);
}
