/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections: bytes in to a face, bytes out from it, within limits in both directions (limit.c).
 *
 * States (flags of struct conn)
 *
 *   open ──hold───> held ──release──> open           output waits too: it may not leave yet, or not all of it
 *   open ──pause──> paused ──resume──> open          bytes wait in `in`, reading stops when they come
 *   open ──output above limit──> full ──drained──> open   (asked for, not stored: conn_full())
 *   any  ──close_after_flush──> closing ──flushed──> lingering ──peer closed, or 1 s──> dead
 *   any  ──close, error, hang-up, cut──> dead ──end of turn──> freed
 *
 * A face is called from two places only: with new bytes, and by flush() with buffered ones after a pause or
 * a full output. The connections of a turn are read first and offered then (conn_go_on()), so that a face
 * that looks things up can overlap their waits for memory. What it answers at once is sent at once: the
 * answer is warm in the cache, and the next connection of the turn gets the same buffer. Output buffers
 * circulate: an idle connection holds none.
 *
 * Lingering: closing a socket with unread input makes the kernel reset the connection, and the peer may
 * lose the answer that says why. So after the last byte only our half is shut; what still comes is
 * thrown away until the peer closes too.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/trace.h"
#include "net/net_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONN_MAGIC = 0x0c0117ec, LINGER_MS = 1000 };

static void flush(struct loop_task *task);

/* What may leave now. */
static struct slice sendable(const struct conn *c)
{
    struct slice bytes = buf_readable(&c->out);
    if (__builtin_expect(c->held, 0)) {
        uint64_t clear = c->clear > c->sent ? c->clear - c->sent : 0;
        bytes.len = clear < bytes.len ? (size_t)clear : bytes.len;
    }
    return bytes;
}

static void want(struct conn *c)
{
    bool waiting_out = sendable(c).len > 0;
    bool reading =
        c->lingering || (!c->closing && !conn_full(c) && !(c->paused && buf_len(&c->in) > 0));
    /* Asked for with reading, too, so that parking costs no system call. Nor does holding: what comes while held is
     * not read, and then no longer asked for (conn_ready()). */
    loop_rewatch(&c->source, (reading ? LOOP_READ : 0U) | (waiting_out ? LOOP_WRITE : 0U) |
                                 (reading || c->parked ? LOOP_PEER_SHUT : 0U));
}

/* --- output buffers ----------------------------------------------------------------------------- */

static void borrow_out(struct conn *c)
{
    struct loop *l = c->loop;
    if (c->out.mem == NULL && l->spare_count > 0) {
        c->out = l->spare[--l->spare_count];
    }
}

static void release_out(struct conn *c)
{
    struct loop *l = c->loop;
    if (c->out.mem != NULL && buf_len(&c->out) == 0) {
        if (l->spare_count < LOOP_SPARE && c->out.cap <= LOOP_SPARE_CAP) {
            l->spare[l->spare_count++] = c->out;
            buf_init(&c->out);
        } else {
            buf_fini(&c->out);
        }
    }
}

/* --- writing ------------------------------------------------------------------------------------ */

/* False when the connection died. */
/* The loop's own thread is the only one that writes: no locked instruction is needed. */
static void count_bytes(_Atomic uint64_t *sum, ssize_t bytes)
{
    uint64_t now = atomic_load_explicit(sum, memory_order_relaxed) + (uint64_t)bytes;
    atomic_store_explicit(sum, now, memory_order_relaxed);
}

static bool write_out(struct conn *c)
{
    for (struct slice bytes; (bytes = sendable(c)).len > 0;) {
        ssize_t put = send(c->source.fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN) {
            conn_note_waiting(c);
            if (bytes.len > c->face->limits->output_max) {
                conn_cut(c, CONN_CUT_OUTPUT);
                return false;
            }
            return true;
        }
        if (put < 0 && errno != EINTR) {
            conn_close(c);
            return false;
        }
        if (put > 0) {
            c->active_ms = c->loop->now_ms;
            c->sent += (uint64_t)put;
            count_bytes(&c->loop->bytes_out, put);
            buf_consume(&c->out, (size_t)put);
        }
    }
    c->look_ms = 0;
    return true;
}

