/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steps that every write of a collection is made of: finding the item, splicing elements, letting the
 * key go with its last element; and what OBJECT ENCODING would say, kept as Redis keeps it.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/coll_priv.h"

#include "base/check.h"
#include "base/number.h"
#include "store/effect.h"

#include <stdatomic.h>

enum { SCRATCH_KEPT = 64 * 1024, FEW_ELEMENTS = 32 };

/* --- shape -------------------------------------------------------------------------------------- */

static const struct coll_limits presets = {.list_size = -2,
                                           .hash_entries = 512,
                                           .hash_value = 64,
                                           .integers = 512,
                                           .set_entries = 128,
                                           .set_value = 64,
                                           .zset_entries = 128,
                                           .zset_value = 64};

void store_use_coll_limits(struct store *s, const struct coll_limits *limits)
{
    s->coll_limits = limits;
}

static const struct coll_limits *limits_of(const struct store_hold *h)
{
    const struct coll_limits *l = h->store->coll_limits;
    return l != NULL ? l : &presets;
}

static uint64_t limit(const _Atomic uint64_t *l)
{
    return atomic_load_explicit(l, memory_order_relaxed);
}

static bool is_compact(const struct coll_limits *l, enum store_kind kind, uint64_t count,
                       const struct coll_element *e)
{
    switch (kind) {
    case STORE_HASH:
        return count <= limit(&l->hash_entries) && e->name.len <= limit(&l->hash_value) &&
               e->value.len <= limit(&l->hash_value);
    case STORE_SET:
        return count <= limit(&l->set_entries) && e->name.len <= limit(&l->set_value);
    case STORE_ZSET:
        return count <= limit(&l->zset_entries) && e->name.len <= limit(&l->zset_value);
    case STORE_STRING:
    case STORE_LIST:
    case STORE_STREAM:
        break;
    }
    unreachable();
}

static enum coll_shape shape_with(const struct coll_limits *l, enum store_kind kind,
                                  enum coll_shape shape, uint64_t count,
                                  const struct coll_element *e)
{
    int64_t integer;
    if (shape == COLL_INTEGERS && count <= limit(&l->integers) &&
        number_parse_i64(e->name, &integer)) {
        return COLL_INTEGERS;
    }
    return is_compact(l, kind, count, e) ? COLL_COMPACT : COLL_LARGE;
}

/* After the new elements have come to a collection that then has `count`. */
static enum coll_shape shape_after(const struct store_hold *h, enum store_kind kind,
                                   enum coll_shape shape, uint64_t count, struct slice packed)
{
    const char *at = packed.ptr;
    const char *end = at + packed.len;
    while (at < end && shape != COLL_LARGE) {
        struct coll_element e;
        at = pack_read(kind, at, &e);
        shape = shape_with(limits_of(h), kind, shape, count, &e);
    }
    return shape;
}

/* The limit of compact lists in bytes; false: it is one of elements. */
static bool list_limit(const struct store_hold *h, uint64_t *ret_most)
{
    int64_t size = atomic_load_explicit(&limits_of(h)->list_size, memory_order_relaxed);
    int64_t power = size < -5 ? 5 : -size;
    uint64_t elements = size > 0 ? (uint64_t)size : 1; /* 0 is taken for 1 */
    *ret_most = size >= 0 ? elements : (uint64_t)2048 << power;
    return size < 0;
}

/* A list that has shrunk to half the limit is compact again. */
static enum coll_shape list_shape(const struct store_hold *h, enum coll_shape shape, uint64_t count,
                                  size_t bytes)
{
    uint64_t most;
    uint64_t have = list_limit(h, &most) ? bytes : count;
    if (have > most) {
        return COLL_LARGE;
    }
    return have <= most / 2 ? COLL_COMPACT : shape;
}

/* --- a write ------------------------------------------------------------------------------------ */

