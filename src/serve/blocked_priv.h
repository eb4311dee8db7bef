/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registry of those who wait, for blocked.c (which says how it works and numbers the
 * invariants), blocked_wait.c (a client's wait, from its beginning to its reply) and
 * blocked_serve.c (who gets what a write made). Everything here: who owns the store (BK1), unless
 * it says otherwise.
 */
#ifndef SERVE_BLOCKED_PRIV_H
#define SERVE_BLOCKED_PRIV_H

#include "base/map.h"
#include "serve/blocked.h"

enum wait_state { WAIT_WAITING, WAIT_ENDED };

struct wait_key {
    struct map_node node;
    struct list waiters; /* of links, in order of arrival */
    uint32_t db;
    bool serving; /* somebody walks over `waiters` */
    size_t len;
    char name[];
};

struct wait_link {
    struct list node;
    struct waiter *waiter;
    struct wait_key *key;
};

struct waiter {
    struct mail mail;
    struct list node;      /* all of them, in order of arrival */
    struct worker *worker; /* the client's; immutable, with what follows up to `links` */
    uint64_t id;           /* of the connection */
    const struct command *cmd;
    uint32_t db;
    int proto;
    enum store_kind kind;
    bool silent; /* CLIENT REPLY says so */
    bool no_touch;
    struct user *user;  /* a reference; NULL: may everything */
    struct slice *argv; /* with its bytes in the same piece of memory */
    uint32_t argc;
    struct wait_link *links; /* one for each different key */
    uint32_t link_count;
    enum wait_state state;      /* store's owner */
    struct buf reply;           /* from ENDED on */
    uint64_t us;                /* the same: how long serving it took */
    struct resp_client *client; /* client's worker; NULL: gone */
    struct timer timer;         /* client's worker */
    _Atomic bool is_gone;       /* release: leave(); acquire: serve_waiter() */
};

struct blocked {
    _Atomic uint32_t count;     /* written by the store's owner, read relaxed by anyone */
    _Atomic uint32_t key_count; /* of `keys`: the same */
    struct list waiters;
    struct map keys;
};

static inline struct slice wait_key_name(const struct wait_key *k)
{
    return (struct slice){k->name, k->len};
}

/* NULL: nobody waits for it. */
struct wait_key *wait_key_find(const struct blocked *b, uint32_t db, struct slice key);
/* BK4: frees a key that nobody waits for any more. */
void wait_key_drop_if_unused(struct blocked *b, struct wait_key *k);

/* Copies the command, and puts the waiter in line for each of the block's keys. */
void waiter_enter(struct blocked *b, struct waiter *w, const struct block *block);
/* Takes it out of every line: it has ENDED. */
void waiter_leave(struct blocked *b, struct waiter *w);
/* After it has left; whoever it belongs to (BK2). */
void waiter_free(struct waiter *w);
/* With the reply in place: the waiter leaves, and its client gets the reply, at once if it is a
 * client of `at`, this thread's worker, or else by mail. Takes the waiter. */
void waiter_end(struct worker *at, struct waiter *w);

#endif
