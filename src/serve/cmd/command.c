/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * COMMAND: the table, told to clients.
 *
 * Key specifications are those of key_specs.def, tips those of command_tips.def. ACL categories follow from
 * flags and groups as in Redis.
 */
#include "serve/cmd/server.h"
#include "serve/command_keys.h"
#include "serve/glob.h"
#include "serve/resp_client.h"

#include <stdio.h>

/* --- words for bits --------------------------------------------------------------------------- */

struct flag_name {
    uint32_t flag;
    const char *name;
};

static const struct flag_name flag_names[] = {
    {COMMAND_WRITE, "write"},
    {COMMAND_READONLY, "readonly"},
    {COMMAND_DENYOOM, "denyoom"},
    {COMMAND_ADMIN, "admin"},
    {COMMAND_PUBSUB, "pubsub"},
    {COMMAND_NOSCRIPT, "noscript"},
    {COMMAND_BLOCKING, "blocking"},
    {COMMAND_LOADING, "loading"},
    {COMMAND_STALE, "stale"},
    {COMMAND_SKIP_MONITOR, "skip_monitor"},
    {COMMAND_SKIP_SLOWLOG, "skip_slowlog"},
    {COMMAND_FAST, "fast"},
    {COMMAND_NO_AUTH, "no_auth"},
    {COMMAND_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {COMMAND_NO_ASYNC_LOADING, "no_async_loading"},
    {COMMAND_NO_MULTI, "no_multi"},
    {COMMAND_MOVABLE_KEYS, "movablekeys"},
    {COMMAND_ALLOW_BUSY, "allow_busy"},
};

enum { CATEGORY_MAX = 8 };

/* The group's name in COMMAND DOCS, and its ACL category if it has one. */
static const struct {
    const char *name;
    const char *category;
} groups[] = {
    [COMMAND_GROUP_STRING] = {"string", "@string"},
    [COMMAND_GROUP_GENERIC] = {"generic", "@keyspace"},
    [COMMAND_GROUP_CONNECTION] = {"connection", "@connection"},
    [COMMAND_GROUP_SERVER] = {"server", NULL},
    [COMMAND_GROUP_TRANSACTIONS] = {"transactions", "@transaction"},
    [COMMAND_GROUP_SCRIPTING] = {"scripting", "@scripting"},
    [COMMAND_GROUP_LIST] = {"list", "@list"},
    [COMMAND_GROUP_SET] = {"set", "@set"},
    [COMMAND_GROUP_SORTED_SET] = {"sorted-set", "@sortedset"},
    [COMMAND_GROUP_HASH] = {"hash", "@hash"},
    [COMMAND_GROUP_STREAM] = {"stream", "@stream"},
    [COMMAND_GROUP_BITMAP] = {"bitmap", "@bitmap"},
    [COMMAND_GROUP_PUBSUB] = {"pubsub", "@pubsub"},
    [COMMAND_GROUP_FRESHET] = {"freshet", NULL},
    [COMMAND_GROUP_SORT] = {"generic", "@list"},
};

static uint32_t categories_of(const struct command *cmd, const char *ret_names[CATEGORY_MAX])
{
    uint32_t n = 0;
    if ((cmd->flags & COMMAND_WRITE) != 0) {
        ret_names[n++] = "@write";
    }
    if ((cmd->flags & COMMAND_READONLY) != 0 && cmd->group != COMMAND_GROUP_SCRIPTING) {
        ret_names[n++] = "@read";
    }
    if ((cmd->flags & (COMMAND_ADMIN | COMMAND_ACL_ADMIN)) != 0) {
        ret_names[n++] = "@admin";
    }
    if ((cmd->flags & (COMMAND_ADMIN | COMMAND_DANGEROUS)) != 0) {
        ret_names[n++] = "@dangerous";
    }
    ret_names[n++] = (cmd->flags & COMMAND_FAST) != 0 ? "@fast" : "@slow";
    if ((cmd->flags & COMMAND_BLOCKING) != 0) {
        ret_names[n++] = "@blocking";
    }
    if ((cmd->flags & COMMAND_KEYSPACE) != 0) {
        ret_names[n++] = "@keyspace";
    }
    const char *group = groups[cmd->group].category;
    bool is_in = cmd->group != COMMAND_GROUP_PUBSUB || (cmd->flags & COMMAND_PUBSUB) != 0;
    if (group != NULL && is_in && cmd->run != cmd_container) {
        ret_names[n++] = group;
    }
    if (cmd->group == COMMAND_GROUP_SORT) {
        ret_names[n++] = "@set";
        ret_names[n++] = "@sortedset";
    }
    return n;
}

/* As Redis orders them; some have no commands here. */
static const char *const category_names[] = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting",
};

