/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two tables under one lock:
 *
 *   trackers  number of a client ─> what it has asked for
 *   keys      key ─> numbers of the clients that have read it (default mode)
 *
 * A key leaves the table when it changes, with all its readers: each is told once. Clients that have gone are
 * found out then. Beyond `tracking-table-max-keys` an old key leaves, and its readers are told as if it had
 * changed.
 *
 * A reader is noted before and after the command that reads. A change before the read takes the first note; one
 * between read and second note takes it too, and since its message is delivered by the reader's own worker it
 * follows the reply. So nobody keeps an old value without having been told.
 *
 * Changes are gathered while the store's notes are taken (w->changed) and sent when nothing is held: a message a
 * key in default mode, one message with all its keys for a BCAST client.
 *
 * NOLOOP needs to know whose a change is. Commands that write run with the store owned for such clients, notes
 * of others having been taken before, so what is noted then is theirs (w->author).
 *
 * Keys of all databases are one namespace here, as in Redis.
 *
 * Threads: any worker's. Lock: rank watch; never held while publishing.
 */
#include "serve/tracker.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "serve/command_keys.h"
#include "serve/events.h"
#include "serve/pubsub.h"

#include <stdlib.h>

enum { BUCKETS_MIN = 256, FLUSH_HEAD = UINT32_MAX };

struct tracked_key {
    struct tracked_key *next; /* lock: the bucket's chain */
    struct list node;         /* oldest first */
    uint64_t hash;
    uint32_t reader_count;
    uint32_t reader_cap;
    uint64_t *readers;
    size_t len;
    char text[];
};

struct tracking {
    struct lock lock;
    struct tracker *trackers[BUCKETS_MIN];
    struct list all;
    struct list keys; /* oldest first */
    struct tracked_key **buckets;
    uint32_t bucket_count;
    uint64_t key_count;
    uint64_t item_count;
    uint64_t prefix_count;
    _Atomic uint64_t client_count; /* relaxed: a figure */
};

/* --- tables: with the lock ------------------------------------------------------------------------ */

static struct tracker *find_tracker(const struct tracking *t, uint64_t id)
{
    struct tracker *k = t->trackers[id % BUCKETS_MIN];
    while (k != NULL && k->id != id) {
        k = k->next;
    }
    return k;
}

static struct tracked_key **find_key(const struct tracking *t, struct slice key, uint64_t hash)
{
    struct tracked_key **at = &t->buckets[hash & (t->bucket_count - 1)];
    while (*at != NULL &&
           ((*at)->hash != hash || !slice_eq((struct slice){(*at)->text, (*at)->len}, key))) {
        at = &(*at)->next;
    }
    return at;
}

static void grow_keys(struct tracking *t)
{
    uint32_t count = t->bucket_count * 2;
    struct tracked_key **buckets = xcalloc(count, sizeof(struct tracked_key *));
    for (uint32_t i = 0; i < t->bucket_count; i++) {
        struct tracked_key *next;
        for (struct tracked_key *k = t->buckets[i]; k != NULL; k = next) {
            next = k->next;
            k->next = buckets[k->hash & (count - 1)];
            buckets[k->hash & (count - 1)] = k;
        }
    }
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count = count;
}

static void free_key(struct tracking *t, struct tracked_key **at)
{
    struct tracked_key *k = *at;
    check(k != NULL);
    *at = k->next;
    list_remove(&k->node);
    t->key_count--;
    t->item_count -= k->reader_count;
    free(k->readers);
    free(k);
}

static struct tracked_key *add_key(struct tracking *t, struct slice key, uint64_t hash)
{
    if (t->key_count >= t->bucket_count) {
        grow_keys(t);
    }
    struct tracked_key *k = xcalloc(1, sizeof(*k) + key.len);
    memcpy(k->text, key.ptr, key.len);
    k->len = key.len;
    k->hash = hash;
    k->next = t->buckets[hash & (t->bucket_count - 1)];
    t->buckets[hash & (t->bucket_count - 1)] = k;
    list_push_back(&t->keys, &k->node);
    t->key_count++;
    return k;
}

