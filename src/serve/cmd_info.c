/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * INFO: the sections that clients and dashboards read, by Redis's names; figures of freshet's own
 * are in `stats` and the metrics.
 *
 * maxmemory_policy speaks of the connection's own database: a queue library that wants noeviction
 * asks on the connection it will use.
 */
#include "serve/blocked.h"
#include "serve/cmd_server.h"
#include "serve/command_stats.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
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
    for (size_t at = 0; at < sizeof(s->info_base); at += sizeof(uint64_t)) {
        atomic_store_explicit(base_of(s, at), serve_counter_sum(s, at), memory_order_relaxed);
    }
    command_stats_reset(s);
    sum_spaces(s, sums);
    for (size_t i = 0; i < array_len(sums); i++) {
        atomic_store_explicit(&s->info_base_space[i], sums[i], memory_order_relaxed);
    }
}

static void put(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, "%s:%" PRIu64 "\r\n", name, value);
}

/* --- sections --------------------------------------------------------------------------------- */

static void info_server(const struct resp_client *c, struct buf *out)
{
    const struct server *s = c->worker->server;
    uint64_t up = (client_now(c) - s->started_ms) / 1000;
    buf_printf(out, "redis_version:%s\r\nserver_name:freshet\r\nfreshet_version:%s\r\n",
               REDIS_VERSION, FRESHET_VERSION);
    buf_printf(out, "redis_git_sha1:00000000\r\nredis_mode:standalone\r\nos:Linux\r\n");
    buf_printf(out, "arch_bits:%zu\r\nmultiplexing_api:epoll\r\n", sizeof(void *) * 8);
    put(out, "process_id", (uint64_t)getpid());
    buf_printf(out, "server_time_usec:%" PRIu64 "\r\n", clock_wall_ms() * 1000);
    put(out, "uptime_in_seconds", up);
    put(out, "uptime_in_days", up / 86400);
    put(out, "io_threads_active", s->worker_count > 1);
    buf_printf(out, "config_file:%s\r\n", c->worker->plan->policy->file);
}

static void info_clients(const struct resp_client *c, struct buf *out)
{
    const struct server *s = c->worker->server;
    put(out, "connected_clients", atomic_load_explicit(&s->connections, memory_order_relaxed));
    put(out, "maxclients", c->worker->plan->policy->limits.connections);
    put(out, "blocked_clients",
        blocked_count(s) + atomic_load_explicit(&s->held_clients, memory_order_relaxed));
    buf_append_str(out, "tracking_clients:0\r\n");
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
    struct rusage self;
    (void)getrusage(RUSAGE_SELF, &self);
    put(out, "used_memory", used);
    buf_printf(out, "used_memory_human:%.2fM\r\n", (double)used / (1024 * 1024));
    put(out, "used_memory_peak", (uint64_t)self.ru_maxrss * 1024);
    put(out, "used_memory_dataset", items);
    put(out, "maxmemory", s->started_with->memory);
    buf_printf(out, "maxmemory_human:%.2fM\r\n", (double)s->started_with->memory / (1024 * 1024));
    buf_printf(out, "maxmemory_policy:%s\r\nmem_fragmentation_ratio:1.00\r\n",
               eviction_name(c->space));
}

static void info_persistence(const struct resp_client *c, struct buf *out)
{
    info_durable(c->worker->server, out);
}

static void info_stats(const struct resp_client *c, struct buf *out)
{
    static const char *const names[] = {"evicted_keys", "expired_keys", "outdated_keys"};
    const struct server *s = c->worker->server;
    uint64_t sums[3];
    sum_spaces(s, sums);
    put(out, "total_connections_received", SUM(c, connections_accepted));
    put(out, "total_commands_processed", SUM(c, resp_commands));
    put(out, "rejected_connections", SUM(c, connections_refused));
    for (size_t i = 0; i < array_len(names); i++) {
        uint64_t base = atomic_load_explicit(&s->info_base_space[i], memory_order_relaxed);
        put(out, names[i], sums[i] - base);
    }
    put(out, "keyspace_hits", SUM(c, resp_hits));
    put(out, "keyspace_misses", SUM(c, resp_misses));
    buf_append_str(out, "pubsub_channels:0\r\npubsub_patterns:0\r\nlatest_fork_usec:0\r\n");
    put(out, "total_error_replies", SUM(c, resp_errors));
}

static void info_replication(const struct resp_client *c, struct buf *out)
{
    buf_append_str(out, "role:master\r\nconnected_slaves:0\r\nmaster_repl_offset:0\r\n");
}

static void info_cpu(const struct resp_client *c, struct buf *out)
{
    struct rusage self;
    (void)getrusage(RUSAGE_SELF, &self);
    buf_printf(out, "used_cpu_sys:%ld.%06ld\r\nused_cpu_user:%ld.%06ld\r\n",
               (long)self.ru_stime.tv_sec, (long)self.ru_stime.tv_usec, (long)self.ru_utime.tv_sec,
               (long)self.ru_utime.tv_usec);
}

static void info_modules(const struct resp_client *c, struct buf *out)
{
}

static void info_errorstats(const struct resp_client *c, struct buf *out)
{
    uint64_t errors = SUM(c, resp_errors);
    if (errors > 0) {
        buf_printf(out, "errorstat_ERR:count=%" PRIu64 "\r\n", errors);
    }
}

static void info_cluster(const struct resp_client *c, struct buf *out)
{
    buf_append_str(out, "cluster_enabled:0\r\n");
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
}

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
    {"errorstats", "Errorstats", info_errorstats},
    {"cluster", "Cluster", info_cluster},
    {"spaces", "Spaces", info_spaces},
    {"keyspace", "Keyspace", info_keyspace},
};

/* --- INFO ------------------------------------------------------------------------------------- */

static bool is_wanted(const struct section *s, const struct slice *argv, uint32_t argc)
{
    bool wanted = argc == 1;
    for (uint32_t i = 1; i < argc && !wanted; i++) {
        wanted = slice_is_nocase(argv[i], s->name) || slice_is_nocase(argv[i], "all") ||
                 slice_is_nocase(argv[i], "default") || slice_is_nocase(argv[i], "everything");
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
