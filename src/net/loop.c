/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event loop: epoll, level-triggered, one per thread. The phases of a turn are in net.h; loop_run()
 * is those phases and nothing else.
 *
 * Unwatching a source while its events wait in the current batch blanks them, so a handler never sees
 * a source that another handler has just closed.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/thread.h"
#include "net/net_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void drain_mail(struct loop_source *src, unsigned events)
{
    (void)events;
    mailbox_drain(&src->loop->mailbox);
}

struct loop *loop_create(void)
{
    struct loop *l = xcalloc(1, sizeof(*l));
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    check(l->epoll >= 0);
    l->now_ms = clock_now_ms();
    list_init(&l->deferred);
    list_init(&l->conns);
    list_init(&l->shed.node);
    l->scratch = xmalloc(LOOP_SCRATCH);
    mailbox_init(&l->mailbox);
    loop_watch(l, &l->mail_source, l->mailbox.fd, LOOP_READ, drain_mail);
    return l;
}

static void run_deferred(struct loop *l);

void loop_destroy(struct loop **lp)
{
    struct loop *l = *lp;
    *lp = NULL;
    if (l == NULL) {
        return;
    }
    list_for_each (node, &l->conns) {
        conn_close(container_of(node, struct conn, node));
    }
    run_deferred(l);
    loop_unwatch(&l->mail_source);
    mailbox_fini(&l->mailbox);
    for (uint32_t i = 0; i < l->spare_count; i++) {
        buf_fini(&l->spare[i]);
    }
    free(l->heap);
    free(l->scratch);
    free(l->scratch_within);
    (void)close(l->epoll);
    free(l);
}

struct mailbox *loop_mailbox(struct loop *l)
{
    return &l->mailbox;
}

uint64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

void loop_before_flush(struct loop *l, void (*fn)(void *arg), void *arg)
{
    l->before_flush = fn;
    l->before_flush_arg = arg;
}

void loop_stand_still(struct loop *l, uint64_t now_ms)
{
    l->now_ms = now_ms;
}

void loop_read_clock(struct loop *l)
{
    l->now_ms = clock_now_ms();
}

void loop_limit_buffers(struct loop *l, uint64_t max_bytes)
{
    l->buffer_max = max_bytes;
}

uint64_t loop_buffer_bytes(const struct loop *l)
{
    return atomic_load_explicit(&l->buffer_bytes, memory_order_relaxed);
}

uint64_t loop_bytes_in(const struct loop *l)
{
    return atomic_load_explicit(&l->bytes_in, memory_order_relaxed);
}

uint64_t loop_bytes_out(const struct loop *l)
{
    return atomic_load_explicit(&l->bytes_out, memory_order_relaxed);
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->stop, true, memory_order_release);
    uint64_t one = 1;
    (void)!write(l->mailbox.fd, &one, sizeof(one));
}

/* --- sources ------------------------------------------------------------------------------------ */

static uint32_t epoll_bits(unsigned events)
{
    return ((events & LOOP_READ) != 0 ? EPOLLIN : 0U) |
           ((events & LOOP_WRITE) != 0 ? EPOLLOUT : 0U) |
           ((events & LOOP_PEER_SHUT) != 0 ? EPOLLRDHUP : 0U);
}

void loop_watch(struct loop *l, struct loop_source *src, int fd, unsigned events,
                loop_source_fn *handle)
{
    *src = (struct loop_source){.fd = fd, .events = events, .handle = handle, .loop = l};
    struct epoll_event ev = {.events = epoll_bits(events), .data.ptr = src};
    check(epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) == 0);
}

void loop_rewatch(struct loop_source *src, unsigned events)
{
    if (src->events == events) {
        return;
    }
    src->events = events;
    struct epoll_event ev = {.events = epoll_bits(events), .data.ptr = src};
    check(epoll_ctl(src->loop->epoll, EPOLL_CTL_MOD, src->fd, &ev) == 0);
}