void coll_write_begin(struct store_hold *h, enum store_kind kind, const struct store_write *meta,
                      struct coll_write *ret_write)
{
    /* Who has no `meta` found the key live a moment ago. It is not judged again, since a mark may have risen
     * meanwhile: what is changed then is as outdated afterwards. */
    enum store_absence why;
    struct table_at at =
        meta != NULL ? entry_find_live(h, &why) : table_find(h->table, h->hash, h->key);
    struct store_item *it = at.bucket == NULL ? NULL : table_item(h->table, at);
    check(it != NULL ? it->kind == kind : meta != NULL);
    struct buf *scratch = &h->gate->scratch;
    buf_clear(scratch);
    buf_shrink(scratch, SCRATCH_KEPT);
    (void)buf_reserve(scratch, COLL_PREFIX);
    buf_commit(scratch, COLL_PREFIX);
    *ret_write =
        (struct coll_write){.hold = h, .item = it, .meta = meta, .kind = kind, .scratch = scratch};
    ret_write->node_bytes = it != NULL ? coll_node_bytes(it) : 0;
}

bool coll_write_reserve(struct coll_write *w, size_t bytes)
{
    return buf_try_reserve(w->scratch, bytes) != NULL;
}

struct slice coll_write_new(const struct coll_write *w)
{
    return slice_from(buf_readable(w->scratch), COLL_PREFIX);
}

/* The key's first elements: the scratch has room for the head before them. */
enum err coll_write_create(struct coll_write *w, struct slice packed, uint32_t added)
{
    enum coll_shape shape = w->kind == STORE_SET ? COLL_INTEGERS : COLL_COMPACT;
    if (w->kind == STORE_LIST) {
        shape = list_shape(w->hold, shape, added, packed.len);
    } else if (w->kind != STORE_STREAM) {
        shape = shape_after(w->hold, w->kind, shape, added, packed);
    }
    struct coll_head head = {.count = added & COLL_COUNT_MAX, .shape = (uint32_t)shape & 3};
    size_t prefix = coll_head_bytes(w->kind);
    char *begin = w->scratch->mem + w->scratch->start + COLL_PREFIX - prefix;
    check(packed.ptr == begin + prefix);
    w->is_new = true;
    memset(begin, 0, prefix);
    memcpy(begin, &head, sizeof(head));
    return entry_put(w->hold, w->meta, w->kind, (struct slice){begin, prefix + packed.len}, NULL,
                     &w->item);
}

static bool is_small(enum store_kind kind, uint64_t count, size_t bytes)
{
    bool is_named = kind != STORE_LIST && kind != STORE_STREAM;
    uint32_t most = is_named ? COLL_PACKED_NAMES : COLL_PACKED_ELEMENTS;
    return count <= 1 || (bytes <= COLL_PACKED_BYTES && count <= most);
}

bool coll_write_is_small(const struct coll_write *w, size_t cut, size_t add, uint32_t added)
{
    if (w->item == NULL) {
        return is_small(w->kind, added, add);
    }
    struct coll_view v = coll_view_of(w->item);
    return v.head.tree == 0 && is_small(w->kind, v.head.count + added, v.packed.len - cut + add);
}

enum err coll_write_form(struct coll_write *w, size_t cut, size_t add, uint32_t added,
                         bool *ret_tree)
{
    *ret_tree = false;
    if (coll_write_is_small(w, cut, add, added)) {
        return ERR_OK;
    }
    enum err e = coll_is_tree(w->item) ? ERR_OK : coll_tree_make(w);
    *ret_tree = e == ERR_OK;
    return e;
}

