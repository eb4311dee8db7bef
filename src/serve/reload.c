/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a new policy file to a server that answers by it, without a pause:
 *
 *   SIGHUP ─> policy loads, nothing in it needs a restart ─> reload_begin
 *     with a database   follow: analyse, raise what changed ─> reload_publish(plan)
 *     without one       reload_publish(a blank plan)
 *   ─> mail to every worker: from the next command on it answers by the plan's policy
 *   ─> the last worker to switch sweeps: keys stored before a new template governed them are removed
 *
 * What a reload voids, and how:
 *
 *   a route that changed      by its identity, which is part of the cache key: never found again
 *   a template that is gone   by its marks, which the follower raises when it installs the catalog
 *   a template that is new    its keys may have been stored without it: the sweep removes them
 *   a space's prefix or consistency, which decide what its keys mean: the sweep, for all its templates
 *
 * Invariants: P1. One reload at a time; of those that come meanwhile the last one counts. P2. The sweep
 * begins when no worker stores by the old policy any more. P3. A worker's policy is its plan's.
 *
 * Threads: any; `lock` guards everything but the sweep, which belongs to the worker that runs it.
 */
#include "serve/reload.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "serve/gate.h"
#include "serve/resp_client.h"
#include "serve/users.h"

#include <inttypes.h>
#include <stdlib.h>

/* A step of the sweep: well under a millisecond. It waits while a script owns the store. */
enum { SWEEP_KEYS = 256, AGAIN_MS = 10 };

struct sweep {
    struct timer step;
    struct worker *worker;
    const struct policy *old; /* references */
    const struct policy *new;
    bool *is_new; /* by template of the new policy */
    bool any_new;
    uint32_t db;
    const struct policy_space *space; /* of `db`, in the new policy */
    bool renamed;                     /* its keys mean other templates than before */
    uint64_t cursor;
    struct buf doomed; /* keys: length, bytes */
    uint64_t voided;
};

struct reload {
    struct server *server;
    struct lock lock;
    const struct policy *policy;   /* lock; the newest accepted; a reference */
    const struct policy *next;     /* lock; came during a reload; a reference or NULL */
    bool busy;                     /* lock; from reload_begin() to the end of the sweep */
    bool published;                /* lock; a plan of `policy` is on its way to the workers */
    uint32_t unswitched;           /* lock; workers that answer by the old policy */
    uint64_t began_ms;             /* lock */
    struct reload_figures figures; /* lock */
    struct sweep sweep;
};

/* --- the sweep ---------------------------------------------------------------------------------- */

/* Turns to database `db`: can its keys mean something to the new policy that they did not to the old? */
static bool must_sweep(struct sweep *s)
{
    s->space = policy_space_of(s->new, s->db);
    if (s->space == NULL || !policy_space_followed(s->new, s->space)) {
        return false;
    }
    s->renamed = !policy_space_same_keys(s->space, policy_space_of(s->old, s->db));
    return s->renamed || s->any_new;
}

struct judging {
    const struct sweep *sweep;
    bool doomed;
};

static void matched(void *arg, const struct policy_template *t, const struct slice *values)
{
    struct judging *j = arg;
    (void)values;
    j->doomed = j->doomed || j->sweep->renamed || j->sweep->is_new[t->index];
}

static void visit(void *arg, const struct store_item *it)
{
    struct sweep *s = arg;
    struct judging j = {.sweep = s};
    struct slice key = store_item_key(it);
    struct slice rest;
    if (policy_strip_prefix(s->space, key, &rest)) {
        policy_match_key(s->new, rest, matched, &j);
    }
    if (j.doomed) {
        buf_append(&s->doomed, (const char *)&key.len, sizeof(key.len));
        buf_append_slice(&s->doomed, key);
    }
}

static void remove_doomed(struct sweep *s, uint64_t now_ms) REQUIRES(worker_role)
{
    struct slice rest = buf_readable(&s->doomed);
    while (rest.len > 0) {
        size_t len;
        memcpy(&len, rest.ptr, sizeof(len));
        struct slice key = {rest.ptr + sizeof(len), len};
        struct store_hold hold;
        store_hold(s->worker->server->store, s->worker->gate, s->db, key, now_ms, &hold);
        s->voided += store_remove(&hold) ? 1 : 0;
        store_drop(&hold);
        rest = slice_from(rest, sizeof(len) + len);
    }
    buf_clear(&s->doomed);
}

static void finish(struct reload *r) REQUIRES(worker_role);

static void sweep_step(struct timer *t)
{
    struct sweep *s = container_of(t, struct sweep, step);
    struct worker *w = s->worker;
    bool took;
    role_assume(&worker_role);
    if (!gate_try(w, &took)) {
        timer_start(w->loop, t, AGAIN_MS, sweep_step);
        return;
    }
    while (s->db < POLICY_DBS && s->cursor == 0 && !must_sweep(s)) {
        s->db++;
    }
    bool is_over = s->db == POLICY_DBS;
    if (!is_over) {
        /* Time 0: what cannot be served just now, for lack of contact, may be served again later. */
        s->cursor =
            store_scan(w->server->store, w->gate, s->db, s->cursor, SWEEP_KEYS, 0, visit, s);
        remove_doomed(s, loop_now_ms(w->loop));
        s->db += s->cursor == 0 ? 1 : 0;
    }
    if (took) {
        gate_leave(w);
    }
    if (is_over) {
        finish(container_of(s, struct reload, sweep));
        return;
    }
    timer_start(w->loop, t, 0, sweep_step);
}

/* --- one reload after the other ----------------------------------------------------------------- */

