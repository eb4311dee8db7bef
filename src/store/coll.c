/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Collections, read; coll.h says what they are.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/tree.h"

#include "base/check.h"

uint64_t coll_count(const struct store_item *it)
{
    return coll_count_of(it);
}

const char *coll_encoding(const struct store_item *it)
{
    bool is_large = coll_view_of(it).head.shape == COLL_LARGE;
    switch ((enum store_kind)it->kind) {
    case STORE_LIST:
        return is_large ? "quicklist" : "listpack";
    case STORE_SET:
        return is_large                                       ? "hashtable"
               : coll_view_of(it).head.shape == COLL_INTEGERS ? "intset"
                                                              : "listpack";
    case STORE_ZSET:
        return is_large ? "skiplist" : "listpack";
    case STORE_HASH:
        return is_large ? "hashtable" : "listpack";
    case STORE_STREAM:
        return "stream";
    case STORE_STRING:
        break;
    }
    unreachable();
}

static struct tree tree_for(const struct store_hold *h, const struct store_item *it, bool by_name)
{
    struct slab *s = &hold_pool(h)->slab;
    struct store_item *item = slab_at(s, slab_ref(s, it));
    return by_name ? tree_by_name(s, item) : tree_of(s, item);
}

bool coll_at(const struct store_hold *h, const struct store_item *it, uint64_t rank,
             struct coll_element *ret_element)
{
    struct coll_walk w;
    coll_walk_begin(h, it, rank, false, &w);
    return coll_walk_next(&w, ret_element);
}

/* --- walking ------------------------------------------------------------------------------------ */

void coll_walk_begin(const struct store_hold *h, const struct store_item *it, uint64_t rank,
                     bool backward, struct coll_walk *ret_walk)
{
    struct coll_walk *w = ret_walk;
    uint64_t count = coll_count_of(it);
    *w = (struct coll_walk){.hold = h, .item = it, .backward = backward};
    if (rank >= count) {
        return;
    }
    w->left = backward ? rank + 1 : count - rank;
    if (coll_is_tree(it)) {
        struct tree t = tree_for(h, it, false);
        struct tree_at at;
        check(!backward || pack_has_back(t.format));
        tree_seek(&t, rank, &at);
        w->leaf = at.leaf;
        w->next = node_data(at.leaf) + at.offset;
        w->next = backward ? pack_skip(t.format, w->next) : w->next;
        w->leaf_left = backward ? at.index + 1 : at.leaf->count - at.index;
        return;
    }
    struct coll_view v = coll_view_of(it);
    check(!backward || pack_has_back(v.kind));
    w->leaf_left = (uint32_t)w->left;
    w->next = pack_seek(v.kind, v.packed, v.head.count, backward ? rank + 1 : rank);
}

static void walk_to_next_leaf(struct coll_walk *w)
{
    struct tree t = tree_for(w->hold, w->item, false);
    struct node *n = tree_beside(&t, w->leaf, w->backward);
    check(n != NULL);
    w->leaf = n;
    w->next = w->backward ? node_data(n) + n->used : node_data(n);
    w->leaf_left = n->count;
}

bool coll_walk_next(struct coll_walk *w, struct coll_element *ret_element)
{
    if (w->left == 0) {
        return false;
    }
    if (w->leaf_left == 0) {
        walk_to_next_leaf(w);
    }
    w->left--;
    w->leaf_left--;
    enum store_kind kind = (enum store_kind)w->item->kind;
    if (w->backward) {
        w->next = pack_back(w->next);
        (void)pack_read(kind, w->next, ret_element);
    } else {
        w->next = pack_read(kind, w->next, ret_element);
    }
    return true;
}

/* --- by name ------------------------------------------------------------------------------------ */

/* An element of a zset's tree by name, as the zset's. */
static void as_member(const struct store_item *it, struct coll_element *e)
{
    if (it->kind == STORE_ZSET) {
        memcpy(&e->score, e->value.ptr, sizeof(e->score));
        e->value = (struct slice){NULL, 0};
    }
}

bool coll_find(const struct store_hold *h, const struct store_item *it, struct slice name,
               struct coll_element *ret_element)
{
    if (coll_is_tree(it)) {
        struct tree t = tree_for(h, it, true);
        struct tree_at at;
        if (!tree_find(&t, name, &at)) {
            return false;
        }
        (void)pack_read(t.format, node_data(at.leaf) + at.offset, ret_element);
        as_member(it, ret_element);
        return true;
    }
    struct coll_view v = coll_view_of(it);
    const char *at = pack_find(v.kind, v.packed, name, NULL);
    if (at != NULL) {
        (void)pack_read(v.kind, at, ret_element);
    }
    return at != NULL;
}