static uint32_t categories_in_order(const struct command *cmd, const char *ret_names[CATEGORY_MAX])
{
    const char *names[CATEGORY_MAX];
    uint32_t count = categories_of(cmd, names);
    uint32_t n = 0;
    for (size_t i = 0; i < array_len(category_names); i++) {
        for (uint32_t j = 0; j < count; j++) {
            if (strcmp(names[j] + 1, category_names[i]) == 0) {
                ret_names[n++] = names[j];
                break;
            }
        }
    }
    return n;
}

static void reply_words(struct buf *out, int proto, const char *const *words, uint32_t count)
{
    resp_set(out, proto, count);
    for (uint32_t i = 0; i < count; i++) {
        resp_simple(out, words[i]);
    }
}

static void reply_flags(struct buf *out, int proto, const struct command *cmd)
{
    const char *words[array_len(flag_names)];
    uint32_t count = 0;
    for (size_t i = 0; i < array_len(flag_names); i++) {
        if ((cmd->flags & flag_names[i].flag) != 0) {
            words[count++] = flag_names[i].name;
        }
    }
    reply_words(out, proto, words, count);
}

/* --- key specifications ----------------------------------------------------------------------- */

static void reply_pair(struct buf *out, const char *name, int64_t value)
{
    resp_bulk_str(out, name);
    resp_integer(out, value);
}

/* "type" and "spec", with the map of the latter begun. */
static void begin_part(struct buf *out, int proto, const char *name, const char *type,
                       uint32_t fields)
{
    resp_bulk_str(out, name);
    resp_map(out, proto, 2);
    resp_bulk_str(out, "type");
    resp_bulk_str(out, type);
    resp_bulk_str(out, "spec");
    resp_map(out, proto, fields);
}

static void reply_begin(struct buf *out, int proto, const struct key_spec *s)
{
    switch (s->begin) {
    case KEY_AT:
        begin_part(out, proto, "begin_search", "index", 1);
        reply_pair(out, "index", s->at);
        break;
    case KEY_BEHIND:
        begin_part(out, proto, "begin_search", "keyword", 2);
        resp_bulk_str(out, "keyword");
        resp_bulk_str(out, s->word);
        reply_pair(out, "startfrom", s->at);
        break;
    case KEY_SOMEWHERE:
        begin_part(out, proto, "begin_search", "unknown", 0);
        break;
    }
}

static void reply_find(struct buf *out, int proto, const struct key_spec *s)
{
    switch (s->find) {
    case KEY_RANGE:
        begin_part(out, proto, "find_keys", "range", 3);
        reply_pair(out, "lastkey", s->last);
        reply_pair(out, "keystep", s->step);
        reply_pair(out, "limit", s->limit);
        break;
    case KEY_COUNTED:
        begin_part(out, proto, "find_keys", "keynum", 3);
        reply_pair(out, "keynumidx", s->count);
        reply_pair(out, "firstkey", s->first);
        reply_pair(out, "keystep", s->step);
        break;
    case KEY_UNKNOWN:
        begin_part(out, proto, "find_keys", "unknown", 0);
        break;
    }
}

static void reply_key_flags(struct buf *out, int proto, uint32_t flags)
{
    const char *words[KEY_FLAG_WORDS];
    reply_words(out, proto, words, key_flag_words(flags, words));
}

static void reply_key_specs(struct buf *out, int proto, const struct command *cmd)
{
    resp_set(out, proto, cmd->key_spec_count);
    for (uint32_t i = 0; i < cmd->key_spec_count; i++) {
        resp_map(out, proto, 3);
        resp_bulk_str(out, "flags");
        reply_key_flags(out, proto, cmd->keys[i].flags);
        reply_begin(out, proto, &cmd->keys[i]);
        reply_find(out, proto, &cmd->keys[i]);
    }
}

/* --- tips ------------------------------------------------------------------------------------- */

/* What a proxy or a client of several servers may want to know; words of one command apart by a space. */
static const struct {
    const char *command;
    const char *words;
} tips[] = {
#define TIPS(name, words) {name, words},
#include "serve/command_tips.def"
#undef TIPS
};

static void reply_tips(struct buf *out, int proto, const struct command *cmd)
{
    const char *words = "";
    for (size_t i = 0; i < array_len(tips); i++) {
        words = strcmp(tips[i].command, cmd->full_name) == 0 ? tips[i].words : words;
    }
    uint32_t count = *words != '\0';
    for (const char *at = words; *at != '\0'; at++) {
        count += *at == ' ';
    }
    resp_set(out, proto, count);
    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        resp_bulk(out, (struct slice){words, len});
        words += words[len] == ' ' ? len + 1 : len;
    }
}

