/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs of pages inside one reserved stretch of addresses; pages.h draws it.
 *
 * Unused runs sit in bins by length: exact below 32 pages, by octave above. Taking prefers free
 * runs (resident, already counted), then hollow ones, then new pages at the top; when the budget
 * refuses, free runs are hollowed out first, if that can help. Giving back joins neighbours of the
 * same kind by their boundary marks. All of it is constant time but for a bounded look through an
 * octave's bin.
 *
 * The reservation is inaccessible memory and costs nothing; it is opened 256 KB at a time. It has no huge
 * pages: what a space holds must be what is resident.
 * Descriptors have their own reservation and are charged as the top rises.
 *
 * Not done: moving runs. Items are moved by whoever knows their references (evict.c).
 */
#include "store/pages.h"

#include "base/check.h"

#include <string.h>
#include <sys/mman.h>

enum {
    EXACT_BINS = 32,
    BIN_LOOKS = 32,
    OPEN_STEP = 64,
    TRIM_STEP = 256,
    RESERVE_TIMES = 4,
    RESERVE_SLACK = 16384
};
enum { KEEP_MAX = 64, KEEP_SHARE = 256, SHORT_SHARE = 16 };

/* 32-bit references in units of 8 bytes. */
#define PAGES_MAX ((uint64_t)UINT32_MAX * 8 / STORE_PAGE)

static uint32_t bin_of(uint32_t len)
{
    return len < EXACT_BINS ? len : EXACT_BINS - 5 + (31 - (uint32_t)__builtin_clz(len));
}

static struct page_bins *bins_of(struct pages *p, enum page_kind kind)
{
    return kind == PAGE_FREE ? &p->free_bins : &p->hollow_bins;
}

static uint32_t *count_of(struct pages *p, enum page_kind kind)
{
    return kind == PAGE_FREE ? &p->free : &p->hollow;
}

/* Makes [page, page + len) an unused run. */
static void unused_add(struct pages *p, uint32_t page, uint32_t len, enum page_kind kind)
{
    struct page_bins *bins = bins_of(p, kind);
    uint32_t bin = bin_of(len);
    uint32_t head = bins->head[bin];
    p->page[page] = (struct page){.kind = (uint8_t)kind, .len = len, .next = head};
    if (len > 1) {
        p->page[page + len - 1] = (struct page){.kind = (uint8_t)(kind + 1), .len = len};
    }
    if (head != 0) {
        p->page[head].prev = page;
    }
    bins->head[bin] = page;
    bins->filled |= 1ULL << bin;
    *count_of(p, kind) += len;
}

/* The reverse: the run belongs to nobody until marked. */
static uint32_t unused_remove(struct pages *p, uint32_t page)
{
    struct page *run = &p->page[page];
    enum page_kind kind = run->kind;
    struct page_bins *bins = bins_of(p, kind);
    uint32_t bin = bin_of(run->len);
    if (run->prev != 0) {
        p->page[run->prev].next = run->next;
    } else {
        bins->head[bin] = run->next;
        if (run->next == 0) {
            bins->filled &= ~(1ULL << bin);
        }
    }
    if (run->next != 0) {
        p->page[run->next].prev = run->prev;
    }
    run->kind = PAGE_INSIDE;
    p->page[page + run->len - 1].kind = PAGE_INSIDE;
    *count_of(p, kind) -= run->len;
    return run->len;
}

/* Adds an unused run, joined with the neighbours of its kind (P2). */
static void unused_join(struct pages *p, uint32_t page, uint32_t len, enum page_kind kind)
{
    if (page + len < p->top && p->page[page + len].kind == kind) {
        len += unused_remove(p, page + len);
    }
    const struct page *left = &p->page[page - 1]; /* page 0 is never unused */
    if (left->kind == kind || left->kind == kind + 1) {
        p->page[page].kind = PAGE_INSIDE;
        page -= left->len;
        len += unused_remove(p, page);
    }
    unused_add(p, page, len, kind);
}

static uint32_t unused_find(const struct pages *p, const struct page_bins *bins, uint32_t len)
{
    uint32_t bin = bin_of(len);
    uint64_t filled = bins->filled >> bin;
    if (bin >= EXACT_BINS && (filled & 1) != 0) {
        uint32_t page = bins->head[bin];
        for (int looks = 0; page != 0 && looks < BIN_LOOKS; looks++) {
            if (p->page[page].len >= len) {
                return page;
            }
            page = p->page[page].next;
        }
        filled &= ~1ULL;
    }
    return filled == 0 ? 0 : bins->head[bin + (uint32_t)__builtin_ctzll(filled)];
}

/* Takes the first `len` pages of an unused run. */
static void unused_cut(struct pages *p, uint32_t page, uint32_t len)
{
    enum page_kind kind = p->page[page].kind;
    uint32_t whole = unused_remove(p, page);
    if (whole > len) {
        unused_add(p, page + len, whole - len, kind);
    }
}