/* The cursor is a hash, without its low bits: clients may keep it in a double. Elements at or above it have
 * not been seen. */
enum { CURSOR_SHIFT = 16 };

static uint64_t scan_tree(const struct tree *t, const struct store_item *it, uint64_t cursor,
                          uint64_t count, coll_visit_fn *visit, void *arg)
{
    struct tree_at at;
    uint64_t seen = 0;
    tree_seek_hash(t, cursor << CURSOR_SHIFT, &at);
    for (struct node *n = at.leaf; n != NULL; n = tree_beside(t, n, false)) {
        uint64_t low = tree_lower_key(t, n);
        if (seen >= count && low >> CURSOR_SHIFT > cursor) {
            return low >> CURSOR_SHIFT;
        }
        const char *here = node_data(n);
        for (uint32_t i = 0; i < n->count; i++) {
            struct coll_element e;
            here = pack_read(t->format, here, &e);
            if (low >> CURSOR_SHIFT >= cursor || tree_key(t, &e) >> CURSOR_SHIFT >= cursor) {
                as_member(it, &e);
                visit(arg, &e);
                seen++;
            }
        }
    }
    return 0;
}

uint64_t coll_scan(const struct store_hold *h, const struct store_item *it, uint64_t cursor,
                   uint64_t count, coll_visit_fn *visit, void *arg)
{
    if (coll_is_tree(it)) {
        struct tree t = tree_for(h, it, true);
        return scan_tree(&t, it, cursor, count, visit, arg);
    }
    struct coll_walk w;
    struct coll_element e;
    coll_walk_begin(h, it, 0, false, &w);
    while (coll_walk_next(&w, &e)) {
        visit(arg, &e);
    }
    return 0;
}

/* --- by order ----------------------------------------------------------------------------------- */

static uint64_t rank_of_bound(const struct store_hold *h, const struct store_item *it,
                              const struct tree_bound *b)
{
    if (coll_is_tree(it)) {
        struct tree t = tree_for(h, it, false);
        struct tree_at at;
        tree_seek_bound(&t, b, &at);
        return at.rank;
    }
    struct coll_view v = coll_view_of(it);
    const char *at = v.packed.ptr;
    const char *end = at + v.packed.len;
    uint64_t rank = 0;
    struct coll_element e;
    while (at < end) {
        at = pack_read(v.kind, at, &e);
        if (!tree_bound_is_after(b, &e)) {
            break;
        }
        rank++;
    }
    return rank;
}

bool coll_rank(const struct store_hold *h, const struct store_item *it, struct slice name,
               uint64_t *ret_rank)
{
    if (!coll_is_tree(it)) {
        struct coll_view v = coll_view_of(it);
        return pack_find(v.kind, v.packed, name, ret_rank) != NULL;
    }
    struct coll_element e;
    if (!coll_find(h, it, name, &e)) {
        return false;
    }
    struct tree_bound b = {.by = BOUND_ELEMENT, .score = e.score, .member = name};
    *ret_rank = rank_of_bound(h, it, &b);
    return true;
}

uint64_t coll_rank_of_score(const struct store_hold *h, const struct store_item *it, double score,
                            bool after)
{
    struct tree_bound b = {.by = BOUND_SCORE, .after = after, .score = score};
    return rank_of_bound(h, it, &b);
}

uint64_t coll_rank_of_lex(const struct store_hold *h, const struct store_item *it,
                          struct slice member, bool after)
{
    struct tree_bound b = {.by = BOUND_LEX, .after = after, .member = member};
    return rank_of_bound(h, it, &b);
}

uint64_t coll_rank_of_id(const struct store_hold *h, const struct store_item *it, struct coll_id id,
                         bool after)
{
    struct tree_bound b = {.by = BOUND_ID, .after = after, .id = id};
    return rank_of_bound(h, it, &b);
}

struct coll_stream coll_stream_info(const struct store_item *it)
{
    struct coll_stream info;
    size_t at = coll_is_tree(it) ? sizeof(struct coll_root) : sizeof(struct coll_head);
    memcpy(&info, item_value(it).ptr + at, sizeof(info));
    return info;
}
