/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The probe: one query on an ordinary connection, one in flight,
 *
 *     select pg_current_snapshot(), pg_current_wal_insert_lsn()
 *
 * and four uses of its answer (S, L):
 *
 *   the fence   commits that S shows are visible to every later snapshot: V advances
 *   strict      what was visible before the probe was sent ends at or below L: wait for A >= L
 *   proof       once A >= L, everything visible when it was sent has been applied: contact is proven
 *   start-up    transactions in progress in the first S after the slot was made must end
 *
 * When it is sent, at the end of a turn of the loop: strict waiters are new; commits wait for the
 * fence (at once, then after 1, 2, 4, 5 ms while nothing moves); start-up is not over; PROOF_MS
 * have passed.
 *
 * L counts what is inserted into the WAL, the stream only what is flushed. If A rests below L, the
 * tail is not flushed (asynchronous commits, open transactions), and the kick flushes it: a logical
 * message on a third connection, which also moves the stream. It runs without synchronous
 * replication, or a missing standby would stop it.
 *
 * Invariants: P1. A probe's results are used only for what was waiting before it was sent. P2.
 * sent_ms is read before sending.
 */
#include "follow/follow_priv.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/number.h"
#include "base/trace.h"

#include <stdlib.h>

enum {
    PROOF_MS = 100,     /* contact is proven at least so often */
    PROOF_STEP_MS = 20, /* and noted at most so often */
    DRAIN_MS = 20,
    FENCE_MAX_MS = 5,
    ANSWER_MAX_MS = 5000,
    DOUBT_MS = 1000,      /* without an answer: ask on a new connection */
    DOUBT_GRACE_MS = 250, /* that is how much later than the new one the old one may answer */
    KICK_STRICT_MS = 1,
    KICK_PROOF_MS = 50,
    KICKER_RETRY_MS = 1000,
};

/* --- proof -------------------------------------------------------------------------------------- */

static void note_proof(struct probe *p, uint64_t lsn)
{
    if (p->proof_count == PROOFS_MAX) {
        return;
    }
    if (p->proof_count > 0) {
        const struct proof *newest = &p->proofs[(p->proof_first + p->proof_count - 1) % PROOFS_MAX];
        if (p->sent_ms - newest->at_ms < PROOF_STEP_MS) {
            return;
        }
    }
    p->proofs[(p->proof_first + p->proof_count) % PROOFS_MAX] = (struct proof){lsn, p->sent_ms};
    p->proof_count++;
}

static void take_proofs(struct follow *f) REQUIRES(follower_role)
{
    struct probe *p = &f->probe;
    while (p->proof_count > 0 && p->proofs[p->proof_first].lsn <= f->applied_lsn) {
        fresh_proof(f->fresh, p->proofs[p->proof_first].at_ms);
        p->proof_first = (p->proof_first + 1) % PROOFS_MAX;
        p->proof_count--;
    }
}

/* --- the kick ----------------------------------------------------------------------------------- */

void probe_kick(struct follow *f)
{
    struct probe *p = &f->probe;
    if (p->kicker_step != PROBE_READY || !pg_session_idle(p->kicker)) {
        return;
    }
    p->kicked_lsn = p->highest_lsn;
    f->status.kicks++;
    pg_session_query(p->kicker, "select pg_catalog.pg_logical_emit_message(true, 'freshet', '')");
}

static bool behind(const struct follow *f)
{
    return waits_pending(f) || f->probe.proof_count > 0;
}

static void kick_due(struct timer *t);

static void arm_kick(struct follow *f)
{
    struct probe *p = &f->probe;
    uint64_t after = waits_pending(f) ? KICK_STRICT_MS : KICK_PROOF_MS;
    bool sooner = timer_running(&p->kick) && p->kick.due_ms > loop_now_ms(f->loop) + after;
    if (behind(f) && (!timer_running(&p->kick) || sooner)) {
        p->progress_lsn = f->applied_lsn;
        timer_start(f->loop, &p->kick, after, kick_due);
    }
}

