/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ACL: users seen and changed while the server runs. There is no ACL file: what should last stands in the
 * policy, and SAVE and LOAD say so.
 */
#include "serve/cmd/server.h"
#include "serve/users_table.h"

#include "base/alloc.h"
#include "base/number.h"

#include <stdlib.h>
#include <sys/random.h>

enum { GENPASS_BITS = 256, GENPASS_BITS_MAX = 4096 };

void cmd_acl_whoami(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_bulk_str(&c->conn.out, client_user_name(c));
}

struct user_list {
    struct buf text;
    uint32_t count;
    bool names_only;
};

static void list_user(void *arg, const struct user *u)
{
    struct user_list *l = arg;
    struct buf line;
    buf_init(&line);
    if (!l->names_only) {
        buf_append_str(&line, "user ");
    }
    buf_append_str(&line, u->name);
    if (!l->names_only) {
        buf_append_char(&line, ' ');
        user_describe(u, &line);
    }
    resp_bulk(&l->text, buf_readable(&line));
    buf_fini(&line);
    l->count++;
}

static void reply_users(struct resp_client *c, bool names_only)
{
    struct user_list l = {.names_only = names_only};
    buf_init(&l.text);
    users_each(c->worker->server, list_user, &l);
    resp_array(&c->conn.out, l.count);
    buf_append_slice(&c->conn.out, buf_readable(&l.text));
    buf_fini(&l.text);
}

void cmd_acl_list(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_users(c, false);
}

void cmd_acl_users(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_users(c, true);
}

typedef void describe_fn(const struct user *u, struct buf *out);

static void reply_described(struct resp_client *c, const char *name, const struct user *u,
                            describe_fn *describe)
{
    struct buf text;
    buf_init(&text);
    describe(u, &text);
    resp_bulk_str(&c->conn.out, name);
    reply_bulk(c, buf_readable(&text));
    buf_fini(&text);
}

static void describe_commands(const struct user *u, struct buf *out)
{
    buf_append_slice(out, buf_readable(&u->rules));
}

static void reply_rights(struct resp_client *c, const struct user *u)
{
    reply_described(c, "commands", u, describe_commands);
    reply_described(c, "keys", u, user_describe_keys);
    reply_described(c, "channels", u, user_describe_channels);
}

void cmd_acl_getuser(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf *out = &c->conn.out;
    struct user *u = users_take(c->worker->server, argv[2]);
    if (u == NULL) {
        reply_null(c);
        return;
    }
    resp_map(out, c->proto, 6);
    resp_bulk_str(out, "flags");
    resp_set(out, c->proto, u->nopass ? 3 : 2);
    resp_bulk_str(out, u->is_on ? "on" : "off");
    if (u->nopass) {
        resp_bulk_str(out, "nopass");
    }
    resp_bulk_str(out, u->sanitizes ? "sanitize-payload" : "skip-sanitize-payload");
    resp_bulk_str(out, "passwords");
    resp_array(out, u->password_count);
    for (uint32_t i = 0; i < u->password_count; i++) {
        resp_bulk_str(out, u->passwords[i]);
    }
    reply_rights(c, u);
    resp_bulk_str(out, "selectors");
    resp_array(out, u->selector_count);
    for (uint32_t i = 0; i < u->selector_count; i++) {
        resp_map(out, c->proto, 3);
        reply_rights(c, u->selectors[i]);
    }
    user_unref(u);
}

/* By `acl-pubsub-default`, who begins or is reset hears everything. */
static const char *apply_word(const struct server *s, struct user *u, struct slice word)
{
    const char *why = user_apply(u, word);
    bool begins = slice_is_nocase(word, "reset");
    if (begins && atomic_load_explicit(&s->settings.acl_all_channels, memory_order_relaxed)) {
        (void)user_apply(u, SLICE("allchannels"));
    }
    return why;
}

