/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * refusals: what was lately not served or not stored because of freshness, for explain.
 *
 * An outdated entry leaves at its first lookup and a refused SET leaves nothing, so afterwards nothing
 * would say why. A small table keyed by the key's hash keeps the last refusal of a few thousand keys;
 * a newer one of another key may take its place.
 *
 * Threads: any; one lock, held for a copy.
 */
#ifndef SERVE_REFUSALS_H
#define SERVE_REFUSALS_H

#include "fresh/fresh.h"
#include "store/store.h"

struct refusals;

enum refusal_kind {
    REFUSAL_NONE,
    REFUSAL_READ_OUTDATED,   /* a read found the entry outdated and removed it */
    REFUSAL_READ_VOID,       /* ... of an earlier epoch */
    REFUSAL_READ_UNPROVEN,   /* ... without proof of contact; the entry stayed */
    REFUSAL_WRITE_OUTDATED,  /* a SET was born outdated */
    REFUSAL_WRITE_UNSTAMPED, /* a SET could not be given a stamp */
    REFUSAL_FILL_OUTDATED,   /* a SQL fill was outdated when it came home */
};

struct refusal {
    enum refusal_kind kind;
    uint64_t at_ms;
    fresh_pos stamp; /* of the refused value; 0: not known */
    fresh_dep dep;   /* what changed after it; only when `mark` is not 0 */
    fresh_pos mark;
    const char *why; /* static; may be NULL */
};

struct refusals *refusals_create(void);
void refusals_destroy(struct refusals **r);
void refusals_note(struct refusals *r, uint32_t db, struct slice key,
                   const struct refusal *refusal);
/* False when nothing is remembered of this key. */
bool refusals_find(struct refusals *r, uint32_t db, struct slice key, struct refusal *ret_refusal);

/* The refusal that a lookup's absence means; REFUSAL_NONE when it was no refusal. */
enum refusal_kind refusal_of_absence(enum store_absence why);
/* Fills dep and mark with the first dependency above the stamp. */
void refusal_blame(struct refusal *refusal, const struct fresh *f, const struct fresh_deps *deps);

#endif