static void add_reader(struct tracking *t, struct tracked_key *k, uint64_t id)
{
    for (uint32_t i = 0; i < k->reader_count; i++) {
        if (k->readers[i] == id) {
            return;
        }
    }
    if (k->reader_count == k->reader_cap) {
        k->reader_cap = k->reader_cap > 0 ? k->reader_cap * 2 : 2;
        k->readers = xrealloc(k->readers, k->reader_cap * sizeof(*k->readers));
    }
    k->readers[k->reader_count++] = id;
    t->item_count++;
}

/* --- noting ---------------------------------------------------------------------------------------- */

static struct tracking *tracking_of(const struct worker *w)
{
    return w->server->tracking;
}

static void note_change(struct worker *w, uint64_t author, struct slice key, bool is_flush)
{
    uint32_t len = is_flush ? FLUSH_HEAD : (uint32_t)key.len;
    buf_append(&w->changed, &author, sizeof(author));
    buf_append(&w->changed, &len, sizeof(len));
    if (!is_flush) {
        buf_append_slice(&w->changed, key);
    }
}

void tracking_note_change(struct worker *w, enum store_touch what, struct slice key)
{
    uint32_t alert = atomic_load_explicit(&w->server->alert, memory_order_relaxed);
    if ((alert & ALERT_TRACKING) != 0) {
        note_change(w, w->author, key, what == STORE_TOUCH_FLUSHED);
    }
}

static bool is_tracked_read(const struct resp_client *c, const struct command *cmd)
{
    const struct tracker *k = c->tracker;
    return k != NULL && !k->bcast && (cmd->flags & COMMAND_READONLY) != 0 &&
           (!k->optin || c->caching == CLIENT_CACHING_YES) &&
           (!k->optout || c->caching != CLIENT_CACHING_NO);
}

static void note_key(struct resp_client *c, struct slice key)
{
    struct tracking *t = tracking_of(c->worker);
    uint64_t hash = hash_slice(key);
    lock_acquire(&t->lock);
    struct tracked_key *k = *find_key(t, key, hash);
    bool is_new = k == NULL;
    k = is_new ? add_key(t, key, hash) : k;
    add_reader(t, k, c->conn.id);
    uint64_t max = setting_get(&c->worker->server->settings.tracking_keys_max);
    if (is_new && max > 0 && t->key_count > max) {
        struct tracked_key *old = container_of(t->keys.next, struct tracked_key, node);
        note_change(c->worker, 0, (struct slice){old->text, old->len}, false); /* then it leaves */
        list_remove(&old->node);
        list_push_back(&t->keys, &old->node); /* the next time it is another one's turn */
    }
    lock_release(&t->lock);
}

void tracking_note_read(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                        uint32_t argc)
{
    if (is_tracked_read(c, cmd)) {
        struct command_keys keys;
        bool found = command_keys_find(cmd, argv, argc, &keys);
        for (uint32_t r = 0; found && r < keys.run_count; r++) {
            for (uint32_t i = 0; i < keys.runs[r].count; i++) {
                note_key(c, argv[keys.runs[r].first + i * keys.runs[r].step]);
            }
        }
    }
}

void tracking_command_over(struct resp_client *c, const struct command *cmd)
{
    if (cmd->run != cmd_client_caching && !c->in_multi && !c->in_exec) {
        c->caching = CLIENT_CACHING_UNSAID;
    }
}

bool tracking_wants_author(const struct resp_client *c, const struct command *cmd)
{
    return __builtin_expect(c->tracker != NULL, 0) && c->tracker->noloop &&
           (cmd->run == cmd_exec || (cmd->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE)) != 0);
}

/* --- sending ------------------------------------------------------------------------------------------ */

