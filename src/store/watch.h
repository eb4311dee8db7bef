/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch: who learns that a key has changed, whoever changed it and however: written, removed,
 * expired, evicted, outdated by a commit, flushed.
 *
 *      WATCH              one client, one key: a flag is set under the shard's lock
 *      touched keys       notes in the shard, taken by those who react (serve/touched.c): blocked clients,
 *                         client-side caching, keyspace events
 *
 * While nobody asks, both cost a write a load.
 *
 * Threads: as each function says.
 */
#ifndef STORE_WATCH_H
#define STORE_WATCH_H

#include "store/store.h"

/* --- WATCH -------------------------------------------------------------------------------------- */

/* `dirty` is set when the key is next written, removed, expired away or flushed.
 * The watch is embedded in the caller; remove it before freeing. */
struct store_watch {
    struct store_watch *next; /* shard lock, with the rest */
    uint64_t hash;
    uint32_t db;
    bool was_present;
    bool dirty; /* shard lock; read it with store_watch_dirty() */
    char *key;
    size_t key_len;
};
void store_watch_add(struct store_hold *h, struct store_watch *w);
void store_watch_remove(struct store *s, struct store_gate *g, struct store_watch *w);
/* Also true when the key was live when watched and has since expired or become outdated. */
bool store_watch_dirty(struct store *s, struct store_gate *g, struct store_watch *w,
                       uint64_t now_ms);

/* --- touched keys ------------------------------------------------------------------------------- */

/* While somebody observes a key, each change of it is noted in its shard, for those who react to
 * keys (blocked clients, client-side caching, keyspace events of expiry and eviction). */
enum store_touch {
    STORE_TOUCH_WRITTEN,
    STORE_TOUCH_REMOVED,
    STORE_TOUCH_EXPIRED,
    STORE_TOUCH_EVICTED,
    STORE_TOUCH_OUTDATED,
    STORE_TOUCH_FLUSHED, /* the whole database; no key */
};
/* Counts observers of every key up or down; any thread. */
void store_observe(struct store *s, int change);
/* The same for one key's name, in whatever database; any thread. Seen by every hold that begins
 * later. */
void store_observe_key(struct store *s, struct slice key, int change);
/* Has somebody asked for this key's name? Sometimes true for another one's. A load and a hash; of
 * those who observe every key it says nothing. */
bool store_key_observed(const struct store *s, struct slice key);
/* Is there anything to take? One relaxed load. */
bool store_touched(const struct store *s);
/* Takes what was noted, oldest first within a shard. `fn` must not call the store. Not while
 * something is held; inside an ownership is fine. */
typedef void store_touch_fn(void *arg, enum store_touch what, uint32_t db, struct slice key);
void store_touched_take(struct store *s, struct store_gate *g, store_touch_fn *fn, void *arg);

#endif
