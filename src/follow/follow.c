/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A follower's life.
 *
 *   OFF ─ follow_create ─> CONNECTING ─ probe and stream connect ─> SLOT ─ slot made ─> CATALOG
 *       new epoch; what is in progress now is noted (drain) ────────────────┘        │ installed
 *   BACKOFF <─ follow_fail, from anywhere        FOLLOWING <─ all of it ended ─ DRAINING, streaming
 *      │ 50 ms .. 0.25 s                               └─ fresh_open()
 *      └─────────────> CONNECTING
 *
 * The snapshot that says what is in progress is taken right after the slot was made, not after the
 * catalog was loaded: the fewer transactions began in between, the fewer are waited for in vain.
 *
 * While PostgreSQL is away this goes on for ever; each reason is logged once (base/tell.h). A server that
 * neither answers nor refuses (stopped, or the network drops everything) is waited for as long as eight
 * times the last connection took, one second to five: then it is found soon after it is back. Safety does
 * not depend on it: without stamps nothing is stored, and hits end max_stale after the last proof.
 *
 * Threads: the follower's loop, except follow_create, follow_destroy, follow_version and
 * follow_status.
 */
#include "follow/follow_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 250, /* hits are back within a second of the database */
    TICK_MS = 50,
    SLOW_MS = 3000,
    SILENT_MS = 1000,
    CONNECT_LEAST_MS = 1000,
    CONNECT_MOST_MS = 5000,
    LOCAL_EVENTS_KICK = 2048
};

const char *follow_state_name(enum follow_state s)
{
    switch (s) {
    case FOLLOW_OFF:
        return "off";
    case FOLLOW_CONNECTING:
        return "connecting";
    case FOLLOW_SLOT:
        return "slot";
    case FOLLOW_CATALOG:
        return "catalog";
    case FOLLOW_DRAINING:
        return "draining";
    case FOLLOW_FOLLOWING:
        return "following";
    case FOLLOW_BACKOFF:
        return "backoff";
    }
    unreachable();
}

/* --- status ------------------------------------------------------------------------------------- */

static void show_status(struct follow *f)
{
    f->status.state = f->state;
    f->status.bytes = stream_bytes(f->stream);
    lock_acquire(&f->lock);
    f->shown = f->status;
    lock_release(&f->lock);
}

void follow_status(struct follow *f, struct follow_status *ret_status)
{
    check_obj(f, FOLLOW_MAGIC);
    lock_acquire(&f->lock);
    *ret_status = f->shown;
    lock_release(&f->lock);
}

bool follow_silent(const struct follow *f)
{
    return atomic_load_explicit(&f->silent, memory_order_relaxed);
}

uint64_t follow_version(const struct follow *f)
{
    return atomic_load_explicit(&f->version, memory_order_acquire);
}

/* --- states ------------------------------------------------------------------------------------- */

void follow_enter(struct follow *f, enum follow_state state)
{
    f->state = state;
    f->entered_ms = loop_now_ms(f->loop);
    f->told_slow = false;
    show_status(f);
    trace(TRACE_FOLLOW_STATE, (uint64_t)state, 0, slice_of(follow_state_name(state)));
    log_debug("follow", "%s", follow_state_name(state));
}

static void connect_now(struct timer *t)
{
    struct follow *f = container_of(t, struct follow, retry);
    f->applied_lsn = 0;
    follow_enter(f, FOLLOW_CONNECTING);
    probe_open(f);
}

static void close_everything(struct follow *f)
{
    role_assume(&follower_role);
    fresh_close(f->fresh);
    stream_close(f->stream);
    probe_close(f);
    schema_stop(f);
    keeper_interrupt(f);
    waits_fail(f);
    f->in_transaction = f->in_block = false;
}

static void note_loss(struct follow *f, enum follow_loss loss, const char *why)
{
    struct follow_status *st = &f->status;
    bool was_following = st->lost_ms == 0;
    st->reconnects++;
    st->lost_by[loss]++;
    (void)snprintf(st->last_error, sizeof(st->last_error), "%s", why);
    if (was_following) {
        memcpy(st->last_loss, st->last_error, sizeof(st->last_loss));
        st->lost_ms = loop_now_ms(f->loop);
    }
    if (loss != FOLLOW_LOSS_silent) {
        atomic_store_explicit(&f->silent, false, memory_order_relaxed);
    }
    if (tell_due(&f->tell, why, loop_now_ms(f->loop))) {
        f->told_loss = true;
        log_warn("follow", "not following: %s", why);
    }
}