static void kick_due(struct timer *t)
{
    struct probe *p = container_of(t, struct probe, kick);
    struct follow *f = container_of(p, struct follow, probe);
    bool rests = f->applied_lsn == p->progress_lsn;
    if (behind(f) && rests && p->highest_lsn > p->kicked_lsn) {
        probe_kick(f);
    }
    if (behind(f) && !rests) {
        arm_kick(f);
    }
}

static void kicker_ready(void *arg)
{
    struct follow *f = arg;
    f->probe.kicker_step = PROBE_SETTINGS;
    pg_session_query(f->probe.kicker, "set synchronous_commit to local");
}

static void kicker_result(void *arg, PGresult *r)
{
    struct follow *f = arg;
    if (f->probe.kicker_step == PROBE_SETTINGS) {
        f->probe.kicker_good_ms = loop_now_ms(f->loop);
    }
    if (PQresultStatus(r) == PGRES_FATAL_ERROR) {
        log_debug("follow", "kick: %s", PQresultErrorMessage(r));
    }
    f->probe.kicker_step = PROBE_READY;
    stream_ask(f->stream);
}

static void kicker_failed(void *arg, const char *why)
{
    struct follow *f = arg;
    log_debug("follow", "kick: %s", why);
    f->probe.kicker_step = PROBE_CLOSED;
    f->probe.kicker_retry_ms = loop_now_ms(f->loop) + KICKER_RETRY_MS;
}

static const struct pg_session_face kicker_face = {
    .ready = kicker_ready, .result = kicker_result, .failed = kicker_failed};

static void kicker_open(struct follow *f)
{
    f->probe.kicker_step = PROBE_CONNECTING;
    f->probe.kicker_sent_ms = loop_now_ms(f->loop);
    pg_session_connect(f->probe.kicker, f->stream_dsn, "fallback_application_name=freshet",
                       f->connect_most_ms);
}

/* --- start-up ----------------------------------------------------------------------------------- */

void probe_drain(struct follow *f)
{
    f->probe.drain_wanted = true;
    f->probe.draining = true;
    f->probe.drain_count = 0;
    probe_wanted(f);
}

bool probe_drained(const struct follow *f)
{
    return !f->probe.draining;
}

/* Notes every transaction in progress in `snapshot` ("xmin:xmax:xip,xip..."). */
static void note_running(struct probe *p, struct slice snapshot)
{
    const char *colon = memrchr(snapshot.ptr, ':', snapshot.len);
    struct slice rest = slice_from(snapshot, (size_t)(colon - snapshot.ptr) + 1);
    while (rest.len > 0) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        size_t len = comma != NULL ? (size_t)(comma - rest.ptr) : rest.len;
        uint64_t xid = 0;
        if (number_parse_u64((struct slice){rest.ptr, len}, &xid)) {
            p->drain_xids = xrealloc(p->drain_xids, (p->drain_count + 1) * sizeof(xid));
            p->drain_xids[p->drain_count++] = xid;
        }
        rest = slice_from(rest, comma != NULL ? len + 1 : len);
    }
}

static void take_drain(struct follow *f, struct slice snapshot)
{
    struct probe *p = &f->probe;
    if (p->drain_wanted) {
        return; /* sent before the slot was made (P1) */
    }
    if (p->drain_sent) {
        p->drain_sent = false;
        note_running(p, snapshot);
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < p->drain_count; i++) {
        if (!fresh_snapshot_shows(snapshot, p->drain_xids[i])) {
            p->drain_xids[left++] = p->drain_xids[i];
        }
    }
    p->drain_count = left;
    p->draining = left > 0;
    if (!p->draining) {
        follow_progress(f);
    }
}

/* --- sending ------------------------------------------------------------------------------------ */

/* How long until the probe should be sent; 0: now. */
static uint64_t due_in(const struct follow *f) REQUIRES(follower_role)
{
    const struct probe *p = &f->probe;
    uint64_t now = loop_now_ms(f->loop);
    uint64_t due = p->sent_ms + PROOF_MS;
    if (waits_unsent(f) || p->drain_wanted || p->end_wanted) {
        return 0;
    }
    if (fresh_unconfirmed(f->fresh) && p->fence_due_ms < due) {
        due = p->fence_due_ms;
    }
    if (p->draining && p->sent_ms + DRAIN_MS < due) {
        due = p->sent_ms + DRAIN_MS;
    }
    return due > now ? due - now : 0;
}

