/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One key, written: putting, editing, expiring, removing. All between store_hold() and
 * store_drop().
 *
 * Every write ends in entry_write(): in place when the new item takes the same slot class, else
 * into new memory; then the index is turned to it and the old memory freed. So a write that finds
 * no room has changed nothing. While room is made (room.c), the runs of the old item and of what is
 * being copied are pinned: a value may be a slice of a stored item (RENAME, COPY), which must
 * neither move nor leave under the copy.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/coll_priv.h"

#include "base/check.h"
#include "store/effect.h"

enum { ROOM_TO_GROW = 8, SPLICE_SMALL = 64 };

static bool resize_in_place(struct pool *p, struct store_item *it, size_t size)
{
    size_t have = slab_bytes(&p->slab, it);
    if (!slab_resize(&p->slab, it, size)) {
        return false;
    }
    evict_resized(p, it, (int64_t)slab_bytes(&p->slab, it) - (int64_t)have);
    return true;
}

/* Can `old` become an item of `size` bytes where it lies? */
static bool fits(struct pool *p, struct store_item *old, size_t size)
{
    struct slab *s = &p->slab;
    size_t old_size = item_size(old);
    if (slab_round(s, size) == slab_round(s, old_size)) {
        return true;
    }
    if (size <= SLAB_MAX || old_size <= SLAB_MAX) {
        return false;
    }
    size_t have = slab_bytes(s, old);
    return (size <= have && have - size <= size / ROOM_TO_GROW) || resize_in_place(p, old, size);
}

static bool lies_in(const struct store_item *it, const void *ptr)
{
    const char *at = ptr;
    return at >= (const char *)it && at < (const char *)it + item_size(it);
}

/* Expiry noted as well. */
void entry_written(struct store_hold *h, const struct store_item *it)
{
    struct pool *p = hold_pool(h);
    struct shard *sh = h->shard;
    if ((it->place & ITEM_EXPIRES) != 0) {
        slab_note_expiry(&p->slab, it, item_expiry(it));
    }
    if (!h->is_draft) {
        if (sh->watches != NULL) {
            watch_touch(sh, it->place & ITEM_TABLE, h->hash, h->key);
        }
        touch_note(sh, STORE_TOUCH_WRITTEN, it->place & ITEM_TABLE, h->key);
    }
    pool_note_bytes(p);
    space_note_room(p->slab.pages.space);
}

static enum err insert_new(struct store_hold *h, struct store_item *it, struct need *n)
{
    struct table *t = h->table;
    struct pool *p = hold_pool(h);
    n->pins[3] = it; /* it is not in the index yet */
    struct table_at at = room_for_place(h, n);
    if (at.bucket == NULL) {
        slab_free(&p->slab, it);
        return ERR_NOSPACE;
    }
    table_insert(t, at, h->hash, it);
    table_count_expiring(t, item_expires(it));
    figure_add(&p->figures.keys, 1);
    evict_inserted(h->shard, p, it, h->hash);
    table_tune(t);
    if (table_is_crowded(t) && evict_step(h->shard, p, n)) {
        table_tune(t);
    }
    return ERR_OK;
}

/* Turns the index from an item to what was made of it elsewhere. Its place in eviction stays. */
static void replace(struct store_hold *h, struct store_item *old, struct store_item *it)
{
    struct pool *p = hold_pool(h);
    table_count_expiring(h->table, (int)item_expires(it) - (int)item_expires(old));
    it->worth = (uint8_t)((it->worth & ~ITEM_IN_WINDOW) | (old->worth & ITEM_IN_WINDOW));
    evict_resized(p, it, (int64_t)slab_bytes(&p->slab, it) - (int64_t)slab_bytes(&p->slab, old));
    table_replace(h->table, table_find_item(h->table, h->hash, old), it);
    slab_free(&p->slab, old);
}

/* Its value will be overwritten or freed. */
static void release_value(struct store_hold *h, struct store_item *old)
{
    struct pool *p = hold_pool(h);
    evict_resized(p, old, -(int64_t)coll_node_bytes(old));
    coll_release(&p->slab, old);
}

/* Makes the item at `at` (nowhere: a new one) consist of `parts`. */
static enum err entry_write(struct store_hold *h, struct table_at at, struct item_parts *parts,
                            struct store_item **ret_item)
{
    struct table *t = h->table;
    struct slab *s = t->slab;
    struct store_item *old = at.bucket == NULL ? NULL : table_item(t, at);
    size_t size = item_parts_size(parts);
    parts->worth &= (uint8_t)~ITEM_IN_WINDOW;
    parts->worth |= old != NULL ? old->worth & ITEM_IN_WINDOW : 0;
    bool keeps_value = old != NULL && lies_in(old, parts->value.ptr);
    bool is_shared = keeps_value || (old != NULL && lies_in(old, parts->deps));
    if (old != NULL && !is_shared && fits(hold_pool(h), old, size)) {
        release_value(h, old);
        table_count_expiring(t, (int)(parts->expiry_ms != 0) - (int)item_expires(old));
        item_write(old, parts);
        entry_written(h, old);
        *ret_item = old;
        return ERR_OK;
    }
    struct need n = {.now_ms = h->now_ms, .pins = {old, parts->pin, parts->deps}};
    struct store_item *it = NULL;
    if (is_shared && size > SLAB_MAX) {
        it = slab_alloc(s, size + size / ROOM_TO_GROW); /* what grows once grows again */
    }
    if (it == NULL && (it = room_for_item(h, size, &n)) == NULL) {
        return ERR_NOSPACE;
    }
    item_write(it, parts);
    if (old != NULL) {
        if (keeps_value) {
            coll_moved(s, it);
        } else {
            release_value(h, old);
        }
        replace(h, old, it);
    } else if (insert_new(h, it, &n) != ERR_OK) {
        return ERR_NOSPACE;
    }
    entry_written(h, it);
    *ret_item = it;
    return ERR_OK;
}

