/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Marks and the judgement.
 *
 * One array holds every mark: hashed slots first, then two wide marks for each registered name. It is
 * mapped, not allocated, so untouched slots cost no memory. Marks only rise (F1): raising is an atomic
 * max, so the follower and local events need no lock between them.
 *
 * Beside each mark stands the position of the change before its last one (`earlier`). It never judges an
 * entry; it tells whether something has changed twice lately (fresh_changed_twice).
 *
 * When all wide pairs are taken, further names share pairs by hash: a collision can only void too much.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "fresh/fresh_priv.h"

#include <stdlib.h>
#include <sys/mman.h>

static size_t marks_bytes(uint32_t slots)
{
    return 2 * ((size_t)slots + (size_t)FRESH_WIDES_MAX) * sizeof(fresh_pos);
}

struct fresh *fresh_create(const struct fresh_options *options)
{
    check(options->slots > 0 && (options->slots & (options->slots - 1)) == 0);
    struct fresh *f = xcalloc(1, sizeof(*f));
    f->slots = options->slots;
    f->tags = options->slots + 2 * FRESH_WIDES_MAX;
    f->created_wall_ms = clock_wall_ms();
    f->max_stale_ms = options->max_stale_ms;
    f->break_fence = options->break_fence;
    f->break_late_marks = options->break_late_marks;
    void *mem = mmap(NULL, marks_bytes(f->slots), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(mem != MAP_FAILED);
    f->marks = mem;
    mem = mmap(NULL, marks_bytes(f->slots), PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(mem != MAP_FAILED);
    f->earlier = mem;
    lock_init(&f->lock, LOCK_RANK_FRESH);
    f->wide_names = xcalloc(FRESH_WIDES_MAX, sizeof(*f->wide_names));
    f->base = POS_N_MASK + 1;
    atomic_init(&f->now, f->base);
    ring_reset(&f->ring);
    return f;
}

void fresh_destroy(struct fresh **fp)
{
    struct fresh *f = *fp;
    *fp = NULL;
    if (f == NULL) {
        return;
    }
    for (uint32_t i = 0; i < f->wide_count; i++) {
        free(f->wide_names[i]);
    }
    free(f->wide_names);
    free(f->ring.at);
    free(f->late);
    check(munmap((void *)(uintptr_t)f->marks, marks_bytes(f->slots)) == 0);
    check(munmap((void *)(uintptr_t)f->earlier, marks_bytes(f->slots)) == 0);
    lock_fini(&f->lock);
    free(f);
}

/* Returns the lower one of what was there and `to`. */
static fresh_pos raise_to(_Atomic fresh_pos *mark, fresh_pos to)
{
    fresh_pos old = atomic_load_explicit(mark, memory_order_relaxed);
    while (old < to && !atomic_compare_exchange_weak_explicit(mark, &old, to, memory_order_relaxed,
                                                              memory_order_relaxed)) {
    }
    return old < to ? old : to;
}

void marks_raise(struct fresh *f, fresh_dep dep, fresh_pos to)
{
    fresh_pos last = atomic_load_explicit(&f->marks[dep], memory_order_relaxed);
    if (last != to) {
        (void)raise_to(&f->earlier[dep], raise_to(&f->marks[dep], to));
    }
}

fresh_wide fresh_register(struct fresh *f, struct slice name)
{
    lock_acquire(&f->lock);
    fresh_wide wide = 0;
    while (wide < f->wide_count && !slice_is(name, f->wide_names[wide])) {
        wide++;
    }
    bool is_new = wide == f->wide_count;
    if (is_new && f->wide_count < FRESH_WIDES_MAX) {
        f->wide_names[f->wide_count++] = xstrndup(name.ptr, name.len);
    } else if (is_new) {
        wide = (fresh_wide)(hash_slice(name) % FRESH_WIDES_MAX);
    }
    lock_release(&f->lock);
    if (is_new) {
        fresh_pos now = fresh_applied(f);
        marks_raise(f, fresh_dep_any(f, wide), now);
        marks_raise(f, fresh_dep_all(f, wide), now);
    }
    return wide;
}

uint64_t fresh_hashed_raised(const struct fresh *f, uint32_t *ret_slots)
{
    *ret_slots = f->slots;
    return atomic_load_explicit(&f->raised, memory_order_relaxed);
}

fresh_dep fresh_dep_any(const struct fresh *f, fresh_wide wide)
{
    return f->slots + 2 * wide;
}

fresh_dep fresh_dep_all(const struct fresh *f, fresh_wide wide)
{
    return f->slots + 2 * wide + 1;
}

fresh_dep fresh_dep_hash(const struct fresh *f, uint64_t hash)
{
    return (fresh_dep)(hash >> 32) & (f->slots - 1);
}

void fresh_deps_add(struct fresh_deps *deps, fresh_dep dep)
{
    for (uint32_t i = 0; i < deps->count; i++) {
        if (deps->dep[i] == dep) {
            return;
        }
    }
    if (deps->count == FRESH_DEPS_MAX) {
        deps->overflow = true;
        return;
    }
    deps->dep[deps->count++] = dep;
}

fresh_pos fresh_mark(const struct fresh *f, fresh_dep dep)
{
    return atomic_load_explicit(&f->marks[dep], memory_order_relaxed);
}

enum fresh_verdict fresh_judge(const struct fresh *f, fresh_pos stamp, const fresh_dep *deps,
                               uint32_t count, uint64_t now_ms)
{
    bool is_old = stamp < atomic_load_explicit(&f->floor, memory_order_acquire);
    bool is_outdated = false;
    bool follows = count == 0; /* the database, not tags alone */
    for (uint32_t i = 0; i < count; i++) {
        is_outdated |= stamp < fresh_mark(f, deps[i]);
        follows |= !fresh_dep_is_tag(f, deps[i]);
    }
    if (follows && is_old) {
        return FRESH_VOID;
    }
    if (is_outdated) {
        return FRESH_OUTDATED;
    }
    return !follows || fresh_proof_age(f, now_ms) <= f->max_stale_ms ? FRESH_HIT : FRESH_UNPROVEN;
}

/*
 * All positions above `since` that the marks and the changes before them show must be one and the same. What
 * was registered before the process first followed is no change. A later epoch begins with one, because
 * what was committed while contact was lost is not known.
 */
bool fresh_changed_twice(struct fresh *f, const fresh_dep *deps, uint32_t count, uint64_t now_ms,
                         uint64_t ago_ms)
{
    fresh_pos born = atomic_load_explicit(&f->born, memory_order_relaxed);
    fresh_pos floor = fresh_floor(f);
    fresh_pos since = fresh_stamp_ago(f, now_ms, ago_ms);
    fresh_pos seen = 0;
    if (since < floor || since < born) {
        seen = floor > born ? floor : 0;
        since = floor > born ? floor : born;
    }
    for (uint32_t i = 0; i < 2 * count; i++) {
        const _Atomic fresh_pos *from = i % 2 == 0 ? f->marks : f->earlier;
        fresh_pos at = atomic_load_explicit(&from[deps[i / 2]], memory_order_relaxed);
        if (at > since && at != seen) {
            if (seen != 0) {
                return true;
            }
            seen = at;
        }
    }
    return false;
}
