/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Settings that are worked out, or need more than a number to be set. Those without a set function stand in the
 * policy file.
 *
 * Threads: any worker's.
 */
#include "serve/setting_own.h"
#include "serve/users.h"

#include "base/number.h"
#include "serve/cmd/server.h"
#include "serve/events.h"
#include "serve/roll_call.h"
#include "store/figures.h"

#include <stdio.h>
#include <stdlib.h>

/* --- settings with functions of their own ---------------------------------------------------------- */

/* --- memory ----------------------------------------------------------------------------------- */

/* A policy without `spaces` has one, and then the settings of Redis mean that one. */
static bool has_one_space(const struct server *s)
{
    return s->started_with->space_count == 1;
}

const char *eviction_name(const struct server *s, const struct policy_space *space)
{
    bool evicts = store_space_evicts(s->store, (uint32_t)(space - s->started_with->spaces));
    return evicts ? "allkeys-lfu" : "noeviction";
}

uint64_t memory_limit(const struct server *s)
{
    struct store_space_stats st;
    if (!has_one_space(s)) {
        return s->started_with->memory;
    }
    store_space_stats(s->store, 0, &st);
    return st.budget_bytes;
}

void setting_print_policy(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", eviction_name(c->worker->server, c->space));
}

static bool refuse_memory(const char *what, char ret_why[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_why, SETTING_TEXT_MAX,
                   "can't set immutable config: each space has its own `%s` in the policy", what);
    return false;
}

/* What never evicts by the policy does not begin to. */
bool setting_set_policy(struct resp_client *c, struct slice value, bool apply,
                        char ret_why[SETTING_TEXT_MAX])
{
    static const char words[] = "volatile-lru volatile-lfu volatile-random volatile-ttl "
                                "allkeys-lru allkeys-lfu allkeys-random noeviction";
    struct server *s = c->worker->server;
    char *choice = NULL;
    if (!setting_choose(words, value, &choice, ret_why)) {
        return false;
    }
    bool evicts = strcmp(choice, "noeviction") != 0;
    bool is_volatile = strncmp(choice, "volatile", strlen("volatile")) == 0;
    free(choice);
    bool changes = strcmp(eviction_name(s, c->space), "noeviction") == 0 ? evicts : !evicts;
    if (is_volatile) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX,
                       "a space evicts what it needs least, with an expiry or without: give what "
                       "must stay a space of its own with `evict: never` in the policy");
        return false;
    }
    if (changes && (!has_one_space(s) || !s->started_with->spaces[0].evict)) {
        return refuse_memory("evict", ret_why);
    }
    if (apply && changes) {
        client_own(c);
        store_space_set_evict(client_store(c), 0, evicts);
        client_disown(c);
    }
    return true;
}

void setting_print_memory(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%llu",
                   (unsigned long long)memory_limit(c->worker->server));
}

/* Less than the policy's, for now; 0: all of that again. In steps, so that other workers go on. */
bool setting_set_memory(struct resp_client *c, struct slice value, bool apply,
                        char ret_why[SETTING_TEXT_MAX])
{
    struct server *s = c->worker->server;
    uint64_t bytes;
    if (!setting_parse_bytes(value, &bytes)) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX, "argument must be a memory value");
        return false;
    }
    if (!has_one_space(s) && bytes != memory_limit(s)) {
        return refuse_memory("memory", ret_why);
    }
    if (bytes > s->started_with->memory) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX,
                       "argument must be between 0 and %llu, the `memory` of the policy",
                       (unsigned long long)s->started_with->memory);
        return false;
    }
    bool goes_on = apply && has_one_space(s);
    for (bool is_first = true; goes_on; is_first = false) {
        client_own(c);
        if (is_first) {
            store_space_limit(client_store(c), 0, bytes);
        }
        goes_on = store_shrink(client_store(c), 0, client_now(c));
        client_disown(c);
    }
    return true;
}

void setting_print_bulk_max(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%llu",
                   (unsigned long long)c->worker->plan->policy->limits.bulk_max);
}

void setting_print_connections(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%u", c->worker->plan->policy->limits.connections);
}

void setting_print_log_level(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    struct log_settings s;
    log_settings_now(&s);
    log_settings_print(&s, ret_text);
}

