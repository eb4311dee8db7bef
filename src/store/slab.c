/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Size classes over runs of pages; slab.h draws a run and states the rules.
 *
 * Free slots of a run are chained through their first four bytes by offset / 8; slots above
 * `carved` were never touched, so a fresh run costs memory only as it fills. The page descriptor
 * holds the chain's head, so neither a slot nor a run has a header of its own.
 *
 * Under AddressSanitizer the bytes of a free slot past the first eight are poisoned.
 */
#include "store/slab.h"

#include "base/check.h"
#include "store/slab_class.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define poison(ptr, len)   ASAN_POISON_MEMORY_REGION((ptr), (len))
#define unpoison(ptr, len) ASAN_UNPOISON_MEMORY_REGION((ptr), (len))
#else
#define poison(ptr, len)   ((void)(ptr), (void)(len))
#define unpoison(ptr, len) ((void)(ptr), (void)(len))
#endif

/* By a shard's share of the budget, in pages. */
enum { RUN_PAGES_MIN = 4, RUN_PAGES_MAX = 32, RUN_SHARE = 256 };
enum { MERGE_4_PAGES = 1024, MERGE_2_PAGES = 8192 };
enum { SPREAD_LOOKS = 16 };

struct hole {
    uint32_t next; /* (offset / 8) + 1 */
    uint32_t dead; /* zero: no ITEM_LIVE */
};

static uint32_t run_slots(const struct page *run)
{
    return run->len * STORE_PAGE / class_bytes(run->class);
}

/* The first page of the run that a slot lies in. Pages inside know nothing: walk back, at most
 * RUN_PAGES_MAX - 1 steps and mostly none or one. */
uint32_t slab_run_of(const struct slab *s, const void *ptr)
{
    uint32_t page = pages_of(&s->pages, ptr);
    while (s->pages.page[page].kind == PAGE_INSIDE) {
        page--;
    }
    return page;
}

static void partial_add(struct slab *s, uint32_t page)
{
    struct page *run = &s->pages.page[page];
    uint32_t head = s->partial[run->class];
    run->prev = 0;
    run->next = head;
    if (head != 0) {
        s->pages.page[head].prev = page;
    }
    s->partial[run->class] = page;
}

static void partial_remove(struct slab *s, uint32_t page)
{
    const struct page *run = &s->pages.page[page];
    if (run->prev != 0) {
        s->pages.page[run->prev].next = run->next;
    } else {
        s->partial[run->class] = run->next;
    }
    if (run->next != 0) {
        s->pages.page[run->next].prev = run->prev;
    }
}

static bool run_add(struct slab *s, uint32_t class)
{
    uint32_t slot = class_bytes(class);
    uint32_t page = pages_take(&s->pages, class_pages(slot, s->run_pages_max), PAGE_SLAB);
    if (page == 0 && slot <= STORE_PAGE) {
        page = pages_take(&s->pages, 1, PAGE_SLAB);
    }
    if (page == 0) {
        return false;
    }
    struct page *run = &s->pages.page[page];
    run->class = (uint8_t) class;
    s->room[class] += run_slots(run);
    partial_add(s, page);
    return true;
}

/* The run has room. */
static void *slot_take(struct slab *s, uint32_t page)
{
    struct page *run = &s->pages.page[page];
    uint32_t slot = class_bytes(run->class);
    char *base = pages_at(&s->pages, page);
    struct hole *hole;
    if (run->free != 0) {
        hole = (void *)(base + (size_t)(run->free - 1) * 8);
        run->free = (uint16_t)hole->next;
    } else {
        hole = (void *)(base + (size_t)run->carved * 8);
        run->carved = (uint16_t)(run->carved + slot / 8);
    }
    unpoison(hole, slot);
    *hole = (struct hole){0}; /* L3 */
    run->used++;
    s->room[run->class]--;
    if (run->free == 0 && run->carved * 8U + slot > run->len * STORE_PAGE) {
        partial_remove(s, page);
    }
    if (run->class != SLAB_BUCKET) {
        s->bytes += slot;
    }
    return hole;
}

static void *large_alloc(struct slab *s, size_t size)
{
    uint32_t len = (uint32_t)((size + STORE_PAGE - 1) / STORE_PAGE);
    uint32_t page = pages_take(&s->pages, len, PAGE_LARGE);
    if (page == 0) {
        return NULL;
    }
    s->bytes += (uint64_t)len * STORE_PAGE;
    struct hole *hole = pages_at(&s->pages, page);
    *hole = (struct hole){0};
    return hole;
}