/* Sends what the face has answered while it is warm in the cache, and hands the buffer to the next
 * connection of this turn. False: there is more to do, at the end of the turn. */
static bool answered(struct conn *c)
{
    if (c->again || c->closing || c->held || !write_out(c) || buf_len(&c->out) > 0) {
        return false;
    }
    list_remove(&c->flush.node);
    release_out(c);
    conn_settle(c);
    want(c);
    return true;
}

/* --- the face ----------------------------------------------------------------------------------- */

/* What was kept goes first: the last word may need its memory. */
static void refuse_input(struct conn *c, enum conn_cut why)
{
    buf_fini(&c->in);
    conn_cut(c, why);
}

/* Offers bytes that are not in c->in yet and keeps what the face did not use; all of them when it was
 * paused since they were read. */
static void offer_new(struct conn *c, struct slice bytes)
{
    borrow_out(c);
    c->offering = true;
    size_t used = c->paused ? 0 : c->face->data(c, bytes);
    c->offering = false;
    if (c->dead) {
        return;
    }
    check(used <= bytes.len);
    struct slice rest = slice_from(bytes, used);
    if (rest.len > 0 && buf_try_reserve(&c->in, rest.len) == NULL) {
        refuse_input(c, CONN_CUT_MEMORY);
        return;
    }
    buf_append_slice(&c->in, rest);
}

static void offer_buffered(struct conn *c)
{
    borrow_out(c);
    c->offering = true;
    size_t used = c->face->data(c, buf_readable(&c->in));
    c->offering = false;
    if (c->dead) {
        return;
    }
    buf_consume(&c->in, used);
    buf_shrink(&c->in, 0);
}

/* Into `in`, behind the unfinished rest of a request. */
static ssize_t read_more(struct conn *c)
{
    char *room = buf_try_reserve(&c->in, LOOP_READ_MAX);
    if (room == NULL) {
        refuse_input(c, CONN_CUT_MEMORY);
        return 0;
    }
    ssize_t got = read(c->source.fd, room, c->in.cap - c->in.end);
    if (got > 0) {
        count_bytes(&c->loop->bytes_in, got);
        buf_commit(&c->in, (size_t)got);
        offer_buffered(c);
    }
    return got;
}

/* What was read has been offered: looks after what came of it. */
static void offered(struct conn *c)
{
    if (c->dead || c->cut != CONN_NOT_CUT) {
        return;
    }
    c->active_ms = c->loop->now_ms;
    if (buf_len(&c->in) > c->face->limits->input_max) {
        refuse_input(c, CONN_CUT_INPUT);
        return;
    }
    c->again = conn_full(c) && buf_len(&c->in) > 0;
    if (!answered(c)) {
        conn_dirty(c);
    }
}

/* Nothing was read: the peer is done, the connection broke, or it was an error of the moment. */
static void ended(struct conn *c, ssize_t got)
{
    if (got == 0 && buf_len(&c->out) > 0) {
        conn_close_after_flush(c);
        conn_dirty(c);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        conn_close(c);
    }
}

void conn_go_on_rest(struct loop *l)
{
    while (l->ahead.next < l->ahead.count) {
        uint32_t i = l->ahead.next++;
        struct conn *c = l->ahead.conn[i];
        if (!c->dead) {
            offer_new(c, l->ahead.in[i]);
            offered(c);
        }
    }
}

void conn_go_on(struct loop *l)
{
    uint32_t count = l->ahead.count;
    const struct conn_face *face = count > 1 ? l->ahead.conn[0]->face : NULL;
    if (face != NULL && face->ahead != NULL) {
        face->ahead(l->ahead.conn, l->ahead.in, count);
    }
    l->ahead.next = 0;
    conn_go_on_rest(l);
    l->ahead.count = 0;
    l->ahead.next = 0;
    l->ahead.used = 0;
}

/* Reads into the scratch buffer behind what other connections have read in this turn; it is offered once
 * all of them have. Those that differ in their face, or want the room, are offered first. */
