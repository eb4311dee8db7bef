/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lease: what a Redis write is stored with.
 *
 * A SET on a key that matches a template is stored with the template's dependencies and a stamp
 * from before the client's read: the position at the first miss of that key within
 * `implicit_lease`, or the position of `implicit_lease` ago when no miss is known. Since a SET may
 * also answer no miss but a write of the client's own, nothing is stored that has changed twice
 * within that time. Decide the lease before store_hold(); judge it inside, just before storing.
 *
 * Threads: the worker's, unless a function says otherwise.
 */
#ifndef SERVE_LEASE_H
#define SERVE_LEASE_H

#include "serve/serve.h"

enum lease_kind {
    LEASE_PLAIN,   /* not followed: store without stamp */
    LEASE_STORE,   /* store with stamp and deps, if lease_holds() */
    LEASE_REFUSED, /* matches a template but may not be stored: remove the old value, answer OK */
};

struct lease {
    enum lease_kind kind;
    fresh_pos stamp;
    /* The stamp is that of a miss which the write may not answer; 0: it is exact. */
    uint32_t assumed_ms;
    const char *why; /* LEASE_REFUSED: static text for explain */
    struct fresh_deps deps;
};

/* Per connection, zeroed at open: the misses of this connection, for `affinity: connection`. */
enum { LEASE_OWN_MISSES = 16 };
struct lease_session {
    bool affinity;
    uint32_t next;
    struct {
        uint64_t hash;
        fresh_pos stamp;
    } own[LEASE_OWN_MISSES];
    /* for tags: see tags.h */
    uint32_t next_tagged;
    struct {
        uint64_t hash;
        fresh_pos stamp;
        uint64_t at_ms;
    } tagged[LEASE_OWN_MISSES];
};

/* Can keys of this database be followed at all? The hot path asks this first. */
bool lease_db_followed(const struct worker *w, uint32_t db);
/* A read found `key` absent (for whatever reason). Call after store_drop(), before the reply is
 * sent. No-op unless the key matches a template. */
void lease_miss(struct worker *w, struct lease_session *ls, uint32_t db, struct slice key);
/* Decides for a write that answers no token. */
void lease_for_write(struct worker *w, struct lease_session *ls, uint32_t db, struct slice key,
                     struct lease *ret_lease);
/* The same with the stamp of a fill token (FRESHET.GET), or of a renamed or copied entry. 0: as
 * above but never newer than the template's lease. */
void lease_with_stamp(struct worker *w, uint32_t db, struct slice key, fresh_pos stamp,
                      struct lease *ret_lease);
/* The stamp for a fill token of this key; 0 when it follows the database and there is no
 * contact. */
fresh_pos lease_token(struct worker *w, uint32_t db, struct slice key);
/* Makes the write depend on tags too; `stamp` counts where the key follows nothing else. False:
 * more dependencies than an entry can hold. */
bool lease_add_tags(struct lease *lease, const struct fresh_deps *tags, fresh_pos stamp);
/* Outside every hold: passes a refused write on to `refusals`. The key that was written is still
 * there. */
void lease_note_refused(struct worker *w);
/* Inside the hold: may it be stored? Counts and answers false when born outdated or refused; the
 * caller then removes the key and answers as if stored. */
bool lease_holds(struct worker *w, const struct lease *lease, const struct store_hold *h);
/* Fills stamp and deps of a store_write from a lease that holds. */
void lease_apply(const struct lease *lease, struct store_write *ret_write);

struct leases *leases_create(const struct policy *p);
void leases_destroy(struct leases **l);
/* Before anybody uses this policy: remembers misses for as long as its longest lease. Any
 * thread. */
void leases_policy(struct leases *l, const struct policy *p, uint64_t now_ms);

#endif
