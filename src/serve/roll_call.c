/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A roll call's way
 *
 *      roll_call_start ─> visit own connections ─> mail to the next worker ─> visit ─> ... ─> home:
 * finish
 *
 * The first visit happens at once; with one worker, or inside EXEC (which may not pause: M1), so
 * does the end. Inside EXEC only this worker's connections are seen.
 *
 * Who is killed is over at once, but sees the end of its connection only when the caller has its
 * answer: a second descriptor holds it open meanwhile. Or a client could be back before the answer
 * of its killer is there, which Redis' one thread does not let happen, and clients' own tests count
 * on it.
 *
 * Invariant: RC1. `client` is touched by its own worker only: it is read at home, at start and
 * finish.
 */
#include "serve/roll_call.h"

#include "serve/pubsub.h"
#include "serve/resp_watch.h"
#include "serve/tracking.h"
#include "serve/users.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct roll_call {
    struct mail mail;
    struct resp_client *client; /* NULL: gone meanwhile */
    struct worker *home;
    struct worker *at;
    enum roll_call_kind kind;
    struct client_filter filter;
    struct buf text;
    int64_t killed;
    int *held_open; /* descriptors */
    uint32_t held_count;
    struct loop_task over;
};

/* --- one connection --------------------------------------------------------------------------- */

void client_local_address(const struct resp_client *c, char ret_text[64])
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    char host[INET6_ADDRSTRLEN] = "";
    (void)snprintf(ret_text, 64, "unix:0");
    if (getsockname(c->conn.source.fd, (struct sockaddr *)&addr, &len) != 0) {
        return;
    }
    if (addr.ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const void *)&addr;
        (void)inet_ntop(AF_INET, &in4->sin_addr, host, sizeof(host));
        (void)snprintf(ret_text, 64, "%s:%u", host, ntohs(in4->sin_port));
    } else if (addr.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)&addr;
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        (void)snprintf(ret_text, 64, "[%s]:%u", host, ntohs(in6->sin6_port));
    }
}

static const char *peer_address(const struct resp_client *c)
{
    return strcmp(c->conn.peer, "unix") == 0 ? "unix:0" : c->conn.peer;
}

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* As Redis orders the letters; N when there is nothing to tell. */
static void append_flags(const struct resp_client *c, struct buf *out)
{
    const struct {
        bool set;
        char letter;
    } before[] = {
        {pubsub_subscriptions(c, TOPIC_MONITOR) > 0, 'O'},
        {client_is_subscribed(c), 'P'},
        {c->in_multi, 'x'},
        {c->waiter != NULL || c->synced != NULL, 'b'},
    };
    const struct {
        bool set;
        char letter;
    } behind[] = {
        {c->conn.closing, 'c'},
        {strcmp(c->conn.peer, "unix") == 0, 'U'},
        {c->no_evict, 'e'},
        {c->no_touch, 'T'},
    };
    size_t start = buf_len(out);
    for (size_t i = 0; i < array_len(before); i++) {
        if (before[i].set) {
            buf_append_char(out, before[i].letter);
        }
    }
    tracking_flags(c, out);
    for (size_t i = 0; i < array_len(behind); i++) {
        if (behind[i].set) {
            buf_append_char(out, behind[i].letter);
        }
    }
    if (buf_len(out) == start) {
        buf_append_char(out, 'N');
    }
}

void client_describe(const struct resp_client *c, struct buf *out)
{
    enum { REPLY_CHUNK = 16 * 1024 }; /* Redis keeps so much beside its list of replies */
    char laddr[64];
    client_local_address(c, laddr);
    uint64_t now = client_now(c);
    size_t waits = buf_len(&c->conn.out);
    size_t listed = waits > REPLY_CHUNK ? waits : 0;
    size_t input = c->running ? c->raw.len : buf_len(&c->conn.in);
    buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=",
               (unsigned long long)c->conn.id, peer_address(c), laddr, c->conn.source.fd,
               text_or_empty(c->name), (unsigned long long)(now - c->opened_ms) / 1000,
               (unsigned long long)(now - c->conn.active_ms) / 1000);
    append_flags(c, out);
    buf_printf(out,
               " db=%u sub=%u psub=%u ssub=%u multi=%d qbuf=%zu qbuf-free=%zu argv-mem=%zu "
               "multi-mem=%zu ",
               c->db, pubsub_subscriptions(c, TOPIC_CHANNEL),
               pubsub_subscriptions(c, TOPIC_PATTERN), pubsub_subscriptions(c, TOPIC_SHARD),
               c->in_multi ? (int)c->queued : -1, input, c->conn.in.cap - buf_len(&c->conn.in),
               resp_parser_bytes(&c->parser), c->queue.cap);
    buf_printf(out, "rbs=%zu rbp=%zu obl=%zu oll=%d omem=%zu tot-mem=%zu events=%s cmd=%s user=%s ",
               c->conn.out.cap, c->conn.out.cap, waits - listed, listed > 0, listed,
               sizeof(*c) + c->conn.in.cap + c->conn.out.cap + c->queue.cap + pubsub_bytes(c),
               waits > 0 && !c->running ? "rw" : "r", c->last != NULL ? c->last->full_name : "NULL",
               client_user_name(c));
    buf_printf(out, "redir=%lld resp=%d lib-name=%s lib-ver=%s watch=%u",
               (long long)tracking_redirection(c), c->proto, text_or_empty(c->lib_name),
               text_or_empty(c->lib_version), resp_watch_count(c));
}

