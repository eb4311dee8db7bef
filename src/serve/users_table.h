/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of users, for users.c, acl_log.c and cmd/acl.c. */
#ifndef SERVE_USERS_TABLE_H
#define SERVE_USERS_TABLE_H

#include "serve/user.h"

struct users {
    struct lock lock;
    struct list all;          /* lock */
    struct list log;          /* lock: acl_log.c's entries, newest first */
    uint64_t log_count;       /* lock */
    uint64_t next_log_id;     /* lock */
    _Atomic uint64_t version; /* release: after a change; acquire: connections */
};

/* A reference, NULL when there is none of that name. */
struct user *users_take(struct server *s, struct slice name);
/* Takes the reference; replaces one of the same name. */
void users_put(struct server *s, struct user *u);
bool users_remove(struct server *s, struct slice name);
/* After users_put() and users_remove(): connections that are silent find out too. */
void users_tell(struct server *s);
/* As the policy has them; references. */
struct user *users_make(const struct policy_user *of);
struct user *users_make_default(const struct policy *p);
typedef void users_fn(void *arg, const struct user *u);
/* `fn` may not call users. */
void users_each(struct server *s, users_fn *fn, void *arg);

#endif
