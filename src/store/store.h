/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * store: keys to values in a bounded amount of memory. Asks `fresh` whether an entry may be served.
 *
 * Shape
 *
 *      store ── shard[0..2^k)   one lock each; a key's shard comes from its hash
 *                 └─ table[db]  index of one database (Redis db number, or the HTTP cache's own)
 *                      └─ item  one allocation: header, [expiry], [stamp, deps], key, value
 *      space ── budget, eviction, default TTL; one or several databases share it
 *
 * An item that has expired, or that `fresh` refuses, is absent to every function here: nothing in
 * the rest of the program can see a stale entry by forgetting to ask.
 *
 * Access goes through a *hold*: store_hold() locks the shard of one key, store_drop() unlocks.
 * Between the two, item pointers and slices into items are valid and nothing else changes the
 * shard. A whole turn of several keys (MULTI, MGET, RENAME, FLUSHALL, KEYS) runs between
 * store_own() and store_disown(): the thread then owns every shard, and store_hold() inside it
 * costs no lock.
 *
 * Gates: each thread that touches the store has one. store_hold() passes the thread's own gate (an
 * uncontended lock on its own cache line); store_own() closes every gate in order. So single-key
 * work of different threads meets only at a shard, and owners exclude everybody. A thread that must
 * not wait tries its gate with store_gate_try(), or to own with store_own_try(), and is told when
 * it may try again.
 *
 * Invariants:
 *   S1. bytes accounted to a space <= its budget, counted in pages that the allocator owns.
 *   S2. No I/O, no callback, no second lock while a shard is held (gate and shard aside). A shard that
 *       has nothing left to evict may try another shard's lock, never wait for it.
 *   S3. Looking up moves nothing: a hit writes at most one counter in the item.
 *   S4. An item's stamp is never raised in place; only storing a new value gives a new stamp. An item that
 *       had none may get one.
 *
 * Threads: any thread with a gate. A hold or an ownership belongs to the thread that took it and is
 * never kept across a turn of its event loop.
 *
 * Beside this: who learns of changes is watch.h, what INFO tells is figures.h.
 *
 * Values: a string's bytes, or a collection (coll.h). Durable spaces: every change leaves an effect
 * (effect.h) in a journal (journal.h), in the order in which the store did it.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/err.h"
#include "base/slice.h"
#include "fresh/fresh.h"

#include <stdint.h>

struct store;
struct store_gate;
struct store_item; /* opaque; use the accessors below, valid while held */

enum { STORE_DB_MAX = 64, STORE_SPACE_MAX = 32, STORE_KEY_MAX = 512 * 1024 * 1024 };

struct store_space_options {
    const char *name; /* borrowed for the store's life */
    uint64_t budget_bytes;
    bool evict;   /* false: a full space answers ERR_NOSPACE */
    bool durable; /* changes leave effects */
};

struct store_options {
    struct fresh *fresh; /* borrowed */
    uint32_t shards;     /* power of two; 0: chosen from `threads` */
    uint32_t threads;    /* how many gates will be asked for */
    uint32_t space_count;
    const struct store_space_options *spaces;
    uint32_t db_count;
    const uint8_t *db_space; /* db number -> index into spaces */
};

/* Copies the options; `fresh` and the names of spaces are borrowed. Destroying: nobody uses it any
 * more. */
struct store *store_create(const struct store_options *options);
void store_destroy(struct store **s);

/* Each thread takes its own once; ownership stays with the store. */
struct store_gate *store_gate_take(struct store *s);

/* --- holding one key ---------------------------------------------------------------------------- */

/* A locked view on one key. Plain data on the caller's stack; fields are the store's. */
struct store_hold {
    struct store *store;
    struct store_gate *gate;
    void *shard;
    void *table;
    struct slice key; /* borrowed from the caller, must outlive the hold */
    uint64_t hash;
    uint64_t now_ms;
    uint32_t db;
    bool owned;    /* inside store_own(): no lock was taken */
    bool is_draft; /* of a store_draft: nobody is told */
};

/* May wait: for the key's shard, and at the gate for whoever owns the store (who must not, passes
 * it with store_gate_try() before). One at a time, except inside store_own(). Dropping ends it, and
 * hands its effects on. */
void store_hold(struct store *s, struct store_gate *g, uint32_t db, struct slice key,
                uint64_t now_ms, struct store_hold *ret_hold);
void store_drop(struct store_hold *h);

/* A hint: this is looked up next. Overlaps the waits for memory that the lookups would have one
 * after the other. Of each there are STORE_WARM_WORDS: the key, and what may name an element in it
 * (NULL pointers: there is none); at most STORE_WARM_MAX of them count. Not while something is
 * held. */
enum { STORE_WARM_MAX = 16, STORE_WARM_WORDS = 3 };
void store_warm(struct store *s, struct store_gate *g, uint32_t db, const struct slice *words,
                uint32_t count);

/* Passes the thread's own gate for many holds to come; only a shard's lock is left to them. False:
 * the gate is closed or about to be, and store_gate_on_open()'s function will be called. Leave
 * soon, at the latest when somebody wants to own the store. */
