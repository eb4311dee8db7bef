/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leases: with which stamp and dependencies a Redis write is stored.
 *
 * A SET does not say which miss it answers. So each followed key's misses are remembered for as long as
 * the longest `implicit_lease`, and a SET takes the stamp of the FIRST miss of its key within its lease,
 * answered or not: no client that read later than that can have read anything older.
 *
 * The miss table: sets of four records, found by the key's hash. Time is cut into buckets of an eighth
 * of the lease; a record keeps the first stamp of each of the last nine buckets, so forgetting is exact
 * to an eighth and always on the safe side.
 *
 *      set ── record[4] ── hash, newest bucket, stamp of the first miss in buckets newest-8 .. newest
 *
 * L1. A stamp handed out is never newer than the first miss within the lease. L2. When a set is full of
 * live records a miss goes unrecorded, and until that miss has aged past the lease the whole set answers
 * "unknown": SETs then take the stamp of `implicit_lease` ago. L3. Keys are compared by 64-bit hash.
 *
 * Nor does a SET say that it answers a miss at all: a client that has just written the row SETs what it
 * wrote (write-through), and may find somebody else's miss, newer than its own write. L4. Its value is wrong
 * only if the row changed again after its write, and both changes lie within the lease. So nothing is
 * stored by a plain SET while its dependencies have changed twice within the lease. A write-through that
 * finds no miss is stamped older than its own commit, and never stored.
 *
 * Threads: any; each of 64 stripes has a lock, never held together with a shard.
 */
#include "serve/lease.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/trace.h"

#include <stdlib.h>

/* The stamp of a miss without contact: below every floor. */
enum { NO_CONTACT = 1 };

enum { WAYS = 4, SETS = 1024, STRIPES = 64, BUCKETS = 9, PER_LEASE = 8 };

struct miss_record {
    uint64_t hash;
    uint64_t newest;          /* bucket number; 0: unused */
    fresh_pos stamp[BUCKETS]; /* by bucket number modulo BUCKETS; 0: no miss in it */
};

struct miss_set {
    uint64_t unrecorded_ms; /* a miss at this time found no room */
    struct miss_record record[WAYS];
};

struct stripe {
    struct lock lock;
    uint64_t lease_ms;  /* lock; the longest of all templates, so far */
    uint64_t bucket_ms; /* lock */
};

struct leases {
    struct stripe stripe[STRIPES];
    struct miss_set *sets; /* lock of stripe [set % STRIPES] */
};

static uint64_t longest(const struct policy *p)
{
    uint64_t lease_ms = PER_LEASE;
    for (uint32_t i = 0; i < p->template_count; i++) {
        if (p->templates[i].implicit_lease_ms > lease_ms) {
            lease_ms = p->templates[i].implicit_lease_ms;
        }
    }
    return lease_ms;
}

struct leases *leases_create(const struct policy *p)
{
    struct leases *l = xcalloc(1, sizeof(*l));
    l->sets = xcalloc(SETS, sizeof(*l->sets));
    for (size_t i = 0; i < STRIPES; i++) {
        lock_init(&l->stripe[i].lock, LOCK_RANK_MISS);
    }
    leases_policy(l, p, 0);
    return l;
}

/* Bucket numbers mean something else then: nothing recorded is of use, and it is as if a miss of every
 * key had gone unrecorded just now (L2). */
static void lengthen(struct leases *l, size_t index, uint64_t lease_ms, uint64_t now_ms)
{
    struct stripe *s = &l->stripe[index];
    s->lease_ms = lease_ms;
    s->bucket_ms = (lease_ms + PER_LEASE - 1) / PER_LEASE;
    for (size_t i = index; i < SETS; i += STRIPES) {
        l->sets[i] = (struct miss_set){.unrecorded_ms = now_ms};
    }
}

void leases_policy(struct leases *l, const struct policy *p, uint64_t now_ms)
{
    uint64_t lease_ms = longest(p);
    for (size_t i = 0; i < STRIPES; i++) {
        lock_acquire(&l->stripe[i].lock);
        if (lease_ms > l->stripe[i].lease_ms) {
            lengthen(l, i, lease_ms, now_ms);
        }
        lock_release(&l->stripe[i].lock);
    }
}

void leases_destroy(struct leases **lp)
{
    struct leases *l = *lp;
    *lp = NULL;
    if (l == NULL) {
        return;
    }
    for (size_t i = 0; i < STRIPES; i++) {
        lock_fini(&l->stripe[i].lock);
    }
    free(l->sets);
    free(l);
}

/* --- the miss table ----------------------------------------------------------------------------- */

