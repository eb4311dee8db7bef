/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the coll_*.c files share: the head of a collection's value, and the steps of a write.
 *
 *      packed:  head (4) | [stream's facts (40)] | elements
 *      tree:    root (28) | [stream's facts (40)]              tree.h
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
enum { COLL_PREFIX = 80 }; /* room for the head before the elements in a scratch */

struct coll_head {
    uint32_t count : 29;
    uint32_t shape : 2; /* enum coll_shape */
    uint32_t tree : 1;
};

/* The value of an item that is a tree; a stream's facts follow. */
struct coll_root {
    struct coll_head head; /* without count */
    uint64_t count;
    uint64_t bytes; /* of all nodes */
    uint32_t root;  /* 0: a stream without entries */
    uint32_t names; /* zset: the tree by name */
} __attribute__((packed));

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

static inline bool coll_is_tree(const struct store_item *it)
{
    return it->kind != STORE_STRING && coll_view_of(it).head.tree != 0;
}

/* Of an item that is a tree. */
static inline struct coll_root *coll_root_of(struct store_item *it)
{
    return (struct coll_root *)coll_value(it);
}

static inline uint64_t coll_count_of(const struct store_item *it)
{
    if (!coll_is_tree(it)) {
        return coll_view_of(it).head.count;
    }
    return ((const struct coll_root *)item_value(it).ptr)->count;
}

static inline size_t coll_root_bytes(enum store_kind kind)
{
    return sizeof(struct coll_root) + (kind == STORE_STREAM ? sizeof(struct coll_stream) : 0);
}

/* Packed up to so many bytes and elements; a single element may be larger. */
enum { COLL_PACKED_BYTES = 1000, COLL_PACKED_NAMES = 128, COLL_PACKED_ELEMENTS = 250 };

/* --- coll_write.c --- */

/* A write under way: elements go from the gate's scratch into the collection. */
struct coll_write {
    struct store_hold *hold;
    struct store_item *item; /* NULL: to be created from `meta` */
    const struct store_write *meta;
    enum store_kind kind;
    bool is_new;
    uint64_t node_bytes; /* as eviction knows them */
    struct buf *scratch; /* COLL_PREFIX bytes, then new elements */
};

/* Begins a write of the hold's key: it must be of this kind, or absent with a `meta`. */
void coll_write_begin(struct store_hold *h, enum store_kind kind, const struct store_write *meta,
                      struct coll_write *ret_write);
/* Room in the scratch for so many bytes of new elements: their size is a client's choice. False: no memory. */
bool coll_write_reserve(struct coll_write *w, size_t bytes);
/* The new elements as they lie in the scratch, until the next coll_write_begin(). */
struct slice coll_write_new(const struct coll_write *w);
/* Will it be packed when `cut` bytes have gone and `add` bytes, `added` elements more, have come? */
bool coll_write_is_small(const struct coll_write *w, size_t cut, size_t add, uint32_t added);
/* The same, and makes an existing one a tree if it will not (that is no change to anybody). */
enum err coll_write_form(struct coll_write *w, size_t cut, size_t add, uint32_t added,
                         bool *ret_tree);
/* Makes the key, with the first `added` elements of the scratch, `packed`. */
enum err coll_write_create(struct coll_write *w, struct slice packed, uint32_t added);
/* Packed: replaces `gone` elements, the `cut` bytes at offset `at`, by the `added` ones of the scratch. */
enum err coll_write_splice(struct coll_write *w, size_t at, size_t cut, uint32_t gone,
                           uint32_t added);
/* Packed: the same with nothing added, which cannot fail. The key goes with its last element. */
void coll_write_cut(struct coll_write *w, size_t at, size_t cut, uint32_t gone);
/* Tree: calls `attempt` until it succeeds, making room in between; the item stays where it is, its nodes
 * may move. */
typedef bool coll_attempt_fn(struct coll_write *w, void *arg);
enum err coll_write_try(struct coll_write *w, coll_attempt_fn *attempt, void *arg);
/* Tree: tells eviction how many bytes its nodes have now. */
void coll_write_weigh(struct coll_write *w);
/* Tree: tells watchers, keeps the shape; `packed`: what came. */
void coll_write_done(struct coll_write *w, struct slice packed);
/* The key goes. */
void coll_write_drop(struct coll_write *w);
/* Logs the expiry of a key that this write has created; after the effect that creates it. */
void coll_write_end(struct coll_write *w);

/* --- coll_tree.c: the same steps where the collection is a tree --------------------------------- */

/* Makes a packed collection one. */
enum err coll_tree_make(struct coll_write *w);
/* Sets, hashes, zsets: puts the element that is in the scratch. */
enum err coll_tree_put(struct coll_write *w, bool *ret_was, bool *ret_changed);
/* Removes an element by name; not the last one. */
bool coll_tree_remove(struct coll_write *w, struct slice name);
/* Lists, streams: puts an element in place of the one of that rank (`replaces`) or before it. Follow with
 * coll_write_done(). */
enum err coll_tree_put_at(struct coll_write *w, uint64_t rank, bool replaces, struct slice packed);
/* Removes the elements [rank, rank + count), not all of them. */
void coll_tree_cut(struct coll_write *w, uint64_t rank, uint64_t count);
/* Bytes of a list's elements: asks every leaf. */
size_t coll_tree_list_bytes(const struct coll_write *w);

/* --- coll_effect.c --- */

void coll_log_put(struct store_hold *h, enum store_kind kind, const struct coll_element *e);
void coll_log_remove(struct store_hold *h, enum store_kind kind, struct slice name);
/* Elements [rank, rank + count) are about to go. */
void coll_log_cut(struct store_hold *h, const struct store_item *it, uint64_t rank, uint64_t count);
void coll_log_entry(struct store_hold *h, const struct coll_element *e);
void coll_log_stream(struct store_hold *h, const struct coll_stream *info, bool created);
/* What makes the item as it is now, whatever the key was before. Any kind, strings too. */
void effect_item(struct store_hold *h, const struct store_item *it);
/* The same in parts: see store_dump_part(). Returns the rank behind this one. */
uint64_t effect_part(struct store_hold *h, const struct store_item *it, struct slice aside,
                     uint64_t rank, size_t max_bytes);

#endif