/* The end of a free run, not more than the system takes back in an instant. */
static void hollow_out(struct pages *p, uint32_t page, uint32_t most)
{
    uint32_t whole = unused_remove(p, page);
    uint32_t len = whole < most ? whole : most;
    if (whole > len) {
        unused_add(p, page, whole - len, PAGE_FREE);
        page += whole - len;
    }
    check(madvise(pages_at(p, page), (size_t)len * STORE_PAGE, MADV_DONTNEED) == 0);
    space_give(p->space, (uint64_t)len * STORE_PAGE);
    unused_join(p, page, len, PAGE_HOLLOW);
}

bool pages_trim_step(struct pages *p, uint32_t keep)
{
    if (p->free <= keep) {
        return false;
    }
    uint32_t most = p->free - keep < TRIM_STEP ? p->free - keep : TRIM_STEP;
    hollow_out(p, p->free_bins.head[63 - __builtin_clzll(p->free_bins.filled)], most);
    return p->free > keep;
}

void pages_trim(struct pages *p, uint32_t keep)
{
    while (pages_trim_step(p, keep)) {
    }
}

/* Charges the space for `bytes`, hollowing out free runs if that makes the difference. */
static bool charge(struct pages *p, uint64_t bytes)
{
    if (space_take(p->space, bytes)) {
        return true;
    }
    uint64_t used = space_used(p->space);
    uint64_t own = (uint64_t)p->free * STORE_PAGE;
    uint64_t limit = space_limit(p->space);
    if (used > limit + own || bytes > limit + own - used) {
        return false;
    }
    while (p->free > 0) {
        pages_trim(p, p->free - 1);
        if (space_take(p->space, bytes)) {
            return true;
        }
    }
    return false;
}

static bool reserve(struct pages *p)
{
    uint64_t pages = p->space->budget / STORE_PAGE * RESERVE_TIMES + RESERVE_SLACK;
    p->limit = (uint32_t)(pages < PAGES_MAX ? pages : PAGES_MAX);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *desc = mmap(NULL, p->limit * sizeof(struct page), PROT_READ | PROT_WRITE, flags, -1, 0);
    if (desc == MAP_FAILED) {
        return false;
    }
    void *base = mmap(NULL, (size_t)p->limit * STORE_PAGE, PROT_NONE, flags, -1, 0);
    if (base == MAP_FAILED) {
        (void)munmap(desc, p->limit * sizeof(struct page));
        return false;
    }
    /* Huge pages would be filled again behind our back where runs are hollow. EINVAL: the system has none. */
    (void)madvise(base, (size_t)p->limit * STORE_PAGE, MADV_NOHUGEPAGE);
    p->page = desc;
    p->base = base;
    return true;
}

/* Raises the top by `len` pages, whose memory has been charged; charges their descriptors. */
static bool extend(struct pages *p, uint32_t len)
{
    if (p->base == NULL && !reserve(p)) {
        return false;
    }
    if (len > p->limit - p->top || !charge(p, len * sizeof(struct page))) {
        return false;
    }
    uint32_t top = p->top + len;
    if (top > p->usable) {
        uint64_t step = ((uint64_t)top + OPEN_STEP - 1) / OPEN_STEP * OPEN_STEP;
        uint32_t usable = (uint32_t)(step < p->limit ? step : p->limit);
        size_t bytes = (size_t)(usable - p->usable) * STORE_PAGE;
        if (mprotect(pages_at(p, p->usable), bytes, PROT_READ | PROT_WRITE) != 0) {
            space_give(p->space, len * sizeof(struct page));
            return false;
        }
        p->usable = usable;
    }
    p->top = top;
    return true;
}

static void mark_used(struct pages *p, uint32_t page, uint32_t len, enum page_kind kind)
{
    p->page[page] = (struct page){.kind = (uint8_t)kind, .len = len, .soonest = PAGE_NEVER};
    for (uint32_t i = 1; i < len; i++) {
        p->page[page + i].kind = PAGE_INSIDE;
    }
}

uint32_t pages_take(struct pages *p, uint32_t len, enum page_kind kind)
{
    if (pages_refuses(p)) {
        return 0;
    }
    uint32_t page = unused_find(p, &p->free_bins, len);
    if (page != 0) {
        unused_cut(p, page, len);
        mark_used(p, page, len, kind);
        return page;
    }
    uint64_t bytes = (uint64_t)len * STORE_PAGE;
    if (!charge(p, bytes)) {
        return 0;
    }
    page = unused_find(p, &p->hollow_bins, len);
    if (page != 0) {
        unused_cut(p, page, len);
    } else {
        page = p->top;
        if (!extend(p, len)) {
            space_give(p->space, bytes);
            return 0;
        }
    }
    mark_used(p, page, len, kind);
    return page;
}

