/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists, written; and the cut by rank, which every kind has.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/coll_priv.h"

#include "base/check.h"
#include "store/effect.h"

/* `packed`: in the order of the pushes, or turned round. */
static void log_push(struct store_hold *h, enum coll_end end, struct slice packed, uint32_t count,
                     bool turned)
{
    if (!effect_wanted(h)) {
        return;
    }
    effect_command(h, end == COLL_HEAD ? "LPUSH" : "RPUSH", count + 1);
    effect_arg(h, h->key);
    const char *at = turned ? packed.ptr + packed.len : packed.ptr;
    for (uint32_t i = 0; i < count; i++) {
        struct coll_element e;
        at = turned ? pack_back(at) : at;
        const char *next = pack_read(STORE_LIST, at, &e);
        effect_arg(h, e.name);
        at = turned ? at : next;
    }
}

/* The elements pushed so far come off again. */
static void undo_push(struct coll_write *w, enum coll_end end, uint64_t pushed)
{
    uint64_t count = coll_count(w->item);
    if (pushed == count) {
        coll_write_drop(w);
    } else if (pushed > 0) {
        coll_tree_cut(w, end == COLL_HEAD ? 0 : count - pushed, pushed);
    }
}

/* One by one, the values in the scratch. All or none. */
static enum err push_tree(struct coll_write *w, enum coll_end end, uint32_t count)
{
    const char *at = coll_write_new(w).ptr;
    for (uint32_t i = 0; i < count; i++) {
        const char *next = pack_skip(STORE_LIST, at);
        struct slice packed = {at, (size_t)(next - at)};
        enum err e = ERR_OK;
        if (w->item == NULL) {
            e = coll_write_create(w, packed, 1);
        } else if (coll_is_tree(w->item) || (e = coll_tree_make(w)) == ERR_OK) {
            uint64_t rank = end == COLL_HEAD ? 0 : coll_count(w->item);
            e = coll_tree_put_at(w, rank, false, packed);
        }
        if (e != ERR_OK) {
            if (w->item != NULL) {
                undo_push(w, end, i);
            }
            return e;
        }
        at = next;
    }
    coll_write_done(w, coll_write_new(w));
    return ERR_OK;
}

enum err coll_push(struct store_hold *h, enum coll_end end, const struct slice *values,
                   uint32_t count, const struct store_write *meta)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        size += pack_size(STORE_LIST, &(struct coll_element){.name = values[i]});
        if (values[i].len > ITEM_VALUE_MAX || size > ITEM_VALUE_MAX) {
            return ERR_TOO_BIG;
        }
    }
    struct coll_write w;
    coll_write_begin(h, STORE_LIST, meta, &w);
    if (!coll_write_reserve(&w, size)) {
        return ERR_NOSPACE;
    }
    bool is_small = coll_write_is_small(&w, 0, size, count);
    bool turned = is_small && end == COLL_HEAD; /* a packed one takes them all at once */
    for (uint32_t i = 0; i < count; i++) {
        struct coll_element e = {.name = values[turned ? count - 1 - i : i]};
        pack_append(w.scratch, STORE_LIST, &e);
    }
    enum err e;
    if (is_small) {
        size_t at = end == COLL_HEAD || w.item == NULL ? 0 : coll_view_of(w.item).packed.len;
        e = coll_write_splice(&w, at, 0, 0, count);
    } else {
        e = push_tree(&w, end, count);
    }
    if (e == ERR_OK) {
        log_push(h, end, coll_write_new(&w), count, turned);
        coll_write_end(&w);
    }
    return e;
}

/* The element in the scratch, into a tree. */
static enum err put_at(struct coll_write *w, uint64_t rank, bool replaces)
{
    enum err e = coll_tree_put_at(w, rank, replaces, coll_write_new(w));
    if (e == ERR_OK) {
        coll_write_done(w, coll_write_new(w));
    }
    return e;
}

enum err coll_replace(struct store_hold *h, uint64_t rank, struct slice value)
{
    struct coll_element e = {.name = value};
    if (value.len > ITEM_VALUE_MAX || pack_size(STORE_LIST, &e) > ITEM_VALUE_MAX) {
        return ERR_TOO_BIG;
    }
    struct coll_write w;
    coll_write_begin(h, STORE_LIST, NULL, &w);
    check(rank < coll_count(w.item));
    if (!coll_write_reserve(&w, pack_size(STORE_LIST, &e))) {
        return ERR_NOSPACE;
    }
    pack_append(w.scratch, STORE_LIST, &e);
    size_t at = 0;
    size_t cut = 0;
    if (!coll_is_tree(w.item)) {
        struct coll_view v = coll_view_of(w.item);
        const char *old = pack_seek(STORE_LIST, v.packed, v.head.count, rank);
        at = (size_t)(old - v.packed.ptr);
        cut = (size_t)(pack_skip(STORE_LIST, old) - old);
    }
    bool is_tree;
    enum err err = coll_write_form(&w, cut, coll_write_new(&w).len, 0, &is_tree);
    if (is_tree) {
        err = put_at(&w, rank, true);
    } else if (err == ERR_OK) {
        err = coll_write_splice(&w, at, cut, 1, 1);
    }
    if (err == ERR_OK && effect_wanted(h)) {
        (void)pack_read(STORE_LIST, coll_write_new(&w).ptr, &e);
        effect_command(h, "LSET", 3);
        effect_arg(h, h->key);
        effect_arg_unsigned(h, rank);
        effect_arg(h, e.name);
    }
    return err;
}