enum err coll_write_splice(struct coll_write *w, size_t at, size_t cut, uint32_t gone,
                           uint32_t added)
{
    if (w->item == NULL) {
        return coll_write_create(w, coll_write_new(w), added);
    }
    struct slice packed = coll_write_new(w);
    struct coll_view v = coll_view_of(w->item);
    uint32_t count = v.head.count - gone + added;
    enum err e = entry_splice(w->hold, w->item, v.at + at, cut, packed.len, &w->item);
    if (e != ERR_OK) {
        return e;
    }
    char *value = coll_value(w->item);
    if (packed.len > 0) {
        memcpy(value + v.at + at, packed.ptr, packed.len);
    }
    enum coll_shape shape = (enum coll_shape)v.head.shape;
    if (w->kind == STORE_LIST) {
        shape = list_shape(w->hold, shape, count, v.packed.len - cut + packed.len);
    } else if (w->kind != STORE_STREAM) {
        shape = shape_after(w->hold, w->kind, shape, count, packed);
    }
    v.head.count = count & COLL_COUNT_MAX;
    v.head.shape = (uint32_t)shape & 3;
    memcpy(value, &v.head, sizeof(v.head));
    return ERR_OK;
}

void coll_write_cut(struct coll_write *w, size_t at, size_t cut, uint32_t gone)
{
    if (w->kind != STORE_STREAM && coll_view_of(w->item).head.count == gone) {
        coll_write_drop(w);
        return;
    }
    check(buf_len(w->scratch) == COLL_PREFIX);
    check(coll_write_splice(w, at, cut, gone, 0) == ERR_OK);
}

void coll_write_drop(struct coll_write *w)
{
    struct store_hold *h = w->hold;
    struct table_at where = table_find_item(h->table, h->hash, w->item);
    entry_drop_at(h->shard, h->table, h->hash, where, STORE_TOUCH_REMOVED);
    w->item = NULL;
}

/* --- trees -------------------------------------------------------------------------------------- */

struct attempt {
    coll_attempt_fn *fn;
    struct coll_write *write;
    void *arg;
};

static bool attempt(void *arg)
{
    const struct attempt *a = arg;
    bool done = a->fn(a->write, a->arg);
    coll_write_weigh(a->write); /* an attempt that failed may have left a tree in other pieces */
    return done;
}

enum err coll_write_try(struct coll_write *w, coll_attempt_fn *fn, void *arg)
{
    struct attempt a = {.fn = fn, .write = w, .arg = arg};
    if (attempt(&a)) {
        return ERR_OK;
    }
    struct need n = {.now_ms = w->hold->now_ms, .pins = {w->item}};
    bool done = room_make(w->hold, &n, buf_len(w->scratch), attempt, &a);
    pool_note_bytes(hold_pool(w->hold));
    return done ? ERR_OK : ERR_NOSPACE;
}

void coll_write_weigh(struct coll_write *w)
{
    uint64_t now = coll_node_bytes(w->item);
    if (now != w->node_bytes) {
        evict_resized(hold_pool(w->hold), w->item, (int64_t)(now - w->node_bytes));
        w->node_bytes = now;
    }
}

/* A list's. Its leaves are asked only where the bytes of its nodes, which may be half empty, do not say enough, or
 * where there are few. */
static enum coll_shape tree_list_shape(const struct coll_write *w, const struct coll_root *root)
{
    enum coll_shape shape = (enum coll_shape)root->head.shape;
    uint64_t most;
    if (!list_limit(w->hold, &most)) {
        return list_shape(w->hold, shape, root->count, 0);
    }
    bool is_wide = root->count > FEW_ELEMENTS && root->bytes > 2 * most;
    bool stays = shape == COLL_LARGE ? is_wide : root->bytes <= most;
    return stays ? shape : list_shape(w->hold, shape, root->count, coll_tree_list_bytes(w));
}

void coll_write_done(struct coll_write *w, struct slice packed)
{
    coll_write_weigh(w);
    struct coll_root *root = coll_root_of(w->item);
    enum coll_shape shape = (enum coll_shape)root->head.shape;
    if (w->kind == STORE_LIST) {
        shape = tree_list_shape(w, root);
    } else if (w->kind != STORE_STREAM) {
        shape = shape_after(w->hold, w->kind, shape, root->count, packed);
    }
    root->head.shape = (uint32_t)shape & 3;
    entry_written(w->hold, w->item);
}

void coll_write_end(struct coll_write *w)
{
    if (w->is_new && item_expiry(w->item) != 0) {
        effect_expiry(w->hold, item_expiry(w->item));
    }
}