static uint32_t class_with_room(const struct slab *s, uint32_t class)
{
    uint32_t most = class_bytes(class) + class_bytes(class) / 8;
    for (uint32_t c = class + 1; c < SLAB_ITEM_CLASSES && class_bytes(c) <= most; c++) {
        if (s->partial[c] != 0) {
            return c;
        }
    }
    return SLAB_CLASSES;
}

void *slab_alloc(struct slab *s, size_t size)
{
    if (size > SLAB_MAX) {
        return large_alloc(s, size);
    }
    if (pages_refuses(&s->pages)) {
        return NULL;
    }
    uint32_t class = class_of(size, s->merge);
    if (s->partial[class] == 0 && !run_add(s, class)) {
        class = class_with_room(s, class);
        if (class == SLAB_CLASSES) {
            return size > STORE_PAGE ? large_alloc(s, size) : NULL;
        }
    }
    return slot_take(s, s->partial[class]);
}

void *slab_alloc_bucket(struct slab *s)
{
    if (pages_refuses(&s->pages) || (s->partial[SLAB_BUCKET] == 0 && !run_add(s, SLAB_BUCKET))) {
        return NULL;
    }
    return slot_take(s, s->partial[SLAB_BUCKET]);
}

static void run_remove(struct slab *s, uint32_t page)
{
    const struct page *run = &s->pages.page[page];
    partial_remove(s, page);
    s->room[run->class] -= run_slots(run);
    unpoison(pages_at(&s->pages, page), (size_t)run->len * STORE_PAGE);
    pages_give(&s->pages, page);
}

void slab_free(struct slab *s, void *ptr)
{
    uint32_t page = slab_run_of(s, ptr);
    struct page *run = &s->pages.page[page];
    if (run->kind == PAGE_LARGE) {
        s->bytes -= (uint64_t)run->len * STORE_PAGE;
        pages_give(&s->pages, page);
        return;
    }
    check(run->kind == PAGE_SLAB && run->used > 0);
    uint32_t slot = class_bytes(run->class);
    bool was_full = run->free == 0 && run->carved * 8U + slot > run->len * STORE_PAGE;
    struct hole *hole = ptr;
    *hole = (struct hole){.next = run->free};
    poison(hole + 1, slot - sizeof(*hole));
    run->free = (uint16_t)((size_t)((char *)ptr - (char *)pages_at(&s->pages, page)) / 8 + 1);
    run->used--;
    s->room[run->class]++;
    if (run->class != SLAB_BUCKET) {
        s->bytes -= slot;
    }
    if (was_full) {
        partial_add(s, page);
    }
    if (run->used == 0) {
        run_remove(s, page); /* L1 */
    }
}

size_t slab_run_slot_bytes(const struct slab *s, uint32_t page)
{
    const struct page *run = &s->pages.page[page];
    return run->kind == PAGE_LARGE ? (size_t)run->len * STORE_PAGE : class_bytes(run->class);
}

size_t slab_bytes(const struct slab *s, const void *ptr)
{
    return slab_run_slot_bytes(s, slab_run_of(s, ptr));
}

size_t slab_round(const struct slab *s, size_t size)
{
    if (size > SLAB_MAX) {
        return (size + STORE_PAGE - 1) / STORE_PAGE * STORE_PAGE;
    }
    return class_bytes(class_of(size, s->merge));
}

bool slab_resize(struct slab *s, void *ptr, size_t size)
{
    uint32_t page = pages_of(&s->pages, ptr);
    uint32_t old = s->pages.page[page].len;
    uint32_t len = (uint32_t)(slab_round(s, size) / STORE_PAGE);
    if (s->pages.page[page].kind != PAGE_LARGE || size <= SLAB_MAX ||
        !pages_resize(&s->pages, page, len)) {
        return false;
    }
    s->bytes += ((uint64_t)len - old) * STORE_PAGE;
    return true;
}

void slab_note_run_expiry(struct slab *s, uint32_t page, uint64_t expiry_ms)
{
    struct page *run = &s->pages.page[page];
    uint64_t at = expiry_ms >> 10;
    if (at < run->soonest) {
        run->soonest = (uint32_t)at;
    }
}