static void again(struct timer *t)
{
    probe_wanted(container_of(t, struct follow, probe.again));
}

static void send_if_due(struct loop_task *task)
{
    struct follow *f = container_of(task, struct follow, probe.task);
    struct probe *p = &f->probe;
    role_assume(&follower_role);
    if (p->step != PROBE_READY || p->in_flight) {
        return; /* the answer looks again */
    }
    uint64_t after = due_in(f);
    if (after > 0) {
        timer_start(f->loop, &p->again, after, again);
        return;
    }
    p->in_flight = true;
    p->end_wanted = false;
    p->drain_sent = p->drain_wanted;
    p->drain_wanted = false;
    p->over_unconfirmed = fresh_unconfirmed(f->fresh);
    p->sent_ms = loop_now_ms(f->loop);
    f->status.probes++;
    waits_sent(f);
    pg_session_query(p->session, "select pg_catalog.pg_current_snapshot()::text,"
                                 " pg_catalog.pg_current_wal_insert_lsn()::text");
}

void probe_end_wanted(struct follow *f)
{
    f->probe.end_wanted = true;
    probe_wanted(f);
}

void probe_wanted(struct follow *f)
{
    loop_defer(f->loop, &f->probe.task, send_if_due);
}

/* --- the answer --------------------------------------------------------------------------------- */

static void take_fence(struct follow *f, struct slice snapshot) REQUIRES(follower_role)
{
    struct probe *p = &f->probe;
    bool moved = fresh_confirm(f->fresh, snapshot);
    if (moved || !p->over_unconfirmed) {
        p->fence_wait_ms = 0;
        p->fence_due_ms = 0;
        return;
    }
    if (fresh_unconfirmed(f->fresh)) {
        f->status.fence_waits += p->fence_wait_ms == 0 ? 1 : 0;
        p->fence_wait_ms = p->fence_wait_ms == 0 ? 1 : p->fence_wait_ms * 2;
        p->fence_wait_ms = p->fence_wait_ms > FENCE_MAX_MS ? FENCE_MAX_MS : p->fence_wait_ms;
        p->fence_due_ms = loop_now_ms(f->loop) + p->fence_wait_ms;
        trace(TRACE_FENCE, p->fence_wait_ms, 0, (struct slice){NULL, 0});
    }
}

static void take_answer(struct follow *f, const PGresult *r) REQUIRES(follower_role)
{
    struct probe *p = &f->probe;
    uint64_t lsn = 0;
    struct slice snapshot = slice_of(PQgetvalue(r, 0, 0));
    uint64_t xmax = fresh_snapshot_xmax(snapshot);
    if (xmax == 0 || !pg_lsn_parse(PQgetvalue(r, 0, 1), &lsn)) {
        follow_fail(f, "the probe's answer is not a snapshot and a position");
        return;
    }
    lsn = pg_lsn_normalise(lsn, p->segment_bytes);
    p->in_flight = false;
    p->xmax = xmax;
    p->highest_lsn = lsn > p->highest_lsn ? lsn : p->highest_lsn;
    if (p->draining) {
        take_drain(f, snapshot);
    }
    take_fence(f, snapshot);
    schema_snapshot(f, snapshot);
    note_proof(p, lsn);
    waits_place(f, lsn);
    if (lsn > f->applied_lsn) {
        stream_ask(f->stream);
    }
    follow_progress(f);
    probe_wanted(f);
}

static void take_settings(struct follow *f, const PGresult *r)
{
    if (PQntuples(r) != 1 ||
        !number_parse_u64(slice_of(PQgetvalue(r, 0, 0)), &f->probe.segment_bytes)) {
        f->probe.segment_bytes = 0;
    }
    f->probe.step = PROBE_READY;
    follow_enter(f, FOLLOW_SLOT);
    stream_open(f->stream, f->stream_dsn, f->policy->database.publication);
    kicker_open(f);
}

