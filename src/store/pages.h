/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages: the memory of one shard in one space, in runs of 4 KB pages.
 *
 * One stretch of address space is reserved per shard and space, larger than the budget, and made
 * usable from the bottom up. So everything stored has a 32-bit reference (offset / 8) and a pointer
 * is one addition away: half of what a pointer costs in the index.
 *
 *      page:   0        1 2 3 | 4 | 5 6 | 7 8 9 10 | 11 ...      top ............ limit
 *              unused   slab    index  free  large   hollow       never used yet
 *
 * A run is one of: in use (slab, large, index), *free* (ours, memory resident, counted), or
 * *hollow* (given back to the system and to the budget; only the addresses are kept). A space that
 * needs bytes in another place hollows out free runs, so fragmentation costs addresses, not budget.
 *
 * P1. The kind of a page is SLAB, LARGE or INDEX only at the first page of such a run, so walkers
 * may step page by page from anywhere. P2. Free and hollow runs carry their length at both ends and
 * have no neighbour of their own kind. P3. The space was charged: (pages below top that are not
 * hollow) * 4096 + top * sizeof(struct page).
 *
 * Threads: the shard's lock.
 */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include "store/space.h"

#include <stddef.h>

enum { STORE_PAGE = 4096, PAGE_BINS = 60, PAGE_NEVER = UINT32_MAX };

enum page_kind {
    PAGE_INSIDE, /* not the first of its run */
    PAGE_FREE,
    PAGE_FREE_END,
    PAGE_HOLLOW,
    PAGE_HOLLOW_END,
    PAGE_SLAB,
    PAGE_LARGE,
    PAGE_INDEX,
};

struct page {
    uint8_t kind;
    uint8_t class; /* slab */
    uint16_t used; /* slab: slots taken */
    uint32_t len;  /* pages in the run; at both ends of free and hollow ones */
    uint32_t next; /* slab: runs of the class with room; free, hollow: runs of the bin */
    uint32_t prev;
    uint16_t free;    /* slab: first free slot, (offset / 8) + 1; 0: none */
    uint16_t carved;  /* slab: offset / 8 of the first slot never used */
    uint32_t soonest; /* no item of the run expires before this (ms >> 10); PAGE_NEVER: none does */
};

struct page_bins {
    uint64_t filled; /* bit i: head[i] is not 0 */
    uint32_t head[PAGE_BINS];
};

struct pages {
    struct space *space;
    char *base;        /* page 0; NULL until first used */
    struct page *page; /* descriptors, by page number */
    uint32_t limit;    /* pages reserved */
    uint32_t top;      /* pages below have a descriptor; 1 at the start */
    uint32_t usable;   /* pages below may be touched */
    uint32_t hollow;   /* pages */
    uint32_t free;     /* pages */
    uint32_t keep;     /* free pages worth keeping when the space is short */
    uint32_t refuse;   /* tests: pages_refuses(), 0: never */
    struct page_bins free_bins;
    struct page_bins hollow_bins;
};

void pages_init(struct pages *p, struct space *space);
void pages_fini(struct pages *p);

/* For tests, which set `refuse` to n: the n-th wish for pages or a slot from now on finds no room, nor does any
 * after it. Whoever hands out memory asks. */
static inline bool pages_refuses(struct pages *p)
{
    if (__builtin_expect(p->refuse > 1, 0)) {
        p->refuse--;
        return false;
    }
    return __builtin_expect(p->refuse == 1, 0);
}

/* The first page of a run of `len`; 0 when the budget has no room. Content is undefined. */
uint32_t pages_take(struct pages *p, uint32_t len, enum page_kind kind);
void pages_give(struct pages *p, uint32_t page);
/* Lengthens or shortens a run where it stands; false leaves it as it was. */
bool pages_resize(struct pages *p, uint32_t page, uint32_t len);
/* Hollows out up to a megabyte of free runs, as long as more than `keep` pages are free; true: call again. */
bool pages_trim_step(struct pages *p, uint32_t keep);
/* Hollows out free runs until at most `keep` free pages are left. */
void pages_trim(struct pages *p, uint32_t keep);
/* Back to nothing, whatever is in use. */
void pages_reset(struct pages *p);
void pages_validate(const struct pages *p);

static inline void *pages_at(const struct pages *p, uint32_t page)
{
    return p->base + (size_t)page * STORE_PAGE;
}

/* How far a walker at `page` may step: over the run that begins there, or a page. */
static inline uint32_t pages_step(const struct pages *p, uint32_t page)
{
    const struct page *run = &p->page[page];
    bool begins =
        run->kind != PAGE_INSIDE && run->kind != PAGE_FREE_END && run->kind != PAGE_HOLLOW_END;
    return begins ? run->len : 1;
}

/* The page of an address inside. */
static inline uint32_t pages_of(const struct pages *p, const void *ptr)
{
    return (uint32_t)((size_t)((const char *)ptr - p->base) / STORE_PAGE);
}

#endif
