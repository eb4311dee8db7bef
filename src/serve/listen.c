/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From an accepted socket to a connection of a worker, and the end of all of them.
 *
 *      listener (worker 0's loop) ── accepted() ──> the least busy worker, by mail ──> conn_adopt()
 *
 * Worker 0 accepts for all: connections come rarely beside what they ask, and so they spread by
 * number of connections and not by which thread the kernel happened to wake. Who comes when
 * `limits.connections` are open is told so and turned away; the admin face keeps a few places for
 * itself.
 *
 * Draining: listeners close, idle connections close, the rest have `limits.drain` to end. Each
 * worker looks every 10 ms and says through an eventfd when it has nothing left; the main thread
 * waits for all of them, or for somebody in a hurry.
 *
 * Threads: opening and closing: main, while no worker runs; accepting: worker 0; adopting,
 * draining: each worker its own.
 */
#include "serve/listen.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "serve/blocked.h"
#include "serve/server.h"
#include "serve/synced.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTEN_MAX = 32, ADMIN_SPARE = 16 };

struct listen_one {
    struct listen *all;
    struct listener *listener;
    const struct conn_face *face;
    const char *kind;
    bool is_admin;
    const char *full; /* what a client hears when there are too many connections */
};

/* One worker's part of the drain. */
struct drain {
    struct mail mail;
    struct worker *worker;
    struct timer again;
    uint64_t deadline_ms;
    int done; /* eventfd, readable when the worker has nothing left or the deadline has passed */
};

struct listen {
    struct server *server;
    struct listen_one at[LISTEN_MAX];
    uint32_t count;
    struct drain *drains; /* one per worker */
};

/* --- handing over ------------------------------------------------------------------------------- */

struct adopt_mail {
    struct mail mail;
    struct worker *worker;
    const struct conn_face *face;
    int fd;
};

static void adopt_here(struct worker *w, const struct conn_face *face, int fd)
{
    serve_count(w, connections_accepted);
    (void)conn_adopt(w->loop, fd, face, w);
}

static void adopt_arrived(struct mail *m)
{
    struct adopt_mail *am = container_of(m, struct adopt_mail, mail);
    adopt_here(am->worker, am->face, am->fd);
    free(am);
}

static struct worker *least_busy(struct server *s)
{
    struct worker *best = &s->workers[0];
    for (uint32_t i = 1; i < s->worker_count; i++) {
        if (atomic_load_explicit(&s->workers[i].connections, memory_order_relaxed) <
            atomic_load_explicit(&best->connections, memory_order_relaxed)) {
            best = &s->workers[i];
        }
    }
    return best;
}

/* What the client has sent is read first: a close with unread bytes resets the connection, and the reset may
 * overtake the answer. */
static void turn_away(int fd, const char *answer)
{
    char unread[4096];
    (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    (void)!recv(fd, unread, sizeof(unread), MSG_DONTWAIT);
    (void)close(fd);
}

/* Worker 0's thread. An operator can still reach the admin face when clients have taken all there is. */
static void accepted(void *arg, int fd)
{
    const struct listen_one *one = arg;
    struct server *s = one->all->server;
    struct worker *w = least_busy(s);
    uint32_t max =
        s->workers[0].plan->policy->limits.connections + (one->is_admin ? ADMIN_SPARE : 0);
    if (atomic_load_explicit(&s->connections, memory_order_relaxed) >= max) {
        serve_count(&s->workers[0], connections_refused);
        trace(TRACE_TURNED_AWAY, atomic_load_explicit(&s->connections, memory_order_relaxed), 0,
              slice_of(one->kind));
        turn_away(fd, one->full);
        return;
    }
    atomic_fetch_add_explicit(&s->connections, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->connections, 1, memory_order_relaxed);
    if (w->index == 0) {
        adopt_here(w, one->face, fd);
        return;
    }
    struct adopt_mail *am = xcalloc(1, sizeof(*am));
    am->worker = w;
    am->face = one->face;
    am->fd = fd;
    mailbox_post(loop_mailbox(w->loop), &am->mail, adopt_arrived);
}

static void count_cut(struct worker *w, enum conn_cut cut)
{
    switch (cut) {
    case CONN_CUT_INPUT:
        serve_count(w, connections_cut_input);
        break;
    case CONN_CUT_OUTPUT:
        serve_count(w, connections_cut_output);
        break;
    case CONN_CUT_STALLED:
        serve_count(w, connections_cut_stalled);
        break;
    case CONN_CUT_IDLE:
        serve_count(w, connections_cut_idle);
        break;
    case CONN_CUT_BUFFERS:
        serve_count(w, connections_cut_buffers);
        break;
    case CONN_CUT_MEMORY:
        serve_count(w, connections_cut_memory);
        break;
    case CONN_NOT_CUT:
    case CONN_CUTS:
        break;
    }
}

void serve_connection_closed(struct worker *w, const struct conn *c)
{
    count_cut(w, c->cut);
    atomic_fetch_sub_explicit(&w->server->connections, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&w->connections, 1, memory_order_relaxed);
}

/* --- opening ------------------------------------------------------------------------------------ */

static bool open_one(struct listen *l, const struct policy_address *address, const char *kind,
                     const struct conn_face *face, const char *full, char **ret_why)
{
    if (l->count == LISTEN_MAX) {
        *ret_why = xasprintf("more than %d addresses in `listen`", LISTEN_MAX);
        return false;
    }
    struct listen_one *one = &l->at[l->count];
    *one = (struct listen_one){
        .all = l, .face = face, .kind = kind, .is_admin = strcmp(kind, "admin") == 0, .full = full};
    one->listener =
        listener_open(l->server->workers[0].loop, address->text, accepted, one, ret_why);
    l->count += one->listener != NULL ? 1 : 0;
    return one->listener != NULL;
}

struct listen *listen_open(struct server *s, char **ret_why)
{
    static const char http_full[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
        "Content-Length: 139\r\nCache-Control: no-store\r\nRetry-After: 1\r\n"
        "Connection: close\r\n\r\n"
        "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
        "\"detail\":\"too many connections are open (limits.connections); try again\"}\n";
    static const char resp_full[] = "-ERR max number of clients reached\r\n";
    struct listen *l = xcalloc(1, sizeof(*l));
    const struct policy *p = s->started_with;
    l->server = s;
    l->drains = xcalloc(s->worker_count, sizeof(*l->drains));
    for (uint32_t i = 0; i < s->worker_count; i++) {
        l->drains[i].done = eventfd(0, EFD_CLOEXEC);
        check(l->drains[i].done >= 0);
    }
    bool ok = true;
    for (uint32_t i = 0; ok && i < p->listen.http_count; i++) {
        ok = open_one(l, &p->listen.http[i], "http", http_face(p), http_full, ret_why);
    }
    for (uint32_t i = 0; ok && i < p->listen.resp_count; i++) {
        const struct policy_address *a = &p->listen.resp[i];
        ok = open_one(l, a, "resp", a->affinity_connection ? resp_affinity_face(p) : resp_face(p),
                      resp_full, ret_why);
    }
    for (uint32_t i = 0; ok && i < p->listen.admin_count; i++) {
        ok = open_one(l, &p->listen.admin[i], "admin", admin_face(p), http_full, ret_why);
    }
    if (!ok) {
        listen_close(&l);
    }
    return l;
}

void listen_close(struct listen **lp)
{
    struct listen *l = *lp;
    *lp = NULL;
    if (l == NULL) {
        return;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        listener_close(&l->at[i].listener);
    }
    for (uint32_t i = 0; i < l->server->worker_count; i++) {
        /* A drain in a hurry may have left its mail unread or its timer running. */
        mailbox_drain(loop_mailbox(l->server->workers[i].loop));
        timer_stop(&l->drains[i].again);
        (void)close(l->drains[i].done);
    }
    free(l->drains);
    free(l);
}

void server_addresses(const struct server *s, struct buf *out)
{
    const struct listen *l = s->listen;
    for (uint32_t i = 0; i < l->count; i++) {
        bool again = i > 0 && l->at[i].kind == l->at[i - 1].kind;
        buf_printf(out, "%s%s%s",
                   again   ? ","
                   : i > 0 ? " "
                           : "",
                   again ? "" : l->at[i].kind, again ? "" : "=");
        buf_append_str(out, listener_address(l->at[i].listener));
    }
}

/* --- draining ----------------------------------------------------------------------------------- */

/* A client that waits for a key or the disk may wait for ever: that is no request in progress. */
static bool gives_up(struct resp_client *c)
{
    return blocked_give_up(c) || synced_give_up(c);
}

static void close_if_idle(struct conn *c, void *arg)
{
    (void)arg;
    if (resp_client_is(c) && gives_up(container_of(c, struct resp_client, conn))) {
        return;
    }
    if (!c->paused && buf_len(&c->in) == 0 && buf_len(&c->out) == 0) {
        conn_close(c);
    }
}

static void drain_step(struct timer *t)
{
    struct drain *d = container_of(t, struct drain, again);
    struct loop *l = d->worker->loop;
    conn_each(l, close_if_idle, NULL);
    uint32_t left = atomic_load_explicit(&d->worker->connections, memory_order_relaxed);
    bool late = loop_now_ms(l) >= d->deadline_ms;
    if (left > 0 && late) {
        log_warn("serve", "%u connections are cut: they did not end within limits.drain", left);
    }
    if (left == 0 || late) {
        uint64_t one = 1;
        (void)!write(d->done, &one, sizeof(one));
    } else {
        timer_start(l, t, 10, drain_step);
    }
}

static void drain_arrived(struct mail *m)
{
    struct drain *d = container_of(m, struct drain, mail);
    struct server *s = d->worker->server;
    if (d->worker->index == 0) {
        for (uint32_t i = 0; i < s->listen->count; i++) {
            listener_close(&s->listen->at[i].listener);
        }
    }
    d->deadline_ms = loop_now_ms(d->worker->loop) + d->worker->plan->policy->limits.drain_ms;
    timer_start(d->worker->loop, &d->again, 0, drain_step);
}

void listen_drain(struct server *s, int hurry_fd)
{
    atomic_store_explicit(&s->draining, true, memory_order_relaxed);
    for (uint32_t i = 0; i < s->worker_count; i++) {
        struct drain *d = &s->listen->drains[i];
        d->worker = &s->workers[i];
        mailbox_post(loop_mailbox(s->workers[i].loop), &d->mail, drain_arrived);
    }
    for (uint32_t i = 0; i < s->worker_count; i++) {
        struct pollfd p[] = {{.fd = s->listen->drains[i].done, .events = POLLIN},
                             {.fd = hurry_fd, .events = POLLIN}};
        while (poll(p, 2, -1) < 0 && errno == EINTR) {
        }
        if ((p[1].revents & POLLIN) != 0) {
            log_warn("serve", "told to hurry: open connections are cut");
            return;
        }
    }
}
