/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * INFO: the sections that clients and dashboards read, by Redis's names; figures of freshet's own
 * are in `stats` and the metrics.
 *
 * maxmemory_policy speaks of the connection's own database: a queue library that wants noeviction
 * asks on the connection it will use.
 */
#include "serve/blocked.h"
#include "serve/cmd/server.h"
#include "serve/command_stats.h"
#include "serve/pubsub.h"
#include "serve/roll_call.h"
#include "serve/scripting.h"
#include "serve/stats.h"
#include "serve/tracking.h"

#include "base/clock.h"
#include "base/hash.h"
#include "store/figures.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SUM(c, name) since_reset((c)->worker->server, offsetof(struct serve_counters, name))

/* --- CONFIG RESETSTAT --------------------------------------------------------------------------- */

static _Atomic uint64_t *base_of(struct server *s, size_t offset)
{
    return (_Atomic uint64_t *)(void *)((char *)&s->info_base + offset);
}

static uint64_t since_reset(struct server *s, size_t offset)
{
    return serve_counter_sum(s, offset) -
           atomic_load_explicit(base_of(s, offset), memory_order_relaxed);
}

/* evicted, expired, outdated: of all spaces, since the start. */
static void sum_spaces(const struct server *s, uint64_t ret_sums[3])
{
    memset(ret_sums, 0, 3 * sizeof(*ret_sums));
    for (uint32_t i = 0; i < s->started_with->space_count; i++) {
        struct store_space_stats st;
        store_space_stats(s->store, i, &st);
        ret_sums[0] += st.evicted;
        ret_sums[1] += st.expired;
        ret_sums[2] += st.outdated;
    }
}

void info_reset(struct server *s)
{
    uint64_t sums[3];
    struct net_figures net;
    for (size_t at = 0; at < sizeof(s->info_base); at += sizeof(uint64_t)) {
        atomic_store_explicit(base_of(s, at), serve_counter_sum(s, at), memory_order_relaxed);
    }
    command_stats_reset(s);
    sum_spaces(s, sums);
    for (size_t i = 0; i < array_len(sums); i++) {
        atomic_store_explicit(&s->info_base_space[i], sums[i], memory_order_relaxed);
    }
    net_figures(s, &net);
    atomic_store_explicit(&s->info_base_net[0], net.bytes_in, memory_order_relaxed);
    atomic_store_explicit(&s->info_base_net[1], net.bytes_out, memory_order_relaxed);
}

static void put(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, "%s:%" PRIu64 "\r\n", name, value);
}

/* --- sections --------------------------------------------------------------------------------- */

/* 40 digits that are this process's own. */
static void put_run_id(const struct server *s, struct buf *out)
{
    uint64_t word = s->started_wall_ms;
    for (int i = 0; i < 5; i++) {
        word = hash_mix(word, (uint64_t)getpid() + (uint64_t)i);
        buf_printf(out, "%08x", (unsigned)(word >> 32));
    }
    buf_append_str(out, "\r\n");
}

static void info_server(const struct resp_client *c, struct buf *out)
{
    const struct server *s = c->worker->server;
    uint64_t up = (client_now(c) - s->started_ms) / 1000;
    buf_printf(out, "redis_version:%s\r\nserver_name:freshet\r\nfreshet_version:%s\r\n",
               REDIS_VERSION, FRESHET_VERSION);
    buf_printf(out,
               "redis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_build_id:%s\r\n"
               "redis_mode:standalone\r\n",
               FRESHET_VERSION);
    struct utsname system;
    (void)uname(&system);
    buf_printf(out, "os:%s %s %s\r\n", system.sysname, system.release, system.machine);
    buf_printf(out,
               "arch_bits:%zu\r\nmonotonic_clock:POSIX clock_gettime\r\n"
               "multiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\ngcc_version:%s\r\n",
               sizeof(void *) * 8, __VERSION__);
    put(out, "process_id", (uint64_t)getpid());
    buf_append_str(out, "process_supervised:no\r\nrun_id:");
    put_run_id(s, out);
    char address[64];
    client_local_address(c, address);
    const char *colon = strrchr(address, ':');
    buf_printf(out, "tcp_port:%s\r\n", colon != NULL ? colon + 1 : "0");
    buf_printf(out, "server_time_usec:%" PRIu64 "\r\n", clock_wall_ms() * 1000);
    put(out, "uptime_in_seconds", up);
    put(out, "uptime_in_days", up / 86400);
    buf_append_str(out, "hz:10\r\nconfigured_hz:10\r\n");
    put(out, "lru_clock", (client_now(c) / 1000) & 0xffffff);
    put(out, "workers", s->worker_count);
    put(out, "io_threads_active", s->worker_count > 1);
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path));
    buf_printf(out, "executable:%.*s\r\n", len > 0 ? (int)len : 0, path);
    buf_printf(out, "config_file:%s\r\n", c->worker->plan->policy->file);
}