static struct slice topic_name(const uint64_t *id)
{
    return (struct slice){(const char *)id, sizeof(*id)};
}

struct message_to {
    uint64_t id;
    uint64_t redirect;
    bool resp3;
};

/* Without the lock. A redirection that has gone is told to the client itself, once. */
static void send_payload(struct worker *w, struct message_to to, struct slice payload)
{
    struct tracking *t = tracking_of(w);
    uint64_t target = to.redirect != 0 ? to.redirect : to.id;
    if (pubsub_publish(w, TOPIC_CLIENT, topic_name(&target), payload) > 0 || to.redirect == 0) {
        return;
    }
    lock_acquire(&t->lock);
    struct tracker *k = find_tracker(t, to.id);
    bool tell = k != NULL && !k->broken;
    if (k != NULL) {
        k->broken = true;
    }
    lock_release(&t->lock);
    if (tell && to.resp3) {
        struct buf text;
        buf_init(&text);
        resp_push(&text, 3, 2);
        resp_bulk_str(&text, "tracking-redir-broken");
        resp_integer(&text, (int64_t)to.redirect);
        (void)pubsub_publish(w, TOPIC_CLIENT, topic_name(&to.id), buf_readable(&text));
        buf_fini(&text);
    }
}

bool tracking_frame(const struct resp_client *c, struct slice payload, struct buf *ret_frame)
{
    buf_clear(ret_frame);
    if (payload.ptr[0] == '>') {
        buf_append_slice(ret_frame, payload);
        return c->proto == 3;
    }
    if (c->proto == 3) {
        resp_push(ret_frame, 3, 2);
        resp_bulk_str(ret_frame, "invalidate");
    } else {
        resp_array(ret_frame, 3);
        resp_bulk_str(ret_frame, "message");
        resp_bulk_str(ret_frame, "__redis__:invalidate");
    }
    buf_append_slice(ret_frame, payload);
    return c->proto == 3 || client_is_subscribed(c);
}

static struct message_to address_of(const struct tracker *k)
{
    return (struct message_to){.id = k->id, .redirect = k->redirect, .resp3 = k->resp3};
}

/* With the lock: takes the key's readers out of the table. The caller frees them. */
static struct message_to *take_readers(struct tracking *t, struct slice key, uint64_t author,
                                       uint32_t *ret_count)
{
    struct tracked_key **at = find_key(t, key, hash_slice(key));
    uint32_t count = 0;
    struct message_to *to = NULL;
    if (*at != NULL) {
        to = xcalloc((*at)->reader_count, sizeof(*to));
        for (uint32_t i = 0; i < (*at)->reader_count; i++) {
            const struct tracker *k = find_tracker(t, (*at)->readers[i]);
            if (k != NULL && !k->bcast && !(k->noloop && k->id == author)) {
                to[count++] = address_of(k);
            }
        }
        free_key(t, at);
    }
    *ret_count = count;
    return to;
}

static bool has_prefix(const struct tracker *k, struct slice key)
{
    bool found = k->prefix_count == 0;
    for (uint32_t i = 0; i < k->prefix_count && !found; i++) {
        found = key.len >= k->prefixes[i].len &&
                memcmp(key.ptr, k->prefixes[i].ptr, k->prefixes[i].len) == 0;
    }
    return found;
}

/* With the lock. */
static void batch_change(struct tracking *t, struct slice key, uint64_t author)
{
    list_for_each (node, &t->all) {
        struct tracker *k = container_of(node, struct tracker, node);
        if (k->bcast && !(k->noloop && k->id == author) && has_prefix(k, key)) {
            resp_bulk(&k->batch, key);
            k->batch_count++;
        }
    }
}

