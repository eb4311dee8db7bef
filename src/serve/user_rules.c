/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules of users. What may run is a bit a command; the words that set the bits are kept beside it, so that
 * ACL LIST can tell them: +@all and -@all begin anew, any other word takes the place of an earlier one about the
 * same command or category.
 *
 * Not done: selectors ("(+get ~x)"), and rules for first arguments of commands without subcommands.
 */
#include "serve/user_rules.h"

#include "base/alloc.h"
#include "serve/cmd/server.h"
#include "serve/command_keys.h"
#include "serve/glob.h"

#include <stdlib.h>

/* --- life ------------------------------------------------------------------------------------- */

static size_t command_words(void)
{
    return (command_total() + 63) / 64;
}

struct user *user_create(struct slice name)
{
    struct user *u = xcalloc(1, sizeof(*u));
    list_init(&u->node);
    atomic_store_explicit(&u->refs, 1, memory_order_relaxed);
    u->name = xstrndup(name.ptr, name.len);
    u->sanitizes = true;
    u->commands = xcalloc(command_words(), sizeof(uint64_t));
    buf_init(&u->rules);
    buf_append_str(&u->rules, "-@all");
    return u;
}

static void add_pattern(struct user_pattern **list, uint32_t *count, struct user_pattern p)
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

static void forget_patterns(struct user_pattern **list, uint32_t *count)
{
    for (uint32_t i = 0; i < *count; i++) {
        free((char *)(uintptr_t)(*list)[i].text.ptr);
    }
    free(*list);
    *list = NULL;
    *count = 0;
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
        add_pattern(&u->keys, &u->key_count, from->keys[i]);
    }
    for (uint32_t i = 0; i < from->channel_count; i++) {
        add_pattern(&u->channels, &u->channel_count, from->channels[i]);
    }
    u->password_count = from->password_count;
    u->passwords = xcalloc(from->password_count + 1, SHA256_HEX);
    if (from->password_count > 0) {
        memcpy(u->passwords, from->passwords, (size_t)from->password_count * SHA256_HEX);
    }
    memcpy(u->commands, from->commands, command_words() * sizeof(uint64_t));
    buf_clear(&u->rules);
    buf_append_slice(&u->rules, buf_readable(&from->rules));
    return u;
}

void user_unref(struct user *u)
{
    if (u == NULL || atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    forget_patterns(&u->keys, &u->key_count);
    forget_patterns(&u->channels, &u->channel_count);
    free(u->passwords);
    free(u->commands);
    free(u->name);
    buf_fini(&u->rules);
    free(u);
}

/* --- commands --------------------------------------------------------------------------------- */

static void allow(struct user *u, const struct command *cmd, bool may)
{
    uint64_t bit = (uint64_t)1 << (cmd->place % 64);
    if (may) {
        u->commands[cmd->place / 64] |= bit;
    } else {
        u->commands[cmd->place / 64] &= ~bit;
    }
}

static void allow_with_subs(struct user *u, const struct command *cmd, bool may)
{
    allow(u, cmd, may);
    for (uint32_t i = 0; i < cmd->sub_count; i++) {
        allow(u, &cmd->subs[i], may);
    }
}

/* False: there is no such category. */
static bool allow_category(struct user *u, struct slice name, bool may)
{
    bool all = slice_is_nocase(name, "all");
    if (!all && !command_category_exists(name)) {
        return false;
    }
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        if (all || command_has_category(cmd, name)) {
            allow(u, cmd, may);
        }
        for (uint32_t j = 0; j < cmd->sub_count; j++) {
            if (all || command_has_category(&cmd->subs[j], name)) {
                allow(u, &cmd->subs[j], may);
            }
        }
    }
    return true;
}

/* Sets the bits. */
static const char *allow_rule(struct user *u, struct slice word)
{
    static const char unknown[] = "Unknown command or category name in ACL";
    bool may = *word.ptr == '+';
    struct slice name = slice_from(word, 1);
    if (name.len > 0 && *name.ptr == '@') {
        if (!allow_category(u, slice_from(name, 1), may)) {
            return unknown;
        }
        return NULL;
    }
    const struct command *cmd = command_find_full(name);
    const char *bar = name.len > 0 ? memchr(name.ptr, '|', name.len) : NULL;
    if (cmd == NULL && bar != NULL) {
        struct slice rest = slice_from(name, (size_t)(bar - name.ptr) + 1);
        const struct command *parent =
            command_find((struct slice){name.ptr, (size_t)(bar - name.ptr)});
        if (parent != NULL && may && memchr(rest.ptr, '|', rest.len) != NULL) {
            return "Allowing first-arg of a subcommand is not supported";
        }
        if (parent != NULL && may && parent->sub_count == 0) {
            return "Rules for the first argument of a command are not supported by freshet";
        }
    }
    if (cmd == NULL) {
        return unknown;
    }
    allow_with_subs(u, cmd, may);
    return NULL;
}

