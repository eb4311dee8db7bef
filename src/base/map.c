/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of map.h: chains of nodes.
 *
 *      buckets[hash & (bucket_count - 1)] ─> node ─> node ─> NULL
 *
 * The buckets double when there are more nodes than buckets, so that a chain has one node on
 * average.
 *
 * Invariants: MP1. A node is in the bucket of its hash. MP2. `count` nodes are in the buckets
 * together.
 */
#include "base/map.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

enum { BUCKETS_MIN = 64 };

static struct map_node **bucket_of(const struct map *m, uint64_t hash)
{
    return &m->buckets[hash & (m->bucket_count - 1)];
}

static void link_node(struct map *m, struct map_node *node)
{
    struct map_node **bucket = bucket_of(m, node->hash);
    node->next = *bucket;
    *bucket = node;
}

static void grow(struct map *m)
{
    struct map_node **old = m->buckets;
    uint32_t old_count = m->bucket_count;
    m->bucket_count *= 2;
    m->buckets = xcalloc(m->bucket_count, sizeof(struct map_node *));
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct map_node *node = old[i];
            old[i] = node->next;
            link_node(m, node);
        }
    }
    free(old);
}

/* From `at` on, the first node of a bucket that has one. */
static struct map_node *first_from(const struct map *m, uint32_t at)
{
    while (at < m->bucket_count && m->buckets[at] == NULL) {
        at++;
    }
    return at < m->bucket_count ? m->buckets[at] : NULL;
}

void map_init(struct map *m)
{
    m->bucket_count = BUCKETS_MIN;
    m->buckets = xcalloc(m->bucket_count, sizeof(struct map_node *));
    m->count = 0;
}

void map_fini(struct map *m)
{
    free(m->buckets);
    *m = (struct map){0};
}

void map_clear(struct map *m)
{
    map_fini(m);
    map_init(m);
}

void map_add(struct map *m, struct map_node *node, uint64_t hash)
{
    if (m->count == m->bucket_count) {
        grow(m);
    }
    node->hash = hash;
    link_node(m, node);
    m->count++;
}

void map_remove(struct map *m, struct map_node *node)
{
    struct map_node **at = bucket_of(m, node->hash);
    while (*at != node) {
        check(*at != NULL); /* MP1: it was in another map, or in none */
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    m->count--;
}

static struct map_node *with_hash(struct map_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash) {
        node = node->next;
    }
    return node;
}

struct map_node *map_find(const struct map *m, uint64_t hash)
{
    return with_hash(*bucket_of(m, hash), hash);
}

struct map_node *map_find_next(const struct map_node *node)
{
    return with_hash(node->next, node->hash);
}

struct map_node *map_walk(const struct map *m, const struct map_node *after)
{
    if (after == NULL) {
        return first_from(m, 0);
    }
    uint32_t at = (uint32_t)(after->hash & (m->bucket_count - 1));
    return after->next != NULL ? after->next : first_from(m, at + 1);
}
