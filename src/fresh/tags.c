/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tags: names that an application gives to entries, and drops. A tag is a mark like any other; what is
 * special is that no commit raises it.
 *
 *      stamp of an entry with tags alone    `now`, given: no read of the database needs the fence
 *      drop                                 a local event: above every stamp given before it
 *
 * The order of a drop against a fill is that of the client's commands: a stamp that was given before the drop
 * began is below the mark, one given after it began is at or above it, and the read that follows sees what
 * the drop was called for.
 *
 * T1. A drop never waits and never fails: where a place in the WAL has no positions left, the marks rise to
 * the next place, above anything that could be given here.
 *
 * Threads: any, no lock but that of the samples.
 */
#include "base/hash.h"
#include "fresh/fresh_priv.h"

fresh_dep fresh_dep_tag(const struct fresh *f, struct slice tag)
{
    return f->tags + ((fresh_dep)(hash_slice(tag) >> 32) & (f->slots - 1));
}

bool fresh_dep_is_tag(const struct fresh *f, fresh_dep dep)
{
    return dep >= f->tags;
}

fresh_pos fresh_stamp_tags(struct fresh *f)
{
    return pos_give_now(f);
}

void fresh_drop(struct fresh *f, const fresh_dep *deps, uint32_t count)
{
    if (fresh_local_event(f, deps, count) != 0) {
        return;
    }
    fresh_pos above = pos_next_wal(fresh_applied(f));
    for (uint32_t i = 0; i < count; i++) {
        marks_raise(f, deps[i], above);
    }
}

/* A at the first moment within the last `ago_ms` that is known; false: none is. */
static bool applied_since(struct fresh *f, uint64_t now_ms, uint64_t ago_ms, fresh_pos *ret_applied)
{
    bool found = false;
    lock_acquire(&f->lock);
    uint64_t oldest = f->sample_count > SAMPLES ? f->sample_count - SAMPLES : 0;
    for (uint64_t i = f->sample_count; i > oldest; i--) {
        if (f->samples[(i - 1) % SAMPLES].ms + ago_ms < now_ms) {
            break;
        }
        *ret_applied = f->samples[(i - 1) % SAMPLES].applied;
        found = true;
    }
    lock_release(&f->lock);
    return found;
}

/* Was the mark at or below `stamp` when A was `then`? A mark knows its last change and the one before. */
static bool was_below(const struct fresh *f, fresh_dep dep, fresh_pos stamp, fresh_pos then)
{
    fresh_pos mark = fresh_mark(f, dep);
    fresh_pos before = atomic_load_explicit(&f->earlier[dep], memory_order_relaxed);
    return mark <= stamp || (mark > then && before <= stamp);
}

bool fresh_was_current(struct fresh *f, fresh_pos stamp, const fresh_dep *deps, uint32_t count,
                       uint64_t now_ms, uint64_t ago_ms)
{
    fresh_pos then;
    if (!applied_since(f, now_ms, ago_ms, &then)) {
        return false;
    }
    bool follows = false;
    bool was = true;
    for (uint32_t i = 0; i < count; i++) {
        follows |= !fresh_dep_is_tag(f, deps[i]);
        /* An entry stamped after that moment was current when it was stamped. */
        was &= stamp > then || was_below(f, deps[i], stamp, then);
    }
    return was && (!follows || (stamp >= fresh_floor(f) && fresh_proof_age(f, now_ms) <= ago_ms));
}
