/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of users, and who is who.
 *
 * A connection holds a reference to its user and remembers the table's version. When the version
 * has moved it looks again by name: a changed user is taken over, one that is gone closes the
 * connection. The version is read once a command, together with the other alerts (ALERT_USERS is
 * set once the table first changes); and users_tell() has every worker look at those who are
 * silent, or only listen.
 *
 * Threads: any worker's. Lock: rank watch; users themselves never change and are freed with their
 * last reference.
 */
#include "serve/user.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "serve/acl_log.h"
#include "serve/pubsub.h"
#include "serve/users_table.h"

#include <stdlib.h>

/* --- the table: with the lock ----------------------------------------------------------------- */

static struct user *find_user(const struct users *t, struct slice name)
{
    list_for_each (node, &t->all) {
        struct user *u = container_of(node, struct user, node);
        if (slice_is(name, u->name)) {
            return u;
        }
    }
    return NULL;
}

struct user *users_take(struct server *s, struct slice name)
{
    lock_acquire(&s->users->lock);
    struct user *u = user_ref(find_user(s->users, name));
    lock_release(&s->users->lock);
    return u;
}

static void changed(struct server *s)
{
    (void)atomic_fetch_add_explicit(&s->users->version, 1, memory_order_release);
    atomic_fetch_or_explicit(&s->alert, ALERT_USERS, memory_order_relaxed);
}

void users_put(struct server *s, struct user *u)
{
    lock_acquire(&s->users->lock);
    struct user *old = find_user(s->users, slice_of(u->name));
    if (old != NULL) {
        list_push_back(&old->node, &u->node); /* in its place */
        list_remove(&old->node);
    } else {
        list_push_back(&s->users->all, &u->node);
    }
    changed(s);
    lock_release(&s->users->lock);
    user_unref(old);
}

bool users_remove(struct server *s, struct slice name)
{
    lock_acquire(&s->users->lock);
    struct user *old = find_user(s->users, name);
    if (old != NULL) {
        list_remove(&old->node);
        changed(s);
    }
    lock_release(&s->users->lock);
    user_unref(old);
    return old != NULL;
}

void users_each(struct server *s, users_fn *fn, void *arg)
{
    lock_acquire(&s->users->lock);
    list_for_each (node, &s->users->all) {
        fn(arg, container_of(node, struct user, node));
    }
    lock_release(&s->users->lock);
}

bool users_exist(struct server *s, struct slice name)
{
    struct user *u = users_take(s, name);
    user_unref(u);
    return u != NULL;
}

struct users *users_create(const struct policy *p)
{
    struct users *t = xcalloc(1, sizeof(*t));
    lock_init(&t->lock, LOCK_RANK_WATCH);
    list_init(&t->all);
    list_init(&t->log);
    list_push_back(&t->all, &users_make_default(p)->node);
    for (uint32_t i = 0; i < p->user_count; i++) {
        if (strcmp(p->users[i].name, "default") != 0) {
            list_push_back(&t->all, &users_make(&p->users[i])->node);
        }
    }
    return t;
}

void users_destroy(struct users **tp)
{
    struct users *t = *tp;
    *tp = NULL;
    struct list *node;
    while ((node = list_pop_front(&t->all)) != NULL) {
        user_unref(container_of(node, struct user, node));
    }
    acl_log_clear(t);
    lock_fini(&t->lock);
    free(t);
}

/* --- connections ------------------------------------------------------------------------------ */

static uint64_t version_now(const struct resp_client *c)
{
    return atomic_load_explicit(&c->worker->server->users->version, memory_order_acquire);
}

/* Takes the reference. */
static void become(struct resp_client *c, struct user *u)
{
    user_unref(c->user);
    c->user = u;
    client_watch_admission(c);
}

void users_begin(struct resp_client *c)
{
    const char *secret = c->worker->plan->policy->auth.password;
    c->users_version = version_now(c);
    become(c, users_take(c->worker->server, SLICE("default")));
    const struct user *u = c->user;
    bool open = u->is_policy_default ? secret == NULL : u->nopass;
    client_set_authenticated(c, u->is_on && open);
}

void users_end(struct resp_client *c)
{
    user_unref(c->user);
    c->user = NULL;
}

/* The default user's password is the policy's as it is now, after reloads too. */
static bool has_password(const struct resp_client *c, const struct user *u, struct slice password)
{
    if (!u->is_policy_default) {
        return user_has_password(u, password);
    }
    const char *secret = c->worker->plan->policy->auth.password;
    char given[SHA256_HEX];
    char wanted[SHA256_HEX];
    sha256_hex(password, given);
    sha256_hex(slice_of(secret), wanted);
    return secret == NULL || memcmp(given, wanted, sizeof(given)) == 0;
}

static enum acl_log_context context_of(const struct resp_client *c)
{
    return c->in_exec || c->in_multi ? ACL_LOG_MULTI : ACL_LOG_TOPLEVEL;
}

