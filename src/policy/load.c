/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load: a policy file to a policy, or to complaints.
 *
 *     file ─> text ─> tree (yaml.c) ─> parts, each against its scope of options.def ─> index
 *
 * Every part is read even when another has mistakes, so that one run shows them all; the policy is
 * thrown away if there was one. Parts that depend on others come after them: routes take a time-out
 * from `database`, spaces want to know whether there are routes.
 *
 * Invariant: L1. A policy that is handed out had no mistake; warnings do not stop it.
 *
 * Threads: one owner while loading; afterwards any thread reads.
 */
#include "policy/load.h"

#include "base/alloc.h"
#include "policy/text.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static const char *directory_of(struct arena *arena, const char *file)
{
    const char *slash = strrchr(file, '/');
    return arena_dup_slice(arena,
                           (struct slice){file, slash != NULL ? (size_t)(slash - file) + 1 : 0});
}

/* --- database --------------------------------------------------------------------------------- */

/* libpq itself judges a DSN; this only sees what is certainly none, and says so with its line. */
static void check_dsn(struct loader *l, const struct policy_node *map, const char *key)
{
    const struct policy_node *node = policy_node_find(map, key);
    if (node == NULL || node->kind != POLICY_NODE_SCALAR || node->text[0] == '\0') {
        return;
    }
    bool is_uri = strncmp(node->text, "postgresql://", 13) == 0 ||
                  strncmp(node->text, "postgres://", 11) == 0;
    if (!is_uri && strchr(node->text, '=') == NULL) {
        policy_complain(&l->say, node->spot, policy_path_key(l, "database", key),
                        "neither postgresql://host/database nor key=value pairs; for a local "
                        "database called shop write postgresql:///shop");
    }
}

