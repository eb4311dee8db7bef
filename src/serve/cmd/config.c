/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CONFIG: the settings that Redis clients ask for and set.
 *
 * Four kinds, one table (settings):
 *   number   lives in struct server_settings; CONFIG SET has its effect at once, in every worker
 *   own      printed, and some of them set, by functions: the log level, keyspace events, ...
 *   policy   stands in the policy file: SET accepts only what is so already, so that a client which sets a
 *            value to be sure of it is content, and one that would change something is told
 *   kept     accepted, told again by GET, and without effect here: what they tune in Redis does not exist
 *            in freshet (docs/reference/settings.md lists them). Test suites and frameworks set them.
 *
 * A SET of several pairs is checked as a whole before anything changes. What is set is gone after a
 * restart: CONFIG REWRITE refuses.
 *
 * Threads: any worker's.
 */
#include "base/alloc.h"
#include "base/number.h"
#include "serve/cmd/server.h"
#include "serve/glob.h"
#include "serve/resp_client.h"
#include "serve/setting_own.h"
#include "serve/slowlog.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* --- the table ---------------------------------------------------------------------------------- */

static const struct setting {
    const char *name;
    const char *preset; /* of a number or a kept one; alone: a fact that nobody can change */
    /* number */
    size_t place; /* in struct server_settings, plus one; 0: not a number */
    int64_t lowest, highest;
    /* own */
    setting_print_fn *print;
    setting_set_fn *set;
    /* kept */
    bool is_kept;
} settings[] = {
#define IN_SETTINGS(field) (offsetof(struct server_settings, field) + 1)
#define NUMBER(name, preset, field, lo, hi)                                                        \
    {                                                                                              \
        name, preset, IN_SETTINGS(field), lo, hi, NULL, NULL, false                                \
    }
#define OWN(name, print, set)                                                                      \
    {                                                                                              \
        name, NULL, 0, 0, 0, print, set, false                                                     \
    }
#define FACT(name, text)                                                                           \
    {                                                                                              \
        name, text, 0, 0, 0, NULL, NULL, false                                                     \
    }
#define KEPT(name, preset)                                                                         \
    {                                                                                              \
        name, preset, 0, 0, 0, NULL, NULL, true                                                    \
    }
    /* clang-format off */
    NUMBER("acllog-max-len", "128", acllog_max, 0, INT64_MAX),
    NUMBER("busy-reply-threshold", "5000", busy_reply_ms, 0, INT64_MAX),
    NUMBER("hash-max-listpack-entries", "512", coll.hash_entries, 0, INT64_MAX),
    NUMBER("hash-max-listpack-value", "64", coll.hash_value, 0, INT64_MAX),
    NUMBER("hash-max-ziplist-entries", "512", coll.hash_entries, 0, INT64_MAX),
    NUMBER("hash-max-ziplist-value", "64", coll.hash_value, 0, INT64_MAX),
    NUMBER("latency-monitor-threshold", "0", latency_ms, 0, INT64_MAX),
    NUMBER("list-max-listpack-size", "-2", coll.list_size, INT32_MIN, INT32_MAX),
    NUMBER("list-max-ziplist-size", "-2", coll.list_size, INT32_MIN, INT32_MAX),
    NUMBER("lua-time-limit", "5000", busy_reply_ms, 0, INT64_MAX),
    NUMBER("set-max-intset-entries", "512", coll.integers, 0, INT64_MAX),
    NUMBER("set-max-listpack-entries", "128", coll.set_entries, 0, INT64_MAX),
    NUMBER("set-max-listpack-value", "64", coll.set_value, 0, INT64_MAX),
    NUMBER("slowlog-log-slower-than", "10000", slowlog_us, -1, INT64_MAX),
    NUMBER("slowlog-max-len", "128", slowlog_max, 0, INT64_MAX),
    NUMBER("stream-node-max-entries", "100", stream_node_max_entries, 0, INT64_MAX),
    NUMBER("tracking-table-max-keys", "1000000", tracking_keys_max, 0, INT64_MAX),
    NUMBER("zset-max-listpack-entries", "128", coll.zset_entries, 0, INT64_MAX),
    NUMBER("zset-max-listpack-value", "64", coll.zset_value, 0, INT64_MAX),
    NUMBER("zset-max-ziplist-entries", "128", coll.zset_entries, 0, INT64_MAX),
    NUMBER("zset-max-ziplist-value", "64", coll.zset_value, 0, INT64_MAX),
    OWN("bind", setting_print_bind, NULL),
    OWN("client-output-buffer-limit", setting_print_output_limits, setting_set_output_limits),
    OWN("loglevel", setting_print_log_level, setting_set_log_level),
    OWN("maxclients", setting_print_connections, NULL),
    OWN("maxmemory", setting_print_memory, NULL),
    OWN("maxmemory-policy", setting_print_policy, NULL),
    OWN("notify-keyspace-events", setting_print_events, setting_set_events),
    OWN("port", setting_print_port, NULL),
    OWN("proto-max-bulk-len", setting_print_bulk_max, NULL),
    OWN("requirepass", setting_print_password, setting_set_password),
    OWN("tcp-keepalive", setting_print_keepalive, NULL),
    OWN("timeout", setting_print_idle, setting_set_idle),
    FACT("aclfile", ""),
    FACT("appendfilename", "appendonly.aof"),
    OWN("appendfsync", setting_print_fsync, NULL),
    OWN("appendonly", setting_print_durable, NULL),
    FACT("cluster-enabled", "no"),
    FACT("daemonize", "no"),
    FACT("databases", "16"),
    FACT("dbfilename", "dump.rdb"),
    OWN("dir", setting_print_dir, NULL),
    FACT("enable-debug-command", "no"),
    FACT("enable-module-command", "no"),
    FACT("enable-protected-configs", "no"),
    FACT("io-threads", "1"),
    FACT("logfile", ""),
    FACT("pidfile", ""),
    FACT("replicaof", ""),
    FACT("save", ""),
    FACT("slaveof", ""),
    FACT("supervised", "no"),
    FACT("tcp-backlog", "511"),
    FACT("tls-port", "0"),
    FACT("unixsocket", ""),
    KEPT("active-defrag-threshold-lower", "10"),
    KEPT("active-expire-effort", "1"),
    KEPT("activedefrag", "no"),
    KEPT("activerehashing", "yes"),
    KEPT("aof-rewrite-incremental-fsync", "yes"),
    KEPT("aof-use-rdb-preamble", "yes"),
    KEPT("auto-aof-rewrite-min-size", "67108864"),
    KEPT("auto-aof-rewrite-percentage", "100"),
    KEPT("client-query-buffer-limit", "1073741824"),
    KEPT("close-on-replica-write", "yes"),
    KEPT("crash-log-enabled", "yes"),
    KEPT("disable-thp", "yes"),
    KEPT("dynamic-hz", "yes"),
    KEPT("hll-sparse-max-bytes", "3000"),
    KEPT("hz", "10"),
    KEPT("key-load-delay", "0"),
    KEPT("latency-tracking", "yes"),
    KEPT("latency-tracking-info-percentiles", "50 99 99.9"),
    KEPT("lazyfree-lazy-eviction", "no"),
    KEPT("lazyfree-lazy-expire", "no"),
    KEPT("lazyfree-lazy-server-del", "no"),
    KEPT("lazyfree-lazy-user-del", "no"),
    KEPT("lazyfree-lazy-user-flush", "no"),
    KEPT("lfu-decay-time", "1"),
    KEPT("lfu-log-factor", "10"),
    KEPT("list-compress-depth", "0"),
    KEPT("maxmemory-clients", "0"),
    KEPT("maxmemory-eviction-tenacity", "10"),
    KEPT("maxmemory-samples", "5"),
    KEPT("min-replicas-max-lag", "10"),
    KEPT("min-replicas-to-write", "0"),
    KEPT("min-slaves-max-lag", "10"),
    KEPT("min-slaves-to-write", "0"),
    KEPT("no-appendfsync-on-rewrite", "no"),
    KEPT("oom-score-adj", "no"),
    KEPT("protected-mode", "yes"),
    KEPT("rdb-key-save-delay", "0"),
    KEPT("rdb-save-incremental-fsync", "yes"),
    KEPT("rdbchecksum", "yes"),
    KEPT("rdbcompression", "yes"),
    KEPT("repl-backlog-size", "1048576"),
    KEPT("repl-backlog-ttl", "3600"),
    KEPT("repl-diskless-sync", "yes"),
    KEPT("repl-diskless-sync-delay", "5"),
    KEPT("repl-ping-replica-period", "10"),
    KEPT("repl-timeout", "60"),
    KEPT("replica-announced", "yes"),
    KEPT("replica-ignore-maxmemory", "yes"),
    KEPT("replica-lazy-flush", "no"),
    KEPT("replica-priority", "100"),
    KEPT("replica-read-only", "yes"),
    KEPT("replica-serve-stale-data", "yes"),
    KEPT("sanitize-dump-payload", "no"),
    KEPT("set-proc-title", "yes"),
    KEPT("shutdown-timeout", "10"),
    KEPT("slave-priority", "100"),
    KEPT("slave-read-only", "yes"),
    KEPT("slave-serve-stale-data", "yes"),
    KEPT("stop-writes-on-bgsave-error", "yes"),
    KEPT("stream-node-max-bytes", "4096"),
    /* clang-format on */
};

