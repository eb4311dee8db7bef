/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CLIENT LIST and CLIENT KILL ask every worker about its connections.
 *
 * A roll call travels from worker to worker by mail, each looking at its own connections only, and
 * ends where it began; the connection that asked is paused meanwhile. No lock, no shared list.
 */
#ifndef SERVE_ROLL_CALL_H
#define SERVE_ROLL_CALL_H

#include "serve/resp_client.h"

enum roll_call_kind {
    ROLL_CALL_LIST,
    ROLL_CALL_KILL,
    ROLL_CALL_KILL_ADDR,
    ROLL_CALL_REDIRECT, /* who is found listens to its own topic (tracking.h) */
};

struct client_filter {
    uint64_t *ids; /* owned by the call; NULL: any */
    uint32_t id_count;
    char addr[64]; /* "": any */
    char laddr[64];
    uint64_t not_id;    /* 0: none left out */
    uint64_t min_age_s; /* MAXAGE: older ones only */
    char user[64];      /* "": any */
    bool has_type;
    bool wants_pubsub; /* with has_type: those that listen, or those that do not */
    bool nobody;       /* a type or user that no connection here has */
};

/* Takes `ids`. Replies at once or later, when the call has come back. */
void roll_call_start(struct resp_client *c, enum roll_call_kind kind,
                     const struct client_filter *filter);
/* The connection goes away: the call comes back to nobody. */
void roll_call_forget(struct resp_client *c);

/* The address that the client has connected to: "127.0.0.1:6380", "unix:0". */
void client_local_address(const struct resp_client *c, char ret_text[64]);
/* One line of CLIENT LIST, without the line end. */
void client_describe(const struct resp_client *c, struct buf *out);

#endif
