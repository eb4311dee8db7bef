/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load_users: who may connect, and what they must prove: `auth` and `users`.
 *
 * `auth` is the password of the admin face and of the Redis face's default user. Beyond loopback both faces
 * need one. Named users can stand in for it on the Redis face: then the default user is off, because it
 * would be open to everybody.
 *
 * The words of the rules are only taken apart here, each with its place: what they mean depends on the
 * command table, which belongs to a higher layer (serve's users_check()).
 *
 * Threads: one owner.
 */
#include "policy/load.h"

#include "base/sha256.h"
#include "policy/text.h"

#include <stdlib.h>
#include <sys/stat.h>

/* --- passwords ------------------------------------------------------------------------------------- */

static const char *file_password(struct loader *l, const struct policy_node *node, const char *path,
                                 const char *name)
{
    const char *file = arena_printf(&l->scratch, "%s%s", name[0] == '/' ? "" : l->directory, name);
    struct slice text;
    const char *why;
    if (!policy_text_read(&l->scratch, file, 4096, &text, &why)) {
        policy_complain(&l->say, node->spot, path,
                        "`%s` %s; name a file that the user who runs freshet can read, with the "
                        "password on its first line",
                        file, why);
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
        policy_complain(&l->say, node->spot, path,
                        "the environment variable `%s` is %s; set it where freshet is started",
                        name, text == NULL ? "not set" : "empty");
        return NULL;
    }
    return arena_strdup(l->arena, text);
}

/* How many ways of saying it are given; of a right one `ret_password` is the text. */
static uint32_t read_password(struct loader *l, const struct policy_node *map, const char *section,
                              const char **ret_password)
{
    static const char *const ways[] = {"password", "password_file", "password_env",
                                       "password_sha256"};
    uint32_t given = 0;
    *ret_password = NULL;
    for (size_t i = 0; i < array_len(ways); i++) {
        const struct policy_node *node = policy_node_find(map, ways[i]);
        if (node == NULL || node->kind != POLICY_NODE_SCALAR || node->text[0] == '\0') {
            given += node != NULL ? 1 : 0; /* the table has complained */
            continue;
        }
        const char *path = policy_path_key(l, section, ways[i]);
        if (++given > 1) {
            policy_complain(&l->say, node->spot, path,
                            "a second way to say the password; keep one");
        } else if (i == 0) {
            *ret_password = arena_strdup(l->arena, node->text);
        } else if (i == 1) {
            *ret_password = file_password(l, node, path, node->text);
        } else if (i == 2) {
            *ret_password = env_password(l, node, path, node->text);
        }
    }
    return given;
}

void policy_read_auth(struct loader *l)
{
    const struct policy_node *map = policy_node_find(l->root, "auth");
    policy_read_section(l, POLICY_SCOPE_AUTH, map, "auth", &l->policy->auth);
    if (map != NULL && read_password(l, map, "auth", &l->policy->auth.password) == 0 &&
        map->kind == POLICY_NODE_MAPPING) {
        policy_complain(&l->say, map->spot, "auth",
                        "no password; write `password_file: <path>`, or remove `auth`");
    }
}

/* --- users ------------------------------------------------------------------------------------ */

static const char white[] = " \t\r\n";

/* A selector, "(+get ~jobs:*)", is one. */
static size_t word_len(const char *text)
{
    const char *end = *text == '(' ? strchr(text, ')') : NULL;
    return end != NULL ? (size_t)(end - text) + 1 : strcspn(text, white);
}

static uint32_t count_words(const char *text)
{
    uint32_t count = 0;
    for (text += strspn(text, white); *text != '\0'; text += strspn(text, white)) {
        text += word_len(text);
        count++;
    }
    return count;
}

/* The words of one text behind those that are there. */
static void take_words(struct loader *l, const struct policy_node *node, const char *path,
                       struct policy_user *u)
{
    const char *text = policy_read_text(l, node, path, "words such as +@read ~cache:*");
    if (text == NULL) {
        return;
    }
    uint32_t total = u->rule_count + count_words(text);
    struct policy_rule *all = arena_alloc(l->arena, (total + 1) * sizeof(*all));
    memcpy(all, u->rules != NULL ? u->rules : all, u->rule_count * sizeof(*all));
    for (text += strspn(text, white); *text != '\0'; text += strspn(text, white)) {
        size_t len = word_len(text);
        all[u->rule_count++] =
            (struct policy_rule){arena_dup_slice(l->arena, (struct slice){text, len}),
                                 node->spot.line, node->spot.column};
        text += len;
    }
    u->rules = all;
}

static void read_rules(struct loader *l, const struct policy_node *node, const char *path,
                       struct policy_user *u)
{
    if (node == NULL || node->kind != POLICY_NODE_SEQUENCE) {
        if (node != NULL) {
            take_words(l, node, path, u);
        }
        return;
    }
    uint32_t i = 0;
    for (const struct policy_item *it = node->items; it != NULL; it = it->next, i++) {
        take_words(l, it->value, policy_path_index(l, path, i), u);
    }
}

static const char *hashed(struct loader *l, const struct policy_node *map, const char *path,
                          const char *password)
{
    const struct policy_node *hash = policy_node_find(map, "password_sha256");
    char digits[SHA256_HEX];
    if (password != NULL) {
        sha256_hex(slice_of(password), digits);
        return arena_strdup(l->arena, digits);
    }
    if (hash == NULL || hash->kind != POLICY_NODE_SCALAR) {
        return NULL;
    }
    if (strlen(hash->text) != SHA256_HEX - 1 ||
        strspn(hash->text, "0123456789abcdef") != SHA256_HEX - 1) {
        policy_complain(
            &l->say, hash->spot, policy_path_key(l, path, "password_sha256"),
            "no SHA-256: it has 64 digits, 0-9 and a-f; `printf %%s secret | sha256sum` "
            "tells it");
        return NULL;
    }
    return arena_strdup(l->arena, hash->text);
}

static bool has_rule(const struct policy_user *u, const char *word)
{
    bool found = false;
    for (uint32_t i = 0; i < u->rule_count; i++) {
        found = found || strcasecmp(u->rules[i].word, word) == 0;
    }
    return found;
}

/* Somebody else cannot come in as this one without knowing something. */
static bool has_secret(const struct policy_user *u)
{
    bool found = u->password_sha256 != NULL;
    for (uint32_t i = 0; i < u->rule_count; i++) {
        found = found || *u->rules[i].word == '>' || *u->rules[i].word == '#';
    }
    return found && !has_rule(u, "nopass");
}

static void check_password(struct loader *l, const struct policy_node *map, const char *path,
                           const struct policy_user *u, uint32_t given)
{
    if (strcmp(u->name, "default") == 0) {
        if (given > 0) {
            policy_complain(&l->say, map->spot, path,
                            "the password of the default user stands in `auth`; move it there");
        }
    } else if (given == 0 && !has_secret(u) && !has_rule(u, "nopass") && !has_rule(u, "off")) {
        policy_warn(&l->say, map->spot, path,
                    "has no password, so nobody can be this user; write password_file: <path>, or "
                    "`nopass` among the rules");
    }
}

static bool is_taken(const struct policy *p, const char *name)
{
    bool taken = false;
    for (uint32_t i = 0; i < p->user_count; i++) {
        taken = taken || strcmp(p->users[i].name, name) == 0;
    }
    return taken;
}

/* Adds one behind the others of the policy. `name`: NULL in a list. */
static void read_user(struct loader *l, const struct policy_node *map, const char *path,
                      const struct policy_node *key, struct policy_user *list)
{
    struct policy_user u = {0};
    policy_read_section(l, POLICY_SCOPE_USER, map, path, &u);
    if (map->kind != POLICY_NODE_MAPPING) {
        return;
    }
    const struct policy_node *name = policy_node_find(map, "name");
    if (key == NULL && name == NULL) {
        policy_complain(&l->say, map->spot, path, "no `name`; write name: reader");
        return;
    }
    if (key != NULL && name != NULL) {
        policy_complain(&l->say, name->spot, policy_path_key(l, path, "name"),
                        "the name of this user is its key, `%s`; remove it", key->text);
    }
    name = key != NULL ? key : name;
    u.name = policy_read_text(l, name, path, "a user's name");
    if (u.name == NULL) {
        return;
    }
    if (strpbrk(u.name, white) != NULL || is_taken(l->policy, u.name)) {
        policy_complain(&l->say, name->spot, path,
                        strpbrk(u.name, white) != NULL
                            ? "a user's name has no white space; choose another"
                            : "a second user of this name; remove one");
        return;
    }
    u.name = arena_strdup(l->arena, u.name);
    const char *password;
    uint32_t given = read_password(l, map, path, &password);
    u.password_sha256 = hashed(l, map, path, password);
    read_rules(l, policy_node_find(map, "rules"), policy_path_key(l, path, "rules"), &u);
    check_password(l, map, path, &u, given);
    list[l->policy->user_count++] = u;
}

/* --- who can come from other machines --------------------------------------------------------- */

static const struct policy_user *find_user(const struct policy *p, const char *name)
{
    const struct policy_user *found = NULL;
    for (uint32_t i = 0; i < p->user_count; i++) {
        found = strcmp(p->users[i].name, name) == 0 ? &p->users[i] : found;
    }
    return found;
}

static bool anyone_has_secret(const struct policy *p)
{
    bool found = false;
    for (uint32_t i = 0; i < p->user_count; i++) {
        found = found || (has_secret(&p->users[i]) && !has_rule(&p->users[i], "off"));
    }
    return found;
}

static void complain_remote(struct loader *l, const struct remote_face *face, const char *also)
{
    policy_complain(&l->say, face->spot, face->path,
                    "reachable from other machines without a password; add `auth: { "
                    "password_file: <path> }`%s, or listen on 127.0.0.1",
                    also);
}

static void check_remote(struct loader *l)
{
    struct policy *p = l->policy;
    const struct policy_user *usual = find_user(p, "default");
    if (policy_node_find(l->root, "auth") != NULL) {
        return;
    }
    if (l->remote_admin.path != NULL) {
        complain_remote(l, &l->remote_admin, "");
    }
    if (l->remote_resp.path == NULL) {
        return;
    }
    bool is_open = usual != NULL && has_rule(usual, "nopass");
    if (is_open || !anyone_has_secret(p)) {
        complain_remote(l, &l->remote_resp,
                        p->user_count > 0 ? ", or a password to one of `users`" : "");
    } else if (usual == NULL || !has_secret(usual)) {
        p->default_is_off = true;
    }
}

void policy_read_users(struct loader *l)
{
    const struct policy_node *node = policy_node_find(l->root, "users");
    bool is_list = node != NULL && node->kind == POLICY_NODE_SEQUENCE;
    if (is_list || (node != NULL && policy_check_map(l, node, "users"))) {
        if (node->count > POLICY_USERS_MAX) {
            policy_complain(&l->say, node->spot, "users", "%u users; at most %d are possible",
                            node->count, POLICY_USERS_MAX);
            return;
        }
        struct policy_user *list = arena_alloc(l->arena, (node->count + 1) * sizeof(*list));
        l->policy->users = list;
        uint32_t i = 0;
        for (const struct policy_item *it = node->items; it != NULL; it = it->next, i++) {
            read_user(l, it->value,
                      is_list ? policy_path_index(l, "users", i)
                              : policy_path_key(l, "users", it->key->text),
                      it->key, list);
        }
    }
    check_remote(l);
}