static bool has_id(const struct client_filter *f, uint64_t id)
{
    bool found = f->ids == NULL;
    for (uint32_t i = 0; i < f->id_count; i++) {
        found = found || f->ids[i] == id;
    }
    return found;
}

static bool filter_passes(const struct client_filter *f, const struct resp_client *c)
{
    char laddr[64];
    client_local_address(c, laddr);
    bool type_fits = !f->has_type || f->wants_pubsub == client_is_subscribed(c);
    bool user_fits = f->user[0] == '\0' || strcmp(f->user, client_user_name(c)) == 0;
    return !f->nobody && type_fits && user_fits && has_id(f, c->conn.id) &&
           f->not_id != c->conn.id &&
           (f->addr[0] == '\0' || strcmp(f->addr, peer_address(c)) == 0) &&
           (f->laddr[0] == '\0' || strcmp(f->laddr, laddr) == 0) &&
           (client_now(c) - c->opened_ms) / 1000 >= f->min_age_s;
}

/* No descriptor left: then it sees its end at once. */
static void hold_open(struct roll_call *call, int fd)
{
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (other >= 0) {
        call->held_open =
            xrealloc(call->held_open, ((size_t)call->held_count + 1) * sizeof(*call->held_open));
        call->held_open[call->held_count++] = other;
    }
}

static void visit_client(struct conn *conn, void *arg)
{
    struct roll_call *call = arg;
    if (!resp_client_is(conn) || conn->closing) {
        return;
    }
    struct resp_client *c = container_of(conn, struct resp_client, conn);
    if (!filter_passes(&call->filter, c)) {
        return;
    }
    if (call->kind == ROLL_CALL_LIST) {
        client_describe(c, &call->text);
        buf_append_char(&call->text, '\n');
        return;
    }
    call->killed++;
    if (call->kind == ROLL_CALL_REDIRECT) {
        tracking_listen(c);
        return;
    }
    if (call->at == call->home && c == call->client) {
        conn_close_after_flush(conn);
    } else {
        hold_open(call, conn->source.fd);
        conn_close(conn);
    }
}

/* --- the call --------------------------------------------------------------------------------- */

static void reply_call(const struct roll_call *call)
{
    struct resp_client *c = call->client;
    switch (call->kind) {
    case ROLL_CALL_LIST:
        resp_verbatim(&c->conn.out, c->proto, "txt", buf_readable(&call->text));
        break;
    case ROLL_CALL_KILL:
        reply_integer(c, call->killed);
        break;
    case ROLL_CALL_REDIRECT:
        tracking_redirect_found(c, call->killed > 0);
        break;
    case ROLL_CALL_KILL_ADDR:
        if (call->killed > 0) {
            reply_ok(c);
        } else {
            resp_error(&c->conn.out, "ERR No such client");
        }
        break;
    }
}

static void free_call(struct roll_call *call)
{
    for (uint32_t i = 0; i < call->held_count; i++) {
        (void)close(call->held_open[i]);
    }
    free(call->held_open);
    free(call->filter.ids);
    buf_fini(&call->text);
    free(call);
}

static void call_is_over(struct loop_task *task)
{
    free_call(container_of(task, struct roll_call, over));
}

static void come_home(struct roll_call *call)
{
    struct resp_client *c = call->client;
    if (c != NULL) {
        reply_call(call);
        c->roll_call = NULL;
        conn_dirty(&c->conn);
        conn_resume(&c->conn);
    }
    loop_defer(call->home->loop, &call->over, call_is_over); /* behind the answer */
}

static void arrive(struct mail *m)
{
    struct roll_call *call = container_of(m, struct roll_call, mail);
    if (call->at == call->home) {
        come_home(call);
        return;
    }
    conn_each(call->at->loop, visit_client, call);
    struct server *s = call->home->server;
    call->at = &s->workers[(call->at->index + 1) % s->worker_count];
    mailbox_post(loop_mailbox(call->at->loop), &call->mail, arrive);
}

void roll_call_start(struct resp_client *c, enum roll_call_kind kind,
                     const struct client_filter *filter)
{
    struct roll_call *call = xcalloc(1, sizeof(*call));
    struct server *s = c->worker->server;
    call->client = c;
    call->home = call->at = c->worker;
    call->kind = kind;
    call->filter = *filter;
    list_init(&call->over.node);
    conn_each(c->worker->loop, visit_client, call);
    if (s->worker_count == 1 || c->in_exec || c->conn.closing) {
        reply_call(call);
        free_call(call);
        return;
    }
    c->roll_call = call;
    conn_pause(&c->conn);
    call->at = &s->workers[(c->worker->index + 1) % s->worker_count];
    mailbox_post(loop_mailbox(call->at->loop), &call->mail, arrive);
}

void roll_call_forget(struct resp_client *c)
{
    if (c->roll_call != NULL) {
        c->roll_call->client = NULL;
        c->roll_call = NULL;
    }
}
