/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waits of WAITAOF; synced.h says for what.
 *
 * Those who wait are on one list of their worker. The log's mail, which releases held replies too, has it looked
 * through. A wait ends once: answered (its client goes on), or forgotten with its connection.
 *
 * Invariant: S1. A client has a wait exactly while it is parked for it.
 * Threads: the client's worker. Not done: CLIENT UNBLOCK does not end such a wait.
 */
#include "serve/synced.h"

#include "serve/durable.h"

#include "base/alloc.h"
#include "store/journal.h"

#include <stdatomic.h>
#include <stdlib.h>

struct synced_wait {
    struct list node;
    struct timer timer;
    struct resp_client *client;
    uint64_t upto; /* position of the journal */
    bool for_ever; /* what it wants cannot come */
    bool silent;
};

/* All that this client has done or seen is before it: what it did in this batch is in the journal. */
static uint64_t position_of(const struct resp_client *c)
{
    return journal_end(store_journal(c->worker->server->store));
}

static bool is_synced(const struct worker *w, uint64_t upto)
{
    const struct persist *log = w->server->durable != NULL ? durable_log(w->server->durable) : NULL;
    return log != NULL && persist_synced(log) >= upto;
}

static void reply(struct resp_client *c, bool is_local)
{
    resp_array(&c->conn.out, 2);
    reply_integer(c, is_local);
    reply_integer(c, 0);
}

static void end(struct synced_wait *wait)
{
    struct resp_client *c = wait->client;
    (void)atomic_fetch_sub_explicit(&c->worker->server->synced_waits, 1, memory_order_relaxed);
    timer_stop(&wait->timer);
    list_remove(&wait->node);
    c->synced = NULL;
    free(wait);
}

static void answer(struct synced_wait *wait)
{
    struct resp_client *c = wait->client;
    if (!wait->silent) {
        reply(c, is_synced(c->worker, wait->upto));
    }
    end(wait);
    conn_dirty(&c->conn);
    conn_resume(&c->conn);
}

static void timed_out(struct timer *t)
{
    answer(container_of(t, struct synced_wait, timer));
}

static void begin(struct resp_client *c, const struct synced_wish *wish, uint64_t upto)
{
    struct worker *w = c->worker;
    struct synced_wait *wait = xcalloc(1, sizeof(*wait));
    wait->client = c;
    wait->upto = upto;
    wait->for_ever = wish->replicas;
    wait->silent = c->reply == REPLY_OFF || c->reply == REPLY_SKIPPING;
    c->synced = wait;
    list_push_back(&w->durable.syncing, &wait->node);
    if (wish->timeout_ms > 0) {
        timer_start(w->loop, &wait->timer, wish->timeout_ms, timed_out);
    }
    (void)atomic_fetch_add_explicit(&w->server->synced_waits, 1, memory_order_relaxed);
    conn_park(&c->conn);
    if (w->server->durable != NULL) {
        persist_wake(durable_log(w->server->durable), true);
    }
}

void synced_wait(struct resp_client *c, const struct synced_wish *wish)
{
    bool has_log = c->worker->server->durable != NULL;
    uint64_t upto = has_log ? position_of(c) : 0;
    bool is_local = is_synced(c->worker, upto);
    bool is_enough = !wish->replicas && (is_local || !wish->local);
    if (is_enough || c->in_exec || c->detached) {
        reply(c, is_local);
    } else {
        begin(c, wish, upto);
    }
}

void synced_moved(struct worker *w)
{
    list_for_each (node, &w->durable.syncing) {
        struct synced_wait *wait = container_of(node, struct synced_wait, node);
        if (!wait->for_ever && is_synced(w, wait->upto)) {
            answer(wait);
        }
    }
}

void synced_forget(struct resp_client *c)
{
    if (c->synced != NULL) {
        end(c->synced);
    }
}

bool synced_give_up(struct resp_client *c)
{
    bool waits = c->synced != NULL && c->synced->for_ever;
    if (waits) {
        conn_close(&c->conn); /* and synced_forget() by it */
    }
    return waits;
}
