/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree copied into another item, maybe of another pool.
 *
 * Memory first: a copy of each leaf, and enough inner nodes, gather in the pool's `building` list, while
 * room for them is made and nodes of either tree may move. Then, when the new item exists, they are taken
 * from the list and made a tree, which needs no more memory. So a copy that finds no room has changed
 * nothing.
 *
 * Leaves are copied from the last to the first: the list is a stack.
 *
 * Threads: inside an ownership.
 */
#include "store/tree.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

enum { CHILDREN = NODE_CHILDREN * 3 / 4 }; /* room to grow */

struct cloning {
    struct slab *slab; /* of the copy */
    struct tree from;
    uint64_t left; /* elements not copied yet: all before those that are */
};

static bool clone_leaf(void *arg)
{
    struct cloning *c = arg;
    struct tree_at at;
    tree_seek(&c->from, c->left - 1, &at);
    struct node *n =
        node_alloc(c->slab, NODE_HEAD + at.leaf->used, 0, c->from.is_names ? NODE_NAMES : 0);
    if (n == NULL) {
        return false;
    }
    n->count = at.leaf->count;
    n->used = at.leaf->used;
    memcpy(node_data(n), node_data(at.leaf), n->used);
    c->left -= n->count;
    node_list_add(c->slab, &container_of(c->slab, struct pool, slab)->building, n);
    return true;
}

static bool make_inner(void *arg)
{
    struct cloning *c = arg;
    struct node *n =
        node_alloc(c->slab, node_ref_size(CHILDREN), 0, c->from.is_names ? NODE_NAMES : 0);
    if (n != NULL) {
        node_list_add(c->slab, &container_of(c->slab, struct pool, slab)->building, n);
    }
    return n != NULL;
}

static uint64_t count_leaves(const struct tree *t)
{
    struct tree_at at;
    uint64_t count = 0;
    tree_seek(t, 0, &at);
    for (const struct node *n = at.leaf; n != NULL; n = tree_beside(t, n, false)) {
        count++;
    }
    return count;
}

static uint64_t groups_of(uint64_t nodes)
{
    return (nodes + CHILDREN - 1) / CHILDREN;
}

bool tree_clone_nodes(struct store_hold *to, const struct tree *from)
{
    struct cloning c = {.slab = &hold_pool(to)->slab, .from = *from, .left = from->root->count};
    struct need n = {.now_ms = to->now_ms, .pins = {from->item}};
    size_t size = from->root->bytes;
    uint64_t leaves = c.left == 0 ? 0 : count_leaves(from);
    for (uint64_t level = leaves; level > 1; level = groups_of(level)) {
        for (uint64_t i = groups_of(level); i > 0; i--) {
            if (!room_make(to, &n, size, make_inner, &c)) {
                return false;
            }
        }
    }
    while (c.left > 0) {
        if (!room_make(to, &n, size, clone_leaf, &c)) {
            return false;
        }
    }
    return true;
}

void tree_clone_undo(struct slab *s)
{
    struct pool *p = container_of(s, struct pool, slab);
    while (p->building != 0) {
        node_list_add(s, &p->limbo, node_list_take(s, &p->building));
    }
    pool_note_bytes(p);
}

/* --- making them a tree ------------------------------------------------------------------------- */

static uint64_t lowest_key(const struct tree *t, struct node *leaf)
{
    uint64_t lowest = UINT64_MAX;
    const char *at = node_data(leaf);
    for (uint32_t i = 0; i < leaf->count; i++) {
        struct coll_element e;
        at = pack_read(t->format, at, &e);
        uint64_t key = tree_key(t, &e);
        lowest = key < lowest ? key : lowest;
        if (t->order != TREE_BY_HASH) {
            break; /* in order */
        }
    }
    return lowest;
}

static struct node *take(const struct tree *t)
{
    struct node *n = node_list_take(t->slab, &container_of(t->slab, struct pool, slab)->building);
    n->parent = 0;
    t->root->bytes += slab_bytes(t->slab, n);
    return n;
}

/* Puts the children under new nodes of `level`; returns how many these are, in the same array. */
static uint64_t group(const struct tree *t, struct node_child *child, uint64_t count, uint8_t level)
{
    uint64_t made = 0;
    for (uint64_t i = 0; i < count; i += CHILDREN) {
        struct node *n = take(t);
        uint64_t part = count - i < CHILDREN ? count - i : CHILDREN;
        n->level = level;
        n->count = (uint16_t)part;
        memcpy(n->child, child + i, part * sizeof(*child));
        node_adopt(t->slab, n);
        child[made++] =
            (struct node_child){slab_ref(t->slab, n), (uint32_t)node_elements(n), n->child[0].key};
    }
    return made;
}

void tree_clone_finish(const struct tree *to, uint64_t leaves)
{
    struct node_child *child = xcalloc(leaves, sizeof(*child));
    for (uint64_t i = 0; i < leaves; i++) {
        struct node *n = take(to);
        child[i] = (struct node_child){slab_ref(to->slab, n), n->count, lowest_key(to, n)};
    }
    uint64_t count = leaves;
    for (uint8_t level = 1; count > 1; level++) {
        count = group(to, child, count, level);
    }
    struct node *top = node_at(to->slab, child[0].ref);
    top->mark |= NODE_ROOT;
    top->parent = slab_ref(to->slab, to->item);
    tree_set_top(to, child[0].ref);
    free(child);
}

uint64_t tree_leaves(const struct tree *t)
{
    return t->root->count == 0 ? 0 : count_leaves(t);
}
