/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a connection may hold and how long it may wait: the part of net that cuts.
 *
 * Memory. Buffers are counted at the end of a turn, connection by connection, into one sum for the loop.
 * When the sum passes the loop's limit, whoever holds most is cut, and again until the sum fits: a client
 * that hoards pays, the thousand that behave do not notice. Within a turn the sum may be above the limit by
 * what one turn of one connection can add; faces bound that.
 *
 * Time. One timer serves three waits: idle (no byte either way), stalled (output waits and the peer takes
 * too little of it) and lingering (conn.c). It is not moved at every byte: when it is due, it looks how long
 * the wait has really been and goes on for the rest.
 *
 * What a peer has taken is what the system no longer holds for it (SIOCOUTQ), not what the system has taken
 * from us: with megabytes of socket buffer in between, a phone at 10 KB a second lets us send again only
 * every few minutes.
 *
 * Invariants: L1. the loop's sum is the sum of `counted`. L2. a connection that is cut has a reason, and one
 * line in the log says it. Threads: the loop's.
 */
#include "base/check.h"
#include "base/log.h"
#include "base/trace.h"
#include "net/net_priv.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

/* --- cutting ------------------------------------------------------------------------------------ */

static const char *cut_reason(const struct conn *c)
{
    switch (c->cut) {
    case CONN_CUT_INPUT:
        return "its unfinished request is larger than allowed";
    case CONN_CUT_OUTPUT:
        return "it does not read its answers and they are larger than allowed";
    case CONN_CUT_STALLED:
        return "it took too little of its waiting answers for too long (limits.stall)";
    case CONN_CUT_IDLE:
        return "it was idle for too long";
    case CONN_CUT_BUFFERS:
        return "all buffers together were above limits.buffers and it held most";
    case CONN_CUT_MEMORY:
        return "the system has no memory for its buffers";
    case CONN_NOT_CUT:
    case CONN_CUTS:
        break;
    }
    unreachable();
}

void conn_cut(struct conn *c, enum conn_cut why)
{
    if (c->dead) {
        return;
    }
    c->cut = why;
    trace(TRACE_CUT, c->id, buf_len(&c->out), slice_of(cut_reason(c)));
    log_line(why == CONN_CUT_IDLE ? LOG_DEBUG : LOG_WARN, "net",
             "connection cut: %s peer=%s id=%llu in=%zu out=%zu", cut_reason(c), c->peer,
             (unsigned long long)c->id, buf_len(&c->in), buf_len(&c->out));
    bool may_speak = why == CONN_CUT_INPUT || why == CONN_CUT_MEMORY;
    if (may_speak && c->face->last_word != NULL && !c->closing) {
        c->face->last_word(c);
        conn_close_after_flush(c);
    } else {
        conn_close(c);
    }
}

static void count_buffers(struct conn *c, size_t bytes)
{
    _Atomic uint64_t *sum = &c->loop->buffer_bytes;
    uint64_t now = atomic_load_explicit(sum, memory_order_relaxed) + bytes - c->counted;
    atomic_store_explicit(sum, now, memory_order_relaxed);
    c->counted = bytes;
}

static bool loop_holds_too_much(const struct loop *l)
{
    return l->buffer_max > 0 && loop_buffer_bytes(l) > l->buffer_max;
}

/* Closes the connections that hold most until the loop is within its limit. */
static void shed(struct loop_task *task)
{
    struct loop *l = container_of(task, struct loop, shed);
    while (loop_holds_too_much(l)) {
        struct conn *most = NULL;
        list_for_each (node, &l->conns) {
            struct conn *c = container_of(node, struct conn, node);
            /* Not the one whose command runs around this turn (loop_turn_within()). */
            if (!c->dead && !c->offering && c->counted > 0 &&
                (most == NULL || c->counted > most->counted)) {
                most = c;
            }
        }
        if (most == NULL) {
            return; /* what is left belongs to connections that end in this turn */
        }
        conn_cut(most, CONN_CUT_BUFFERS);
        buf_fini(&most->in);
        buf_fini(&most->out);
        count_buffers(most, 0);
    }
}

void conn_uncount(struct conn *c)
{
    count_buffers(c, 0);
}

void conn_settle(struct conn *c)
{
    size_t bytes = c->in.cap + c->out.cap + c->extra;
    if (bytes != c->counted) {
        bool grows = bytes > c->counted;
        count_buffers(c, bytes);
        if (grows && loop_holds_too_much(c->loop)) {
            loop_defer(c->loop, &c->loop->shed, shed);
        }
    }
}

/* --- time ---------------------------------------------------------------------------------------- */

static bool is_stalling(const struct conn *c)
{
    return c->face->limits->stall_ms > 0 && c->look_ms > 0;
}

static int64_t taken_by_peer(const struct conn *c)
{
    int queued = 0;
    if (ioctl(c->source.fd, SIOCOUTQ, &queued) != 0) {
        queued = 0;
    }
    return (int64_t)c->sent - queued;
}

void conn_note_waiting(struct conn *c)
{
    if (c->look_ms == 0 && c->face->limits->stall_ms > 0) {
        c->look_ms = c->loop->now_ms;
        c->taken = taken_by_peer(c);
    }
}

/* Since the last look; this is the next one. */
static bool takes_enough(struct conn *c)
{
    int64_t before = c->taken;
    size_t min = c->face->limits->stall_min;
    c->taken = taken_by_peer(c);
    c->look_ms = c->loop->now_ms;
    return c->taken - before >= (int64_t)(min > 0 ? min : 1);
}

static void too_long(struct conn *c)
{
    if (is_stalling(c)) {
        if (!takes_enough(c)) {
            conn_cut(c, CONN_CUT_STALLED);
        }
    } else if (c->face->idle != NULL && !c->closing) {
        c->face->idle(c);
    } else {
        conn_cut(c, CONN_CUT_IDLE);
    }
}

static void time_check(struct timer *t)
{
    struct conn *c = container_of(t, struct conn, idle_timer);
    const struct conn_limits *limits = c->face->limits;
    uint32_t idle_ms = atomic_load_explicit(&limits->idle_ms, memory_order_relaxed);
    uint64_t limit_ms = is_stalling(c) ? limits->stall_ms : idle_ms;
    uint64_t waited_ms = c->loop->now_ms - (is_stalling(c) ? c->look_ms : c->active_ms);
    bool parked = c->paused && !is_stalling(c);
    if (limit_ms == 0) {
        return; /* the output that was waiting has been taken */
    }
    if (!parked && waited_ms >= limit_ms) {
        too_long(c);
        waited_ms = 0;
    }
    if (!c->dead) {
        timer_start(c->loop, t, waited_ms < limit_ms ? limit_ms - waited_ms : limit_ms, time_check);
    }
}

void conn_keep_time(struct conn *c)
{
    uint64_t due_ms = c->loop->now_ms + c->face->limits->stall_ms;
    if (is_stalling(c) && !c->lingering &&
        (!timer_running(&c->idle_timer) || c->idle_timer.due_ms > due_ms)) {
        timer_start(c->loop, &c->idle_timer, c->face->limits->stall_ms, time_check);
    }
}

void conn_watch_idle(struct conn *c)
{
    uint32_t idle_ms = atomic_load_explicit(&c->face->limits->idle_ms, memory_order_relaxed);
    if (idle_ms > 0) {
        timer_start(c->loop, &c->idle_timer, idle_ms, time_check);
    }
}
