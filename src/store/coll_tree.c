/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing collections that are trees, and making packed ones trees.
 *
 * Whatever needs memory is an attempt: it either does all of it with what the allocator has at hand, or
 * nothing. While room is made for the next attempt the tree's nodes may move; its item does not.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/tree.h"

#include "base/check.h"

enum { ROOM_TO_GROW = 8 };

static struct slab *slab_of(const struct coll_write *w)
{
    return &hold_pool(w->hold)->slab;
}

/* --- from packed to tree ------------------------------------------------------------------------ */

struct making {
    struct slice packed;
    struct node *leaf;
    struct node *names;
};

static struct node *new_leaf(struct coll_write *w, const struct making *m, uint8_t mark)
{
    size_t room = m->packed.len + m->packed.len / ROOM_TO_GROW;
    struct node *n = node_alloc(slab_of(w), NODE_HEAD + room, 0, NODE_ROOT | mark);
    if (n != NULL) {
        n->count = (uint16_t)coll_view_of(w->item).head.count;
    }
    return n;
}

/* The elements of a zset as those of a hash, which take no more room. */
static void fill_names(struct node *n, struct slice packed)
{
    const char *at = packed.ptr;
    char *to = node_data(n);
    while (at < packed.ptr + packed.len) {
        struct coll_element e;
        at = pack_read(STORE_ZSET, at, &e);
        e.value = (struct slice){(const char *)&e.score, sizeof(e.score)};
        to = pack_write(STORE_HASH, to, &e);
    }
    n->used = (uint32_t)(to - node_data(n));
}

static bool make_leaves(struct coll_write *w, void *arg)
{
    struct making *m = arg;
    struct slab *s = slab_of(w);
    m->leaf = new_leaf(w, m, 0);
    if (m->leaf == NULL) {
        return false;
    }
    if (w->kind == STORE_ZSET) {
        m->names = new_leaf(w, m, NODE_NAMES);
        if (m->names == NULL) {
            slab_free(s, m->leaf);
            return false;
        }
        fill_names(m->names, m->packed);
    }
    m->leaf->used = (uint32_t)m->packed.len;
    memcpy(node_data(m->leaf), m->packed.ptr, m->packed.len);
    return true;
}

static void put_root(struct coll_write *w, const struct making *m)
{
    struct slab *s = slab_of(w);
    char *value = coll_value(w->item);
    struct coll_view v = coll_view_of(w->item);
    struct coll_root root = {
        .head = {.tree = 1, .shape = v.head.shape & 3U},
        .count = v.head.count,
        .bytes = slab_bytes(s, m->leaf) + (m->names != NULL ? slab_bytes(s, m->names) : 0),
        .root = slab_ref(s, m->leaf),
        .names = m->names != NULL ? slab_ref(s, m->names) : 0,
    };
    if (w->kind == STORE_STREAM) {
        struct coll_stream info = coll_stream_info(w->item);
        memcpy(value + sizeof(root), &info, sizeof(info));
    }
    memcpy(value, &root, sizeof(root));
}

enum err coll_tree_make(struct coll_write *w)
{
    size_t len = w->item->value_len;
    size_t needed = coll_root_bytes(w->kind);
    size_t packed_len = coll_view_of(w->item).packed.len;
    size_t more = len < needed ? needed - len : 0;
    if (more > 0) {
        enum err e = entry_splice(w->hold, w->item, len, 0, more, &w->item);
        if (e != ERR_OK) {
            return e;
        }
    }
    struct making m = {.packed = {coll_view_of(w->item).packed.ptr, packed_len}};
    enum err e = coll_write_try(w, make_leaves, &m);
    size_t keep = e == ERR_OK ? needed : len;
    if (e == ERR_OK) {
        put_root(w, &m);
        coll_write_weigh(w);
    }
    if (w->item->value_len > keep) {
        check(entry_splice(w->hold, w->item, keep, w->item->value_len - keep, 0, &w->item) ==
              ERR_OK);
    }
    coll_moved(slab_of(w), w->item);
    return e;
}

/* --- by name ------------------------------------------------------------------------------------ */

struct putting {
    struct coll_element e; /* in the scratch, as are: */
    struct slice packed;
    struct slice packed_name; /* zset */
    bool was;
    bool changed;
};

static bool put_member(struct coll_write *w, void *arg)
{
    struct putting *p = arg;
    struct tree t = tree_of(slab_of(w), w->item);
    struct tree_at at;
    p->was = tree_find(&t, p->e.name, &at);
    p->changed = !p->was || w->kind == STORE_HASH;
    return !p->changed || tree_put(&t, &at, p->was, p->packed);
}

/* At an element that is there. (What is before it may end in the leaf before.) */
static void seek_element(const struct tree *t, double score, struct slice name,
                         struct tree_at *ret_at)
{
    struct tree_bound b = {.by = BOUND_ELEMENT, .after = true, .score = score, .member = name};
    tree_seek_bound(t, &b, ret_at);
    const char *data = node_data(ret_at->leaf);
    check(ret_at->index > 0);
    ret_at->index--;
    ret_at->offset = (uint32_t)(pack_back(data + ret_at->offset) - data);
}

static bool put_in_order(const struct tree *t, const struct putting *p)
{
    struct tree_at at;
    struct tree_bound b = {.by = BOUND_ELEMENT, .score = p->e.score, .member = p->e.name};
    tree_seek_bound(t, &b, &at);
    return tree_put(t, &at, false, p->packed);
}

