/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Positions: the applied position `now`, the visible position V, stamps, local events, epochs.
 *
 * `now` is one word so that a stamp and a local event can be ordered without a lock:
 *   stamp at now:  sets GIVEN on it (only when V = A, so that the read sees all of A)
 *   local event:   now is GIVEN  -> now + 1, not GIVEN      (earlier stamps are below it)
 *                  now not GIVEN -> shares now              (no stamp is at it yet)
 *   follower:      replaces it by a higher WAL position, not GIVEN
 * With V < A a stamp is V with all low bits set: above every local event up to V, below all since.
 *
 * V is 0 while closed (no contact, or start-up not finished), so "may I stamp" and "with what" are one
 * load and cannot disagree.
 */
#include "base/check.h"
#include "base/clock.h"
#include "fresh/fresh_priv.h"

fresh_pos fresh_applied(const struct fresh *f)
{
    return atomic_load_explicit(&f->now, memory_order_acquire) & ~POS_GIVEN;
}

fresh_pos fresh_visible(const struct fresh *f)
{
    return atomic_load_explicit(&f->visible, memory_order_acquire);
}

fresh_pos fresh_floor(const struct fresh *f)
{
    return atomic_load_explicit(&f->floor, memory_order_acquire);
}

uint64_t fresh_epoch(const struct fresh *f)
{
    return atomic_load_explicit(&f->epoch, memory_order_relaxed);
}

fresh_pos pos_give_now(struct fresh *f)
{
    fresh_pos now = atomic_load_explicit(&f->now, memory_order_acquire);
    while ((now & POS_GIVEN) == 0 &&
           !atomic_compare_exchange_weak_explicit(&f->now, &now, now | POS_GIVEN,
                                                  memory_order_acq_rel, memory_order_acquire)) {
    }
    return now & ~POS_GIVEN;
}

fresh_pos fresh_stamp(struct fresh *f)
{
    fresh_pos visible = fresh_visible(f);
    if (visible == 0) {
        return 0;
    }
    fresh_pos now = atomic_load_explicit(&f->now, memory_order_acquire);
    if (pos_wal(now & ~POS_GIVEN) != visible) {
        return visible | POS_N_MASK;
    }
    now = pos_give_now(f);
    return pos_wal(now) == visible ? now : visible | POS_N_MASK;
}

struct fresh_window fresh_window_open(struct fresh *f)
{
    struct fresh_window w = {.stamp = fresh_stamp(f), .visible = fresh_visible(f)};
    w.applied = pos_give_now(f);
    return w;
}

fresh_pos fresh_stamp_ago(struct fresh *f, uint64_t now_ms, uint64_t ago_ms)
{
    fresh_pos found = 0;
    lock_acquire(&f->lock);
    uint64_t oldest = f->sample_count > SAMPLES ? f->sample_count - SAMPLES : 0;
    for (uint64_t i = f->sample_count; i > oldest && found == 0; i--) {
        if (f->samples[(i - 1) % SAMPLES].ms + ago_ms <= now_ms) {
            found = f->samples[(i - 1) % SAMPLES].stamp;
            break;
        }
    }
    lock_release(&f->lock);
    return found;
}

uint64_t fresh_reached_ms(struct fresh *f, fresh_pos stamp)
{
    uint64_t reached = 0;
    lock_acquire(&f->lock);
    uint64_t oldest = f->sample_count > SAMPLES ? f->sample_count - SAMPLES : 0;
    for (uint64_t i = f->sample_count; i > oldest; i--) {
        if (f->samples[(i - 1) % SAMPLES].stamp < pos_wal(stamp)) {
            break;
        }
        reached = i - 1 > oldest ? f->samples[(i - 1) % SAMPLES].ms : 0;
    }
    lock_release(&f->lock);
    return reached;
}

void fresh_sample(struct fresh *f, uint64_t now_ms)
{
    fresh_pos stamp = fresh_stamp(f);
    fresh_pos applied = pos_give_now(f);
    lock_acquire(&f->lock);
    uint64_t newest = f->sample_count > 0 ? f->samples[(f->sample_count - 1) % SAMPLES].ms : 0;
    if (f->sample_count > 0 && now_ms < newest + SAMPLE_MS) {
        lock_release(&f->lock);
        return;
    }
    uint64_t i = f->sample_count++ % SAMPLES;
    f->samples[i].ms = now_ms;
    f->samples[i].stamp = stamp;
    f->samples[i].applied = applied;
    lock_release(&f->lock);
}

fresh_pos fresh_local_event(struct fresh *f, const fresh_dep *deps, uint32_t count)
{
    fresh_pos now = atomic_load_explicit(&f->now, memory_order_acquire);
    fresh_pos at;
    do {
        at = now & ~POS_GIVEN;
        if ((now & POS_GIVEN) != 0) {
            if (fresh_epoch(f) != 0 && (at & POS_N_MASK) == POS_N_MASK) {
                return 0;
            }
            at++;
        }
    } while (!atomic_compare_exchange_weak_explicit(&f->now, &now, at, memory_order_acq_rel,
                                                    memory_order_acquire));
    for (uint32_t i = 0; i < count; i++) {
        marks_raise(f, deps[i], at);
    }
    return at;
}

fresh_pos pos_of_lsn_locked(const struct fresh *f, uint64_t lsn)
{
    return f->base + ((lsn > f->start_lsn ? lsn - f->start_lsn : 0) << POS_N_BITS);
}

fresh_pos fresh_pos_of_lsn(struct fresh *f, uint64_t lsn)
{
    lock_acquire(&f->lock);
    fresh_pos pos = pos_of_lsn_locked(f, lsn);
    lock_release(&f->lock);
    return pos;
}

void fresh_new_epoch(struct fresh *f, uint64_t lsn)
{
    fresh_close(f);
    lock_acquire(&f->lock);
    fresh_pos now = atomic_load_explicit(&f->now, memory_order_relaxed);
    do { /* local events go on meanwhile */
        f->base = pos_next_wal(now & ~POS_GIVEN);
    } while (!atomic_compare_exchange_weak_explicit(&f->now, &now, f->base, memory_order_release,
                                                    memory_order_relaxed));
    f->start_lsn = lsn;
    ring_reset(&f->ring);
    uint64_t epoch = fresh_epoch(f) != 0 ? fresh_epoch(f) + 1 : f->created_wall_ms + 1;
    uint64_t wall = clock_wall_ms();
    atomic_store_explicit(&f->epoch, epoch > wall ? epoch : wall, memory_order_relaxed);
    f->confirmed = f->base;
    lock_release(&f->lock);
    atomic_store_explicit(&f->floor, f->base, memory_order_release);
}

void fresh_open(struct fresh *f)
{
    f->open = true;
    if (atomic_load_explicit(&f->born, memory_order_relaxed) == 0) {
        atomic_store_explicit(&f->born, fresh_applied(f), memory_order_relaxed);
    }
    atomic_store_explicit(&f->visible, f->confirmed, memory_order_release);
}

void fresh_close(struct fresh *f)
{
    f->open = false;
    atomic_store_explicit(&f->visible, 0, memory_order_release);
}

void fresh_proof(struct fresh *f, uint64_t at_ms)
{
    atomic_store_explicit(&f->proof_ms, at_ms, memory_order_relaxed);
}

uint64_t fresh_proof_age(const struct fresh *f, uint64_t now_ms)
{
    uint64_t proof = atomic_load_explicit(&f->proof_ms, memory_order_relaxed);
    if (proof == 0) {
        return UINT64_MAX;
    }
    return now_ms > proof ? now_ms - proof : 0;
}
