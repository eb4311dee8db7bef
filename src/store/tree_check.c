/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks a tree: counts, parents, order, sizes. For store_validate().
 *
 * Threads: the shard's lock.
 */
#include "store/tree.h"

#include "base/check.h"
#include "base/hash.h"

struct walk {
    const struct tree *tree;
    uint64_t nodes;
    uint64_t elements;
    bool has_before;
    struct coll_element before;
    uint64_t key_low; /* of the child being walked */
    uint64_t key_high;
};

static void check_element(struct walk *w, const struct coll_element *e)
{
    const struct tree *t = w->tree;
    if (t->order != TREE_BY_RANK) {
        uint64_t key = tree_key(t, e);
        check(key >= w->key_low);
        check(t->order == TREE_BY_HASH ? key <= w->key_high - 1 || w->key_high == 0
                                       : key <= w->key_high || w->key_high == 0);
    }
    if (w->has_before && t->order == TREE_BY_SCORE) {
        check(pack_compare(&w->before, e) < 0);
    } else if (w->has_before && t->order == TREE_BY_ID) {
        check(pack_id_below(w->before.id, e->id));
    }
    w->before = *e;
    w->has_before = true;
}

static void check_leaf(struct walk *w, struct node *n)
{
    const char *at = node_data(n);
    const char *end = at + n->used;
    uint32_t count = 0;
    for (; at < end; count++) {
        struct coll_element e;
        at = pack_read(w->tree->format, at, &e);
        check_element(w, &e);
    }
    check(at == end && count == n->count && count > 0);
    check(count <= LEAF_ELEMENTS); /* T2, equal hashes aside, which no test makes */
    check(n->used <= LEAF_BYTES * 3 / 2 || count == 1);
    w->elements += count;
}

static uint64_t check_node(struct walk *w, struct node *n)
{
    const struct slab *s = w->tree->slab;
    check(node_is_live(n) && (n->mark & NODE_LISTED) == 0);
    check(((n->mark & NODE_NAMES) != 0) == w->tree->is_names);
    w->nodes++;
    if (n->level == 0) {
        check(NODE_HEAD + n->used <= slab_bytes(s, n));
        check_leaf(w, n);
        return n->count;
    }
    check(n->count > 0 && node_ref_size(n->count) <= slab_bytes(s, n)); /* T1 */
    uint64_t sum = 0;
    uint64_t low = w->key_low;
    uint64_t high = w->key_high;
    for (uint32_t i = 0; i < n->count; i++) {
        struct node *child = node_child(s, n, i);
        check(child->level == n->level - 1 && (child->mark & NODE_ROOT) == 0);
        check(child->parent == slab_ref(s, n));
        w->key_low = i > 0 ? n->child[i].key : low;
        w->key_high = i + 1 < n->count ? n->child[i + 1].key : high;
        check(check_node(w, child) == n->child[i].count);
        sum += n->child[i].count;
    }
    return sum;
}

uint64_t tree_validate(const struct tree *t)
{
    if (tree_top(t) == 0) {
        check(t->root->count == 0);
        return 0;
    }
    struct node *top = node_at(t->slab, tree_top(t));
    struct walk w = {.tree = t};
    check((top->mark & NODE_ROOT) != 0 && top->parent == slab_ref(t->slab, t->item));
    check(top->level == 0 || top->count > 1); /* T1 */
    check(check_node(&w, top) == t->root->count);
    check(w.elements == t->root->count);
    return w.nodes;
}