/* The words of a SETUSER. False after replying. */
static bool apply_words(struct resp_client *c, struct user *u, const struct slice *words,
                        uint32_t count)
{
    struct slice *joined = xcalloc((size_t)count + 1, sizeof(*joined));
    struct slice open = {NULL, 0};
    uint32_t joined_count = 0;
    struct buf room;
    buf_init(&room);
    bool ok = user_join_selectors(words, count, &room, joined, &joined_count, &open);
    if (!ok) {
        resp_error(&c->conn.out, "ERR Unmatched parenthesis in acl selector starting at '%.*s'.",
                   (int)open.len, open.ptr);
    }
    for (uint32_t i = 0; i < joined_count && ok; i++) {
        const char *why = apply_word(c->worker->server, u, joined[i]);
        ok = why == NULL;
        if (!ok) {
            resp_error(&c->conn.out, "ERR Error in ACL SETUSER modifier '%.*s': %s",
                       (int)joined[i].len, joined[i].ptr, why);
        }
    }
    buf_fini(&room);
    free(joined);
    return ok;
}

void cmd_acl_setuser(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    for (size_t i = 0; i < argv[2].len; i++) {
        if (argv[2].ptr[i] == ' ' || argv[2].ptr[i] == '\0') {
            resp_error(&c->conn.out, "ERR Usernames can't contain spaces or null characters");
            return;
        }
    }
    struct user *old = users_take(s, argv[2]);
    struct user *u = old != NULL ? user_copy(old) : user_create(argv[2]);
    if (old == NULL) {
        (void)apply_word(s, u, SLICE("reset"));
    }
    user_unref(old);
    if (!apply_words(c, u, argv + 3, argc - 3)) {
        user_unref(u);
        return;
    }
    users_put(s, u);
    users_tell(s);
    reply_ok(c);
}

void cmd_acl_deluser(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t removed = 0;
    for (uint32_t i = 2; i < argc; i++) {
        if (slice_is(argv[i], "default")) {
            resp_error(&c->conn.out, "ERR The 'default' user cannot be removed");
            return;
        }
    }
    for (uint32_t i = 2; i < argc; i++) {
        removed += users_remove(c->worker->server, argv[i]) ? 1 : 0;
    }
    if (removed > 0) {
        users_tell(c->worker->server);
    }
    reply_integer(c, removed);
}

/* --- CAT -------------------------------------------------------------------------------------- */

static void reply_commands_of(struct resp_client *c, struct slice category)
{
    struct buf names;
    uint64_t count = 0;
    buf_init(&names);
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        if (command_has_category(cmd, category)) {
            resp_bulk_str(&names, cmd->full_name);
            count++;
        }
        for (uint32_t j = 0; j < cmd->sub_count; j++) {
            if (command_has_category(&cmd->subs[j], category)) {
                resp_bulk_str(&names, cmd->subs[j].full_name);
                count++;
            }
        }
    }
    resp_array(&c->conn.out, count);
    buf_append_slice(&c->conn.out, buf_readable(&names));
    buf_fini(&names);
}

void cmd_acl_cat(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (argc > 3) {
        resp_error(&c->conn.out,
                   "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ACL HELP.",
                   (int)argv[1].len, argv[1].ptr);
    } else if (argc == 2) {
        resp_array(&c->conn.out, command_category_count());
        for (uint32_t i = 0; i < command_category_count(); i++) {
            resp_bulk_str(&c->conn.out, command_category_at(i));
        }
    } else if (command_category_exists(argv[2])) {
        reply_commands_of(c, argv[2]);
    } else {
        resp_error(&c->conn.out, "ERR Unknown category '%.*s'", (int)argv[2].len, argv[2].ptr);
    }
}

/* --- DRYRUN, GENPASS -------------------------------------------------------------------------- */