static struct item_parts parts_of_write(const struct store_hold *h, const struct store_write *w)
{
    const struct table *t = h->table;
    const struct shard *sh = h->shard;
    check(w->dep_count <= FRESH_DEPS_MAX);
    return (struct item_parts){
        .key = h->key,
        .value = w->value,
        .value_len = w->value.len,
        .expiry_ms = w->expiry_ms,
        .stamp = w->dep_count != 0 ? w->stamp : 0,
        .deps = w->deps,
        .dep_count = w->dep_count,
        .worth = item_worth_of_cost(w->cost_us),
        .table = (uint8_t)(t - sh->tables),
    };
}

enum err entry_put(struct store_hold *h, const struct store_write *w, enum store_kind kind,
                   struct slice value, const void *pin, struct store_item **ret_item)
{
    if (value.len > ITEM_VALUE_MAX || h->key.len > STORE_KEY_MAX) {
        return ERR_TOO_BIG;
    }
    struct item_parts parts = parts_of_write(h, w);
    parts.kind = (uint8_t)kind;
    parts.value = value;
    parts.value_len = value.len;
    parts.pin = pin;
    struct table_at at = table_find(h->table, h->hash, h->key);
    if (at.bucket != NULL) {
        parts.worth |= table_item(h->table, at)->worth & ITEM_HITS;
    }
    return entry_write(h, at, &parts, ret_item);
}

/* Bytes that follow the cut move to where they belong. */
static void splice_in_place(struct store_item *it, size_t at, size_t cut, size_t add)
{
    size_t len = it->value_len;
    char *value = (char *)it + (item_size(it) - len);
    if (cut != add) {
        memmove(value + at + add, value + at + cut, len - at - cut);
    }
    it->value_len = (len - cut + add) & ITEM_VALUE_MAX;
}

/* A copy of the item, with bytes left out and room made. */
static void splice_copy(struct store_item *to, const struct store_item *from, size_t at, size_t cut,
                        size_t add)
{
    size_t head = item_size(from) - from->value_len;
    struct slice tail = slice_from(item_value(from), at + cut);
    memcpy(to, from, head + at);
    memcpy((char *)to + head + at + add, tail.ptr, tail.len);
    to->value_len = (from->value_len - cut + add) & ITEM_VALUE_MAX;
}

/* May an item stay where it is after its size has changed? Not in a piece that is far too large. */
static bool stays(struct pool *p, struct store_item *it, size_t size, bool grows)
{
    size_t have = slab_bytes(&p->slab, it);
    if (size <= have) {
        return grows || size >= have / 2 || have <= SPLICE_SMALL;
    }
    return resize_in_place(p, it, size);
}

enum err entry_splice(struct store_hold *h, struct store_item *it, size_t at, size_t cut,
                      size_t add, struct store_item **ret_item)
{
    struct slab *s = &hold_pool(h)->slab;
    size_t len = it->value_len - cut + add;
    if (len > ITEM_VALUE_MAX) {
        return ERR_TOO_BIG;
    }
    size_t size = item_size(it) - it->value_len + len;
    bool grows = add > cut;
    if (!stays(hold_pool(h), it, size, grows)) {
        struct need n = {.now_ms = h->now_ms, .pins = {it}};
        struct store_item *copy = slab_alloc(s, grows ? size + size / ROOM_TO_GROW : size);
        if (copy == NULL && grows && (copy = room_for_item(h, size, &n)) == NULL) {
            return ERR_NOSPACE;
        }
        if (copy != NULL) {
            splice_copy(copy, it, at, cut, add);
            replace(h, it, copy);
            entry_written(h, copy);
            *ret_item = copy;
            return ERR_OK;
        }
    }
    splice_in_place(it, at, cut, add);
    entry_written(h, it);
    *ret_item = it;
    return ERR_OK;
}

enum err store_put(struct store_hold *h, const struct store_write *w)
{
    struct store_item *it;
    enum err e = entry_put(h, w, STORE_STRING, w->value, w->value.ptr, &it);
    if (e == ERR_OK) {
        effect_string(h, it);
    }
    return e;
}

