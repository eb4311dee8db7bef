/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing with tokens and tags, and dropping tags.
 *
 *   FRESHET.SET key value [options of SET] [TOKEN token] [TAGS n tag...]   -> as SET
 *   FRESHET.TAG key [TOKEN token] tag...     -> 1: the key has them; 0: there is no such key
 *   FRESHET.DROP tag...                      -> how many tags were named
 *
 * A tag is one mark, the same in every database; dropping it is one store, whatever the number of keys. Keys
 * with it are absent from then on and leave when somebody meets them. TAG serves keys of every type.
 *
 * Which stamp: the token's. Without one, for a key that follows tables, the lease's (lease.c); else that of
 * this connection's last miss of the key, or the position now (tags.c). A key that has a stamp keeps it when
 * it is tagged: what was dropped since then outdates it at once, and the reply is 0.
 *
 * Keys of durable spaces have no tags: stamps mean nothing after a restart.
 */
#include "serve/cmd/fill_token.h"
#include "serve/cmd/set_options.h"
#include "serve/herd.h"
#include "serve/tags.h"

#include "base/number.h"

struct tagged_write {
    struct set_options set;
    fresh_pos token; /* 0: none */
    struct fresh_deps tags;
};

static void reply_too_many(struct resp_client *c)
{
    resp_error(&c->conn.out,
               "ERR too many tags: with what else it depends on, a key has at most %d",
               FRESH_DEPS_MAX);
}

static bool refuse_durable(struct resp_client *c)
{
    if (c->durable) {
        resp_error(&c->conn.out,
                   "ERR keys of space `%s` are durable and cannot have tags; use a database whose "
                   "space is `keep: volatile`",
                   c->space->name);
    }
    return c->durable;
}

/* "TAGS n tag..." with argv[*i] on n; moves onto the last tag. False after replying. */
static bool parse_tags(struct resp_client *c, const struct slice *argv, uint32_t argc, uint32_t *i,
                       struct fresh_deps *ret_tags)
{
    int64_t count;
    if (*i >= argc) {
        reply_syntax(c);
        return false;
    }
    if (!number_parse_i64(argv[*i], &count) || count < 0 || count >= argc - *i) {
        resp_error(&c->conn.out, "ERR TAGS wants the number of tags, then so many tags");
        return false;
    }
    for (int64_t left = count; left > 0; left--) {
        (*i)++;
        fresh_deps_add(ret_tags, tags_dep(c->worker->server, argv[*i]));
    }
    return true;
}

static bool parse_set(struct resp_client *c, const struct slice *argv, uint32_t argc,
                      struct tagged_write *w)
{
    for (uint32_t i = 3; i < argc; i++) {
        bool ok = true;
        if (slice_is_nocase(argv[i], "token") && i + 1 < argc) {
            ok = arg_token(c, argv[++i], &w->token);
        } else if (slice_is_nocase(argv[i], "tags")) {
            i++;
            ok = parse_tags(c, argv, argc, &i, &w->tags);
        } else if (!set_option_take(&w->set, argv, argc, &i)) {
            reply_syntax(c);
            ok = false;
        }
        if (!ok) {
            return false;
        }
    }
    return set_options_end(c, "freshet.set", &w->set);
}

/* A stamp that only tags are judged by. */
static fresh_pos stamp_for_tags(struct resp_client *c, struct slice key, fresh_pos token)
{
    return token != 0 ? token : tags_stamp(c->worker, &c->leases, c->db, key);
}

void cmd_freshet_set(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct tagged_write w = {.token = 0};
    struct slice key = argv[1];
    if (!parse_set(c, argv, argc, &w) || (w.tags.count > 0 && refuse_durable(c))) {
        return;
    }
    LEASE_ROOM(lease);
    lease_with_stamp(c->worker, c->db, key, w.token, &lease);
    if (w.tags.count > 0 && !lease_add_tags(&lease, &w.tags, stamp_for_tags(c, key, w.token))) {
        reply_too_many(c);
        return;
    }
    if (w.tags.count > 0 && w.token == TOKEN_VOID) {
        lease.kind = LEASE_REFUSED;
        lease.why = "its token was given in an earlier epoch, or before a restart";
    }
    set_with_lease(c, key, argv[2], &lease, &w.set);
    herd_done(c->worker->server->herd, c->db, key);
}

/* --- TAG ---------------------------------------------------------------------------------------- */

/* Inside the hold. `deps` comes with the tags. */
static enum err add_tags(struct store_hold *h, const struct store_item *item, fresh_pos stamp,
                         struct fresh_deps *deps)
{
    uint32_t count;
    const fresh_dep *had = store_item_deps(item, &count);
    for (uint32_t i = 0; i < count; i++) {
        fresh_deps_add(deps, had[i]);
    }
    if (deps->overflow) {
        return ERR_OK;
    }
    if (count > 0 && store_item_stamp(item) < stamp) {
        stamp = store_item_stamp(item);
    }
    return store_depend(h, stamp, deps->dep, deps->count);
}

void cmd_freshet_tag(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct fresh_deps deps = {.count = 0};
    struct slice key = argv[1];
    fresh_pos token = 0;
    uint32_t first = argc > 4 && slice_is_nocase(argv[2], "token") ? 4 : 2;
    if ((first == 4 && !arg_token(c, argv[3], &token)) || refuse_durable(c)) {
        return;
    }
    for (uint32_t i = first; i < argc; i++) {
        fresh_deps_add(&deps, tags_dep(c->worker->server, argv[i]));
    }
    fresh_pos stamp = stamp_for_tags(c, key, token);
    struct store_hold h;
    client_hold(c, key, &h);
    const struct store_item *item = client_item_unused(c, &h);
    if (item != NULL && token == TOKEN_VOID) {
        (void)store_remove(&h);
        item = NULL;
    }
    enum err err = item != NULL ? add_tags(&h, item, stamp, &deps) : ERR_OK;
    bool has = item != NULL && client_item_unused(c, &h) != NULL;
    store_drop(&h);
    herd_done(c->worker->server->herd, c->db, key);
    if (deps.overflow) {
        reply_too_many(c);
    } else if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        reply_integer(c, has ? 1 : 0);
    }
}

/* --- DROP --------------------------------------------------------------------------------------- */

void cmd_freshet_drop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    tags_drop(c->worker->server, argv + 1, argc - 1, client_now(c));
    serve_count_by(c->worker, tags_dropped, argc - 1);
    reply_integer(c, (int64_t)argc - 1);
}
