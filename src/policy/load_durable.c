/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load_durable: where the log of durable spaces lies, and how hard it tries.
 *
 * Whether the directory can be used is seen here as far as that needs no writing: what is there, or may be
 * created, and is writable for this user. Whether another daemon uses it only the start can tell.
 *
 * Threads: one owner.
 */
#include "policy/load.h"

#include "policy/values.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct policy_space *find_durable(const struct policy *p)
{
    for (uint32_t i = 0; i < p->space_count; i++) {
        if (p->spaces[i].durable) {
            return &p->spaces[i];
        }
    }
    return NULL;
}

static const char *parent_of(struct loader *l, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return ".";
    }
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    return arena_dup_slice(&l->scratch, (struct slice){path, len});
}

static void check_dir(struct loader *l, const struct policy_node *node, const char *dir)
{
    static const char *const key = "durable.dir";
    struct stat st;
    const char *parent = parent_of(l, dir);
    if (stat(dir, &st) == 0) {
        if (!S_ISDIR(st.st_mode)) {
            policy_complain(&l->say, node->spot, key,
                            "%s is no directory; the log needs one of its own", dir);
        } else if (access(dir, R_OK | W_OK | X_OK) != 0) {
            policy_complain(
                &l->say, node->spot, key,
                "%s cannot be written by this user; give it to the one that runs freshet", dir);
        }
    } else if (errno != ENOENT) {
        policy_complain(&l->say, node->spot, key, "%s cannot be looked at: %s", dir,
                        strerror(errno));
    } else if (access(parent, W_OK | X_OK) != 0) {
        policy_complain(
            &l->say, node->spot, key,
            "%s does not exist and cannot be created: %s: %s; create it, writable for the "
            "user that runs freshet",
            dir, parent, strerror(errno));
    }
}

static void read_dir(struct loader *l, const struct policy_node *map)
{
    const struct policy_node *node = policy_node_find(map, "dir");
    struct policy_durable *d = &l->policy->durable;
    if (node == NULL) {
        policy_complain(&l->say, map->spot, "durable",
                        "no `dir`; write dir: /var/lib/freshet, a directory for the log");
    } else if (d->dir != NULL) {
        d->dir = arena_printf(l->arena, "%s%s", d->dir[0] == '/' ? "" : l->directory, d->dir);
        check_dir(l, node, d->dir);
    }
}

void policy_read_durable(struct loader *l)
{
    const struct policy_node *map = policy_node_find(l->root, "durable");
    const struct policy_space *space = find_durable(l->policy);
    policy_read_section(l, POLICY_SCOPE_DURABLE, map, "durable", l->policy);
    if (map == NULL && space != NULL) {
        const struct policy_node *spaces = policy_node_find(l->root, "spaces");
        policy_complain(&l->say, spaces->spot, "spaces",
                        "the space `%s` is durable, but the policy names no place for the log; add "
                        "durable: { dir: /var/lib/freshet }",
                        space->name);
    } else if (map != NULL && map->kind == POLICY_NODE_MAPPING) {
        read_dir(l, map);
        if (space == NULL) {
            policy_warn(&l->say, map->spot, "durable",
                        "no space is durable: nothing is written; say `keep: durable` on one");
        }
    }
}
