/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A user, and the words that make one ("on", ">secret", "~cache:*", "+@read"): for users.c,
 * users_policy.c and cmd/acl.c. What a user may (user_check(), user_is_full()) is declared in
 * users.h.
 *
 * Source: redis.io "Access Control List". Threads: the owner of a user that is being made; reading:
 * anybody.
 */
#ifndef SERVE_USER_H
#define SERVE_USER_H

#include "base/sha256.h"
#include "serve/users.h"

struct user_pattern {
    bool reads, writes; /* keys only */
    struct slice text;  /* malloc'ed */
};

/* A command that may run with this first argument, although its bit is not set. */
struct user_first {
    uint32_t place;
    char *arg;
};

struct user {
    struct list node;      /* users.c: all of them */
    _Atomic uint32_t refs; /* acq_rel: the last one frees */
    char *name;
    bool is_on;
    bool nopass;
    bool is_policy_default; /* its password is the policy's */
    bool from_policy;       /* stands in `users`: a reload puts it back, or away */
    bool sanitizes;
    bool all_keys, all_channels;
    uint32_t password_count;
    char (*passwords)[SHA256_HEX];
    uint32_t key_count;
    struct user_pattern *keys;
    uint32_t channel_count;
    struct user_pattern *channels;
    uint64_t *commands; /* a bit for each place in the command table */
    uint32_t first_count;
    struct user_first *firsts;
    struct buf rules; /* "-@all +get": as told */
    uint32_t selector_count;
    struct user **selectors; /* further sets of rules, each a user without a name */
};

/* No rights, off; the one reference is the caller's. */
struct user *user_create(struct slice name);
/* A user of its own, with the same name and rules. */
struct user *user_copy(const struct user *u);
/* Both: NULL is fine. */
struct user *user_ref(struct user *u);
void user_unref(struct user *u);
/* One word. NULL, or why not, in Redis's words (static); then nothing has changed. */
const char *user_apply(struct user *u, struct slice word);
/* Takes as long for every wrong one. True for any when the user needs none. */
bool user_has_password(const struct user *u, struct slice password);
/* `is_pattern`: PSUBSCRIBE's. */
bool user_may_listen(const struct user *u, struct slice channel, bool is_pattern);
/* "on #1234... ~* &* +@all", as ACL LIST tells it. */
void user_describe(const struct user *u, struct buf *out);
/* "~* &* +@all": of the user itself, or of a selector. */
void user_describe_rights(const struct user *u, struct buf *out);
/* The parts of it. */
void user_describe_keys(const struct user *u, struct buf *out);
void user_describe_channels(const struct user *u, struct buf *out);

/* Joins what lies between parentheses: {"on", "(+get", "~x)"} becomes {"on", "(+get ~x)"}.
 * `ret_joined`, at least `count` of them, borrow from `words` and `room`. False: `ret_open` is the
 * word whose parenthesis stays open. */
bool user_join_selectors(const struct slice *words, uint32_t count, struct buf *room,
                         struct slice *ret_joined, uint32_t *ret_count, struct slice *ret_open);

/* --- between user.c, user_commands.c, user_rules.c and user_selectors.c ----------------------- */

/* "(+get ~x)". As user_apply(). */
const char *user_add_selector(struct user *u, struct slice word);
void user_copy_selectors(struct user *u, const struct user *from);
void user_forget_selectors(struct user *u);

/* A rule about commands: '+' or '-' and a name. As user_apply(). */
const char *user_apply_command(struct user *u, struct slice word);
/* Copies the text; adds to the rights of a pattern that is there already. */
void user_add_pattern(struct user_pattern **list, uint32_t *count, struct user_pattern p);
void user_forget_patterns(struct user_pattern **list, uint32_t *count);
/* Copies the text. */
void user_add_first(struct user *u, uint32_t place, struct slice arg);
/* Those of one command. */
void user_forget_firsts(struct user *u, uint32_t place);

/* How many words `commands` has. */
static inline size_t user_command_words(void)
{
    return (command_total() + 63) / 64;
}

#endif
