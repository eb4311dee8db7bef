/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Durable spaces, as clients notice them: replies that wait for the disk, commands refused while the log is
 * read or the disk is full.
 *
 * A batch of commands that touched a durable space, reading or writing, leaves its replies in the
 * connection's output, held. At the end of the turn the worker asks how far the journal is: what the
 * replies show lies before that. With `fsync: everysec` the worker writes the journal itself, once for
 * all its connections, and their replies leave in the same turn. With `always` the log's thread writes
 * and syncs, and says when it has. Connections that touched volatile spaces only are never held, and
 * nothing is while everything is safe.
 *
 * The same holds for messages that tell of a durable space: keyspace events, invalidations, what a client
 * publishes that has just looked there, what is handed to a client that was blocked. MONITOR shows what
 * clients ask for, not what was done, and does not wait.
 *
 * Threads: a worker's, unless it says otherwise.
 */
#ifndef SERVE_DURABLE_H
#define SERVE_DURABLE_H

#include "persist/persist.h"
#include "serve/resp_client.h"

enum { BAR_LOADING = 1, BAR_DISK = 2 }; /* worker's `bars` */

struct durable;

/* --- life: the main thread ------------------------------------------------------------------------ */

/* Takes the log's directory. NULL and a reason; also NULL, without one, when no space is durable. */
struct durable *durable_open(struct server *s, char **ret_why);
/* Reads the log while workers answer LOADING, then begins to write. False and a reason, or none when told
 * to stop meanwhile. */
bool durable_load(struct durable *d, char **ret_why);
/* When the workers have been joined: writes and syncs what is left. */
void durable_stop(struct durable *d);
void durable_destroy(struct durable **d);
void durable_worker_init(struct worker *w);

/* --- running commands ----------------------------------------------------------------------------- */

/* Before a batch of `bytes` from a client: may it write? Decides for all of it. */
void durable_begin_now(struct worker *w, size_t bytes);
static inline void durable_begin(struct worker *w, size_t bytes)
{
    if (__builtin_expect(w->server->durable != NULL, 0) && w->own_depth == 0) {
        durable_begin_now(w, bytes);
    }
}
/* False after replying why the command may not run now. */
bool durable_admits_now(struct resp_client *c, const struct command *cmd);
static inline bool durable_admits(struct resp_client *c, const struct command *cmd)
{
    return __builtin_expect(c->worker->durable.bars == 0, 1) || durable_admits_now(c, cmd);
}
/* Before a command looks into or writes to this database, which need not be its connection's: its reply shows it.
 * False after replying why nothing may be written there now. */
bool durable_reaches(struct resp_client *c, uint32_t db);
/* Is the database in a durable space? Any thread. */
bool durable_has_db(const struct server *s, uint32_t db);
/* What is in the output shows, or may show, a durable space as it is now: it leaves when that is safe. */
void durable_hold(struct resp_client *c);
/* The same for a message: what it tells of may be another worker's doing. */
void durable_hold_told(struct resp_client *c);
/* The same, and not before it is on the disk, whatever the policy says (SAVE, WAITAOF). */
void durable_hold_synced(struct resp_client *c);
/* After a batch: holds its replies if it touched a durable space. */
static inline void durable_end(struct resp_client *c)
{
    struct worker *w = c->worker;
    if (__builtin_expect(w->own_depth > 0, 0)) {
        return; /* answered while a script lets the loop turn: nothing of it shows the space */
    }
    bool wrote = store_gate_journalled(w->gate);
    if (__builtin_expect(w->durable.shown || wrote, 0)) {
        w->durable.shown = false;
        durable_hold(c);
    }
}
/* The connection goes away. */
void durable_forget(struct resp_client *c);

/* --- for INFO and the like: any thread ------------------------------------------------------------ */

struct durable_loading {
    bool is_loading;
    uint64_t began_wall_ms, done_bytes, all_bytes, took_ms;
};
void durable_loading(const struct durable *d, struct durable_loading *ret_loading);
struct persist *durable_log(const struct durable *d);

#endif