static void send_change(struct worker *w, struct slice key, uint64_t author)
{
    struct tracking *t = tracking_of(w);
    uint32_t count;
    lock_acquire(&t->lock);
    batch_change(t, key, author);
    struct message_to *to = take_readers(t, key, author, &count);
    lock_release(&t->lock);
    struct buf payload;
    buf_init(&payload);
    resp_array(&payload, 1);
    resp_bulk(&payload, key);
    for (uint32_t i = 0; i < count; i++) {
        send_payload(w, to[i], buf_readable(&payload));
    }
    buf_fini(&payload);
    free(to);
}

/* Everything changed: all trackers are told so with a null, and the table is empty. */
static void send_flush(struct worker *w)
{
    struct tracking *t = tracking_of(w);
    uint32_t count = 0;
    lock_acquire(&t->lock);
    while (!list_empty(&t->keys)) {
        struct tracked_key *k = container_of(t->keys.next, struct tracked_key, node);
        free_key(t, find_key(t, (struct slice){k->text, k->len}, k->hash));
    }
    uint64_t clients = atomic_load_explicit(&t->client_count, memory_order_relaxed);
    struct message_to *to = xcalloc(clients + 1, sizeof(*to));
    list_for_each (node, &t->all) {
        to[count++] = address_of(container_of(node, struct tracker, node));
    }
    lock_release(&t->lock);
    for (uint32_t i = 0; i < count; i++) {
        send_payload(w, to[i], to[i].resp3 ? SLICE("_\r\n") : SLICE("*-1\r\n"));
    }
    free(to);
}

/* What BCAST clients have coming, one after the other: publishing is not for those who hold the lock. */
static void send_batches(struct worker *w)
{
    struct tracking *t = tracking_of(w);
    bool more = true;
    while (more) {
        more = false;
        struct buf payload;
        struct message_to to = {0};
        buf_init(&payload);
        lock_acquire(&t->lock);
        list_for_each (node, &t->all) {
            struct tracker *k = container_of(node, struct tracker, node);
            if (k->batch_count > 0) {
                resp_array(&payload, k->batch_count);
                buf_append_slice(&payload, buf_readable(&k->batch));
                buf_fini(&k->batch);
                k->batch_count = 0;
                to = address_of(k);
                more = true;
                break;
            }
        }
        lock_release(&t->lock);
        if (more) {
            send_payload(w, to, buf_readable(&payload));
        }
        buf_fini(&payload);
    }
}

void tracking_send(struct worker *w)
{
    struct buf changed = w->changed;
    bool is_flushed = false;
    buf_init(&w->changed);
    struct slice rest = buf_readable(&changed);
    while (rest.len > 0) {
        uint64_t author;
        uint32_t len;
        memcpy(&author, rest.ptr, sizeof(author));
        memcpy(&len, rest.ptr + sizeof(author), sizeof(len));
        rest = slice_from(rest, sizeof(author) + sizeof(len));
        if (len == FLUSH_HEAD) {
            is_flushed = true; /* one database or all of them: one message */
            continue;
        }
        send_change(w, (struct slice){rest.ptr, len}, author);
        rest = slice_from(rest, len);
    }
    send_batches(w);
    if (is_flushed) {
        send_flush(w);
    }
    buf_fini(&changed);
}

/* --- on and off ---------------------------------------------------------------------------------------- */

void tracker_free(struct tracker *k)
{
    for (uint32_t i = 0; i < k->prefix_count; i++) {
        free((char *)(uintptr_t)k->prefixes[i].ptr);
    }
    free(k->prefixes);
    buf_fini(&k->batch);
    free(k);
}

static void update_alert(struct server *s, struct tracking *t)
{
    lock_acquire(&s->watch_lock); /* the last to look is right */
    if (atomic_load_explicit(&t->client_count, memory_order_relaxed) > 0) {
        atomic_fetch_or_explicit(&s->alert, ALERT_TRACKING, memory_order_relaxed);
    } else {
        atomic_fetch_and_explicit(&s->alert, ~(uint32_t)ALERT_TRACKING, memory_order_relaxed);
    }
    lock_release(&s->watch_lock);
    events_observe(s);
}

