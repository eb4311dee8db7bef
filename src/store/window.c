/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue of fingerprints; window.h draws it.
 *
 * Pages are taken one at a time as the newest end needs them. One that the oldest end has left is kept as
 * the spare, so a queue of steady length takes and gives nothing: where the budget is full there would be
 * nothing to take.
 */
#include "store/window.h"

#include "base/check.h"

enum { ENTRIES = STORE_PAGE / sizeof(uint32_t) };

static uint32_t *entry_at(const struct pages *p, uint32_t page, uint32_t at)
{
    return (uint32_t *)pages_at(p, page) + at;
}

/* And a spare in advance: later there may be no memory. */
static uint32_t page_get(struct window *w, struct pages *p)
{
    uint32_t page = w->spare != 0 ? w->spare : pages_take(p, 1, PAGE_INDEX);
    w->spare = page != 0 ? pages_take(p, 1, PAGE_INDEX) : 0;
    return page;
}

static void page_put(struct window *w, struct pages *p, uint32_t page)
{
    if (w->spare == 0) {
        w->spare = page;
    } else {
        pages_give(p, page);
    }
}

bool window_push(struct window *w, struct pages *p, uint32_t print)
{
    if (w->last == 0 || w->end == ENTRIES) {
        uint32_t page = page_get(w, p);
        if (page == 0) {
            return false;
        }
        if (w->last == 0) {
            w->first = page;
            w->begin = 0;
        } else {
            p->page[w->last].next = page;
        }
        w->last = page;
        w->end = 0;
    }
    *entry_at(p, w->last, w->end++) = print;
    w->count++;
    return true;
}

bool window_pop(struct window *w, struct pages *p, uint32_t *ret_print)
{
    if (w->count == 0) {
        return false;
    }
    *ret_print = *entry_at(p, w->first, w->begin++);
    w->count--;
    if (w->count == 0) {
        w->begin = w->end = 0; /* first is last */
    } else if (w->begin == ENTRIES) {
        uint32_t left = w->first;
        w->first = p->page[left].next;
        w->begin = 0;
        page_put(w, p, left);
    }
    return true;
}

void window_each(const struct window *w, const struct pages *p, window_fn *fn, void *arg)
{
    uint32_t page = w->first;
    uint32_t at = w->begin;
    for (uint32_t i = 0; i < w->count; i++) {
        if (at == ENTRIES) {
            page = p->page[page].next;
            at = 0;
        }
        fn(arg, *entry_at(p, page, at++));
    }
}
