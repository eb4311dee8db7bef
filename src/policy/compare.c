/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy and the one that is to replace it: what only a restart can change, and what a reload voids.
 *
 * Memory is laid out, addresses are bound, threads and pools are started once; everything that says how
 * requests are answered may change while running. Comparing is by meaning, not by text: a file that was
 * only reordered or commented is no change.
 *
 * Threads: any; nothing is written.
 */
#include "policy/policy.h"

#include "base/check.h"

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* --- what needs a restart ----------------------------------------------------------------------- */

static bool same_addresses(const struct policy_address *a, uint32_t a_count,
                           const struct policy_address *b, uint32_t b_count)
{
    bool same = a_count == b_count;
    for (uint32_t i = 0; same && i < a_count; i++) {
        same = strcmp(a[i].text, b[i].text) == 0 &&
               a[i].affinity_connection == b[i].affinity_connection;
    }
    return same;
}

static bool same_listen(const struct policy_listen *a, const struct policy_listen *b)
{
    return same_addresses(a->http, a->http_count, b->http, b->http_count) &&
           same_addresses(a->resp, a->resp_count, b->resp, b->resp_count) &&
           same_addresses(a->admin, a->admin_count, b->admin, b->admin_count);
}

static bool same_database(const struct policy_database *a, const struct policy_database *b)
{
    /* statement_timeout reaches the statements through the routes. */
    return same_text(a->dsn, b->dsn) && same_text(a->replication_dsn, b->replication_dsn) &&
           same_text(a->publication, b->publication) && a->pool == b->pool &&
           a->max_stale_ms == b->max_stale_ms && a->marks == b->marks;
}

static bool same_limits(const struct policy_limits *a, const struct policy_limits *b)
{
    struct policy_limits other;
    memcpy(&other, b, sizeof(other)); /* with its padding, which loading has zeroed */
    other.connections = a->connections;
    return memcmp(a, &other, sizeof(other)) == 0;
}

static bool same_layout(const struct policy *a, const struct policy *b)
{
    bool same = a->space_count == b->space_count && a->http_space == b->http_space &&
                memcmp(a->db_space, b->db_space, sizeof(a->db_space)) == 0;
    for (uint32_t i = 0; same && i < a->space_count; i++) {
        const struct policy_space *x = &a->spaces[i];
        const struct policy_space *y = &b->spaces[i];
        same = strcmp(x->name, y->name) == 0 && x->db == y->db && x->memory == y->memory &&
               x->evict == y->evict && x->durable == y->durable;
    }
    return same;
}

static bool same_durable(const struct policy_durable *a, const struct policy_durable *b)
{
    return same_text(a->dir, b->dir) && a->always == b->always &&
           a->rewrite_growth == b->rewrite_growth && a->rewrite_min == b->rewrite_min;
}

bool policy_needs_restart(const struct policy *old, const struct policy *new, struct buf *ret_keys)
{
    const struct {
        bool same;
        const char *key;
    } parts[] = {
        {same_listen(&old->listen, &new->listen), "listen"},
        {same_database(&old->database, &new->database), "database"},
        {old->memory == new->memory, "memory"},
        {same_layout(old, new), "spaces (their names, db, memory, evict and keep)"},
        {same_limits(&old->limits, &new->limits), "limits (all but connections)"},
        {same_durable(&old->durable, &new->durable), "durable"},
        {old->workers == new->workers, "workers"},
        {old->watchdog_ms == new->watchdog_ms, "watchdog"},
        {same_text(old->crash_dir, new->crash_dir), "crash_dir"},
    };
    bool needs = false;
    for (size_t i = 0; i < array_len(parts); i++) {
        if (!parts[i].same) {
            buf_printf(ret_keys, "%s%s", needs ? ", " : "", parts[i].key);
            needs = true;
        }
    }
    return needs;
}

/* --- what a reload voids ------------------------------------------------------------------------ */

bool policy_has_template(const struct policy *p, const struct policy_template *t)
{
    for (uint32_t i = 0; i < p->template_count; i++) {
        const struct policy_template *other = &p->templates[i];
        if (strcmp(other->text, t->text) == 0 && strcmp(other->table, t->table) == 0 &&
            same_text(other->schema, t->schema)) {
            return true;
        }
    }
    return false;
}

bool policy_space_same_keys(const struct policy_space *a, const struct policy_space *b)
{
    bool followed = a->consistency != POLICY_TTL;
    return followed == (b->consistency != POLICY_TTL) && same_text(a->prefix, b->prefix);
}

static bool has_route(const struct policy *p, const struct policy_route *r)
{
    for (uint32_t i = 0; i < p->route_count; i++) {
        if (p->routes[i].identity == r->identity) {
            return true;
        }
    }
    return false;
}

static void count_new(const struct policy *from, const struct policy *to, uint32_t *ret_routes,
                      uint32_t *ret_templates)
{
    *ret_routes = *ret_templates = 0;
    for (uint32_t i = 0; i < to->route_count; i++) {
        *ret_routes += has_route(from, &to->routes[i]) ? 0 : 1;
    }
    for (uint32_t i = 0; i < to->template_count; i++) {
        *ret_templates += policy_has_template(from, &to->templates[i]) ? 0 : 1;
    }
}

void policy_describe_change(const struct policy *old, const struct policy *new,
                            struct buf *ret_text)
{
    uint32_t routes;
    uint32_t templates;
    uint32_t routes_gone;
    uint32_t templates_gone;
    count_new(old, new, &routes, &templates);
    count_new(new, old, &routes_gone, &templates_gone);
    buf_printf(
        ret_text, "%u routes (%u new or changed, %u gone), %u key templates (%u new, %u gone)",
        new->route_count, routes, routes_gone, new->template_count, templates, templates_gone);
}
