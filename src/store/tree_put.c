/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Putting an element into a tree.
 *
 * In place while the leaf's piece has room. Else it moves to a larger piece; when it is as large as leaves
 * get, its elements, with the new one among them, are divided over new leaves; the parent takes these
 * instead of the old one, in place if it has room, else it is made anew in one or two nodes as well, and so
 * on upwards (T3). Only when all of them exist is the tree turned to them and are the old ones freed.
 *
 * What comes at an end leaves full nodes behind: lists that grow, streams and growing scores are dense.
 *
 * Threads: the shard's lock.
 */
#include "store/tree.h"

#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>

enum {
    PARTS = LEAF_ELEMENTS + 1,
    PIECES = 3, /* a node is divided into so many at most */
    MADE = 3 * (TREE_DEPTH + 1),
    LEAF_BIG = LEAF_BYTES / 2, /* an element above has a leaf of its own */
    LEAF_NEW = LEAF_BYTES / 2, /* room of a leaf at the end, which will grow */
    ROOM_TO_GROW = 8,
};

/* Nodes made aside, and what they replace. */
struct change {
    const struct tree *tree;
    struct node *made[MADE];
    struct node *old[TREE_DEPTH + 1];
    struct node_child piece[PIECES]; /* instead of the child below */
    uint32_t made_count;
    uint32_t old_count;
    uint32_t pieces;
};

static struct node *make(struct change *c, size_t size, uint8_t level)
{
    struct node *n = node_alloc(c->tree->slab, size, level, c->tree->is_names ? NODE_NAMES : 0);
    if (n != NULL) {
        c->made[c->made_count++] = n;
    }
    return n;
}

static void add_piece(struct change *c, const struct node *n, uint64_t key)
{
    uint64_t count = node_elements(n);
    c->piece[c->pieces++] = (struct node_child){slab_ref(c->tree->slab, n), (uint32_t)count, key};
}

static void undo(struct change *c)
{
    for (uint32_t i = 0; i < c->made_count; i++) {
        slab_free(c->tree->slab, c->made[i]);
    }
}

/* --- leaves ------------------------------------------------------------------------------------- */

struct part {
    const char *ptr;
    uint32_t len;
    uint64_t hash; /* by hash only */
};

/* The elements of a leaf and the new one, in order. */
struct parts {
    struct part part[PARTS];
    uint32_t count;
    uint32_t bytes;
    uint32_t fresh; /* which is the new one */
};