/* Until the next reload of the policy. */
bool setting_set_log_level(struct resp_client *c, struct slice value, bool apply,
                           char ret_why[SETTING_TEXT_MAX])
{
    static const char *const words[][2] = {
        {"verbose", "debug"}, {"notice", "info"}, {"warning", "warn"}};
    struct log_settings s;
    log_settings_now(&s);
    for (size_t i = 0; i < array_len(words); i++) { /* Redis's are understood */
        value = slice_is_nocase(value, words[i][0]) ? slice_of(words[i][1]) : value;
    }
    if (!log_settings_read(value, &s, ret_why)) {
        return false;
    }
    if (apply) {
        log_apply(&s);
    }
    return true;
}

void setting_print_idle(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%u", resp_idle() / 1000);
}

bool setting_set_idle(struct resp_client *c, struct slice value, bool apply,
                      char ret_why[SETTING_TEXT_MAX])
{
    int64_t seconds;
    if (!number_parse_i64(value, &seconds) || seconds < 0 || seconds > UINT32_MAX / 1000) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX, "argument must be between 0 and %u inclusive",
                       UINT32_MAX / 1000);
        return false;
    }
    if (apply) {
        resp_set_idle((uint32_t)seconds * 1000);
    }
    return true;
}

/* Only its hash is known, and nobody needs that. */
void setting_print_password(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    ret_text[0] = '\0';
}

bool setting_set_password(struct resp_client *c, struct slice value, bool apply,
                          char ret_why[SETTING_TEXT_MAX])
{
    if (apply) {
        users_set_default_password(c->worker->server, value);
    }
    return true;
}

void setting_print_keepalive(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%u",
                   c->worker->plan->policy->limits.keepalive_ms / 1000);
}

void setting_print_debug(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", c->worker->plan->policy->debug ? "yes" : "no");
}

void setting_print_durable(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    bool is_durable = c->worker->server->durable != NULL;
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", is_durable ? "yes" : "no");
}

void setting_print_fsync(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    bool always = c->worker->server->started_with->durable.always;
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", always ? "always" : "everysec");
}

void setting_print_dir(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    const char *dir = c->worker->server->started_with->durable.dir;
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", dir != NULL ? dir : "/");
}

/* Where this client has come in: a Unix socket is port 0, as in Redis. */
void setting_print_port(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    char address[64];
    client_local_address(c, address);
    const char *colon = strrchr(address, ':');
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", colon != NULL ? colon + 1 : "0");
}

void setting_print_bind(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    char address[64];
    client_local_address(c, address);
    char *colon = strrchr(address, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", strcmp(address, "unix") == 0 ? "" : address);
}

void setting_print_events(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    events_print(atomic_load_explicit(&c->worker->server->settings.events, memory_order_relaxed),
                 ret_text);
}

bool setting_set_events(struct resp_client *c, struct slice value, bool apply,
                        char ret_why[SETTING_TEXT_MAX])
{
    uint32_t classes;
    if (!events_parse(value, &classes)) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX,
                       "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        return false;
    }
    if (apply) {
        atomic_store_explicit(&c->worker->server->settings.events, classes, memory_order_relaxed);
        events_observe(c->worker->server);
    }
    return true;
}

/* "32mb" and "33554432"; false: neither. */
bool setting_parse_bytes(struct slice text, uint64_t *ret_bytes)
{
    static const struct {
        const char *unit;
        uint64_t bytes;
    } units[] = {{"kb", 1ULL << 10},
                 {"mb", 1ULL << 20},
                 {"gb", 1ULL << 30},
                 {"k", 1000},
                 {"m", 1000000},
                 {"g", 1000000000},
                 {"b", 1}};
    uint64_t factor = 1;
    for (size_t i = 0; i < array_len(units); i++) {
        size_t len = strlen(units[i].unit);
        if (text.len > len && slice_is_nocase(slice_from(text, text.len - len), units[i].unit)) {
            factor = units[i].bytes;
            text.len -= len;
            break;
        }
    }
    uint64_t number;
    if (!number_parse_u64(text, &number) || number > INT64_MAX / factor) {
        return false;
    }
    *ret_bytes = number * factor;
    return true;
}