bool store_gate_try(struct store *s, struct store_gate *g);
void store_gate_leave(struct store *s, struct store_gate *g);
/* Does somebody wait for the gates that are passed now? */
bool store_own_is_wanted(const struct store *s);
/* store_own() unless somebody owns the store or is about to: then false, and store_gate_on_open()'s
 * function will be called. Waits only for holds and passes, which are short. Ends a pass. */
bool store_own_try(struct store *s, struct store_gate *g);
/* `opened` is called once after each refusal, on the thread that gives the store up, with nothing
 * held. Before the gate is used. */
void store_gate_on_open(struct store_gate *g, void (*opened)(void *arg), void *arg);

/* Owns the whole store; between these, store_hold() of this gate takes no lock. Not recursive. */
void store_own(struct store *s, struct store_gate *g);
void store_disown(struct store *s, struct store_gate *g);

/* --- reading ------------------------------------------------------------------------------------ */

/* What a value is; the order is that of the log and of DUMP and never changes. */
enum store_kind {
    STORE_STRING,
    STORE_LIST,
    STORE_SET,
    STORE_ZSET,
    STORE_HASH,
    STORE_STREAM,
};

/* Why a lookup found nothing. */
enum store_absence {
    STORE_PRESENT,
    STORE_NO_KEY,
    STORE_EXPIRED,
    STORE_OUTDATED, /* fresh: a mark is above the stamp */
    STORE_VOID,     /* fresh: earlier epoch */
    STORE_UNPROVEN, /* fresh: no contact; the entry is kept, it may be right again in a moment */
};

/* The live item, or NULL. Counts a hit for eviction. Expired, outdated and void items are removed
 * on the way. `ret_why` may be NULL. */
struct store_item *store_lookup(struct store_hold *h, enum store_absence *ret_why);
/* The same without counting a hit (EXISTS, TTL, SCAN, TOUCH's opposite). */
struct store_item *store_peek(struct store_hold *h, enum store_absence *ret_why);
/* Whatever is stored, even if outdated or expired: for explain only. */
struct store_item *store_inspect(struct store_hold *h);

enum store_kind store_item_kind(const struct store_item *it);
/* A string's bytes. Of a collection: how it is kept, for nobody outside store/. */
struct slice store_item_value(const struct store_item *it);
struct slice store_item_key(const struct store_item *it);
/* A string that store_edit() has changed since it was put whole (OBJECT ENCODING: raw). */
bool store_item_was_edited(const struct store_item *it);
/* Monotonic ms; 0: none. */
uint64_t store_item_expiry(const struct store_item *it);
/* 0 and no deps when the item is not followed. */
fresh_pos store_item_stamp(const struct store_item *it);
const fresh_dep *store_item_deps(const struct store_item *it, uint32_t *ret_count);
/* Bytes the allocator spends on it (MEMORY USAGE). */
size_t store_item_bytes(const struct store_item *it);
/* Seconds since last use, hits counted (OBJECT IDLETIME/FREQ): approximate, 0 when unknown. */
uint32_t store_item_hits(const struct store_item *it);

/* --- writing ------------------------------------------------------------------------------------ */

/* A write may move or evict other items of the space: pointers and slices into items are good until
 * the next write by the same thread. Value and dependencies of a write may themselves be slices of
 * a stored item (RENAME, COPY); the key of a hold may not. */

struct store_write {
    struct slice value;
    uint64_t expiry_ms; /* monotonic; 0: none */
    fresh_pos stamp;    /* with deps; ignored when dep_count is 0 */
    const fresh_dep *deps;
    uint32_t dep_count;
    uint32_t cost_us; /* what the fill cost; 0: unknown. For eviction's worth. */
};

/* Stores or replaces. ERR_NOSPACE: space full and eviction cannot help (the old value stays). The
 * caller has judged the stamp; a mark raised since makes the entry absent at its first lookup. */
enum err store_put(struct store_hold *h, const struct store_write *w);
/* A new value of `len` bytes with everything else (expiry, stamp, deps) kept from the live item, or
 * fresh metadata `meta` when the key is absent. Bytes up to min(old len, len) are kept, the rest
 * are zero; `ret_value` points at the value to be edited in place. For APPEND, SETRANGE, SETBIT,
 * INCR. */
enum err store_edit(struct store_hold *h, size_t len, const struct store_write *meta,
                    char **ret_value);
bool store_remove(struct store_hold *h);
/* After bytes given out by store_edit() were written: logs [offset, offset + len) of the value as
 * the effect. Call it before the hold is dropped, and after each store_edit(). */
void store_edited(struct store_hold *h, size_t offset, size_t len);
/* A whole value of any kind to another key (RENAME, COPY): `meta` says expiry, stamp and
 * dependencies of the new one, which replaces what was there. Both held, inside store_own().
 * ERR_NOSPACE changes nothing. Moving leaves no source behind, and moves no elements within a
 * shard's pool. */
