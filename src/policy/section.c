/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * section: one map of the file against one scope of options.def.
 *
 * Defaults go the same way as given values (text, reader, field), so the table cannot promise a
 * default that the code does not have. What the table cannot describe (TREE) is skipped here and
 * read by the part that called.
 *
 * Threads: one owner.
 */
#include "policy/load.h"

#include "policy/values.h"

const char *policy_path_key(struct loader *l, const char *path, const char *key)
{
    return path[0] == '\0' ? key : arena_printf(&l->scratch, "%s.%s", path, key);
}

const char *policy_path_index(struct loader *l, const char *path, uint32_t index)
{
    return arena_printf(&l->scratch, "%s[%u]", path, index);
}

bool policy_check_map(struct loader *l, const struct policy_node *map, const char *path)
{
    if (map == NULL) {
        return false;
    }
    if (map->kind != POLICY_NODE_MAPPING) {
        policy_complain(&l->say, map->spot, path, "%s stands here; write a map `key: value`",
                        policy_node_kind_name(map));
        return false;
    }
    for (const struct policy_item *it = map->items; it != NULL; it = it->next) {
        if (it->first != NULL) {
            policy_complain(&l->say, it->key->spot, policy_path_key(l, path, it->key->text),
                            "given twice, first on line %u; remove one", it->first->spot.line);
        }
    }
    return true;
}

static void store(const struct policy_option *o, uint64_t value, void *target)
{
    char *field = (char *)target + o->offset;
    if (o->width == sizeof(uint8_t)) {
        uint8_t narrow = (uint8_t)value;
        memcpy(field, &narrow, sizeof(narrow));
    } else if (o->width == sizeof(uint32_t)) {
        uint32_t narrow = (uint32_t)value;
        memcpy(field, &narrow, sizeof(narrow));
    } else {
        check(o->width == sizeof(value));
        memcpy(field, &value, sizeof(value));
    }
}

static void store_text(struct loader *l, const struct policy_option *o, const char *text,
                       void *target)
{
    const char *copy = arena_strdup(l->arena, text);
    check(o->width == sizeof(copy));
    memcpy((char *)target + o->offset, &copy, sizeof(copy));
}

static void store_preset(struct loader *l, const struct policy_option *o, void *target)
{
    uint64_t value;
    const char *why;
    if (o->kind == POLICY_KIND_STRING) {
        store_text(l, o, o->preset, target);
        return;
    }
    check(policy_parse_value(&l->scratch, o, o->preset, &value, &why));
    store(o, value, target);
}

static const char *wanted(struct loader *l, const struct policy_option *o)
{
    switch (o->kind) {
    case POLICY_KIND_DURATION:
        return "a duration such as 500ms, 30s, 15m";
    case POLICY_KIND_SIZE:
        return "a size such as 64KB, 400MB";
    case POLICY_KIND_COUNT:
        return "a whole number";
    case POLICY_KIND_CHOICE:
        return arena_printf(&l->scratch, "one of %s", o->choices);
    case POLICY_KIND_STRING:
        return o->choices != NULL ? arena_printf(&l->scratch, "one of %s", o->choices) : "text";
    case POLICY_KIND_TREE:
    case POLICY_KIND_LATER:
        return "text";
    }
    unreachable();
}

const char *policy_read_text(struct loader *l, const struct policy_node *node, const char *path,
                             const char *what)
{
    bool is_scalar = node->kind == POLICY_NODE_SCALAR;
    if (!is_scalar || policy_node_is_null(node) || node->text[0] == '\0') {
        policy_complain(&l->say, node->spot, path, "%s stands here; write %s",
                        is_scalar ? "nothing" : policy_node_kind_name(node), what);
        return NULL;
    }
    return node->text;
}

static void read_option(struct loader *l, const struct policy_option *o,
                        const struct policy_node *node, const char *path, void *target)
{
    const char *text = policy_read_text(l, node, path, wanted(l, o));
    if (text == NULL) {
        return;
    }
    uint64_t value = 0;
    const char *why;
    bool ok = true;
    if (o->kind != POLICY_KIND_STRING) {
        ok = policy_parse_value(&l->scratch, o, text, &value, &why);
    } else if (o->choices != NULL) {
        ok = policy_parse_choice(&l->scratch, o->choices, text, &value, &why);
    }
    if (!ok) {
        policy_complain(&l->say, node->spot, path, "`%.80s` %s", text, why);
    } else if (o->width > 0 && o->kind == POLICY_KIND_STRING) {
        store_text(l, o, text, target);
    } else if (o->width > 0) {
        store(o, value, target);
    }
}

static const char *list_keys(struct loader *l, enum policy_scope scope)
{
    const char *list = NULL;
    for (size_t i = 0; i < policy_option_count; i++) {
        const struct policy_option *o = &policy_options[i];
        if (o->scope == scope && o->kind != POLICY_KIND_LATER) {
            list = list == NULL ? o->key : arena_printf(&l->scratch, "%s, %s", list, o->key);
        }
    }
    return list;
}

static void complain_unknown(struct loader *l, enum policy_scope scope,
                             const struct policy_node *key, const char *path)
{
    if (strcmp(key->text, "<<") == 0) {
        policy_complain(
            &l->say, key->spot, path,
            "merge keys are not YAML 1.2; repeat the keys, or use the alias as a value");
        return;
    }
    if (policy_complaints_full(&l->say)) {
        policy_complain(&l->say, key->spot, path, "unknown key");
        return;
    }
    const struct policy_option *near = policy_option_nearest(scope, key->text);
    const struct policy_option *other = policy_option_elsewhere(scope, key->text);
    if (other != NULL) {
        const char *where = policy_scope_path(other->scope);
        policy_complain(&l->say, key->spot, path, "unknown key here; it belongs to %s%s%s",
                        where[0] != '\0' ? "`" : "",
                        where[0] != '\0' ? where : "the top of the file",
                        where[0] != '\0' ? "`" : "");
    } else if (near != NULL) {
        policy_complain(&l->say, key->spot, path, "unknown key; did you mean `%s`?", near->key);
    } else {
        policy_complain(&l->say, key->spot, path, "unknown key; valid ones: %s",
                        list_keys(l, scope));
    }
}

void policy_read_section(struct loader *l, enum policy_scope scope, const struct policy_node *map,
                         const char *path, void *target)
{
    for (size_t i = 0; i < policy_option_count; i++) {
        if (policy_options[i].scope == scope && policy_option_has_preset(&policy_options[i])) {
            store_preset(l, &policy_options[i], target);
        }
    }
    if (!policy_check_map(l, map, path)) {
        return;
    }
    for (const struct policy_item *it = map->items; it != NULL; it = it->next) {
        const char *key_path = policy_path_key(l, path, it->key->text);
        const struct policy_option *o = policy_option_find(scope, it->key->text);
        if (o == NULL) {
            complain_unknown(l, scope, it->key, key_path);
        } else if (o->kind == POLICY_KIND_LATER) {
            policy_complain_later(&l->say, it->key->spot, key_path, o->summary);
        } else if (o->kind != POLICY_KIND_TREE) {
            read_option(l, o, it->value, key_path, target);
        }
    }
}
