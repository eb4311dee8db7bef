/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Settings that are words, or lists of words in one argument: choices, switches with an effect, the percentiles of
 * INFO latencystats, output limits.
 *
 * Threads: any worker's; percentiles are under the watch lock.
 */
#include "base/alloc.h"
#include "base/number.h"
#include "base/real.h"
#include "serve/setting_own.h"

#include <stdio.h>
#include <stdlib.h>

/* The next word of a list in one argument. */
static struct slice take_word(struct slice *rest)
{
    while (rest->len > 0 && *rest->ptr == ' ') {
        *rest = slice_from(*rest, 1);
    }
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] != ' ') {
        len++;
    }
    struct slice word = {rest->ptr, len};
    *rest = slice_from(*rest, len);
    return word;
}

/* --- choices ---------------------------------------------------------------------------------- */

bool setting_choose(const char *choices, struct slice value, char **ret_choice,
                    char ret_why[SETTING_TEXT_MAX])
{
    struct slice rest = slice_of(choices);
    size_t len =
        (size_t)snprintf(ret_why, SETTING_TEXT_MAX, "argument(s) must be one of the following: ");
    const char *comma = "";
    for (struct slice word = take_word(&rest); word.len > 0; word = take_word(&rest)) {
        if (word.len == value.len && strncasecmp(word.ptr, value.ptr, word.len) == 0) {
            *ret_choice = xstrndup(word.ptr, word.len);
            return true;
        }
        len += (size_t)snprintf(ret_why + len, SETTING_TEXT_MAX - len, "%s%.*s", comma,
                                (int)word.len, word.ptr);
        comma = ", ";
    }
    return false;
}

/* One of two words is a switch that is on. */
static bool set_switch(_Atomic bool *is_on, const char *choices, struct slice value, bool apply,
                       char ret_why[SETTING_TEXT_MAX])
{
    char *choice;
    if (!setting_choose(choices, value, &choice, ret_why)) {
        return false;
    }
    if (apply) {
        bool first = strncmp(choice, choices, strlen(choice)) == 0;
        atomic_store_explicit(is_on, first, memory_order_relaxed);
    }
    free(choice);
    return true;
}

static void print_switch(const _Atomic bool *is_on, const char *on, const char *off,
                         char ret_text[SETTING_TEXT_MAX])
{
    bool is = atomic_load_explicit(is_on, memory_order_relaxed);
    (void)snprintf(ret_text, SETTING_TEXT_MAX, "%s", is ? on : off);
}

void setting_print_channels(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    print_switch(&c->worker->server->settings.acl_all_channels, "allchannels", "resetchannels",
                 ret_text);
}

bool setting_set_channels(struct resp_client *c, struct slice value, bool apply,
                          char ret_why[SETTING_TEXT_MAX])
{
    return set_switch(&c->worker->server->settings.acl_all_channels, "allchannels resetchannels",
                      value, apply, ret_why);
}

void setting_print_tracking(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    print_switch(&c->worker->server->settings.latency_tracking, "yes", "no", ret_text);
}

bool setting_set_tracking(struct resp_client *c, struct slice value, bool apply,
                          char ret_why[SETTING_TEXT_MAX])
{
    bool known =
        set_switch(&c->worker->server->settings.latency_tracking, "yes no", value, apply, ret_why);
    if (!known) {
        (void)snprintf(ret_why, SETTING_TEXT_MAX, "argument must be 'yes' or 'no'");
    }
    return known;
}

/* --- percentiles ------------------------------------------------------------------------------ */

void setting_print_percentiles(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    struct server *s = c->worker->server;
    size_t len = 0;
    ret_text[0] = '\0';
    lock_acquire(&s->watch_lock);
    for (uint32_t i = 0; i < s->settings.percentile_count; i++) {
        len += (size_t)snprintf(ret_text + len, SETTING_TEXT_MAX - len, "%s%.10g", i > 0 ? " " : "",
                                s->settings.percentiles[i]);
    }
    lock_release(&s->watch_lock);
}

