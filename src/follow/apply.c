/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stream's messages, in order, as calls of fresh_*.
 *
 *     BEGIN xid ── rows, TRUNCATE, DDL messages: depend ── COMMIT end: outdate, mark and advance A
 *     S xid ── rows ... ── E, again and again; c xid end: as COMMIT; A: forgotten
 *     keepalive end: advance A
 *
 * Invariants: A1. A passes a commit only after its marks are written (fresh_apply). A2. A catalog
 * that a commit makes outdated is so before A passes the commit: whoever stamps at or above it,
 * knows. A3. What does not fit the protocol ends the connection, and with it the epoch: it may have
 * been a change.
 */
#include "follow/follow_priv.h"

#include "base/trace.h"

#include <stdlib.h>

void apply_reset(struct follow *f)
{
    f->in_transaction = f->in_block = false;
    decoder_reset(f->decoder);
    depend_reset(f->depend);
}

uint64_t apply_extend_xid(uint32_t low, uint64_t near)
{
    const uint64_t age = UINT64_C(1) << 32;
    uint64_t best = (near & ~(age - 1)) | low;
    if (best > near && best - near > age / 2 && best >= age) {
        return best - age;
    }
    if (best < near && near - best > age / 2) {
        return best + age;
    }
    return best;
}

static void applied(struct follow *f, uint64_t lsn)
{
    if (lsn > f->applied_lsn) {
        f->applied_lsn = lsn;
        stream_applied(f->stream, lsn);
    }
    follow_progress(f);
}

void apply_idle(struct follow *f, uint64_t lsn)
{
    fresh_apply_idle(f->fresh, lsn);
    applied(f, lsn);
}

static void apply_commit(struct follow *f, uint32_t low_xid, uint64_t end_lsn)
    REQUIRES(follower_role)
{
    uint64_t xid = apply_extend_xid(low_xid, f->probe.xmax);
    struct fresh_commit c = {.end_lsn = end_lsn, .xid = xid};
    c.deps = depend_deps(f->depend, &c.count);
    f->status.commits++;
    f->status.rows += depend_row_count(f->depend);
    trace(TRACE_COMMIT, end_lsn, c.count, (struct slice){NULL, 0});
    if (depend_outdated(f->depend)) {
        schema_outdated(f, xid);
    }
    if (c.count > 0) {
        fresh_apply(f->fresh, &c);
    } else {
        fresh_apply_idle(f->fresh, end_lsn);
    }
    applied(f, end_lsn);
}

/* A message outside transactions takes effect at once, also if its sender's transaction fails. */
static void apply_loose_ddl(struct follow *f, struct slice content)
{
    depend_begin(f->depend);
    depend_ddl(f->depend, content);
    schema_outdated(f, 0);
    uint32_t count = 0;
    const fresh_dep *deps = depend_deps(f->depend, &count);
    (void)fresh_local_event(f->fresh, deps, count);
}

static void apply_logical(struct follow *f, const struct decode_message *m)
{
    if (!slice_is(m->prefix, "freshet.ddl")) {
        return; /* our kick, or somebody else's */
    }
    if (m->transactional) {
        depend_ddl(f->depend, m->content);
    } else {
        apply_loose_ddl(f, m->content);
    }
}

/* Which events may come where: rows and relations inside a transaction only. */
static bool in_order(const struct follow *f, const struct decode_event *e)
{
    switch (e->kind) {
    case DECODE_BEGIN:
    case DECODE_STREAM_START:
    case DECODE_STREAM_COMMIT:
    case DECODE_STREAM_ABORT:
        return !f->in_transaction && !f->in_block;
    case DECODE_COMMIT:
        return f->in_transaction;
    case DECODE_STREAM_STOP:
        return f->in_block;
    case DECODE_RELATION:
    case DECODE_INSERT:
    case DECODE_UPDATE:
    case DECODE_DELETE:
    case DECODE_TRUNCATE:
    case DECODE_TYPE:
    case DECODE_ORIGIN:
        return f->in_transaction || f->in_block;
    case DECODE_MESSAGE:
        return (f->in_transaction || f->in_block) == e->message.transactional;
    }
    unreachable();
}

/* Of a transaction that came in blocks. */
static bool apply_stream_commit(struct follow *f, const struct decode_commit *c)
    REQUIRES(follower_role)
{
    if (!depend_choose(f->depend, c->xid)) {
        return false;
    }
    apply_commit(f, c->xid, c->end_lsn);
    depend_forget(f->depend, c->xid);
    return true;
}

/* What begins and ends transactions and their blocks. */
static bool apply_bracket(struct follow *f, const struct decode_event *e) REQUIRES(follower_role)
{
    switch (e->kind) {
    case DECODE_BEGIN:
        f->in_transaction = true;
        f->xid = e->begin.xid;
        trace(TRACE_BEGIN, f->xid, 0, (struct slice){NULL, 0});
        depend_begin(f->depend);
        return true;
    case DECODE_COMMIT:
        f->in_transaction = false;
        apply_commit(f, f->xid, e->commit.end_lsn);
        return true;
    case DECODE_STREAM_START:
        f->in_block = true;
        trace(TRACE_BLOCK, e->stream.xid, 0, (struct slice){NULL, 0});
        depend_block_begin(f->depend, e->stream.xid);
        return true;
    case DECODE_STREAM_STOP:
        f->in_block = false;
        depend_block_end(f->depend);
        follow_progress(f);
        return true;
    case DECODE_STREAM_COMMIT:
        return apply_stream_commit(f, &e->commit);
    case DECODE_STREAM_ABORT:
        if (e->stream.subxid == e->stream.xid) {
            depend_forget(f->depend, e->stream.xid);
        }
        return true;
    default:
        unreachable();
    }
}

void apply_message(struct follow *f, struct slice message)
{
    struct decode_event e;
    const char *why = NULL;
    if (!decode_event(f->decoder, message, &e, &why)) {
        follow_fail_printf(f, "the stream holds %s", why);
        return;
    }
    if (!in_order(f, &e)) {
        follow_fail_printf(f, "the stream's messages are out of order");
        return;
    }
    bool fits = true;
    switch (e.kind) {
    case DECODE_BEGIN:
    case DECODE_COMMIT:
    case DECODE_STREAM_START:
    case DECODE_STREAM_STOP:
    case DECODE_STREAM_COMMIT:
    case DECODE_STREAM_ABORT:
        fits = apply_bracket(f, &e);
        break;
    case DECODE_RELATION:
        depend_relation(f->depend, &e.relation);
        break;
    case DECODE_INSERT:
    case DECODE_UPDATE:
    case DECODE_DELETE:
        fits = depend_row(f->depend, e.kind, &e.row);
        break;
    case DECODE_TRUNCATE:
        fits = depend_truncate(f->depend, &e.truncate);
        break;
    case DECODE_MESSAGE:
        apply_logical(f, &e.message);
        break;
    case DECODE_TYPE:
    case DECODE_ORIGIN:
        break;
    }
    if (!fits) {
        follow_fail_printf(f,
                           "the stream names a relation or transaction that it has not described");
    }
}