static int compare_hash(const void *a, const void *b)
{
    const struct part *x = a;
    const struct part *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static void add_part(const struct tree *t, struct parts *p, const char *ptr, uint32_t len)
{
    struct part *part = &p->part[p->count++];
    *part = (struct part){.ptr = ptr, .len = len};
    if (t->order == TREE_BY_HASH) {
        struct coll_element e;
        (void)pack_read(t->format, ptr, &e);
        part->hash = hash_slice(e.name);
    }
    p->bytes += len;
}

static void collect(const struct tree *t, const struct tree_at *at, bool replaces,
                    struct slice packed, struct parts *ret_parts)
{
    struct parts *p = ret_parts;
    p->count = 0;
    p->bytes = 0;
    const char *here = node_data(at->leaf);
    for (uint32_t i = 0; i <= at->leaf->count; i++) {
        if (i == at->index) {
            p->fresh = p->count;
            add_part(t, p, packed.ptr, (uint32_t)packed.len);
        }
        if (i == at->leaf->count) {
            break;
        }
        const char *next = pack_skip(t->format, here);
        if (i != at->index || !replaces) {
            add_part(t, p, here, (uint32_t)(next - here));
        }
        here = next;
    }
    if (t->order == TREE_BY_HASH) {
        qsort(p->part, p->count, sizeof(p->part[0]), compare_hash);
        for (p->fresh = 0; p->part[p->fresh].ptr != packed.ptr; p->fresh++) {
        }
    }
}

/* Equal hashes may not part: the nearest cut that keeps them together, 0 if there is none. */
static uint32_t cut_near(const struct tree *t, const struct parts *p, uint32_t cut)
{
    if (t->order != TREE_BY_HASH) {
        return cut;
    }
    for (uint32_t i = cut; i < p->count; i++) {
        if (p->part[i].hash != p->part[i - 1].hash) {
            return i;
        }
    }
    for (uint32_t i = cut; i > 0; i--) {
        if (p->part[i].hash != p->part[i - 1].hash) {
            return i;
        }
    }
    return 0;
}

static uint32_t middle_of(const struct parts *p)
{
    uint32_t bytes = 0;
    uint32_t i = 0;
    while (i < p->count - 1 && (i == 0 || bytes * 2 + p->part[i].len <= p->bytes)) {
        bytes += p->part[i++].len;
    }
    return i;
}

/* Where to divide: ascending, each within 1 .. count - 1; returns how many cuts. */
static uint32_t choose_cuts(const struct tree *t, const struct parts *p, uint32_t cuts[PIECES - 1])
{
    uint32_t wanted[PIECES - 1];
    uint32_t n = 0;
    bool is_big = p->part[p->fresh].len > LEAF_BIG;
    bool is_end = p->fresh == 0 || p->fresh == p->count - 1;
    if (p->bytes <= LEAF_BYTES && p->count <= LEAF_ELEMENTS) {
        return 0;
    }
    if (is_big || p->count == 2 || (is_end && t->order != TREE_BY_HASH)) {
        wanted[n++] = p->fresh;
        wanted[n++] = p->fresh + 1;
        if (!is_big && is_end) {
            wanted[0] = p->fresh == 0 ? 1 : p->fresh;
            n = 1;
        }
    } else {
        wanted[n++] = middle_of(p);
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t cut = wanted[i] > 0 && wanted[i] < p->count ? cut_near(t, p, wanted[i]) : 0;
        if (cut > 0 && (count == 0 || cut > cuts[count - 1])) {
            cuts[count++] = cut;
        }
    }
    return count;
}

static bool make_leaf(struct change *c, const struct parts *p, uint32_t from, uint32_t to)
{
    uint32_t bytes = 0;
    for (uint32_t i = from; i < to; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): cut into before */
        bytes += p->part[i].len;
    }
    size_t room = bytes + bytes / ROOM_TO_GROW;
    if (to - from == 1) { /* alone: a big one, or it begins a leaf that will grow */
        room = bytes > LEAF_BIG ? bytes : LEAF_NEW;
    }
    if (bytes <= LEAF_BYTES && room > LEAF_BYTES) {
        room = LEAF_BYTES;
    }
    struct node *n = make(c, NODE_HEAD + room, 0);
    if (n == NULL) {
        return false;
    }
    char *data = node_data(n);
    for (uint32_t i = from; i < to; i++) {
        memcpy(data + n->used, p->part[i].ptr, p->part[i].len);
        n->used += p->part[i].len;
    }
    n->count = (uint16_t)(to - from);
    struct coll_element e;
    (void)pack_read(c->tree->format, data, &e);
    add_piece(c, n, c->tree->order == TREE_BY_HASH ? p->part[from].hash : tree_key(c->tree, &e));
    return true;
}

static void keep_leaf(struct change *c, struct node *leaf, const struct part *first)
{
    struct coll_element e;
    (void)pack_read(c->tree->format, first->ptr, &e);
    add_piece(c, leaf, tree_key(c->tree, &e));
}

/* The leaf with the new element in a larger piece. */
static bool grow_leaf(struct change *c, const struct tree_at *at, size_t cut, struct slice packed)
{
    const struct node *leaf = at->leaf;
    size_t bytes = leaf->used - cut + packed.len;
    size_t room = bytes + bytes / ROOM_TO_GROW;
    struct node *n = make(c, NODE_HEAD + (room < LEAF_BYTES ? room : LEAF_BYTES), 0);
    if (n == NULL) {
        return false;
    }
    struct slice old = node_packed(leaf);
    struct slice rest = slice_from(old, at->offset + cut);
    char *to = node_data(n);
    memcpy(to, old.ptr, at->offset);
    memcpy(to + at->offset, packed.ptr, packed.len);
    memcpy(to + at->offset + packed.len, rest.ptr, rest.len);
    n->used = (uint32_t)bytes;
    n->count = (uint16_t)(leaf->count + (cut == 0 ? 1U : 0U));
    add_piece(c, n, 0); /* its parent has its key */
    c->old[c->old_count++] = at->leaf;
    return true;
}