static uint32_t index_of(const struct setting *s)
{
    return (uint32_t)(s - settings);
}

static _Atomic int64_t *number_of(struct server *server, const struct setting *s)
{
    return (_Atomic int64_t *)(void *)((char *)&server->settings + s->place - 1);
}

void settings_init(struct server *server)
{
    _Static_assert(array_len(settings) <= SETTINGS_ALL_MAX, "room for what is kept");
    for (size_t i = 0; i < array_len(settings); i++) {
        int64_t value;
        if (settings[i].place > 0) {
            check(number_parse_i64(slice_of(settings[i].preset), &value));
            atomic_store_explicit(number_of(server, &settings[i]), value, memory_order_relaxed);
        }
    }
    uint64_t max = server->started_with->limits.subscriber_max;
    struct server_settings *s = &server->settings;
    atomic_store_explicit(&s->subscriber_max, max, memory_order_relaxed);
    atomic_store_explicit(&s->subscriber_soft, max / 4, memory_order_relaxed);
    atomic_store_explicit(&s->subscriber_soft_ms, 60000, memory_order_relaxed);
}

void settings_fini(struct server *server)
{
    for (size_t i = 0; i < array_len(settings); i++) {
        free(server->settings.kept[i]);
    }
}

/* --- GET ---------------------------------------------------------------------------------------- */

