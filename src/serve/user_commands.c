/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules about commands: "+get", "-@dangerous", "+config|get".
 *
 * What may run is a bit for each command and subcommand. The words that set the bits are kept beside it, so that ACL LIST
 * can tell them: +@all and -@all begin anew, any other word takes the place of an earlier one about the same command or
 * category, and a word that changes nothing is not kept.
 *
 * Threads: whoever makes the user. Not done: rules for first arguments of commands without subcommands.
 */
#include "serve/user.h"

#include "serve/cmd/server.h"

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
    bool same =
        memcmp(scratch->commands, u->commands, user_command_words() * sizeof(uint64_t)) == 0;
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

const char *user_apply_command(struct user *u, struct slice word)
{
    const char *why = allow_rule(u, word);
    if (why == NULL) {
        note_rule(u, word);
    }
    return why;
}
