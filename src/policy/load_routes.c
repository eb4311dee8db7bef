/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load_routes: method and path, the statement, its parameters, what may be said of the answer.
 *
 * A statement's parameters come from the path, the query and the JSON body. Names that the path
 * gives and the statement does not use are only worth a warning; a default for a name that the
 * statement does not have is a mistake.
 *
 * Threads: one owner.
 */
#include "policy/load.h"

#include "base/hash.h"
#include "policy/text.h"

static const char *const later_keys[] = {"upstream"};

/* --- match ------------------------------------------------------------------------------------ */

static bool split_match(struct loader *l, const char *text, struct policy_route *r,
                        const char **ret_path, const char **ret_why)
{
    const char *blank = strchr(text, ' ');
    if (blank == NULL || blank == text) {
        *ret_why = "is no method and path; write `GET /api/products`";
        return false;
    }
    const char *method = arena_dup_slice(&l->scratch, (struct slice){text, (size_t)(blank - text)});
    static const char *const methods[] = {"GET", "POST"};
    for (size_t i = 0; i < array_len(methods); i++) {
        if (strcmp(method, methods[i]) == 0) {
            r->method = methods[i];
        } else if (strcasecmp(method, methods[i]) == 0) {
            *ret_why =
                arena_printf(&l->scratch, "has its method in small letters; write %s", methods[i]);
            return false;
        }
    }
    if (r->method == NULL) {
        *ret_why = "has a method that routes do not have; write GET or POST";
        return false;
    }
    *ret_path = blank + 1;
    return true;
}

static bool read_match(struct loader *l, const struct policy_node *map, const char *path,
                       struct policy_route *r)
{
    const struct policy_node *node = policy_node_find(map, "match");
    if (node == NULL) {
        policy_complain(&l->say, map->spot, path, "no `match`; write match: GET /api/products");
        return false;
    }
    path = policy_path_key(l, path, "match");
    const char *text = policy_read_text(l, node, path, "method and path such as GET /api/products");
    if (text == NULL) {
        return false;
    }
    const char *route_path;
    const char *why;
    if (!split_match(l, text, r, &route_path, &why) ||
        !policy_path_compile(l->arena, route_path, r, &why)) {
        policy_complain(&l->say, node->spot, path, "`%.80s` %s", text, why);
        return false;
    }
    r->match = arena_strdup(l->arena, text);
    r->line = node->spot.line;
    return true;
}

/* --- sql -------------------------------------------------------------------------------------- */

/* The statement's text: the option itself if it holds white space, else the file that it names. */
static const char *statement_text(struct loader *l, const struct policy_node *node,
                                  const char *path, struct policy_route *r)
{
    const char *text = policy_read_text(l, node, path, "a file such as sql/products.sql");
    if (text == NULL || strpbrk(text, " \t\r\n") != NULL) {
        return text;
    }
    const char *file = arena_printf(l->arena, "%s%s", text[0] == '/' ? "" : l->directory, text);
    struct slice content;
    const char *why;
    if (!policy_text_read(&l->scratch, file, POLICY_SQL_FILE_MAX, &content, &why)) {
        policy_complain(
            &l->say, node->spot, path,
            "`%s` %s; a file is looked for from the policy file's folder, and a statement "
            "holds white space",
            file, why);
        return NULL;
    }
    struct policy_spot bad;
    if (!policy_text_is_clean(content, &bad)) {
        policy_complain(&l->say, node->spot, path, "`%s` is not UTF-8 text at line %u, column %u",
                        file, bad.line, bad.column);
        return NULL;
    }
    r->sql_file = file;
    return policy_text_without_mark(content).ptr;
}