void pages_give(struct pages *p, uint32_t page)
{
    uint32_t len = p->page[page].len;
    p->page[page].kind = PAGE_INSIDE;
    unused_join(p, page, len, PAGE_FREE);
    const struct space *s = p->space;
    if (p->free > p->keep && space_used(s) > space_limit(s) - space_limit(s) / SHORT_SHARE) {
        pages_trim(p, p->keep); /* another shard may need it more */
    }
}

static bool lengthen(struct pages *p, uint32_t page, uint32_t more)
{
    uint32_t next = page + p->page[page].len;
    uint64_t bytes = (uint64_t)more * STORE_PAGE;
    if (next < p->top && p->page[next].kind == PAGE_FREE && p->page[next].len >= more) {
        unused_cut(p, next, more);
        return true;
    }
    bool is_hollow =
        next < p->top && p->page[next].kind == PAGE_HOLLOW && p->page[next].len >= more;
    if ((!is_hollow && next != p->top) || !space_take(p->space, bytes)) {
        return false;
    }
    if (is_hollow) {
        unused_cut(p, next, more);
    } else if (!extend(p, more)) {
        space_give(p->space, bytes);
        return false;
    }
    return true;
}

bool pages_resize(struct pages *p, uint32_t page, uint32_t len)
{
    uint32_t old = p->page[page].len;
    if (len > old) {
        if (pages_refuses(p) || !lengthen(p, page, len - old)) {
            return false;
        }
        for (uint32_t i = old; i < len; i++) {
            p->page[page + i].kind = PAGE_INSIDE;
        }
    } else if (len < old) {
        unused_join(p, page + len, old - len, PAGE_FREE);
    }
    p->page[page].len = len;
    return true;
}

void pages_init(struct pages *p, struct space *space)
{
    uint64_t share = space->budget / STORE_PAGE / KEEP_SHARE;
    uint32_t keep = share < KEEP_MAX ? (uint32_t)share : KEEP_MAX;
    *p = (struct pages){.space = space, .top = 1, .usable = 1, .keep = keep};
}

void pages_reset(struct pages *p)
{
    if (p->base == NULL) {
        return;
    }
    uint64_t pages = p->top - 1 - p->hollow;
    check(madvise(p->base, (size_t)p->usable * STORE_PAGE, MADV_DONTNEED) == 0);
    check(madvise(p->page, p->top * sizeof(struct page), MADV_DONTNEED) == 0);
    space_give(p->space, pages * STORE_PAGE + (p->top - 1) * sizeof(struct page));
    p->top = 1;
    p->free = p->hollow = 0;
    memset(&p->free_bins, 0, sizeof(p->free_bins));
    memset(&p->hollow_bins, 0, sizeof(p->hollow_bins));
}

void pages_fini(struct pages *p)
{
    pages_reset(p);
    if (p->base != NULL) {
        (void)munmap(p->page, p->limit * sizeof(struct page));
        (void)munmap(p->base, (size_t)p->limit * STORE_PAGE);
        p->base = NULL;
    }
}

static uint32_t validate_bins(const struct pages *p, const struct page_bins *bins, uint8_t kind)
{
    uint32_t pages = 0;
    for (uint32_t bin = 0; bin < PAGE_BINS; bin++) {
        check((bins->head[bin] != 0) == ((bins->filled >> bin & 1) != 0));
        uint32_t prev = 0;
        for (uint32_t at = bins->head[bin]; at != 0; at = p->page[at].next) {
            check(p->page[at].kind == kind && bin_of(p->page[at].len) == bin);
            check(p->page[at].prev == prev);
            pages += p->page[at].len;
            prev = at;
        }
    }
    return pages;
}

void pages_validate(const struct pages *p)
{
    check(validate_bins(p, &p->free_bins, PAGE_FREE) == p->free);
    check(validate_bins(p, &p->hollow_bins, PAGE_HOLLOW) == p->hollow);
    uint32_t before = PAGE_INSIDE;
    for (uint32_t at = 1; at < p->top; at += p->page[at].len) {
        const struct page *run = &p->page[at];
        const struct page *last = run + run->len - 1;
        check(run->kind != PAGE_INSIDE && run->kind != PAGE_FREE_END &&
              run->kind != PAGE_HOLLOW_END && run->len > 0);
        bool is_unused = run->kind == PAGE_FREE || run->kind == PAGE_HOLLOW;
        check(!is_unused || run->kind != before); /* P2 */
        for (uint32_t i = 1; i < run->len; i++) {
            bool is_end = is_unused && i + 1 == run->len;
            check(run[i].kind == (is_end ? run->kind + 1 : PAGE_INSIDE)); /* P1 */
        }
        check(!is_unused || last->len == run->len);
        before = run->kind;
        check(run->len <= p->top - at);
    }
}