void slab_note_expiry(struct slab *s, const void *ptr, uint64_t expiry_ms)
{
    slab_note_run_expiry(s, slab_run_of(s, ptr), expiry_ms);
}

void *slab_run_next_piece(const struct slab *s, uint32_t page, size_t *at)
{
    const struct page *run = &s->pages.page[page];
    char *base = pages_at(&s->pages, page);
    size_t slot = slab_run_slot_bytes(s, page);
    size_t end = run->kind == PAGE_LARGE ? slot : run->carved * (size_t)8;
    while (*at < end) {
        struct store_item *piece = (void *)(base + *at);
        *at += slot;
        if (piece->place != 0) { /* L3 */
            return piece;
        }
    }
    return NULL;
}

struct store_item *slab_run_next(const struct slab *s, uint32_t page, size_t *at)
{
    struct store_item *it;
    do {
        it = slab_run_next_piece(s, page, at);
    } while (it != NULL && !item_is_live(it));
    return it;
}

/* When a class has as many free slots as a run has slots, that run can be emptied into the others:
 * the free slots outside it are then at least as many as the taken ones inside. */
uint32_t slab_find_spread(const struct slab *s)
{
    for (uint32_t c = 0; c < SLAB_ITEM_CLASSES; c++) {
        uint32_t best = 0;
        uint32_t at = s->partial[c];
        for (int looks = 0; at != 0 && looks < SPREAD_LOOKS; looks++) {
            const struct page *run = &s->pages.page[at];
            bool is_sparser = best == 0 || run->used < s->pages.page[best].used;
            if (is_sparser && s->room[c] >= run_slots(run)) {
                best = at;
            }
            at = run->next;
        }
        if (best != 0) {
            return best;
        }
    }
    return 0;
}

void *slab_alloc_beside(struct slab *s, uint32_t page)
{
    uint32_t other = s->partial[s->pages.page[page].class];
    return slot_take(s, other == page ? s->pages.page[other].next : other);
}

void slab_init(struct slab *s, struct space *space, uint32_t shards)
{
    memset(s, 0, sizeof(*s));
    pages_init(&s->pages, space);
    uint64_t share = space->budget / shards / STORE_PAGE;
    uint64_t run = share / RUN_SHARE;
    s->run_pages_max = run < RUN_PAGES_MIN   ? RUN_PAGES_MIN
                       : run < RUN_PAGES_MAX ? (uint32_t)run
                                             : RUN_PAGES_MAX;
    s->merge = share < MERGE_4_PAGES ? 3 : share < MERGE_2_PAGES ? 1 : 0;
}

void slab_reset(struct slab *s)
{
    if (s->pages.base != NULL) {
        unpoison(s->pages.base, (size_t)s->pages.top * STORE_PAGE);
    }
    pages_reset(&s->pages);
    s->bytes = 0;
    memset(s->partial, 0, sizeof(s->partial));
    memset(s->room, 0, sizeof(s->room));
}

void slab_fini(struct slab *s)
{
    slab_reset(s);
    pages_fini(&s->pages);
}

void slab_validate(const struct slab *s)
{
    pages_validate(&s->pages);
    uint32_t room[SLAB_CLASSES] = {0};
    uint32_t listed = 0;
    uint64_t bytes = 0;
    for (uint32_t at = 1; at < s->pages.top; at += s->pages.page[at].len) {
        const struct page *run = &s->pages.page[at];
        if (run->kind == PAGE_LARGE) {
            bytes += (uint64_t)run->len * STORE_PAGE;
        }
        if (run->kind != PAGE_SLAB) {
            continue;
        }
        check(run->used > 0 && run->used <= run_slots(run)); /* L1 */
        room[run->class] += run_slots(run) - run->used;
        listed += run->used < run_slots(run);
        bytes += run->class == SLAB_BUCKET ? 0 : (uint64_t)run->used * class_bytes(run->class);
    }
    check(bytes == s->bytes);
    for (uint32_t c = 0; c < SLAB_CLASSES; c++) {
        check(room[c] == s->room[c]);
        for (uint32_t at = s->partial[c]; at != 0; at = s->pages.page[at].next) {
            check(s->pages.page[at].class == c);
            listed--;
        }
    }
    check(listed == 0); /* L2 */
}