static bool is_live(const struct miss_record *r, uint64_t bucket)
{
    return r->newest != 0 && r->newest + BUCKETS > bucket;
}

static struct miss_record *find_record(struct miss_set *set, uint64_t hash, uint64_t bucket)
{
    for (size_t i = 0; i < WAYS; i++) {
        if (set->record[i].hash == hash && is_live(&set->record[i], bucket)) {
            return &set->record[i];
        }
    }
    return NULL;
}

static struct miss_record *room(struct miss_set *set, uint64_t bucket)
{
    for (size_t i = 0; i < WAYS; i++) {
        if (!is_live(&set->record[i], bucket)) {
            set->record[i] = (struct miss_record){0};
            return &set->record[i];
        }
    }
    return NULL;
}

static void note_miss(struct leases *l, uint64_t hash, fresh_pos stamp, uint64_t now_ms)
{
    struct miss_set *set = &l->sets[hash % SETS];
    struct stripe *stripe = &l->stripe[hash % SETS % STRIPES];
    lock_acquire(&stripe->lock);
    uint64_t bucket = now_ms / stripe->bucket_ms + 1;
    struct miss_record *r = find_record(set, hash, bucket);
    if (r == NULL) {
        r = room(set, bucket);
        if (r != NULL) {
            r->hash = hash;
            r->newest = bucket;
        }
    }
    if (r == NULL) {
        set->unrecorded_ms = now_ms;
    } else {
        for (; r->newest < bucket; r->newest++) {
            r->stamp[(r->newest + 1) % BUCKETS] = 0;
        }
        if (r->stamp[bucket % BUCKETS] == 0) {
            r->stamp[bucket % BUCKETS] = stamp;
        }
    }
    lock_release(&stripe->lock);
}

/* The stamp of the first miss within `lease_ms`; 0: none known for certain. */
static fresh_pos first_miss(struct leases *l, uint64_t hash, uint64_t lease_ms, uint64_t now_ms)
{
    struct miss_set *set = &l->sets[hash % SETS];
    fresh_pos found = 0;
    struct stripe *stripe = &l->stripe[hash % SETS % STRIPES];
    lock_acquire(&stripe->lock);
    uint64_t bucket = now_ms / stripe->bucket_ms + 1;
    uint64_t from = (now_ms > lease_ms ? now_ms - lease_ms : 0) / stripe->bucket_ms + 1;
    const struct miss_record *r = find_record(set, hash, bucket);
    bool certain = set->unrecorded_ms == 0 || set->unrecorded_ms + stripe->lease_ms < now_ms;
    if (r != NULL && certain) {
        uint64_t oldest = r->newest >= BUCKETS ? r->newest - BUCKETS + 1 : 1;
        for (uint64_t b = from > oldest ? from : oldest; b <= r->newest && found == 0; b++) {
            found = r->stamp[b % BUCKETS];
        }
    }
    lock_release(&stripe->lock);
    return found;
}

/* The mistake that `--break=oldest-miss` makes: a SET uses up the oldest miss, and the next SET takes
 * the newest one, although it may answer an older. */
static void forget_oldest(struct leases *l, uint64_t hash, fresh_pos newest, uint64_t now_ms)
{
    struct miss_set *set = &l->sets[hash % SETS];
    struct stripe *stripe = &l->stripe[hash % SETS % STRIPES];
    lock_acquire(&stripe->lock);
    struct miss_record *r = find_record(set, hash, now_ms / stripe->bucket_ms + 1);
    for (size_t i = 0; r != NULL && i < BUCKETS; i++) {
        r->stamp[i] = r->stamp[i] != 0 ? newest : 0;
    }
    lock_release(&stripe->lock);
}

/* --- templates ---------------------------------------------------------------------------------- */

bool lease_db_followed(const struct worker *w, uint32_t db)
{
    const struct policy_space *space = policy_space_of(w->plan->policy, db);
    return space != NULL && policy_space_followed(w->plan->policy, space);
}

struct matching {
    struct worker *w;
    struct lease *lease;
    uint32_t matches;
    uint32_t lease_ms;
};

/* NULL while the catalog is missing or outdated: nothing may be stored by it (follow.h, W3). */
static const struct follow_template *current_template(const struct worker *w,
                                                      const struct policy_template *t)
{
    const struct follow_catalog *catalog = w->plan->catalog;
    if (catalog == NULL || w->server->follow == NULL ||
        catalog->version != follow_version(w->server->follow)) {
        return NULL;
    }
    return &catalog->templates[t->index];
}

/* The dependency of one way in which the key matches: the rendering's slot with the template's `all`;
 * `any` where there is no placeholder or a value is not in the one form that the stream has. */
