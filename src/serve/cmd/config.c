/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CONFIG: the settings that Redis clients ask for and set.
 *
 * The table is settings.def. Of its kinds
 *   numbers live in struct server_settings; CONFIG SET has its effect at once, in every worker
 *   own     ones are printed, and some of them set, by functions (setting_own.c)
 *   facts   and own ones that nobody sets stand in the policy file: SET accepts only what is so already, so that
 *           a client which sets a value to be sure of it is content, and one that would change something is
 *           told what to do instead
 *   kept    ones are checked for their kind, told again by GET, and without effect here: what they tune in Redis
 *           does not exist in freshet (docs/reference/settings.md lists them). Test suites and frameworks set them.
 *
 * A SET of several pairs is checked as a whole before anything changes. What is set is gone after a
 * restart: CONFIG REWRITE refuses.
 *
 * Threads: any worker's.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/number.h"
#include "serve/cmd/server.h"
#include "serve/glob.h"
#include "serve/resp_client.h"
#include "serve/setting_own.h"
#include "serve/slowlog.h"
#include "serve/tracking.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* --- the table ---------------------------------------------------------------------------------- */

enum kind {
    NUMBER,  /* in struct server_settings */
    SIZE,    /* the same, and "1kb" is one */
    OWN,     /* functions */
    FACT,    /* nobody changes it */
    SWITCH,  /* from here on kept: yes or no */
    COUNT,   /* a number */
    BYTES,   /* one of bytes: "1mb" */
    PERCENT, /* of bytes, or "5%" of them */
    CHOICE,  /* one of some words */
    TEXT,
    ALIAS, /* another name */
};

static const struct setting {
    const char *name;
    enum kind kind;
    const char *preset; /* what it is at first; ALIAS: of what; OWN: NULL */
    int64_t lowest, highest;
    size_t place; /* NUMBER, SIZE: in struct server_settings */
    setting_print_fn *print;
    setting_set_fn *set;
    const char *choices; /* apart by a space */
} settings[] = {
#define SETTING_NUMBER(name, preset, field, lo, hi)                                                \
    {name, NUMBER, preset, lo, hi, offsetof(struct server_settings, field), NULL, NULL, NULL},
#define SETTING_SIZE(name, preset, field)                                                          \
    {name, SIZE, preset, 0, INT64_MAX, offsetof(struct server_settings, field), NULL, NULL, NULL},
#define SETTING_OWN(name, print, set)       {name, OWN, NULL, 0, 0, 0, print, set, NULL},
#define SETTING_FACT(name, text)            {name, FACT, text, 0, 0, 0, NULL, NULL, NULL},
#define SETTING_SWITCH(name, preset)        {name, SWITCH, preset, 0, 0, 0, NULL, NULL, NULL},
#define SETTING_COUNT(name, preset, lo, hi) {name, COUNT, preset, lo, hi, 0, NULL, NULL, NULL},
#define SETTING_BYTES(name, preset, lo, hi) {name, BYTES, preset, lo, hi, 0, NULL, NULL, NULL},
#define SETTING_PERCENT(name, preset)       {name, PERCENT, preset, 0, INT64_MAX, 0, NULL, NULL, NULL},
#define SETTING_CHOICE(name, preset, words) {name, CHOICE, preset, 0, 0, 0, NULL, NULL, words},
#define SETTING_TEXT(name, preset)          {name, TEXT, preset, 0, 0, 0, NULL, NULL, NULL},
#define SETTING_ALIAS(name, of)             {name, ALIAS, of, 0, 0, 0, NULL, NULL, NULL},
#include "serve/settings.def"
};

/* Told only by their names: Redis hides these too, and who sets again all that GET * told must not take the
 * password away. */
static const char *const hidden[] = {"requirepass", "key-load-delay", "rdb-key-save-delay",
                                     "watchdog-period", "loading-process-events-interval-bytes"};

static const struct setting *find_name(struct slice name)
{
    for (size_t i = 0; i < array_len(settings); i++) {
        if (slice_is_nocase(name, settings[i].name)) {
            return &settings[i];
        }
    }
    return NULL;
}

/* What the name stands for. */
static const struct setting *find_setting(struct slice name)
{
    const struct setting *s = find_name(name);
    return s != NULL && s->kind == ALIAS ? find_name(slice_of(s->preset)) : s;
}

static uint32_t index_of(const struct setting *s)
{
    return (uint32_t)(s - settings);
}

static _Atomic int64_t *number_of(struct server *server, const struct setting *s)
{
    return (_Atomic int64_t *)(void *)((char *)&server->settings + s->place);
}

