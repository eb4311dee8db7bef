/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that wait for keys: BLPOP and its relatives, XREAD BLOCK.
 *
 * A command that may wait is an *attempt* with a description of what to wait for:
 *
 *      struct block b = {.attempt = pop_first, .args = &parsed, .kind = STORE_LIST, .keys = argv + 1, ...};
 *      block_run(c, &b);
 *
 * The attempt replies and says true, or finds nothing and says false. Then the client is parked,
 * and when one of the keys holds a value of that kind the whole command is run again on its behalf.
 */
#ifndef SERVE_BLOCKED_H
#define SERVE_BLOCKED_H

#include "serve/resp_client.h"
#include "store/watch.h"

/* True: replied, errors included. */
typedef bool block_attempt_fn(struct resp_client *c, const void *args);

struct block {
    block_attempt_fn *attempt;
    const void *args;
    enum store_kind kind;
    const struct slice *keys;
    uint32_t key_count;
    uint64_t timeout_ms; /* 0: none */
    /* The command as it is to be run again, without waiting for anything that came before. */
    const struct slice *argv;
    uint32_t argc;
    /* The reply that says "nothing, and I may not wait" is not an array's null. */
    bool null_is_value;
};

/* Replies, or parks the client; inside EXEC and for a client without a connection it replies null
 * instead. The attempt is made with the store owned. Client's worker. */
void block_run(struct resp_client *c, const struct block *b);

/* Seconds with a fraction, milliseconds; 0 means for ever. False after replying. */
bool arg_timeout_s(struct resp_client *c, struct slice arg, uint64_t *ret_ms);
bool arg_timeout_ms(struct resp_client *c, struct slice arg, uint64_t *ret_ms);

/* The connection goes away. Client's worker. */
void blocked_forget(struct resp_client *c);
/* Ends the wait of the client with this connection number, as its timeout would or with an error.
 * False: it does not wait for keys. Any worker. */
bool blocked_end(struct worker *w, uint64_t id, bool with_error);
/* A client that waits for what may never come gives up when the server stops. False: it is not
 * waiting, or has been served this moment. Client's worker. */
bool blocked_give_up(struct resp_client *c);

/* --- for touched.c and resp_face.c ---------------------------------------------------------------- */

/* How many clients wait. Any thread; those who own the store see it exactly. */
uint32_t blocked_count(const struct server *s);
/* For how many keys somebody waits. Any thread, a figure. */
uint32_t blocked_keys(const struct server *s);
/* Could running this command serve somebody? Then the store is owned around it. */
bool blocked_may_feed_now(const struct worker *w, const struct command *cmd,
                          const struct slice *argv, uint32_t argc);
static inline bool blocked_may_feed(const struct worker *w, const struct command *cmd,
                                    const struct slice *argv, uint32_t argc)
{
    return (cmd->flags & COMMAND_WRITE) != 0 && __builtin_expect(blocked_count(w->server) > 0, 0) &&
           blocked_may_feed_now(w, cmd, argv, argc);
}
/* Appends to `ret_fed` what a note means to those who wait, if anything. Calls nobody. */
void blocked_note(const struct worker *w, enum store_touch what, uint32_t db, struct slice key,
                  struct buf *ret_fed);
/* Serves whom it can of those who wait for `fed`'s keys, in order of arrival, and empties `fed`.
 * False: nothing happened, somebody else owns the store; gate_wake() will be called. */
bool blocked_serve(struct worker *w, struct buf *fed);

struct blocked *blocked_create(void);
/* When no client and no other thread is left. */
void blocked_destroy(struct blocked **b);

#endif
