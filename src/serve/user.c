/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One user: made, copied, told, and asked what it may. How rules change one that is being made is
 * in user_rules.c.
 *
 * What a command does to a key stands in its key specification (key_specs.def): what is told or
 * used needs a pattern that reads, what is changed one that writes, what is both one pattern with
 * both rights. To subscribe to a pattern is another thing: it must be one that was given, letter
 * for letter, or somebody could listen to more than he may.
 *
 * A user may what its own rules allow, or those of one of its selectors: never a mixture of them.
 *
 * Threads: user_create() and user_copy(): any; then whoever makes the user; once it is in the table
 * nobody changes it and anybody reads it.
 */
#include "serve/user.h"

#include "base/alloc.h"
#include "serve/command_keys.h"
#include "serve/glob.h"

#include <stdlib.h>

/* --- life ------------------------------------------------------------------------------------- */

struct user *user_create(struct slice name)
{
    struct user *u = xcalloc(1, sizeof(*u));
    list_init(&u->node);
    atomic_store_explicit(&u->refs, 1, memory_order_relaxed);
    u->name = xstrndup(name.ptr, name.len);
    u->sanitizes = true;
    u->commands = xcalloc(user_command_words(), sizeof(uint64_t));
    buf_init(&u->rules);
    buf_append_str(&u->rules, "-@all");
    return u;
}

void user_add_pattern(struct user_pattern **list, uint32_t *count, struct user_pattern p)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (slice_eq((*list)[i].text, p.text)) {
            (*list)[i].reads |= p.reads;
            (*list)[i].writes |= p.writes;
            return;
        }
    }
    *list = xrealloc(*list, (*count + 1) * sizeof(**list));
    p.text.ptr = p.text.len > 0 ? xstrndup(p.text.ptr, p.text.len) : NULL;
    (*list)[(*count)++] = p;
}

void user_forget_patterns(struct user_pattern **list, uint32_t *count)
{
    for (uint32_t i = 0; i < *count; i++) {
        free((char *)(uintptr_t)(*list)[i].text.ptr);
    }
    free(*list);
    *list = NULL;
    *count = 0;
}

void user_add_first(struct user *u, uint32_t place, struct slice arg)
{
    u->firsts = xrealloc(u->firsts, (u->first_count + 1) * sizeof(*u->firsts));
    u->firsts[u->first_count++] = (struct user_first){place, xstrndup(arg.ptr, arg.len)};
}

void user_forget_firsts(struct user *u, uint32_t place)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < u->first_count; i++) {
        if (u->firsts[i].place == place) {
            free(u->firsts[i].arg);
        } else {
            u->firsts[kept++] = u->firsts[i];
        }
    }
    u->first_count = kept;
}

struct user *user_copy(const struct user *from)
{
    struct user *u = user_create(slice_of(from->name));
    u->is_on = from->is_on;
    u->nopass = from->nopass;
    u->is_policy_default = from->is_policy_default;
    u->from_policy = from->from_policy;
    u->sanitizes = from->sanitizes;
    u->all_keys = from->all_keys;
    u->all_channels = from->all_channels;
    for (uint32_t i = 0; i < from->key_count; i++) {
        user_add_pattern(&u->keys, &u->key_count, from->keys[i]);
    }
    for (uint32_t i = 0; i < from->channel_count; i++) {
        user_add_pattern(&u->channels, &u->channel_count, from->channels[i]);
    }
    u->password_count = from->password_count;
    u->passwords = xcalloc(from->password_count + 1, SHA256_HEX);
    if (from->password_count > 0) {
        memcpy(u->passwords, from->passwords, (size_t)from->password_count * SHA256_HEX);
    }
    memcpy(u->commands, from->commands, user_command_words() * sizeof(uint64_t));
    for (uint32_t i = 0; i < from->first_count; i++) {
        user_add_first(u, from->firsts[i].place, slice_of(from->firsts[i].arg));
    }
    buf_clear(&u->rules);
    buf_append_slice(&u->rules, buf_readable(&from->rules));
    user_copy_selectors(u, from);
    return u;
}

