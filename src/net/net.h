/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net: one epoll loop per thread, its timers, its connections, its listeners.
 *
 * A turn of the loop has fixed phases, in this order: 1. wait; 2. sources (sockets, mailboxes) that
 * are ready; 3. timers that are due; 4. deferred work: connections with output left are flushed, each
 * with one write; closed ones are freed. So a connection that was closed in phases 2-3 is still
 * valid memory until the turn ends.
 *
 * Reading: all connections of a loop share one scratch buffer. Bytes are parsed where they were read;
 * only an unfinished rest is copied into the connection's own buffer, so an idle connection holds no
 * buffers. Writing: replies are appended to the connection's output. What a face has answered when
 * data() returns is sent then, with one write; the rest at the end of the turn.
 * Back-pressure: above `output_limit` the connection is not read until the peer has taken enough; above
 * `output_max` it is closed.
 *
 * Threads: everything here belongs to the loop's thread, except loop_stop() and mailboxes.
 *
 * Not done: TLS.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "base/buf.h"
#include "base/list.h"
#include "base/mailbox.h"

#include <stdint.h>

/* --- loop --------------------------------------------------------------------------------------- */

struct loop;

struct loop *loop_create(void);
void loop_destroy(struct loop **l);
/* Runs until loop_stop(); returns after finishing the turn. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l); /* any thread, and signal handlers */
struct mailbox *loop_mailbox(struct loop *l);
/* The clock as read once at the start of the turn. */
uint64_t loop_now_ms(const struct loop *l);

/* A watched descriptor, embedded in its owner. The loop does not own the fd. */
enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 }; /* HANGUP is told, never asked for */
struct loop_source;
typedef void loop_source_fn(struct loop_source *src, unsigned events);
struct loop_source {
    int fd;
    unsigned events;
    loop_source_fn *handle;
    struct loop *loop; /* NULL while not watched */
};
void loop_watch(struct loop *l, struct loop_source *src, int fd, unsigned events,
                loop_source_fn *handle);
void loop_rewatch(struct loop_source *src, unsigned events); /* no system call when unchanged */
void loop_unwatch(struct loop_source *src); /* idempotent; events already collected are dropped */

/* Runs once at the end of this turn (phase 4). Idempotent while pending. */
struct loop_task;
typedef void loop_task_fn(struct loop_task *task);
struct loop_task {
    struct list node; /* list_init() before first use */
    loop_task_fn *handle;
};
void loop_defer(struct loop *l, struct loop_task *task, loop_task_fn *handle);

/* --- timers ------------------------------------------------------------------------------------- */

struct timer;
typedef void timer_fn(struct timer *t);
struct timer {
    uint64_t due_ms;
    timer_fn *handle;
    struct loop *loop;
    uint32_t slot; /* place in the loop's heap + 1; 0: not running */
};
/* One shot; restarting a running timer moves it. Zero a timer before first use. */
void timer_start(struct loop *l, struct timer *t, uint64_t after_ms, timer_fn *handle);
void timer_stop(struct timer *t); /* idempotent */
static inline bool timer_running(const struct timer *t)
{
    return t->slot != 0;
}

/* --- connections -------------------------------------------------------------------------------- */

struct conn;
struct conn_limits {
    size_t input_max;    /* unparsed bytes kept; more closes the connection */
    size_t output_limit; /* reading pauses above */
    size_t output_max;   /* closes above */
    uint32_t idle_ms;    /* closes after this long without a byte either way; 0: never */
};

struct conn_face {
    uint32_t size; /* of the face's own struct, which begins with struct conn */
    const struct conn_limits *limits;
    /* Zeroed struct, conn part ready. */
    void (*open)(struct conn *c, void *context);
    /* Bytes arrived: returns how many were used, the rest is offered again with more behind it. Not
     * called while paused. After conn_close() inside, the return value does not matter. */
    size_t (*data)(struct conn *c, struct slice in);
    /* The idle time is over: answer or close. NULL: close. */
    void (*idle)(struct conn *c);
    /* Everything outside must forget the connection now; its memory goes after this. */
    void (*closed)(struct conn *c);
};

struct conn {
    uint32_t magic;
    const struct conn_face *face;
    struct loop *loop;
    uint64_t id;        /* unique in the process */
    struct buf in;      /* unfinished rest */
    struct buf out;     /* append replies here, then conn_dirty() */
    uint64_t active_ms; /* last byte either way */
    char peer[64];      /* "127.0.0.1:5000" or "unix" */
    /* private to net/ */
    struct loop_source source;
    struct loop_task flush;
    struct timer idle_timer;
    struct list node; /* all connections of the loop */
    bool paused;      /* by conn_pause() */
    bool again;       /* buffered bytes are to be offered at the end of the turn */
    bool closing;     /* flush what is there, then close */
    bool lingering;   /* flushed and half closed: waits for the peer to close */
    bool dead;        /* closed, waiting for the end of the turn */
};

/* Output was appended: flush at the end of the turn. */
void conn_dirty(struct conn *c);
/* Stop and go on parsing (a parked request). Resuming offers buffered bytes again in this turn. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
void conn_close(struct conn *c);             /* at once, output dropped */
void conn_close_after_flush(struct conn *c); /* no more reading */
/* Takes ownership of a connected non-blocking fd. Loop's thread. */
struct conn *conn_adopt(struct loop *l, int fd, const struct conn_face *face, void *context);
/* Output is above its limit: a face that parses a pipeline stops and returns what it has used; the
 * rest is offered again when the peer has taken enough. */
static inline bool conn_full(const struct conn *c)
{
    return buf_len(&c->out) > c->face->limits->output_limit;
}
/* Every connection of the loop, for drain and CLIENT LIST; the visitor may close `c`. */
void conn_each(struct loop *l, void (*visit)(struct conn *c, void *arg), void *arg);
uint32_t conn_count(const struct loop *l);

/* --- listeners ---------------------------------------------------------------------------------- */

struct listener;
/* Told about each accepted descriptor (non-blocking, close-on-exec); owns it from then on. */
typedef void listener_fn(void *arg, int fd);
/* `address`: "host:port", "[v6]:port", ":port" or "unix:/path". NULL and a message in `ret_why`
 * (malloc'ed, caller frees) when it cannot be bound. A stale Unix socket is replaced. */
struct listener *listener_open(struct loop *l, const char *address, listener_fn *accepted,
                               void *arg, char **ret_why);
void listener_close(struct listener **ls);
/* As bound, e.g. "127.0.0.1:40001" for port 0. */
const char *listener_address(const struct listener *ls);

#endif
