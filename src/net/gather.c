/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * More requests a turn.
 *
 * A turn that wakes for one request of fifty connections pays for a wait, a change of thread and a woken peer
 * with every request. Often the peers, or what feeds them, wait for this very processor: woken by their first
 * byte we took it from them. So when only few of many connections are ready, the processor is offered to
 * whoever waits for it, once, and the loop looks again. Where nobody waits that costs two system calls.
 *
 * It must pay. Each time it has brought nothing, the loop waits twice as long before it tries again; when it took
 * long, somebody is computing on this processor who is not our peer, and the loop leaves it for long.
 *
 * Threads: the loop's.
 */
#include "net/net_priv.h"

#include "base/clock.h"

#include <sched.h>

enum {
    FEW_SHARE = 8,    /* few: less than an eighth of the connections */
    REST_MAX = 64,    /* turns until the next try, when it brings nothing */
    REST_LONG = 1024, /* the same, when it took long */
    LONG_US = 1000
};

static bool is_worthwhile(struct loop *l, int count)
{
    if (count <= 0 || (uint32_t)count >= l->conn_count / FEW_SHARE) {
        return false;
    }
    if (l->gather.rest > 0) {
        l->gather.rest--;
        return false;
    }
    return true;
}

static void learn(struct gather *g, bool has_more, uint64_t took_us)
{
    if (took_us >= LONG_US) {
        g->rest = REST_LONG;
    } else if (has_more) {
        g->pause = 0;
    } else {
        g->pause = g->pause == 0 ? 1 : g->pause * 2;
        g->pause = g->pause > REST_MAX ? REST_MAX : g->pause;
        g->rest = g->pause;
    }
}

int gather_more(struct loop *l, int count)
{
    if (!is_worthwhile(l, count)) {
        return count;
    }
    uint64_t began_us = clock_now_us();
    (void)sched_yield();
    int now = epoll_wait(l->epoll, l->batch->ready, LOOP_BATCH, 0);
    learn(&l->gather, now > count, clock_now_us() - began_us);
    return now;
}