static bool read_sql(struct loader *l, const struct policy_node *map, const char *path,
                     struct policy_route *r)
{
    const struct policy_node *node = policy_node_find(map, "sql");
    if (node == NULL) {
        bool is_later = false;
        for (size_t i = 0; i < array_len(later_keys); i++) {
            is_later |= policy_node_find(map, later_keys[i]) != NULL;
        }
        if (!is_later) {
            policy_complain(&l->say, map->spot, path, "no `sql`; write the file or the statement");
        }
        return false;
    }
    path = policy_path_key(l, path, "sql");
    const char *text = statement_text(l, node, path, r);
    if (text == NULL) {
        return false;
    }
    struct buf positional;
    struct slice names[POLICY_PARAMS_MAX];
    const char *why;
    buf_init(&positional);
    bool ok = policy_sql_positional(text, &positional, names, &r->param_count, &why);
    if (ok) {
        struct policy_param *params = arena_alloc(l->arena, (r->param_count + 1) * sizeof(*params));
        for (uint32_t i = 0; i < r->param_count; i++) {
            params[i].name = arena_dup_slice(l->arena, names[i]);
        }
        r->params = params;
        r->sql = arena_dup_slice(l->arena, buf_readable(&positional));
    } else {
        policy_complain(&l->say, node->spot, path, "%s%sthe statement cannot be used: %s",
                        r->sql_file != NULL ? r->sql_file : "", r->sql_file != NULL ? ": " : "",
                        why);
    }
    buf_fini(&positional);
    return ok;
}

/* --- parameters ------------------------------------------------------------------------------- */

static bool path_has(const struct policy_route *r, const char *name)
{
    for (uint32_t i = 0; i < r->segment_count; i++) {
        if (r->segments[i].is_param && strcmp(r->segments[i].text, name) == 0) {
            return true;
        }
    }
    return false;
}