static void remove_in_order(const struct tree *t, double score, struct slice name)
{
    struct tree_at at;
    seek_element(t, score, name, &at);
    tree_remove(t, &at);
}

/* The score of a member in the tree by name. */
static char *score_at(const struct tree *names, const struct tree_at *at, double *ret_score)
{
    struct coll_element e;
    char *data = node_data(at->leaf);
    (void)pack_read(names->format, data + at->offset, &e);
    memcpy(ret_score, e.value.ptr, sizeof(*ret_score));
    return data + (e.value.ptr - data);
}

static bool put_score(struct coll_write *w, void *arg)
{
    struct putting *p = arg;
    struct tree order = tree_of(slab_of(w), w->item);
    struct tree names = tree_names_of(slab_of(w), w->item);
    struct tree_at at;
    p->was = tree_find(&names, p->e.name, &at);
    p->changed = true;
    if (!p->was) {
        if (!tree_put(&names, &at, false, p->packed_name)) {
            return false;
        }
        if (!put_in_order(&order, p)) {
            check(tree_find(&names, p->e.name, &at));
            tree_remove(&names, &at);
            return false;
        }
        return true;
    }
    double old;
    char *score = score_at(&names, &at, &old);
    p->changed = memcmp(&old, &p->e.score, sizeof(old)) != 0;
    if (p->changed && old == p->e.score) { /* 0 and -0 are one place */
        seek_element(&order, old, p->e.name, &at);
        memcpy(node_data(at.leaf) + at.offset, p->packed.ptr, p->packed.len);
    } else if (p->changed) {
        if (!put_in_order(&order, p)) {
            return false;
        }
        remove_in_order(&order, old, p->e.name);
    }
    memcpy(score, &p->e.score, sizeof(old));
    return true;
}

enum err coll_tree_put(struct coll_write *w, bool *ret_was, bool *ret_changed)
{
    struct putting p;
    size_t len = coll_write_new(w).len;
    if (w->kind == STORE_ZSET) {
        struct coll_element e;
        (void)pack_read(w->kind, coll_write_new(w).ptr, &e);
        double score = e.score;
        (void)buf_reserve(w->scratch, len + sizeof(score));
        (void)pack_read(w->kind, coll_write_new(w).ptr, &e);
        e.value = (struct slice){(const char *)&score, sizeof(score)};
        pack_append(w->scratch, STORE_HASH, &e);
    }
    struct slice all = coll_write_new(w);
    p.packed = (struct slice){all.ptr, len};
    p.packed_name = slice_from(all, len);
    (void)pack_read(w->kind, all.ptr, &p.e);
    enum err e = coll_write_try(w, w->kind == STORE_ZSET ? put_score : put_member, &p);
    if (e == ERR_OK) {
        *ret_was = p.was;
        *ret_changed = p.changed;
        if (p.changed) {
            coll_write_done(w, p.packed);
        }
    }
    return e;
}

bool coll_tree_remove(struct coll_write *w, struct slice name)
{
    struct tree t = tree_by_name(slab_of(w), w->item);
    struct tree_at at;
    if (!tree_find(&t, name, &at)) {
        return false;
    }
    if (w->kind == STORE_ZSET) {
        struct tree order = tree_of(slab_of(w), w->item);
        double score;
        (void)score_at(&t, &at, &score);
        remove_in_order(&order, score, name); /* the name may lie in either tree */
    }
    tree_remove(&t, &at);
    coll_write_done(w, (struct slice){"", 0});
    return true;
}

/* --- by rank ------------------------------------------------------------------------------------ */

struct putting_at {
    uint64_t rank;
    bool replaces;
    struct slice packed;
};

static bool put_at(struct coll_write *w, void *arg)
{
    const struct putting_at *p = arg;
    struct tree t = tree_of(slab_of(w), w->item);
    struct tree_at at;
    tree_seek(&t, p->rank, &at);
    return tree_put(&t, &at, p->replaces, p->packed);
}

enum err coll_tree_put_at(struct coll_write *w, uint64_t rank, bool replaces, struct slice packed)
{
    struct putting_at p = {.rank = rank, .replaces = replaces, .packed = packed};
    return coll_write_try(w, put_at, &p);
}

/* Takes members of the order tree that are about to go out of the tree by name. */
static void forget_names(struct coll_write *w, uint64_t rank, uint64_t count)
{
    struct tree names = tree_names_of(slab_of(w), w->item);
    struct coll_walk walk;
    struct coll_element e;
    coll_walk_begin(w->hold, w->item, rank, false, &walk);
    for (uint64_t i = 0; i < count; i++) {
        struct tree_at at;
        check(coll_walk_next(&walk, &e) && tree_find(&names, e.name, &at));
        tree_remove(&names, &at);
    }
}

void coll_tree_cut(struct coll_write *w, uint64_t rank, uint64_t count)
{
    struct tree t = tree_of(slab_of(w), w->item);
    if (w->kind == STORE_ZSET) {
        forget_names(w, rank, count);
    }
    if (count == 1) {
        struct tree_at at;
        tree_seek(&t, rank, &at);
        tree_remove(&t, &at);
    } else {
        tree_cut(&t, rank, count);
    }
    coll_write_done(w, (struct slice){"", 0});
}

size_t coll_tree_list_bytes(const struct coll_write *w)
{
    struct tree t = tree_of(slab_of(w), w->item);
    struct tree_at at;
    size_t bytes = 0;
    tree_seek(&t, 0, &at);
    for (const struct node *n = at.leaf; n != NULL; n = tree_beside(&t, n, false)) {
        bytes += n->used;
    }
    return bytes;
}
