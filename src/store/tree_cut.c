/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Removing from a tree, which never fails: it asks for memory only to tidy up, and does without (T4).
 *
 * Whole subtrees go to limbo (node.h) and are freed later. Two neighbours that are both small become one.
 *
 * Threads: the shard's lock.
 */
#include "store/tree.h"

#include "base/check.h"

enum {
    SMALL_SHARE = 4,
    JOINED_SHARE = 2
}; /* below a quarter it is joined, if that makes a half at most */

/* Hands a subtree to limbo. */
static void release(const struct tree *t, struct node *n)
{
    struct pool *p = container_of(t->slab, struct pool, slab);
    t->root->bytes -= node_bytes(t->slab, n);
    node_list_add(t->slab, &p->limbo, n);
}

static void free_node(const struct tree *t, struct node *n)
{
    t->root->bytes -= slab_bytes(t->slab, n);
    slab_free(t->slab, n);
}

static void forget_child(struct node *n, uint32_t i)
{
    n->count--;
    memmove(n->child + i, n->child + i + 1, (n->count - i) * sizeof(n->child[0]));
}

/* --- joining ------------------------------------------------------------------------------------ */

static size_t node_content(const struct node *n)
{
    return n->level == 0 ? n->used : n->count * sizeof(struct node_child);
}

static bool is_small(const struct node *n)
{
    return node_content(n) < (NODE_MAX - NODE_HEAD) / SMALL_SHARE;
}

/* The content of `from` behind that of `to`, which has room. `key` is that of `from`. */
static void pour(const struct tree *t, struct node *to, struct node *from, uint64_t key)
{
    if (to->level == 0) {
        memcpy(node_data(to) + to->used, node_data(from), from->used);
        to->used += from->used;
    } else {
        from->child[0].key = key;
        memcpy(to->child + to->count, from->child, from->count * sizeof(from->child[0]));
    }
    to->count = (uint16_t)(to->count + from->count);
    node_adopt(t->slab, to);
}

/* Replaces child `i` of `up` by a piece that its content and `more` fit better; NULL: no room. */
static struct node *fit_child(const struct tree *t, struct node *up, uint32_t i, size_t more)
{
    struct node *n = node_child(t->slab, up, i);
    size_t size = NODE_HEAD + node_content(n) + more;
    size_t have = slab_bytes(t->slab, n);
    if (size <= have && size >= have / 2) {
        return n;
    }
    struct node *copy = node_alloc(t->slab, size, n->level, n->mark);
    if (copy == NULL) {
        return size <= have ? n : NULL;
    }
    memcpy(copy, n, NODE_HEAD + node_content(n));
    node_adopt(t->slab, copy);
    t->root->bytes += slab_bytes(t->slab, copy);
    up->child[i].ref = slab_ref(t->slab, copy);
    free_node(t, n);
    return copy;
}

/* Makes children `i` and `i + 1` of `up` one if they are small together. */
static bool join(const struct tree *t, struct node *up, uint32_t i)
{
    struct node *left = node_child(t->slab, up, i);
    struct node *right = node_child(t->slab, up, i + 1);
    size_t sum = node_content(left) + node_content(right);
    uint32_t most = left->level == 0 ? LEAF_ELEMENTS : NODE_CHILDREN;
    if (sum > (NODE_MAX - NODE_HEAD) / JOINED_SHARE ||
        (uint32_t)left->count + right->count > most) {
        return false;
    }
    left = fit_child(t, up, i, node_content(right));
    if (left == NULL) {
        return false;
    }
    pour(t, left, right, up->child[i + 1].key);
    up->child[i].count += up->child[i + 1].count;
    forget_child(up, i + 1);
    free_node(t, right);
    return true;
}

/* --- mending ------------------------------------------------------------------------------------ */

/* A root with one child gives way to it. */
static void lower_root(const struct tree *t)
{
    struct node *top = node_at(t->slab, tree_top(t));
    while (top->level > 0 && top->count == 1) {
        struct node *child = node_child(t->slab, top, 0);
        child->mark |= NODE_ROOT;
        child->parent = slab_ref(t->slab, t->item);
        tree_set_top(t, slab_ref(t->slab, child));
        free_node(t, top);
        top = child;
    }
}

