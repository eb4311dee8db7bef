/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that wait for keys, on every worker, in one registry.
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
 * The *hand* is a client without a connection (detached.h), one a worker, that runs commands on behalf of
 * waiters. A reply is carried to the waiter's worker by mail, or given at once when it is the same one.
 *
 * Redis runs a blocked client's command again, too, when a key is ready (since 7.2); so a client that waits
 * for two keys is served from the first of them in its own order, and a key that has become another kind of
 * value wakes nobody.
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
#include "serve/blocked.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "serve/detached.h"
#include "serve/durable.h"

#include <stdlib.h>

enum { BUCKETS_MIN = 64, AGAIN_MS = 10 }; /* a timeout waits while a script owns the store */

enum wait_state { WAIT_WAITING, WAIT_ENDED };

struct wait_key {
    struct wait_key *next; /* in its bucket */
    struct list waiters;   /* of links, in order of arrival */
    uint64_t hash;
    uint32_t db;
    bool serving; /* somebody walks over `waiters` */
    size_t len;
    char name[];
};

struct wait_link {
    struct list node;
    struct waiter *waiter;
    struct wait_key *key;
};

struct waiter {
    struct mail mail;
    struct list node;      /* all of them, in order of arrival */
    struct worker *worker; /* the client's; immutable, with what follows up to `links` */
    uint64_t id;           /* of the connection */
    const struct command *cmd;
    uint32_t db;
    int proto;
    enum store_kind kind;
    bool silent; /* CLIENT REPLY says so */
    bool no_touch;
    struct slice *argv; /* with its bytes in the same piece of memory */
    uint32_t argc;
    struct wait_link *links; /* one for each different key */
    uint32_t link_count;
    enum wait_state state;      /* store's owner */
    struct buf reply;           /* from ENDED on */
    struct resp_client *client; /* client's worker; NULL: gone */
    struct timer timer;         /* client's worker */
    _Atomic bool is_gone;       /* release: leave(); acquire: serve_waiter() */
};

struct blocked {
    _Atomic uint32_t count; /* written by the store's owner, read relaxed by anyone */
    struct list waiters;
    struct wait_key **buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t key_count;
};

uint32_t blocked_count(const struct server *s)
{
    return atomic_load_explicit(&s->blocked->count, memory_order_relaxed);
}

/* --- keys --------------------------------------------------------------------------------------- */

static uint64_t hash_of(uint32_t db, struct slice key)
{
    return hash_slice(key) + db;
}

static struct wait_key **bucket_of(struct blocked *b, uint64_t hash)
{
    return &b->buckets[hash & (b->bucket_count - 1)];
}

static struct wait_key *find_key(struct blocked *b, uint32_t db, struct slice key)
{
    uint64_t hash = hash_of(db, key);
    for (struct wait_key *k = *bucket_of(b, hash); k != NULL; k = k->next) {
        if (k->hash == hash && k->db == db && slice_eq((struct slice){k->name, k->len}, key)) {
            return k;
        }
    }
    return NULL;
}

static void grow(struct blocked *b)
{
    struct wait_key **old = b->buckets;
    uint32_t old_count = b->bucket_count;
    b->bucket_count *= 2;
    b->buckets = xcalloc(b->bucket_count, sizeof(struct wait_key *));
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct wait_key *k = old[i];
            old[i] = k->next;
            struct wait_key **to = bucket_of(b, k->hash);
            k->next = *to;
            *to = k;
        }
    }
    free(old);
}

static struct wait_key *add_key(struct blocked *b, uint32_t db, struct slice key)
{
    struct wait_key *k = find_key(b, db, key);
    if (k != NULL) {
        return k;
    }
    if (b->key_count == b->bucket_count) {
        grow(b);
    }
    k = xcalloc(1, sizeof(*k) + key.len);
    list_init(&k->waiters);
    k->hash = hash_of(db, key);
    k->db = db;
    k->len = key.len;
    memcpy(k->name, key.ptr, key.len);
    struct wait_key **to = bucket_of(b, k->hash);
    k->next = *to;
    *to = k;
    b->key_count++;
    return k;
}

