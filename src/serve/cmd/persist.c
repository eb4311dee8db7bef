/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What clients may ask of the log: SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF, WAITAOF, the marks of a log that is
 * piped in, and what INFO says of it all.
 *
 * There are no snapshots: the log is the data. SAVE and BGSAVE answer once everything acknowledged so
 * far is on the disk, which is what one asks of them. Without durable spaces there is nothing to save, and
 * that succeeds at once.
 *
 * Threads: the connection's worker.
 */
#include "serve/blocked.h"
#include "serve/durable.h"
#include "serve/synced.h"

#include "base/clock.h"
#include "serve/cmd/server.h"
#include "serve/command_stats.h"

#include <inttypes.h>

static void save(struct resp_client *c)
{
    struct server *s = c->worker->server;
    atomic_store_explicit(&s->writes_saved, command_stats_writes(s), memory_order_relaxed);
    durable_hold_synced(c);
}

/* The log's, or where there is none: how many write commands succeeded, since that is what a client that
 * watches this figure can tell apart. */
static uint64_t changes_since_save(const struct server *s, const struct persist_figures *f)
{
    return s->durable != NULL ? f->unsynced + f->pending > 0
                              : command_stats_writes(s) -
                                    atomic_load_explicit(&s->writes_saved, memory_order_relaxed);
}

void cmd_save(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    save(c);
    reply_ok(c);
}

void cmd_bgsave(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    bool is_scheduled = argc == 2 && slice_is_nocase(argv[1], "schedule");
    if (argc > 1 && !is_scheduled) {
        reply_syntax(c);
        return;
    }
    save(c);
    resp_simple(&c->conn.out,
                is_scheduled ? "Background saving scheduled" : "Background saving started");
}

/* Seconds of the Unix epoch. */
static uint64_t last_save(const struct server *s)
{
    struct persist_figures f = {.synced_wall_ms = 0};
    if (s->durable != NULL) {
        persist_figures(durable_log(s->durable), &f);
    }
    return (f.synced_wall_ms != 0 ? f.synced_wall_ms : s->started_wall_ms) / 1000;
}

void cmd_lastsave(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_integer(c, (int64_t)last_save(c->worker->server));
}

void cmd_bgrewriteaof(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct durable *d = c->worker->server->durable;
    switch (d != NULL ? persist_rewrite(durable_log(d)) : PERSIST_STARTED) {
    case PERSIST_STARTED:
        resp_simple(&c->conn.out, "Background append only file rewriting started");
        break;
    case PERSIST_RUNNING:
        resp_error(&c->conn.out, "ERR Background append only file rewriting already in progress");
        break;
    case PERSIST_NOT_NOW:
        resp_error(&c->conn.out,
                   "ERR the disk has no room for the log: it cannot be rewritten now");
        break;
    }
}

/* WAITAOF numlocal numreplicas timeout */
void cmd_waitaof(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t local;
    int64_t replicas;
    struct synced_wish wish = {0};
    if (!arg_integer_between(c, argv[1], 0, 1, &local) || !arg_count(c, argv[2], &replicas) ||
        !arg_timeout_ms(c, argv[3], &wish.timeout_ms)) {
        return;
    }
    wish.local = local > 0;
    wish.replicas = replicas > 0;
    if (wish.local && c->worker->server->durable == NULL) {
        resp_error(&c->conn.out,
                   "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
        return;
    }
    synced_wait(c, &wish);
}

void cmd_freshet_log(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_ok(c); /* a proof or mark of a log that is piped in: see persist/group.h */
}

/* --- INFO ----------------------------------------------------------------------------------------- */

static void put(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, "%s:%" PRIu64 "\r\n", name, value);
}

static void put_loading(struct buf *out, const struct durable_loading *l)
{
    put(out, "loading", l->is_loading);
    put(out, "async_loading", 0);
    if (!l->is_loading) {
        return;
    }
    uint64_t spent_ms = clock_wall_ms() - l->began_wall_ms;
    double part = l->all_bytes > 0 ? (double)l->done_bytes / (double)l->all_bytes : 0;
    put(out, "loading_start_time", l->began_wall_ms / 1000);
    put(out, "loading_total_bytes", l->all_bytes);
    put(out, "loading_loaded_bytes", l->done_bytes);
    buf_printf(out, "loading_loaded_perc:%.2f\r\n", part * 100);
    put(out, "loading_eta_seconds",
        part > 0 ? (uint64_t)((double)spent_ms / part * (1 - part) / 1000) : 1);
}

void info_durable(const struct server *s, struct buf *out)
{
    struct durable_loading l = {.is_loading = false};
    struct persist_figures f = {.bytes = 0};
    if (s->durable != NULL) {
        durable_loading(s->durable, &l);
        persist_figures(durable_log(s->durable), &f);
    }
    put_loading(out, &l);
    put(out, "rdb_changes_since_last_save", changes_since_save(s, &f));
    buf_append_str(out, "rdb_bgsave_in_progress:0\r\n");
    put(out, "rdb_last_save_time", last_save(s));
    buf_append_str(out, "rdb_last_bgsave_status:ok\r\nrdb_last_bgsave_time_sec:-1\r\n"
                        "rdb_current_bgsave_time_sec:-1\r\nrdb_last_cow_size:0\r\n"
                        "current_cow_peak:0\r\ncurrent_cow_size:0\r\ncurrent_cow_size_age:0\r\n"
                        "current_fork_perc:0.00\r\ncurrent_save_keys_processed:0\r\n"
                        "current_save_keys_total:0\r\n");
    put(out, "aof_enabled", s->durable != NULL);
    put(out, "aof_rewrite_in_progress", f.is_rewriting);
    buf_append_str(out, "aof_rewrite_scheduled:0\r\n");
    buf_printf(out, "aof_last_bgrewrite_status:%s\r\n", f.last_rewrite_failed ? "err" : "ok");
    put(out, "aof_rewrites", f.rewrites);
    buf_append_str(out, "aof_rewrites_consecutive_failures:0\r\naof_last_rewrite_time_sec:-1\r\n"
                        "aof_current_rewrite_time_sec:-1\r\naof_last_cow_size:0\r\n"
                        "module_fork_in_progress:0\r\nmodule_fork_last_cow_size:0\r\n");
    buf_printf(out, "aof_last_write_status:%s\r\n", f.trouble != 0 ? "err" : "ok");
    if (s->durable == NULL) {
        return;
    }
    put(out, "aof_current_size", f.bytes);
    put(out, "aof_base_size", f.base_bytes);
    put(out, "aof_pending_rewrite", 0);
    put(out, "aof_buffer_length", f.pending);
    put(out, "aof_pending_bio_fsync", f.unsynced > 0);
    put(out, "aof_delayed_fsync", 0);
    put(out, "freshet_log_unsynced_bytes", f.unsynced);
    put(out, "freshet_log_groups", f.groups);
    put(out, "freshet_log_syncs", f.syncs);
    put(out, "freshet_log_last_sync_usec", f.sync_us);
    put(out, "freshet_log_load_commands", f.load_commands);
    put(out, "freshet_log_load_usec", f.load_us);
}
