/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers: a binary min-heap of pointers. Timers here are few (one per connection, most of them lazy)
 * and mostly far away; starting, moving and stopping cost O(log n) and no allocation.
 *
 * Invariant: heap[i]->slot == i + 1, so a timer knows its place and can be moved or removed from it.
 */
#include "base/alloc.h"
#include "net/net_priv.h"

static void place(struct loop *l, uint32_t i, struct timer *t)
{
    l->heap[i] = t;
    t->slot = i + 1;
}

static void sift(struct loop *l, uint32_t i, struct timer *t)
{
    while (i > 0 && l->heap[(i - 1) / 2]->due_ms > t->due_ms) {
        place(l, i, l->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child + 1 < l->heap_len && l->heap[child + 1]->due_ms < l->heap[child]->due_ms) {
            child++;
        }
        if (child >= l->heap_len || l->heap[child]->due_ms >= t->due_ms) {
            break;
        }
        place(l, i, l->heap[child]);
        i = child;
    }
    place(l, i, t);
}

void timer_start(struct loop *l, struct timer *t, uint64_t after_ms, timer_fn *handle)
{
    t->due_ms = l->now_ms + after_ms;
    t->handle = handle;
    t->loop = l;
    if (t->slot != 0) {
        sift(l, t->slot - 1, t);
        return;
    }
    if (l->heap_len == l->heap_cap) {
        l->heap_cap = l->heap_cap > 0 ? l->heap_cap * 2 : 64;
        l->heap = xrealloc(l->heap, l->heap_cap * sizeof(struct timer *));
    }
    l->heap_len++;
    sift(l, l->heap_len - 1, t);
}

void timer_stop(struct timer *t)
{
    if (t->slot == 0) {
        return;
    }
    struct loop *l = t->loop;
    uint32_t i = t->slot - 1;
    t->slot = 0;
    l->heap_len--;
    if (i < l->heap_len) {
        sift(l, i, l->heap[l->heap_len]);
    }
}

int timers_wait_ms(const struct loop *l)
{
    if (l->heap_len == 0) {
        return -1;
    }
    uint64_t due = l->heap[0]->due_ms;
    if (due <= l->now_ms) {
        return 0;
    }
    return due - l->now_ms > 60000 ? 60000 : (int)(due - l->now_ms);
}

void timers_run(struct loop *l)
{
    while (l->heap_len > 0 && l->heap[0]->due_ms <= l->now_ms) {
        struct timer *t = l->heap[0];
        timer_stop(t);
        t->handle(t);
    }
}
