/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * node: the pieces that large collections are made of (tree.h), in a pool's slabs beside the items.
 *
 *      OFFSET  SIZE  MEANING
 *      0       4     parent: the inner node above; the item, for a root; the one before, in a list
 *      4       2     count: elements of a leaf, children of an inner node
 *      6       1     level: 0 for a leaf
 *      7       1     mark: NODE_LIVE and what else holds; never ITEM_LIVE
 *      8       4     leaf: bytes of its elements
 *      12      4     the one after, in a list
 *      16            leaf: elements, packed (pack.h); inner: children, 16 bytes each
 *
 * N1. Byte 7 tells items, nodes and holes apart: ITEM_LIVE, NODE_LIVE, neither.
 * N2. Whoever refers to a node can be found from it, so a node can be moved: its parent, or its
 *     neighbours in the list it is in, and its children.
 *
 * A collection that is dropped is not freed at once: its roots go to the pool's limbo, a list that is
 * freed bit by bit (node_limbo_free), first of all when memory is needed. A second list keeps the nodes of
 * a tree that is being copied.
 *
 * Threads: the shard's lock.
 */
#ifndef STORE_NODE_H
#define STORE_NODE_H

#include "store/slab.h"

enum {
    NODE_ROOT = 0x01,  /* its parent is an item */
    NODE_NAMES = 0x02, /* of a zset's second tree, the one by name */
    NODE_LISTED = 0x04,
    NODE_LIVE = 0x40, /* an item's ITEM_EXPIRES, without ITEM_LIVE */
    NODE_HEAD = 16,
    NODE_MAX = 1024, /* the largest piece, single larger elements aside */
    NODE_CHILDREN = (NODE_MAX - NODE_HEAD) / 16,
};

struct node_child {
    uint32_t ref;
    uint32_t count; /* elements below */
    /* All before are at or below it in order, all in it at or above; of the first: unused. */
    uint64_t key;
};

struct node {
    uint32_t parent;
    uint16_t count;
    uint8_t level;
    uint8_t mark;
    uint32_t used;
    uint32_t next;
    struct node_child child[]; /* a leaf: node_data() */
};

_Static_assert(sizeof(struct node) == NODE_HEAD, "a node's head");

static inline bool node_is_live(const void *piece)
{
    return (((const struct node *)piece)->mark & (ITEM_LIVE | NODE_LIVE)) == NODE_LIVE;
}

static inline struct node *node_at(const struct slab *s, uint32_t ref)
{
    return slab_at(s, ref);
}

static inline struct node *node_child(const struct slab *s, const struct node *n, uint32_t i)
{
    return slab_at(s, n->child[i].ref);
}

static inline char *node_data(struct node *n)
{
    return (char *)n->child;
}

static inline struct slice node_packed(const struct node *n)
{
    return (struct slice){(const char *)n->child, n->used};
}

static inline uint32_t node_ref_size(uint32_t children)
{
    return NODE_HEAD + children * (uint32_t)sizeof(struct node_child);
}

/* A new node without elements or children, in a piece of at least `size` bytes. NULL: no room. */
struct node *node_alloc(struct slab *s, size_t size, uint8_t level, uint8_t mark);
/* Which child of its parent it is. */
uint32_t node_index(const struct slab *s, const struct node *n);
/* Elements in and below it. */
uint64_t node_elements(const struct node *n);
/* Bytes of all pieces in and below it. */
uint64_t node_bytes(const struct slab *s, const struct node *n);
/* Tells its children where it is. */
void node_adopt(const struct slab *s, struct node *n);

/* Moves it to another piece of its class and frees the old one. */
void node_move(struct slab *s, struct node *n, void *to);

/* --- lists: `head` is the pool's ---------------------------------------------------------------- */

void node_list_add(struct slab *s, uint32_t *head, struct node *n);
struct node *node_list_take(struct slab *s, uint32_t *head);
/* Frees up to `most` nodes of limbo. False: it is empty. */
bool node_limbo_free(struct slab *s, uint32_t most);
/* How many nodes are in limbo, checking them. */
uint64_t node_limbo_count(struct slab *s);
/* And their bytes. */
uint64_t node_limbo_bytes(struct slab *s);

#endif
