/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The users of the policy file: judged, made, and replaced by a reload.
 *
 * The policy module has checked their form. What a rule means, serve knows: each word is applied to
 * a user that is thrown away, and a refusal becomes a complaint with the word's line; a command or
 * category that does not exist is told together with the nearest that does.
 *
 * "default" begins with every right, and is open or has the policy's password; the words of the
 * file come on top. Any other user begins switched on, with no right at all.
 *
 * A reload compares nothing: each user of the file is made anew, which also undoes an ACL SETUSER
 * of it. Users that only SETUSER has made are left alone.
 *
 * Threads: any; the table has its lock.
 */
#include "base/alloc.h"
#include "serve/cmd/server.h"
#include "serve/server.h"
#include "serve/users_table.h"

#include <stdlib.h>

/* --- making ----------------------------------------------------------------------------------- */

static void add_password(struct user *u, const char hash[SHA256_HEX])
{
    char word[1 + SHA256_HEX];
    (void)snprintf(word, sizeof(word), "#%s", hash);
    check(user_apply(u, slice_of(word)) == NULL);
}

/* The rules have been judged when the policy was loaded. */
static void apply_rules(struct user *u, const struct policy_user *of)
{
    for (uint32_t i = 0; i < of->rule_count; i++) {
        (void)user_apply(u, slice_of(of->rules[i].word));
    }
    u->from_policy = true;
}

struct user *users_make(const struct policy_user *of)
{
    struct user *u = user_create(slice_of(of->name));
    u->is_on = true;
    if (of->password_sha256 != NULL) {
        add_password(u, of->password_sha256);
    }
    apply_rules(u, of);
    return u;
}

struct user *users_make_default(const struct policy *p)
{
    static const char *const words[] = {"on", "+@all", "~*", "&*"};
    struct user *u = user_create(SLICE("default"));
    for (size_t i = 0; i < array_len(words); i++) {
        check(user_apply(u, slice_of(words[i])) == NULL);
    }
    if (p->auth.password == NULL) {
        u->nopass = true;
    } else {
        char hash[SHA256_HEX];
        sha256_hex(slice_of(p->auth.password), hash);
        add_password(u, hash);
    }
    u->is_policy_default = true;
    for (uint32_t i = 0; i < p->user_count; i++) {
        if (strcmp(p->users[i].name, "default") == 0) {
            apply_rules(u, &p->users[i]);
        }
    }
    if (p->default_is_off) {
        u->is_on = false;
        u->from_policy = true;
    }
    return u;
}

void users_set_default_password(struct server *s, struct slice password)
{
    struct user *old = users_take(s, SLICE("default"));
    struct user *u = user_copy(old);
    user_unref(old);
    char hash[SHA256_HEX];
    sha256_hex(password, hash);
    check(user_apply(u, password.len == 0 ? SLICE("nopass") : SLICE("resetpass")) == NULL);
    if (password.len > 0) {
        add_password(u, hash);
    }
    users_put(s, u);
}

/* --- reloading -------------------------------------------------------------------------------- */

struct names {
    const struct policy *policy;
    char **list; /* of users that the policy no longer names */
    uint32_t count;
    bool default_was_changed;
};

static bool is_named(const struct policy *p, const char *name)
{
    bool found = false;
    for (uint32_t i = 0; i < p->user_count; i++) {
        found = found || strcmp(p->users[i].name, name) == 0;
    }
    return found;
}

static void note_gone(void *arg, const struct user *u)
{
    struct names *gone = arg;
    if (strcmp(u->name, "default") == 0) {
        gone->default_was_changed = u->from_policy;
    } else if (u->from_policy && !is_named(gone->policy, u->name)) {
        gone->list = xrealloc(gone->list, (gone->count + 1) * sizeof(*gone->list));
        gone->list[gone->count++] = xstrdup(u->name);
    }
}

