/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load_spaces: the memory and how it is divided.
 *
 *     memory = given spaces + space "http" + equal shares of the rest for spaces without a number
 *
 * Without `spaces` all 16 Redis databases share one space, "default"; with routes an eighth of the
 * memory is set aside for "http". With `spaces` and routes but no "http", one of 64 MB or an eighth
 * is added. Whether it all fits is decided here, once, with the sums in the message.
 *
 * Threads: one owner.
 */
#include "policy/load.h"

#include "policy/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MB (1024ULL * 1024)

enum { SPACE_NAME_MAX = 32, SPACES_MAX = POLICY_DBS + 1 };

static const uint64_t HTTP_SHARE_MAX = 64 * MB;

/* The machine's memory, or the control group's limit where that is less (containers). */
static uint64_t machine_memory(void)
{
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < array_len(files); i++) {
        FILE *f = fopen(files[i], "re");
        char line[32];
        if (f != NULL && fgets(line, sizeof(line), f) != NULL) {
            uint64_t limit = strtoull(line, NULL, 10); /* "max" reads as 0 */
            bytes = limit > 0 && limit < bytes ? limit : bytes;
        }
        if (f != NULL) {
            (void)fclose(f);
        }
    }
    return bytes;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool is_space_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return len > 0 && len <= SPACE_NAME_MAX && name[len] == '\0';
}

static void check_http_space(struct loader *l, const struct policy_node *map, const char *path)
{
    static const char *const not_here[] = {"db", "prefix", "ttl", "consistency", "keep"};
    for (size_t i = 0; i < array_len(not_here); i++) {
        const struct policy_node *node = policy_node_find(map, not_here[i]);
        if (node != NULL) {
            policy_complain(
                &l->say, node->spot, policy_path_key(l, path, not_here[i]),
                "the space `http` holds answers of routes and has no `%s`; %s", not_here[i],
                i == 2 || i == 3 ? "say `fresh` and `consistency` on the routes" : "remove it");
        }
    }
}

static void check_prefix(struct loader *l, const struct policy_node *map, const char *path)
{
    const struct policy_node *node = policy_node_find(map, "prefix");
    if (node == NULL || node->kind != POLICY_NODE_SCALAR || node->text[0] == '\0') {
        return;
    }
    if (node->text[strlen(node->text) - 1] == '*') {
        policy_complain(
            &l->say, node->spot, policy_path_key(l, path, "prefix"),
            "a `*` at its end matches nothing, being the shortest run; end it with what "
            "follows, such as `%s:`",
            node->text);
    }
}

static void read_db(struct loader *l, const struct policy_node *map, const char *path,
                    uint32_t index, struct policy_space *spaces)
{
    const struct policy_node *node = policy_node_find(map, "db");
    if (node == NULL) {
        policy_complain(&l->say, map->spot, path,
                        "no `db`; write the Redis database number, 0 to 15");
        return;
    }
    int db = spaces[index].db;
    if (db < 0) {
        return; /* the table has complained */
    }
    int8_t owner = l->policy->db_space[db];
    if (owner >= 0) {
        policy_complain(&l->say, node->spot, policy_path_key(l, path, "db"),
                        "database %d already belongs to the space `%s`; each has its own", db,
                        spaces[owner].name);
        return;
    }
    l->policy->db_space[db] = (int8_t)index;
}

/* Followed is the default where it can mean something. Templates apply to volatile spaces. */
static void read_consistency(struct loader *l, const struct policy_node *map, const char *path,
                             struct policy_space *space)
{
    const struct policy_node *node = policy_node_find(map, "consistency");
    bool can_follow = policy_node_find(l->root, "database") != NULL;
    if (space->durable && node != NULL && space->consistency != POLICY_TTL) {
        policy_complain(
            &l->say, node->spot, policy_path_key(l, path, "consistency"),
            "a durable space follows nothing: its keys would be void after a restart; say "
            "`ttl`, or `keep: volatile`");
    } else if (space->durable) {
        space->consistency = POLICY_TTL;
    } else if (node == NULL) {
        bool has_templates = policy_node_find(l->root, "invalidate") != NULL;
        space->consistency = can_follow && has_templates ? POLICY_FOLLOW : POLICY_TTL;
    } else if (space->consistency != POLICY_TTL && !can_follow) {
        policy_complain(
            &l->say, node->spot, policy_path_key(l, path, "consistency"),
            "`%s` needs a database to follow; add `database: { dsn: ... }`, or say `ttl`",
            node->text);
    }
}

static void read_space(struct loader *l, const struct policy_item *it, uint32_t index,
                       struct policy_space *spaces)
{
    struct policy_space *space = &spaces[index];
    const char *path = policy_path_key(l, "spaces", it->key->text);
    space->name = arena_strdup(l->arena, it->key->text);
    space->db = -1;
    if (!is_space_name(it->key->text)) {
        policy_complain(&l->say, it->key->spot, path,
                        "a space's name has 1 to %d letters, digits, '_' and '-'", SPACE_NAME_MAX);
    }
    policy_read_section(l, POLICY_SCOPE_SPACE, it->value, path, space);
    if (it->value->kind != POLICY_NODE_MAPPING) {
        return;
    }
    if (strcmp(it->key->text, "http") == 0) {
        check_http_space(l, it->value, path);
        l->policy->http_space = (int)index;
        space->db = -1;
        space->durable = false;
        space->consistency = POLICY_TTL;
        return;
    }
    read_db(l, it->value, path, index, spaces);
    check_prefix(l, it->value, path);
    read_consistency(l, it->value, path, space);
}

