/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tree: a counted B+tree of packed elements, the form of large collections.
 *
 *                        item: root
 *                              │
 *               ┌──────── inner node ────────┐        child: reference, elements below, order key
 *               │              │             │
 *             leaf           leaf          leaf       elements, packed; about a kilobyte
 *
 * Orders: by rank (lists), by hash of the name (sets, hashes: a leaf owns a range of hashes, inside it
 * there is no order), by score then bytes (zsets), by id (streams). A zset has a second tree, by hash of
 * the member, whose elements are those of a hash: member and score.
 *
 * An order key is 64 bits: hash, score, milliseconds. Children with equal keys are told apart by their
 * leftmost elements. A key may be lower than its leftmost element's when that has been removed.
 *
 * T1. No node below the root is empty; a root that is an inner node has two children or more.
 * T2. A leaf has at most LEAF_ELEMENTS elements, in about LEAF_BYTES at most, or one larger element.
 *     (Hashes of 64 bits that are equal would keep more together.)
 * T3. A change that finds no room has changed nothing: new nodes are made aside, then turned to.
 * T4. Removing needs no memory; where joining two nodes needs some and there is none, they stay apart.
 *
 * Threads: the shard's lock.
 */
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include "store/coll_priv.h"
#include "store/node.h"

enum { TREE_DEPTH = 12, LEAF_BYTES = NODE_MAX - NODE_HEAD, LEAF_ELEMENTS = 255 };

enum tree_order { TREE_BY_RANK, TREE_BY_HASH, TREE_BY_SCORE, TREE_BY_ID };

struct tree {
    struct slab *slab;
    struct store_item *item;
    struct coll_root *root; /* in the item's value */
    enum store_kind format; /* of the elements */
    enum tree_order order;
    bool is_names;
};

struct tree tree_of(struct slab *s, struct store_item *it);
/* A zset's tree by name. */
struct tree tree_names_of(struct slab *s, struct store_item *it);
/* The tree in which a set, hash or zset finds names. */
static inline struct tree tree_by_name(struct slab *s, struct store_item *it)
{
    return it->kind == STORE_ZSET ? tree_names_of(s, it) : tree_of(s, it);
}

static inline uint32_t tree_top(const struct tree *t)
{
    return t->is_names ? t->root->names : t->root->root;
}

static inline void tree_set_top(const struct tree *t, uint32_t ref)
{
    if (t->is_names) {
        t->root->names = ref;
    } else {
        t->root->root = ref;
    }
}

/* A place in a tree: before the element at `offset` of the leaf, or at its end. */
struct tree_at {
    uint32_t depth; /* inner nodes above the leaf */
    uint32_t index; /* in the leaf: elements and bytes before it */
    uint32_t offset;
    struct node *leaf; /* NULL: the tree is empty */
    uint64_t rank;     /* elements before it in the tree */
    struct {
        struct node *node;
        uint32_t index; /* of the child */
    } up[TREE_DEPTH];
};

/* What a place is searched by: it is after all elements that lie before the bound. */
struct tree_bound {
    enum { BOUND_ELEMENT, BOUND_SCORE, BOUND_LEX, BOUND_ID } by;
    bool after; /* equal ones are before the bound */
    double score;
    struct slice member;
    struct coll_id id;
};
bool tree_bound_is_after(const struct tree_bound *b, const struct coll_element *e);

void tree_seek(const struct tree *t, uint64_t rank, struct tree_at *ret_at);
void tree_seek_bound(const struct tree *t, const struct tree_bound *b, struct tree_at *ret_at);
/* The leaf that owns the hash, its end. */
void tree_seek_hash(const struct tree *t, uint64_t hash, struct tree_at *ret_at);
/* Asks for the memory in which tree_find() will look for the name. By hash only. */
void tree_warm(const struct tree *t, struct slice name);
/* False, and where it belongs, when there is none of this name. By hash only. */
bool tree_find(const struct tree *t, struct slice name, struct tree_at *ret_at);
/* The leaf after or before; NULL at the end. */
struct node *tree_beside(const struct tree *t, const struct node *leaf, bool backward);
/* By hash: none in the leaf is below. */
uint64_t tree_lower_key(const struct tree *t, const struct node *leaf);
uint64_t tree_key(const struct tree *t, const struct coll_element *e);

/* Puts the packed element there, in place of the one that is there (`replaces`) or before it. False: no
 * room, and nothing has changed. */
bool tree_put(const struct tree *t, struct tree_at *at, bool replaces, struct slice packed);
/* Removes the element that is there. */
void tree_remove(const struct tree *t, struct tree_at *at);
/* Removes the elements [rank, rank + count); not all of them, except of a stream. */
void tree_cut(const struct tree *t, uint64_t rank, uint64_t count);

/* --- tree_clone.c: a tree once more -------------------------------------------------------------- */

/* Gathers copies of the nodes in the `building` list of the hold's pool. False: no room; then, and when
 * they are not wanted after all, undo. */
bool tree_clone_nodes(struct store_hold *to, const struct tree *from);
void tree_clone_undo(struct slab *s);
uint64_t tree_leaves(const struct tree *t);
/* Makes them the tree of an item whose root says how many elements it has. */
void tree_clone_finish(const struct tree *to, uint64_t leaves);

/* Checks everything; returns the nodes it has. */
uint64_t tree_validate(const struct tree *t);

#endif