bool users_authenticate(struct resp_client *c, struct slice name, struct slice password)
{
    struct user *u = users_take(c->worker->server, name);
    if (u == NULL || !u->is_on || !has_password(c, u, password)) {
        user_unref(u);
        acl_log_note(c, context_of(c), ACL_LOG_AUTH, SLICE("AUTH"), name);
        return false;
    }
    become(c, u);
    client_set_authenticated(c, true);
    return true;
}

/* What was answered before still goes out; nothing is published to it any more. */
static void shut_out(struct resp_client *c)
{
    pubsub_leave(c);
    conn_close_after_flush(&c->conn);
}

bool users_refresh(struct resp_client *c)
{
    uint64_t version = version_now(c);
    if (version == c->users_version || c->user == NULL) {
        return true;
    }
    c->users_version = version;
    struct user *u = users_take(c->worker->server, slice_of(c->user->name));
    if (u == NULL) {
        shut_out(c);
        return false;
    }
    become(c, u);
    return true;
}

static bool may_still_listen(void *arg, struct slice name, bool is_pattern)
{
    return user_may_listen(arg, name, is_pattern);
}

static void look_again(struct conn *conn, void *arg)
{
    (void)arg;
    if (!resp_client_is(conn) || conn->closing) {
        return;
    }
    struct resp_client *c = container_of(conn, struct resp_client, conn);
    if (!users_refresh(c)) {
        return;
    }
    if (c->user != NULL && !c->user->all_channels && !pubsub_all(c, may_still_listen, c->user)) {
        shut_out(c);
    }
}

struct change_mail {
    struct mail mail;
    struct worker *worker;
};

static void change_arrived(struct mail *m)
{
    struct change_mail *cm = container_of(m, struct change_mail, mail);
    role_assume(&worker_role);
    conn_each(cm->worker->loop, look_again, NULL);
    free(cm);
}

void users_tell(struct server *s)
{
    for (uint32_t i = 0; i < s->worker_count; i++) {
        struct change_mail *cm = xcalloc(1, sizeof(*cm));
        cm->worker = &s->workers[i];
        mailbox_post(loop_mailbox(s->workers[i].loop), &cm->mail, change_arrived);
    }
}

const char *client_user_name(const struct resp_client *c)
{
    return c->user != NULL ? c->user->name : "default";
}

/* Why not, in Redis's words. */
static void say_denial(struct buf *out, enum user_denial denial, const char *name,
                       const struct command *cmd)
{
    if (denial == USER_NO_COMMAND) {
        resp_error(out, "NOPERM User %s has no permissions to run the '%s' command", name,
                   cmd->full_name);
    } else {
        resp_error(out, "NOPERM No permissions to access a %s",
                   denial == USER_NO_KEY ? "key" : "channel");
    }
}

static enum user_denial check_and_log(struct resp_client *c, enum acl_log_context context,
                                      const struct command *cmd, const struct slice *argv,
                                      uint32_t argc)
{
    static const enum acl_log_reason reasons[] = {[USER_NO_COMMAND] = ACL_LOG_COMMAND,
                                                  [USER_NO_KEY] = ACL_LOG_KEY,
                                                  [USER_NO_CHANNEL] = ACL_LOG_CHANNEL};
    struct slice what = {NULL, 0};
    enum user_denial denial = user_check(c->user, cmd, argv, argc, &what);
    if (denial != USER_MAY) {
        what = denial == USER_NO_COMMAND ? slice_of(cmd->full_name) : what;
        acl_log_note(c, context, reasons[denial], what, slice_of(client_user_name(c)));
    }
    return denial;
}

bool users_admit(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                 uint32_t argc)
{
    const struct command *before = c->last;
    c->last = c->in_exec ? c->last : cmd; /* as the log tells it */
    enum user_denial denial = check_and_log(c, context_of(c), cmd, argv, argc);
    if (denial == USER_MAY) {
        c->last = before;
        return true;
    }
    say_denial(&c->conn.out, denial, client_user_name(c), cmd);
    return false;
}

bool users_admit_script(struct resp_client *caller, const struct command *cmd,
                        const struct slice *argv, uint32_t argc)
{
    return caller->authenticated &&
           (caller->user == NULL ||
            check_and_log(caller, ACL_LOG_SCRIPT, cmd, argv, argc) == USER_MAY);
}

bool users_still_admit(struct server *s, const struct user *u, const struct command *cmd,
                       const struct slice *argv, uint32_t argc, struct buf *out)
{
    uint32_t alert = atomic_load_explicit(&s->alert, memory_order_relaxed);
    if (u == NULL || (alert & ALERT_USERS) == 0) {
        return true;
    }
    struct slice ignored;
    struct user *now = users_take(s, slice_of(u->name));
    enum user_denial denial = now != NULL ? user_check(now, cmd, argv, argc, &ignored) : USER_MAY;
    user_unref(now);
    if (denial != USER_MAY) {
        say_denial(out, denial, u->name, cmd);
    }
    return denial == USER_MAY;
}