static void drop_key_if_unused(struct blocked *b, struct wait_key *k)
{
    if (!list_empty(&k->waiters) || k->serving) {
        return;
    }
    struct wait_key **at = bucket_of(b, k->hash);
    while (*at != k) {
        at = &(*at)->next;
    }
    *at = k->next;
    b->key_count--;
    free(k);
}

/* --- waiters ------------------------------------------------------------------------------------ */

static bool waits_for(const struct waiter *w, const struct wait_key *k)
{
    for (uint32_t i = 0; i < w->link_count; i++) {
        if (w->links[i].key == k) {
            return true;
        }
    }
    return false;
}

static void link_keys(struct blocked *b, struct waiter *w, const struct block *block)
{
    w->links = xcalloc(block->key_count, sizeof(*w->links));
    for (uint32_t i = 0; i < block->key_count; i++) {
        struct wait_key *k = add_key(b, w->db, block->keys[i]);
        if (waits_for(w, k)) {
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

/* Takes a waiter out of the registry; needs the store. */
static void unlink_waiter(struct blocked *b, struct waiter *w)
{
    for (uint32_t i = 0; i < w->link_count; i++) {
        struct wait_key *k = w->links[i].key;
        list_remove(&w->links[i].node);
        store_observe_key(w->worker->server->store, (struct slice){k->name, k->len}, -1);
        drop_key_if_unused(b, k);
    }
    list_remove(&w->node);
    count_by(b, -1);
    w->state = WAIT_ENDED;
}

static void free_waiter(struct waiter *w)
{
    free(w->links);
    free(w->argv);
    buf_fini(&w->reply);
    free(w);
}

/* --- the end of a wait -------------------------------------------------------------------------- */

/* The one way by which a reply reaches a client that was blocked. Client's worker. */
static void deliver(struct waiter *w)
{
    struct resp_client *c = w->client;
    timer_stop(&w->timer);
    if (c != NULL) {
        c->waiter = NULL;
        if (!w->silent) {
            buf_append_slice(&c->conn.out, buf_readable(&w->reply));
        }
        conn_dirty(&c->conn);
        conn_resume(&c->conn);
        durable_hold(c);
    }
    free_waiter(w);
}

static void reply_arrived(struct mail *m)
{
    struct waiter *w = container_of(m, struct waiter, mail);
    if (w->client != NULL) {
        w->client->served_by_other = true;
    }
    deliver(w);
}

/* With the reply in place and the store owned; `at` is this thread's worker. */
static void end_wait(struct worker *at, struct waiter *w)
{
    unlink_waiter(at->server->blocked, w);
    if (at == w->worker) {
        deliver(w);
    } else {
        mailbox_post(loop_mailbox(w->worker->loop), &w->mail, reply_arrived);
    }
}

static void end_with_nothing(struct worker *at, struct waiter *w, bool with_error)
{
    if (with_error) {
        resp_error(&w->reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    } else {
        resp_null_array(&w->reply, w->proto);
    }
    end_wait(at, w);
}

static void timed_out(struct timer *t)
{
    struct waiter *w = container_of(t, struct waiter, timer);
    struct worker *at = w->worker;
    if (!worker_own_try(at)) {
        timer_start(at->loop, t, AGAIN_MS, timed_out);
        return;
    }
    if (w->state == WAIT_WAITING) {
        end_with_nothing(at, w, false);
    }
    worker_disown(at);
}

/* A waiter without a client. While a long script owns the store it stays in line, and is passed over. */
static void leave(struct timer *t)
{
    struct waiter *w = container_of(t, struct waiter, timer);
    struct worker *at = w->worker;
    if (!worker_own_try(at)) {
        atomic_store_explicit(&w->is_gone, true, memory_order_release);
        timer_start(at->loop, t, AGAIN_MS, leave);
        return;
    }
    bool waits = w->state == WAIT_WAITING; /* if not, it is its mail's */
    if (waits) {
        unlink_waiter(at->server->blocked, w);
    }
    worker_disown(at);
    if (waits) {
        free_waiter(w);
    }
}

void blocked_forget(struct resp_client *c)
{
    struct waiter *w = c->waiter;
    if (w != NULL) {
        c->waiter = NULL;
        w->client = NULL;
        timer_stop(&w->timer);
        leave(&w->timer);
    }
}

bool blocked_end(struct worker *at, uint64_t id, bool with_error)
{
    bool found = false;
    worker_own(at);
    list_for_each (node, &at->server->blocked->waiters) {
        struct waiter *w = container_of(node, struct waiter, node);
        if (w->id == id) {
            end_with_nothing(at, w, with_error);
            found = true;
            break;
        }
    }
    worker_disown(at);
    return found;
}

bool blocked_give_up(struct resp_client *c)
{
    struct waiter *w = c->waiter;
    if (w == NULL || !worker_own_try(c->worker)) {
        return false;
    }
    bool waits = w->state == WAIT_WAITING;
    worker_disown(c->worker);
    if (waits) {
        conn_close(&c->conn); /* and blocked_forget() by it */
    }
    return waits;
}

/* --- waiting ------------------------------------------------------------------------------------ */

static void wait_for(struct resp_client *c, const struct block *block)
{
    struct blocked *b = c->worker->server->blocked;
    struct waiter *w = xcalloc(1, sizeof(*w));
    w->worker = c->worker;
    w->client = c;
    w->id = c->conn.id;
    w->cmd = c->last;
    w->db = c->db;
    w->proto = c->proto;
    w->kind = block->kind;
    w->silent = c->reply == REPLY_OFF || c->reply == REPLY_SKIPPING;
    w->no_touch = c->no_touch;
    buf_init(&w->reply);
    copy_command(w, block->argv, block->argc);
    link_keys(b, w, block);
    list_push_back(&b->waiters, &w->node);
    count_by(b, 1);
    c->waiter = w;
    if (block->timeout_ms > 0) {
        timer_start(c->worker->loop, &w->timer, block->timeout_ms, timed_out);
    }
    conn_park(&c->conn);
}

static void reply_nothing(struct resp_client *c, const struct block *b)
{
    if (b->null_is_value) {
        reply_null(c);
    } else {
        resp_null_array(&c->conn.out, c->proto);
    }
}

void block_run(struct resp_client *c, const struct block *b)
{
    bool may_wait = !c->in_exec && !c->detached;
    c->would_block = false;
    if (!may_wait) {
        if (!b->attempt(c, b->args)) {
            c->would_block = true;
            reply_nothing(c, b);
        }
        return;
    }
    client_own(c); /* from the attempt to wait_for() nobody writes */
    if (!b->attempt(c, b->args)) {
        wait_for(c, b);
    }
    client_disown(c);
}

/* --- serving ------------------------------------------------------------------------------------ */

bool blocked_may_feed_now(const struct worker *w, const struct command *cmd,
                          const struct slice *argv, uint32_t argc)
{
    if (cmd->first_key == 0) {
        return true;
    }
    uint32_t last = cmd->last_key < 0 ? argc - (uint32_t)-cmd->last_key : (uint32_t)cmd->last_key;
    for (uint32_t i = (uint32_t)cmd->first_key; i <= last && i < argc;
         i += (uint32_t)cmd->key_step) {
        if (store_key_observed(w->server->store, argv[i])) {
            return true;
        }
    }
    return false;
}

struct fed_head {
    enum store_touch what;
    uint32_t db;
    size_t len;
};

void blocked_note(const struct worker *w, enum store_touch what, uint32_t db, struct slice key,
                  struct buf *ret_fed)
{
    bool feeds = what == STORE_TOUCH_FLUSHED || /* exchanged, perhaps */
                 (what == STORE_TOUCH_WRITTEN && store_key_observed(w->server->store, key));
    if (feeds && blocked_count(w->server) > 0) {
        struct fed_head head = {.what = what, .db = db, .len = key.len};
        buf_append(ret_fed, &head, sizeof(head));
        buf_append_slice(ret_fed, key);
    }
}

static struct resp_client *hand_of(struct worker *w)
{
    if (w->hand == NULL) {
        w->hand = detached_create(w);
    }
    return w->hand;
}

/* False: there is still nothing for it. */
static bool serve_waiter(struct worker *at, struct waiter *w)
{
    if (atomic_load_explicit(&w->is_gone, memory_order_acquire)) {
        return false;
    }
    struct resp_client *hand = hand_of(at);
    hand->proto = w->proto;
    hand->no_touch = w->no_touch;
    (void)client_select(hand, w->db);
    hand->would_block = false;
    resp_perform(hand, w->cmd, w->argv, w->argc);
    if (hand->would_block) {
        buf_clear(&hand->conn.out);
        return false;
    }
    w->reply = hand->conn.out;
    buf_init(&hand->conn.out);
    end_wait(at, w);
    return true;
}

/* False: no value. */
static bool kind_of_key(struct worker *at, const struct wait_key *k, enum store_kind *ret_kind)
{
    struct store_hold h;
    store_hold(at->server->store, at->gate, k->db, (struct slice){k->name, k->len},
               loop_now_ms(at->loop), &h);
    const struct store_item *it = store_peek(&h, NULL);
    if (it != NULL) {
        *ret_kind = store_item_kind(it);
    }
    store_drop(&h);
    return it != NULL;
}

/* While one waiter is served, no other leaves the list: it ends its own wait only. */
static void serve_key(struct worker *at, struct wait_key *k)
{
    k->serving = true;
    enum store_kind kind;
    struct list *node = k->waiters.next;
    while (node != &k->waiters && kind_of_key(at, k, &kind)) {
        struct waiter *w = container_of(node, struct wait_link, node)->waiter;
        node = node->next;
        if (w->kind == kind) {
            (void)serve_waiter(at, w);
        }
    }
    k->serving = false;
    drop_key_if_unused(at->server->blocked, k);
}

/* SWAPDB: any key of the database may have come into being. */
static void serve_database(struct worker *at, uint32_t db)
{
    struct blocked *b = at->server->blocked;
    struct buf names; /* serving changes the buckets */
    buf_init(&names);
    for (uint32_t i = 0; i < b->bucket_count; i++) {
        for (const struct wait_key *k = b->buckets[i]; k != NULL; k = k->next) {
            if (k->db == db) {
                blocked_note(at, STORE_TOUCH_WRITTEN, db, (struct slice){k->name, k->len}, &names);
            }
        }
    }
    blocked_serve(at, &names);
    buf_fini(&names);
}

bool blocked_serve(struct worker *at, struct buf *fed)
{
    if (!worker_own_try(at)) {
        return false;
    }
    struct buf keys = *fed; /* serving feeds others */
    buf_init(fed);
    loop_read_clock(at->loop); /* what was pushed by a long transaction may have expired by now */
    struct slice rest = buf_readable(&keys);
    while (rest.len > 0) {
        struct fed_head head;
        memcpy(&head, rest.ptr, sizeof(head));
        struct slice key = {rest.ptr + sizeof(head), head.len};
        rest = slice_from(rest, sizeof(head) + head.len);
        struct wait_key *k =
            head.what == STORE_TOUCH_WRITTEN ? find_key(at->server->blocked, head.db, key) : NULL;
        if (k != NULL) {
            serve_key(at, k);
        } else if (head.what == STORE_TOUCH_FLUSHED) {
            serve_database(at, head.db);
        }
    }
    buf_fini(&keys);
    worker_disown(at);
    return true;
}

/* --- life --------------------------------------------------------------------------------------- */

struct blocked *blocked_create(void)
{
    struct blocked *b = xcalloc(1, sizeof(*b));
    list_init(&b->waiters);
    b->bucket_count = BUCKETS_MIN;
    b->buckets = xcalloc(b->bucket_count, sizeof(struct wait_key *));
    return b;
}

void blocked_destroy(struct blocked **bp)
{
    struct blocked *b = *bp;
    *bp = NULL;
    if (b != NULL) {
        list_for_each (node, &b->waiters) { /* that could not leave any more */
            struct waiter *w = container_of(node, struct waiter, node);
            unlink_waiter(b, w);
            free_waiter(w);
        }
        check(b->key_count == 0);
        free(b->buckets);
        free(b);
    }
}