static void read_ahead(struct conn *c)
{
    struct loop *l = c->loop;
    if (l->ahead.count == LOOP_AHEAD || l->ahead.used + LOOP_READ_MAX > LOOP_SCRATCH ||
        (l->ahead.count > 0 && l->ahead.conn[0]->face != c->face)) {
        conn_go_on(l);
    }
    char *room = l->scratch + l->ahead.used;
    ssize_t got = read(c->source.fd, room, LOOP_READ_MAX);
    if (got <= 0) {
        ended(c, got);
        return;
    }
    count_bytes(&l->bytes_in, got);
    l->ahead.conn[l->ahead.count] = c;
    l->ahead.in[l->ahead.count++] = (struct slice){room, (size_t)got};
    l->ahead.used += (size_t)got;
}

static void read_ready(struct conn *c)
{
    if (buf_len(&c->in) == 0) {
        read_ahead(c);
        return;
    }
    ssize_t got = read_more(c);
    if (got > 0) {
        offered(c);
    } else if (!c->dead && c->cut == CONN_NOT_CUT) {
        ended(c, got);
    }
}

static void conn_ready(struct loop_source *src, unsigned events)
{
    struct conn *c = container_of(src, struct conn, source);
    check_obj(c, CONN_MAGIC);
    if (c->offering) {
        return; /* loop_turn_within() */
    }
    if (((events & LOOP_HANGUP) != 0 && (c->paused || c->closing)) ||
        ((events & LOOP_PEER_SHUT) != 0 && c->parked)) {
        conn_close(c);
        return;
    }
    if (c->lingering) {
        char nothing[4096] __attribute__((uninitialized));
        ssize_t got = read(src->fd, nothing, sizeof(nothing));
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            conn_close(c);
        }
        return;
    }
    if ((events & LOOP_WRITE) != 0) {
        conn_dirty(c);
    }
    if ((events & LOOP_READ) != 0 && !c->closing && !conn_full(c)) {
        if (c->paused || c->held) {
            /* Bytes behind a parked request: leave them in the kernel until it is answered. */
            loop_rewatch(src, c->parked ? src->events & ~(unsigned)LOOP_READ
                                        : src->events & ~(unsigned)(LOOP_READ | LOOP_PEER_SHUT));
            return;
        }
        read_ready(c);
    }
}

/* --- the end of a turn -------------------------------------------------------------------------- */

static void linger_over(struct timer *t)
{
    conn_close(container_of(t, struct conn, idle_timer));
}

static void linger(struct conn *c)
{
    c->lingering = true;
    (void)shutdown(c->source.fd, SHUT_WR);
    timer_start(c->loop, &c->idle_timer, LINGER_MS, linger_over);
}

static void free_conn(struct conn *c)
{
    conn_uncount(c);
    list_remove(&c->node);
    c->loop->conn_count--;
    buf_fini(&c->in);
    buf_fini(&c->out);
    c->magic = 0;
    free(c);
}

/* The end of a turn for one connection: offer what waited, write, close, free. */
static void flush(struct loop_task *task)
{
    struct conn *c = container_of(task, struct conn, flush);
    check_obj(c, CONN_MAGIC);
    if (c->offering) {
        conn_dirty(c); /* loop_turn_within(): when its data() has returned */
        return;
    }
    if (!c->dead && c->again && !c->paused && !c->held && !c->closing && !conn_full(c)) {
        c->again = false;
        offer_buffered(c);
        c->again = !c->dead && conn_full(c) && buf_len(&c->in) > 0;
    }
    if (!c->dead && write_out(c)) {
        if (c->closing && !c->lingering && buf_len(&c->out) == 0) {
            linger(c);
        } else if (c->again && !c->paused && !c->held && !conn_full(c)) {
            conn_dirty(c); /* more of the pipeline, in the next turn: others come first */
        }
    }
    if (c->dead) {
        list_remove(&c->flush.node);
        free_conn(c);
        return;
    }
    release_out(c);
    conn_settle(c);
    conn_keep_time(c);
    want(c);
}

