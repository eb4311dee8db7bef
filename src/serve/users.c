/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of users, and who is who.
 *
 * A connection holds a reference to its user and remembers the table's version. When the version has moved it
 * looks again by name: a changed user is taken over, one that is gone closes the connection. The version is
 * read once a command, together with the other alerts (ALERT_USERS is set once the table first changes); and
 * users_tell() has every worker look at those who are silent, or only listen.
 *
 * Threads: any worker's. Lock: rank watch; users themselves never change and are freed with their last
 * reference.
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

static struct user *ref_user(struct user *u)
{
    if (u != NULL) {
        (void)atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
    }
    return u;
}

struct user *users_take(struct server *s, struct slice name)
{
    lock_acquire(&s->users->lock);
    struct user *u = ref_user(find_user(s->users, name));
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

bool users_authenticate(struct resp_client *c, struct slice name, struct slice password)
{
    struct user *u = users_take(c->worker->server, name);
    if (u == NULL || !u->is_on || !has_password(c, u, password)) {
        user_unref(u);
        acl_log_note(c, ACL_LOG_AUTH, SLICE("AUTH"), name);
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

bool users_admit(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                 uint32_t argc)
{
    struct slice what = {NULL, 0};
    enum user_denial denial = user_check(c->user, cmd, argv, argc, &what);
    switch (denial) {
    case USER_MAY:
        return true;
    case USER_NO_COMMAND:
        resp_error(&c->conn.out, "NOPERM User %s has no permissions to run the '%s' command",
                   client_user_name(c), cmd->full_name);
        acl_log_note(c, ACL_LOG_COMMAND, slice_of(cmd->full_name), slice_of(client_user_name(c)));
        break;
    case USER_NO_KEY:
        resp_error(&c->conn.out, "NOPERM No permissions to access a key");
        acl_log_note(c, ACL_LOG_KEY, what, slice_of(client_user_name(c)));
        break;
    case USER_NO_CHANNEL:
        resp_error(&c->conn.out, "NOPERM No permissions to access a channel");
        acl_log_note(c, ACL_LOG_CHANNEL, what, slice_of(client_user_name(c)));
        break;
    }
    return false;
}
