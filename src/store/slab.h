/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slab: pieces of memory of any size, cut from pages (pages.h), for one shard in one space.
 *
 * Small pieces come from runs that hold slots of one size class: every 8 bytes up to 512, then 32
 * classes per octave up to 2 KB, 16 up to 32 KB (3 % rounding on average). Larger pieces are runs of their own.
 *
 *      run of class 136:  | slot | slot | free | slot | ... carved | never used | tail |
 *
 * A run has as few pages as leave a small tail, mostly one to three and at most 32: an almost empty
 * store owns little, and a run soon empties when its items go.
 *
 * Each class in use leaves part of a run empty. So where a shard's share of the budget is small, two or
 * four neighbouring classes are merged and runs are kept shorter.
 *
 * L1. A run with no slot taken does not exist: its pages went back.
 * L2. A run is in its class's list if and only if it has room.
 * L3. Byte 7 of a slot that holds no item has no ITEM_LIVE, from the moment the slot is taken. Nodes of
 *     collections have NODE_LIVE there (node.h), holes are zero.
 *
 * When the budget has no room for a run, a slot up to an eighth larger than needed will do, and a
 * piece above a page gets pages of its own: half-empty classes are not lost memory.
 *
 * Threads: the shard's lock.
 */
#ifndef STORE_SLAB_H
#define STORE_SLAB_H

#include "store/item.h"
#include "store/pages.h"

enum {
    SLAB_MAX = 32 * 1024, /* the largest slot */
    SLAB_ITEM_CLASSES = 192,
    SLAB_BUCKET = SLAB_ITEM_CLASSES, /* overflow buckets of the index: 64 bytes, not items */
    SLAB_CLASSES,
};

struct slab {
    struct pages pages;
    uint32_t run_pages_max;         /* by the shard's share of the budget, as is: */
    uint32_t merge;                 /* 1, 3: two, four neighbouring classes are one */
    uint64_t bytes;                 /* in slots and large runs that hold items */
    uint32_t partial[SLAB_CLASSES]; /* runs with room */
    uint32_t room[SLAB_CLASSES];    /* free slots in them */
};

/* `shards` share the space's budget evenly, more or less. */
void slab_init(struct slab *s, struct space *space, uint32_t shards);
void slab_fini(struct slab *s);
/* Empties it at once, whatever is in use. */
void slab_reset(struct slab *s);

/* NULL: the budget has no room. Aligned to 8, the first 8 bytes zero. */
void *slab_alloc(struct slab *s, size_t size);
void slab_free(struct slab *s, void *ptr);
/* What the piece really occupies. */
size_t slab_bytes(const struct slab *s, const void *ptr);
/* The bytes that slab_alloc(size) would spend in the best case; equal results share a class. */
size_t slab_round(const struct slab *s, size_t size);
/* Fits a large piece to `size` where it stands; false leaves it. */
bool slab_resize(struct slab *s, void *ptr, size_t size);

/* A bucket of the index. */
void *slab_alloc_bucket(struct slab *s);

/* Notes that an item of this piece expires at `expiry_ms`. */
void slab_note_expiry(struct slab *s, const void *ptr, uint64_t expiry_ms);
void slab_note_run_expiry(struct slab *s, uint32_t page, uint64_t expiry_ms);

/* --- for the walkers (evict.c, expire.c, validate.c) --- */

/* The first page of the run that a piece lies in. */
uint32_t slab_run_of(const struct slab *s, const void *ptr);
/* Does a run begin here that holds items? */
static inline bool slab_run_has_items(const struct slab *s, uint32_t page)
{
    const struct page *run = &s->pages.page[page];
    return run->kind == PAGE_LARGE || (run->kind == PAGE_SLAB && run->class != SLAB_BUCKET);
}

size_t slab_run_slot_bytes(const struct slab *s, uint32_t page);
/* The next live item of a run at or after offset `*at`, which moves past it; NULL at the end. The
 * run may lose items between calls, but when it had become empty it is gone: count down `used`. */
struct store_item *slab_run_next(const struct slab *s, uint32_t page, size_t *at);
/* The same for any piece in use, an item or a node (node.h). */
void *slab_run_next_piece(const struct slab *s, uint32_t page, size_t *at);
/* A run whose items all find room in other runs of its class, and that holds few; 0: none. */
uint32_t slab_find_spread(const struct slab *s);
/* A slot of the run's class in another run; as often as the run of slab_find_spread() has items. */
void *slab_alloc_beside(struct slab *s, uint32_t page);
void slab_validate(const struct slab *s);

static inline uint32_t slab_ref(const struct slab *s, const void *ptr)
{
    return (uint32_t)((size_t)((const char *)ptr - s->pages.base) / 8);
}

static inline void *slab_at(const struct slab *s, uint32_t ref)
{
    return s->pages.base + (size_t)ref * 8;
}

#endif
