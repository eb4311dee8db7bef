/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Users of the Redis face: who may run which commands on which keys and channels (Redis's ACL).
 *
 * There is always a user "default", whose password is the policy's `auth` until ACL SETUSER gives
 * it another. Others come from the policy's `users` and from ACL SETUSER; those of SETUSER are gone
 * after a restart. A reload puts the policy's users back to what it says, and removes those that it
 * no longer names.
 *
 * A user never changes: a SETUSER makes a new one in its place, and each connection finds out at
 * its next command (`users_version`). Who has every right pays one branch a command.
 *
 * Threads: any worker's. Lock: rank watch.
 */
#ifndef SERVE_USERS_H
#define SERVE_USERS_H

#include "serve/resp_client.h"

struct users;
struct user;

struct users *users_create(const struct policy *p);
void users_destroy(struct users **u);

/* A reload: the users of `p` in the place of those of the policy before. Any thread. */
void users_reload(struct server *s, const struct policy *p);

/* A connection begins: as "default", authenticated when that needs no password. */
void users_begin(struct resp_client *c);
void users_end(struct resp_client *c);
/* False: no such user, disabled, or another password. */
bool users_authenticate(struct resp_client *c, struct slice name, struct slice password);
/* The user may have changed since the last command: looks again. False: it is gone, and the
 * connection closes. */
bool users_refresh(struct resp_client *c);

const char *client_user_name(const struct resp_client *c);
/* CONFIG SET requirepass: the default user's only password; "": it needs none. */
void users_set_default_password(struct server *s, struct slice password);
bool users_exist(struct server *s, struct slice name);
/* Every command, key and channel. */
bool user_is_full(const struct user *u);

enum user_denial { USER_MAY, USER_NO_COMMAND, USER_NO_KEY, USER_NO_CHANNEL };
/* `ret_what`: the key or channel. */
enum user_denial user_check(const struct user *u, const struct command *cmd,
                            const struct slice *argv, uint32_t argc, struct slice *ret_what);

/* False after replying NOPERM. */
bool users_admit(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                 uint32_t argc);
/* What a script of this client wants to run; false, and nothing said. Client's worker. */
bool users_admit_script(struct resp_client *caller, const struct command *cmd,
                        const struct slice *argv, uint32_t argc);
/* The user of this name as it is now, for a command that was admitted and has waited since: false
 * after NOPERM was appended to `out`. NULL: may everything; a user that is gone is another's
 * affair. Any worker. */
bool users_still_admit(struct server *s, const struct user *u, const struct command *cmd,
                       const struct slice *argv, uint32_t argc, struct buf *out);

#endif
