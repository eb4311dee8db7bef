/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the coll_*.c files share: the head of a collection's value, and the steps of a write.
 *
 *      packed:  head (4) | [stream's facts (40)] | elements
 *
 * A write packs its new elements into the gate's scratch buffer first. So it does not matter where their
 * bytes come from (another key, this very collection): from there on nothing of the caller's is read.
 *
 * Threads: the shard's lock.
 */
#ifndef STORE_COLL_PRIV_H
#define STORE_COLL_PRIV_H

#include "store/coll.h"
#include "store/pack.h"
#include "store/priv.h"

/* What OBJECT ENCODING would say; only ever rises, lists excepted. */
enum coll_shape { COLL_INTEGERS, COLL_COMPACT, COLL_LARGE };

enum { COLL_COUNT_MAX = (1 << 29) - 1 };
enum { COLL_PREFIX = 64 }; /* room for the head before the elements in a scratch */

struct coll_head {
    uint32_t count : 29;
    uint32_t shape : 2; /* enum coll_shape */
    uint32_t tree : 1;
};

struct coll_view { /* of an item that is a packed collection */
    enum store_kind kind;
    struct coll_head head;
    size_t at;           /* where the elements begin in the value */
    struct slice packed; /* the elements */
};

static inline size_t coll_head_bytes(enum store_kind kind)
{
    return sizeof(struct coll_head) + (kind == STORE_STREAM ? sizeof(struct coll_stream) : 0);
}

static inline struct coll_view coll_view_of(const struct store_item *it)
{
    struct coll_view v = {.kind = (enum store_kind)it->kind};
    struct slice value = item_value(it);
    memcpy(&v.head, value.ptr, sizeof(v.head));
    v.at = coll_head_bytes(v.kind);
    v.packed = slice_from(value, v.at);
    return v;
}

static inline char *coll_value(struct store_item *it)
{
    return (char *)it + (item_size(it) - it->value_len);
}

/* --- coll_write.c --- */

/* A write under way: elements go from the gate's scratch into the collection. */
struct coll_write {
    struct store_hold *hold;
    struct store_item *item; /* NULL: to be created from `meta` */
    const struct store_write *meta;
    enum store_kind kind;
    bool is_new;
    struct buf *scratch; /* COLL_PREFIX bytes, then new elements */
};

/* Begins a write of the hold's key: it must be of this kind, or absent with a `meta`. */
void coll_write_begin(struct store_hold *h, enum store_kind kind, const struct store_write *meta,
                      struct coll_write *ret_write);
/* The new elements as they lie in the scratch, until the next coll_write_begin(). */
struct slice coll_write_new(const struct coll_write *w);
/* Replaces `gone` elements, the `cut` bytes at offset `at`, by the `added` ones of the scratch. */
enum err coll_write_splice(struct coll_write *w, size_t at, size_t cut, uint32_t gone,
                           uint32_t added);
/* The same with nothing added, which cannot fail. The key goes with its last element. */
void coll_write_cut(struct coll_write *w, size_t at, size_t cut, uint32_t gone);
/* Logs the expiry of a key that this write has created; after the effect that creates it. */
void coll_write_end(struct coll_write *w);

/* --- coll_effect.c --- */

void coll_log_put(struct store_hold *h, enum store_kind kind, const struct coll_element *e);
void coll_log_remove(struct store_hold *h, enum store_kind kind, struct slice name);
/* Elements [rank, rank + count) are about to go. */
void coll_log_cut(struct store_hold *h, const struct store_item *it, uint64_t rank, uint64_t count);
void coll_log_entry(struct store_hold *h, const struct coll_element *e);
                    void coll_log_stream(struct store_hold *h, const struct coll_stream *info,
                                         bool created);
                    /* What makes the item as it is now, whatever the key was before. Any kind, strings too. */
                    void effect_item(struct store_hold *h, const struct store_item *it);

#endif
