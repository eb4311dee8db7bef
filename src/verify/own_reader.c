/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that keep to one connection each, as worker processes do, on a listener with `affinity:
 * connection`: a SET answers the last miss of its own connection, exactly, so any pause is fine. One actor plays
 * several; a client that pauses asks nothing else meanwhile.
 *
 * Threads: one actor with its own connections.
 */
#include "verify/redis_read.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "verify/http_read.h"

#include <stdlib.h>

enum { CLIENTS = 6, PAUSES_PERCENT = 25 };

struct client {
    struct wire wire;
    struct reading reading;
    struct redis_miss miss;
    struct buf page;
    uint64_t due_us; /* its SET waits until then; 0: it does not pause */
    bool asking;
};

static bool begin_turn(struct actor *a, struct client *c)
{
    c->asking = false;
    if (c->due_us > clock_now_us()) {
        return true;
    }
    if (c->due_us != 0) {
        c->due_us = 0;
        if (!redis_set(a, &c->wire, &c->miss, buf_readable(&c->page))) {
            return false;
        }
    }
    c->asking = true;
    return redis_get_send(a, &c->wire, reader_choose(a), FACE_REDIS, false, &c->reading);
}

static bool end_turn(struct actor *a, struct client *c, struct db *db)
{
    bool hit;
    if (!c->asking) {
        return true;
    }
    if (!redis_get_receive(a, &c->wire, &c->reading, false, &hit, &c->miss)) {
        return false;
    }
    if (hit) {
        return true;
    }
    c->miss.exact = true;
    if (!db_read(a, db, c->miss.target, &c->page)) {
        return false;
    }
    if (!actor_chance(a, PAUSES_PERCENT)) {
        return redis_set(a, &c->wire, &c->miss, buf_readable(&c->page));
    }
    c->due_us = clock_now_us() + actor_random(a, a->run->options->lease_ms * 2000);
    return true;
}

void own_reader_body(struct actor *a)
{
    struct client *clients = xcalloc(CLIENTS, sizeof(*clients));
    struct db db;
    uint32_t open = 0;
    bool ok = db_open(&db, a->run);
    while (ok && open < CLIENTS) {
        struct client *c = &clients[open++];
        buf_init(&c->page);
        ok = redis_open(&c->wire, a->run, a->run->options->own, FACE_REDIS);
    }
    while (ok && !run_stopping(a->run)) {
        for (uint32_t i = 0; ok && i < CLIENTS; i++) {
            ok = begin_turn(a, &clients[i]);
        }
        for (uint32_t i = 0; ok && i < CLIENTS; i++) {
            ok = end_turn(a, &clients[i], &db);
        }
        actor_pause(a, 200);
    }
    for (uint32_t i = 0; i < open; i++) {
        wire_close(&clients[i].wire);
        buf_fini(&clients[i].page);
    }
    db_close(&db);
    free(clients);
}