static void sweep_prepare(struct sweep *s, const struct policy *old, const struct policy *new)
{
    *s = (struct sweep){.old = old, .new = policy_share(new)};
    buf_init(&s->doomed);
    s->is_new = xcalloc(new->template_count + 1, sizeof(*s->is_new));
    for (uint32_t i = 0; i < new->template_count; i++) {
        s->is_new[i] = !policy_has_template(old, &new->templates[i]);
        s->any_new = s->any_new || s->is_new[i];
    }
}

static void sweep_fini(struct sweep *s)
{
    policy_unload(&s->old);
    policy_unload(&s->new);
    free(s->is_new);
    s->is_new = NULL;
    buf_fini(&s->doomed);
}

/* Under the lock. */
static void start(struct reload *r, const struct policy *p)
{
    sweep_prepare(&r->sweep, r->policy, p);
    r->policy = p;
    r->busy = true;
    r->published = false;
    r->unswitched = r->server->worker_count;
    r->began_ms = clock_now_ms();
}

static void put_in_force(struct reload *r, const struct policy *p)
{
    struct server *s = r->server;
    leases_policy(s->leases, p, clock_now_ms());
    users_reload(s, p);
    if (s->follow != NULL) {
        follow_reload(s->follow, p);
    } else {
        reload_publish(r, plan_blank(p));
    }
}

void reload_begin(struct reload *r, const struct policy *p)
{
    lock_acquire(&r->lock);
    bool now = !r->busy;
    if (now) {
        start(r, policy_share(p));
    } else {
        policy_unload(&r->next);
        r->next = policy_share(p);
    }
    lock_release(&r->lock);
    if (now) {
        put_in_force(r, p);
    } else {
        log_info("reload", "the reload before is in progress; this one comes after it");
    }
}

/* The sweeping worker's thread. */
static void finish(struct reload *r)
{
    struct sweep *s = &r->sweep;
    uint64_t voided = s->voided;
    struct buf change;
    buf_init(&change);
    policy_describe_change(s->old, s->new, &change);
    buf_append_char(&change, '\0');
    lock_acquire(&r->lock);
    r->figures.reloads++;
    r->figures.voided += voided;
    uint64_t took_ms = clock_now_ms() - r->began_ms;
    sweep_fini(s);
    const struct policy *next = r->next;
    r->next = NULL;
    r->busy = false;
    if (next != NULL) {
        start(r, next);
    }
    lock_release(&r->lock);
    log_info("reload", "reloaded in %" PRIu64 " ms: %s; %" PRIu64 " keys removed", took_ms,
             buf_readable(&change).ptr, voided);
    buf_fini(&change);
    if (next != NULL) {
        put_in_force(r, next);
    }
}

/* --- plans reach the workers -------------------------------------------------------------------- */

struct plan_mail {
    struct mail mail;
    struct worker *worker;
    const struct plan *plan;
    bool switches; /* to another policy */
};

static void look_again(struct conn *conn, void *arg)
{
    (void)arg;
    if (resp_client_is(conn)) {
        struct resp_client *c = container_of(conn, struct resp_client, conn);
        (void)client_select(c, c->db); /* its space, and what that promises, are the policy's */
    }
}

static void switched(struct worker *w) REQUIRES(worker_role)
{
    struct reload *r = w->server->reload;
    conn_each(w->loop, look_again, NULL);
    lock_acquire(&r->lock);
    bool last = --r->unswitched == 0;
    lock_release(&r->lock);
    if (last) {
        r->sweep.worker = w;
        timer_start(w->loop, &r->sweep.step, 0, sweep_step);
    }
}

static void plan_arrived(struct mail *m)
{
    struct plan_mail *pm = container_of(m, struct plan_mail, mail);
    role_assume(&worker_role);
    plan_unref(pm->worker->plan);
    pm->worker->plan = pm->plan;
    if (pm->switches) {
        switched(pm->worker);
    }
    free(pm);
}

/* The mail is posted under the lock, so that the plans arrive in the order in which they were accepted. */
void reload_publish(struct reload *r, const struct plan *plan)
{
    struct server *s = r->server;
    lock_acquire(&r->lock);
    if (plan == NULL) {
        plan = plan_blank(r->policy);
    }
    bool wanted = plan->policy == r->policy;
    bool switches = wanted && r->busy && !r->published;
    for (uint32_t i = 0; wanted && i < s->worker_count; i++) {
        struct plan_mail *pm = xcalloc(1, sizeof(*pm));
        pm->worker = &s->workers[i];
        pm->plan = plan;
        pm->switches = switches;
        plan_ref(plan);
        mailbox_post(loop_mailbox(s->workers[i].loop), &pm->mail, plan_arrived);
    }
    r->published = r->published || switches;
    lock_release(&r->lock);
    plan_unref(plan);
}

/* --- life --------------------------------------------------------------------------------------- */

void reload_refused(struct reload *r)
{
    lock_acquire(&r->lock);
    r->figures.refused++;
    lock_release(&r->lock);
}

void reload_figures(struct reload *r, struct reload_figures *ret_figures)
{
    lock_acquire(&r->lock);
    *ret_figures = r->figures;
    lock_release(&r->lock);
}

struct reload *reload_create(struct server *s)
{
    struct reload *r = xcalloc(1, sizeof(*r));
    r->server = s;
    r->policy = policy_share(s->started_with);
    r->published = true;
    lock_init(&r->lock, LOCK_RANK_PLAN);
    return r;
}

void reload_stop(struct reload *r)
{
    timer_stop(&r->sweep.step);
}

void reload_destroy(struct reload **rp)
{
    struct reload *r = *rp;
    *rp = NULL;
    sweep_fini(&r->sweep);
    policy_unload(&r->policy);
    policy_unload(&r->next);
    lock_fini(&r->lock);
    free(r);
}
