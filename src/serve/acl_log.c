/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log of denials: a list under the lock of the users' table, at most `acllog-max-len` entries.
 *
 * Threads: any worker's.
 */
#include "serve/acl_log.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/number.h"
#include "serve/roll_call.h"
#include "serve/users_table.h"

#include <stdio.h>
#include <stdlib.h>

enum { SAME_FOR_MS = 60000 };

struct denial {
    struct list node;
    uint64_t id;
    uint64_t count;
    uint64_t created_ms; /* wall, as the next; told as they are */
    uint64_t updated_ms;
    uint64_t seen_ms; /* monotonic: what its age is counted from */
    enum acl_log_reason reason;
    const char *context; /* static */
    char *object;
    char *user;
    char *client;
};

static void free_denial(struct denial *d)
{
    free(d->object);
    free(d->user);
    free(d->client);
    free(d);
}

static void trim(struct users *t, uint64_t max)
{
    while (t->log_count > max) {
        struct list *last = t->log.prev;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): loses the ring in a loop that frees */
        list_remove(last);
        free_denial(container_of(last, struct denial, node));
        t->log_count--;
    }
}

void acl_log_clear(struct users *t)
{
    trim(t, 0);
}

static struct denial *find_same(const struct users *t, const struct denial *d)
{
    list_for_each (node, &t->log) {
        struct denial *old = container_of(node, struct denial, node);
        if (old->reason == d->reason && old->context == d->context &&
            strcmp(old->object, d->object) == 0 && strcmp(old->user, d->user) == 0 &&
            d->seen_ms - old->seen_ms < SAME_FOR_MS) {
            return old;
        }
    }
    return NULL;
}

static void count_denial(struct worker *w, enum acl_log_reason reason)
{
    switch (reason) {
    case ACL_LOG_AUTH:
        serve_count(w, denied_auth);
        break;
    case ACL_LOG_COMMAND:
        serve_count(w, denied_command);
        break;
    case ACL_LOG_KEY:
        serve_count(w, denied_key);
        break;
    case ACL_LOG_CHANNEL:
        serve_count(w, denied_channel);
        break;
    }
}

void acl_log_note(struct resp_client *c, enum acl_log_context context, enum acl_log_reason reason,
                  struct slice object, struct slice user)
{
    static const char *const contexts[] = {"toplevel", "multi", "lua"};
    struct server *s = c->worker->server;
    struct users *t = s->users;
    count_denial(c->worker, reason);
    struct denial *d = xcalloc(1, sizeof(*d));
    struct buf client;
    buf_init(&client);
    client_describe(c, &client);
    list_init(&d->node);
    d->reason = reason;
    d->context = contexts[context];
    d->object = xstrndup(object.len > 0 ? object.ptr : "", object.len);
    d->user = xstrndup(user.len > 0 ? user.ptr : "", user.len);
    d->client = xstrndup(buf_readable(&client).ptr, buf_len(&client));
    d->count = 1;
    d->created_ms = d->updated_ms = clock_wall_ms();
    d->seen_ms = clock_now_ms();
    buf_fini(&client);
    lock_acquire(&t->lock);
    struct denial *same = find_same(t, d);
    if (same != NULL) { /* takes the new place, with the old number and count */
        d->id = same->id;
        d->count = same->count + 1;
        d->created_ms = same->created_ms;
        list_remove(&same->node);
        free_denial(same);
        t->log_count--;
    } else {
        d->id = t->next_log_id++;
    }
    list_push_front(&t->log, &d->node);
    t->log_count++;
    trim(t, setting_get(&s->settings.acllog_max));
    lock_release(&t->lock);
}

/* --- ACL LOG ---------------------------------------------------------------------------------- */

static void pair(struct buf *out, const char *name, const char *text)
{
    resp_bulk_str(out, name);
    resp_bulk_str(out, text);
}

static void print(struct buf *out, int proto, const struct denial *d, uint64_t now_ms)
{
    static const char *const reasons[] = {"auth", "command", "key", "channel"};
    resp_map(out, proto, 10);
    resp_bulk_str(out, "count");
    resp_integer(out, (int64_t)d->count);
    pair(out, "reason", reasons[d->reason]);
    pair(out, "context", d->context);
    pair(out, "object", d->object);
    pair(out, "username", d->user);
    resp_bulk_str(out, "age-seconds");
    resp_double(out, proto, (double)(now_ms - d->seen_ms) / 1000.0);
    pair(out, "client-info", d->client);
    resp_bulk_str(out, "entry-id");
    resp_integer(out, (int64_t)d->id);
    resp_bulk_str(out, "timestamp-created");
    resp_integer(out, (int64_t)d->created_ms);
    resp_bulk_str(out, "timestamp-last-updated");
    resp_integer(out, (int64_t)d->updated_ms);
}

void cmd_acl_log(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct users *t = c->worker->server->users;
    int64_t wanted = 10;
    if (argc > 3) {
        resp_error(&c->conn.out,
                   "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ACL HELP.",
                   (int)argv[1].len, argv[1].ptr);
        return;
    }
    if (argc == 3 && slice_is_nocase(argv[2], "reset")) {
        lock_acquire(&t->lock);
        acl_log_clear(t);
        lock_release(&t->lock);
        reply_ok(c);
        return;
    }
    if (argc == 3 && !arg_integer(c, argv[2], &wanted)) {
        return;
    }
    wanted = wanted < 0 ? 0 : wanted;
    struct buf text;
    uint64_t told = 0;
    uint64_t now_ms = clock_now_ms();
    buf_init(&text);
    lock_acquire(&t->lock);
    list_for_each (node, &t->log) {
        if (told < (uint64_t)wanted) {
            print(&text, c->proto, container_of(node, struct denial, node), now_ms);
            told++;
        }
    }
    lock_release(&t->lock);
    resp_array(&c->conn.out, told);
    if (client_room(c, buf_len(&text))) {
        buf_append_slice(&c->conn.out, buf_readable(&text));
    }
    buf_fini(&text);
}
