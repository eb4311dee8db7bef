/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the rest of the store owes to collections: letting their nodes go, telling them when their item has
 * moved, checking them.
 *
 * Threads: the shard's lock.
 */
#include "store/tree.h"

#include "base/check.h"

void coll_release(struct slab *s, struct store_item *it)
{
    if (!coll_is_tree(it)) {
        return;
    }
    struct pool *p = container_of(s, struct pool, slab);
    const struct coll_root *root = coll_root_of(it);
    if (root->root != 0) {
        node_list_add(s, &p->limbo, node_at(s, root->root));
    }
    if (root->names != 0) {
        node_list_add(s, &p->limbo, node_at(s, root->names));
    }
}

void coll_moved(struct slab *s, struct store_item *it)
{
    if (!coll_is_tree(it)) {
        return;
    }
    const struct coll_root *root = coll_root_of(it);
    if (root->root != 0) {
        node_at(s, root->root)->parent = slab_ref(s, it);
    }
    if (root->names != 0) {
        node_at(s, root->names)->parent = slab_ref(s, it);
    }
}

uint64_t coll_node_bytes(const struct store_item *it)
{
    return coll_is_tree(it) ? ((const struct coll_root *)item_value(it).ptr)->bytes : 0;
}

/* Of a set or a hash the word behind the key is a name. Of a zset too, unless there is one more: then that one,
 * and the first is its score. */
void coll_warm(struct slab *s, struct store_item *it, const struct slice *words)
{
    enum { LINE = 64, WARM_LINES = 2 };
    if (!coll_is_tree(it)) {
        size_t size = item_size(it);
        for (size_t at = (size_t)WARM_LINES * LINE; at < size && at < NODE_MAX; at += LINE) {
            __builtin_prefetch((const char *)it + at);
        }
    } else if (it->kind == STORE_SET || it->kind == STORE_HASH || it->kind == STORE_ZSET) {
        struct tree t = tree_by_name(s, it);
        tree_warm(&t, words[it->kind == STORE_ZSET && words[1].ptr != NULL ? 1 : 0]);
    }
}

/* --- checking ----------------------------------------------------------------------------------- */

static void validate_packed(const struct store_item *it)
{
    struct coll_view v = coll_view_of(it);
    const char *at = v.packed.ptr;
    const char *end = at + v.packed.len;
    uint32_t count = 0;
    struct coll_element before = {.score = 0};
    while (at < end) {
        struct coll_element e;
        const char *next = pack_read(v.kind, at, &e);
        check(!pack_has_back(v.kind) || pack_back(next) == at);
        check(v.kind != STORE_ZSET || count == 0 || pack_compare(&before, &e) < 0);
        check(v.kind != STORE_STREAM || count == 0 || pack_id_below(before.id, e.id));
        before = e;
        at = next;
        count++;
    }
    check(at == end && count == v.head.count);
    check(count > 0 || v.kind == STORE_STREAM);
}

uint64_t coll_validate(struct slab *s, struct store_item *it)
{
    if (it->kind == STORE_STRING) {
        return 0;
    }
    if (!coll_is_tree(it)) {
        validate_packed(it);
        return 0;
    }
    const struct coll_root *root = coll_root_of(it);
    check(it->value_len == coll_root_bytes((enum store_kind)it->kind));
    check(root->count > 0 || it->kind == STORE_STREAM);
    struct tree t = tree_of(s, it);
    uint64_t nodes = tree_validate(&t);
    uint64_t bytes = tree_top(&t) != 0 ? node_bytes(s, node_at(s, tree_top(&t))) : 0;
    if (it->kind == STORE_ZSET) {
        struct tree names = tree_names_of(s, it);
        nodes += tree_validate(&names);
        bytes += node_bytes(s, node_at(s, tree_top(&names)));
    }
    check(bytes == root->bytes);
    return nodes;
}
