/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A user's rules, and the words that make them ("on", ">secret", "~cache:*", "+@read"): for users.c and
 * cmd/acl.c.
 *
 * Source: redis.io "Access Control List". Threads: the owner of a user that is being made; reading: anybody.
 */
#ifndef SERVE_USER_RULES_H
#define SERVE_USER_RULES_H

#include "base/sha256.h"
#include "serve/users.h"

struct user_pattern {
    bool reads, writes; /* keys only */
    struct slice text;  /* malloc'ed */
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
    struct buf rules;   /* "-@all +get": as told */
};

/* No rights, off. */
struct user *user_create(struct slice name);
struct user *user_copy(const struct user *u);
void user_unref(struct user *u);
/* One word. NULL, or why not (static). */
const char *user_apply(struct user *u, struct slice word);
bool user_has_password(const struct user *u, struct slice password);
bool user_may_listen(const struct user *u, struct slice channel, bool is_pattern);
/* "on #1234... ~* &* +@all", as ACL LIST tells it. */
void user_describe(const struct user *u, struct buf *out);
/* The parts of it. */
void user_describe_keys(const struct user *u, struct buf *out);
void user_describe_channels(const struct user *u, struct buf *out);

#endif