/* Do these rules allow just what the user may? Then they need no more words. */
static bool says_it_all(const struct user *u, struct slice rules)
{
    struct user *scratch = user_create(SLICE("scratch"));
    while (rules.len > 0) {
        const char *space = memchr(rules.ptr, ' ', rules.len);
        size_t len = space != NULL ? (size_t)(space - rules.ptr) : rules.len;
        (void)allow_rule(scratch, (struct slice){rules.ptr, len});
        rules = slice_from(rules, space != NULL ? len + 1 : len);
    }
    bool same = memcmp(scratch->commands, u->commands, command_words() * sizeof(uint64_t)) == 0;
    user_unref(scratch);
    return same;
}

/* Is `rule` ("+config|get") about `name` ("config") or one of its subcommands? */
static bool is_about(struct slice rule, struct slice name)
{
    struct slice what = slice_from(rule, 1);
    return what.len >= name.len && strncasecmp(what.ptr, name.ptr, name.len) == 0 &&
           (what.len == name.len || what.ptr[name.len] == '|');
}

static void note_rule(struct user *u, struct slice word)
{
    struct slice name = slice_from(word, 1);
    if (slice_is_nocase(name, "@all")) {
        buf_clear(&u->rules);
        buf_append_str(&u->rules, *word.ptr == '+' ? "+@all" : "-@all");
        return;
    }
    struct buf kept;
    buf_init(&kept);
    struct slice rest = buf_readable(&u->rules);
    while (rest.len > 0) {
        const char *space = memchr(rest.ptr, ' ', rest.len);
        size_t len = space != NULL ? (size_t)(space - rest.ptr) : rest.len;
        if (!is_about((struct slice){rest.ptr, len}, name)) {
            buf_append(&kept, rest.ptr, len);
            buf_append_char(&kept, ' ');
        }
        rest = slice_from(rest, space != NULL ? len + 1 : len);
    }
    struct slice before = buf_readable(&kept);
    if (before.len > 0 && says_it_all(u, (struct slice){before.ptr, before.len - 1})) {
        buf_truncate(&kept, before.len - 1);
        buf_fini(&u->rules);
        u->rules = kept;
        return;
    }
    buf_append_char(&kept, *word.ptr);
    for (size_t i = 0; i < name.len; i++) {
        char letter = name.ptr[i];
        buf_append_char(&kept,
                        (char)(letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter));
    }
    buf_fini(&u->rules);
    u->rules = kept;
}

static const char *apply_command(struct user *u, struct slice word)
{
    const char *why = allow_rule(u, word);
    if (why == NULL) {
        note_rule(u, word);
    }
    return why;
}

/* --- passwords -------------------------------------------------------------------------------- */