/* --- INFO ------------------------------------------------------------------------------------- */

static void reply_one_info(struct resp_client *c, const struct command *cmd, bool is_sub)
{
    struct buf *out = &c->conn.out;
    const char *categories[CATEGORY_MAX];
    uint32_t category_count = categories_in_order(cmd, categories);
    resp_array(out, 10);
    resp_bulk_str(out, cmd->full_name);
    resp_integer(out, cmd->arity);
    reply_flags(out, c->proto, cmd);
    resp_integer(out, cmd->first_key);
    resp_integer(out, cmd->last_key);
    resp_integer(out, cmd->key_step);
    reply_words(out, c->proto, categories, category_count);
    reply_tips(out, c->proto, cmd);
    reply_key_specs(out, c->proto, cmd);
    resp_set(out, c->proto, is_sub ? 0 : cmd->sub_count);
}

static void reply_info(struct resp_client *c, const struct command *cmd)
{
    if (cmd == NULL) {
        resp_null(&c->conn.out, c->proto);
        return;
    }
    reply_one_info(c, cmd, false);
    for (uint32_t i = 0; i < cmd->sub_count; i++) {
        reply_one_info(c, &cmd->subs[i], true);
    }
}

void cmd_command(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_array(&c->conn.out, command_count());
    for (uint32_t i = 0; i < command_count(); i++) {
        reply_info(c, command_at(i));
    }
}

void cmd_command_info(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (argc == 2) {
        cmd_command(c, argv, argc);
        return;
    }
    resp_array(&c->conn.out, argc - 2);
    for (uint32_t i = 2; i < argc; i++) {
        reply_info(c, command_find_full(argv[i]));
    }
}

void cmd_command_count(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_integer(c, command_count());
}

/* --- DOCS ------------------------------------------------------------------------------------- */

static void reply_one_docs(struct resp_client *c, const struct command *cmd, bool with_subs)
{
    struct buf *out = &c->conn.out;
    resp_bulk_str(out, cmd->full_name);
    resp_map(out, c->proto, with_subs ? 4 : 3);
    resp_bulk_str(out, "summary");
    resp_bulk_str(out, cmd->summary);
    resp_bulk_str(out, "since");
    resp_bulk_str(out, cmd->since);
    resp_bulk_str(out, "group");
    resp_bulk_str(out, groups[cmd->group].name);
    if (with_subs) {
        resp_bulk_str(out, "subcommands");
        resp_map(out, c->proto, cmd->sub_count);
    }
}

static void reply_docs(struct resp_client *c, const struct command *cmd)
{
    reply_one_docs(c, cmd, cmd->sub_count > 0);
    for (uint32_t i = 0; i < cmd->sub_count; i++) {
        reply_one_docs(c, &cmd->subs[i], false);
    }
}

void cmd_command_docs(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    uint32_t known = 0;
    for (uint32_t i = 2; i < argc; i++) {
        known += command_find_full(argv[i]) != NULL ? 1 : 0;
    }
    resp_map(&c->conn.out, c->proto, argc == 2 ? command_count() : known);
    for (uint32_t i = 0; argc == 2 && i < command_count(); i++) {
        reply_docs(c, command_at(i));
    }
    for (uint32_t i = 2; i < argc; i++) {
        const struct command *cmd = command_find_full(argv[i]);
        if (cmd != NULL) {
            reply_docs(c, cmd);
        }
    }
}

/* --- LIST ------------------------------------------------------------------------------------- */

enum list_filter { LIST_ALL, LIST_MODULE, LIST_ACLCAT, LIST_PATTERN };

uint32_t command_category_count(void)
{
    return array_len(category_names);
}

const char *command_category_at(uint32_t index)
{
    return category_names[index];
}

bool command_category_exists(struct slice name)
{
    bool found = false;
    for (size_t i = 0; i < array_len(category_names) && !found; i++) {
        found = slice_is_nocase(name, category_names[i]);
    }
    return found;
}

bool command_has_category(const struct command *cmd, struct slice name)
{
    const char *categories[CATEGORY_MAX];
    uint32_t count = categories_of(cmd, categories);
    for (uint32_t i = 0; i < count; i++) {
        if (slice_is_nocase(name, categories[i] + 1)) {
            return true;
        }
    }
    return false;
}

static bool is_listed(const struct command *cmd, enum list_filter filter, struct slice arg)
{
    switch (filter) {
    case LIST_ALL:
        return true;
    case LIST_MODULE:
        return false;
    case LIST_ACLCAT:
        return command_has_category(cmd, arg);
    case LIST_PATTERN:
        return glob_match(arg, slice_of(cmd->full_name), true);
    }
    unreachable();
}