static void on_result(void *arg, PGresult *r)
{
    struct follow *f = arg;
    role_assume(&follower_role);
    if (PQresultStatus(r) != PGRES_TUPLES_OK) {
        const char *why = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
        char *text = pg_advice(why != NULL ? why : "the probe failed",
                               PQresultErrorField(r, PG_DIAG_SQLSTATE));
        follow_fail(f, text);
        free(text);
        return;
    }
    if (f->probe.step == PROBE_SETTINGS) {
        take_settings(f, r);
    } else {
        take_answer(f, r);
    }
}

static void on_ready(void *arg)
{
    struct follow *f = arg;
    follow_answered(f);
    f->probe.step = PROBE_SETTINGS;
    pg_session_query(f->probe.session,
                     "select setting from pg_catalog.pg_settings where name = 'wal_segment_size'");
}

static void on_failed(void *arg, const char *why)
{
    char *text = pg_advice(why, NULL);
    follow_disconnected(arg, text);
    free(text);
}

static const struct pg_session_face probe_face = {
    .ready = on_ready, .result = on_result, .failed = on_failed};

/* --- the face ----------------------------------------------------------------------------------- */

void probe_init(struct follow *f)
{
    list_init(&f->probe.task.node);
    f->probe.session = pg_session_create(f->loop, &probe_face, f);
    f->probe.kicker = pg_session_create(f->loop, &kicker_face, f);
}

void probe_fini(struct follow *f)
{
    pg_session_destroy(&f->probe.session);
    pg_session_destroy(&f->probe.kicker);
    free(f->probe.drain_xids);
}

void probe_open(struct follow *f)
{
    f->probe.step = PROBE_CONNECTING;
    pg_session_connect(f->probe.session, f->stream_dsn, "fallback_application_name=freshet",
                       f->connect_most_ms);
}

void probe_close(struct follow *f)
{
    struct probe *p = &f->probe;
    pg_session_close(p->session);
    pg_session_close(p->kicker);
    timer_stop(&p->again);
    timer_stop(&p->kick);
    p->step = p->kicker_step = PROBE_CLOSED;
    p->in_flight = p->draining = p->drain_wanted = p->drain_sent = p->end_wanted = false;
    p->xmax = 0;
    p->proof_count = p->drain_count = 0;
    p->highest_lsn = p->kicked_lsn = 0;
    p->fence_wait_ms = 0;
    p->fence_due_ms = 0;
}

void probe_progress(struct follow *f)
{
    take_proofs(f);
    waits_progress(f);
    if (behind(f)) {
        arm_kick(f);
    } else {
        timer_stop(&f->probe.kick);
    }
    probe_wanted(f);
}

/* Is it the server that is silent, or only this connection? Packets that were dropped are sent again later and
 * later; a firewall forgets connections. A new one tells. */
static void second_opinion(struct follow *f, uint64_t now)
{
    struct probe *p = &f->probe;
    bool fresh = p->kicker_sent_ms >= p->sent_ms;
    if (!fresh || now - p->kicker_sent_ms > f->connect_most_ms) {
        kicker_open(f);
    } else if (p->kicker_good_ms >= p->kicker_sent_ms && now - p->kicker_good_ms > DOUBT_GRACE_MS) {
        follow_lost(f, FOLLOW_LOSS_silent,
                    "the connection is dead: the server answers new ones, but not this one; "
                    "freshet connects again");
    }
}

uint64_t probe_waited(const struct follow *f)
{
    const struct probe *p = &f->probe;
    uint64_t now = loop_now_ms(f->loop);
    if (p->step == PROBE_CONNECTING || p->step == PROBE_SETTINGS) {
        return now - f->entered_ms;
    }
    return p->in_flight ? now - p->sent_ms : 0;
}

void probe_tick(struct follow *f)
{
    struct probe *p = &f->probe;
    uint64_t now = loop_now_ms(f->loop);
    if (p->in_flight && now - p->sent_ms > ANSWER_MAX_MS) {
        follow_lost(f, FOLLOW_LOSS_silent,
                    "the server does not answer; is it stopped, or is the network cut?");
        return;
    }
    if (p->in_flight && now - p->sent_ms > DOUBT_MS) {
        second_opinion(f, now);
        return;
    }
    if (p->step == PROBE_READY && p->kicker_step == PROBE_CLOSED && now >= p->kicker_retry_ms) {
        kicker_open(f);
    }
    probe_wanted(f);
}