static void info_clients(const struct resp_client *c, struct buf *out)
{
    struct server *s = c->worker->server;
    put(out, "connected_clients", atomic_load_explicit(&s->connections, memory_order_relaxed));
    buf_append_str(out, "cluster_connections:0\r\n");
    put(out, "maxclients", c->worker->plan->policy->limits.connections);
    put(out, "blocked_clients",
        blocked_count(s) + atomic_load_explicit(&s->held_clients, memory_order_relaxed) +
            atomic_load_explicit(&s->synced_waits, memory_order_relaxed));
    put(out, "tracking_clients", tracking_clients(s));
    put(out, "pubsub_clients", pubsub_clients(s));
    put(out, "clients_in_timeout_table", 0);
    put(out, "total_blocking_keys", blocked_keys(s));
    put(out, "total_blocking_keys_on_nokey", 0);
}

static void put_bytes(struct buf *out, const char *name, uint64_t bytes)
{
    static const char units[] = "BKMGT";
    double shown = (double)bytes;
    size_t unit = 0;
    while (shown >= 1024 && unit + 2 < sizeof(units)) {
        shown /= 1024;
        unit++;
    }
    put(out, name, bytes);
    buf_printf(out, unit == 0 ? "%s_human:%.0f%c\r\n" : "%s_human:%.2f%c\r\n", name, shown,
               units[unit]);
}

/* "vm" is what Lua holds, "scripts" what is kept to compile them again. Functions there are none. */
static void put_scripts(const struct server *s, struct buf *out)
{
    struct scripting_figures f;
    scripting_figures(s, &f);
    put_bytes(out, "used_memory_lua", f.vm_bytes);
    put(out, "used_memory_vm_eval", f.vm_bytes);
    put(out, "used_memory_scripts_eval", f.source_bytes);
    put(out, "number_of_cached_scripts", f.sources);
    buf_append_str(out, "number_of_functions:0\r\nnumber_of_libraries:0\r\n"
                        "used_memory_vm_functions:0\r\n");
    put_bytes(out, "used_memory_vm_total", f.vm_bytes);
    put(out, "used_memory_functions", 0);
    put_bytes(out, "used_memory_scripts", f.source_bytes);
}