enum err store_copy(struct store_hold *from, struct store_hold *to, const struct store_write *meta);
enum err store_move(struct store_hold *from, struct store_hold *to, const struct store_write *meta);
/* A whole new value of any kind, made step by step, that takes the place of the old one at once or
 * not at all (SUNIONSTORE, SORT STORE, RESTORE): writes with a meta of nothing go through `hold`;
 * nobody sees, remembers or evicts what they make. Inside store_own(), with the target held; end it
 * before that ends, with one of the two. */
struct store_draft {
    struct store_hold hold;
    char name[16];
};
void store_draft_begin(const struct store_hold *target, struct store_draft *ret_draft);
/* As store_move(): something must have been written. ERR_NOSPACE: the target is as it was. */
enum err store_draft_publish(struct store_draft *d, struct store_hold *target,
                             const struct store_write *meta);
void store_draft_discard(struct store_draft *d);
/* False when the key is absent. 0 removes the expiry. May move the item. */
enum err store_expire(struct store_hold *h, uint64_t expiry_ms, bool *ret_found);
/* Gives the live item of any kind this stamp and these dependencies (not the item's own memory) in
 * place of what it had. S4: a stamp that it had may only be lowered. May move the item. */
enum err store_depend(struct store_hold *h, fresh_pos stamp, const fresh_dep *deps, uint32_t count);
/* Did the space of this database, which never evicts, lately refuse a small write, and has nothing
 * been written or removed in it since? Or has a limit below its budget no room for anything? Then a
 * write need not be tried. */
bool store_is_full(const struct store *s, uint32_t db);
/* The item has come to hold something that was true as of `stamp`: its own stamp, if it has one, is
 * that or older from now on. In place; absent keys stay absent. */
void store_lower_stamp(struct store_hold *h, fresh_pos stamp);

/* --- whole databases ---------------------------------------------------------------------------- */

/* Keys counted, including those expired or outdated but not yet found out. */
uint64_t store_db_size(struct store *s, uint32_t db);
/* How many of them have an expiry. */
uint64_t store_db_expiring(struct store *s, uint32_t db);
/* Empties a database. Needs store_own(). */
void store_db_flush(struct store *s, uint32_t db);
/* Exchanges two databases (SWAPDB). Needs store_own(). False, and nothing happens, when they belong to
 * different spaces: their budgets and promises differ. */
bool store_db_swap(struct store *s, uint32_t a, uint32_t b, uint64_t now_ms);

/* One step of a cursor walk over a database. Visits at least every key that stays for the whole
 * walk. `cursor` 0 starts, returned 0 ends; the cursor survives growth of the index and deletions.
 * `visit` sees live items only (with `now_ms` 0 also what is expired or unproven now) and must not
 * call the store. Locks one shard at a time; visits about `count` keys. */
typedef void store_visit_fn(void *arg, const struct store_item *it);
uint64_t store_scan(struct store *s, struct store_gate *g, uint32_t db, uint64_t cursor,
                    uint32_t count, uint64_t now_ms, store_visit_fn *visit, void *arg);
/* The same for a client (SCAN): what it finds expired or outdated it removes, as a lookup would. */
uint64_t store_scan_tidily(struct store *s, struct store_gate *g, uint32_t db, uint64_t cursor,
                           uint32_t count, uint64_t now_ms, store_visit_fn *visit, void *arg);
/* Random bits for drawing lots, not for secrets; the gate's thread. */
uint32_t store_draw(struct store_gate *g);
/* A random live key, copied into `out`; false when the database is empty. */
struct buf;
bool store_random_key(struct store *s, struct store_gate *g, uint32_t db, uint64_t now_ms,
                      struct buf *out);

/* --- remembering -------------------------------------------------------------------------------- */

struct journal;
/* Where the effects of durable spaces go (journal.h); NULL when no space is durable. */
struct journal *store_journal(const struct store *s);
/* Whether changes leave effects, as they do at first. Off while the log is read back: before other
 * threads change durable spaces. */
void store_remember(struct store *s, bool remembers);
/* Has this gate's thread appended to the journal since it last asked? */
bool store_gate_journalled(struct store_gate *g);
/* Leaves what rebuilds the held key as its effect, if it is live: nothing changes. */
void store_dump(struct store_hold *h);
/* The same for a collection in parts, each in a hold of its own: leaves effects that add about so many bytes of its
 * elements to the key `aside`, from `*rank` on, which moves; behind the last one what puts that value in place of the
 * held key's. True: it is done. The collection must be as it was at rank 0 (store_watch). */
bool store_dump_part(struct store_hold *h, struct slice aside, uint64_t *rank, size_t max_bytes);
/* What was put aside is void. */
void store_dump_void(struct store_hold *h, struct slice aside);

/* --- upkeep ------------------------------------------------------------------------------------- */

/* Removes expired items, a bounded amount per call; returns how many. Call a few times a second. */
uint32_t store_expire_some(struct store *s, struct store_gate *g, uint64_t now_ms);
/* Debug: walks everything and checks S1 and the structures' own invariants. Needs store_own(). */
void store_validate(struct store *s);

#endif
