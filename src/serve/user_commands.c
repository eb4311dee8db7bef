/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules about commands: "+get", "-@dangerous", "+config|get".
 *
 * What may run is a bit for each command and subcommand. The words that set the bits are kept
 * beside it, so that ACL LIST can tell them: +@all and -@all begin anew, any other word takes the
 * place of earlier ones about the same command, its subcommands, or the same category. A word that
 * changes nothing is kept too: the next release may have more commands.
 *
 * "+select|0" is no bit: the first argument is kept, until another word is about the whole command.
 *
 * Threads: whoever makes the user.
 */
#include "serve/user.h"

#include "serve/cmd/server.h"
#include "serve/not_offered.h"

static const char unknown_name[] = "Unknown command or category name in ACL";

static void allow(struct user *u, const struct command *cmd, bool may)
{
    uint64_t bit = (uint64_t)1 << (cmd->place % 64);
    if (may) {
        u->commands[cmd->place / 64] |= bit;
    } else {
        u->commands[cmd->place / 64] &= ~bit;
    }
    user_forget_firsts(u, cmd->place);
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

/* "select|0", which is no subcommand. */
static const char *allow_first(struct user *u, struct slice name, size_t bar)
{
    const struct command *cmd = command_find_full((struct slice){name.ptr, bar});
    struct slice arg = slice_from(name, bar + 1);
    if (cmd == NULL) {
        return unknown_name;
    }
    if (cmd->parent != NULL) {
        return "Allowing first-arg of a subcommand is not supported";
    }
    if (arg.len == 0) {
        return "Syntax error";
    }
    if (cmd->sub_count > 0) {
        return unknown_name;
    }
    user_add_first(u, cmd->place, arg);
    return NULL;
}

/* Sets the bits. */
static const char *allow_rule(struct user *u, struct slice word)
{
    bool may = *word.ptr == '+';
    struct slice name = slice_from(word, 1);
    if (name.len > 0 && *name.ptr == '@') {
        return allow_category(u, slice_from(name, 1), may) ? NULL : unknown_name;
    }
    const struct command *cmd = command_find_full(name);
    const char *bar = name.len > 0 ? memrchr(name.ptr, '|', name.len) : NULL;
    size_t whole = bar != NULL ? (size_t)(bar - name.ptr) : name.len;
    if (cmd == NULL && not_offered((struct slice){name.ptr, whole}) != NULL) {
        return NULL; /* rules written for Redis hold without it */
    }
    if (cmd == NULL && may && bar != NULL) {
        return allow_first(u, name, whole);
    }
    if (cmd == NULL) {
        return unknown_name;
    }
    allow_with_subs(u, cmd, may);
    return NULL;
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