struct user *user_ref(struct user *u)
{
    if (u != NULL) {
        (void)atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
    }
    return u;
}

void user_unref(struct user *u)
{
    if (u == NULL || atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    user_forget_selectors(u);
    user_forget_patterns(&u->keys, &u->key_count);
    user_forget_patterns(&u->channels, &u->channel_count);
    for (uint32_t i = 0; i < u->first_count; i++) {
        free(u->firsts[i].arg);
    }
    free(u->firsts);
    free(u->passwords);
    free(u->commands);
    free(u->name);
    buf_fini(&u->rules);
    free(u);
}

/* --- telling ---------------------------------------------------------------------------------- */

void user_describe_keys(const struct user *u, struct buf *out)
{
    if (u->all_keys) {
        buf_append_str(out, "~*");
    }
    for (uint32_t i = 0; i < u->key_count; i++) {
        const struct user_pattern *p = &u->keys[i];
        buf_append_str(out, i > 0 ? " " : "");
        buf_append_str(out, p->reads && p->writes ? "~" : p->reads ? "%R~" : "%W~");
        buf_append_slice(out, p->text);
    }
}

void user_describe_channels(const struct user *u, struct buf *out)
{
    if (u->all_channels) {
        buf_append_str(out, "&*");
    }
    for (uint32_t i = 0; i < u->channel_count; i++) {
        buf_append_str(out, i > 0 ? " &" : "&");
        buf_append_slice(out, u->channels[i].text);
    }
}

void user_describe_rights(const struct user *u, struct buf *out)
{
    if (u->all_keys || u->key_count > 0) {
        user_describe_keys(u, out);
        buf_append_char(out, ' ');
    }
    buf_append_str(out, u->all_channels ? "" : "resetchannels ");
    user_describe_channels(u, out);
    buf_append_str(out, u->all_channels || u->channel_count > 0 ? " " : "");
    buf_append_slice(out, buf_readable(&u->rules));
}

void user_describe(const struct user *u, struct buf *out)
{
    buf_append_str(out, u->is_on ? "on" : "off");
    buf_append_str(out, u->nopass ? " nopass" : "");
    buf_append_str(out, u->sanitizes ? " sanitize-payload" : " skip-sanitize-payload");
    for (uint32_t i = 0; i < u->password_count; i++) {
        buf_append_str(out, " #");
        buf_append_str(out, u->passwords[i]);
    }
    buf_append_char(out, ' ');
    user_describe_rights(u, out);
    for (uint32_t i = 0; i < u->selector_count; i++) {
        buf_append_str(out, " (");
        user_describe_rights(u->selectors[i], out);
        buf_append_char(out, ')');
    }
}

/* --- checking --------------------------------------------------------------------------------- */

bool user_has_password(const struct user *u, struct slice password)
{
    char hash[SHA256_HEX];
    sha256_hex(password, hash);
    unsigned found = u->nopass;
    for (uint32_t i = 0; i < u->password_count; i++) {
        unsigned difference = 0; /* in the same time wherever it is */
        for (size_t j = 0; j < SHA256_HEX; j++) {
            difference |= (unsigned)(hash[j] ^ u->passwords[i][j]);
        }
        found |= difference == 0;
    }
    return found != 0;
}

bool user_is_full(const struct user *u)
{
    struct slice rules = buf_readable(&u->rules);
    return u->all_keys && u->all_channels && slice_is(rules, "+@all");
}

/* By one pattern alone; a command that looks at no content needs any that fits. */
static bool may_use_key(const struct user *u, struct slice key, uint32_t flags)
{
    bool reads = (flags & KEY_ACCESS) != 0;
    bool writes = (flags & (KEY_INSERT | KEY_UPDATE | KEY_DELETE)) != 0;
    bool may = u->all_keys;
    for (uint32_t i = 0; i < u->key_count && !may; i++) {
        const struct user_pattern *p = &u->keys[i];
        may = (p->reads || !reads) && (p->writes || !writes) && glob_match(p->text, key, false);
    }
    return may;
}

/* Without its selectors. */
static bool may_listen(const struct user *u, struct slice channel, bool is_pattern)
{
    bool may = u->all_channels;
    for (uint32_t i = 0; i < u->channel_count && !may; i++) {
        struct slice pattern = u->channels[i].text;
        may = is_pattern ? slice_eq(pattern, channel) : glob_match(pattern, channel, false);
    }
    return may;
}

bool user_may_listen(const struct user *u, struct slice channel, bool is_pattern)
{
    bool may = may_listen(u, channel, is_pattern);
    for (uint32_t i = 0; i < u->selector_count && !may; i++) {
        may = may_listen(u->selectors[i], channel, is_pattern);
    }
    return may;
}

static enum user_denial check_channels(const struct user *u, const struct command *cmd,
                                       const struct slice *argv, uint32_t argc,
                                       struct slice *ret_what)
{
    bool publishes = cmd->run == cmd_publish || cmd->run == cmd_spublish;
    bool subscribes = cmd->run == cmd_subscribe || cmd->run == cmd_ssubscribe;
    bool is_pattern = cmd->run == cmd_psubscribe;
    uint32_t end = publishes ? 2 : subscribes || is_pattern ? argc : 0;
    for (uint32_t i = 1; i < end; i++) {
        if (!may_listen(u, argv[i], is_pattern)) {
            *ret_what = argv[i];
            return USER_NO_CHANNEL;
        }
    }
    return USER_MAY;
}

/* Without its selectors. */
static enum user_denial check_rights(const struct user *u, const struct command *cmd,
                                     const struct slice *argv, uint32_t argc,
                                     struct slice *ret_what)
{
    bool runs = (u->commands[cmd->place / 64] >> (cmd->place % 64) & 1) != 0;
    for (uint32_t i = 0; i < u->first_count && argc > 1 && !runs; i++) {
        runs = u->firsts[i].place == cmd->place && slice_is_nocase(argv[1], u->firsts[i].arg);
    }
    if (!runs && (cmd->flags & COMMAND_NO_AUTH) == 0) {
        return USER_NO_COMMAND;
    }
    if ((cmd->flags & COMMAND_PUBSUB) != 0) {
        return check_channels(u, cmd, argv, argc, ret_what);
    }
    struct command_keys keys;
    if (u->all_keys || !command_keys_find(cmd, argv, argc, &keys)) {
        return USER_MAY;
    }
    for (uint32_t r = 0; r < keys.run_count; r++) {
        for (uint32_t i = 0; i < keys.runs[r].count; i++) {
            struct slice key = argv[keys.runs[r].first + i * keys.runs[r].step];
            if (!may_use_key(u, key, keys.runs[r].flags)) {
                *ret_what = key;
                return USER_NO_KEY;
            }
        }
    }
    return USER_MAY;
}

/* What came furthest is told: a command that may run, but not on this key; then the key that comes
 * last. */
enum user_denial user_check(const struct user *u, const struct command *cmd,
                            const struct slice *argv, uint32_t argc, struct slice *ret_what)
{
    struct slice what = {NULL, 0};
    enum user_denial denial = check_rights(u, cmd, argv, argc, &what);
    for (uint32_t i = 0; i < u->selector_count && denial != USER_MAY; i++) {
        struct slice other = {NULL, 0};
        enum user_denial why = check_rights(u->selectors[i], cmd, argv, argc, &other);
        if (why == USER_MAY || why > denial || (why == denial && other.ptr > what.ptr)) {
            denial = why;
            what = other;
        }
    }
    *ret_what = what;
    return denial;
}
