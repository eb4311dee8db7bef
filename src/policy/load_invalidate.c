/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load_invalidate: tables and the key templates that their changes make old.
 *
 * Templates are counted first, so that they can live in one array.
 *
 * Threads: one owner.
 */
#include "policy/load.h"

#include "policy/text.h"

/* PostgreSQL names may be anything when quoted; here they are as the catalog has them, unquoted, so
 * only what would break messages and hashing is refused. */
static bool is_sql_name(struct slice name)
{
    if (name.len == 0 || name.len > 63) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c <= ' ' || c == '"' || c == '\'' || c == '.' || c == ';') {
            return false;
        }
    }
    return true;
}

static bool split_table(struct loader *l, const struct policy_node *key, const char *path,
                        const char **ret_schema, const char **ret_table)
{
    struct slice whole = slice_of(key->text);
    const char *dot = strchr(key->text, '.');
    struct slice schema = {whole.ptr, dot != NULL ? (size_t)(dot - whole.ptr) : 0};
    struct slice table = dot != NULL ? slice_from(whole, schema.len + 1) : whole;
    if (!is_sql_name(table) || (dot != NULL && !is_sql_name(schema))) {
        policy_complain(&l->say, key->spot, path,
                        "no table's name; write table or schema.table, without quotes");
        return false;
    }
    *ret_schema = dot != NULL ? arena_dup_slice(l->arena, schema) : NULL;
    *ret_table = arena_dup_slice(l->arena, table);
    return true;
}

static bool same_table(const struct policy_template *a, const struct policy_template *b)
{
    const char *a_schema = a->schema != NULL ? a->schema : "";
    const char *b_schema = b->schema != NULL ? b->schema : "";
    return strcmp(a->table, b->table) == 0 && strcmp(a_schema, b_schema) == 0;
}

static void check_twice(struct loader *l, const struct policy_template *list,
                        const struct policy_template *t, struct policy_spot at, const char *path)
{
    for (const struct policy_template *other = list; other != t; other++) {
        if (strcmp(other->text, t->text) == 0 && same_table(other, t)) {
            policy_complain(&l->say, at, path, "given twice, first on line %u; remove one",
                            other->line);
            return;
        }
    }
}

/* Adds one template behind the others of the policy. */
static void read_template(struct loader *l, const struct policy_node *node, const char *path,
                          const char *schema, const char *table, struct policy_template *list)
{
    struct policy_template *t = &list[l->policy->template_count];
    const struct policy_node *key = node;
    *t = (struct policy_template){
        .index = l->policy->template_count, .schema = schema, .table = table};
    bool is_map = node->kind == POLICY_NODE_MAPPING;
    policy_read_section(l, POLICY_SCOPE_TEMPLATE, is_map ? node : NULL, path, t);
    if (is_map) {
        key = policy_node_find(node, "key");
        if (key == NULL) {
            policy_complain(&l->say, node->spot, path, "no `key`; write key: \"product_{id}\"");
            return;
        }
        path = policy_path_key(l, path, "key");
    }
    const char *text = policy_read_text(l, key, path, "a template such as \"product_{id}\"");
    if (text == NULL) {
        return;
    }
    t->text = arena_strdup(l->arena, text);
    t->line = key->spot.line;
    const char *why = NULL;
    const char *warning = NULL;
    if (!policy_template_compile(l->arena, t, &why, &warning)) {
        policy_complain(&l->say, key->spot, path, "`%.80s` %s", text, why);
        return;
    }
    if (warning != NULL) {
        policy_warn(&l->say, key->spot, path, "`%.80s` %s", text, warning);
    }
    check_twice(l, list, t, key->spot, path);
    l->policy->template_count++;
}

static void read_table(struct loader *l, const struct policy_item *it, struct policy_template *list)
{
    const char *path = policy_path_key(l, "invalidate", it->key->text);
    const char *schema = NULL;
    const char *table = NULL;
    if (!split_table(l, it->key, path, &schema, &table)) {
        return;
    }
    if (it->value->kind != POLICY_NODE_SEQUENCE) {
        read_template(l, it->value, path, schema, table, list);
        return;
    }
    if (it->value->count == 0) {
        policy_complain(&l->say, it->value->spot, path,
                        "no templates; write one, or remove the table");
    }
    uint32_t i = 0;
    for (const struct policy_item *t = it->value->items; t != NULL; t = t->next, i++) {
        read_template(l, t->value, policy_path_index(l, path, i), schema, table, list);
    }
}

void policy_read_invalidate(struct loader *l)
{
    const struct policy_node *map = policy_node_find(l->root, "invalidate");
    if (!policy_check_map(l, map, "invalidate")) {
        return;
    }
    if (policy_node_find(l->root, "database") == NULL) {
        policy_complain(&l->say, map->spot, "invalidate",
                        "needs a database to follow; add `database: { dsn: ... }`");
    }
    uint64_t count = 0;
    for (const struct policy_item *it = map->items; it != NULL; it = it->next) {
        count += it->value->kind == POLICY_NODE_SEQUENCE ? it->value->count : 1;
    }
    if (count > POLICY_TEMPLATES_MAX) {
        policy_complain(&l->say, map->spot, "invalidate", "%llu templates; at most %d are possible",
                        (unsigned long long)count, POLICY_TEMPLATES_MAX);
        return;
    }
    struct policy_template *list = arena_alloc(l->arena, (count + 1) * sizeof(*list));
    l->policy->templates = list;
    for (const struct policy_item *it = map->items; it != NULL; it = it->next) {
        read_table(l, it, list);
    }
}