static void matched(void *arg, const struct policy_template *t, const struct slice *values)
{
    struct matching *m = arg;
    m->matches++;
    if (t->implicit_lease_ms > m->lease_ms) {
        m->lease_ms = t->implicit_lease_ms;
    }
    if (m->lease == NULL) {
        return;
    }
    const struct follow_template *ft = current_template(m->w, t);
    if (ft == NULL || !ft->followed) {
        m->lease->kind = LEASE_REFUSED;
        m->lease->why =
            ft == NULL ? "no contact with the database yet, or its schema just changed" : ft->why;
        return;
    }
    struct fresh *f = m->w->server->fresh;
    bool exact = t->column_count > 0 && values != NULL;
    for (uint32_t i = 0; exact && i < t->column_count; i++) {
        exact = follow_kind_canonical(ft->kinds[i], values[i]);
    }
    if (exact) {
        fresh_deps_add(&m->lease->deps, fresh_dep_hash(f, policy_template_hash(t, values)));
        fresh_deps_add(&m->lease->deps, fresh_dep_all(f, ft->wide));
    } else {
        fresh_deps_add(&m->lease->deps, fresh_dep_any(f, ft->wide));
    }
}

static struct matching match_key(struct worker *w, uint32_t db, struct slice key,
                                 struct lease *lease)
{
    struct matching m = {.w = w, .lease = lease};
    struct slice rest;
    if (policy_strip_prefix(policy_space_of(w->plan->policy, db), key, &rest)) {
        policy_match_key(w->plan->policy, rest, matched, &m);
    }
    return m;
}

static uint64_t key_hash(uint32_t db, struct slice key)
{
    return hash_mix(hash_slice(key), db);
}

/* --- the four questions ------------------------------------------------------------------------- */

void lease_miss(struct worker *w, struct lease_session *ls, uint32_t db, struct slice key)
{
    if (!lease_db_followed(w, db) || match_key(w, db, key, NULL).matches == 0) {
        return;
    }
    fresh_pos stamp = fresh_stamp(w->server->fresh);
    if (stamp == 0) {
        stamp =
            NO_CONTACT; /* its SET may come when there is contact again, and find a later miss */
    }
    uint64_t hash = key_hash(db, key);
    note_miss(w->server->leases, hash, stamp, loop_now_ms(w->loop));
    if (ls->affinity) {
        uint32_t i = ls->next++ % LEASE_OWN_MISSES;
        ls->own[i].hash = hash;
        ls->own[i].stamp = stamp;
    }
}

static fresh_pos own_miss(const struct lease_session *ls, uint64_t hash)
{
    for (uint32_t i = 1; i <= LEASE_OWN_MISSES && i <= ls->next; i++) {
        uint32_t at = (ls->next - i) % LEASE_OWN_MISSES;
        if (ls->own[at].hash == hash) {
            return ls->own[at].stamp;
        }
    }
    return 0;
}

/* Matches and fills in all but the stamp; false when the answer is final without one. */
static bool begin(struct worker *w, uint32_t db, struct slice key, struct lease *lease,
                  uint32_t *ret_lease_ms)
{
    *lease = (struct lease){.kind = LEASE_STORE};
    struct matching m = match_key(w, db, key, lease);
    if (m.matches == 0) {
        lease->kind = LEASE_PLAIN;
    }
    if (lease->deps.overflow) {
        lease->kind = LEASE_REFUSED;
        lease->why = "the key matches more templates than an entry can hold";
    }
    *ret_lease_ms = m.lease_ms;
    return lease->kind == LEASE_STORE;
}

static void end(struct lease *lease)
{
    if (lease->stamp == 0) {
        lease->kind = LEASE_REFUSED;
        lease->why =
            "no stamp: no contact with the database, or less than implicit_lease since contact";
    }
}

void lease_for_write(struct worker *w, struct lease_session *ls, uint32_t db, struct slice key,
                     struct lease *ret_lease)
{
    uint32_t lease_ms;
    if (!lease_db_followed(w, db) || !begin(w, db, key, ret_lease, &lease_ms)) {
        if (!lease_db_followed(w, db)) {
            *ret_lease = (struct lease){.kind = LEASE_PLAIN};
        }
        return;
    }
    struct server *s = w->server;
    uint64_t now_ms = loop_now_ms(w->loop);
    uint64_t hash = key_hash(db, key);
    if (s->breaks.store_stamp) {
        ret_lease->stamp = fresh_stamp(s->fresh);
    } else if (ls->affinity) {
        ret_lease->stamp = own_miss(ls, hash);
    } else {
        ret_lease->stamp = first_miss(s->leases, hash, lease_ms, now_ms);
        ret_lease->assumed_ms = s->breaks.oldest_miss ? 0 : lease_ms;
    }
    if (s->breaks.oldest_miss) {
        forget_oldest(s->leases, hash, fresh_stamp(s->fresh), now_ms);
    }
    if (ret_lease->stamp == 0) {
        ret_lease->stamp = fresh_stamp_ago(s->fresh, now_ms, lease_ms);
    }
    end(ret_lease);
}