/* --- dividing --------------------------------------------------------------------------------- */

struct division {
    struct policy_space *spaces;
    uint32_t count;
    uint64_t given;   /* what the spaces state */
    uint32_t sharers; /* spaces that state nothing */
    bool adds_http;
};

static uint64_t http_share(uint64_t of, uint64_t part)
{
    uint64_t share = of / part;
    share = share > HTTP_SHARE_MAX ? HTTP_SHARE_MAX : share;
    return share < MB ? MB : share;
}

/* What all spaces may hold together: as stated; else the sum; else a quarter of the machine. */
static uint64_t total_memory(struct loader *l, const struct division *d)
{
    uint64_t machine = machine_memory();
    const struct policy_node *node = policy_node_find(l->root, "memory");
    if (node != NULL && l->policy->memory > machine) {
        policy_warn(&l->say, node->spot, "memory", "more than this machine has (%lluMB)",
                    (unsigned long long)(machine / MB));
    }
    if (node != NULL) {
        return l->policy->memory;
    }
    if (d->sharers == 0 && d->count > 0) {
        return d->given + (d->adds_http ? http_share(d->given, 7) : 0);
    }
    uint64_t quarter = machine / 4 / MB * MB;
    return quarter < 4 * MB ? 4 * MB : quarter;
}

static bool check_fit(struct loader *l, const struct division *d, uint64_t http, uint64_t total)
{
    uint64_t needed = d->given + http + d->sharers * MB;
    if (needed <= total) {
        return true;
    }
    const struct policy_node *node = policy_node_find(l->root, "memory");
    const struct policy_node *spaces = policy_node_find(l->root, "spaces");
    const struct policy_node *at = node != NULL ? node : spaces != NULL ? spaces : l->root;
    const char *parts = policy_format_size(&l->scratch, d->given);
    if (http > 0) {
        parts = arena_printf(&l->scratch, "%s + %s for `http` (routes need it)", parts,
                             policy_format_size(&l->scratch, http));
    }
    if (d->sharers > 0) {
        parts = arena_printf(&l->scratch, "%s + at least 1MB for each of %u without `memory`",
                             parts, d->sharers);
    }
    policy_complain(&l->say, at->spot, node != NULL ? "memory" : "spaces",
                    "the spaces need %s, but there is %s%s; lower a space or write `memory: %s`",
                    parts, policy_format_size(&l->scratch, total),
                    node != NULL ? "" : " (a quarter of this machine's memory)",
                    policy_format_size(&l->scratch, needed));
    return false;
}

static void divide(struct loader *l, struct division *d)
{
    uint64_t total = total_memory(l, d);
    uint64_t http = d->adds_http ? http_share(total, 8) : 0;
    l->policy->memory = total;
    if (total == 0) {
        return; /* `memory` is malformed: the table has complained */
    }
    if (!check_fit(l, d, http, total)) {
        return;
    }
    uint64_t left = total - d->given - http;
    uint64_t share = d->sharers > 0 ? left / d->sharers : 0;
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->spaces[i].memory == 0) {
            d->spaces[i].memory = share;
        }
    }
    if (d->adds_http) {
        l->policy->http_space = (int)d->count;
        d->spaces[d->count++] =
            (struct policy_space){.name = "http", .db = -1, .memory = http, .evict = true};
    }
}

/* One space for all 16 databases. */
static void default_space(struct loader *l, struct division *d)
{
    bool follows = policy_node_find(l->root, "database") != NULL && l->policy->template_count > 0;
    d->spaces[0] = (struct policy_space){
        .name = "default", .evict = true, .consistency = follows ? POLICY_FOLLOW : POLICY_TTL};
    memset(l->policy->db_space, 0, sizeof(l->policy->db_space));
    d->count = 1;
}

void policy_read_spaces(struct loader *l)
{
    const struct policy_node *map = policy_node_find(l->root, "spaces");
    struct division d = {.spaces = arena_alloc(l->arena, (SPACES_MAX + 1) * sizeof(*d.spaces))};
    memset(l->policy->db_space, -1, sizeof(l->policy->db_space));
    l->policy->http_space = -1;
    if (map == NULL) {
        default_space(l, &d);
    } else if (policy_check_map(l, map, "spaces")) {
        if (map->count == 0 || map->count > SPACES_MAX) {
            policy_complain(&l->say, map->spot, "spaces", "%u spaces; write 1 to %d, or remove it",
                            map->count, SPACES_MAX);
            return;
        }
        for (const struct policy_item *it = map->items; it != NULL; it = it->next) {
            read_space(l, it, d.count++, d.spaces);
        }
    } else {
        return;
    }
    for (uint32_t i = 0; i < d.count; i++) {
        d.given += d.spaces[i].memory;
        d.sharers += d.spaces[i].memory == 0 ? 1 : 0;
    }
    d.adds_http = l->policy->http_space < 0 && policy_node_find(l->root, "routes") != NULL;
    divide(l, &d);
    l->policy->spaces = d.spaces;
    l->policy->space_count = d.count;
}
