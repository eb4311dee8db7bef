/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explain: why a key or a route's answer would hit or miss now, in lines "name: value".
 *
 * Reads what the request street reads (store_inspect, fresh_judge, leases, plans) and changes nothing: no hit
 * is counted, nothing is removed.
 */
#include "base/clock.h"
#include "http/http.h"
#include "serve/answer.h"
#include "serve/edit.h"
#include "serve/explain_deps.h"
#include "serve/gate.h"
#include "serve/params.h"
#include "serve/serve.h"

#include <inttypes.h>

static const char *refusal_text(enum refusal_kind kind)
{
    switch (kind) {
    case REFUSAL_NONE:
        break;
    case REFUSAL_READ_OUTDATED:
        return "a read found the entry outdated and removed it";
    case REFUSAL_READ_VOID:
        return "a read found the entry of an earlier epoch and removed it";
    case REFUSAL_READ_UNPROVEN:
        return "a read had to miss, there was no proof of contact with the database";
    case REFUSAL_WRITE_OUTDATED:
        return "a SET was not stored, a change came between the read that it answers and the SET";
    case REFUSAL_WRITE_UNSTAMPED:
        return "a SET was not stored";
    case REFUSAL_FILL_OUTDATED:
        return "a fill was not stored, a change came while its statement ran";
    }
    return "";
}

/* What the last read or write of this key was refused for; the entry itself is usually gone. */
static void put_refusal(struct worker *w, uint32_t db, struct slice key,
                        const struct explain_names *names, struct buf *out)
{
    struct refusal r;
    if (!refusals_find(w->server->refusals, db, key, &r)) {
        return;
    }
    buf_printf(out, "last refused: %.3f s ago, %s%s%s\n",
               (double)(loop_now_ms(w->loop) - r.at_ms) / 1000.0, refusal_text(r.kind),
               r.why != NULL ? ": " : "", r.why != NULL ? r.why : "");
    if (r.mark != 0) {
        explain_position(w, out, "its stamp", r.stamp);
        explain_deps(w, out, r.stamp, &r.dep, 1, names);
    }
}

static void put_contact(struct worker *w, struct buf *out)
{
    struct server *s = w->server;
    if (s->follow == NULL) {
        buf_append_str(out, "follower: no database in the policy\n");
        return;
    }
    struct follow_status status;
    follow_status(s->follow, &status);
    buf_printf(out, "follower: %s%s%s\n", follow_state_name(status.state),
               status.last_error[0] != '\0' ? ", " : "", status.last_error);
    uint64_t age = fresh_proof_age(s->fresh, loop_now_ms(w->loop));
    if (age == UINT64_MAX) {
        buf_append_str(out, "contact: not proven yet\n");
    } else {
        buf_printf(out, "contact: proven %.3f s ago, followed entries miss after %.3f s\n",
                   (double)age / 1000.0, w->plan->policy->database.max_stale_ms / 1000.0);
    }
    explain_position(w, out, "applied", fresh_applied(s->fresh));
    explain_position(w, out, "visible", fresh_visible(s->fresh));
}

static const char *verdict_text(enum fresh_verdict v)
{
    switch (v) {
    case FRESH_HIT:
        return "hit";
    case FRESH_OUTDATED:
        return "miss: something it depends on changed after its stamp";
    case FRESH_VOID:
        return "miss: stored in an earlier epoch (the line to the database was broken since)";
    case FRESH_UNPROVEN:
        return "miss: no proof of contact with the database within max_stale";
    }
    return "";
}

static void put_forms(const struct answer *a, struct buf *out)
{
    buf_printf(out, "body: %zu bytes, ", a->plain.body.len);
    if (a->gzip.head.ptr != NULL) {
        buf_printf(out, "%zu in gzip\n", a->gzip.body.len);
    } else {
        buf_append_str(out, a->may_gzip ? "gzip not asked for yet\n" : "not worth gzip\n");
    }
}

static bool has_tags_only(const struct fresh *f, const fresh_dep *deps, uint32_t count)
{
    bool tags = count > 0;
    for (uint32_t i = 0; i < count; i++) {
        tags = tags && fresh_dep_is_tag(f, deps[i]);
    }
    return tags;
}

/* HTTP answers know when they were stored; a key's age is bounded by when its stamp's position was reached. */
static void put_age(struct worker *w, struct buf *out, fresh_pos stamp,
                    const struct slice *http_value, uint64_t now_ms)
{
    uint64_t reached_ms = stamp != 0 ? fresh_reached_ms(w->server->fresh, stamp) : 0;
    if (http_value != NULL) {
        struct answer a = answer_read(*http_value);
        buf_printf(out, "age: %" PRIu64 " s\n", (now_ms - a.stored_ms) / 1000);
        put_forms(&a, out);
    } else if (reached_ms != 0 && reached_ms <= now_ms) {
        buf_printf(out, "age: at most %.3f s, then its stamp's position was reached\n",
                   (double)(now_ms - reached_ms) / 1000.0);
    } else {
        buf_append_str(out, stamp != 0 ? "age: over a minute by its stamp\n"
                                       : "age: not recorded for keys that are not followed\n");
    }
}