/* Divides the leaf with the new element; what is left as it was stays in the old leaf. */
static bool remake_leaf(struct change *c, struct tree_at *at, bool replaces, struct slice packed)
{
    struct parts p __attribute__((uninitialized));
    collect(c->tree, at, replaces, packed, &p);
    uint32_t cuts[PIECES];
    uint32_t n = choose_cuts(c->tree, &p, cuts);
    cuts[n] = p.count;
    bool is_kept = false;
    for (uint32_t i = 0, from = 0; i <= n; from = cuts[i++]) {
        bool is_whole = !replaces && cuts[i] - from == at->leaf->count &&
                        (p.fresh < from || p.fresh >= cuts[i]);
        if (is_whole) {
            keep_leaf(c, at->leaf, &p.part[from]);
            is_kept = true;
        } else if (!make_leaf(c, &p, from, cuts[i])) {
            return false;
        }
    }
    if (!is_kept) {
        c->old[c->old_count++] = at->leaf;
    }
    return true;
}

static bool renew_leaf(struct change *c, struct tree_at *at, size_t cut, struct slice packed)
{
    size_t bytes = at->leaf->used - cut + packed.len;
    uint32_t count = at->leaf->count + (cut == 0 ? 1U : 0U);
    bool is_one = bytes <= LEAF_BYTES && count <= LEAF_ELEMENTS;
    if (is_one && count > 1) {
        return grow_leaf(c, at, cut, packed);
    }
    return remake_leaf(c, at, cut > 0, packed);
}

/* --- inner nodes -------------------------------------------------------------------------------- */

static uint32_t room_for_children(const struct slab *s, const struct node *n)
{
    size_t room = (slab_bytes(s, n) - NODE_HEAD) / sizeof(struct node_child);
    return room < NODE_CHILDREN ? (uint32_t)room : NODE_CHILDREN;
}

/* The pieces in place of child `i`, whose key stays. `child` has room. */
static void take_pieces(const struct change *c, struct node_child *child, uint32_t count,
                        uint32_t i)
{
    uint64_t key = child[i].key;
    memmove(child + i + c->pieces, child + i + 1, (count - i - 1) * sizeof(*child));
    memcpy(child + i, c->piece, c->pieces * sizeof(*child));
    child[i].key = key;
}

static bool make_inner(struct change *c, const struct node_child *child, uint32_t count,
                       uint8_t level)
{
    uint32_t room = count + count / 2;
    struct node *n = make(c, node_ref_size(room < NODE_CHILDREN ? room : NODE_CHILDREN), level);
    if (n == NULL) {
        return false;
    }
    memcpy(n->child, child, count * sizeof(*child));
    n->count = (uint16_t)count;
    add_piece(c, n, child[0].key);
    return true;
}

static bool remake_inner(struct change *c, struct node *n, uint32_t i)
{
    struct node_child child[NODE_CHILDREN + PIECES] __attribute__((uninitialized));
    memcpy(child, n->child, n->count * sizeof(child[0]));
    take_pieces(c, child, n->count, i);
    uint32_t count = n->count + c->pieces - 1;
    bool at_end = i + 1 == n->count;
    c->pieces = 0;
    c->old[c->old_count++] = n;
    if (count <= NODE_CHILDREN) {
        return make_inner(c, child, count, n->level);
    }
    uint32_t left = at_end ? NODE_CHILDREN : i == 0 ? count - NODE_CHILDREN : count / 2;
    return make_inner(c, child, left, n->level) &&
           make_inner(c, child + left, count - left, n->level);
}

/* --- turning the tree to what was made ---------------------------------------------------------- */

static void add_counts(const struct tree *t, struct tree_at *at, uint32_t levels, uint32_t added)
{
    for (uint32_t d = 0; d < levels; d++) {
        at->up[d].node->child[at->up[d].index].count += added;
    }
    if (!t->is_names) {
        t->root->count += added;
    }
}

static void commit(struct change *c)
{
    struct slab *s = c->tree->slab;
    for (uint32_t i = 0; i < c->made_count; i++) {
        node_adopt(s, c->made[i]);
        c->tree->root->bytes += slab_bytes(s, c->made[i]);
    }
    for (uint32_t i = 0; i < c->old_count; i++) {
        c->tree->root->bytes -= slab_bytes(s, c->old[i]);
        slab_free(s, c->old[i]);
    }
}

