/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who waits for a position.
 *
 *   follow_wait ─ mail ─> unsent (strict) ─ a probe leaves ─> sent ─ it returns L ─> placed ─ A >= L ─> reply
 *                    └──> placed (a position of its own)
 *
 * All strict waiters that arrived before a probe left share it; none shares an older one, because a
 * commit that was visible before the request must be at or below L. Whoever waits too long, or
 * without contact, is told so and goes to the database.
 */
#include "follow/follow_priv.h"

#include "base/clock.h"

/* --- replies ------------------------------------------------------------------------------------ */

static void deliver(struct mail *m)
{
    struct follow_wait *w = container_of(m, struct follow_wait, mail);
    w->done(w);
}

static void reply(struct follow_wait *w, bool reached)
{
    list_remove(&w->node);
    w->reached = reached;
    w->reached_at = w->position;
    mailbox_post(w->reply, &w->mail, deliver);
}

static struct follow_wait *wait_of(struct list *node)
{
    return container_of(node, struct follow_wait, node);
}

static void fail_list(struct list *l)
{
    while (!list_empty(l)) {
        reply(wait_of(l->next), false);
    }
}

void waits_fail(struct follow *f)
{
    fail_list(&f->waits.unsent);
    fail_list(&f->waits.sent);
    fail_list(&f->waits.placed);
    timer_stop(&f->waits.timer);
}

/* --- time --------------------------------------------------------------------------------------- */

/* Replies to those whose time is over; the least time left of the others, UINT64_MAX for none. */
static uint64_t expire_list(struct list *l, uint64_t now_ms)
{
    uint64_t least = UINT64_MAX;
    list_for_each (node, l) {
        struct follow_wait *w = wait_of(node);
        if (w->deadline_ms <= now_ms) {
            reply(w, false);
        } else if (w->deadline_ms - now_ms < least) {
            least = w->deadline_ms - now_ms;
        }
    }
    return least;
}

static void expire(struct timer *t)
{
    struct waits *ws = container_of(t, struct waits, timer);
    uint64_t now = loop_now_ms(t->loop);
    uint64_t least = expire_list(&ws->unsent, now);
    uint64_t sent = expire_list(&ws->sent, now);
    uint64_t placed = expire_list(&ws->placed, now);
    least = sent < least ? sent : least;
    least = placed < least ? placed : least;
    if (least != UINT64_MAX) {
        timer_start(t->loop, t, least, expire);
    }
}

static void arm(struct follow *f, const struct follow_wait *w)
{
    struct timer *t = &f->waits.timer;
    if (!timer_running(t) || t->due_ms > w->deadline_ms) {
        timer_start(f->loop, t, w->deadline_ms - loop_now_ms(f->loop), expire);
    }
}

/* --- arriving ----------------------------------------------------------------------------------- */

static void place(struct follow *f, struct follow_wait *w)
{
    struct waits *ws = &f->waits;
    if (list_empty(&ws->placed) || w->position < ws->lowest) {
        ws->lowest = w->position;
    }
    list_remove(&w->node);
    list_push_back(&ws->placed, &w->node);
}

static void arrived(struct mail *m)
{
    struct follow_wait *w = container_of(m, struct follow_wait, mail);
    struct follow *f = w->follow;
    list_init(&w->node);
    if (f->state != FOLLOW_FOLLOWING) {
        reply(w, false);
        return;
    }
    if (!w->strict && fresh_applied(f->fresh) >= w->position) {
        reply(w, true);
        return;
    }
    w->deadline_ms = loop_now_ms(f->loop) + w->timeout_ms;
    arm(f, w);
    if (w->strict) {
        list_push_back(&f->waits.unsent, &w->node);
        probe_wanted(f);
    } else {
        place(f, w);
        probe_end_wanted(f); /* the kick, if one is needed, knows by the log's end */
    }
}

void follow_wait(struct follow *f, struct follow_wait *w)
{
    check_obj(f, FOLLOW_MAGIC);
    w->follow = f;
    mailbox_post(loop_mailbox(f->loop), &w->mail, arrived);
}

/* --- being told --------------------------------------------------------------------------------- */

void waits_init(struct follow *f)
{
    list_init(&f->waits.unsent);
    list_init(&f->waits.sent);
    list_init(&f->waits.placed);
}

bool waits_unsent(const struct follow *f)
{
    return !list_empty(&f->waits.unsent);
}

bool waits_pending(const struct follow *f)
{
    return !list_empty(&f->waits.placed);
}

void waits_sent(struct follow *f)
{
    list_for_each (node, &f->waits.unsent) {
        list_remove(node);
        list_push_back(&f->waits.sent, node);
    }
}

void waits_place(struct follow *f, uint64_t lsn)
{
    fresh_pos position = fresh_pos_of_lsn(f->fresh, lsn);
    list_for_each (node, &f->waits.sent) {
        struct follow_wait *w = wait_of(node);
        w->position = position;
        place(f, w);
    }
}

void waits_progress(struct follow *f)
{
    struct waits *ws = &f->waits;
    fresh_pos applied = fresh_applied(f->fresh);
    if (list_empty(&ws->placed) || applied < ws->lowest) {
        return;
    }
    ws->lowest = UINT64_MAX;
    list_for_each (node, &ws->placed) {
        struct follow_wait *w = wait_of(node);
        if (w->position <= applied) {
            reply(w, true);
        } else if (w->position < ws->lowest) {
            ws->lowest = w->position;
        }
    }
}
