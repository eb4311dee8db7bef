/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of trees: making, moving and freeing them; node.h draws one.
 *
 * Limbo is a stack. Its top, if it is an inner node with children, gives up its last child, which becomes
 * the top; else it is freed. So each step is one node's work, however large the tree, and needs no memory.
 *
 * Threads: the shard's lock.
 */
#include "store/node.h"

#include "base/check.h"
#include "store/coll_priv.h"

struct node *node_alloc(struct slab *s, size_t size, uint8_t level, uint8_t mark)
{
    struct node *n = slab_alloc(s, size);
    if (n != NULL) {
        *n = (struct node){.level = level, .mark = NODE_LIVE | mark};
    }
    return n;
}

uint32_t node_index(const struct slab *s, const struct node *n)
{
    const struct node *up = node_at(s, n->parent);
    uint32_t ref = slab_ref(s, n);
    uint32_t i = 0;
    while (up->child[i].ref != ref) {
        i++;
        debug_check(i < up->count);
    }
    return i;
}

uint64_t node_elements(const struct node *n)
{
    if (n->level == 0) {
        return n->count;
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        sum += n->child[i].count;
    }
    return sum;
}

uint64_t node_bytes(const struct slab *s, const struct node *n)
{
    uint64_t sum = slab_bytes(s, n);
    for (uint32_t i = 0; n->level > 0 && i < n->count; i++) {
        const struct node *child = node_child(s, n, i);
        sum += n->level == 1 ? slab_bytes(s, child) : node_bytes(s, child);
    }
    return sum;
}

void node_adopt(const struct slab *s, struct node *n)
{
    uint32_t ref = slab_ref(s, n);
    for (uint32_t i = 0; n->level > 0 && i < n->count; i++) {
        node_child(s, n, i)->parent = ref;
    }
}

/* --- lists -------------------------------------------------------------------------------------- */

void node_list_add(struct slab *s, uint32_t *head, struct node *n)
{
    uint32_t ref = slab_ref(s, n);
    n->mark = (uint8_t)((n->mark & ~NODE_ROOT) | NODE_LISTED);
    n->parent = 0;
    n->next = *head;
    if (*head != 0) {
        node_at(s, *head)->parent = ref;
    }
    *head = ref;
}

struct node *node_list_take(struct slab *s, uint32_t *head)
{
    struct node *n = node_at(s, *head);
    *head = n->next;
    if (n->next != 0) {
        node_at(s, n->next)->parent = 0;
    }
    n->mark &= (uint8_t)~NODE_LISTED;
    n->next = 0;
    return n;
}

bool node_limbo_free(struct slab *s, uint32_t most)
{
    struct pool *p = container_of(s, struct pool, slab);
    if (p->limbo == 0) {
        return false;
    }
    while (most > 0 && p->limbo != 0) {
        struct node *top = node_at(s, p->limbo);
        if (top->level > 0 && top->count > 0) {
            top->count--;
            node_list_add(s, &p->limbo, node_child(s, top, top->count));
        } else {
            slab_free(s, node_list_take(s, &p->limbo));
            most--;
        }
    }
    pool_note_bytes(p);
    return true;
}

static uint64_t count_below(const struct slab *s, const struct node *n)
{
    uint64_t count = 1;
    for (uint32_t i = 0; n->level > 0 && i < n->count; i++) {
        check(node_child(s, n, i)->level == n->level - 1);
        count += count_below(s, node_child(s, n, i));
    }
    return count;
}

uint64_t node_limbo_count(struct slab *s)
{
    uint64_t count = 0;
    uint32_t before = 0;
    for (uint32_t at = container_of(s, struct pool, slab)->limbo; at != 0;) {
        const struct node *n = node_at(s, at);
        check(node_is_live(n) && (n->mark & NODE_LISTED) != 0 && n->parent == before);
        count += count_below(s, n);
        before = at;
        at = n->next;
    }
    return count;
}

uint64_t node_limbo_bytes(struct slab *s)
{
    uint64_t bytes = 0;
    for (uint32_t at = container_of(s, struct pool, slab)->limbo; at != 0;) {
        bytes += node_bytes(s, node_at(s, at));
        at = node_at(s, at)->next;
    }
    return bytes;
}

/* --- moving ------------------------------------------------------------------------------------- */

static void tell_list(struct slab *s, const struct node *n, uint32_t ref)
{
    struct pool *p = container_of(s, struct pool, slab);
    uint32_t old = slab_ref(s, n);
    if (n->next != 0) {
        node_at(s, n->next)->parent = ref;
    }
    if (n->parent != 0) {
        node_at(s, n->parent)->next = ref;
    } else if (p->limbo == old) {
        p->limbo = ref;
    } else {
        check(p->building == old);
        p->building = ref;
    }
}

void node_move(struct slab *s, struct node *n, void *to)
{
    uint32_t ref = slab_ref(s, to);
    if ((n->mark & NODE_LISTED) != 0) {
        tell_list(s, n, ref);
    } else if ((n->mark & NODE_ROOT) != 0) {
        struct coll_root *root = coll_root_of(slab_at(s, n->parent));
        if ((n->mark & NODE_NAMES) != 0) {
            root->names = ref;
        } else {
            root->root = ref;
        }
    } else {
        node_at(s, n->parent)->child[node_index(s, n)].ref = ref;
    }
    memcpy(to, n, slab_bytes(s, n));
    node_adopt(s, to);
    slab_free(s, n);
}
