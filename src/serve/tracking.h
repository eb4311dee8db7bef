/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tracking: clients that keep what they read are told when it changes (CLIENT TRACKING).
 *
 *   default    the keys that a client reads are remembered; the first change of one tells it, once
 *   BCAST      every change of a key with one of the client's prefixes tells it; nothing is remembered
 *
 * A change is what the store notes (touched.c): writes of any client, expiry, eviction, entries
 * that a commit made outdated once somebody finds out. So no command can forget to tell.
 *
 * Messages travel as pubsub does: a topic for each client, named by its number. RESP3 clients get a
 * push; with REDIRECT another connection gets it, a RESP2 one as a message of __redis__:invalidate.
 *
 * Source: redis.io "Client-side caching". Threads: any worker's; lock: rank watch.
 */
#ifndef SERVE_TRACKING_H
#define SERVE_TRACKING_H

#include "serve/resp_client.h"
#include "store/watch.h"

struct tracking;
struct tracking *tracking_create(void);
void tracking_destroy(struct tracking **t);

/* Before and after a command that reads, while the server's alert says ALERT_TRACKING: between the
 * two any change is noticed. */
void tracking_note_read(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                        uint32_t argc);
/* The end of a command: CLIENT CACHING is for the next one only. */
void tracking_command_over(struct resp_client *c, const struct command *cmd);
/* The table is brought down to the setting's size at once: the readers of the oldest keys are told. */
void tracking_keep_limit(struct worker *w);
/* Must this command's changes be told apart from those of others (NOLOOP)? */
bool tracking_wants_author(const struct resp_client *c, const struct command *cmd);
/* Tracking ends: OFF, RESET, the connection goes away. */
void tracking_end(struct resp_client *c);

/* A note of a change; may be called while the notes are being taken. `author`: 0, or the client
 * whose change it is for certain. */
void tracking_note_change(struct worker *w, enum store_touch what, uint32_t db, struct slice key);
/* Sends what was noted. Not while a key is held. */
void tracking_send(struct worker *w);

/* The frame of a message to a client's own topic; false: this client cannot take it. */
bool tracking_frame(const struct resp_client *c, struct slice payload, struct buf *ret_frame);

/* --- figures ---------------------------------------------------------------------------------- */

uint64_t tracking_clients(const struct server *s);
struct tracking_figures {
    uint64_t keys;
    uint64_t items; /* pairs of key and client */
    uint64_t prefixes;
};
void tracking_figures(struct server *s, struct tracking_figures *ret_figures);
/* For CLIENT LIST: "t", "tB", "tR" appended; and the number of the redirection, -1: tracking is
 * off. */
void tracking_flags(const struct resp_client *c, struct buf *out);
int64_t tracking_redirection(const struct resp_client *c);

/* The connection that messages are to go to has been looked for; from roll_call.c. */
void tracking_redirect_found(struct resp_client *c, bool found);
/* It has been found: it listens to its own topic from now on. */
void tracking_listen(struct resp_client *c);

#endif
