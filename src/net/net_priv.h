/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of net: shared by its .c files only. */
#ifndef NET_NET_PRIV_H
#define NET_NET_PRIV_H

#include "net/net.h"

#include <stdatomic.h>
#include <sys/epoll.h>

enum {
    LOOP_BATCH = 128,
    LOOP_READ_MAX = 64 * 1024,
    LOOP_SCRATCH = 128 * 1024,
    LOOP_AHEAD = 16,
    LOOP_SPARE = 32,
    LOOP_SPARE_CAP = 64 * 1024
};

/* What one wait has brought. Those of turns that are interrupted are kept behind `outer`. */
struct loop_batch {
    struct epoll_event ready[LOOP_BATCH];
    int ready_count;
    struct loop_batch *outer;
};

/* Read, not yet offered: see conn_go_on(). */
struct loop_ahead {
    struct conn *conn[LOOP_AHEAD];
    struct slice in[LOOP_AHEAD]; /* in the scratch buffer */
    uint32_t next;               /* to be offered */
    uint32_t count;
    size_t used; /* of the scratch buffer */
};

/* Turns in which gather_more() does not try, and how many it will be next time. */
struct gather {
    uint32_t rest;
    uint32_t pause;
};

struct loop {
    int epoll;
    _Atomic bool stop; /* release: loop_stop(); acquire: loop_run() */
    uint64_t now_ms;
    struct mailbox mailbox;
    struct loop_source mail_source;

    struct gather gather;
    struct loop_batch *batch; /* of the turn; loop_turn_within() has one of its own */

    struct timer **heap; /* min-heap by due_ms; heap[i]->slot == i + 1 */
    uint32_t heap_len;
    uint32_t heap_cap;

    struct list deferred;
    void (*before_flush)(void *arg); /* NULL: nothing */
    void *before_flush_arg;

    struct list conns;
    uint32_t conn_count;
    uint64_t buffer_max; /* 0: no limit */
    struct loop_task shed;
    /* relaxed: figures; written by the owner only */
    _Atomic uint64_t buffer_bytes;
    _Atomic uint64_t bytes_in, bytes_out;
    char *scratch;        /* every connection reads here first */
    char *scratch_within; /* the same, for loop_turn_within(); NULL until it is needed */
    struct loop_ahead ahead;
    struct buf spare[LOOP_SPARE]; /* output buffers waiting for a connection */
    uint32_t spare_count;
};

/* limit.c: at the end of a connection's turn, before its memory goes, when it begins. */
void conn_settle(struct conn *c);
void conn_keep_time(struct conn *c); /* output that waits has a shorter patience than silence */
void conn_uncount(struct conn *c);
void conn_note_waiting(struct conn *c); /* the system takes no more output now */
void conn_watch_idle(struct conn *c);

/* gather.c: `count` sources are ready; returns how many are after others have had the processor. */
int gather_more(struct loop *l, int count);

/* Milliseconds until the next timer, 0 when due, -1 when none. */
int timers_wait_ms(const struct loop *l);
void timers_run(struct loop *l);

/* Offers what the connections of this turn have read. conn.c. */
void conn_go_on(struct loop *l);
void conn_go_on_rest(struct loop *l);

#endif
