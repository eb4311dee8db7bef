/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CONFIG: the settings that Redis clients ask for, answered from the policy.
 *
 * Settings live in the policy file, so CONFIG SET accepts only what is so already; a client that
 * sets a value to be sure of it is then content, and one that would change something is told. The
 * exception is loglevel, which nobody wants to edit a file for.
 */
#include "base/log.h"
#include "serve/cmd_server.h"
#include "serve/glob.h"
#include "serve/resp_client.h"
#include "serve/roll_call.h"

#include <stdio.h>

enum { SETTING_TEXT_MAX = LOG_SPEC_MAX };

typedef void setting_fn(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX]);

/* Redis's name for what a space does when it is full. */
const char *eviction_name(const struct policy_space *space)
{
    return space->evict ? "allkeys-lfu" : "noeviction";
}

static void print_policy(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", eviction_name(c->space));
}

static void print_memory(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%llu",
                   (unsigned long long)c->worker->plan->policy->memory);
}

static void print_bulk_max(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%llu",
                   (unsigned long long)c->worker->plan->policy->limits.bulk_max);
}

static void print_connections(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%u", c->worker->plan->policy->limits.connections);
}

static void print_log_level(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    struct log_settings s;
    log_settings_now(&s);
    log_settings_print(&s, ret_text);
}

/* Until the next reload of the policy. */
static bool set_log_level(struct slice value, char ret_why[SETTING_TEXT_MAX])
{
    struct log_settings s;
    log_settings_now(&s);
    if (!log_settings_read(value, &s, ret_why)) {
        return false;
    }
    log_apply(&s);
    return true;
}

static void print_idle(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%u",
                   c->worker->plan->policy->limits.resp_idle_ms / 1000);
}

static void print_keepalive(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%u",
                   c->worker->plan->policy->limits.keepalive_ms / 1000);
}

/* Where this client has come in: a Unix socket is port 0, as in Redis. */
static void print_port(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    char address[64];
    client_local_address(c, address);
    const char *colon = strrchr(address, ':');
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", colon != NULL ? colon + 1 : "0");
}

static void print_bind(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    char address[64];
    client_local_address(c, address);
    char *colon = strrchr(address, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", strcmp(address, "unix") == 0 ? "" : address);
}

static const struct setting {
    const char *name;
    const char *text; /* constant, or */
    setting_fn *print;
    /* False and a reason; NULL: it cannot be changed. */
    bool (*set)(struct slice value, char ret_why[SETTING_TEXT_MAX]);
} settings[] = {
    {.name = "appendonly", .text = "no"},
    {.name = "bind", .print = print_bind},
    {.name = "databases", .text = "16"},
    {.name = "loglevel", .print = print_log_level, .set = set_log_level},
    {.name = "maxclients", .print = print_connections},
    {.name = "maxmemory", .print = print_memory},
    {.name = "maxmemory-policy", .print = print_policy},
    {.name = "notify-keyspace-events", .text = ""},
    {.name = "port", .print = print_port},
    {.name = "proto-max-bulk-len", .print = print_bulk_max},
    {.name = "save", .text = ""},
    {.name = "tcp-keepalive", .print = print_keepalive},
    {.name = "timeout", .print = print_idle},
};

static void setting_text(const struct resp_client *c, const struct setting *s,
                         char ret_text[SETTING_TEXT_MAX])
{
    if (s->print != NULL) {
        s->print(c, ret_text);
    } else {
        (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", s->text);
    }
}

static bool any_pattern_matches(const struct slice *patterns, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (glob_match(patterns[i], slice_of(name), true)) {
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

static const struct setting *find_setting(struct slice name)
{
    for (size_t i = 0; i < array_len(settings); i++) {
        if (slice_is_nocase(name, settings[i].name)) {
            return &settings[i];
        }
    }
    return NULL;
}

/* Replies and returns false when the pair would change something that cannot be changed. */
static bool change_setting(struct resp_client *c, struct slice name, struct slice value)
{
    const struct setting *s = find_setting(name);
    char text[SETTING_TEXT_MAX];
    if (s == NULL) {
        resp_error(&c->conn.out,
                   "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                   (int)name.len, name.ptr);
        return false;
    }
    if (s->set != NULL) {
        bool ok = s->set(value, text);
        if (!ok) {
            resp_error(&c->conn.out,
                       "ERR CONFIG SET failed (possibly related to argument '%s') - %s", s->name,
                       text);
        }
        return ok;
    }
    setting_text(c, s, text);
    if (!slice_is(value, text)) {
        resp_error(
            &c->conn.out,
            "ERR CONFIG SET failed (possibly related to argument '%s') - can't set immutable "
            "config: it is set in the policy file",
            s->name);
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
        if (!change_setting(c, argv[i], argv[i + 1])) {
            return;
        }
    }
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
        "    Changes loglevel; others are refused unless nothing changes: settings live in the "
        "policy "
        "file.",
        "RESETSTAT",
        "    Begin the statistics of INFO anew; metrics go on.",
        "REWRITE",
        "    Refused: the policy file is not written by the daemon.",
    };
    reply_help(c, "CONFIG", lines, array_len(lines));
}
