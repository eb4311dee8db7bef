/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One client's wait: how it begins, and the four ways in which it ends. blocked.c draws them.
 *
 * Each end takes the waiter out of the registry first, with the store owned, and only then decides
 * who frees it: the worker that gives the client its reply, or leave() when the client has gone.
 * Where the store cannot be owned at once (a long script owns it) a timer tries again; nobody waits
 * for it.
 *
 * Threads: the client's worker, except waiter_end() and blocked_end(): any worker.
 */
#include "serve/blocked_priv.h"

#include "base/alloc.h"
#include "serve/durable.h"
#include "serve/user.h"

enum { AGAIN_MS = 10 }; /* a timeout waits while a script owns the store */

/* --- the end of a wait -------------------------------------------------------------------------- */

/* The one way by which a reply reaches a client that was blocked. Client's worker. */
static void deliver(struct waiter *w)
{
    struct resp_client *c = w->client;
    timer_stop(&w->timer);
    if (c != NULL) {
        c->waiter = NULL;
        resp_account_late(c, w->cmd, w->argv, w->argc, w->us, buf_readable(&w->reply));
        if (!w->silent) {
            buf_append_slice(&c->conn.out, buf_readable(&w->reply));
        }
        conn_dirty(&c->conn);
        conn_resume(&c->conn);
        durable_hold(c);
    }
    waiter_free(w);
}

static void reply_arrived(struct mail *m)
{
    struct waiter *w = container_of(m, struct waiter, mail);
    if (w->client != NULL) {
        w->client->served_by_other = true;
    }
    deliver(w);
}

void waiter_end(struct worker *at, struct waiter *w)
{
    waiter_leave(at->server->blocked, w);
    if (at == w->worker) {
        deliver(w);
    } else {
        mailbox_post(loop_mailbox(w->worker->loop), &w->mail, reply_arrived);
    }
}

static void end_with_nothing(struct worker *at, struct waiter *w, bool with_error)
{
    if (with_error) {
        resp_error(&w->reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    } else {
        resp_null_array(&w->reply, w->proto);
    }
    waiter_end(at, w);
}

static void timed_out(struct timer *t)
{
    struct waiter *w = container_of(t, struct waiter, timer);
    struct worker *at = w->worker;
    if (!worker_own_try(at)) {
        timer_start(at->loop, t, AGAIN_MS, timed_out);
        return;
    }
    if (w->state == WAIT_WAITING) {
        end_with_nothing(at, w, false);
    }
    worker_disown(at);
}

/* A waiter without a client. While a long script owns the store it stays in line, and is passed
 * over. */
static void leave(struct timer *t)
{
    struct waiter *w = container_of(t, struct waiter, timer);
    struct worker *at = w->worker;
    if (!worker_own_try(at)) {
        atomic_store_explicit(&w->is_gone, true, memory_order_release);
        timer_start(at->loop, t, AGAIN_MS, leave);
        return;
    }
    bool waits = w->state == WAIT_WAITING; /* if not, it is its mail's */
    if (waits) {
        waiter_leave(at->server->blocked, w);
    }
    worker_disown(at);
    if (waits) {
        waiter_free(w);
    }
}

void blocked_forget(struct resp_client *c)
{
    struct waiter *w = c->waiter;
    if (w != NULL) {
        c->waiter = NULL;
        w->client = NULL;
        timer_stop(&w->timer);
        leave(&w->timer);
    }
}

bool blocked_end(struct worker *at, uint64_t id, bool with_error)
{
    bool found = false;
    worker_own(at);
    list_for_each (node, &at->server->blocked->waiters) {
        struct waiter *w = container_of(node, struct waiter, node);
        if (w->id == id) {
            end_with_nothing(at, w, with_error);
            found = true;
            break;
        }
    }
    worker_disown(at);
    return found;
}

bool blocked_give_up(struct resp_client *c)
{
    struct waiter *w = c->waiter;
    if (w == NULL || !worker_own_try(c->worker)) {
        return false;
    }
    bool waits = w->state == WAIT_WAITING;
    worker_disown(c->worker);
    if (waits) {
        conn_close(&c->conn); /* and blocked_forget() by it */
    }
    return waits;
}

/* --- waiting ------------------------------------------------------------------------------------ */

static void wait_for(struct resp_client *c, const struct block *block)
{
    struct blocked *b = c->worker->server->blocked;
    struct waiter *w = xcalloc(1, sizeof(*w));
    w->worker = c->worker;
    w->client = c;
    w->id = c->conn.id;
    w->cmd = c->last;
    w->db = c->db;
    w->proto = c->proto;
    w->kind = block->kind;
    w->silent = c->reply == REPLY_OFF || c->reply == REPLY_SKIPPING;
    w->no_touch = c->no_touch;
    w->user = user_ref(c->user);
    buf_init(&w->reply);
    waiter_enter(b, w, block);
    c->waiter = w;
    if (block->timeout_ms > 0) {
        timer_start(c->worker->loop, &w->timer, block->timeout_ms, timed_out);
    }
    conn_park(&c->conn);
}

static void reply_nothing(struct resp_client *c, const struct block *b)
{
    if (b->null_is_value) {
        reply_null(c);
    } else {
        resp_null_array(&c->conn.out, c->proto);
    }
}

void block_run(struct resp_client *c, const struct block *b)
{
    bool may_wait = !c->in_exec && !c->detached;
    c->would_block = false;
    if (!may_wait) {
        if (!b->attempt(c, b->args)) {
            c->would_block = true;
            reply_nothing(c, b);
        }
        return;
    }
    client_own(c); /* from the attempt to wait_for() nobody writes */
    if (!b->attempt(c, b->args)) {
        wait_for(c, b);
    }
    client_disown(c);
}