static void commit_into(struct change *c, struct node *n, uint32_t i)
{
    struct slab *s = c->tree->slab;
    take_pieces(c, n->child, n->count, i);
    n->count = (uint16_t)(n->count + c->pieces - 1);
    for (uint32_t k = 0; k < c->pieces; k++) {
        node_at(s, c->piece[k].ref)->parent = slab_ref(s, n);
    }
    commit(c);
}

static bool commit_root(struct change *c)
{
    const struct tree *t = c->tree;
    if (c->pieces > 1) {
        uint32_t count = c->pieces;
        uint8_t level = (uint8_t)(node_at(t->slab, c->piece[0].ref)->level + 1);
        c->pieces = 0;
        struct node_child child[PIECES];
        memcpy(child, c->piece, sizeof(child));
        if (!make_inner(c, child, count, level)) {
            return false;
        }
        for (uint32_t i = 0; i < count; i++) { /* the old root may be among them */
            node_at(t->slab, child[i].ref)->mark &= (uint8_t)~NODE_ROOT;
        }
    }
    commit(c);
    struct node *top = node_at(t->slab, c->piece[0].ref);
    top->mark |= NODE_ROOT;
    top->parent = slab_ref(t->slab, t->item);
    tree_set_top(t, c->piece[0].ref);
    return true;
}

static bool put_anew(const struct tree *t, struct tree_at *at, size_t cut, struct slice packed)
{
    struct change c __attribute__((uninitialized));
    c.tree = t;
    c.made_count = c.old_count = c.pieces = 0;
    bool done = false;
    uint32_t d = at->depth;
    if (!renew_leaf(&c, at, cut, packed)) {
        undo(&c);
        return false;
    }
    for (; d > 0; d--) {
        struct node *n = at->up[d - 1].node;
        uint32_t i = at->up[d - 1].index;
        if (c.pieces == 1 || n->count + c.pieces - 1 <= room_for_children(t->slab, n)) {
            commit_into(&c, n, i);
            done = true;
            break;
        }
        if (!remake_inner(&c, n, i)) {
            undo(&c);
            return false;
        }
    }
    if (!done && !commit_root(&c)) {
        undo(&c);
        return false;
    }
    add_counts(t, at, done ? d - 1 : 0, cut > 0 ? 0 : 1);
    return true;
}

/* --- the whole ---------------------------------------------------------------------------------- */

static void put_here(const struct tree *t, struct tree_at *at, size_t cut, struct slice packed)
{
    struct node *n = at->leaf;
    char *here = node_data(n) + at->offset;
    if (cut != packed.len) {
        memmove(here + packed.len, here + cut, n->used - at->offset - cut);
    }
    memcpy(here, packed.ptr, packed.len);
    n->used += (uint32_t)(packed.len - cut);
    if (cut == 0) {
        n->count++;
        add_counts(t, at, at->depth, 1);
    }
}

bool tree_put(const struct tree *t, struct tree_at *at, bool replaces, struct slice packed)
{
    (void)node_limbo_free(t->slab, 2);
    struct node *n = at->leaf;
    struct node empty = {0};
    if (n == NULL) {
        at->leaf = &empty; /* cppcheck-suppress autoVariables ; replaced below */
        struct change c __attribute__((uninitialized));
        c.tree = t;
        c.made_count = c.old_count = c.pieces = 0;
        struct parts p __attribute__((uninitialized));
        collect(t, at, false, packed, &p);
        if (!make_leaf(&c, &p, 0, 1)) {
            return false;
        }
        (void)commit_root(&c);
        add_counts(t, at, 0, 1);
        return true;
    }
    const char *here = node_data(n) + at->offset;
    size_t cut = replaces ? (size_t)(pack_skip(t->format, here) - here) : 0;
    size_t used = n->used - cut + packed.len;
    uint32_t count = n->count + (replaces ? 0U : 1U);
    bool fits = (used <= LEAF_BYTES && count <= LEAF_ELEMENTS) || count == 1;
    if (fits && used + NODE_HEAD <= slab_bytes(t->slab, n)) {
        put_here(t, at, cut, packed);
        return true;
    }
    return put_anew(t, at, cut, packed);
}