void lease_with_stamp(struct worker *w, uint32_t db, struct slice key, fresh_pos stamp,
                      struct lease *ret_lease)
{
    uint32_t lease_ms;
    if (!lease_db_followed(w, db)) {
        *ret_lease = (struct lease){.kind = LEASE_PLAIN};
        return;
    }
    if (!begin(w, db, key, ret_lease, &lease_ms)) {
        return;
    }
    ret_lease->stamp =
        stamp != 0 ? stamp : fresh_stamp_ago(w->server->fresh, loop_now_ms(w->loop), lease_ms);
    end(ret_lease);
}

fresh_pos lease_token(struct worker *w, uint32_t db, struct slice key)
{
    bool follows = lease_db_followed(w, db) && match_key(w, db, key, NULL).matches > 0;
    return follows ? fresh_stamp(w->server->fresh) : fresh_stamp_tags(w->server->fresh);
}

bool lease_add_tags(struct lease *lease, const struct fresh_deps *tags, fresh_pos stamp)
{
    if (lease->kind == LEASE_PLAIN && tags->count > 0) {
        lease->kind = LEASE_STORE;
        lease->stamp = stamp;
    }
    for (uint32_t i = 0; i < tags->count; i++) {
        fresh_deps_add(&lease->deps, tags->dep[i]);
    }
    return !tags->overflow && (lease->kind == LEASE_REFUSED || !lease->deps.overflow);
}

static bool refuse(struct worker *w, const struct lease *lease, const struct store_hold *h,
                   enum refusal_kind kind, const char *why)
{
    if (kind == REFUSAL_WRITE_OUTDATED) {
        serve_count(w, set_outdated);
    } else {
        serve_count(w, set_unfollowed);
    }
    w->refused.db = h->db;
    w->refused.key = h->key;
    w->refused.refusal =
        (struct refusal){.kind = kind, .at_ms = h->now_ms, .stamp = lease->stamp, .why = why};
    if (kind == REFUSAL_WRITE_OUTDATED) {
        refusal_blame(&w->refused.refusal, w->server->fresh, &lease->deps);
    }
    return false;
}

/* L4. See the essay. */
static bool may_be_overwritten(struct worker *w, const struct lease *lease, uint64_t now_ms)
{
    return lease->assumed_ms > 0 &&
           fresh_changed_twice(w->server->fresh, lease->deps.dep, lease->deps.count, now_ms,
                               lease->assumed_ms);
}

bool lease_holds(struct worker *w, const struct lease *lease, const struct store_hold *h)
{
    if (lease->kind == LEASE_PLAIN) {
        return true;
    }
    if (lease->kind == LEASE_REFUSED) {
        return refuse(w, lease, h, REFUSAL_WRITE_UNSTAMPED, lease->why);
    }
    switch (fresh_judge(w->server->fresh, lease->stamp, lease->deps.dep, lease->deps.count,
                        h->now_ms)) {
    case FRESH_HIT:
        return !may_be_overwritten(w, lease, h->now_ms) ||
               refuse(
                   w, lease, h, REFUSAL_WRITE_OUTDATED,
                   "changed more than once within implicit_lease, and a plain SET may stand for a "
                   "write in between");
    case FRESH_OUTDATED:
    case FRESH_VOID:
        return refuse(w, lease, h, REFUSAL_WRITE_OUTDATED, NULL);
    case FRESH_UNPROVEN:
        return refuse(w, lease, h, REFUSAL_WRITE_UNSTAMPED, "no contact with the database");
    }
    unreachable();
}

void lease_note_refused(struct worker *w)
{
    if (w->refused.refusal.kind != REFUSAL_NONE) {
        refusals_note(w->server->refusals, w->refused.db, w->refused.key, &w->refused.refusal);
        trace(TRACE_SET_REFUSED, 0, w->refused.refusal.kind, w->refused.key);
        w->refused.refusal.kind = REFUSAL_NONE;
    }
}

void lease_apply(const struct lease *lease, struct store_write *ret_write)
{
    if (lease->kind == LEASE_STORE) {
        ret_write->stamp = lease->stamp;
        ret_write->deps = lease->deps.dep;
        ret_write->dep_count = lease->deps.count;
    }
}
