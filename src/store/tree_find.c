/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding places in a tree; tree.h says how it is ordered.
 *
 * By hash, most of the time goes into waiting for memory: inner nodes are guessed at, not halved, and a leaf is
 * asked for as a whole before it is swept.
 *
 * Threads: the shard's lock.
 */
#include "store/tree.h"

#include "base/check.h"
#include "base/hash.h"

struct tree tree_of(struct slab *s, struct store_item *it)
{
    static const enum tree_order order[] = {
        [STORE_LIST] = TREE_BY_RANK, [STORE_SET] = TREE_BY_HASH,  [STORE_ZSET] = TREE_BY_SCORE,
        [STORE_HASH] = TREE_BY_HASH, [STORE_STREAM] = TREE_BY_ID,
    };
    enum store_kind kind = (enum store_kind)it->kind;
    return (struct tree){
        .slab = s, .item = it, .root = coll_root_of(it), .format = kind, .order = order[kind]};
}

struct tree tree_names_of(struct slab *s, struct store_item *it)
{
    return (struct tree){
        .slab = s,
        .item = it,
        .root = coll_root_of(it),
        .format = STORE_HASH,
        .order = TREE_BY_HASH,
        .is_names = true,
    };
}

/* Doubles in their order as integers. */
static uint64_t key_of_score(double score)
{
    uint64_t bits;
    score += 0.0; /* -0 equals 0 */
    memcpy(&bits, &score, sizeof(bits));
    uint64_t sign = UINT64_C(1) << 63;
    return (bits & sign) != 0 ? ~bits : bits | sign;
}

uint64_t tree_key(const struct tree *t, const struct coll_element *e)
{
    switch (t->order) {
    case TREE_BY_RANK:
        return 0;
    case TREE_BY_HASH:
        return hash_slice(e->name);
    case TREE_BY_SCORE:
        return key_of_score(e->score);
    case TREE_BY_ID:
        return e->id.ms;
    }
    unreachable();
}

/* --- going down --------------------------------------------------------------------------------- */

static struct node *begin(const struct tree *t, struct tree_at *at)
{
    at->depth = 0;
    at->index = 0;
    at->offset = 0;
    at->rank = 0;
    at->leaf = NULL;
    return tree_top(t) == 0 ? NULL : node_at(t->slab, tree_top(t));
}

static struct node *go_down(const struct tree *t, struct tree_at *at, struct node *n, uint32_t i)
{
    check(at->depth < TREE_DEPTH);
    at->up[at->depth].node = n;
    at->up[at->depth].index = i;
    at->depth++;
    return node_child(t->slab, n, i);
}

void tree_seek(const struct tree *t, uint64_t rank, struct tree_at *ret_at)
{
    struct tree_at *at = ret_at;
    struct node *n = begin(t, at);
    if (n == NULL) {
        return;
    }
    at->rank = rank;
    while (n->level > 0) {
        uint32_t i = 0;
        while (i + 1 < n->count && rank >= n->child[i].count) {
            rank -= n->child[i].count;
            i++;
        }
        n = go_down(t, at, n, i);
    }
    at->leaf = n;
    at->index = (uint32_t)rank;
    struct slice packed = node_packed(n);
    at->offset = (uint32_t)(pack_seek(t->format, packed, n->count, rank) - packed.ptr);
}

static void add_ranks(struct tree_at *at, const struct node *n, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++) {
        at->rank += n->child[k].count;
    }
}

static const char *leftmost(const struct tree *t, struct node *n)
{
    while (n->level > 0) {
        n = node_child(t->slab, n, 0);
    }
    return node_data(n);
}

bool tree_bound_is_after(const struct tree_bound *b, const struct coll_element *e)
{
    switch (b->by) {
    case BOUND_ELEMENT:
        if (e->score != b->score) {
            return e->score < b->score;
        }
        __attribute__((fallthrough));
    case BOUND_LEX: {
        int order = pack_compare_bytes(e->name, b->member);
        return b->after ? order <= 0 : order < 0;
    }
    case BOUND_SCORE:
        return b->after ? e->score <= b->score : e->score < b->score;
    case BOUND_ID:
        return b->after ? !pack_id_below(b->id, e->id) : pack_id_below(e->id, b->id);
    }
    unreachable();
}

static uint64_t key_of_bound(const struct tree_bound *b)
{
    return b->by == BOUND_ID ? b->id.ms : key_of_score(b->score);
}

/* Is everything before child `i` before the bound? Its key says so, unless it is the bound's own. */
static bool bound_is_beyond(const struct tree *t, const struct tree_bound *b, uint64_t key,
                            const struct node *n, uint32_t i)
{
    if (b->by != BOUND_LEX && n->child[i].key != key) {
        return n->child[i].key < key;
    }
    struct coll_element e;
    (void)pack_read(t->format, leftmost(t, node_child(t->slab, n, i)), &e);
    return tree_bound_is_after(b, &e);
}