static bool is_number(const struct setting *s)
{
    return s->kind == NUMBER || s->kind == SIZE;
}

void settings_init(struct server *server)
{
    _Static_assert(array_len(settings) <= SETTINGS_ALL_MAX, "room for what is kept");
    for (size_t i = 0; i < array_len(settings); i++) {
        int64_t value;
        if (is_number(&settings[i])) {
            check(number_parse_i64(slice_of(settings[i].preset), &value));
            atomic_store_explicit(number_of(server, &settings[i]), value, memory_order_relaxed);
        }
    }
    uint64_t max = server->started_with->limits.subscriber_max;
    struct server_settings *s = &server->settings;
    atomic_store_explicit(&s->subscriber_limits[0], max, memory_order_relaxed);
    atomic_store_explicit(&s->subscriber_limits[1], max / 4, memory_order_relaxed);
    atomic_store_explicit(&s->subscriber_limits[2], 60000, memory_order_relaxed);
    atomic_store_explicit(&s->latency_tracking, true, memory_order_relaxed);
    s->percentile_count = 3;
    s->percentiles[0] = 50;
    s->percentiles[1] = 99;
    s->percentiles[2] = 99.9;
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
    if (s->kind == OWN) {
        s->print(c, ret_text);
    } else if (is_number(s)) {
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
    bool is_hidden = false;
    for (size_t i = 0; i < array_len(hidden) && !is_hidden; i++) {
        is_hidden = strcmp(name, hidden[i]) == 0;
    }
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
            setting_text(c, find_setting(slice_of(settings[i].name)), text);
            reply_name(c, argv + 2, argc - 2, settings[i].name);
            resp_bulk_str(&c->conn.out, text);
        }
    }
}

/* --- SET ---------------------------------------------------------------------------------------- */

static bool refuse(char ret_why[SETTING_TEXT_MAX], const char *why)
{
    (void)snprintf(ret_why, SETTING_TEXT_MAX, "%s", why);
    return false;
}

static bool is_in_range(const struct setting *s, int64_t number, char ret_why[SETTING_TEXT_MAX])
{
    if (number < s->lowest || number > s->highest) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX,
                       "argument must be between %lld and %lld inclusive", (long long)s->lowest,
                       (long long)s->highest);
        return false;
    }
    return true;
}

static bool set_number(struct server *server, const struct setting *s, struct slice value,
                       bool apply, char ret_why[SETTING_TEXT_MAX])
{
    int64_t number = 0;
    uint64_t bytes;
    bool is_size = s->kind == SIZE;
    if (is_size ? !setting_parse_bytes(value, &bytes) : !number_parse_i64(value, &number)) {
        return refuse(ret_why, is_size ? "argument must be a memory value"
                                       : "argument couldn't be parsed into an integer");
    }
    number = is_size ? (int64_t)bytes : number;
    if (!is_in_range(s, number, ret_why)) {
        return false;
    }
    if (apply) {
        atomic_store_explicit(number_of(server, s), number, memory_order_relaxed);
    }
    return true;
}

/* Is it of the setting's kind? `ret_value` is how it is told again; xmalloc'ed. */
static bool judge(const struct setting *s, struct slice value, char **ret_value,
                  char ret_why[SETTING_TEXT_MAX])
{
    int64_t number = 0;
    uint64_t bytes;
    switch (s->kind) {
    case SWITCH:
        if (!slice_is_nocase(value, "yes") && !slice_is_nocase(value, "no")) {
            return refuse(ret_why, "argument must be 'yes' or 'no'");
        }
        *ret_value = xstrdup(value.len == 3 ? "yes" : "no");
        return true;
    case COUNT:
        if (!number_parse_i64(value, &number)) {
            return refuse(ret_why, "argument couldn't be parsed into an integer");
        }
        break;
    case PERCENT:
        if (value.len > 1 && value.ptr[value.len - 1] == '%' &&
            number_parse_i64((struct slice){value.ptr, value.len - 1}, &number) && number >= 0) {
            *ret_value = xstrndup(value.ptr, value.len);
            return number <= 100 ||
                   refuse(ret_why, "percentage argument must be less or equal to 100");
        }
        if (!setting_parse_bytes(value, &bytes)) {
            return refuse(ret_why, "argument must be a memory or percent value");
        }
        number = (int64_t)bytes;
        break;
    case BYTES:
        if (!setting_parse_bytes(value, &bytes)) {
            return refuse(ret_why, "argument must be a memory value");
        }
        number = (int64_t)bytes;
        break;
    case CHOICE:
        return setting_choose(s->choices, value, ret_value, ret_why);
    case NUMBER:
    case SIZE:
    case OWN:
    case FACT:
    case ALIAS:
    case TEXT:
        *ret_value = xstrndup(value.len > 0 ? value.ptr : "", value.len);
        return true;
    }
    if (!is_in_range(s, number, ret_why)) {
        return false;
    }
    *ret_value = xasprintf("%lld", (long long)number);
    return true;
}

