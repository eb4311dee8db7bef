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

#include "serve/resp_client.h"
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
    bool is_void; /* created without a lease that holds: goes at the end */
};

/* False after replying WRONGTYPE: nothing is held. */
bool client_edit_begin(struct resp_client *c, struct slice key, enum store_kind kind,
                       struct client_edit *ret_edit);
void client_edit_end(struct resp_client *c, struct client_edit *e);

void reply_wrong_kind(struct resp_client *c);

#endif