void follow_lost(struct follow *f, enum follow_loss loss, const char *why)
{
    if (f->state == FOLLOW_BACKOFF || f->state == FOLLOW_OFF) {
        return;
    }
    note_loss(f, loss, why); /* first: `why` may belong to what is closed below */
    close_everything(f);
    f->answered_ms = 0;
    f->backoff_ms = f->backoff_ms == 0 ? BACKOFF_FIRST_MS : f->backoff_ms * 2;
    f->backoff_ms = f->backoff_ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : f->backoff_ms;
    trace(TRACE_RECONNECT, f->status.reconnects, f->backoff_ms, slice_of(f->status.last_error));
    timer_start(f->loop, &f->retry, f->backoff_ms, connect_now);
    follow_enter(f, FOLLOW_BACKOFF);
}

/* A server that refuses says so with a severity, translated or not; what never reached it has none. */
void follow_disconnected(struct follow *f, const char *why)
{
    bool making = f->state == FOLLOW_CONNECTING || f->state == FOLLOW_SLOT;
    enum follow_loss loss = FOLLOW_LOSS_cut;
    if (making) {
        loss = strstr(why, "FATAL") != NULL || f->state == FOLLOW_SLOT ? FOLLOW_LOSS_refused
                                                                       : FOLLOW_LOSS_unreachable;
    }
    if (making && follow_silent(f) && loss == FOLLOW_LOSS_unreachable &&
        loop_now_ms(f->loop) - f->entered_ms >= f->connect_most_ms) {
        loss = FOLLOW_LOSS_silent;
    }
    follow_lost(f, loss, why);
}

void follow_fail(struct follow *f, const char *why)
{
    bool streams = f->state == FOLLOW_DRAINING || f->state == FOLLOW_FOLLOWING;
    follow_lost(f, streams ? FOLLOW_LOSS_broken : FOLLOW_LOSS_refused, why);
}

void follow_fail_printf(struct follow *f, const char *fmt, ...)
{
    char text[sizeof(f->status.last_error)];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    follow_fail(f, text);
}

void follow_catalog_known(struct follow *f)
{
    f->catalog_known = true;
    follow_progress(f);
}

static void start_following(struct follow *f) REQUIRES(follower_role)
{
    char lsn[24];
    fresh_open(f->fresh);
    f->backoff_ms = 0;
    f->status.lost_ms = 0;
    f->status.recovery_ms = loop_now_ms(f->loop) - f->answered_ms;
    f->status.last_error[0] = '\0';
    follow_enter(f, FOLLOW_FOLLOWING);
    pg_lsn_format(f->applied_lsn, lsn);
    if (f->told_loss || f->status.reconnects == 0) {
        log_info("follow", "following from %s, %" PRIu64 " ms after the server answered", lsn,
                 f->status.recovery_ms);
    }
    f->told_loss = false;
    tell_over(&f->tell);
    probe_end_wanted(f); /* the first proof */
}

static void on_progress(struct loop_task *task)
{
    struct follow *f = container_of(task, struct follow, progress);
    role_assume(&follower_role);
    schema_progress(f);
    if (f->state == FOLLOW_CATALOG && f->catalog_known && f->probe.xmax != 0) {
        stream_start(f->stream); /* its short transaction ids can be made long */
        follow_enter(f, FOLLOW_DRAINING);
    }
    if (f->state == FOLLOW_DRAINING && probe_drained(f)) {
        start_following(f);
    }
    if (f->state != FOLLOW_BACKOFF && f->state != FOLLOW_OFF) {
        probe_progress(f);
    }
}

void follow_progress(struct follow *f)
{
    loop_defer(f->loop, &f->progress, on_progress);
}

/* Both steps wait for other people's transactions, and nothing else says so. */
static void tell_slow(struct follow *f)
{
    bool waits = f->state == FOLLOW_SLOT || f->state == FOLLOW_DRAINING;
    if (waits && !f->told_slow && loop_now_ms(f->loop) - f->entered_ms > SLOW_MS) {
        f->told_slow = true;
        log_warn("follow",
                 "not following yet: waiting for transactions that are in progress to end; "
                 "find them in pg_stat_activity (backend_xid) and pg_prepared_xacts");
    }
}

/* Without a word of refusal. While it is tried again it stays silent. */
static void note_silence(struct follow *f)
{
    uint64_t waited = probe_waited(f);
    bool waits = waited > 0 || f->state == FOLLOW_BACKOFF;
    bool silent = waited >= SILENT_MS || (follow_silent(f) && waits);
    atomic_store_explicit(&f->silent, silent, memory_order_relaxed);
}

void follow_answered(struct follow *f)
{
    uint64_t now = loop_now_ms(f->loop);
    uint64_t took = now - f->entered_ms;
    f->answered_ms = now;
    f->connect_most_ms = took * 8 < CONNECT_LEAST_MS  ? CONNECT_LEAST_MS
                         : took * 8 > CONNECT_MOST_MS ? CONNECT_MOST_MS
                                                      : (uint32_t)took * 8;
    atomic_store_explicit(&f->silent, false, memory_order_relaxed);
}