static void put_size(const struct store_item *it, struct buf *out)
{
    if (store_item_kind(it) == STORE_STRING) {
        buf_printf(out, "entry: %zu bytes", store_item_value(it).len);
    } else {
        buf_printf(out, "entry: %s of %" PRIu64 " elements", kind_name(store_item_kind(it)),
                   coll_count(it));
    }
    buf_printf(out, ", %zu in memory, used %u times lately\n", store_item_bytes(it),
               store_item_hits(it));
}

static void drop(struct worker *w, struct store_hold *hold, bool took)
{
    store_drop(hold);
    if (took) {
        gate_leave(w);
    }
}

/* What is stored under the key, and the verdict on it. */
static void put_entry(struct worker *w, uint32_t db, struct slice key,
                      const struct explain_names *names, struct buf *out, bool http)
{
    struct server *s = w->server;
    uint64_t now_ms = loop_now_ms(w->loop);
    struct store_hold hold;
    bool took;
    if (!gate_try(w, &took)) {
        buf_append_str(out, "entry: not known, a script or a transaction has the store to itself; "
                            "ask again\n");
        return;
    }
    store_hold(s->store, w->gate, db, key, now_ms, &hold);
    const struct store_item *it = store_inspect(&hold);
    if (it == NULL) {
        drop(w, &hold, took);
        buf_append_str(out, "entry: none\nverdict: miss: nothing is stored under this key\n");
        return;
    }
    uint32_t count;
    const fresh_dep *deps = store_item_deps(it, &count);
    fresh_pos stamp = store_item_stamp(it);
    uint64_t expiry = store_item_expiry(it);
    bool expired = expiry != 0 && expiry <= now_ms;
    struct slice value = store_item_value(it);
    put_size(it, out);
    /* Positions of the database say nothing about an entry that does not follow it. */
    put_age(w, out, has_tags_only(s->fresh, deps, count) ? 0 : stamp, http ? &value : NULL, now_ms);
    if (expiry == 0) {
        buf_append_str(out, "ttl left: no expiry\n");
    } else {
        buf_printf(out, "ttl left: %.3f s\n", expired ? 0.0 : (double)(expiry - now_ms) / 1000.0);
    }
    if (count > 0) {
        explain_position(w, out, "stamp", stamp);
        explain_deps(w, out, stamp, deps, count, names);
    } else {
        buf_append_str(out, "stamp: none, this entry is not followed: only its TTL counts\n");
    }
    enum fresh_verdict v =
        count > 0 ? fresh_judge(s->fresh, stamp, deps, count, now_ms) : FRESH_HIT;
    drop(w, &hold, took);
    buf_printf(out, "verdict: %s\n", expired ? "miss: expired" : verdict_text(v));
}

/* --- keys --------------------------------------------------------------------------------------- */

static const char *consistency_text(enum policy_consistency c)
{
    switch (c) {
    case POLICY_TTL:
        return "ttl";
    case POLICY_FOLLOW:
        return "follow";
    case POLICY_STRICT:
        return "strict";
    }
    return "";
}

struct matches {
    struct worker *worker;
    struct buf *out;
    struct explain_names names;
};

static void put_template(void *arg, const struct policy_template *t, const struct slice *values)
{
    struct matches *m = arg;
    struct buf *out = m->out;
    buf_printf(out, "rule: table %s, template %s", t->table, t->text);
    for (uint32_t i = 0; values != NULL && i < t->column_count; i++) {
        buf_printf(out, "%s%s=", i == 0 ? " with " : ", ", t->columns[i]);
        buf_append_printable(out, values[i]);
    }
    buf_printf(out, " (%s:%u)\n", m->worker->plan->policy->file, t->line);
    explain_name_match(&m->names, m->worker->server->fresh, t, values);
}

/* What a client that SETs it now would get. */
static void put_lease(struct worker *w, uint32_t db, struct slice key, struct buf *out)
{
    struct lease lease;
    struct lease_session no_own_miss = {0};
    struct fresh *f = w->server->fresh;
    uint64_t now_ms = loop_now_ms(w->loop);
    const char *why = NULL;
    lease_for_write(w, &no_own_miss, db, key, &lease);
    if (lease.kind == LEASE_REFUSED) {
        why = lease.why;
    } else if (lease.kind == LEASE_STORE) {
        const fresh_dep *deps = lease.deps.dep;
        uint32_t count = lease.deps.count;
        why =
            fresh_judge(f, lease.stamp, deps, count, now_ms) != FRESH_HIT
                ? "something it depends on changed after the miss that the SET answers"
            : lease.assumed_ms > 0 && fresh_changed_twice(f, deps, count, now_ms, lease.assumed_ms)
                ? "something it depends on changed more than once within implicit_lease"
                : NULL;
    }
    buf_printf(out, "a SET now: would %sbe stored%s%s\n", why != NULL ? "not " : "",
               why != NULL ? ": " : "", why != NULL ? why : "");
}

