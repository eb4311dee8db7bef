/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net: one epoll loop per thread, its timers, its connections, its listeners.
 *
 * A turn of the loop has fixed phases, in this order: 1. wait (gather.c: and gather); 2. sources (sockets, mailboxes) that
 * are ready; 3. timers that are due; 4. deferred work: connections with output left are flushed, each
 * with one write; closed ones are freed. So a connection that was closed in phases 2-3 is still
 * valid memory until the turn ends.
 *
 * Reading: all connections of a loop share one scratch buffer. Bytes are parsed where they were read;
 * only an unfinished rest is copied into the connection's own buffer, so an idle connection holds no
 * buffers. Writing: replies are appended to the connection's output. What a face has answered when
 * data() returns is sent then, with one write; the rest at the end of the turn.
 *
 * Back-pressure: above `output_limit` the connection is not read until the peer has taken enough; above
 * `output_max` it is cut, and so is a peer that takes nothing for `stall_ms`. What all connections of a
 * loop hold in buffers has a limit of its own (loop_limit_buffers()): above it the one that holds most is
 * cut. A connection that is cut keeps the reason in `cut`, and a line in the log says it.
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

/* Fails a check when the system has no descriptors. Destroying closes its connections, as conn_close() does; not
 * while loop_run() runs, and the mailbox must be empty. */
struct loop *loop_create(void);
void loop_destroy(struct loop **l);
/* Runs until loop_stop(); returns after finishing the turn. */
void loop_run(struct loop *l);
/* From inside a connection's data(), which takes long: one turn for everybody else, without waiting. The clock
 * stands still, timers and that connection wait. Not inside itself. */
void loop_turn_within(struct loop *l);
void loop_stop(struct loop *l); /* any thread, and signal handlers */
struct mailbox *loop_mailbox(struct loop *l);
/* The clock as read once at the start of the turn, or by the last loop_read_clock(). */
uint64_t loop_now_ms(const struct loop *l);
/* Reads it again, within a turn that has taken long. */
void loop_read_clock(struct loop *l);
/* Bytes that the buffers of all connections may take together, 0 (as at first): any number. Before the
 * loop runs, or on its thread. */
void loop_limit_buffers(struct loop *l, uint64_t max_bytes);
uint64_t loop_buffer_bytes(const struct loop *l); /* any thread; as of the end of some turn */
/* Bytes that all its connections have ever read and sent; any thread. */
uint64_t loop_bytes_in(const struct loop *l);
uint64_t loop_bytes_out(const struct loop *l);

/* Called in each turn between phases 3 and 4; one function a loop, before it runs. */
void loop_before_flush(struct loop *l, void (*fn)(void *arg), void *arg);
/* A loop that does not run: its time is `now_ms` and stays it. */
void loop_stand_still(struct loop *l, uint64_t now_ms);

/* A watched descriptor, embedded in its owner. The loop does not own the fd. */
enum {
    LOOP_READ = 1,
    LOOP_WRITE = 2,
    LOOP_HANGUP = 4,    /* told, never asked for */
    LOOP_PEER_SHUT = 8, /* the peer sends no more; what it sent may still be unread */
};
struct loop_source;
typedef void loop_source_fn(struct loop_source *src, unsigned events);
struct loop_source {
    int fd;
    unsigned events;
    loop_source_fn *handle;
    struct loop *loop; /* NULL while not watched */
};
/* From now on `handle` is called for these events, and for hang-ups. Not twice without loop_unwatch(). */
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
    /* Closes after this long without a byte either way; 0: never. Relaxed: a change holds for connections that
     * are opened from then on. */
    _Atomic uint32_t idle_ms;
    uint32_t stall_ms; /* closes when output waits and the peer takes too little of it; 0: never */
    size_t stall_min;  /* too little: less than so many bytes in `stall_ms`; 0 counts as 1 */
    uint32_t keepalive_s; /* TCP probes after this long without a byte; 0: none */
};

