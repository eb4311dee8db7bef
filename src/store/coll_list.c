/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists, written; and the cut by rank, which every kind has.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/coll_priv.h"

#include "base/check.h"
#include "store/effect.h"

static void log_push(struct coll_write *w, enum coll_end end, uint32_t count)
{
    if (!effect_wanted(w->hold)) {
        return;
    }
    effect_command(w->hold, end == COLL_HEAD ? "LPUSH" : "RPUSH", count + 1);
    effect_arg(w->hold, w->hold->key);
    struct slice packed = coll_write_new(w);
    const char *at = end == COLL_HEAD ? packed.ptr + packed.len : packed.ptr;
    for (uint32_t i = 0; i < count; i++) {
        struct coll_element e;
        if (end == COLL_HEAD) {
            at = pack_back(at);
            (void)pack_read(STORE_LIST, at, &e);
        } else {
            at = pack_read(STORE_LIST, at, &e);
        }
        effect_arg(w->hold, e.name);
    }
}

enum err coll_push(struct store_hold *h, enum coll_end end, const struct slice *values,
                   uint32_t count, const struct store_write *meta)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        size += pack_size(STORE_LIST, &(struct coll_element){.name = values[i]});
    }
    if (size > ITEM_VALUE_MAX || count > COLL_COUNT_MAX) {
        return ERR_TOO_BIG;
    }
    struct coll_write w;
    coll_write_begin(h, STORE_LIST, meta, &w);
    for (uint32_t i = 0; i < count; i++) {
        struct coll_element e = {.name = values[end == COLL_HEAD ? count - 1 - i : i]};
        pack_append(w.scratch, STORE_LIST, &e);
    }
    size_t at = end == COLL_HEAD || w.item == NULL ? 0 : coll_view_of(w.item).packed.len;
    enum err e = coll_write_splice(&w, at, 0, 0, count);
    if (e == ERR_OK) {
        log_push(&w, end, count);
        coll_write_end(&w);
    }
    return e;
}

enum err coll_replace(struct store_hold *h, uint64_t rank, struct slice value)
{
    struct coll_element e = {.name = value};
    if (pack_size(STORE_LIST, &e) > ITEM_VALUE_MAX) {
        return ERR_TOO_BIG;
    }
    struct coll_write w;
    coll_write_begin(h, STORE_LIST, &(struct store_write){0}, &w);
    check(w.item != NULL);
    struct coll_view v = coll_view_of(w.item);
    check(rank < v.head.count);
    pack_append(w.scratch, STORE_LIST, &e);
    const char *at = pack_seek(STORE_LIST, v.packed, v.head.count, rank);
    enum err err = coll_write_splice(&w, (size_t)(at - v.packed.ptr),
                                     (size_t)(pack_skip(STORE_LIST, at) - at), 1, 1);
    if (err == ERR_OK && effect_wanted(h)) {
        (void)pack_read(STORE_LIST, coll_write_new(&w).ptr, &e);
        effect_command(h, "LSET", 3);
        effect_arg(h, h->key);
        effect_arg_unsigned(h, rank);
        effect_arg(h, e.name);
    }
    return err;
}

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

enum err coll_insert(struct store_hold *h, struct slice pivot, bool after, struct slice value,
                     bool *ret_found)
{
    struct coll_element e = {.name = value};
    if (pack_size(STORE_LIST, &e) > ITEM_VALUE_MAX) {
        return ERR_TOO_BIG;
    }
    struct coll_write w;
    coll_write_begin(h, STORE_LIST, &(struct store_write){0}, &w);
    check(w.item != NULL);
    struct coll_view v = coll_view_of(w.item);
    const char *at = pack_find(STORE_LIST, v.packed, pivot, NULL);
    *ret_found = at != NULL;
    if (at == NULL) {
        return ERR_OK;
    }
    pack_append(w.scratch, STORE_LIST, &e);
    size_t size = buf_len(w.scratch);
    struct coll_element kept = {.name = pivot};
    pack_append(w.scratch, STORE_LIST, &kept); /* for the effect: the pivot may move */
    size_t whole = buf_len(w.scratch);
    buf_truncate(w.scratch, size);
    const char *where = after ? pack_skip(STORE_LIST, at) : at;
    enum err err = coll_write_splice(&w, (size_t)(where - v.packed.ptr), 0, 0, 1);
    if (err == ERR_OK) {
        buf_commit(w.scratch, whole - size);
        log_insert(&w, after);
    }
    return err;
}

/* --- removing ----------------------------------------------------------------------------------- */

static uint64_t count_equal(const struct coll_view *v, struct slice value)
{
    const char *at = v->packed.ptr;
    uint64_t count = 0;
    for (uint32_t i = 0; i < v->head.count; i++) {
        struct coll_element e;
        at = pack_read(STORE_LIST, at, &e);
        count += slice_eq(e.name, value);
    }
    return count;
}

/* Closes up over the equal elements from number `skip` on, `most` of them; returns the bytes left. */
static size_t squeeze(struct store_item *it, struct slice value, uint64_t skip, uint64_t most)
{
    struct coll_view v = coll_view_of(it);
    char *base = coll_value(it) + v.at;
    char *to = base;
    const char *at = base;
    for (uint32_t i = 0; i < v.head.count; i++) {
        struct coll_element e;
        const char *next = pack_read(STORE_LIST, at, &e);
        bool is_equal = slice_eq(e.name, value);
        if (is_equal && skip == 0 && most > 0) {
            most--;
        } else {
            skip -= is_equal && skip > 0;
            memmove(to, at, (size_t)(next - at));
            to += next - at;
        }
        at = next;
    }
    return (size_t)(to - base);
}

uint64_t coll_remove_equal(struct store_hold *h, int64_t count, struct slice value)
{
    const struct store_item *it = store_peek(h, NULL);
    if (it == NULL) {
        return 0;
    }
    struct coll_write w;
    coll_write_begin(h, STORE_LIST, NULL, &w);
    struct coll_view v = coll_view_of(w.item);
    uint64_t equal = count_equal(&v, value);
    uint64_t most = count < 0 ? -(uint64_t)count : (uint64_t)count;
    uint64_t gone = most == 0 || most > equal ? equal : most;
    if (gone == 0) {
        return 0;
    }
    if (effect_wanted(h)) {
        effect_command(h, "LREM", 3);
        effect_arg(h, h->key);
        effect_arg_integer(h, count);
        effect_arg(h, value);
    }
    size_t left = 0;
    if (gone < v.head.count) {
        struct coll_element e = {.name = value};
        pack_append(w.scratch, STORE_LIST, &e); /* the value may lie in what is moved */
        (void)pack_read(STORE_LIST, coll_write_new(&w).ptr, &e);
        left = squeeze(w.item, e.name, count < 0 ? equal - gone : 0, gone);
        buf_truncate(w.scratch, COLL_PREFIX);
    }
    coll_write_cut(&w, left, v.packed.len - left, (uint32_t)gone);
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
    struct coll_view v = coll_view_of(w.item);
    uint64_t gone = count < v.head.count - rank ? count : v.head.count - rank;
    check(w.kind != STORE_LIST || rank == 0 || rank + gone == v.head.count);
    coll_log_cut(h, w.item, rank, gone);
    const char *from = pack_seek(w.kind, v.packed, v.head.count, rank);
    const char *to = pack_seek(w.kind, v.packed, v.head.count, rank + gone);
    coll_write_cut(&w, (size_t)(from - v.packed.ptr), (size_t)(to - from), (uint32_t)gone);
}
