/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How commands on collections read and change a key; strings have client_read() and client_put().
 *
 * Reading:
 *
 *      switch (client_read_kind(c, key, STORE_HASH, &hold, &item)) {
 *      case CLIENT_FOUND:  reply from item; store_drop(&hold); break;
 *      case CLIENT_ABSENT: reply as for an empty one; break;
 *      case CLIENT_WRONG_KIND: break;    the error has been replied
 *      }
 *
 * Changing:
 *
 *      struct client_edit e __attribute__((uninitialized));
 *      if (!client_edit_begin(c, key, STORE_HASH, &e)) { return; }     WRONGTYPE was replied
 *      err = coll_put(&e.hold, STORE_HASH, &element, &e.meta, &was);   e.item is void from here on
 *      client_edit_end(c, &e);
 *
 * A key that follows the database and was absent is created with its lease's stamp. If the lease does not
 * hold (a change came between the client's read and this write), the command runs all the same and
 * client_edit_end() removes what it made before anybody can see it: it replies as if it were stored.
 *
 * Threads: the connection's worker.
 */
#ifndef SERVE_EDIT_H
#define SERVE_EDIT_H

#include "serve/events.h"
#include "store/coll.h"

enum client_found { CLIENT_ABSENT, CLIENT_FOUND, CLIENT_WRONG_KIND };

/* CLIENT_FOUND: the key is held. Otherwise nothing is. Counts hit or miss. */
enum client_found client_read_kind(struct resp_client *c, struct slice key, enum store_kind kind,
                                   struct store_hold *ret_hold, struct store_item **ret_item);

struct client_edit {
    struct store_hold hold;
    struct store_item *item; /* as it was when the edit began; NULL: absent */
    struct store_write meta; /* for the key's creation */
    struct lease room;
    const struct lease *lease;
    fresh_pos source_stamp; /* of a key that something came from; 0: none */
    bool is_void;           /* created without a lease that holds: goes at the end */
    bool is_new;            /* the key was absent */
};

/* False after replying WRONGTYPE: nothing is held. */
bool client_edit_begin(struct resp_client *c, struct slice key, enum store_kind kind,
                       struct client_edit *ret_edit);
void client_edit_end(struct resp_client *c, struct client_edit *e);

/* For a command that only takes away (HDEL, SPOP): nothing is created, so no lease is asked. As
 * client_read_kind(), but neither hit nor miss. */
enum client_found client_find_kind(struct resp_client *c, struct slice key, enum store_kind kind,
                                   struct store_hold *ret_hold, struct store_item **ret_item);

/* An edit by which something of another key comes to this one (LMOVE, SMOVE), with the store owned: `stamp`
 * is that key's (0: it has none), and client_edit_end() sees that this one is not thought newer. */
bool client_edit_begin_from(struct resp_client *c, struct slice key, enum store_kind kind,
                            fresh_pos stamp, struct client_edit *ret_edit);

/* A whole new value, with the store owned; the old one stays until it is finished. Writes go to
 * `draft.hold` with CLIENT_REMAKE_META; `edit.meta` says what the value gets in the end. */
struct client_remake {
    struct client_edit edit;
    struct store_draft draft;
};
extern const struct store_write CLIENT_REMAKE_META;
/* Made of what the client brings (RESTORE). */
void client_remake_begin(struct resp_client *c, struct slice key, struct client_remake *ret_remake);
/* Made from other keys (SUNIONSTORE). `stamp`: the oldest of the followed ones, 0: of none. */
void client_remake_begin_from(struct resp_client *c, struct slice key, fresh_pos stamp,
                              struct client_remake *ret_remake);
/* After something was written, with what came of that: nothing but ERR_OK, which it may also fail to give
 * back, replaces the old value. */
enum err client_remake_end(struct resp_client *c, struct client_remake *r, enum err err);

/* Tells of something taken out of a collection (events.h), and "del" when that was the last. */
void client_event_taken(struct resp_client *c, uint32_t class, const char *event, struct slice key,
                        bool was_last);

void reply_wrong_kind(struct resp_client *c);
/* There is no memory for what the command makes on its way. */
void reply_no_memory(struct resp_client *c);
/* "string", "list" ..., as TYPE says; "" above STORE_STREAM. */
const char *kind_name(enum store_kind kind);
/* The word of OBJECT ENCODING for a live item of any kind, strings too. */
const char *item_encoding(const struct store_item *item);
/* How many elements the key's collection has (HLEN, SCARD, ZCARD, LLEN); 0 when absent. */
void reply_count(struct resp_client *c, struct slice key, enum store_kind kind);
/* Removes the elements argv[2..] of key argv[1] and replies how many there were (HDEL, SREM, ZREM). */
void reply_removed(struct resp_client *c, enum store_kind kind, const struct slice *argv,
                   uint32_t argc);
/* A member and its score, as an array of its own if wanted. False: no room. */
bool reply_scored(struct resp_client *c, const struct coll_element *e, bool as_pair);

#endif
