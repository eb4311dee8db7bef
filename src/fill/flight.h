/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flight: one fill per key, however many ask. The first to ask leads; the others wait and are handed
 * the leader's answer in their own threads.
 *
 * Fills in flight are judged like entries: one may join a flight that has not been sent yet without any
 * condition (its read begins after the joiner came), and a sent one only while its stamp passes the
 * marks of the dependencies known so far. A joiner of a sent flight judges the answer again when it
 * comes, with all dependencies, and starts over if it is refused. The leader always keeps its answer.
 *
 * Where stamps say nothing (no contact; a request that must not trust them) a late-comer waits behind
 * the flight, whose read is too early for it, and starts over when that lands. Tickets, from one
 * counter, tell which reads began after whose coming: of all who waited behind one flight the first then
 * leads and the others take its answer. So a database in trouble is asked once at a time for each key.
 *
 * Threads: any. One lock around the table (LOCK_RANK_FILL); nothing is called while it is held.
 */
#ifndef FILL_FLIGHT_H
#define FILL_FLIGHT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "fresh/fresh.h"

#include <stdatomic.h>

/* What a fill brought home. Reference-counted; immutable once landed. */
struct flight_answer {
    _Atomic uint32_t refs; /* acq_rel: last unref frees */
    int status;            /* HTTP status of the answer, also for errors */
    const char *note;      /* static: why it was not stored, NULL when it was */
    bool storable;         /* stamp and deps below are valid */
    bool followed;         /* false: only its TTL counts */
    fresh_pos stamp;
    struct fresh_deps deps;
    struct buf value; /* as stored: see serve/answer.h */
};
/* One reference, the caller's. Any thread may count. */
struct flight_answer *flight_answer_create(void);
void flight_answer_ref(struct flight_answer *a);
void flight_answer_unref(struct flight_answer **a);

struct flights;
struct flight;

struct flight_waiter;
typedef void flight_landed_fn(struct flight_waiter *w);
struct flight_waiter {
    struct mailbox *reply;
    flight_landed_fn *landed;
    struct flight_answer *answer; /* a reference, the waiter's to drop */
    bool unconditional; /* when landed: the read began after the waiter came, no judging needed */
    bool distrusts;     /* set before joining: takes unconditional answers only */
    uint64_t ticket;    /* when the waiter came; 0: now. Keep it to start over */
    /* private */
    struct mail mail;
    struct list node;
    struct flight *flight;
};

/* Destroying needs all flights landed. */
struct flights *flights_create(void);
void flights_destroy(struct flights **fs);

/* Leads (returns the flight) or joins (returns NULL; `landed` will be called by mail). */
struct flight *flight_lead_or_join(struct flights *fs, struct fresh *f, struct slice key,
                                   struct flight_waiter *w, uint64_t now_ms);
/* The leader's query is about to be sent with this stamp; `deps` are those known already. */
void flight_sent(struct flights *fs, struct flight *fl, fresh_pos stamp,
                 const struct fresh_deps *deps);
/* Hands the answer to every waiter and frees the flight. */
void flight_land(struct flights *fs, struct flight **fl, struct flight_answer *answer);

#endif