void conn_dirty(struct conn *c)
{
    loop_defer(c->loop, &c->flush, flush);
}

/* --- life --------------------------------------------------------------------------------------- */

/* A peer that vanished without a word (its machine, a firewall) is found by probes. */
static void set_tcp_options(int fd, uint32_t keepalive_s)
{
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (keepalive_s > 0) {
        int first_s = (int)keepalive_s;
        int between_s = first_s / 3 > 0 ? first_s / 3 : 1;
        int probes = 3;
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &first_s, sizeof(first_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof(between_s));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    }
}

static void name_peer(struct conn *c, int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    char host[INET6_ADDRSTRLEN] = "";
    (void)snprintf(c->peer, sizeof(c->peer), "unix");
    if (getpeername(fd, (struct sockaddr *)&addr, &len) != 0) {
        return;
    }
    if (addr.ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const void *)&addr;
        (void)inet_ntop(AF_INET, &in4->sin_addr, host, sizeof(host));
        (void)snprintf(c->peer, sizeof(c->peer), "%s:%u", host, ntohs(in4->sin_port));
    } else if (addr.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)&addr;
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        (void)snprintf(c->peer, sizeof(c->peer), "[%s]:%u", host, ntohs(in6->sin6_port));
    }
    set_tcp_options(fd, c->face->limits->keepalive_s);
}

struct conn *conn_adopt(struct loop *l, int fd, const struct conn_face *face, void *context)
{
    static _Atomic uint64_t next_id = 1; /* relaxed: only unique */
    struct conn *c = xcalloc(1, face->size);
    c->magic = CONN_MAGIC;
    c->face = face;
    c->loop = l;
    c->id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    c->active_ms = l->now_ms;
    list_init(&c->flush.node);
    list_push_back(&l->conns, &c->node);
    l->conn_count++;
    name_peer(c, fd);
    trace(TRACE_OPEN, c->id, 0, slice_of(c->peer));
    loop_watch(l, &c->source, fd, LOOP_READ | LOOP_PEER_SHUT, conn_ready);
    conn_watch_idle(c);
    if (face->open != NULL) {
        face->open(c, context);
    }
    return c;
}

void conn_close(struct conn *c)
{
    if (c->dead) {
        return;
    }
    c->dead = true;
    trace(TRACE_CLOSE, c->id, buf_len(&c->out), slice_of(c->peer));
    timer_stop(&c->idle_timer);
    int fd = c->source.fd;
    loop_unwatch(&c->source);
    (void)close(fd);
    if (c->face->closed != NULL) {
        c->face->closed(c);
    }
    conn_dirty(c);
}

void conn_close_after_flush(struct conn *c)
{
    c->closing = true;
    c->active_ms = c->loop->now_ms; /* or an idle timer due in this turn would drop the output */
    conn_dirty(c);
}

bool conn_reserve(struct conn *c, size_t len)
{
    return buf_try_reserve(&c->out, len) != NULL;
}

void conn_pause(struct conn *c)
{
    c->paused = true;
}

void conn_park(struct conn *c)
{
    c->paused = true;
    c->parked = true;
}

void conn_resume(struct conn *c)
{
    c->paused = false;
    c->parked = false;
    c->again = buf_len(&c->in) > 0;
    conn_dirty(c);
}

void conn_hold(struct conn *c)
{
    c->held = true;
    conn_dirty(c); /* the turn does not wait while somebody is to be released at its end */
}

void conn_clear(struct conn *c, uint64_t upto)
{
    c->clear = upto;
    conn_dirty(c);
}

void conn_release(struct conn *c)
{
    if (c->held) {
        c->held = false;
        c->clear = 0;
        c->again = buf_len(&c->in) > 0;
        conn_dirty(c);
    }
}

void conn_each(struct loop *l, void (*visit)(struct conn *c, void *arg), void *arg)
{
    list_for_each (node, &l->conns) {
        struct conn *c = container_of(node, struct conn, node);
        if (!c->dead) {
            visit(c, arg);
        }
    }
}