static void info_memory(const struct resp_client *c, struct buf *out)
{
    const struct server *s = c->worker->server;
    uint64_t used = 0;
    uint64_t items = 0;
    for (uint32_t i = 0; i < s->started_with->space_count; i++) {
        struct store_space_stats st;
        store_space_stats(s->store, i, &st);
        used += st.used_bytes;
        items += st.item_bytes;
    }
    uint64_t budgets = memory_limit(s);
    uint64_t resident = memory_resident_bytes();
    struct rusage self;
    (void)getrusage(RUSAGE_SELF, &self);
    put_bytes(out, "used_memory", used);
    put_bytes(out, "used_memory_rss", resident);
    put_bytes(out, "used_memory_peak", (uint64_t)self.ru_maxrss * 1024);
    buf_printf(out, "used_memory_peak_perc:%.2f%%\r\n",
               self.ru_maxrss > 0 ? 100.0 * (double)used / ((double)self.ru_maxrss * 1024) : 0.0);
    put(out, "used_memory_overhead", used > items ? used - items : 0);
    put(out, "used_memory_startup", 0);
    put(out, "used_memory_dataset", items);
    buf_printf(out, "used_memory_dataset_perc:%.2f%%\r\n",
               used > 0 ? 100.0 * (double)items / (double)used : 0.0);
    put_bytes(out, "total_system_memory",
              (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    put_scripts(s, out);
    put_bytes(out, "maxmemory", budgets);
    buf_printf(out, "maxmemory_policy:%s\r\nmem_fragmentation_ratio:%.2f\r\n",
               eviction_name(s, c->space), used > 0 ? (double)resident / (double)used : 1.0);
    buf_printf(out, "mem_fragmentation_bytes:%" PRId64 "\r\n", (int64_t)(resident - used));
    struct net_figures net;
    net_figures(s, &net);
    put(out, "mem_clients_normal", net.buffer_bytes);
    buf_append_str(out, "mem_clients_slaves:0\r\nmem_cluster_links:0\r\nmem_aof_buffer:0\r\n"
                        "mem_not_counted_for_evict:0\r\nmem_replication_backlog:0\r\n"
                        "mem_total_replication_buffers:0\r\nmem_allocator:freshet\r\n"
                        "active_defrag_running:0\r\nlazyfree_pending_objects:0\r\n"
                        "lazyfreed_objects:0\r\n");
}

static void info_persistence(const struct resp_client *c, struct buf *out)
{
    info_durable(c->worker->server, out);
}

static void info_stats(const struct resp_client *c, struct buf *out)
{
    static const char *const names[] = {"evicted_keys", "expired_keys", "outdated_keys"};
    struct server *s = c->worker->server;
    uint64_t sums[3];
    sum_spaces(s, sums);
    put(out, "total_connections_received", SUM(c, connections_accepted));
    put(out, "total_commands_processed", SUM(c, resp_commands));
    put(out, "instantaneous_ops_per_sec", setting_get(&s->rates[RATE_COMMANDS]));
    struct net_figures net;
    net_figures(s, &net);
    put(out, "total_net_input_bytes",
        net.bytes_in - atomic_load_explicit(&s->info_base_net[0], memory_order_relaxed));
    put(out, "total_net_output_bytes",
        net.bytes_out - atomic_load_explicit(&s->info_base_net[1], memory_order_relaxed));
    buf_printf(out, "instantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\n",
               (double)setting_get(&s->rates[RATE_IN]) / 1024,
               (double)setting_get(&s->rates[RATE_OUT]) / 1024);
    put(out, "rejected_connections", SUM(c, connections_refused));
    for (size_t i = 0; i < array_len(names); i++) {
        uint64_t base = atomic_load_explicit(&s->info_base_space[i], memory_order_relaxed);
        put(out, names[i], sums[i] - base);
    }
    put(out, "keyspace_hits", SUM(c, resp_hits));
    put(out, "keyspace_misses", SUM(c, resp_misses));
    put(out, "pubsub_channels", pubsub_topics(s, TOPIC_CHANNEL));
    put(out, "pubsub_patterns", pubsub_topics(s, TOPIC_PATTERN));
    put(out, "pubsubshard_channels", pubsub_topics(s, TOPIC_SHARD));
    put(out, "pubsub_subscribers_cut", SUM(c, subscribers_cut));
    struct tracking_figures t;
    tracking_figures(s, &t);
    put(out, "tracking_total_keys", t.keys);
    put(out, "tracking_total_items", t.items);
    put(out, "tracking_total_prefixes", t.prefixes);
    buf_append_str(out, "sync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\n"
                        "evicted_clients:0\r\nlatest_fork_usec:0\r\ntotal_forks:0\r\n"
                        "migrate_cached_sockets:0\r\nslave_expires_tracked_keys:0\r\n"
                        "active_defrag_hits:0\r\nactive_defrag_misses:0\r\n"
                        "active_defrag_key_hits:0\r\nactive_defrag_key_misses:0\r\n");
    put(out, "unexpected_error_replies", 0);
    put(out, "total_error_replies", SUM(c, resp_errors));
    put(out, "client_query_buffer_limit_disconnections", SUM(c, connections_cut_input));
    put(out, "client_output_buffer_limit_disconnections",
        SUM(c, connections_cut_output) + SUM(c, subscribers_cut));
    put(out, "acl_access_denied_auth", SUM(c, denied_auth));
    put(out, "acl_access_denied_cmd", SUM(c, denied_command));
    put(out, "acl_access_denied_key", SUM(c, denied_key));
    put(out, "acl_access_denied_channel", SUM(c, denied_channel));
}

static void info_replication(const struct resp_client *c, struct buf *out)
{
    buf_append_str(out, "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"
                        "master_replid:0000000000000000000000000000000000000000\r\n"
                        "master_replid2:0000000000000000000000000000000000000000\r\n"
                        "master_repl_offset:0\r\nsecond_repl_offset:-1\r\n"
                        "repl_backlog_active:0\r\nrepl_backlog_size:1048576\r\n"
                        "repl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n");
}

static void put_time(struct buf *out, const char *name, const struct timeval *t)
{
    buf_printf(out, "%s:%ld.%06ld\r\n", name, (long)t->tv_sec, (long)t->tv_usec);
}

static void info_cpu(const struct resp_client *c, struct buf *out)
{
    struct rusage self;
    (void)getrusage(RUSAGE_SELF, &self);
    put_time(out, "used_cpu_sys", &self.ru_stime);
    put_time(out, "used_cpu_user", &self.ru_utime);
    (void)getrusage(RUSAGE_CHILDREN, &self);
    put_time(out, "used_cpu_sys_children", &self.ru_stime);
    put_time(out, "used_cpu_user_children", &self.ru_utime);
}

static void info_modules(const struct resp_client *c, struct buf *out)
{
}

static void put_error(void *arg, const char *word, uint64_t count)
{
    buf_printf(arg, "errorstat_%s:count=%" PRIu64 "\r\n", word, count);
}

static void info_errorstats(const struct resp_client *c, struct buf *out)
{
    command_stats_each_error(c->worker->server, put_error, out);
}

typedef void figures_fn(struct buf *out, const struct command *cmd, const struct command_figures *f,
                        const void *arg);

/* Every command that ran or was refused since the last reset. */
static void each_command(const struct resp_client *c, struct buf *out, figures_fn *fn,
                         const void *arg)
{
    struct command_figures f;
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        if (command_stats_sum(c->worker->server, cmd, &f)) {
            fn(out, cmd, &f, arg);
        }
        for (uint32_t j = 0; j < cmd->sub_count; j++) {
            if (command_stats_sum(c->worker->server, &cmd->subs[j], &f)) {
                fn(out, &cmd->subs[j], &f, arg);
            }
        }
    }
}

static void put_calls(struct buf *out, const struct command *cmd, const struct command_figures *f,
                      const void *arg)
{
    buf_printf(out,
               "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64 ",usec_per_call=%.2f,"
               "rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64 "\r\n",
               cmd->full_name, f->calls, f->us,
               f->calls > 0 ? (double)f->us / (double)f->calls : 0.0, f->rejected, f->failed);
}

static void info_commandstats(const struct resp_client *c, struct buf *out)
{
    each_command(c, out, put_calls, NULL);
}

struct percentiles {
    uint32_t count;
    double at[PERCENTILES_MAX];
};

static void put_latency(struct buf *out, const struct command *cmd, const struct command_figures *f,
                        const void *arg)
{
    const struct percentiles *p = arg;
    if (f->timed == 0 || p->count == 0) {
        return;
    }
    buf_printf(out, "latency_percentiles_usec_%s:", cmd->full_name);
    for (uint32_t i = 0; i < p->count; i++) {
        buf_printf(out, "%sp%.10g=%.3f", i > 0 ? "," : "", p->at[i],
                   command_stats_percentile(f, p->at[i] / 100));
    }
    buf_append_str(out, "\r\n");
}

static void info_latencystats(const struct resp_client *c, struct buf *out)
{
    struct server *s = c->worker->server;
    struct percentiles p;
    lock_acquire(&s->watch_lock);
    p.count = s->settings.percentile_count;
    memcpy(p.at, s->settings.percentiles, sizeof(p.at));
    lock_release(&s->watch_lock);
    each_command(c, out, put_latency, &p);
}

static void info_cluster(const struct resp_client *c, struct buf *out)
{
    buf_append_str(out, "cluster_enabled:0\r\n");
}

/* Items of databases that share a space are of one mean size, as far as anybody counts. */
static uint64_t database_bytes(struct server *s, uint32_t db)
{
    struct store_space_stats st;
    store_space_stats(s->store, (uint32_t)s->started_with->db_space[db], &st);
    uint64_t keys = store_db_size(s->store, db);
    return st.keys > 0 ? (uint64_t)((double)st.item_bytes * (double)keys / (double)st.keys) : 0;
}

static uint64_t sum_db(const struct server *s, uint32_t db, bool hits)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->worker_count; i++) {
        const struct db_counters *d = &s->workers[i].dbs[db];
        sum += atomic_load_explicit(hits ? &d->hits : &d->misses, memory_order_relaxed);
    }
    return sum;
}

