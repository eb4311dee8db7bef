/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load_listen: where clients connect.
 *
 * The Redis protocol can empty the cache and admin can show it: beyond loopback both need a
 * password (load_users.c). HTTP does not: it answers only what routes say.
 *
 * Threads: one owner.
 */
#include "policy/load.h"

#include "policy/text.h"
#include "policy/values.h"

struct face {
    const char *name;
    bool needs_password;
    bool has_affinity;
};

static void read_address(struct loader *l, const struct face *face, const struct policy_node *node,
                         const char *path, struct policy_address *ret_address)
{
    const struct policy_node *text_node = node;
    if (node->kind == POLICY_NODE_MAPPING) {
        policy_read_section(l, POLICY_SCOPE_ADDRESS, node, path, ret_address);
        text_node = policy_node_find(node, "address");
        const struct policy_node *affinity = policy_node_find(node, "affinity");
        if (affinity != NULL && !face->has_affinity) {
            policy_complain(&l->say, affinity->spot, policy_path_key(l, path, "affinity"),
                            "only `resp` has connections whose SETs answer misses; remove it");
        }
        if (text_node == NULL) {
            policy_complain(&l->say, node->spot, path,
                            "no `address`; write address: \"host:port\"");
            return;
        }
        path = policy_path_key(l, path, "address");
    }
    const char *text =
        policy_read_text(l, text_node, path, "an address such as \"127.0.0.1:6380\"");
    if (text == NULL) {
        return;
    }
    bool is_local;
    const char *why;
    if (!policy_parse_address(&l->scratch, text, &is_local, &why)) {
        policy_complain(&l->say, text_node->spot, path, "`%.80s` %s", text, why);
        return;
    }
    ret_address->text = arena_strdup(l->arena, text);
    struct remote_face *remote = face->has_affinity ? &l->remote_resp : &l->remote_admin;
    if (!is_local && face->needs_password && remote->path == NULL) {
        *remote = (struct remote_face){text_node->spot, path};
    }
}

static void read_face(struct loader *l, const struct face *face, const struct policy_node *node,
                      const struct policy_address **ret_list, uint32_t *ret_count)
{
    const char *path = policy_path_key(l, "listen", face->name);
    bool is_list = node->kind == POLICY_NODE_SEQUENCE;
    uint32_t count = is_list ? node->count : 1;
    if (count == 0 || count > POLICY_ADDRESSES_MAX) {
        policy_complain(&l->say, node->spot, path, "%u addresses; write 1 to %d, or remove the key",
                        count, POLICY_ADDRESSES_MAX);
        return;
    }
    struct policy_address *list = arena_alloc(l->arena, count * sizeof(*list));
    if (!is_list) {
        read_address(l, face, node, path, &list[0]);
    } else {
        uint32_t i = 0;
        for (const struct policy_item *it = node->items; it != NULL; it = it->next, i++) {
            read_address(l, face, it->value, policy_path_index(l, path, i), &list[i]);
        }
    }
    *ret_list = list;
    *ret_count = count;
}

/* The same socket twice would fail at start, with a worse message; port 0 is new each time. */
static void check_twice(struct loader *l, const struct policy_node *at)
{
    const struct policy_listen *ls = &l->policy->listen;
    const struct policy_address *lists[] = {ls->http, ls->resp, ls->admin};
    const uint32_t counts[] = {ls->http_count, ls->resp_count, ls->admin_count};
    const char *seen[3 * POLICY_ADDRESSES_MAX];
    uint32_t seen_count = 0;
    for (size_t face = 0; face < array_len(lists); face++) {
        for (uint32_t i = 0; i < counts[face]; i++) {
            const char *text = lists[face][i].text;
            if (text == NULL || (strlen(text) > 2 && strcmp(text + strlen(text) - 2, ":0") == 0)) {
                continue;
            }
            for (uint32_t k = 0; k < seen_count; k++) {
                if (strcmp(seen[k], text) == 0) {
                    policy_complain(&l->say, at->spot, "listen",
                                    "`%s` is given twice; each address serves one face", text);
                }
            }
            seen[seen_count++] = text;
        }
    }
}

void policy_read_listen(struct loader *l)
{
    struct policy_listen *ls = &l->policy->listen;
    const struct policy_node *map = policy_node_find(l->root, "listen");
    const struct policy_node *at = map != NULL ? map : l->root;
    policy_read_section(l, POLICY_SCOPE_LISTEN, map, "listen", ls);
    static const struct face faces[] = {
        {"http", false, false}, {"resp", true, true}, {"admin", true, false}};
    const struct policy_address **lists[] = {&ls->http, &ls->resp, &ls->admin};
    uint32_t *counts[] = {&ls->http_count, &ls->resp_count, &ls->admin_count};
    bool has_face = false;
    for (size_t i = 0; i < array_len(faces); i++) {
        const struct policy_node *node = policy_node_find(map, faces[i].name);
        if (node != NULL) {
            has_face = true;
            read_face(l, &faces[i], node, lists[i], counts[i]);
        }
    }
    if (!has_face && (map == NULL || map->kind == POLICY_NODE_MAPPING)) {
        policy_complain(&l->say, at->spot, "listen",
                        "no address to listen on; write listen: { resp: \"127.0.0.1:6380\" }");
    }
    check_twice(l, at);
}