/* Without effect, but told again. */
static bool keep_value(struct server *server, const struct setting *s, struct slice value,
                       bool apply, char ret_why[SETTING_TEXT_MAX])
{
    char *text = NULL;
    if (value.len >= SETTING_TEXT_MAX) {
        return refuse(ret_why, "the value is too long");
    }
    bool fits = judge(s, value, &text, ret_why);
    if (fits && apply) {
        lock_acquire(&server->watch_lock);
        char *old = server->settings.kept[index_of(s)];
        server->settings.kept[index_of(s)] = text;
        text = old;
        lock_release(&server->watch_lock);
    }
    free(text);
    return fits;
}

/* For those that somebody may well want to change. */
static const char *what_instead(const char *name)
{
    static const struct {
        const char *name;
        const char *instead;
    } known[] = {
        {"save", "there are no snapshots; a space with `keep: durable` in the policy survives"},
        {"appendonly", "give a space `keep: durable` in the policy"},
        {"appendfsync", "set `durable.fsync` in the policy"},
        {"masterauth", "freshet does not replicate"},
        {"replicaof", "freshet does not replicate"},
        {"aclfile", "users that should last stand under `users` in the policy"},
        {"cluster-enabled", "freshet is no cluster"},
        {"tls-port", "there is no TLS on this face; put a proxy before it"},
    };
    for (size_t i = 0; i < array_len(known); i++) {
        if (strcmp(known[i].name, name) == 0) {
            return known[i].instead;
        }
    }
    return "it is set in the policy file";
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
        (void)snprintf(ret_why, SETTING_TEXT_MAX, "can't set immutable config: %s",
                       what_instead(s->name));
    }
    return same;
}

static bool try_setting(struct resp_client *c, const struct setting *s, struct slice value,
                        bool apply, char ret_why[SETTING_TEXT_MAX])
{
    struct server *server = c->worker->server;
    check(s != NULL); /* check_name() */
    switch (s->kind) {
    case NUMBER:
    case SIZE:
        return set_number(server, s, value, apply, ret_why);
    case OWN:
        return s->set != NULL ? s->set(c, value, apply, ret_why)
                              : keeps_as_it_is(c, s, value, ret_why);
    case FACT:
        return keeps_as_it_is(c, s, value, ret_why);
    default:
        return keep_value(server, s, value, apply, ret_why);
    }
}

static bool fail_set(struct resp_client *c, struct slice name, const char *why)
{
    resp_error(&c->conn.out, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
               (int)name.len, name.ptr, why);
    return false;
}

/* Names first, then values, as in Redis. False after replying. */
static bool check_name(struct resp_client *c, const struct slice *argv, uint32_t at)
{
    const struct setting *s = find_name(argv[at]);
    if (s == NULL) {
        resp_error(&c->conn.out,
                   "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                   (int)argv[at].len, argv[at].ptr);
        return false;
    }
    for (uint32_t i = 2; i < at; i += 2) {
        if (find_name(argv[i]) == s) {
            return fail_set(c, argv[at], "duplicate parameter");
        }
    }
    return true;
}

static bool check_value(struct resp_client *c, const struct slice *argv, uint32_t at)
{
    char why[SETTING_TEXT_MAX] = "";
    return try_setting(c, find_setting(argv[at]), argv[at + 1], false, why) ||
           fail_set(c, argv[at], why);
}

void cmd_config_set(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (argc % 2 != 0) {
        reply_syntax(c);
        return;
    }
    for (uint32_t i = 2; i < argc; i += 2) {
        if (!check_name(c, argv, i)) {
            return;
        }
    }
    for (uint32_t i = 2; i < argc; i += 2) {
        if (!check_value(c, argv, i)) {
            return;
        }
    }
    for (uint32_t i = 2; i < argc; i += 2) {
        char why[SETTING_TEXT_MAX];
        check(try_setting(c, find_setting(argv[i]), argv[i + 1], true, why));
    }
    slowlog_trim(c->worker->server);
    tracking_keep_limit(c->worker);
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