static void setting_text(const struct resp_client *c, const struct setting *s,
                         char ret_text[SETTING_TEXT_MAX])
{
    struct server *server = c->worker->server;
    if (s->print != NULL) {
        s->print(c, ret_text);
    } else if (s->place > 0) {
        (void)snprintf(ret_text, SETTING_TEXT_MAX, "%lld",
                       (long long)atomic_load_explicit(number_of(server, s), memory_order_relaxed));
    } else {
        lock_acquire(&server->watch_lock);
        const char *kept = server->settings.kept[index_of(s)];
        (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", kept != NULL ? kept : s->preset);
        lock_release(&server->watch_lock);
    }
}

static bool any_pattern_matches(const struct slice *patterns, uint32_t count, const char *name)
{
    /* Only by its name: who sets again all that GET * told must not take the password away. */
    bool is_hidden = strcmp(name, "requirepass") == 0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_hidden ? slice_is_nocase(patterns[i], name)
                      : glob_match(patterns[i], slice_of(name), true)) {
            return true;
        }
    }
    return false;
}

/* A name without wildcards comes back as it was asked for, as in Redis. */
static void reply_name(struct resp_client *c, const struct slice *patterns, uint32_t count,
                       const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_is_nocase(patterns[i], name)) {
            resp_bulk(&c->conn.out, patterns[i]);
            return;
        }
    }
    resp_bulk_str(&c->conn.out, name);
}

void cmd_config_get(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    uint32_t found = 0;
    for (size_t i = 0; i < array_len(settings); i++) {
        found += any_pattern_matches(argv + 2, argc - 2, settings[i].name) ? 1 : 0;
    }
    resp_map(&c->conn.out, c->proto, found);
    for (size_t i = 0; i < array_len(settings); i++) {
        if (any_pattern_matches(argv + 2, argc - 2, settings[i].name)) {
            char text[SETTING_TEXT_MAX];
            setting_text(c, &settings[i], text);
            reply_name(c, argv + 2, argc - 2, settings[i].name);
            resp_bulk_str(&c->conn.out, text);
        }
    }
}

/* --- SET ---------------------------------------------------------------------------------------- */

static const struct setting *find_setting(struct slice name)
{
    for (size_t i = 0; i < array_len(settings); i++) {
        if (slice_is_nocase(name, settings[i].name)) {
            return &settings[i];
        }
    }
    return NULL;
}

