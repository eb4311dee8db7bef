/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gates: who may be in the store.
 *
 * A gate is a mutex on its own cache line that only its thread takes, unless somebody wants to own
 * the whole store: an owner takes all of them, in order. So a hold costs two uncontended locks;
 * inside a pass, which keeps the gate over many holds, one; inside an ownership none, because
 * nobody else can be past a gate.
 *
 *      hold    gate, shard          waits for an owner
 *      pass    gate, if open        refused while somebody owns or is closing
 *      own     owner, every gate    waits for an owner, and for passes and holds
 *      own_try owner if free, ...   refused while somebody owns or is closing
 *
 * Who is refused marks its gate and tries once more; who gives the store up opens the gates and
 * then looks at the marks. One of the two sees the other (fences), so nobody who was refused is
 * forgotten.
 *
 * Invariants: G1. `owner_lock` is held while any gate is held by a thread that is not its own. G2.
 * nobody waits for `owner_lock` while holding a gate: a pass ends first. G3. a pass is short:
 * nothing in it waits.
 *
 * Threads: a gate's functions: its thread. store_own_is_wanted(): any.
 */
#include "store/priv.h"

#include "base/check.h"

enum { TRIES = 50 };

NO_THREAD_SAFETY void store_enter(struct store_gate *g, struct shard *sh)
{
    if (!g->is_owning) {
        if (!g->is_passed) {
            lock_acquire(&g->lock);
        }
        lock_acquire(&sh->lock);
        sh->gate = g;
    }
}

NO_THREAD_SAFETY void store_leave(struct store_gate *g, struct shard *sh)
{
    if (!g->is_owning) {
        if (__builtin_expect(g->effect_count > 0, 0)) {
            effect_hand_over(sh->store, g);
        }
        sh->gate = NULL;
        lock_release(&sh->lock);
        if (!g->is_passed) {
            lock_release(&g->lock);
        }
    }
}

/* --- passing ------------------------------------------------------------------------------------ */

bool store_own_is_wanted(const struct store *s)
{
    return atomic_load_explicit(&s->is_closing, memory_order_relaxed);
}

void store_gate_on_open(struct store_gate *g, void (*opened)(void *arg), void *arg)
{
    g->opened = opened;
    g->opened_arg = arg;
}

NO_THREAD_SAFETY static bool try_pass(struct store *s, struct store_gate *g)
{
    g->is_passed = !atomic_load(&s->is_closing) && lock_try(&g->lock);
    return g->is_passed;
}

NO_THREAD_SAFETY static bool try_owner(struct store *s, struct store_gate *g)
{
    return lock_try(&s->owner_lock);
}

/* Most ownerships end before a thread could be put to sleep. Then the mark, and one last try. */
static bool try_hard(struct store *s, struct store_gate *g,
                     bool (*attempt)(struct store *s, struct store_gate *g))
{
    for (int i = 0; i < TRIES; i++) {
        if (attempt(s, g)) {
            return true;
        }
        __builtin_ia32_pause();
    }
    atomic_store(&g->is_refused, true);
    atomic_thread_fence(memory_order_seq_cst);
    if (!attempt(s, g)) {
        return false;
    }
    atomic_store(&g->is_refused, false);
    return true;
}

bool store_gate_try(struct store *s, struct store_gate *g)
{
    check(!g->is_owning && !g->is_passed);
    return try_hard(s, g, try_pass);
}

NO_THREAD_SAFETY void store_gate_leave(struct store *s, struct store_gate *g)
{
    check(g->is_passed);
    g->is_passed = false;
    lock_release(&g->lock);
}

/* --- owning ------------------------------------------------------------------------------------- */

/* G2 */
static void end_pass(struct store *s, struct store_gate *g)
{
    check(!g->is_owning);
    if (g->is_passed) {
        store_gate_leave(s, g);
    }
}

/* The caller holds `owner_lock`. */
NO_THREAD_SAFETY static void close_gates(struct store *s, struct store_gate *g)
{
    atomic_store(&s->is_closing, true);
    for (uint32_t i = 0; i < s->gate_count; i++) {
        lock_acquire(&s->gates[i].lock);
    }
    g->is_owning = true;
    s->owner = g;
}

NO_THREAD_SAFETY void store_own(struct store *s, struct store_gate *g)
{
    end_pass(s, g);
    lock_acquire(&s->owner_lock);
    close_gates(s, g);
}

NO_THREAD_SAFETY bool store_own_try(struct store *s, struct store_gate *g)
{
    end_pass(s, g);
    bool is_mine = try_hard(s, g, try_owner);
    if (is_mine) {
        close_gates(s, g);
    }
    return is_mine;
}

static void tell_refused(struct store *s)
{
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t i = 0; i < s->gate_count; i++) {
        struct store_gate *g = &s->gates[i];
        if (atomic_load(&g->is_refused) && atomic_exchange(&g->is_refused, false) &&
            g->opened != NULL) {
            g->opened(g->opened_arg);
        }
    }
}

NO_THREAD_SAFETY void store_disown(struct store *s, struct store_gate *g)
{
    check(g->is_owning);
    if (__builtin_expect(g->effect_count > 0, 0)) {
        effect_hand_over(s, g);
    }
    g->is_owning = false;
    s->owner = NULL;
    for (uint32_t i = s->gate_count; i > 0; i--) {
        lock_release(&s->gates[i - 1].lock);
    }
    atomic_store(&s->is_closing, false);
    lock_release(&s->owner_lock);
    tell_refused(s);
}
