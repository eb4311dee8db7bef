/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When the catalog is loaded, and what is raised before a new one is used.
 *
 *   outdated ─> version++ ─> hidden (no snapshot shows the DDL yet) ─> wanted ─> at the keeper ─> answered
 *                                                    between transactions: install, raise, publish <──┘
 *
 * The stream can tell of a schema change before any query sees it (the visibility fence): a catalog
 * loaded at once would be the old one. So loading waits until a probe's snapshot shows the
 * transaction.
 *
 * Installing: from the next row on, marks follow the new catalog. Then whatever means something
 * else now (a table that differs or is new, a template, a newly marked column) is raised above
 * every stamp given so far, and only then may anybody store by the new catalog. In the middle of a
 * transaction this waits for its end: rows already read were marked by the old one.
 *
 * A reload's policy is one more reason to load: the old catalog is outdated, the new one is compared with it
 * template by template. Without contact nothing can be analysed: the policy is published bare.
 *
 * Changes that no message told are found by comparing: every CHECK_MS, and every CHECK_BLIND_MS where no event
 * trigger is installed, then also by the fingerprint of all definitions.
 *
 * Invariants: S1. `version` rises before A passes the change that outdates it. S2. The answer's
 * memory has one owner: the job, then publish().
 */
#include "follow/follow_priv.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/trace.h"
#include "follow/catalog.h"

#include <stdlib.h>

enum { CHECK_MS = 30000, CHECK_BLIND_MS = 1000, RETRY_MS = 1000 };

/* --- outdating ---------------------------------------------------------------------------------- */

void schema_outdated(struct follow *f, uint64_t xid)
{
    struct schema *s = &f->schema;
    uint64_t before = atomic_fetch_add_explicit(&f->version, 1, memory_order_release);
    trace(TRACE_SCHEMA_OLD, before + 1, xid, (struct slice){NULL, 0});
    s->load_wanted = true;
    if (xid != 0) {
        s->hidden_xids = xrealloc(s->hidden_xids, (s->hidden_count + 1) * sizeof(*s->hidden_xids));
        s->hidden_xids[s->hidden_count++] = xid;
    }
    follow_progress(f);
}

void schema_snapshot(struct follow *f, struct slice snapshot)
{
    struct schema *s = &f->schema;
    uint32_t left = 0;
    for (uint32_t i = 0; i < s->hidden_count; i++) {
        if (!fresh_snapshot_shows(snapshot, s->hidden_xids[i])) {
            s->hidden_xids[left++] = s->hidden_xids[i];
        }
    }
    s->hidden_count = left;
}

/* --- asking the keeper -------------------------------------------------------------------------- */

static void answered(struct mail *m)
{
    struct keeper_job *job = container_of(m, struct keeper_job, mail);
    job->follow->schema.answered = true;
    follow_progress(job->follow);
}

static void ask_keeper(struct follow *f, enum keeper_kind kind)
{
    struct schema *s = &f->schema;
    s->busy = true;
    s->job = (struct keeper_job){
        .kind = kind,
        .version = atomic_load_explicit(&f->version, memory_order_relaxed),
    };
    if (kind == KEEPER_LOAD) {
        s->job.policy = policy_share(f->policy);
    }
    if (kind == KEEPER_CHECK) {
        s->job.known = depend_catalog(f->depend);
        follow_catalog_ref(s->job.known);
    }
    keeper_post(f, &s->job, answered);
}

static uint32_t check_ms(const struct follow *f)
{
    const struct follow_catalog *c = depend_catalog(f->depend);
    return c == NULL || c->sees_ddl ? CHECK_MS : CHECK_BLIND_MS;
}

static void check_due(struct timer *t)
{
    struct schema *s = container_of(t, struct schema, check);
    struct follow *f = container_of(s, struct follow, schema);
    s->check_wanted = true;
    timer_start(f->loop, t, check_ms(f), check_due);
    follow_progress(f);
}

static void retry_due(struct timer *t)
{
    struct schema *s = container_of(t, struct schema, retry);
    s->load_wanted = true;
    follow_progress(container_of(s, struct follow, schema));
}

/* --- installing --------------------------------------------------------------------------------- */

struct raise {
    struct fresh *fresh;
    fresh_dep *deps;
    uint32_t count;
};

