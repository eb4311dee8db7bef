/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See gate.h, and store/gate.c for what a gate is.
 *
 * Who gives the store up tells each worker that was refused with one message (`is_told` keeps it one); then all
 * that wait on that worker try again, in the order in which they came. Most are refused no more.
 *
 * Inside an ownership of the worker (a script that lets the loop turn) commands that may run need no pass,
 * and requests wait.
 *
 * Threads: gate_wake(): any. The rest: the worker's.
 */
#include "serve/gate.h"

#include "serve/blocked.h"
#include "serve/request.h"
#include "serve/resp_watch.h"
#include "serve/touched.h"

/* --- waiting ------------------------------------------------------------------------------------ */

static void opened(struct mail *m)
{
    struct worker *w = container_of(container_of(m, struct gate, opened), struct worker, gate_wait);
    atomic_store_explicit(&w->gate_wait.is_told, false, memory_order_release);
    struct list *node;
    while ((node = list_pop_front(&w->gate_wait.clients)) != NULL) {
        conn_resume(&container_of(node, struct resp_client, at_gate)->conn);
    }
    struct list requests;
    list_init(&requests);
    while ((node = list_pop_front(&w->gate_wait.requests)) != NULL) {
        list_push_back(&requests, node);
    }
    resp_watches_retry(w);
    touched_retry(w);
    role_assume(&worker_role);
    while (!w->gate_wait.is_over && (node = list_pop_front(&requests)) != NULL) {
        steps_run(container_of(node, struct request, node));
    }
}

void gate_wake(struct worker *w)
{
    if (!atomic_exchange_explicit(&w->gate_wait.is_told, true, memory_order_acq_rel)) {
        mailbox_post(loop_mailbox(w->loop), &w->gate_wait.opened, opened);
    }
}

static void wake(void *arg)
{
    gate_wake(arg);
}

void gate_init(struct worker *w)
{
    list_init(&w->gate_wait.clients);
    list_init(&w->gate_wait.requests);
    store_gate_on_open(w->gate, wake, w);
}

void gate_fini(struct worker *w)
{
    w->gate_wait.is_over = true;
    resp_watches_retry(w);
    struct list *node;
    while ((node = list_pop_front(&w->gate_wait.requests)) != NULL) {
        http_request_done(container_of(node, struct request, node));
    }
}

void gate_forget(struct resp_client *c)
{
    if (!c->detached) {
        list_remove(&c->at_gate);
    }
}

void gate_park(struct request *r)
{
    list_push_back(&r->worker->gate_wait.requests, &r->node);
}

/* --- passing ------------------------------------------------------------------------------------ */

void gate_leave(struct worker *w)
{
    struct gate *g = &w->gate_wait;
    if (g->is_passed) {
        g->is_passed = false;
        store_gate_leave(w->server->store, w->gate);
    } else if (g->is_owned_ahead) {
        g->is_owned_ahead = false;
        store_disown(w->server->store, w->gate);
    }
}

bool gate_pass(struct worker *w)
{
    struct gate *g = &w->gate_wait;
    if (w->own_depth > 0) {
        return false;
    }
    g->is_passed = g->is_passed || store_gate_try(w->server->store, w->gate);
    return g->is_passed;
}

bool gate_try(struct worker *w, bool *ret_took)
{
    const struct gate *g = &w->gate_wait;
    bool is_inside = w->own_depth > 0 || g->is_owned_ahead || g->is_passed;
    *ret_took = !is_inside && gate_pass(w);
    return is_inside || *ret_took;
}

bool gate_enter_slowly(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                       uint32_t argc, bool feeds)
{
    struct worker *w = c->worker;
    bool owns = feeds || command_owns(cmd, argc);
    bool touches = owns || cmd->first_key > 0 || /* WATCH */
                   (cmd->flags & (COMMAND_READONLY | COMMAND_WRITE)) != 0;
    if (w->own_depth > 0 || !touches) {
        return true;
    }
    gate_leave(w); /* somebody wants to own the store, perhaps we */
    bool ok = owns ? store_own_try(w->server->store, w->gate) : gate_pass(w);
    w->gate_wait.is_owned_ahead = owns && ok;
    if (!ok) {
        conn_pause(&c->conn);
        list_push_back(&w->gate_wait.clients, &c->at_gate);
    }
    return ok;
}
