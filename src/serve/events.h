/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * events: keyspace notifications, as CONFIG SET notify-keyspace-events asks for them.
 *
 *      client_event(c, EVENT_LIST, "lpush", key);        in a command, inside a hold or after it
 *
 * Costs one branch when nobody wants the class. Events of a command are sent when it has run, in the order
 * in which it told them, so it may tell them while it holds a key.
 *
 * Source: redis.io "Redis keyspace notifications". Threads: the client's worker.
 */
#ifndef SERVE_EVENTS_H
#define SERVE_EVENTS_H

#include "serve/resp_client.h"
#include "store/watch.h"

enum event_class {
    EVENT_TO_KEYSPACE = 1 << 0, /* K: "__keyspace@<db>__:<key>" */
    EVENT_TO_KEYEVENT = 1 << 1, /* E: "__keyevent@<db>__:<event>" */
    EVENT_GENERIC = 1 << 2,     /* g */
    EVENT_STRING = 1 << 3,      /* $ */
    EVENT_LIST = 1 << 4,        /* l */
    EVENT_SET = 1 << 5,         /* s */
    EVENT_HASH = 1 << 6,        /* h */
    EVENT_ZSET = 1 << 7,        /* z */
    EVENT_EXPIRED = 1 << 8,     /* x */
    EVENT_EVICTED = 1 << 9,     /* e */
    EVENT_STREAM = 1 << 10,     /* t */
    EVENT_MODULE = 1 << 11,     /* d: never */
    EVENT_MISS = 1 << 12,       /* m: not part of A */
    EVENT_NEW = 1 << 13,        /* n: not part of A */
};

static inline bool client_wants_event(const struct resp_client *c, uint32_t class)
{
    uint32_t wanted =
        atomic_load_explicit(&c->worker->server->settings.events, memory_order_relaxed);
    return __builtin_expect((wanted & class) != 0, 0);
}
void client_event_note(struct resp_client *c, const char *event, struct slice key);
static inline void client_event(struct resp_client *c, uint32_t class, const char *event,
                                struct slice key)
{
    if (client_wants_event(c, class)) {
        client_event_note(c, event, key);
    }
}
/* The same for a key of another database (MOVE, COPY). */
void client_event_in(struct resp_client *c, uint32_t class, uint32_t db, const char *event,
                     struct slice key);

/* Sends what the command that just ran has told. Not while a key is held. */
void events_send(struct worker *w);
static inline bool events_wait(const struct worker *w)
{
    return w->events.end > 0;
}
/* From the note of a change that no command made: expiry and eviction. Sent by events_send(). */
void events_note_touch(struct worker *w, enum store_touch what, uint32_t db, struct slice key);
/* The server observes the store's changes while somebody reacts to them: after settings.events or tracking
 * has changed. */
void events_observe(struct server *s);
/* "KEA" to bits; false: there is no such letter. And back, as Redis orders them. */
bool events_parse(struct slice text, uint32_t *ret_classes);
enum { EVENTS_TEXT = 20 };
void events_print(uint32_t classes, char ret_text[EVENTS_TEXT]);

#endif