/* Takes an empty leaf away, and each inner node that is then empty. True: the tree is empty. */
static bool take_empty(const struct tree *t, struct tree_at *at)
{
    struct node *n = at->leaf;
    while (n->count == 0) {
        free_node(t, n);
        if (at->depth == 0) {
            tree_set_top(t, 0);
            return true;
        }
        at->depth--;
        n = at->up[at->depth].node;
        forget_child(n, at->up[at->depth].index);
        at->leaf = NULL;
    }
    return false;
}

/* Makes two small nodes one, a root of one child its child, and so on, where `at` was changed. */
static void mend(const struct tree *t, struct tree_at *at)
{
    if (take_empty(t, at)) {
        return;
    }
    /* After an empty leaf has gone, up[depth] is the lowest node that has changed. */
    for (uint32_t d = at->depth; d > 0; d--) {
        struct node *up = at->up[d - 1].node;
        uint32_t i = at->up[d - 1].index;
        if (!is_small(node_child(t->slab, up, i))) {
            break;
        }
        bool joined = (i + 1U < up->count && join(t, up, i)) || (i > 0 && join(t, up, i - 1));
        if (!joined) {
            (void)fit_child(t, up, i, 0);
            break;
        }
    }
    lower_root(t);
}

/* --- removing ----------------------------------------------------------------------------------- */

void tree_remove(const struct tree *t, struct tree_at *at)
{
    struct node *n = at->leaf;
    char *here = node_data(n) + at->offset;
    const char *next = pack_skip(t->format, here);
    size_t len = (size_t)(next - here);
    memmove(here, next, n->used - at->offset - len);
    n->used -= (uint32_t)len;
    n->count--;
    for (uint32_t d = 0; d < at->depth; d++) {
        at->up[d].node->child[at->up[d].index].count--;
    }
    if (!t->is_names) {
        t->root->count--;
    }
    if (n->count == 0 || is_small(n)) {
        mend(t, at);
    }
}

static void cut_leaf(const struct tree *t, struct node *n, uint64_t from, uint64_t count)
{
    struct slice packed = node_packed(n);
    const char *begin = pack_seek(t->format, packed, n->count, from);
    const char *end = pack_seek(t->format, packed, n->count, from + count);
    size_t tail = (size_t)(packed.ptr + packed.len - end);
    char *to = node_data(n) + (begin - packed.ptr);
    memmove(to, end, tail);
    n->used -= (uint32_t)(end - begin);
    n->count = (uint16_t)(n->count - count);
}

/* Some of its elements stay. Children that lose all go to limbo; at most two lose some. */
static void cut_below(const struct tree *t, struct node *n, uint64_t from, uint64_t count)
{
    if (n->level == 0) {
        cut_leaf(t, n, from, count);
        return;
    }
    uint32_t kept = 0;
    uint64_t begin = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        struct node_child child = n->child[i];
        uint64_t end = begin + child.count;
        uint64_t first = from > begin ? from : begin;
        uint64_t last = from + count < end ? from + count : end;
        uint64_t gone = last > first ? last - first : 0;
        if (gone == child.count) {
            release(t, node_at(t->slab, child.ref));
        } else {
            if (gone > 0) {
                cut_below(t, node_at(t->slab, child.ref), first - begin, gone);
            }
            child.count -= (uint32_t)gone;
            n->child[kept++] = child;
        }
        begin = end;
    }
    n->count = (uint16_t)kept;
}

void tree_cut(const struct tree *t, uint64_t rank, uint64_t count)
{
    struct node *top = node_at(t->slab, tree_top(t));
    uint64_t left = t->root->count - count;
    if (left == 0) {
        release(t, top);
        tree_set_top(t, 0);
        t->root->count = 0;
        return;
    }
    cut_below(t, top, rank, count);
    if (!t->is_names) {
        t->root->count = left;
    }
    lower_root(t);
    for (uint64_t beside = rank > 0 ? rank - 1 : 0; beside <= rank && beside < left; beside++) {
        struct tree_at at;
        tree_seek(t, beside, &at);
        mend(t, &at);
    }
}