bool setting_set_percentiles(struct resp_client *c, struct slice value, bool apply,
                             char ret_why[SETTING_TEXT_MAX])
{
    struct server *s = c->worker->server;
    double percentiles[PERCENTILES_MAX];
    uint32_t count = 0;
    struct slice rest = value;
    for (struct slice word = take_word(&rest); word.len > 0; word = take_word(&rest)) {
        double percentile;
        if (count == PERCENTILES_MAX || !real_parse(word, &percentile)) {
            (void)snprintf(ret_why, SETTING_TEXT_MAX,
                           "Invalid latency-tracking-info-percentiles parameters");
            return false;
        }
        if (percentile < 0.0 || percentile > 100.0) {
            (void)snprintf(
                ret_why, SETTING_TEXT_MAX,
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
            return false;
        }
        percentiles[count++] = percentile;
    }
    if (apply) {
        lock_acquire(&s->watch_lock);
        memcpy(s->settings.percentiles, percentiles, count * sizeof(*percentiles));
        s->settings.percentile_count = count;
        lock_release(&s->watch_lock);
    }
    return true;
}

/* --- output limits ---------------------------------------------------------------------------- */

/* As Redis orders them. Only subscribers' limits have an effect; the others are told again. */
enum { CLASS_NORMAL, CLASS_REPLICA, CLASS_PUBSUB, CLASSES };

/* Bytes at once, bytes for a while, and how long that is, in ms. */
static _Atomic uint64_t *limits_of(struct server_settings *s, uint32_t class)
{
    return class == CLASS_PUBSUB ? s->subscriber_limits : s->other_limits[class];
}

void setting_print_output_limits(const struct resp_client *c, char ret_text[SETTING_TEXT_MAX])
{
    static const char *const names[CLASSES] = {"normal", " slave", " pubsub"};
    size_t len = 0;
    for (uint32_t i = 0; i < CLASSES; i++) {
        const _Atomic uint64_t *limits = limits_of(&c->worker->server->settings, i);
        len += (size_t)snprintf(ret_text + len, SETTING_TEXT_MAX - len, "%s %llu %llu %llu",
                                names[i], (unsigned long long)setting_get(&limits[0]),
                                (unsigned long long)setting_get(&limits[1]),
                                (unsigned long long)setting_get(&limits[2]) / 1000);
    }
}

static bool find_class(struct slice name, uint32_t *ret_class)
{
    static const struct {
        const char *name;
        uint32_t class;
    } known[] = {{"normal", CLASS_NORMAL},
                 {"slave", CLASS_REPLICA},
                 {"replica", CLASS_REPLICA},
                 {"pubsub", CLASS_PUBSUB}};
    for (size_t i = 0; i < array_len(known); i++) {
        if (slice_is_nocase(name, known[i].name)) {
            *ret_class = known[i].class;
            return true;
        }
    }
    return false;
}

/* Classes with three numbers each. */
bool setting_set_output_limits(struct resp_client *c, struct slice value, bool apply,
                               char ret_why[SETTING_TEXT_MAX])
{
    (void)snprintf(ret_why, SETTING_TEXT_MAX,
                   "Wrong number of arguments in buffer limit configuration.");
    uint32_t words = 0;
    for (struct slice rest = value; take_word(&rest).len > 0;) {
        words++;
    }
    if (words == 0 || words % 4 != 0) {
        return false;
    }
    struct slice rest = value;
    for (struct slice name = take_word(&rest); name.len > 0; name = take_word(&rest)) {
        uint32_t class;
        uint64_t hard;
        uint64_t soft;
        uint64_t seconds;
        if (!find_class(name, &class)) {
            (void)snprintf(ret_why, SETTING_TEXT_MAX,
                           "Invalid client class specified in buffer limit configuration.");
            return false;
        }
        struct slice first = take_word(&rest);
        struct slice second = take_word(&rest);
        struct slice third = take_word(&rest);
        if (!setting_parse_bytes(first, &hard) || !setting_parse_bytes(second, &soft) ||
            !number_parse_u64(third, &seconds) || seconds > UINT32_MAX) {
            (void)snprintf(ret_why, SETTING_TEXT_MAX,
                           "Error in hard, soft or soft_seconds setting in buffer limit "
                           "configuration.");
            return false;
        }
        if (apply) {
            _Atomic uint64_t *limits = limits_of(&c->worker->server->settings, class);
            atomic_store_explicit(&limits[0], hard, memory_order_relaxed);
            atomic_store_explicit(&limits[1], soft, memory_order_relaxed);
            atomic_store_explicit(&limits[2], seconds * 1000, memory_order_relaxed);
        }
    }
    return true;
}
