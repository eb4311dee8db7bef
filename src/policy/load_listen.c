/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load_listen: where clients connect, and what they must prove.
 *
 * The Redis protocol can empty the cache and admin can show it: beyond loopback both need a
 * password. HTTP does not: it answers only what routes say.
 *
 * Threads: one owner.
 */
#include "policy/load.h"

#include "policy/text.h"
#include "policy/values.h"

#include <stdlib.h>
#include <sys/stat.h>

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
    if (!is_local && face->needs_password && !l->resp_or_admin_is_remote) {
        l->resp_or_admin_is_remote = true;
        l->remote_spot = text_node->spot;
        l->remote_path = path;
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

/* --- auth ------------------------------------------------------------------------------------- */

static const char *file_password(struct loader *l, const struct policy_node *node, const char *path,
                                 const char *name)
{
    const char *file = arena_printf(&l->scratch, "%s%s", name[0] == '/' ? "" : l->directory, name);
    struct slice text;
    const char *why;
    if (!policy_text_read(&l->scratch, file, 4096, &text, &why)) {
        policy_complain(&l->say, node->spot, path, "`%s` %s", file, why);
        return NULL;
    }
    struct stat st;
    if (stat(file, &st) == 0 && (st.st_mode & S_IROTH) != 0) {
        policy_warn(&l->say, node->spot, path, "`%s` can be read by everybody; chmod o-r it", file);
    }
    text.len = strcspn(text.ptr, "\r\n");
    if (text.len == 0) {
        policy_complain(&l->say, node->spot, path, "`%s` has no password on its first line", file);
        return NULL;
    }
    return arena_dup_slice(l->arena, text);
}

static const char *env_password(struct loader *l, const struct policy_node *node, const char *path,
                                const char *name)
{
    const char *text = getenv(name);
    if (text == NULL || text[0] == '\0') {
        policy_complain(&l->say, node->spot, path, "the environment variable `%s` is %s", name,
                        text == NULL ? "not set" : "empty");
        return NULL;
    }
    return arena_strdup(l->arena, text);
}

static void read_password(struct loader *l, const struct policy_node *map)
{
    static const char *const ways[] = {"password", "password_file", "password_env"};
    uint32_t given = 0;
    for (size_t i = 0; i < array_len(ways); i++) {
        const struct policy_node *node = policy_node_find(map, ways[i]);
        if (node == NULL || node->kind != POLICY_NODE_SCALAR || node->text[0] == '\0') {
            given += node != NULL ? 1 : 0; /* the table has complained */
            continue;
        }
        const char *path = policy_path_key(l, "auth", ways[i]);
        if (++given > 1) {
            policy_complain(&l->say, node->spot, path,
                            "a second way to say the password; keep one");
        } else if (i == 0) {
            l->policy->auth.password = arena_strdup(l->arena, node->text);
        } else if (i == 1) {
            l->policy->auth.password = file_password(l, node, path, node->text);
        } else {
            l->policy->auth.password = env_password(l, node, path, node->text);
        }
    }
    if (given == 0 && map->kind == POLICY_NODE_MAPPING) {
        policy_complain(&l->say, map->spot, "auth",
                        "no password; write `password_file: <path>`, or remove `auth`");
    }
}

void policy_read_auth(struct loader *l)
{
    const struct policy_node *map = policy_node_find(l->root, "auth");
    policy_read_section(l, POLICY_SCOPE_AUTH, map, "auth", &l->policy->auth);
    if (map != NULL) {
        read_password(l, map);
    } else if (l->resp_or_admin_is_remote) {
        policy_complain(&l->say, l->remote_spot, l->remote_path,
                        "reachable from other machines without a password; add `auth: { "
                        "password_file: <path> }`, or listen on 127.0.0.1");
    }
}
