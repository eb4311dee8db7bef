/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fingerprints of keys that left; ghost.h draws it.
 *
 * First in, first out within a set of 31: a print lives for as many departures as there are prints in all,
 * give or take a fifth. That is as good as an exact queue for telling "lately" from "long ago", and needs
 * neither links nor times.
 *
 * When items become fewer nothing is given back: a longer memory does no harm, and pages are few.
 */
#include "store/ghost.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { CAP_FIRST = 4, SETS_FIRST = 4, SETS_A_PAGE = STORE_PAGE / GHOST_SET };

struct set {
    uint16_t next;
    uint16_t print[GHOST_WAYS];
};

_Static_assert(sizeof(struct set) == GHOST_SET, "a set is a cache line");

/* Bits of the hash: 10..31 choose the page, 32..37 the set, 40..55 are the print. */
static uint16_t print_of(uint64_t hash)
{
    uint16_t print = (uint16_t)(hash >> 40);
    return print == 0 ? 1 : print;
}

static struct set *set_of(const struct ghost *g, struct pages *p, uint64_t hash)
{
    if (g->pages == 0) {
        return NULL;
    }
    uint32_t bits = (uint32_t)hash >> 10;
    uint32_t fine = bits & (2 * g->mask + 1);
    uint32_t page = g->page[fine < g->pages ? fine : bits & g->mask];
    return (struct set *)pages_at(p, page) + (hash >> 32) % g->sets;
}

static bool directory_grow(struct ghost *g, struct space *space)
{
    uint32_t cap = g->cap == 0 ? CAP_FIRST : g->cap * 2;
    if (!space_take(space, (cap - g->cap) * sizeof(uint32_t))) {
        return false;
    }
    g->page = xrealloc(g->page, cap * sizeof(uint32_t));
    g->cap = cap;
    return true;
}

/* The only page: a set for each GHOST_PAGE_ITEMS / SETS_A_PAGE items. The new half begins as a copy too. */
static void sets_fit(struct ghost *g, struct pages *p, uint64_t items)
{
    if (g->sets < SETS_A_PAGE && items > (uint64_t)g->sets * GHOST_PAGE_ITEMS / SETS_A_PAGE) {
        struct set *set = pages_at(p, g->page[0]);
        memcpy(set + g->sets, set, g->sets * sizeof(*set));
        g->sets *= 2;
    }
}

void ghost_fit(struct ghost *g, struct pages *p, uint64_t items)
{
    if (g->pages == 1) {
        sets_fit(g, p, items);
    }
    if (items <= (uint64_t)g->pages * GHOST_PAGE_ITEMS ||
        (g->pages == g->cap && !directory_grow(g, p->space))) {
        return;
    }
    uint32_t page = pages_take(p, 1, PAGE_INDEX);
    if (page == 0) {
        return;
    }
    g->mask = g->pages == 2 * g->mask + 2 ? 2 * g->mask + 1 : g->mask; /* perhaps a new round */
    if (g->pages == 0) {
        memset(pages_at(p, page), 0, STORE_PAGE);
        g->sets = SETS_FIRST;
    } else {
        memcpy(pages_at(p, page), pages_at(p, g->page[g->pages & g->mask]), STORE_PAGE);
    }
    g->page[g->pages++] = page;
}

void ghost_note(const struct ghost *g, struct pages *p, uint64_t hash)
{
    struct set *set = set_of(g, p, hash);
    if (set != NULL) {
        set->print[set->next] = print_of(hash);
        set->next = (uint16_t)((set->next + 1) % GHOST_WAYS);
    }
}

bool ghost_take(const struct ghost *g, struct pages *p, uint64_t hash)
{
    struct set *set = set_of(g, p, hash);
    for (uint32_t i = 0; set != NULL && i < GHOST_WAYS; i++) {
        if (set->print[i] == print_of(hash)) {
            set->print[i] = 0;
            return true;
        }
    }
    return false;
}

void ghost_forget(struct ghost *g, struct space *space)
{
    space_give(space, ghost_charge(g));
    free(g->page);
    *g = (struct ghost){0};
}