static void put_space(const struct policy_space *space, uint32_t db, struct buf *out)
{
    buf_printf(out, "space: %s (db %u)\nconsistency: %s\n", space->name, db,
               consistency_text(space->consistency));
    if (space->ttl_ms > 0) {
        buf_printf(out, "ttl of new keys: %.3f s\n", space->ttl_ms / 1000.0);
    }
}

/* A key may hold anything, also what would look like a line of this answer. */
static void put_key(struct slice key, struct buf *out)
{
    buf_append_str(out, "key: ");
    buf_append_printable(out, key);
    buf_append_char(out, '\n');
}

void explain_key(struct worker *w, uint32_t db, struct slice key, struct buf *out)
{
    const struct policy *p = w->plan->policy;
    const struct policy_space *space = policy_space_of(p, db);
    if (space == NULL) {
        buf_append_str(out, "error: no space has this database number\n");
        return;
    }
    struct matches m = {.worker = w, .out = out};
    put_key(key, out);
    put_space(space, db, out);
    struct slice rest;
    size_t before = buf_len(out);
    if (policy_strip_prefix(space, key, &rest)) {
        policy_match_key(p, rest, put_template, &m);
    } else {
        policy_match_key(p, key, put_template, &m);
        if (buf_len(out) > before) {
            buf_printf(out,
                       "hint: it matches only without the space's prefix `%s`, so it does not "
                       "match\n",
                       space->prefix);
        }
    }
    if (buf_len(out) == before) {
        buf_append_str(out, "rule: none, no template matches: only its TTL counts\n");
    } else if (lease_db_followed(w, db)) {
        put_lease(w, db, key, out);
    }
    put_entry(w, db, key, &m.names, out, false);
    put_refusal(w, db, key, &m.names, out);
    explain_names_fini(&m.names);
    put_contact(w, out);
}

/* --- routes ------------------------------------------------------------------------------------- */

static void put_plan(struct worker *w, const struct plan_route *planned, struct buf *out)
{
    switch (planned->keep) {
    case PLAN_FOLLOWED:
        buf_append_str(out, "kept: followed\n");
        break;
    case PLAN_TTL:
        buf_append_str(out, "kept: for its TTL only\n");
        break;
    case PLAN_NEVER:
        buf_append_str(out, "kept: never\n");
        break;
    }
    if (planned->why != NULL) {
        buf_printf(out, "because: %s\n", planned->why);
    }
    for (uint32_t i = 0; i < planned->table_count && w->plan->catalog != NULL; i++) {
        const struct follow_table *t = follow_catalog_find(w->plan->catalog, planned->tables[i]);
        if (t != NULL) {
            buf_printf(out, "reads: %s.%s%s\n", t->schema, t->name,
                       planned->row.count > 0 && planned->row.table_oid == t->oid
                           ? " (one row, by its primary key)"
                           : "");
        }
    }
}

void explain_route(struct worker *w, struct slice method, struct slice target, struct buf *out)
{
    const char *mark = target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;
    size_t path_len = mark != NULL ? (size_t)(mark - target.ptr) : target.len;
    struct slice path = {target.ptr, path_len};
    struct slice query = mark != NULL ? slice_from(target, path_len + 1) : (struct slice){NULL, 0};
    struct slice values[POLICY_PARAMS_MAX];
    const struct policy_route *route =
        policy_find_route(w->plan->policy, method, path, values, NULL);
    if (route == NULL) {
        buf_append_str(out, "error: no route has this method and path\n");
        return;
    }
    const struct plan_route *planned = &w->plan->routes[route->index];
    buf_printf(out, "route: %s (%s:%u)\nconsistency: %s\nfresh: %.3f s\n", route->match,
               w->plan->policy->file, route->line, consistency_text(route->consistency),
               route->fresh_ms / 1000.0);
    put_plan(w, planned, out);
    struct params params = {0};
    struct problem wrong;
    struct params_source from = {.path_values = values, .query = query};
    if (!slice_is(method, "GET")) {
        buf_append_str(out, "verdict: always runs its statement\n");
    } else if (!params_collect(&params, route, planned->param_types, &from, &wrong)) {
        buf_printf(out, "verdict: refused: %s\n", wrong.detail);
    } else {
        struct buf key;
        buf_init(&key);
        route_key(route, &params, &key);
        struct explain_names names = {0};
        explain_name_route(&names, w->plan->catalog, planned, params.value);
        put_entry(w, w->server->http_db, buf_readable(&key), &names, out, true);
        put_refusal(w, w->server->http_db, buf_readable(&key), &names, out);
        explain_names_fini(&names);
        buf_fini(&key);
    }
    buf_fini(&params.text);
    put_contact(w, out);
}