void loop_unwatch(struct loop_source *src)
{
    struct loop *l = src->loop;
    if (l == NULL) {
        return;
    }
    (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, src->fd, NULL);
    for (struct loop_batch *b = l->batch; b != NULL; b = b->outer) {
        for (int i = 0; i < b->ready_count; i++) {
            if (b->ready[i].data.ptr == src) {
                b->ready[i].data.ptr = NULL;
            }
        }
    }
    src->loop = NULL;
}

static unsigned loop_bits(uint32_t events)
{
    return ((events & EPOLLIN) != 0 ? LOOP_READ : 0U) |
           ((events & EPOLLOUT) != 0 ? LOOP_WRITE : 0U) |
           ((events & EPOLLRDHUP) != 0 ? LOOP_PEER_SHUT : 0U) |
           ((events & (EPOLLHUP | EPOLLERR)) != 0 ? LOOP_READ | LOOP_WRITE | LOOP_HANGUP : 0U);
}

/* --- deferred work ------------------------------------------------------------------------------ */

void loop_defer(struct loop *l, struct loop_task *task, loop_task_fn *handle)
{
    if (list_empty(&task->node)) {
        task->handle = handle;
        list_push_back(&l->deferred, &task->node);
    }
}

/* Runs what was deferred so far; work deferred meanwhile waits for the next turn. */
static void run_deferred(struct loop *l)
{
    struct list now;
    list_init(&now);
    struct list *node;
    while ((node = list_pop_front(&l->deferred)) != NULL) {
        list_push_back(&now, node);
    }
    while ((node = list_pop_front(&now)) != NULL) {
        struct loop_task *task = container_of(node, struct loop_task, node);
        task->handle(task);
    }
}

/* --- the turn ----------------------------------------------------------------------------------- */

/* Runs what is ready, and offers what connections have read. */
static void run_batch(struct loop *l, struct loop_batch *b, int count)
{
    b->ready_count = count > 0 ? count : 0;
    for (int i = 0; i < b->ready_count; i++) {
        struct loop_source *src = b->ready[i].data.ptr;
        if (src != NULL) {
            src->handle(src, loop_bits(b->ready[i].events));
        }
    }
    b->ready_count = 0;
    conn_go_on(l);
}

static void end_turn(struct loop *l)
{
    if (l->before_flush != NULL) {
        l->before_flush(l->before_flush_arg);
    }
    run_deferred(l);
}

void loop_run(struct loop *l)
{
    struct loop_batch batch = {.outer = NULL};
    l->batch = &batch;
    while (!atomic_load_explicit(&l->stop, memory_order_acquire)) {
        int wait_ms = list_empty(&l->deferred) ? timers_wait_ms(l) : 0;
        thread_rest();
        int count = epoll_wait(l->epoll, batch.ready, LOOP_BATCH, wait_ms);
        count = gather_more(l, count);
        check(count >= 0 || errno == EINTR);
        uint64_t now_us = clock_now_us();
        l->now_ms = now_us / 1000;
        thread_turn(now_us);
        run_batch(l, &batch, count);
        timers_run(l);
        end_turn(l);
    }
    atomic_store_explicit(&l->stop, false, memory_order_relaxed);
    l->batch = NULL;
}

/* What the outer turn has read into its scratch buffer is offered first: it waits there already. */
void loop_turn_within(struct loop *l)
{
    check(l->batch != NULL && l->batch->outer == NULL);
    if (l->scratch_within == NULL) {
        l->scratch_within = xmalloc(LOOP_SCRATCH);
    }
    conn_go_on_rest(l);
    struct loop_batch batch = {.outer = l->batch};
    struct loop_ahead outer_ahead = l->ahead;
    char *outer_scratch = l->scratch;
    l->batch = &batch; /* cppcheck-suppress autoVariables ; until this function ends */
    l->ahead = (struct loop_ahead){.count = 0};
    l->scratch = l->scratch_within;
    run_batch(l, &batch, epoll_wait(l->epoll, batch.ready, LOOP_BATCH, 0));
    end_turn(l);
    l->scratch = outer_scratch;
    l->ahead = outer_ahead;
    l->batch = batch.outer;
}