static void reply_verdict(struct resp_client *c, const struct user *u, const struct command *cmd,
                          const struct slice *argv, uint32_t argc)
{
    struct slice what = {NULL, 0};
    char text[256] = "";
    switch (user_check(u, cmd, argv, argc, &what)) {
    case USER_MAY:
        reply_ok(c);
        return;
    case USER_NO_COMMAND:
        (void)snprintf(text, sizeof(text), "User %s has no permissions to run the '%s' command",
                       u->name, cmd->full_name);
        break;
    case USER_NO_KEY:
        (void)snprintf(text, sizeof(text), "User %s has no permissions to access the '%.*s' key",
                       u->name, (int)what.len, what.ptr);
        break;
    case USER_NO_CHANNEL:
        (void)snprintf(text, sizeof(text),
                       "User %s has no permissions to access the '%.*s' channel", u->name,
                       (int)what.len, what.ptr);
        break;
    }
    resp_bulk_str(&c->conn.out, text);
}

void cmd_acl_dryrun(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct user *u = users_take(c->worker->server, argv[2]);
    const struct command *cmd = command_find(argv[3]);
    if (cmd != NULL && cmd->sub_count > 0 && argc > 4) {
        cmd = command_find_sub(cmd, argv[4]);
    }
    if (u == NULL) {
        resp_error(&c->conn.out, "ERR User '%.*s' not found", (int)argv[2].len, argv[2].ptr);
    } else if (cmd == NULL) {
        resp_error(&c->conn.out, "ERR Command '%.*s' not found", (int)argv[3].len, argv[3].ptr);
    } else if (!command_takes(cmd, argc - 3)) {
        reply_wrong_arity(c, cmd->full_name);
    } else {
        reply_verdict(c, u, cmd, argv + 3, argc - 3);
    }
    user_unref(u);
}

void cmd_acl_genpass(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t bits = GENPASS_BITS;
    if (argc > 3) {
        resp_error(&c->conn.out,
                   "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ACL HELP.",
                   (int)argv[1].len, argv[1].ptr);
        return;
    }
    if (argc == 3 && !arg_integer(c, argv[2], &bits)) {
        return;
    }
    if (bits <= 0 || bits > GENPASS_BITS_MAX) {
        resp_error(&c->conn.out, "ERR ACL GENPASS argument must be the number of bits for the "
                                 "output password, a positive number up to 4096");
        return;
    }
    unsigned char bytes[GENPASS_BITS_MAX / 8];
    char text[GENPASS_BITS_MAX / 4 + 1];
    size_t digits = (size_t)(bits + 3) / 4;
    check(getrandom(bytes, (digits + 1) / 2, 0) == (ssize_t)((digits + 1) / 2));
    for (size_t i = 0; i < digits; i++) {
        text[i] = "0123456789abcdef"[bytes[i / 2] >> (i % 2 * 4) & 15];
    }
    reply_bulk(c, (struct slice){text, digits});
}

/* SAVE and LOAD. */
void cmd_acl_file(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_error(&c->conn.out,
               "ERR This Redis instance is not configured to use an ACL file. You may want to "
               "specify users via the ACL SETUSER command and then issue a CONFIG REWRITE "
               "(assuming you have a Redis configuration file set) in order to store users in the "
               "Redis configuration.");
}

void cmd_acl_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "CAT [<category>]",
        "    List all commands that belong to <category>, or all command categories",
        "    when no category is specified.",
        "DELUSER <username> [<username> ...]",
        "    Delete a list of users.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    Returns whether the user can execute the given command without executing the command.",
        "GETUSER <username>",
        "    Get the user's details.",
        "GENPASS [<bits>]",
        "    Generate a secure 256-bit user password. The optional `bits` argument can",
        "    be used to specify a different size.",
        "LIST",
        "    Show users details in config file format.",
        "LOAD",
        "    Reload users from the ACL file.",
        "LOG [<count> | RESET]",
        "    Show the ACL log entries.",
        "SAVE",
        "    Save the current config to the ACL file.",
        "SETUSER <username> <attribute> [<attribute> ...]",
        "    Create or modify a user with the specified attributes.",
        "USERS",
        "    List all the registered usernames.",
        "WHOAMI",
        "    Return the current connection username.",
    };
    reply_help(c, "ACL", lines, array_len(lines));
}