void users_reload(struct server *s, const struct policy *p)
{
    struct names gone = {.policy = p};
    users_each(s, note_gone, &gone);
    for (uint32_t i = 0; i < gone.count; i++) {
        (void)users_remove(s, slice_of(gone.list[i]));
        free(gone.list[i]);
    }
    free(gone.list);
    if (gone.default_was_changed || p->default_is_off || is_named(p, "default")) {
        users_put(s, users_make_default(p));
    }
    for (uint32_t i = 0; i < p->user_count; i++) {
        if (strcmp(p->users[i].name, "default") != 0) {
            users_put(s, users_make(&p->users[i]));
        }
    }
    users_tell(s);
}

/* --- judging ---------------------------------------------------------------------------------- */

struct nearest {
    const char *given;
    const char *best;
    unsigned distance;
};

static void consider(struct nearest *n, const char *word)
{
    unsigned distance;
    if (policy_is_slip(n->given, word, &distance) && (n->best == NULL || distance < n->distance)) {
        n->best = word;
        n->distance = distance;
    }
}

static void append_categories(struct buf *out)
{
    buf_append_str(out, "; the categories are all");
    for (uint32_t i = 0; i < command_category_count(); i++) {
        buf_printf(out, ", %s", command_category_at(i));
    }
}

/* "+@raed": there is no such category; did you mean `read`? */
static void append_unknown(struct buf *out, const char *word)
{
    bool is_category = word[1] == '@';
    struct nearest n = {.given = word + (is_category ? 2 : 1)};
    for (uint32_t i = 0; is_category && i < command_category_count(); i++) {
        consider(&n, command_category_at(i));
    }
    for (uint32_t i = 0; !is_category && i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        consider(&n, cmd->full_name);
        for (uint32_t j = 0; j < cmd->sub_count; j++) {
            consider(&n, cmd->subs[j].full_name);
        }
    }
    buf_printf(out, "there is no such %s", is_category ? "category" : "command");
    if (n.best != NULL) {
        buf_printf(out, "; did you mean `%.*s%s`?", is_category ? 2 : 1, word, n.best);
    } else if (is_category) {
        append_categories(out);
    } else {
        buf_append_str(out,
                       "; docs/reference/commands.md lists them, `+@read` and the like allow many");
    }
}

static void append_syntax(struct buf *out)
{
    buf_append_str(out, "no rule; write on, off, nopass, reset, +command, -command, +@category, "
                        "-@category, allcommands, ~key*, %R~key*, %W~key*, allkeys, &channel*, "
                        "allchannels, >password, #sha256 or a selector (+command ~key*)");
}

static bool judge_rule(struct user *scratch, const struct policy *p, const struct policy_user *of,
                       const struct policy_rule *rule, struct buf *complaints)
{
    const char *why = user_apply(scratch, slice_of(rule->word));
    if (why == NULL) {
        return true;
    }
    bool is_secret = strchr("><#!", *rule->word) != NULL;
    buf_printf(complaints, "%s:%u:%u: users.%s.rules: `%s`: ", p->file, rule->line, rule->column,
               of->name, is_secret ? "(a password)" : rule->word);
    if (strcmp(why, "Syntax error") == 0) {
        append_syntax(complaints);
    } else if (strncmp(why, "Unknown command", 15) == 0) {
        append_unknown(complaints, rule->word);
    } else {
        buf_append_str(complaints, why);
    }
    buf_append_char(complaints, '\n');
    return false;
}

static bool judge(const struct policy *p, struct buf *complaints)
{
    bool ok = true;
    for (uint32_t i = 0; i < p->user_count; i++) {
        const struct policy_user *of = &p->users[i];
        struct user *scratch = user_create(slice_of(of->name));
        for (uint32_t j = 0; j < of->rule_count; j++) {
            ok = judge_rule(scratch, p, of, &of->rules[j], complaints) && ok;
        }
        user_unref(scratch);
    }
    return ok;
}

const struct policy *server_policy_load(const char *file, struct buf *complaints)
{
    command_setup();
    const struct policy *p = policy_load(file, complaints);
    if (p != NULL && !judge(p, complaints)) {
        policy_unload(&p);
    }
    return p;
}