void tree_seek_bound(const struct tree *t, const struct tree_bound *b, struct tree_at *ret_at)
{
    struct tree_at *at = ret_at;
    struct node *n = begin(t, at);
    if (n == NULL) {
        return;
    }
    uint64_t key = key_of_bound(b);
    while (n->level > 0) {
        uint32_t low = 0;
        uint32_t high = n->count;
        while (high - low > 1) {
            uint32_t middle = (low + high) / 2;
            if (bound_is_beyond(t, b, key, n, middle)) {
                low = middle;
            } else {
                high = middle;
            }
        }
        add_ranks(at, n, low);
        n = go_down(t, at, n, low);
    }
    at->leaf = n;
    const char *data = node_data(n);
    const char *here = data;
    if (b->by == BOUND_ELEMENT) {
        here = pack_seek_score(node_packed(n), b->score, b->member, b->after, &at->index);
    }
    for (; b->by != BOUND_ELEMENT && at->index < n->count; at->index++) {
        struct coll_element e;
        const char *next = pack_read(t->format, here, &e);
        if (!tree_bound_is_after(b, &e)) {
            break;
        }
        here = next;
    }
    at->offset = (uint32_t)(here - data);
    at->rank += at->index;
}

/* The last child whose key is not above the hash, which lies in [low, high]. Hashes are spread evenly, so
 * the child is near to where it would be if keys were, too: often one cache line is read of sixteen. */
static inline uint32_t guess_child(const struct node *n, uint64_t hash, uint64_t low, uint64_t high)
{
    enum { WORD = 64, PRECISE = 32 };
    int width = WORD - __builtin_clzll((high - low) | 1);
    int shift = width > PRECISE ? width - PRECISE : 0;
    uint64_t part = (hash - low) >> shift;
    uint64_t whole = ((high - low) >> shift) + 1;
    /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): at most 2^32 */
    uint32_t i = (uint32_t)(part * n->count / whole);
    while (i > 0 && n->child[i].key > hash) {
        i--;
    }
    while (i + 1 < n->count && n->child[i + 1].key <= hash) {
        i++;
    }
    return i;
}

/* All of a leaf at once: a sweep that asks for line after line waits for each. */
static inline void warm_leaf(const struct node *leaf)
{
    enum { LINE = 64 };
    for (uint32_t at = 0; at < NODE_MAX; at += LINE) {
        __builtin_prefetch((const char *)leaf + at);
    }
}

/* Down to the leaf that owns the hash, which is asked for, not looked at. NULL: the tree is empty. */
static inline struct node *go_to_leaf(const struct tree *t, uint64_t hash, struct tree_at *at)
{
    struct node *n = begin(t, at);
    uint64_t low = 0;
    uint64_t high = UINT64_MAX;
    for (uint32_t level = n != NULL ? n->level : 0; level > 0; level--) {
        uint32_t i = guess_child(n, hash, low, high);
        struct node *down = go_down(t, at, n, i);
        if (level == 1) {
            warm_leaf(down);
        }
        low = i > 0 ? n->child[i].key : low;
        high = i + 1 < n->count ? n->child[i + 1].key : high;
        n = down;
    }
    return n;
}

void tree_warm(const struct tree *t, struct slice name)
{
    struct tree_at at;
    (void)go_to_leaf(t, hash_slice(name), &at);
}

/* Ranks are not asked for here. */
void tree_seek_hash(const struct tree *t, uint64_t hash, struct tree_at *ret_at)
{
    struct node *n = go_to_leaf(t, hash, ret_at);
    if (n != NULL) {
        ret_at->leaf = n;
        ret_at->index = n->count;
        ret_at->offset = n->used;
    }
}

bool tree_find(const struct tree *t, struct slice name, struct tree_at *ret_at)
{
    tree_seek_hash(t, hash_slice(name), ret_at);
    if (ret_at->leaf == NULL) {
        return false;
    }
    struct slice packed = node_packed(ret_at->leaf);
    uint64_t rank;
    const char *found = pack_find(t->format, packed, name, &rank);
    if (found == NULL) {
        return false;
    }
    ret_at->index = (uint32_t)rank;
    ret_at->offset = (uint32_t)(found - packed.ptr);
    return true;
}

struct node *tree_beside(const struct tree *t, const struct node *leaf, bool backward)
{
    const struct node *n = leaf;
    while ((n->mark & NODE_ROOT) == 0) {
        struct node *up = node_at(t->slab, n->parent);
        uint32_t i = node_index(t->slab, n);
        if (backward ? i > 0 : i + 1 < up->count) {
            struct node *down = node_child(t->slab, up, backward ? i - 1 : i + 1);
            while (down->level > 0) {
                down = node_child(t->slab, down, backward ? down->count - 1U : 0);
            }
            return down;
        }
        n = up;
    }
    return NULL;
}

uint64_t tree_lower_key(const struct tree *t, const struct node *leaf)
{
    for (const struct node *n = leaf; (n->mark & NODE_ROOT) == 0; n = node_at(t->slab, n->parent)) {
        uint32_t i = node_index(t->slab, n);
        if (i > 0) {
            return node_at(t->slab, n->parent)->child[i].key;
        }
    }
    return 0;
}
