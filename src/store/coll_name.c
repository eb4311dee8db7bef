/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets, hashes and sorted sets, written by name.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/coll_priv.h"

#include "base/check.h"

/* Where a zset's element belongs. */
static size_t place_of(const struct coll_view *v, const struct coll_element *e)
{
    uint32_t rank;
    return (size_t)(pack_seek_score(v->packed, e->score, e->name, true, &rank) - v->packed.ptr);
}

/* A member with a new score: same size, so the elements between its places make way for it. */
static enum err put_score(struct coll_write *w, size_t at, size_t len, size_t to)
{
    struct slice packed = coll_write_new(w);
    size_t after = at + len;
    if (to >= at && to <= after) {
        return coll_write_splice(w, at, len, 1, 1);
    }
    enum err e = entry_splice(w->hold, w->item, 0, 0, 0, &w->item); /* tells watchers */
    char *base = coll_value(w->item) + coll_head_bytes(w->kind);
    if (to < at) {
        memmove(base + to + len, base + to, at - to);
    } else {
        memmove(base + at, base + after, to - after);
        to -= len;
    }
    memcpy(base + to, packed.ptr, len);
    return e;
}

static bool is_same(enum store_kind kind, const struct coll_element *a,
                    const struct coll_element *b)
{
    return kind == STORE_SET || (kind == STORE_ZSET && memcmp(&a->score, &b->score, 8) == 0);
}

static enum err put_old(struct coll_write *w, const struct coll_view *v, const char *old,
                        const struct coll_element *e)
{
    size_t at = (size_t)(old - v->packed.ptr);
    size_t len = (size_t)(pack_skip(w->kind, old) - old);
    if (w->kind == STORE_ZSET) {
        return put_score(w, at, len, place_of(v, e));
    }
    return coll_write_splice(w, at, len, 1, 1);
}

static enum err put_new(struct coll_write *w, const struct coll_element *e)
{
    size_t at = 0;
    if (w->item != NULL) {
        struct coll_view v = coll_view_of(w->item);
        at = w->kind == STORE_ZSET ? place_of(&v, e) : v.packed.len;
    }
    return coll_write_splice(w, at, 0, 0, 1);
}

/* Of a collection that is packed and may stay so; the new element is in the scratch. */
static enum err put_packed(struct coll_write *w, const struct coll_element *e, bool *ret_was,
                           bool *ret_changed)
{
    *ret_was = false;
    *ret_changed = true;
    if (w->item == NULL) {
        return coll_write_splice(w, 0, 0, 0, 1);
    }
    struct coll_view v = coll_view_of(w->item);
    const char *old = pack_find(w->kind, v.packed, e->name, NULL);
    size_t cut = 0;
    *ret_was = old != NULL;
    if (old != NULL) {
        struct coll_element was;
        cut = (size_t)(pack_read(w->kind, old, &was) - old);
        *ret_changed = !is_same(w->kind, &was, e);
        if (!*ret_changed) {
            return ERR_OK;
        }
    }
    bool is_tree;
    enum err err = coll_write_form(w, cut, coll_write_new(w).len, old == NULL, &is_tree);
    if (err != ERR_OK || is_tree) {
        return err != ERR_OK ? err : coll_tree_put(w, ret_was, ret_changed);
    }
    return old != NULL ? put_old(w, &v, old, e) : put_new(w, e);
}

enum err coll_put(struct store_hold *h, enum store_kind kind, const struct coll_element *e,
                  const struct store_write *meta, bool *ret_was)
{
    check(kind == STORE_SET || kind == STORE_HASH || kind == STORE_ZSET);
    if (e->name.len > ITEM_VALUE_MAX || pack_size(kind, e) > ITEM_VALUE_MAX) {
        return ERR_TOO_BIG;
    }
    struct coll_write w;
    coll_write_begin(h, kind, meta, &w);
    if (!coll_write_reserve(&w, 2 * pack_size(kind, e) + 2 * sizeof(e->score))) {
        return ERR_NOSPACE; /* a zset's tree by name takes the member once more */
    }
    pack_append(w.scratch, kind, e);
    struct coll_element now;
    (void)pack_read(kind, coll_write_new(&w).ptr, &now);
    bool was;
    bool changed;
    enum err err = w.item != NULL && coll_is_tree(w.item) ? coll_tree_put(&w, &was, &changed)
                                                          : put_packed(&w, &now, &was, &changed);
    if (err != ERR_OK) {
        return err;
    }
    if (changed) {
        (void)pack_read(kind, coll_write_new(&w).ptr, &now); /* the scratch may have moved */
        coll_log_put(h, kind, &now);
        coll_write_end(&w);
    }
    if (ret_was != NULL) {
        *ret_was = was;
    }
    return ERR_OK;
}

bool coll_remove(struct store_hold *h, struct slice name)
{
    const struct store_item *it = store_peek(h, NULL);
    struct coll_element e;
    if (it == NULL || !coll_find(h, it, name, &e)) {
        return false;
    }
    struct coll_write w;
    coll_write_begin(h, (enum store_kind)it->kind, NULL, &w);
    coll_log_remove(h, w.kind, name);
    if (coll_count(w.item) == 1) {
        coll_write_drop(&w);
    } else if (coll_is_tree(w.item)) {
        coll_tree_remove(&w, name);
    } else {
        struct coll_view v = coll_view_of(w.item);
        const char *old = pack_find(w.kind, v.packed, name, NULL);
        coll_write_cut(&w, (size_t)(old - v.packed.ptr), (size_t)(pack_skip(w.kind, old) - old), 1);
    }
    return true;
}