static void remove_tracker(struct tracking *t, struct tracker *k)
{
    struct tracker **at = &t->trackers[k->id % BUCKETS_MIN];
    while (*at != k) {
        at = &(*at)->next;
    }
    *at = k->next;
    list_remove(&k->node);
    t->prefix_count -= k->prefix_count;
}

static void add_tracker(struct tracking *t, struct tracker *k)
{
    struct tracker **bucket = &t->trackers[k->id % BUCKETS_MIN];
    k->next = *bucket;
    *bucket = k;
    list_push_back(&t->all, &k->node);
    t->prefix_count += k->prefix_count;
}

void tracking_end(struct resp_client *c)
{
    struct tracking *t = tracking_of(c->worker);
    struct tracker *k = c->tracker;
    if (c->tracker_wanted != NULL) {
        tracker_free(c->tracker_wanted);
        c->tracker_wanted = NULL;
    }
    c->caching = CLIENT_CACHING_UNSAID;
    if (k == NULL) {
        return;
    }
    c->tracker = NULL;
    lock_acquire(&t->lock);
    remove_tracker(t, k);
    lock_release(&t->lock);
    tracker_free(k);
    (void)atomic_fetch_sub_explicit(&t->client_count, 1, memory_order_relaxed);
    update_alert(c->worker->server, t);
}

void tracking_listen(struct resp_client *c)
{
    (void)pubsub_subscribe(c, TOPIC_CLIENT, topic_name(&c->conn.id));
}

void tracking_begin(struct resp_client *c, struct tracker *k)
{
    struct tracking *t = tracking_of(c->worker);
    tracking_end(c);
    tracking_listen(c);
    lock_acquire(&t->lock);
    add_tracker(t, k);
    lock_release(&t->lock);
    c->tracker = k;
    (void)atomic_fetch_add_explicit(&t->client_count, 1, memory_order_relaxed);
    update_alert(c->worker->server, t);
    reply_ok(c);
}

void tracking_redirect_found(struct resp_client *c, bool found)
{
    struct tracker *k = c->tracker_wanted;
    c->tracker_wanted = NULL;
    if (!found) {
        resp_error(&c->conn.out, "ERR The client ID you want redirect to does not exist");
        tracker_free(k);
        return;
    }
    tracking_begin(c, k);
}

bool tracking_is_broken(const struct resp_client *c)
{
    struct tracking *t = tracking_of(c->worker);
    lock_acquire(&t->lock);
    bool broken = c->tracker->broken;
    lock_release(&t->lock);
    return broken;
}

/* --- figures ---------------------------------------------------------------------------------------------- */

uint64_t tracking_clients(const struct server *s)
{
    return atomic_load_explicit(&s->tracking->client_count, memory_order_relaxed);
}

void tracking_figures(struct server *s, struct tracking_figures *ret_figures)
{
    lock_acquire(&s->tracking->lock);
    *ret_figures = (struct tracking_figures){.keys = s->tracking->key_count,
                                             .items = s->tracking->item_count,
                                             .prefixes = s->tracking->prefix_count};
    lock_release(&s->tracking->lock);
}

struct tracking *tracking_create(void)
{
    struct tracking *t = xcalloc(1, sizeof(*t));
    lock_init(&t->lock, LOCK_RANK_WATCH);
    list_init(&t->all);
    list_init(&t->keys);
    t->bucket_count = BUCKETS_MIN;
    t->buckets = xcalloc(t->bucket_count, sizeof(struct tracked_key *));
    return t;
}

void tracking_destroy(struct tracking **tp)
{
    struct tracking *t = *tp;
    *tp = NULL;
    while (!list_empty(&t->keys)) {
        struct tracked_key *k = container_of(t->keys.next, struct tracked_key, node);
        free_key(t, find_key(t, (struct slice){k->text, k->len}, k->hash));
    }
    lock_fini(&t->lock);
    free(t->buckets);
    free(t);
}