void policy_read_database(struct loader *l)
{
    const struct policy_node *map = policy_node_find(l->root, "database");
    policy_read_section(l, POLICY_SCOPE_DATABASE, map, "database", l->policy);
    if (map == NULL || map->kind != POLICY_NODE_MAPPING) {
        return;
    }
    if (policy_node_find(map, "dsn") == NULL) {
        policy_complain(&l->say, map->spot, "database",
                        "no `dsn`; write dsn: \"postgresql:///shop\"");
    }
    check_dsn(l, map, "dsn");
    check_dsn(l, map, "replication_dsn");
    uint32_t marks = l->policy->database.marks;
    if ((marks & (marks - 1)) != 0) {
        policy_complain(&l->say, policy_node_find(map, "marks")->spot, "database.marks",
                        "%u is no power of two; write 1048576 or another one", marks);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

static void warn_about_unused(struct loader *l)
{
    const struct policy *p = l->policy;
    bool has_follower = false;
    for (uint32_t i = 0; i < p->space_count; i++) {
        has_follower |= policy_space_followed(p, &p->spaces[i]);
    }
    const struct policy_node *invalidate = policy_node_find(l->root, "invalidate");
    bool could_follow = p->template_count > 0 && p->database.dsn != NULL && p->space_count > 0;
    if (could_follow && !has_follower) {
        policy_warn(&l->say, invalidate->spot, "invalidate",
                    "no space follows: say `consistency: follow` on the one that holds the keys");
    }
    const struct policy_node *routes = policy_node_find(l->root, "routes");
    const struct policy_node *listen = policy_node_find(l->root, "listen");
    if (routes != NULL && policy_node_find(listen, "http") == NULL) {
        policy_warn(&l->say, routes->spot, "routes",
                    "nobody can ask for them; add listen: { http: ... }");
    }
    if (routes == NULL && p->listen.http_count > 0) {
        policy_warn(&l->say, policy_node_find(listen, "http")->spot, "listen.http",
                    "there are no `routes`: every request gets 404");
    }
}

static void read_limits(struct loader *l)
{
    struct policy_limits *limits = &l->policy->limits;
    const struct policy_node *map = policy_node_find(l->root, "limits");
    policy_read_section(l, POLICY_SCOPE_LIMITS, map, "limits", l->policy);
    uint64_t large = 4 * limits->bulk_max * l->policy->workers;
    uint64_t usual = UINT64_C(512) * 1024 * 1024;
    if (limits->output_max < limits->bulk_max) {
        limits->output_max = limits->bulk_max;
    }
    if (limits->buffers_max == 0) {
        limits->buffers_max = large > usual ? large : usual;
    } else if (limits->buffers_max < large / 2) {
        policy_warn(
            &l->say, policy_node_find(map, "buffers")->spot, "limits.buffers",
            "too little for the largest `bulk`: its client would be cut; lower limits.bulk, or "
            "give %llu bytes or more",
            (unsigned long long)large / 2);
    }
}

static void read_parts(struct loader *l)
{
    struct policy *p = l->policy;
    policy_read_section(l, POLICY_SCOPE_TOP, l->root, "", p);
    if (p->workers == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        p->workers = processors >= 4 ? (uint32_t)(processors / 2) : 1;
    }
    read_limits(l);
    policy_read_listen(l);
    policy_read_auth(l);
    policy_read_users(l);
    policy_read_log(l);
    policy_read_database(l);
    policy_read_invalidate(l);
    policy_read_routes(l);
    policy_read_spaces(l);
    policy_read_durable(l);
    warn_about_unused(l);
}

static void make_index(struct policy *p, struct arena *arena)
{
    struct policy_index *index = arena_alloc(arena, sizeof(*index));
    policy_index_templates(arena, p, index);
    policy_index_routes(arena, p, index);
    p->index = index;
}

const struct policy *policy_load_text(const char *file, struct slice text, struct buf *complaints)
{
    struct arena *arena = xmalloc(sizeof(*arena));
    arena_init(arena);
    struct policy *p = arena_alloc(arena, sizeof(*p));
    p->arena = arena;
    p->refs = arena_alloc(arena, sizeof(_Atomic uint32_t));
    atomic_init((_Atomic uint32_t *)p->refs, 1);
    p->file = arena_strdup(arena, file);
    struct loader l = {.policy = p, .arena = arena};
    policy_complaints_init(&l.say, p->file);
    arena_init(&l.scratch);
    l.directory = directory_of(&l.scratch, file);
    l.root = policy_yaml_parse(&l.scratch, text, &l.say);
    if (l.root != NULL && l.root->kind == POLICY_NODE_MAPPING) {
        read_parts(&l);
    } else if (l.root != NULL) {
        policy_complain(&l.say, l.root->spot, "",
                        "%s stands here; a policy is a map that begins with `listen:`",
                        policy_node_kind_name(l.root));
    }
    bool is_valid = l.say.errors == 0;
    policy_complaints_fini(&l.say, complaints);
    arena_fini(&l.scratch);
    const struct policy *done = p;
    if (is_valid) {
        make_index(p, arena);
    } else {
        policy_unload(&done);
    }
    return done;
}

const struct policy *policy_load(const char *file, struct buf *complaints)
{
    struct arena scratch;
    struct slice text;
    const char *why;
    const struct policy *p = NULL;
    arena_init(&scratch);
    if (policy_text_read(&scratch, file, POLICY_FILE_MAX, &text, &why)) {
        p = policy_load_text(file, text, complaints);
    } else {
        struct complaints say;
        policy_complaints_init(&say, file);
        policy_complain(&say, (struct policy_spot){0}, "",
                        "%s; give the path of a policy file that this user may read", why);
        policy_complaints_fini(&say, complaints);
    }
    arena_fini(&scratch);
    return p;
}

const struct policy *policy_share(const struct policy *p)
{
    (void)atomic_fetch_add_explicit((_Atomic uint32_t *)p->refs, 1, memory_order_relaxed);
    return p;
}

void policy_unload(const struct policy **pp)
{
    const struct policy *p = *pp;
    *pp = NULL;
    if (p == NULL ||
        atomic_fetch_sub_explicit((_Atomic uint32_t *)p->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct arena *arena = p->arena;
    arena_fini(arena); /* the policy itself lives in it */
    free(arena);
}
