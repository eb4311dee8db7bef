/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is told of which change: two tables under one lock (tracking_table.c), and what is told from
 * them (tracking_send.c).
 *
 *   trackers  number of a client ─> what it has asked for
 *   keys      key ─> numbers of the clients that have read it (default mode)
 *
 * A key leaves the table when it changes, with all its readers: each is told once. Clients that
 * have gone are found out then. Beyond `tracking-table-max-keys` an old key leaves, and its readers
 * are told as if it had changed.
 *
 * A reader is noted before and after the command that reads. A change before the read takes the
 * first note; one between read and second note takes it too, and since its message is delivered by
 * the reader's own worker it follows the reply. So nobody keeps an old value without having been
 * told. Inside a transaction or a script what has changed so far is told before a read is noted, so
 * that nobody is told of a write that came before it.
 *
 * Changes are gathered while the store's notes are taken (w->changed) and sent when nothing is held: a message a
 * key in default mode, one message with all its keys for each prefix of a BCAST client.
 *
 * NOLOOP needs to know whose a change is. Commands that write run with the store owned for such
 * clients, notes of others having been taken before, so what is noted then is theirs (w->author).
 *
 * Keys of all databases are one namespace here, as in Redis.
 *
 * Threads: any worker's. Lock: rank watch; never held while publishing.
 */
#include "serve/tracking_priv.h"

#include "base/alloc.h"
#include "serve/command_keys.h"
#include "serve/durable.h"
#include "serve/events.h"
#include "serve/pubsub.h"
#include "serve/touched.h"

#include <stdlib.h>

/* --- noting ---------------------------------------------------------------------------------------- */

static void note_change(struct worker *w, struct tracking_change change, struct slice key)
{
    change.len = change.is_flush ? 0 : key.len;
    buf_append(&w->changed, &change, sizeof(change));
    buf_append(&w->changed, key.ptr, change.len);
}

void tracking_note_change(struct worker *w, enum store_touch what, uint32_t db, struct slice key)
{
    uint32_t alert = atomic_load_explicit(&w->server->alert, memory_order_relaxed);
    if ((alert & ALERT_TRACKING) != 0) {
        struct tracking_change change = {.author = w->author,
                                         .is_flush = what == STORE_TOUCH_FLUSHED,
                                         .is_durable = durable_has_db(w->server, db)};
        note_change(w, change, key);
    }
}

static bool is_tracked_read(const struct resp_client *c, const struct command *cmd)
{
    const struct tracker *k = c->tracker;
    return k != NULL && !k->bcast && (cmd->flags & COMMAND_READONLY) != 0 &&
           cmd->group != COMMAND_GROUP_SCRIPTING && /* what a script reads is noted for itself */
           (!k->optin || c->caching == CLIENT_CACHING_YES) &&
           (!k->optout || c->caching != CLIENT_CACHING_NO);
}

/* With the lock. Beyond the setting's number of keys the oldest one's readers are told as if it had
 * changed; then it leaves. */
static void push_out_oldest(struct worker *w, struct tracking *t)
{
    uint64_t max = setting_get(&w->server->settings.tracking_keys_max);
    if (max > 0 && t->keys.count > max) {
        struct tracked_key *old = container_of(t->by_age.next, struct tracked_key, node);
        note_change(w, (struct tracking_change){.author = 0}, (struct slice){old->text, old->len});
        list_remove(&old->node);
        list_push_back(&t->by_age, &old->node); /* the next time it is another one's turn */
    }
}

void tracking_keep_limit(struct worker *w)
{
    struct tracking *t = tracking_of(w);
    uint64_t max = setting_get(&w->server->settings.tracking_keys_max);
    lock_acquire(&t->lock);
    uint64_t excess = max > 0 && t->keys.count > max ? t->keys.count - max : 0;
    for (struct list *node = t->by_age.next; excess > 0; node = node->next, excess--) {
        const struct tracked_key *old = container_of(node, struct tracked_key, node);
        note_change(w, (struct tracking_change){.author = 0}, (struct slice){old->text, old->len});
    }
    lock_release(&t->lock);
}

static void note_key(struct resp_client *c, struct slice key)
{
    struct tracking *t = tracking_of(c->worker);
    lock_acquire(&t->lock);
    struct tracked_key *k = tracking_find_key(t, key);
    if (k == NULL) {
        k = tracking_add_key(t, key);
        push_out_oldest(c->worker, t);
    }
    tracking_add_reader(t, k, c->conn.id);
    lock_release(&t->lock);
}

void tracking_note_read(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                        uint32_t argc)
{
    if (is_tracked_read(c, cmd)) {
        struct command_keys keys;
        if (c->worker->own_depth > 0) {
            touched_tell_trackers(
                c->worker); /* what was written in it came before what is read now */
        }
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
           (cmd->run == cmd_exec || cmd->group == COMMAND_GROUP_SCRIPTING ||
            (cmd->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE)) != 0);
}

/* --- on and off ---------------------------------------------------------------------------------------- */

static uint32_t batch_count(const struct tracker *k)
{
    return k->prefix_count > 0 ? k->prefix_count : 1;
}

void tracker_free(struct tracker *k)
{
    for (uint32_t i = 0; i < k->prefix_count; i++) {
        free((char *)(uintptr_t)k->prefixes[i].ptr);
    }
    for (uint32_t i = 0; k->batches != NULL && i < batch_count(k); i++) {
        buf_fini(&k->batches[i].keys);
    }
    free(k->prefixes);
    free(k->batches);
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
    tracking_remove_tracker(t, k);
    if (list_empty(&t->all)) {
        tracking_free_keys(t); /* from now on nobody notes what changes */
    }
    lock_release(&t->lock);
    tracker_free(k);
    (void)atomic_fetch_sub_explicit(&t->client_count, 1, memory_order_relaxed);
    update_alert(c->worker->server, t);
}

void tracking_listen(struct resp_client *c)
{
    (void)pubsub_subscribe(c, TOPIC_CLIENT, tracking_topic(&c->conn.id));
}

void tracking_begin(struct resp_client *c, struct tracker *k)
{
    struct tracking *t = tracking_of(c->worker);
    tracking_end(c);
    tracking_listen(c);
    k->batches = xcalloc(batch_count(k), sizeof(*k->batches));
    for (uint32_t i = 0; i < batch_count(k); i++) {
        buf_init(&k->batches[i].keys);
    }
    lock_acquire(&t->lock);
    tracking_add_tracker(t, k);
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
    *ret_figures = (struct tracking_figures){.keys = s->tracking->keys.count,
                                             .items = s->tracking->item_count,
                                             .prefixes = s->tracking->prefix_count};
    lock_release(&s->tracking->lock);
}
