/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The small growing sets that facts are kept in. All memory is the arena's: growing leaves the
 * smaller copy behind, which costs as much again at most. Threads: none shared.
 */
#include "fill/analyse_priv.h"

void *facts_grow(struct arena *a, void *items, uint32_t count, size_t size, uint32_t *room)
{
    if (count < *room) {
        return items;
    }
    *room = *room == 0 ? 8 : *room * 2;
    void *larger = arena_alloc(a, *room * size);
    if (count > 0) {
        memcpy(larger, items, count * size);
    }
    return larger;
}

bool oid_set_has(const struct oid_set *set, uint32_t oid)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->oid[i] == oid) {
            return true;
        }
    }
    return false;
}

void oid_set_add(struct arena *a, struct oid_set *set, uint32_t oid)
{
    if (oid == 0 || oid_set_has(set, oid)) {
        return;
    }
    set->oid = facts_grow(a, set->oid, set->count, sizeof *set->oid, &set->room);
    set->oid[set->count++] = oid;
}

struct facts_relation *facts_relation(struct arena *a, struct facts *f, uint32_t oid)
{
    for (uint32_t i = 0; i < f->relation_count; i++) {
        if (f->relations[i].oid == oid) {
            return &f->relations[i];
        }
    }
    f->relations =
        facts_grow(a, f->relations, f->relation_count, sizeof *f->relations, &f->relation_room);
    struct facts_relation *r = &f->relations[f->relation_count++];
    *r = (struct facts_relation){.oid = oid};
    return r;
}