static void on_tick(struct timer *t)
{
    struct follow *f = container_of(t, struct follow, tick);
    role_assume(&follower_role);
    timer_start(f->loop, t, TICK_MS, on_tick);
    fresh_sample(f->fresh, loop_now_ms(f->loop));
    if (f->state == FOLLOW_FOLLOWING && (fresh_applied(f->fresh) & 0xfff) >= LOCAL_EVENTS_KICK) {
        /* Local events have used up half of what fits between two positions of the log. */
        probe_kick(f);
    }
    if (f->state != FOLLOW_BACKOFF && f->state != FOLLOW_OFF) {
        probe_tick(f);
    }
    note_silence(f);
    tell_slow(f);
    show_status(f);
}

/* --- the stream --------------------------------------------------------------------------------- */

static void on_slot(void *arg, uint64_t lsn)
{
    struct follow *f = arg;
    role_assume(&follower_role);
    fresh_new_epoch(f->fresh, lsn);
    trace(TRACE_SLOT, lsn, 0, (struct slice){NULL, 0});
    f->applied_lsn = lsn;
    f->catalog_known = false;
    apply_reset(f);
    probe_drain(f);
    follow_enter(f, FOLLOW_CATALOG);
    schema_start(f);
}

static void on_message(void *arg, struct slice message)
{
    role_assume(&follower_role);
    apply_message(arg, message);
}

static void on_idle(void *arg, uint64_t lsn)
{
    role_assume(&follower_role);
    apply_idle(arg, lsn);
}

static void on_failed(void *arg, const char *why)
{
    follow_disconnected(arg, why);
}

static const struct stream_face stream_face = {
    .slot = on_slot, .message = on_message, .idle = on_idle, .failed = on_failed};

/* --- threads ------------------------------------------------------------------------------------ */

static void *follower_body(void *arg)
{
    struct follow *f = arg;
    role_assume(&follower_role);
    thread_enter("follower", true);
    timer_start(f->loop, &f->tick, TICK_MS, on_tick);
    timer_start(f->loop, &f->retry, 0, connect_now);
    loop_run(f->loop);
    close_everything(f);
    f->state = FOLLOW_OFF;
    thread_leave();
    return NULL;
}

/* Signals belong to the daemon's thread. */
static void start_threads(struct follow *f)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    keeper_create(f);
    check(pthread_create(&f->thread, NULL, follower_body, f) == 0);
    check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

struct reload_mail {
    struct mail mail;
    struct follow *follow;
    const struct policy *policy;
};

static void reload_arrived(struct mail *m)
{
    struct reload_mail *rm = container_of(m, struct reload_mail, mail);
    schema_policy(rm->follow, rm->policy);
    free(rm);
}

void follow_reload(struct follow *f, const struct policy *p)
{
    struct reload_mail *rm = xcalloc(1, sizeof(*rm));
    rm->follow = f;
    rm->policy = policy_share(p);
    mailbox_post(loop_mailbox(f->loop), &rm->mail, reload_arrived);
}

struct follow *follow_create(const struct follow_options *options)
{
    const struct policy_database *db = &options->policy->database;
    struct follow *f = xcalloc(1, sizeof(*f));
    f->magic = FOLLOW_MAGIC;
    f->options = *options;
    f->policy = policy_share(options->policy);
    f->dsn = db->dsn;
    f->stream_dsn = db->replication_dsn != NULL ? db->replication_dsn : db->dsn;
    f->fresh = options->fresh;
    lock_init(&f->lock, LOCK_RANK_FRESH);
    f->connect_most_ms = CONNECT_MOST_MS;
    f->status.lost_ms = clock_now_ms();
    f->loop = loop_create();
    f->stream = stream_create(f->loop, &stream_face, f);
    f->depend = depend_create(f->fresh, options->break_row_all);
    f->decoder = decoder_create();
    list_init(&f->progress.node);
    waits_init(f);
    probe_init(f);
    start_threads(f);
    return f;
}

void follow_destroy(struct follow **fp)
{
    struct follow *f = *fp;
    *fp = NULL;
    if (f == NULL) {
        return;
    }
    loop_stop(f->loop);
    check(pthread_join(f->thread, NULL) == 0);
    keeper_destroy(f);
    /* Waits that came too late get their answer, and the keeper's last result its owner. */
    mailbox_drain(loop_mailbox(f->loop));
    schema_fini(f);
    probe_fini(f);
    stream_destroy(&f->stream);
    depend_destroy(&f->depend);
    decoder_destroy(&f->decoder);
    loop_destroy(&f->loop);
    lock_fini(&f->lock);
    policy_unload(&f->policy);
    free(f);
}