static void raise_wide(struct raise *r, fresh_wide wide)
{
    r->deps[r->count++] = fresh_dep_any(r->fresh, wide);
    r->deps[r->count++] = fresh_dep_all(r->fresh, wide);
}

static void gather_tables(struct raise *r, const struct follow_catalog *old,
                          const struct follow_catalog *new)
{
    bool same_definitions = old != NULL && catalog_same_definitions(old, new);
    for (uint32_t i = 0; i < new->table_count; i++) {
        const struct follow_table *t = &new->tables[i];
        const struct follow_table *before = old != NULL ? follow_catalog_find(old, t->oid) : NULL;
        if (before == NULL || !same_definitions || !catalog_table_equal(t, before)) {
            raise_wide(r, t->wide);
        }
    }
    for (uint32_t i = 0; old != NULL && i < old->table_count; i++) {
        if (follow_catalog_find(new, old->tables[i].oid) == NULL) {
            raise_wide(r, old->tables[i].wide);
        }
    }
}

/* The template of the same text on the same table; NULL: none. */
static const struct follow_template *same_template(const struct follow_catalog *c,
                                                   const struct follow_catalog *of, uint32_t index)
{
    for (uint32_t i = 0; c != NULL && i < c->template_count; i++) {
        if (strcmp(c->policy->templates[i].text, of->policy->templates[index].text) == 0 &&
            catalog_template_equal(&c->templates[i], &of->templates[index])) {
            return &c->templates[i];
        }
    }
    return NULL;
}

/* Whatever `to` has and `from` has not. */
static void gather_templates(struct raise *r, const struct follow_catalog *from,
                             const struct follow_catalog *to, bool same_definitions)
{
    for (uint32_t i = 0; to != NULL && i < to->template_count; i++) {
        const struct follow_template *t = &to->templates[i];
        if (t->table != NULL && (!same_definitions || same_template(from, to, i) == NULL)) {
            raise_wide(r, t->wide);
        }
    }
}

static void gather_values(struct raise *r, const struct keeper_job *job)
{
    for (uint32_t i = 0; i < job->value_count; i++) {
        const struct follow_table *t = follow_catalog_find(job->catalog, job->values[i].table_oid);
        if (t != NULL) {
            raise_wide(r, t->wide);
        }
    }
}

/* Value columns are raised at every load: a table's entries are few against a wrong one. */
static void raise_changed(struct follow *f, const struct follow_catalog *old,
                          const struct keeper_job *job)
{
    const struct follow_catalog *new = job->catalog;
    bool same = old != NULL && catalog_same_definitions(old, new);
    uint32_t most = new->table_count + new->template_count + job->value_count +
                    (old != NULL ? old->table_count + old->template_count : 0);
    struct raise r = {.fresh = f->fresh, .deps = xcalloc(2 * (size_t)most + 1, sizeof(*r.deps))};
    gather_tables(&r, old, new);
    gather_templates(&r, old, new, same);
    gather_templates(&r, new, old, same);
    gather_values(&r, job);
    /* Above stamps given at A itself; when no local position is left there, the log must move first. */
    if (r.count > 0 && fresh_local_event(f->fresh, r.deps, r.count) == 0) {
        probe_kick(f);
        f->schema.load_wanted = true;
        (void)atomic_fetch_add_explicit(&f->version, 1, memory_order_release);
    }
    free(r.deps);
}

/* Keys of such a template are never stored, which nobody should have to find out by measuring. */
static void tell_unfollowed(const struct follow_catalog *old, const struct follow_catalog *now)
{
    for (uint32_t i = 0; i < now->template_count; i++) {
        const struct follow_template *t = &now->templates[i];
        if (!t->followed && same_template(old, now, i) == NULL) {
            const struct policy_template *pt = &now->policy->templates[i];
            log_warn("follow", "key template %s: its keys are not stored: of table %s: %s",
                     pt->text, pt->table, t->why);
        }
    }
}

static bool connected(const struct follow *f)
{
    return f->state >= FOLLOW_CATALOG && f->state <= FOLLOW_FOLLOWING;
}

