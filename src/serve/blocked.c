/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that wait for keys, on every worker, in one registry. How a wait begins and ends is in
 * blocked_wait.c, who is served when a key changes in blocked_serve.c.
 *
 *      struct waiter (a client's wait) ──< links >── struct wait_key (db, key): waiters in order of arrival
 *
 * A wait's life:
 *
 *      block_run: own, attempt, nothing ─> WAITING, connection parked
 *      a note of one of its keys ─> blocked_serve: the hand runs the command, has a reply ─┐
 *      timeout, CLIENT UNBLOCK, server stops ──────────────────────────────────────────────┼─> ENDED ─> deliver
 *      connection closes: leave() ─> freed                                                 ┘
 *
 * The *hand* is a client without a connection (detached.h), one a worker, that runs commands on
 * behalf of waiters. A reply is carried to the waiter's worker by mail, or given at once when it is
 * the same one.
 *
 * Redis runs a blocked client's command again, too, when a key is ready (since 7.2); so a client
 * that waits for two keys is served from the first of them in its own order, and a key that has
 * become another kind of value wakes nobody.
 *
 * Invariants:
 *   BK1. The registry, and every waiter's state, is touched only by who owns the store. So a waiter is
 *        either served or cancelled, and whoever wrote a key before the wait began was seen by the attempt.
 *   BK2. A waiter that has ENDED is in no list, and belongs to its mail or its deliverer.
 *   BK3. `client` and `timer` are touched by the client's worker only.
 *   BK4. A wait_key has a waiter, or is being served.
 *
 * Threads: any worker, under BK1 and BK3.
 */
#include "serve/blocked_priv.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "serve/user.h"

#include <stdlib.h>

uint32_t blocked_count(const struct server *s)
{
    return atomic_load_explicit(&s->blocked->count, memory_order_relaxed);
}

uint32_t blocked_keys(const struct server *s)
{
    return atomic_load_explicit(&s->blocked->key_count, memory_order_relaxed);
}

/* --- keys --------------------------------------------------------------------------------------- */

static uint64_t hash_of(uint32_t db, struct slice key)
{
    return hash_mix(hash_slice(key), db);
}

struct wait_key *wait_key_find(const struct blocked *b, uint32_t db, struct slice key)
{
    for (struct map_node *n = map_find(&b->keys, hash_of(db, key)); n != NULL;
         n = map_find_next(n)) {
        struct wait_key *k = container_of(n, struct wait_key, node);
        if (k->db == db && slice_eq(wait_key_name(k), key)) {
            return k;
        }
    }
    return NULL;
}

static struct wait_key *find_or_add_key(struct blocked *b, uint32_t db, struct slice key)
{
    struct wait_key *k = wait_key_find(b, db, key);
    if (k != NULL) {
        return k;
    }
    k = xcalloc(1, sizeof(*k) + key.len);
    list_init(&k->waiters);
    k->db = db;
    k->len = key.len;
    memcpy(k->name, key.ptr, key.len);
    map_add(&b->keys, &k->node, hash_of(db, key));
    atomic_store_explicit(&b->key_count, b->keys.count, memory_order_relaxed);
    return k;
}

void wait_key_drop_if_unused(struct blocked *b, struct wait_key *k)
{
    if (list_empty(&k->waiters) && !k->serving) {
        map_remove(&b->keys, &k->node);
        atomic_store_explicit(&b->key_count, b->keys.count, memory_order_relaxed);
        free(k);
    }
}

/* --- waiters ------------------------------------------------------------------------------------ */

/* A key that is named twice in one command: this waiter is its last, since it is put in line
 * without a break. */
static bool is_last_of(const struct waiter *w, const struct wait_key *k)
{
    return !list_empty(&k->waiters) &&
           container_of(k->waiters.prev, struct wait_link, node)->waiter == w;
}

static void link_keys(struct blocked *b, struct waiter *w, const struct block *block)
{
    w->links = xcalloc(block->key_count, sizeof(*w->links));
    for (uint32_t i = 0; i < block->key_count; i++) {
        struct wait_key *k = find_or_add_key(b, w->db, block->keys[i]);
        if (is_last_of(w, k)) {
            continue;
        }
        struct wait_link *link = &w->links[w->link_count++];
        link->waiter = w;
        link->key = k;
        list_push_back(&k->waiters, &link->node);
        store_observe_key(w->worker->server->store, block->keys[i], 1);
    }
}

static void copy_command(struct waiter *w, const struct slice *argv, uint32_t argc)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < argc; i++) {
        bytes += argv[i].len;
    }
    w->argv = xmalloc(argc * sizeof(*w->argv) + bytes);
    w->argc = argc;
    char *to = (char *)(w->argv + argc);
    for (uint32_t i = 0; i < argc; i++) {
        memcpy(to, argv[i].ptr, argv[i].len);
        w->argv[i] = (struct slice){to, argv[i].len};
        to += argv[i].len;
    }
}

static void count_by(struct blocked *b, int change)
{
    uint32_t count = atomic_load_explicit(&b->count, memory_order_relaxed);
    atomic_store_explicit(&b->count, count + (uint32_t)change, memory_order_relaxed);
}

void waiter_enter(struct blocked *b, struct waiter *w, const struct block *block)
{
    copy_command(w, block->argv, block->argc);
    link_keys(b, w, block);
    list_push_back(&b->waiters, &w->node);
    count_by(b, 1);
}

void waiter_leave(struct blocked *b, struct waiter *w)
{
    for (uint32_t i = 0; i < w->link_count; i++) {
        struct wait_key *k = w->links[i].key;
        list_remove(&w->links[i].node);
        store_observe_key(w->worker->server->store, wait_key_name(k), -1);
        wait_key_drop_if_unused(b, k);
    }
    list_remove(&w->node);
    count_by(b, -1);
    w->state = WAIT_ENDED;
}

void waiter_free(struct waiter *w)
{
    user_unref(w->user);
    free(w->links);
    free(w->argv);
    buf_fini(&w->reply);
    free(w);
}

/* --- life --------------------------------------------------------------------------------------- */

struct blocked *blocked_create(void)
{
    struct blocked *b = xcalloc(1, sizeof(*b));
    list_init(&b->waiters);
    map_init(&b->keys);
    return b;
}

void blocked_destroy(struct blocked **bp)
{
    struct blocked *b = *bp;
    *bp = NULL;
    if (b != NULL) {
        list_for_each (node, &b->waiters) { /* that could not leave any more */
            struct waiter *w = container_of(node, struct waiter, node);
            waiter_leave(b, w);
            waiter_free(w);
        }
        check(b->keys.count == 0);
        map_fini(&b->keys);
        free(b);
    }
}