static bool set_number(struct server *server, const struct setting *s, struct slice value,
                       bool apply, char ret_why[SETTING_TEXT_MAX])
{
    int64_t number;
    if (!number_parse_i64(value, &number)) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX, "argument couldn't be parsed into an integer");
        return false;
    }
    if (number < s->lowest || number > s->highest) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX,
                       "argument must be between %lld and %lld inclusive", (long long)s->lowest,
                       (long long)s->highest);
        return false;
    }
    if (apply) {
        atomic_store_explicit(number_of(server, s), number, memory_order_relaxed);
    }
    return true;
}

/* Without effect, but told again; of the same kind as the preset: yes or no, a number, or any text. */
static bool keep_value(struct server *server, const struct setting *s, struct slice value,
                       bool apply, char ret_why[SETTING_TEXT_MAX])
{
    int64_t number;
    uint64_t bytes;
    bool is_switch = strcmp(s->preset, "yes") == 0 || strcmp(s->preset, "no") == 0;
    if (is_switch && !slice_is_nocase(value, "yes") && !slice_is_nocase(value, "no")) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX, "argument must be 'yes' or 'no'");
        return false;
    }
    bool is_number = number_parse_i64(slice_of(s->preset), &number);
    if (is_number && !number_parse_i64(value, &number) && !setting_parse_bytes(value, &bytes)) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX, "argument couldn't be parsed into an integer");
        return false;
    }
    if (apply && value.len < SETTING_TEXT_MAX) {
        lock_acquire(&server->watch_lock);
        char **kept = &server->settings.kept[index_of(s)];
        free(*kept);
        *kept = is_number && setting_parse_bytes(value, &bytes)
                    ? xasprintf("%llu", (unsigned long long)bytes)
                    : xstrndup(value.ptr, value.len);
        lock_release(&server->watch_lock);
    }
    return true;
}

static bool keeps_as_it_is(struct resp_client *c, const struct setting *s, struct slice value,
                           char ret_why[SETTING_TEXT_MAX])
{
    char text[SETTING_TEXT_MAX];
    uint64_t bytes;
    uint64_t now;
    setting_text(c, s, text);
    bool same =
        slice_is_nocase(value, text) || (setting_parse_bytes(value, &bytes) &&
                                         setting_parse_bytes(slice_of(text), &now) && bytes == now);
    if (!same) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX,
                       "can't set immutable config: it is set in the policy file");
    }
    return same;
}

static bool try_setting(struct resp_client *c, const struct setting *s, struct slice value,
                        bool apply, char ret_why[SETTING_TEXT_MAX])
{
    struct server *server = c->worker->server;
    if (s->set != NULL) {
        return s->set(c, value, apply, ret_why);
    }
    if (s->place > 0) {
        return set_number(server, s, value, apply, ret_why);
    }
    return s->is_kept ? keep_value(server, s, value, apply, ret_why)
                      : keeps_as_it_is(c, s, value, ret_why);
}

/* False after replying. */
static bool check_pair(struct resp_client *c, const struct slice *argv, uint32_t at)
{
    const struct setting *s = find_setting(argv[at]);
    char why[SETTING_TEXT_MAX] = "";
    if (s == NULL) {
        resp_error(&c->conn.out,
                   "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                   (int)argv[at].len, argv[at].ptr);
        return false;
    }
    bool ok = true;
    for (uint32_t i = 2; i < at && ok; i += 2) {
        ok = find_setting(argv[i]) != s;
        (void)snprintf(why, sizeof(why), "duplicate parameter");
    }
    if (!ok || !try_setting(c, s, argv[at + 1], false, why)) {
        resp_error(&c->conn.out, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                   (int)argv[at].len, argv[at].ptr, why);
        return false;
    }
    return true;
}

void cmd_config_set(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (argc % 2 != 0) {
        reply_syntax(c);
        return;
    }
    for (uint32_t i = 2; i < argc; i += 2) {
        if (!check_pair(c, argv, i)) {
            return;
        }
    }
    for (uint32_t i = 2; i < argc; i += 2) {
        char why[SETTING_TEXT_MAX];
        check(try_setting(c, find_setting(argv[i]), argv[i + 1], true, why));
    }
    slowlog_trim(c->worker->server);
    reply_ok(c);
}

void cmd_config_resetstat(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    info_reset(c->worker->server);
    reply_ok(c);
}

void cmd_config_rewrite(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_error(&c->conn.out, "ERR The server is running without a config file");
}

void cmd_config_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
    };
    reply_help(c, "CONFIG", lines, array_len(lines));
}