/* Databases that were never used are left out. */
static void info_database(const struct resp_client *c, uint32_t db, struct buf *out)
{
    struct server *s = c->worker->server;
    uint64_t keys = store_db_size(s->store, db);
    uint64_t hits = sum_db(s, db, true);
    uint64_t misses = sum_db(s, db, false);
    if (keys + hits + misses > 0) {
        buf_printf(out,
                   "database_%u:space=%s,keys=%" PRIu64 ",expires=%" PRIu64 ",memory=%" PRIu64
                   ",hits=%" PRIu64 ",misses=%" PRIu64 ",hit_rate=%.4f\r\n",
                   db, client_space(c, db)->name, keys, store_db_expiring(s->store, db),
                   database_bytes(s, db), hits, misses,
                   hits + misses > 0 ? (double)hits / (double)(hits + misses) : 0.0);
    }
}

/* Each space by itself: what it may own, owns, holds, and whether it is nearly full. */
static void info_spaces(const struct resp_client *c, struct buf *out)
{
    const struct server *s = c->worker->server;
    for (uint32_t i = 0; i < s->started_with->space_count; i++) {
        const struct policy_space *space = &s->started_with->spaces[i];
        struct store_space_stats st;
        store_space_stats(s->store, i, &st);
        buf_printf(out, "space_%s:budget=%" PRIu64 ",used=%" PRIu64 ",items=%" PRIu64, space->name,
                   st.budget_bytes, st.used_bytes, st.item_bytes);
        buf_printf(out, ",keys=%" PRIu64 ",evicted=%" PRIu64 ",expired=%" PRIu64, st.keys,
                   st.evicted, st.expired);
        buf_printf(out, ",refused=%" PRIu64 ",near_full=%" PRIu64 ",crossings=%" PRIu64 "\r\n",
                   st.refused, st.near_full, st.crossings);
    }
    for (uint32_t db = 0; db < POLICY_DBS; db++) {
        if (client_db_exists(c, db)) {
            info_database(c, db, out);
        }
    }
}

