/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load_log: `log: info`, or a map with levels by module.
 *
 * Threads: one owner.
 */
#include "policy/load.h"

#include "policy/values.h"

/* The bare form: `log: debug` is `log: { level: debug }`. */
static void read_level(struct loader *l, const struct policy_node *node)
{
    const struct policy_option *o = policy_option_find(POLICY_SCOPE_LOG, "level");
    const char *why;
    uint64_t level;
    const char *text = policy_read_text(l, node, "log", "one of error|warn|info|debug|trace");
    if (text == NULL) {
        return;
    }
    if (policy_parse_choice(&l->scratch, o->choices, text, &level, &why)) {
        l->policy->log.level = (enum log_level)level;
    } else {
        policy_complain(&l->say, node->spot, "log", "`%.80s` %s", text, why);
    }
}

static void read_module(struct loader *l, const struct policy_item *it, const char *choices)
{
    const char *path = policy_path_key(l, "log.modules", it->key->text);
    const char *why;
    uint64_t level;
    int module = log_module_find(slice_of(it->key->text));
    if (module < 0) {
        policy_complain(&l->say, it->key->spot, path, "no such module; valid ones: %s",
                        log_module_names());
        return;
    }
    const char *text = policy_read_text(l, it->value, path, "a level such as debug");
    if (text == NULL) {
        return;
    }
    if (policy_parse_choice(&l->scratch, choices, text, &level, &why)) {
        l->policy->log.module[module] = (int8_t)level;
    } else {
        policy_complain(&l->say, it->value->spot, path, "`%.80s` %s", text, why);
    }
}

void policy_read_log(struct loader *l)
{
    const struct policy_node *node = policy_node_find(l->root, "log");
    bool is_map = node != NULL && node->kind == POLICY_NODE_MAPPING;
    log_settings_init(&l->policy->log);
    policy_read_section(l, POLICY_SCOPE_LOG, is_map ? node : NULL, "log", l->policy);
    if (!is_map) {
        if (node != NULL) {
            read_level(l, node);
        }
        return;
    }
    const struct policy_node *modules = policy_node_find(node, "modules");
    const char *choices = policy_option_find(POLICY_SCOPE_LOG, "level")->choices;
    if (policy_check_map(l, modules, "log.modules")) {
        for (const struct policy_item *it = modules->items; it != NULL; it = it->next) {
            read_module(l, it, choices);
        }
    }
}
