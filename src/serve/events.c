/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a command tells is kept in the worker until the command has run, one record after another:
 *
 *   OFFSET  SIZE  MEANING
 *   0       4     database
 *   4       4     length of the key
 *   8       8     event, a pointer to static text
 *   16      n     the key
 *
 * Threads: the worker's.
 */
#include "serve/events.h"

#include "serve/durable.h"
#include "serve/pubsub.h"

#include <stdio.h>

struct event_head {
    uint32_t db;
    uint32_t key_len;
    const char *event;
};

static void note(struct worker *w, uint32_t db, const char *event, struct slice key)
{
    struct event_head head = {.db = db, .key_len = (uint32_t)key.len, .event = event};
    buf_append(&w->events, &head, sizeof(head));
    buf_append_slice(&w->events, key);
}

void client_event_note(struct resp_client *c, const char *event, struct slice key)
{
    note(c->worker, c->db, event, key);
}

static uint32_t classes_wanted(const struct worker *w)
{
    return atomic_load_explicit(&w->server->settings.events, memory_order_relaxed);
}

void client_event_in(struct resp_client *c, uint32_t class, uint32_t db, const char *event,
                     struct slice key)
{
    if ((classes_wanted(c->worker) & class) != 0) {
        note(c->worker, db, event, key);
    }
}

void events_note_touch(struct worker *w, enum store_touch what, uint32_t db, struct slice key)
{
    uint32_t wanted = classes_wanted(w);
    if (what == STORE_TOUCH_EXPIRED && (wanted & EVENT_EXPIRED) != 0) {
        note(w, db, "expired", key);
    } else if (what == STORE_TOUCH_EVICTED && (wanted & EVENT_EVICTED) != 0) {
        note(w, db, "evicted", key);
    }
}

void events_observe(struct server *s)
{
    lock_acquire(&s->watch_lock);
    uint32_t classes = atomic_load_explicit(&s->settings.events, memory_order_relaxed);
    uint32_t alert = atomic_load_explicit(&s->alert, memory_order_relaxed);
    bool wanted = (classes & (EVENT_EXPIRED | EVENT_EVICTED)) != 0 || (alert & ALERT_TRACKING) != 0;
    if (wanted != s->observes_store) {
        s->observes_store = wanted;
        store_observe(s->store, wanted ? 1 : -1);
    }
    lock_release(&s->watch_lock);
}

/* Both channels of one event, as far as they are wanted. */
static void publish(struct worker *w, uint32_t db, const char *event, struct slice key)
{
    uint32_t wanted = classes_wanted(w);
    if (!pubsub_listened(w->server, TOPIC_CHANNEL)) {
        return;
    }
    bool is_durable = durable_has_db(w->server, db);
    struct buf channel;
    buf_init(&channel);
    if ((wanted & EVENT_TO_KEYSPACE) != 0) {
        buf_printf(&channel, "__keyspace@%u__:", db);
        buf_append_slice(&channel, key);
        (void)pubsub_publish(w, TOPIC_CHANNEL, buf_readable(&channel), slice_of(event), is_durable);
    }
    if ((wanted & EVENT_TO_KEYEVENT) != 0) {
        buf_clear(&channel);
        buf_printf(&channel, "__keyevent@%u__:%s", db, event);
        (void)pubsub_publish(w, TOPIC_CHANNEL, buf_readable(&channel), key, is_durable);
    }
    buf_fini(&channel);
}

void events_send(struct worker *w)
{
    struct buf told = w->events;
    buf_init(&w->events);
    struct slice rest = buf_readable(&told);
    while (rest.len > 0) {
        struct event_head head;
        memcpy(&head, rest.ptr, sizeof(head));
        rest = slice_from(rest, sizeof(head));
        publish(w, head.db, head.event, (struct slice){rest.ptr, head.key_len});
        rest = slice_from(rest, head.key_len);
    }
    buf_clear(&told);
    w->events = told; /* its memory, for the next */
}

/* --- the setting ---------------------------------------------------------------------------------- */

static const struct {
    char letter;
    uint32_t class;
} letters[] = {
    {'g', EVENT_GENERIC},     {'$', EVENT_STRING}, {'l', EVENT_LIST},    {'s', EVENT_SET},
    {'h', EVENT_HASH},        {'z', EVENT_ZSET},   {'x', EVENT_EXPIRED}, {'e', EVENT_EVICTED},
    {'t', EVENT_STREAM},      {'d', EVENT_MODULE}, {'n', EVENT_NEW},     {'K', EVENT_TO_KEYSPACE},
    {'E', EVENT_TO_KEYEVENT}, {'m', EVENT_MISS},
};

enum {
    EVENT_ALL = EVENT_GENERIC | EVENT_STRING | EVENT_LIST | EVENT_SET | EVENT_HASH | EVENT_ZSET |
                EVENT_EXPIRED | EVENT_EVICTED | EVENT_STREAM | EVENT_MODULE
};

bool events_parse(struct slice text, uint32_t *ret_classes)
{
    uint32_t classes = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t class = text.ptr[i] == 'A' ? EVENT_ALL : 0;
        for (size_t j = 0; j < array_len(letters); j++) {
            class |= letters[j].letter == text.ptr[i] ? letters[j].class : 0;
        }
        if (class == 0) {
            return false;
        }
        classes |= class;
    }
    *ret_classes = classes;
    return true;
}

void events_print(uint32_t classes, char ret_text[EVENTS_TEXT])
{
    size_t len = 0;
    bool all = (classes & EVENT_ALL) == EVENT_ALL;
    if (all) {
        ret_text[len++] = 'A';
    }
    for (size_t i = 0; i < array_len(letters); i++) {
        bool told = all && (letters[i].class & EVENT_ALL) != 0;
        if ((classes & letters[i].class) != 0 && !told) {
            ret_text[len++] = letters[i].letter;
        }
    }
    ret_text[len] = '\0';
}