/* avg_ttl would need a look at every key. */
static void info_keyspace(const struct resp_client *c, struct buf *out)
{
    for (uint32_t db = 0; db < POLICY_DBS; db++) {
        uint64_t keys = client_db_exists(c, db) ? store_db_size(client_store(c), db) : 0;
        if (keys > 0) {
            buf_printf(out, "db%u:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=0\r\n", db, keys,
                       store_db_expiring(client_store(c), db));
        }
    }
}

static const struct section {
    const char *name;
    const char *title;
    void (*write)(const struct resp_client *c, struct buf *out);
} sections[] = {
    {"server", "Server", info_server},
    {"clients", "Clients", info_clients},
    {"memory", "Memory", info_memory},
    {"persistence", "Persistence", info_persistence},
    {"stats", "Stats", info_stats},
    {"replication", "Replication", info_replication},
    {"cpu", "CPU", info_cpu},
    {"modules", "Modules", info_modules},
    {"commandstats", "Commandstats", info_commandstats},
    {"errorstats", "Errorstats", info_errorstats},
    {"latencystats", "Latencystats", info_latencystats},
    {"cluster", "Cluster", info_cluster},
    {"spaces", "Spaces", info_spaces},
    {"keyspace", "Keyspace", info_keyspace},
};

/* --- INFO ------------------------------------------------------------------------------------- */

/* What INFO alone tells leaves out what grows with the commands used, as in Redis. */
static bool is_default(const struct section *s)
{
    return s->write != info_commandstats && s->write != info_latencystats;
}

static bool is_wanted(const struct section *s, const struct slice *argv, uint32_t argc)
{
    bool wanted = argc == 1 && is_default(s);
    for (uint32_t i = 1; i < argc && !wanted; i++) {
        wanted = slice_is_nocase(argv[i], s->name) || slice_is_nocase(argv[i], "everything") ||
                 (slice_is_nocase(argv[i], "all") && s->write != info_modules) ||
                 (slice_is_nocase(argv[i], "default") && is_default(s));
    }
    return wanted;
}

void cmd_info(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < array_len(sections); i++) {
        if (is_wanted(&sections[i], argv, argc)) {
            buf_printf(&text, "%s# %s\r\n", buf_len(&text) > 0 ? "\r\n" : "", sections[i].title);
            sections[i].write(c, &text);
        }
    }
    resp_verbatim(&c->conn.out, c->proto, "txt", buf_readable(&text));
    buf_fini(&text);
}
