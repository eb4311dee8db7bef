/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table of 4,096 places, by the key's hash; the last refusal of a key takes its place from
 * whatever was there. A miss that is not found again costs an explanation, nothing else.
 *
 * Threads: any; one lock, of rank miss.
 */
#include "serve/refusals.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/lock.h"

#include <stdlib.h>

enum { REFUSALS = 4096 };

struct refusals {
    struct lock lock;
    struct {
        uint64_t hash;
        struct refusal refusal;
    } at[REFUSALS]; /* lock */
};

struct refusals *refusals_create(void)
{
    struct refusals *r = xcalloc(1, sizeof(*r));
    lock_init(&r->lock, LOCK_RANK_MISS);
    return r;
}

void refusals_destroy(struct refusals **rp)
{
    if (*rp != NULL) {
        lock_fini(&(*rp)->lock);
        free(*rp);
        *rp = NULL;
    }
}

static uint64_t hash_of(uint32_t db, struct slice key)
{
    return hash_mix(hash_slice(key), db);
}

void refusals_note(struct refusals *r, uint32_t db, struct slice key, const struct refusal *refusal)
{
    uint64_t hash = hash_of(db, key);
    lock_acquire(&r->lock);
    r->at[hash % REFUSALS].hash = hash;
    r->at[hash % REFUSALS].refusal = *refusal;
    lock_release(&r->lock);
}

bool refusals_find(struct refusals *r, uint32_t db, struct slice key, struct refusal *ret_refusal)
{
    uint64_t hash = hash_of(db, key);
    lock_acquire(&r->lock);
    bool found =
        r->at[hash % REFUSALS].hash == hash && r->at[hash % REFUSALS].refusal.kind != REFUSAL_NONE;
    if (found) {
        *ret_refusal = r->at[hash % REFUSALS].refusal;
    }
    lock_release(&r->lock);
    return found;
}

enum refusal_kind refusal_of_absence(enum store_absence why)
{
    switch (why) {
    case STORE_OUTDATED:
        return REFUSAL_READ_OUTDATED;
    case STORE_VOID:
        return REFUSAL_READ_VOID;
    case STORE_UNPROVEN:
        return REFUSAL_READ_UNPROVEN;
    case STORE_PRESENT:
    case STORE_NO_KEY:
    case STORE_EXPIRED:
        break;
    }
    return REFUSAL_NONE;
}

void refusal_blame(struct refusal *refusal, const struct fresh *f, const struct fresh_deps *deps)
{
    for (uint32_t i = 0; i < deps->count && refusal->mark == 0; i++) {
        fresh_pos mark = fresh_mark(f, deps->dep[i]);
        if (mark > refusal->stamp) {
            refusal->dep = deps->dep[i];
            refusal->mark = mark;
        }
    }
}
