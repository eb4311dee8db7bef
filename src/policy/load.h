/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loader's parts, private to policy. load.c reads the file and calls one function of each part;
 * every part complains about what it reads and goes on, so one pass finds every mistake.
 *
 * Two arenas: `arena` lives as long as the policy; `scratch` (tree, key paths, reasons) dies with
 * the loading. Threads: one owner.
 */
#ifndef POLICY_LOAD_H
#define POLICY_LOAD_H

#include "base/arena.h"
#include "policy/complain.h"
#include "policy/options.h"
#include "policy/policy.h"
#include "policy/tree.h"

enum {
    POLICY_FILE_MAX = 1 << 20,
    POLICY_SQL_FILE_MAX = 1 << 18,
    POLICY_ROUTES_MAX = 1024,
    POLICY_TEMPLATES_MAX = 4096,
    POLICY_ADDRESSES_MAX = 16,
    POLICY_USERS_MAX = 1000,
};

/* The first address of a face that other machines can reach; `path` NULL: none. */
struct remote_face {
    struct policy_spot spot;
    const char *path;
};

struct loader {
    struct policy *policy;
    struct arena *arena;
    struct arena scratch;
    const char *directory; /* of the policy file, "" or with a final '/' */
    struct complaints say;
    const struct policy_node *root;
    struct remote_face remote_resp, remote_admin; /* need a password */
};

/* The whole of policy_load() behind the reading of the file; for it, tests and the fuzzer. */
const struct policy *policy_load_text(const char *file, struct slice text, struct buf *complaints);

/* --- reading options by the table (section.c) ------------------------------------------------- */

/* A map with scalar keys, none twice; else complains. NULL `map`: false in silence. */
bool policy_check_map(struct loader *l, const struct policy_node *map, const char *path);
/* Puts every default of the scope into `target`, then every option that `map` (NULL: none) gives;
 * complains about unknown, later and malformed ones. TREE options are left to the caller. */
void policy_read_section(struct loader *l, enum policy_scope scope, const struct policy_node *map,
                         const char *path, void *target);
/* The text of a scalar that must not be empty; NULL after a complaint naming what is `wanted`. */
const char *policy_read_text(struct loader *l, const struct policy_node *node, const char *path,
                             const char *wanted);
/* "a.b" in scratch; just "b" when `path` is empty. */
const char *policy_path_key(struct loader *l, const char *path, const char *key);
const char *policy_path_index(struct loader *l, const char *path, uint32_t index);

/* --- the parts -------------------------------------------------------------------------------- */

void policy_read_listen(struct loader *l);
void policy_read_database(struct loader *l);
void policy_read_auth(struct loader *l);
void policy_read_users(struct loader *l); /* after listen and auth */
void policy_read_log(struct loader *l);
void policy_read_invalidate(struct loader *l);
void policy_read_routes(struct loader *l);
void policy_read_spaces(struct loader *l); /* after invalidate and routes */

void policy_read_durable(struct loader *l); /* after spaces */

/* Compiles `t->text` into pieces and columns (template.c). False: `ret_why` has the reason; a
 * `ret_warning` may come with success. */
bool policy_template_compile(struct arena *arena, struct policy_template *t, const char **ret_why,
                             const char **ret_warning);
/* Splits a route's path (route.c) into segments. */
bool policy_path_compile(struct arena *arena, const char *path, struct policy_route *r,
                         const char **ret_why);
/* Same method and shape: no request could tell them apart. */
bool policy_route_same_shape(const struct policy_route *a, const struct policy_route *b);

/* What policy_match_key() and policy_find_route() look things up in; made once all is read. */
struct policy_index {
    /* templates by first byte of their literal head: [0] those without, [1 + byte] the others */
    const struct policy_template **templates;
    uint32_t template_start[258];
    /* routes by segment count, then by precedence */
    const struct policy_route **routes;
    uint32_t route_start[34];
};
void policy_index_templates(struct arena *arena, const struct policy *p,
                            struct policy_index *index);
void policy_index_routes(struct arena *arena, const struct policy *p, struct policy_index *index);

#endif
