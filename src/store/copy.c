/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole values to another key: COPY, RENAME, MOVE; and drafts, which are values that move once.
 *
 * What is packed, and strings, are copied with their item. A tree's nodes are copied one by one
 * (tree_clone.c), or, moving within a pool, they stay and get another item above them.
 *
 * Threads: inside an ownership, so both shards are this thread's.
 */
#include "store/tree.h"

#include "base/check.h"
#include "base/hash.h"
#include "store/effect.h"

#include <stdio.h>

/* The new item with the source's value, without nodes. */
static enum err put_value(struct store_hold *from, struct store_hold *to,
                          const struct store_write *meta, struct store_item **ret_source,
                          struct store_item **ret_item)
{
    struct store_item *source = store_inspect(from);
    struct slice value = item_value(source);
    char bare[sizeof(struct coll_root) + sizeof(struct coll_stream)];
    if (coll_is_tree(source)) {
        check(value.len <= sizeof(bare));
        struct coll_root *root = (struct coll_root *)bare;
        memcpy(bare, value.ptr, value.len);
        root->root = root->names = 0;
        root->bytes = 0;
        value.ptr = bare;
    }
    enum err e = entry_put(to, meta, (enum store_kind)source->kind, value, source, ret_item);
    if (e == ERR_OK) {
        *ret_source = store_inspect(from);
        check(*ret_source != NULL);
    }
    return e;
}

/* --- trees -------------------------------------------------------------------------------------- */

/* Gathers copies of all nodes in the list of the new item's pool: those of the first tree come last, so
 * that they lie on top. */
static bool clone_all(struct slab *s, struct store_item *source, struct store_hold *to)
{
    struct tree order = tree_of(s, source);
    if (source->kind == STORE_ZSET) {
        struct tree names = tree_names_of(s, source);
        if (!tree_clone_nodes(to, &names)) {
            return false;
        }
    }
    return tree_clone_nodes(to, &order);
}

static enum err copy_tree(struct store_hold *from, struct store_hold *to,
                          const struct store_write *meta, struct store_item **ret_item)
{
    struct slab *theirs = &hold_pool(from)->slab;
    struct slab *s = &hold_pool(to)->slab;
    struct store_item *source = store_inspect(from);
    enum err e = clone_all(theirs, source, to) ? ERR_OK : ERR_NOSPACE;
    if (e == ERR_OK) {
        e = put_value(from, to, meta, &source, ret_item);
    }
    if (e != ERR_OK) {
        tree_clone_undo(s);
        return e;
    }
    struct tree order = tree_of(s, *ret_item);
    struct tree source_order = tree_of(theirs, source);
    if (order.root->count > 0) {
        tree_clone_finish(&order, tree_leaves(&source_order));
    }
    if (source->kind == STORE_ZSET) {
        struct tree names = tree_names_of(s, *ret_item);
        struct tree source_names = tree_names_of(theirs, source);
        tree_clone_finish(&names, tree_leaves(&source_names));
    }
    evict_resized(hold_pool(to), *ret_item, (int64_t)coll_node_bytes(*ret_item));
    return ERR_OK;
}

/* The new item takes the nodes from the old one. */
static enum err take_tree(struct store_hold *from, struct store_hold *to,
                          const struct store_write *meta, struct store_item **ret_item)
{
    struct pool *p = hold_pool(to);
    struct store_item *source;
    enum err e = put_value(from, to, meta, &source, ret_item);
    if (e == ERR_OK) {
        struct coll_root *root = coll_root_of(source);
        *coll_root_of(*ret_item) = *root;
        coll_moved(&p->slab, *ret_item);
        evict_resized(p, *ret_item, (int64_t)root->bytes);
        evict_resized(p, source, -(int64_t)root->bytes);
        root->root = root->names = 0;
        root->bytes = 0;
    }
    return e;
}

/* --- the whole ---------------------------------------------------------------------------------- */

static enum err copy_value(struct store_hold *from, struct store_hold *to,
                           const struct store_write *meta, struct store_item **ret_item)
{
    /* Not judged again: a mark may have risen since the caller looked. Then the copy is as outdated. */
    struct store_item *source = store_inspect(from);
    check(source != NULL);
    unsigned is_edited = source->is_edited;
    enum err e = coll_is_tree(source) ? copy_tree(from, to, meta, ret_item)
                                      : put_value(from, to, meta, &source, ret_item);
    if (e == ERR_OK) {
        (*ret_item)->is_edited = is_edited & 1;
    }
    return e;
}

enum err store_copy(struct store_hold *from, struct store_hold *to, const struct store_write *meta)
{
    check(from->owned && to->owned);
    struct store_item *it = NULL;
    enum err e = copy_value(from, to, meta, &it);
    if (e == ERR_OK) {
        effect_item(to, it);
    }
    return e;
}

void store_dump(struct store_hold *h)
{
    const struct store_item *it = store_peek(h, NULL);
    if (it != NULL) {
        effect_item(h, it);
    }
}

/* The source stays, as an empty shell where its tree was taken. */
static enum err move_value(struct store_hold *from, struct store_hold *to,
                           const struct store_write *meta)
{
    check(from->owned && to->owned);
    const struct store_item *source = store_inspect(from);
    check(source != NULL);
    bool takes = coll_is_tree(source) && hold_pool(from) == hold_pool(to);
    struct store_item *it = NULL;
    enum err e = takes ? take_tree(from, to, meta, &it) : copy_value(from, to, meta, &it);
    if (e == ERR_OK) {
        effect_item(to, it); /* not RENAME: a log that is being rewritten may not have the source */
    }
    return e;
}

bool store_dump_part(struct store_hold *h, struct slice aside, uint64_t *rank, size_t max_bytes)
{
    const struct store_item *it = store_peek(h, NULL);
    check(it != NULL && it->kind != STORE_STRING);
    *rank = effect_part(h, it, aside, *rank, max_bytes);
    return *rank == coll_count(it);
}

void store_dump_void(struct store_hold *h, struct slice aside)
{
    effect_command(h, "DEL", 1);
    effect_arg(h, aside);
}

enum err store_move(struct store_hold *from, struct store_hold *to, const struct store_write *meta)
{
    enum err e = move_value(from, to, meta);
    if (e == ERR_OK) {
        (void)store_remove(from);
    }
    return e;
}

/* --- drafts ------------------------------------------------------------------------------------- */

/* A name that nobody has, in the target's table of the target's shard, so that publishing moves no nodes. */
void store_draft_begin(const struct store_hold *target, struct store_draft *ret_draft)
{
    check(target->owned);
    struct store_draft *d = ret_draft;
    d->hold = *target;
    d->hold.is_draft = true;
    for (uint32_t n = 0;; n++) {
        int len = snprintf(d->name, sizeof(d->name), "draft %u", n);
        d->hold.key = (struct slice){d->name, (size_t)len};
        d->hold.hash = hash_slice(d->hold.key);
        if (store_shard_of(target->store, d->hold.hash) == target->shard &&
            table_find(target->table, d->hold.hash, d->hold.key).bucket == NULL) {
            return;
        }
    }
}

void store_draft_discard(struct store_draft *d)
{
    struct store_hold *h = &d->hold;
    struct table_at at = table_find(h->table, h->hash, h->key);
    if (at.bucket != NULL) {
        entry_free_at(h->table, h->hash, at);
    }
}

enum err store_draft_publish(struct store_draft *d, struct store_hold *target,
                             const struct store_write *meta)
{
    enum err e = move_value(&d->hold, target, meta);
    store_draft_discard(d);
    return e;
}