static int param_find(const struct policy_route *r, const char *name)
{
    for (uint32_t i = 0; i < r->param_count; i++) {
        if (strcmp(r->params[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static const char *param_nearest(struct loader *l, const struct policy_route *r, const char *name)
{
    for (uint32_t i = 0; i < r->param_count; i++) {
        const char *known = r->params[i].name;
        if (policy_text_is_near(policy_text_distance(name, known), known)) {
            return arena_printf(&l->scratch, "did you mean `%s`?", known);
        }
    }
    return "remove it";
}

static void warn_unused(struct loader *l, const struct policy_node *map, const char *path,
                        const struct policy_route *r)
{
    const struct policy_node *node = policy_node_find(map, "match");
    for (uint32_t i = 0; i < r->segment_count; i++) {
        const struct policy_segment *s = &r->segments[i];
        if (s->is_param && param_find(r, s->text) < 0) {
            policy_warn(
                &l->say, node->spot, policy_path_key(l, path, "match"),
                "the statement does not use `{%s}`: every value gets the same answer; write :%s "
                "in it",
                s->text, s->text);
        }
    }
}

static void read_default(struct loader *l, const struct policy_item *it, const char *path,
                         const struct policy_route *r, struct policy_param *params)
{
    path = policy_path_key(l, path, it->key->text);
    int i = param_find(r, it->key->text);
    if (i < 0) {
        policy_complain(&l->say, it->key->spot, path, "the statement has no :%.63s; %s",
                        it->key->text, param_nearest(l, r, it->key->text));
    } else if (path_has(r, it->key->text)) {
        policy_complain(&l->say, it->key->spot, path,
                        "is in the path and always has a value; remove the default");
    } else if (it->value->kind != POLICY_NODE_SCALAR) {
        policy_complain(&l->say, it->value->spot, path, "%s stands here; write one value or null",
                        policy_node_kind_name(it->value));
    } else {
        params[i].optional = true;
        params[i].fallback =
            policy_node_is_null(it->value) ? NULL : arena_strdup(l->arena, it->value->text);
    }
}

static void read_params(struct loader *l, const struct policy_node *map, const char *path,
                        struct policy_route *r)
{
    const struct policy_node *node = policy_node_find(map, "params");
    path = policy_path_key(l, path, "params");
    if (!policy_check_map(l, node, path)) {
        return;
    }
    struct policy_param *params = arena_alloc(l->arena, (r->param_count + 1) * sizeof(*params));
    for (uint32_t i = 0; i < r->param_count; i++) {
        params[i] = r->params[i];
    }
    for (const struct policy_item *it = node->items; it != NULL; it = it->next) {
        read_default(l, it, path, r, params);
    }
    r->params = params;
}

/* --- one route -------------------------------------------------------------------------------- */

/* A POST changes things: it is run each time and its answer is never kept. */
static void settle_post(struct loader *l, const struct policy_node *map, const char *path,
                        struct policy_route *r)
{
    static const char *const get_only[] = {"fresh", "consistency"};
    for (size_t i = 0; i < array_len(get_only); i++) {
        const struct policy_node *node = policy_node_find(map, get_only[i]);
        if (node != NULL) {
            policy_complain(&l->say, node->spot, policy_path_key(l, path, get_only[i]),
                            "a POST runs each time and is never kept; remove `%s`", get_only[i]);
        }
    }
    r->fresh_ms = 0;
    r->consistency = POLICY_TTL;
}

static void check_shape(struct loader *l, const struct policy_node *map, const char *path,
                        const struct policy_route *list, const struct policy_route *r)
{
    for (const struct policy_route *other = list; other != r; other++) {
        if (policy_route_same_shape(other, r)) {
            const struct policy_node *node = policy_node_find(map, "match");
            policy_complain(&l->say, node->spot, policy_path_key(l, path, "match"),
                            "no request can be told from `%s` on line %u; remove one", other->match,
                            other->line);
            return;
        }
    }
}

static uint64_t identity_of(const struct policy_route *r)
{
    uint64_t h = hash_mix(hash_slice(slice_of(r->match)), hash_slice(slice_of(r->sql)));
    h = hash_mix(h, ((uint64_t)r->answer << 32) | (uint64_t)r->consistency);
    h = hash_mix(h, r->fresh_ms);
    for (uint32_t i = 0; i < r->param_count; i++) {
        const struct policy_param *p = &r->params[i];
        const char *fallback = p->fallback != NULL ? p->fallback : "";
        h = hash_mix(h, hash_mix(hash_slice(slice_of(p->name)), hash_slice(slice_of(fallback))));
        h = hash_mix(h, (p->optional ? 2U : 0U) | (p->fallback != NULL ? 1U : 0U));
    }
    return h;
}

static void read_route(struct loader *l, const struct policy_node *map, const char *path,
                       struct policy_route *list)
{
    struct policy_route *r = &list[l->policy->route_count];
    *r = (struct policy_route){.index = l->policy->route_count,
                               .timeout_ms = l->policy->database.statement_timeout_ms};
    policy_read_section(l, POLICY_SCOPE_ROUTE, map, path, r);
    if (map->kind != POLICY_NODE_MAPPING) {
        return;
    }
    bool has_match = read_match(l, map, path, r);
    bool has_sql = read_sql(l, map, path, r);
    if (has_sql) {
        read_params(l, map, path, r);
    }
    if (!has_match) {
        return;
    }
    bool is_post = strcmp(r->method, "POST") == 0;
    if (policy_node_find(map, "answer") == NULL) {
        r->answer = is_post ? POLICY_ANSWER_OBJECT : POLICY_ANSWER_ARRAY;
    }
    if (is_post) {
        settle_post(l, map, path, r);
    }
    if (has_sql) {
        warn_unused(l, map, path, r);
        r->identity = identity_of(r);
    }
    check_shape(l, map, path, list, r);
    l->policy->route_count++;
}

void policy_read_routes(struct loader *l)
{
    const struct policy_node *node = policy_node_find(l->root, "routes");
    if (node == NULL) {
        return;
    }
    if (node->kind != POLICY_NODE_SEQUENCE || node->count == 0) {
        policy_complain(&l->say, node->spot, "routes", "%s stands here; write a list of routes",
                        node->kind == POLICY_NODE_SEQUENCE ? "an empty list"
                                                           : policy_node_kind_name(node));
        return;
    }
    if (node->count > POLICY_ROUTES_MAX) {
        policy_complain(&l->say, node->spot, "routes", "%u routes; at most %d are possible",
                        node->count, POLICY_ROUTES_MAX);
        return;
    }
    if (policy_node_find(l->root, "database") == NULL) {
        policy_complain(&l->say, node->spot, "routes",
                        "need a database to ask; add `database: { dsn: ... }`");
    }
    struct policy_route *list = arena_alloc(l->arena, node->count * sizeof(*list));
    l->policy->routes = list;
    uint32_t i = 0;
    for (const struct policy_item *it = node->items; it != NULL; it = it->next, i++) {
        read_route(l, it->value, policy_path_index(l, "routes", i), list);
    }
}
