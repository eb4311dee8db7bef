/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SLOWLOG: a list of entries, newest first, each one allocation of its own. Arguments are cut as Redis
 * cuts them: at most 32, each at most 128 bytes, with a word about what was left out. Secrets are not
 * kept (monitor_hides()).
 */
#include "serve/slowlog.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/number.h"
#include "serve/monitor.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARGS_MAX = 32, ARG_MAX = 128, GET_DEFAULT = 10 };

struct entry {
    struct list node;
    uint64_t id;
    uint64_t at_s;
    uint64_t us;
    char peer[64];
    char *name;      /* behind `args` */
    uint32_t argc;   /* told; bulk strings in `args` */
    size_t args_len; /* bytes */
    char args[];
};

struct slowlog { /* all under the watch lock */
    struct list entries;
    uint64_t count;
    uint64_t next_id;
};

struct slowlog *slowlog_create(void)
{
    struct slowlog *l = xcalloc(1, sizeof(*l));
    list_init(&l->entries);
    return l;
}

static void drop_beyond(struct slowlog *l, uint64_t max)
{
    while (l->count > max) {
        free(container_of(list_pop_back(&l->entries), struct entry, node));
        l->count--;
    }
}

void slowlog_destroy(struct slowlog **lp)
{
    drop_beyond(*lp, 0);
    free(*lp);
    *lp = NULL;
}

void slowlog_trim(struct server *s)
{
    lock_acquire(&s->watch_lock);
    drop_beyond(s->slowlog, setting_get(&s->settings.slowlog_max));
    lock_release(&s->watch_lock);
}

static void print_arg(struct buf *out, struct slice arg)
{
    char cut[ARG_MAX + 64];
    if (arg.len <= ARG_MAX) {
        resp_bulk(out, arg);
        return;
    }
    memcpy(cut, arg.ptr, ARG_MAX);
    int more = snprintf(cut + ARG_MAX, 64, "... (%zu more bytes)", arg.len - ARG_MAX);
    resp_bulk(out, (struct slice){cut, ARG_MAX + (size_t)more});
}

static uint32_t print_args(struct buf *out, const struct command *cmd, const struct slice *argv,
                           uint32_t argc)
{
    uint32_t told = argc <= ARGS_MAX ? argc : ARGS_MAX;
    for (uint32_t i = 0; i < told; i++) {
        if (i == ARGS_MAX - 1 && argc > ARGS_MAX) {
            char text[64];
            int len = snprintf(text, sizeof(text), "... (%u more arguments)", argc - ARGS_MAX + 1);
            resp_bulk(out, (struct slice){text, (size_t)len});
        } else if (monitor_hides(cmd, argv, argc, i)) {
            resp_bulk_str(out, "(redacted)");
        } else {
            print_arg(out, argv[i]);
        }
    }
    return told;
}

void slowlog_note(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                  uint32_t argc, uint64_t us)
{
    struct server *s = c->worker->server;
    const char *name = c->name != NULL ? c->name : "";
    struct buf args;
    buf_init(&args);
    uint32_t told = print_args(&args, cmd, argv, argc);
    struct entry *e = alloc_try(sizeof(*e) + buf_len(&args) + strlen(name) + 1);
    if (e != NULL) {
        list_init(&e->node);
        e->at_s = clock_wall_ms() / 1000;
        e->us = us;
        e->argc = told;
        e->args_len = buf_len(&args);
        memcpy(e->args, buf_readable(&args).ptr, e->args_len);
        e->name = e->args + e->args_len;
        memcpy(e->name, name, strlen(name) + 1);
        (void)snprintf(e->peer, sizeof(e->peer), "%s",
                       strcmp(c->conn.peer, "unix") == 0 ? "unix:0" : c->conn.peer);
        lock_acquire(&s->watch_lock);
        e->id = s->slowlog->next_id++;
        list_push_back(s->slowlog->entries.next, &e->node); /* before the first: newest first */
        s->slowlog->count++;
        drop_beyond(s->slowlog, setting_get(&s->settings.slowlog_max));
        lock_release(&s->watch_lock);
    }
    buf_fini(&args);
}

/* --- commands ----------------------------------------------------------------------------------- */

static void print_entry(struct buf *out, const struct entry *e)
{
    resp_array(out, 6);
    resp_integer(out, (int64_t)e->id);
    resp_integer(out, (int64_t)e->at_s);
    resp_integer(out, (int64_t)e->us);
    resp_array(out, e->argc);
    buf_append(out, e->args, e->args_len);
    resp_bulk_str(out, e->peer);
    resp_bulk_str(out, e->name);
}

void cmd_slowlog_get(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    int64_t wanted = GET_DEFAULT;
    if (argc > 3) {
        resp_error(&c->conn.out, "ERR wrong number of arguments for 'slowlog|get' command");
        return;
    }
    if (argc == 3 && (!number_parse_i64(argv[2], &wanted) || wanted < -1)) {
        resp_error(&c->conn.out, "ERR count should be greater than or equal to -1");
        return;
    }
    struct buf text;
    buf_init(&text);
    uint64_t told = 0;
    lock_acquire(&s->watch_lock);
    list_for_each (node, &s->slowlog->entries) {
        if (wanted >= 0 && told >= (uint64_t)wanted) {
            break;
        }
        print_entry(&text, container_of(node, struct entry, node));
        told++;
    }
    lock_release(&s->watch_lock);
    resp_array(&c->conn.out, told);
    if (client_room(c, buf_len(&text))) {
        buf_append_slice(&c->conn.out, buf_readable(&text));
    }
    buf_fini(&text);
}

void cmd_slowlog_len(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    lock_acquire(&s->watch_lock);
    uint64_t count = s->slowlog->count;
    lock_release(&s->watch_lock);
    reply_integer(c, (int64_t)count);
}

void cmd_slowlog_reset(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    lock_acquire(&s->watch_lock);
    drop_beyond(s->slowlog, 0);
    lock_release(&s->watch_lock);
    reply_ok(c);
}

void cmd_slowlog_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
    };
    reply_help(c, "SLOWLOG", lines, array_len(lines));
}
