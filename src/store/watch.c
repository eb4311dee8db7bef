/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WATCH: who wants to know when a key changes.
 *
 * Watches live in their connections and hang on one list per shard. A write asks the list only when
 * there is one, so keys that nobody watches (nearly always all of them) pay one load. A watch names
 * a database by number; items know their table; SWAPDB and flushing go through watch_touch_table().
 *
 * Threads: the shard's lock guards list and flags.
 */
#include "store/priv.h"

#include "base/check.h"

static struct slice watch_key(const struct store_watch *w)
{
    return (struct slice){w->key, w->key_len};
}

static struct shard *enter_shard_of(struct store *s, struct store_gate *g,
                                    const struct store_watch *w)
{
    struct shard *sh = store_shard_of(s, w->hash);
    store_enter(g, sh);
    return sh;
}

void watch_touch(struct shard *sh, uint32_t table, uint64_t hash, struct slice key)
{
    for (struct store_watch *w = sh->watches; w != NULL; w = w->next) {
        if (w->hash == hash && store_table_of(sh->store, w->db) == table &&
            slice_eq(watch_key(w), key)) {
            __atomic_store_n(&w->dirty, true, __ATOMIC_RELEASE);
        }
    }
}

static bool lives_in(const struct table *t, const struct store_watch *w, uint64_t now_ms)
{
    struct table_at at = table_find(t, w->hash, watch_key(w));
    uint64_t expiry_ms = at.bucket != NULL ? item_expiry(table_item(t, at)) : 0;
    return at.bucket != NULL && (expiry_ms == 0 || expiry_ms > now_ms);
}

void watch_touch_table(struct shard *sh, uint32_t table, uint32_t holder, uint64_t now_ms)
{
    for (struct store_watch *w = sh->watches; w != NULL; w = w->next) {
        if (store_table_of(sh->store, w->db) == table && lives_in(&sh->tables[holder], w, now_ms)) {
            __atomic_store_n(&w->dirty, true, __ATOMIC_RELEASE);
        }
    }
}

void store_watch_add(struct store_hold *h, struct store_watch *w)
{
    struct shard *sh = h->shard;
    w->hash = h->hash;
    w->db = h->db;
    w->was_present = store_peek(h, NULL) != NULL;
    w->dirty = false;
    w->next = sh->watches;
    sh->watches = w;
}

void store_watch_remove(struct store *s, struct store_gate *g, struct store_watch *w)
{
    struct shard *sh = enter_shard_of(s, g, w);
    struct store_watch **at = &sh->watches;
    while (*at != NULL && *at != w) {
        at = &(*at)->next;
    }
    check(*at == w);
    *at = w->next;
    store_leave(g, sh);
}

bool store_watch_dirty(struct store *s, struct store_gate *g, struct store_watch *w,
                       uint64_t now_ms)
{
    struct store_hold h;
    bool was_dirty = __atomic_load_n(&w->dirty, __ATOMIC_ACQUIRE);
    store_hold(s, g, w->db, watch_key(w), now_ms,
               &h); /* removing a dead one marks the watch, which may have seen none */
    bool is_present = store_peek(&h, NULL) != NULL; /* a death that nobody noticed shows here */
    store_drop(&h);
    return was_dirty || is_present != w->was_present;
}
