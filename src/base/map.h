/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An intrusive hash table: from a 64-bit hash to the nodes that have it. What a key is, and when
 * two are the same, its user knows:
 *
 *      for (struct map_node *n = map_find(&m, hash); n != NULL; n = map_find_next(n)) {
 *          struct thing *t = container_of(n, struct thing, node);
 *          if (thing_has_name(t, name)) ...
 *      }
 *
 * It owns its buckets, in control memory, and no node. The lowest bits of a hash choose the bucket:
 * it comes from base/hash.h, or is a number that counts up. Adding, finding and removing cost O(1)
 * on average; an add that doubles the buckets costs O(n).
 *
 * Threads: one owner, or under its user's lock. Not done: it never shrinks; its users' peaks are
 * bounded.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdint.h>

struct map_node {
    struct map_node *next; /* in its bucket */
    uint64_t hash;
};

struct map {
    struct map_node **buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t count;        /* of nodes; read it, do not write it */
};

/* Empty, with room for 64 nodes. */
void map_init(struct map *m);
/* Nodes that are still in it are forgotten, not freed. After map_clear() it can be used again. */
void map_fini(struct map *m);
void map_clear(struct map *m);

/* The node must be in no map; one of the same hash may be in this one. */
void map_add(struct map *m, struct map_node *node, uint64_t hash);
/* The node must be in this map. */
void map_remove(struct map *m, struct map_node *node);

/* The first node with this hash, and the next one after a node with the same; NULL: no more. */
struct map_node *map_find(const struct map *m, uint64_t hash);
struct map_node *map_find_next(const struct map_node *node);

/* All nodes, in no order: map_walk(m, NULL) is the first, NULL comes behind the last. Nothing may
 * be added or removed meanwhile; to free them all, ask for the next before a node is freed, and
 * map_clear() at the end. */
struct map_node *map_walk(const struct map *m, const struct map_node *after);

#endif