static void list_one(struct buf *out, const struct command *cmd, enum list_filter filter,
                     struct slice arg, uint32_t *count)
{
    if (is_listed(cmd, filter, arg)) {
        resp_bulk_str(out, cmd->full_name);
        (*count)++;
    }
}

static bool parse_filter(struct resp_client *c, const struct slice *argv, uint32_t argc,
                         enum list_filter *ret_filter)
{
    static const char *const names[] = {
        [LIST_MODULE] = "module", [LIST_ACLCAT] = "aclcat", [LIST_PATTERN] = "pattern"};
    *ret_filter = LIST_ALL;
    if (argc == 2) {
        return true;
    }
    for (size_t i = LIST_MODULE; argc == 5 && i < array_len(names); i++) {
        if (slice_is_nocase(argv[2], "filterby") && slice_is_nocase(argv[3], names[i])) {
            *ret_filter = (enum list_filter)i;
            return true;
        }
    }
    reply_syntax(c);
    return false;
}

void cmd_command_list(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    enum list_filter filter;
    if (!parse_filter(c, argv, argc, &filter)) {
        return;
    }
    struct slice arg = argc == 5 ? argv[4] : (struct slice){NULL, 0};
    struct buf names;
    uint32_t count = 0;
    buf_init(&names);
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        list_one(&names, cmd, filter, arg, &count);
        for (uint32_t j = 0; j < cmd->sub_count; j++) {
            list_one(&names, &cmd->subs[j], filter, arg, &count);
        }
    }
    resp_array(&c->conn.out, count);
    buf_append_slice(&c->conn.out, buf_readable(&names));
    buf_fini(&names);
}

/* --- GETKEYS ---------------------------------------------------------------------------------- */

/* The command in argv[2] and its keys; NULL after replying. */
static const struct command *find_keys(struct resp_client *c, const struct slice *argv,
                                       uint32_t argc, struct command_keys *ret_keys)
{
    const struct command *cmd = command_find(argv[2]);
    uint32_t given = argc - 2;
    if (cmd != NULL && cmd->sub_count > 0 && given > 1) {
        cmd = command_find_sub(cmd, argv[3]);
    }
    if (cmd == NULL) {
        resp_error(&c->conn.out, "ERR Invalid command specified");
        return NULL;
    }
    if (!command_has_keys(cmd)) {
        resp_error(&c->conn.out, "ERR The command has no key arguments");
        return NULL;
    }
    if (!command_takes(cmd, given)) {
        resp_error(&c->conn.out, "ERR Invalid number of arguments specified for command");
        return NULL;
    }
    bool needs_none = cmd->group == COMMAND_GROUP_SCRIPTING; /* EVAL with 0 keys, or too many */
    if (!command_keys_find(cmd, argv + 2, given, ret_keys) && !needs_none) {
        resp_error(&c->conn.out, "ERR Invalid arguments specified for command");
        return NULL;
    }
    return cmd;
}

static void reply_keys(struct resp_client *c, const struct slice *argv, uint32_t argc,
                       bool with_flags)
{
    struct command_keys keys;
    const struct command *cmd = find_keys(c, argv, argc, &keys);
    if (cmd == NULL) {
        return;
    }
    uint32_t count = 0;
    for (uint32_t r = 0; r < keys.run_count; r++) {
        count += keys.runs[r].count;
    }
    resp_array(&c->conn.out, count);
    for (uint32_t r = 0; r < keys.run_count; r++) {
        for (uint32_t i = 0; i < keys.runs[r].count; i++) {
            if (with_flags) {
                resp_array(&c->conn.out, 2);
            }
            reply_bulk(c, argv[2 + keys.runs[r].first + i * keys.runs[r].step]);
            if (with_flags) {
                reply_key_flags(&c->conn.out, c->proto, keys.runs[r].flags);
            }
        }
    }
}

void cmd_command_getkeys(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_keys(c, argv, argc, false);
}

void cmd_command_getkeysandflags(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_keys(c, argv, argc, true);
}

void cmd_command_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    Return details about all commands.",
        "COUNT",
        "    Return the total number of commands in this server.",
        "DOCS [<command-name> ...]",
        "    Return documentation about commands.",
        "GETKEYS <full-command>",
        "    Return the keys from a full command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full command.",
        "INFO [<command-name> ...]",
        "    Return details about multiple commands.",
        "LIST [FILTERBY <filter> <value>]",
        "    Return a list of all commands. Filters: MODULE, ACLCAT, PATTERN.",
    };
    reply_help(c, "COMMAND", lines, array_len(lines));
}