/* Why net closed a connection that the peer and the face would have kept. */
enum conn_cut {
    CONN_NOT_CUT,
    CONN_CUT_INPUT,   /* more unparsed bytes than `input_max` */
    CONN_CUT_OUTPUT,  /* more output than `output_max`, and the peer does not read */
    CONN_CUT_STALLED, /* `stall_ms` */
    CONN_CUT_IDLE,    /* `idle_ms` */
    CONN_CUT_BUFFERS, /* held most when the loop's connections held too much together */
    CONN_CUT_MEMORY,  /* the system gave no memory for a large buffer */
    CONN_CUTS
};

struct conn_face {
    uint32_t size; /* of the face's own struct, which begins with struct conn */
    const struct conn_limits *limits;
    /* Zeroed struct, conn part ready. */
    void (*open)(struct conn *c, void *context);
    /* Bytes arrived: returns how many were used, the rest is offered again with more behind it. Not
     * called while paused. After conn_close() inside, the return value does not matter. */
    size_t (*data)(struct conn *c, struct slice in);
    /* A hint, or NULL: these connections of the face have read `in[i]`, and data() will be called for each
     * of them right afterwards. Overlaps their waits for memory; may not answer, nor close one. */
    void (*ahead)(struct conn *const *conns, const struct slice *in, uint32_t count);
    /* The idle time is over: answer or close. NULL: close. */
    void (*idle)(struct conn *c);
    /* The connection is cut because of what it sent (CONN_CUT_INPUT, CONN_CUT_MEMORY): append an answer
     * that says so, a small one; it is flushed, then the connection closes. NULL: close at once. */
    void (*last_word)(struct conn *c);
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
    size_t extra; /* bytes that the face buffers for it elsewhere: counted with `in` and `out` */
    enum conn_cut cut; /* set before closed() */
    char peer[64];     /* "127.0.0.1:5000" or "unix" */
    /* private to net/ */
    struct loop_source source;
    struct loop_task flush;
    struct timer idle_timer;
    struct list node; /* all connections of the loop */
    size_t counted;   /* bytes in the loop's sum */
    uint64_t sent;    /* bytes given to the system */
    int64_t taken;    /* of them the peer had acknowledged when it was last looked */
    uint64_t look_ms; /* then; 0: no output waits */
    bool offering;    /* its face's data() runs */
    bool paused;      /* by conn_pause(), conn_park() */
    bool parked;      /* by conn_park() */
    bool held;        /* by conn_hold() */
    uint64_t clear;   /* by conn_clear(), counted as `sent` is */
    bool again;       /* buffered bytes are to be offered at the end of the turn */
    bool closing;     /* flush what is there, then close */
    bool lingering;   /* flushed and half closed: waits for the peer to close */
    bool dead;        /* closed, waiting for the end of the turn */
};

/* Output was appended: flush at the end of the turn. */
void conn_dirty(struct conn *c);
/* Stop and go on parsing (a parked request). Resuming offers buffered bytes again in this turn. */
void conn_pause(struct conn *c);
/* The same for a wait that may never end: it does when the peer closes, even behind unread bytes. */
void conn_park(struct conn *c);
void conn_resume(struct conn *c);
/* Keep the output, and do not read either; send it, at the end of this turn or the next. Both idempotent. */
void conn_hold(struct conn *c);
void conn_release(struct conn *c);
/* Of a held connection: its output up to here (a conn_out_end()) may leave, the rest stays held. */
void conn_clear(struct conn *c, uint64_t upto);
/* Where its output ends now. */
static inline uint64_t conn_out_end(const struct conn *c)
{
    return c->sent + buf_len(&c->out);
}
void conn_close(struct conn *c);                  /* at once, output dropped */
void conn_cut(struct conn *c, enum conn_cut why); /* the same, with a reason that is logged */
void conn_close_after_flush(struct conn *c);      /* no more reading */
/* Makes room in `out` for a large answer, or says that the system has no memory for it: then nothing has
 * happened, and the face can still say so in a few bytes. */
bool conn_reserve(struct conn *c, size_t len);
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
