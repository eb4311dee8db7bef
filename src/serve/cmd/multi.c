/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 *
 * Commands between MULTI and EXEC are checked and then kept as the bytes they came in; EXEC parses
 * those again. So a queued command costs its own size and nothing else, and runs the same path as
 * any other.
 *
 * EXEC owns the whole store from the look at the watches to the last command: nothing comes
 * between. An error of one command does not stop the rest, as in Redis; a command that could not be
 * queued makes EXEC refuse everything.
 *
 * Invariant: M1. in_exec implies that this worker owns the store; commands then do not park.
 */
#include "serve/gate.h"
#include "serve/resp_watch.h"

#include "base/alloc.h"
#include "store/watch.h"

#include <stdlib.h>

struct resp_watch {
    struct store_watch watch;
    struct resp_watch *next;
};

/* --- watches ---------------------------------------------------------------------------------- */

static bool is_watched(const struct resp_client *c, struct slice key)
{
    for (const struct resp_watch *w = c->watches; w != NULL; w = w->next) {
        if (w->watch.db == c->db && slice_eq((struct slice){w->watch.key, w->watch.key_len}, key)) {
            return true;
        }
    }
    return false;
}

/* Of the selected database; once is enough. */
static void watch_key(struct resp_client *c, struct slice key)
{
    if (is_watched(c, key)) {
        return;
    }
    struct resp_watch *w = xcalloc(1, sizeof(*w));
    w->watch.db = c->db;
    w->watch.key = xstrndup(key.ptr, key.len);
    w->watch.key_len = key.len;
    w->next = c->watches;
    c->watches = w;
    struct store_hold hold;
    client_hold(c, (struct slice){w->watch.key, key.len}, &hold);
    store_watch_add(&hold, &w->watch);
    store_drop(&hold);
}

/* True when a watched key was written, removed, expired or became outdated since. */
static bool is_any_dirty(struct resp_client *c)
{
    for (struct resp_watch *w = c->watches; w != NULL; w = w->next) {
        if (store_watch_dirty(client_store(c), c->worker->gate, &w->watch, client_now(c))) {
            return true;
        }
    }
    return false;
}

uint32_t resp_watch_count(const struct resp_client *c)
{
    uint32_t count = 0;
    for (const struct resp_watch *w = c->watches; w != NULL; w = w->next) {
        count++;
    }
    return count;
}

static void remove_watches(struct worker *w, struct resp_watch *watches)
{
    while (watches != NULL) {
        struct resp_watch *next = watches->next;
        store_watch_remove(w->server->store, w->gate, &watches->watch);
        free(watches->watch.key);
        free(watches);
        watches = next;
    }
}

void resp_watches_retry(struct worker *w)
{
    bool took;
    if (w->gate_wait.watches != NULL && gate_try(w, &took)) {
        remove_watches(w, w->gate_wait.watches);
        w->gate_wait.watches = NULL;
        if (took) {
            gate_leave(w);
        }
    }
}

/* While a script owns the store, watches stay behind. */
void resp_watch_clear(struct resp_client *c)
{
    struct resp_watch **kept = &c->worker->gate_wait.watches;
    while (c->watches != NULL) {
        struct resp_watch *watch = c->watches;
        c->watches = watch->next;
        watch->next = *kept;
        *kept = watch;
    }
    resp_watches_retry(c->worker);
}

/* --- commands --------------------------------------------------------------------------------- */

void cmd_multi(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (c->in_multi) {
        resp_error(&c->conn.out, "ERR MULTI calls can not be nested");
        return;
    }
    c->in_multi = true;
    reply_ok(c);
}

void cmd_discard(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (!c->in_multi) {
        resp_error(&c->conn.out, "ERR DISCARD without MULTI");
        return;
    }
    client_discard(c);
    reply_ok(c);
}

void cmd_watch(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (c->in_multi) {
        resp_error(&c->conn.out, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (uint32_t i = 1; i < argc; i++) {
        watch_key(c, argv[i]);
    }
    reply_ok(c);
}

void cmd_unwatch(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_watch_clear(c);
    reply_ok(c);
}

/* The queued bytes were admitted once and parse as they did then. */
static void run_queued(struct resp_client *c, struct slice rest)
{
    while (rest.len > 0) {
        size_t used = 0;
        check(resp_parse(&c->parser, rest, &used) == RESP_COMMAND);
        const struct command *cmd = resp_admit(c, c->parser.argv, c->parser.argc);
        if (cmd != NULL) {
            resp_run(c, cmd, c->parser.argv, c->parser.argc);
        }
        rest = slice_from(rest, used);
    }
}

void cmd_exec(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (!c->in_multi) {
        resp_error(&c->conn.out, "ERR EXEC without MULTI");
        return;
    }
    if (c->multi_failed) {
        client_discard(c);
        resp_error(&c->conn.out, "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    client_own(c);
    if (is_any_dirty(c)) {
        client_disown(c);
        client_discard(c);
        c->worker->durable.shown = true; /* of whatever database the key is */
        resp_null_array(&c->conn.out, c->proto);
        return;
    }
    struct buf queue = c->queue;
    buf_init(&c->queue);
    resp_array(&c->conn.out, c->queued);
    client_discard(c);
    c->in_exec = true;
    run_queued(c, buf_readable(&queue));
    c->in_exec = false;
    client_disown(c);
    buf_fini(&queue);
}