enum err store_edit(struct store_hold *h, size_t len, const struct store_write *meta,
                    char **ret_value)
{
    if (len > ITEM_VALUE_MAX || h->key.len > STORE_KEY_MAX) {
        return ERR_TOO_BIG;
    }
    enum store_absence why;
    struct table_at at = entry_find_live(h, &why);
    struct item_parts parts;
    if (at.bucket != NULL) {
        struct store_item *old = table_item(h->table, at);
        size_t old_len = old->value_len;
        char *value = (char *)old + (item_size(old) - old_len);
        if (fits(hold_pool(h), old, item_size(old) - old_len + len)) {
            old->value_len = len & ITEM_VALUE_MAX;
            if (len > old_len) {
                memset(value + old_len, 0, len - old_len);
            }
            old->is_edited = true;
            entry_written(h, old);
            *ret_value = value;
            return ERR_OK;
        }
        item_read(old, &parts);
        parts.key = h->key;
        parts.is_edited = true;
        parts.value.len = old_len < len ? old_len : len;
    } else {
        at = table_find(h->table, h->hash, h->key); /* unproven: replaced */
        parts = parts_of_write(h, meta);
        parts.value = (struct slice){NULL, 0};
    }
    parts.value_len = len;
    struct store_item *it;
    enum err e = entry_write(h, at, &parts, &it);
    if (e == ERR_OK) {
        *ret_value = (char *)it + (item_size(it) - len);
    }
    return e;
}

void store_edited(struct store_hold *h, size_t offset, size_t len)
{
    if (!effect_wanted(h)) {
        return;
    }
    const struct store_item *it = store_inspect(h);
    check(it != NULL && offset + len <= it->value_len);
    struct slice value = item_value(it);
    if (offset == 0 && len == value.len) {
        effect_string(h, it);
        return;
    }
    effect_command(h, "SETRANGE", 3);
    effect_arg(h, h->key);
    effect_arg_unsigned(h, offset);
    effect_arg(h, (struct slice){value.ptr + offset, len});
    if (item_expiry(it) != 0) { /* it may be new */
        effect_expiry(h, item_expiry(it));
    }
}

bool store_remove(struct store_hold *h)
{
    enum store_absence why;
    struct table_at at = entry_find_live(h, &why);
    bool was_live = at.bucket != NULL;
    if (why == STORE_UNPROVEN) {
        at = table_find(h->table, h->hash,
                        h->key); /* absent to readers, but it must not come back */
    }
    if (at.bucket != NULL) {
        entry_drop_at(h->shard, h->table, h->hash, at, STORE_TOUCH_REMOVED);
        effect_removed(h);
    }
    return was_live;
}

enum err store_expire(struct store_hold *h, uint64_t expiry_ms, bool *ret_found)
{
    enum store_absence why;
    struct table_at at = entry_find_live(h, &why);
    if (at.bucket == NULL) {
        *ret_found = false;
        return ERR_OK;
    }
    const struct slab *s = &hold_pool(h)->slab;
    struct store_item *it = table_item(h->table, at);
    bool has = (it->place & ITEM_EXPIRES) != 0;
    size_t size = item_size(it);
    struct item_parts parts;
    if (expiry_ms != 0 && has) {
        memcpy(it->fields, &expiry_ms, sizeof(expiry_ms));
    } else if (expiry_ms == 0 && has) {
        it->place &= (uint8_t)~ITEM_EXPIRES; /* a slot that is too large for it will do */
        table_count_expiring(h->table, -1);
        memmove(it->fields, it->fields + sizeof(expiry_ms), size - sizeof(*it) - sizeof(expiry_ms));
    } else if (expiry_ms != 0 && slab_round(s, size + sizeof(expiry_ms)) == slab_round(s, size)) {
        memmove(it->fields + sizeof(expiry_ms), it->fields, size - sizeof(*it));
        memcpy(it->fields, &expiry_ms, sizeof(expiry_ms));
        it->place |= ITEM_EXPIRES;
        table_count_expiring(h->table, 1);
    } else if (expiry_ms != 0) {
        item_read(it, &parts);
        parts.key = h->key;
        parts.expiry_ms = expiry_ms;
        enum err e = entry_write(h, at, &parts, &it);
        if (e != ERR_OK) {
            return e;
        }
    }
    entry_written(h, it);
    effect_expiry(h, expiry_ms);
    *ret_found = true;
    return ERR_OK;
}

enum err store_depend(struct store_hold *h, fresh_pos stamp, const fresh_dep *deps, uint32_t count)
{
    enum store_absence why;
    struct table_at at = entry_find_live(h, &why);
    check(at.bucket != NULL && count > 0 && count <= FRESH_DEPS_MAX);
    struct store_item *it = table_item(h->table, at);
    struct item_parts parts;
    item_read(it, &parts);
    check(parts.dep_count == 0 || stamp <= parts.stamp); /* S4 */
    parts.key = h->key;
    parts.stamp = stamp;
    parts.deps = deps;
    parts.dep_count = count;
    return entry_write(h, at, &parts, &it);
}

void store_lower_stamp(struct store_hold *h, fresh_pos stamp)
{
    struct store_item *it = store_inspect(h);
    if (it != NULL && it->dep_count > 0 && store_item_stamp(it) > stamp) {
        item_set_stamp(it, stamp);
    }
}