static bool is_hash(struct slice text)
{
    bool ok = text.len == SHA256_HEX - 1;
    for (size_t i = 0; i < text.len && ok; i++) {
        char letter = text.ptr[i];
        ok = (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
    }
    return ok;
}

static uint32_t find_password(const struct user *u, const char hash[SHA256_HEX])
{
    uint32_t at = 0;
    while (at < u->password_count && memcmp(u->passwords[at], hash, SHA256_HEX) != 0) {
        at++;
    }
    return at;
}

static const char *apply_password(struct user *u, struct slice word)
{
    char hash[SHA256_HEX] = "";
    struct slice text = slice_from(word, 1);
    bool adds = *word.ptr == '>' || *word.ptr == '#';
    if (*word.ptr == '#' || *word.ptr == '!') {
        if (!is_hash(text)) {
            return "The password hash must be exactly 64 characters and contain only lowercase "
                   "hexadecimal characters";
        }
        memcpy(hash, text.ptr, SHA256_HEX - 1);
    } else {
        sha256_hex(text, hash);
    }
    uint32_t at = find_password(u, hash);
    if (!adds && at == u->password_count) {
        return "The password you are trying to remove from the user does not exist";
    }
    if (!adds) {
        u->password_count--;
        memmove(u->passwords[at], u->passwords[at + 1],
                (size_t)(u->password_count - at) * SHA256_HEX);
    } else if (at == u->password_count) {
        u->passwords = xrealloc(u->passwords, (size_t)(u->password_count + 2) * SHA256_HEX);
        memcpy(u->passwords[u->password_count++], hash, SHA256_HEX);
    }
    u->nopass = adds ? false : u->nopass;
    u->is_policy_default = false;
    return NULL;
}

bool user_has_password(const struct user *u, struct slice password)
{
    char hash[SHA256_HEX];
    sha256_hex(password, hash);
    unsigned found = u->nopass;
    for (uint32_t i = 0; i < u->password_count;
         i++) { /* in the same time wherever the difference is */
        unsigned difference = 0;
        for (size_t j = 0; j < SHA256_HEX; j++) {
            difference |= (unsigned)(hash[j] ^ u->passwords[i][j]);
        }
        found |= difference == 0;
    }
    return found != 0;
}

/* --- patterns --------------------------------------------------------------------------------- */

static bool has_space(struct slice text)
{
    bool found = false;
    for (size_t i = 0; i < text.len && !found; i++) {
        found = text.ptr[i] == ' ' || text.ptr[i] == '\t' || text.ptr[i] == '\n' ||
                text.ptr[i] == '\r' || text.ptr[i] == '\0';
    }
    return found;
}

static const char *apply_key(struct user *u, struct slice word)
{
    struct user_pattern p = {.reads = true, .writes = true, .text = slice_from(word, 1)};
    if (*word.ptr == '%') {
        p.reads = p.writes = false;
        size_t at = 1;
        for (; at < word.len && word.ptr[at] != '~'; at++) {
            bool is_read = word.ptr[at] == 'R' || word.ptr[at] == 'r';
            bool is_write = word.ptr[at] == 'W' || word.ptr[at] == 'w';
            if ((!is_read && !is_write) || (is_read && p.reads) || (is_write && p.writes)) {
                return "Syntax error";
            }
            p.reads |= is_read;
            p.writes |= is_write;
        }
        if (at == word.len || at == 1) {
            return "Syntax error";
        }
        p.text = slice_from(word, at + 1);
    }
    if (has_space(p.text)) {
        return "Syntax error";
    }
    if (u->all_keys) {
        return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does "
               "not have any effect. Try 'resetkeys' to start with an empty list of patterns";
    }
    if (slice_is(p.text, "*") && p.reads && p.writes) {
        forget_patterns(&u->keys, &u->key_count);
        u->all_keys = true;
        return NULL;
    }
    add_pattern(&u->keys, &u->key_count, p);
    return NULL;
}

static const char *apply_channel(struct user *u, struct slice word)
{
    struct user_pattern p = {.text = slice_from(word, 1)};
    if (has_space(p.text)) {
        return "Syntax error";
    }
    if (u->all_channels) {
        return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and "
               "does not have any effect. Try 'resetchannels' to start with an empty list of "
               "channels";
    }
    if (slice_is(p.text, "*")) {
        forget_patterns(&u->channels, &u->channel_count);
        u->all_channels = true;
        return NULL;
    }
    add_pattern(&u->channels, &u->channel_count, p);
    return NULL;
}

/* --- words ------------------------------------------------------------------------------------ */

static void reset_keys(struct user *u)
{
    forget_patterns(&u->keys, &u->key_count);
    u->all_keys = false;
}

static void reset_channels(struct user *u)
{
    forget_patterns(&u->channels, &u->channel_count);
    u->all_channels = false;
}

static void reset_passwords(struct user *u)
{
    u->password_count = 0;
    u->nopass = false;
    u->is_policy_default = false;
}

/* False: not a word of letters alone that is known. */
static bool apply_flag(struct user *u, struct slice word)
{
    if (slice_is_nocase(word, "on") || slice_is_nocase(word, "off")) {
        u->is_on = word.len == 2;
    } else if (slice_is_nocase(word, "nopass")) {
        reset_passwords(u);
        u->nopass = true;
    } else if (slice_is_nocase(word, "resetpass")) {
        reset_passwords(u);
    } else if (slice_is_nocase(word, "allkeys")) {
        reset_keys(u);
        u->all_keys = true;
    } else if (slice_is_nocase(word, "resetkeys")) {
        reset_keys(u);
    } else if (slice_is_nocase(word, "allchannels")) {
        reset_channels(u);
        u->all_channels = true;
    } else if (slice_is_nocase(word, "resetchannels")) {
        reset_channels(u);
    } else if (slice_is_nocase(word, "allcommands")) {
        (void)apply_command(u, SLICE("+@all"));
    } else if (slice_is_nocase(word, "nocommands")) {
        (void)apply_command(u, SLICE("-@all"));
    } else if (slice_is_nocase(word, "sanitize-payload")) {
        u->sanitizes = true;
    } else if (slice_is_nocase(word, "skip-sanitize-payload")) {
        u->sanitizes = false;
    } else if (slice_is_nocase(word, "reset")) {
        reset_passwords(u);
        reset_keys(u);
        reset_channels(u);
        u->is_on = false;
        u->sanitizes = true;
        (void)apply_command(u, SLICE("-@all"));
    } else {
        return slice_is_nocase(word, "clearselectors");
    }
    return true;
}

const char *user_apply(struct user *u, struct slice word)
{
    if (word.len == 0) {
        return NULL; /* as Redis has it */
    }
    if (apply_flag(u, word)) {
        return NULL;
    }
    switch (*word.ptr) {
    case '+':
    case '-':
        return apply_command(u, word);
    case '>':
    case '<':
    case '#':
    case '!':
        return apply_password(u, word);
    case '~':
    case '%':
        return apply_key(u, word);
    case '&':
        return apply_channel(u, word);
    case '(':
        return "Selectors are not supported by freshet: a user has one set of rules";
    default:
        return "Syntax error";
    }
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

void user_describe(const struct user *u, struct buf *out)
{
    buf_append_str(out, u->is_on ? "on" : "off");
    buf_append_str(out, u->nopass ? " nopass" : "");
    buf_append_str(out, u->sanitizes ? " sanitize-payload" : " skip-sanitize-payload");
    for (uint32_t i = 0; i < u->password_count; i++) {
        buf_append_str(out, " #");
        buf_append_str(out, u->passwords[i]);
    }
    if (u->all_keys || u->key_count > 0) {
        buf_append_char(out, ' ');
        user_describe_keys(u, out);
    }
    buf_append_str(out, u->all_channels ? " " : " resetchannels");
    if (!u->all_channels && u->channel_count > 0) {
        buf_append_char(out, ' ');
    }
    user_describe_channels(u, out);
    buf_append_char(out, ' ');
    buf_append_slice(out, buf_readable(&u->rules));
}

/* --- checking --------------------------------------------------------------------------------- */

bool user_is_full(const struct user *u)
{
    struct slice rules = buf_readable(&u->rules);
    return u->all_keys && u->all_channels && slice_is(rules, "+@all");
}

static bool may_use_key(const struct user *u, struct slice key, bool reads, bool writes)
{
    bool may_read = !reads || u->all_keys;
    bool may_write = !writes || u->all_keys;
    for (uint32_t i = 0; i < u->key_count && !(may_read && may_write); i++) {
        const struct user_pattern *p = &u->keys[i];
        if (glob_match(p->text, key, false)) {
            may_read |= p->reads;
            may_write |= p->writes;
        }
    }
    return may_read && may_write;
}

/* A pattern to subscribe to must be one that was given, letter for letter. */
bool user_may_listen(const struct user *u, struct slice channel, bool is_pattern)
{
    bool may = u->all_channels;
    for (uint32_t i = 0; i < u->channel_count && !may; i++) {
        struct slice pattern = u->channels[i].text;
        may = is_pattern ? slice_eq(pattern, channel) : glob_match(pattern, channel, false);
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
        if (!user_may_listen(u, argv[i], is_pattern)) {
            *ret_what = argv[i];
            return USER_NO_CHANNEL;
        }
    }
    return USER_MAY;
}

enum user_denial user_check(const struct user *u, const struct command *cmd,
                            const struct slice *argv, uint32_t argc, struct slice *ret_what)
{
    bool runs = (u->commands[cmd->place / 64] >> (cmd->place % 64) & 1) != 0;
    if (!runs && (cmd->flags & COMMAND_NO_AUTH) == 0) {
        return USER_NO_COMMAND;
    }
    if ((cmd->flags & COMMAND_PUBSUB) != 0) {
        return check_channels(u, cmd, argv, argc, ret_what);
    }
    struct command_keys keys;
    bool writes = (cmd->flags & COMMAND_WRITE) != 0;
    bool reads = !writes || (cmd->flags & COMMAND_OVERWRITES) == 0;
    if (u->all_keys || !command_keys_find(cmd, argv, argc, &keys)) {
        return USER_MAY;
    }
    for (uint32_t r = 0; r < keys.run_count; r++) {
        for (uint32_t i = 0; i < keys.runs[r].count; i++) {
            struct slice key = argv[keys.runs[r].first + i * keys.runs[r].step];
            if (!may_use_key(u, key, reads, writes)) {
                *ret_what = key;
                return USER_NO_KEY;
            }
        }
    }
    return USER_MAY;
}