/* The scratch: the new element, the pivot. */
static void log_insert(struct coll_write *w, bool after)
{
    if (!effect_wanted(w->hold)) {
        return;
    }
    struct coll_element e;
    struct coll_element pivot;
    (void)pack_read(STORE_LIST, pack_read(STORE_LIST, coll_write_new(w).ptr, &e), &pivot);
    effect_command(w->hold, "LINSERT", 4);
    effect_arg(w->hold, w->hold->key);
    effect_arg_str(w->hold, after ? "AFTER" : "BEFORE");
    effect_arg(w->hold, pivot.name);
    effect_arg(w->hold, e.name);
}

/* The first element from `rank` on that equals the value; its rank, or the count. */
static uint64_t find_equal(const struct coll_write *w, uint64_t rank, bool backward,
                           struct slice value)
{
    struct coll_walk walk;
    struct coll_element e;
    coll_walk_begin(w->hold, w->item, rank, backward, &walk);
    while (coll_walk_next(&walk, &e)) {
        if (slice_eq(e.name, value)) {
            return rank;
        }
        rank += backward ? UINT64_MAX : 1;
    }
    return coll_count(w->item);
}

enum err coll_insert(struct store_hold *h, struct slice pivot, bool after, struct slice value,
                     bool *ret_found)
{
    struct coll_element e = {.name = value};
    struct coll_element own_pivot = {.name = pivot}; /* it may move */
    if (value.len > ITEM_VALUE_MAX || pack_size(STORE_LIST, &e) > ITEM_VALUE_MAX) {
        return ERR_TOO_BIG;
    }
    struct coll_write w;
    coll_write_begin(h, STORE_LIST, NULL, &w);
    uint64_t rank = find_equal(&w, 0, false, pivot);
    *ret_found = rank < coll_count(w.item);
    if (!*ret_found) {
        return ERR_OK;
    }
    rank += after;
    if (!coll_write_reserve(&w, pack_size(STORE_LIST, &e) + pack_size(STORE_LIST, &own_pivot))) {
        return ERR_NOSPACE;
    }
    pack_append(w.scratch, STORE_LIST, &e);
    size_t len = coll_write_new(&w).len;
    pack_append(w.scratch, STORE_LIST, &own_pivot);
    size_t whole = buf_len(w.scratch);
    buf_truncate(w.scratch, COLL_PREFIX + len);
    bool is_tree;
    enum err err = coll_write_form(&w, 0, len, 1, &is_tree);
    if (is_tree) {
        err = put_at(&w, rank, false);
    } else if (err == ERR_OK) {
        struct coll_view v = coll_view_of(w.item);
        const char *at = pack_seek(STORE_LIST, v.packed, v.head.count, rank);
        err = coll_write_splice(&w, (size_t)(at - v.packed.ptr), 0, 0, 1);
    }
    if (err == ERR_OK) {
        buf_commit(w.scratch, whole - COLL_PREFIX - len);
        log_insert(&w, after);
    }
    return err;
}

/* --- removing ----------------------------------------------------------------------------------- */

static void cut_elements(struct coll_write *w, uint64_t rank, uint64_t count)
{
    if (coll_is_tree(w->item)) {
        if (count == coll_count(w->item) && w->kind != STORE_STREAM) {
            coll_write_drop(w);
        } else {
            coll_tree_cut(w, rank, count);
        }
        return;
    }
    struct coll_view v = coll_view_of(w->item);
    const char *from = pack_seek(w->kind, v.packed, v.head.count, rank);
    const char *to = pack_seek(w->kind, v.packed, v.head.count, rank + count);
    coll_write_cut(w, (size_t)(from - v.packed.ptr), (size_t)(to - from), (uint32_t)count);
}

uint64_t coll_remove_equal(struct store_hold *h, int64_t count, struct slice value)
{
    if (store_peek(h, NULL) == NULL) {
        return 0;
    }
    struct coll_write w;
    coll_write_begin(h, STORE_LIST, NULL, &w);
    bool backward = count < 0;
    uint64_t most = count == 0 ? UINT64_MAX : backward ? -(uint64_t)count : (uint64_t)count;
    uint64_t gone = 0;
    uint64_t rank = backward ? coll_count(w.item) - 1 : 0;
    while (gone < most && w.item != NULL) {
        rank = find_equal(&w, rank, backward, value);
        if (rank == coll_count(w.item)) {
            break;
        }
        cut_elements(&w, rank, 1);
        gone++;
        if (backward && rank-- == 0) {
            break;
        }
    }
    if (gone > 0 && effect_wanted(h)) {
        effect_command(h, "LREM", 3);
        effect_arg(h, h->key);
        effect_arg_integer(h, count);
        effect_arg(h, value);
    }
    return gone;
}

void coll_cut(struct store_hold *h, uint64_t rank, uint64_t count)
{
    const struct store_item *it = store_peek(h, NULL);
    if (it == NULL || rank >= coll_count(it) || count == 0) {
        return;
    }
    struct coll_write w;
    coll_write_begin(h, (enum store_kind)it->kind, NULL, &w);
    uint64_t total = coll_count(w.item);
    uint64_t gone = count < total - rank ? count : total - rank;
    check(w.kind != STORE_LIST || rank == 0 || rank + gone == total);
    coll_log_cut(h, w.item, rank, gone);
    cut_elements(&w, rank, gone);
}