static void install(struct follow *f, struct keeper_job *job)
{
    const struct follow_options *o = &f->options;
    const struct follow_catalog *old = depend_catalog(f->depend);
    if (old != NULL) {
        follow_catalog_ref(old);
    }
    depend_install(f->depend, job->catalog, job->values, job->value_count);
    raise_changed(f, old, job);
    tell_unfollowed(old, job->catalog);
    trace(TRACE_SCHEMA, job->version, job->catalog->table_count, (struct slice){NULL, 0});
    follow_catalog_unref(old);
    if (connected(f)) {
        timer_start(f->loop, &f->schema.check, check_ms(f), check_due);
    }
    log_info("follow", "schema: %u tables, %s", job->catalog->table_count,
             job->catalog->sees_ddl ? "changes are told by the event trigger"
                                    : "no event trigger: changes are looked for every second");
    if (job->policy == f->policy) {
        f->schema.unpublished = false;
    }
    if (o->publish != NULL) {
        o->publish(o->arg, job->analysis, job->catalog);
    }
}

static void load_failed(struct follow *f, const char *why)
{
    if (f->state == FOLLOW_CATALOG) {
        follow_fail(f, why);
    } else if (connected(f)) {
        log_warn("follow", "%s; nothing is stored until the schema is known again", why);
        timer_start(f->loop, &f->schema.retry, RETRY_MS, retry_due);
    }
}

static void take_load(struct follow *f, struct keeper_job *job)
{
    if (job->catalog == NULL) {
        load_failed(f, job->why);
        return;
    }
    bool exists = job->catalog->publication_exists;
    bool newest = job->version == follow_version(f);
    install(f, job);
    if (job->broken) {
        schema_outdated(f, 0);
        newest = false;
    }
    follow_catalog_unref(job->catalog);
    if (!connected(f)) {
        return;
    }
    if (!exists) {
        follow_fail_printf(
            f, "the publication \"%s\" does not exist; run: freshet setup-sql FILE | psql",
            f->policy->database.publication);
    } else if (newest) {
        follow_catalog_known(f);
    }
}

static void take_answer(struct follow *f)
{
    struct schema *s = &f->schema;
    struct keeper_job *job = &s->job;
    s->answered = false;
    s->busy = false;
    if (job->kind == KEEPER_LOAD) {
        take_load(f, job);
    } else {
        follow_catalog_unref(job->known);
        if (job->changed) {
            log_info("follow", "the schema changed without a message");
            schema_outdated(f, 0);
        }
    }
    policy_unload(&job->policy);
    free(job->why);
    job->why = NULL;
}

void schema_progress(struct follow *f)
{
    struct schema *s = &f->schema;
    if (s->answered && !f->in_transaction && !f->in_block) {
        take_answer(f);
    }
    if (s->busy || !connected(f)) {
        return;
    }
    if (s->load_wanted && s->hidden_count == 0) {
        s->load_wanted = false;
        ask_keeper(f, KEEPER_LOAD);
    } else if (s->check_wanted && !s->load_wanted && depend_catalog(f->depend) != NULL) {
        s->check_wanted = false;
        ask_keeper(f, KEEPER_CHECK);
    }
}

/* --- another policy ----------------------------------------------------------------------------- */

/* Nobody knows how long contact will be away: until then the policy is used as it stands. */
static void publish_bare(struct follow *f)
{
    const struct follow_options *o = &f->options;
    if (f->schema.unpublished && o->publish != NULL) {
        o->publish(o->arg, NULL, NULL);
    }
    f->schema.unpublished = false;
}

void schema_policy(struct follow *f, const struct policy *p)
{
    policy_unload(&f->policy);
    f->policy = p;
    f->schema.unpublished = true;
    schema_outdated(f, 0);
    if (!connected(f)) {
        publish_bare(f);
    }
}

/* --- life --------------------------------------------------------------------------------------- */

void schema_start(struct follow *f)
{
    schema_outdated(f, 0);
    timer_start(f->loop, &f->schema.check, CHECK_MS, check_due);
}

void schema_stop(struct follow *f)
{
    timer_stop(&f->schema.check);
    timer_stop(&f->schema.retry);
    f->schema.hidden_count = 0;
    f->schema.load_wanted = f->schema.check_wanted = false;
    publish_bare(f);
}

void schema_fini(struct follow *f)
{
    if (f->schema.answered) {
        take_answer(f); /* the result has no other owner */
    }
    free(f->schema.hidden_xids);
}
