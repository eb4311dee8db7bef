/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the commands of the Redis face share: the connection's database, reading and writing one key
 * under the freshness rules, replies and arguments.
 *
 * Invariants: R1. Nothing creates a key but client_put(), client_put_exact() and client_edit_*()
 * (edit.h), which ask the lease. R2. A miss is reported after the hold is dropped and before the reply can leave.
 */
#include "serve/events.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/trace.h"
#include "serve/resp_watch.h"
#include "serve/tags.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

/* --- connection state ------------------------------------------------------------------------- */

bool client_db_exists(const struct resp_client *c, int64_t db)
{
    return db >= 0 && db < POLICY_DBS && client_space(c, (uint32_t)db) != NULL;
}

const struct policy_space *client_space(const struct resp_client *c, uint32_t db)
{
    return policy_space_of(c->worker->plan->policy, db);
}

bool client_select(struct resp_client *c, int64_t db)
{
    const struct policy_space *space =
        db >= 0 && db < POLICY_DBS ? client_space(c, (uint32_t)db) : NULL;
    if (space == NULL) {
        return false;
    }
    c->db = (uint32_t)db;
    c->space = space;
    c->durable = c->space->durable;
    c->followed = lease_db_followed(c->worker, c->db);
    c->strict =
        c->followed && c->space->consistency == POLICY_STRICT && c->worker->server->follow != NULL;
    return true;
}

bool client_select_first(struct resp_client *c)
{
    for (int64_t db = 0; db < POLICY_DBS; db++) {
        if (client_select(c, db)) {
            return true;
        }
    }
    return false;
}

void client_discard(struct resp_client *c)
{
    c->in_multi = false;
    c->multi_failed = false;
    c->queued = 0;
    c->queued_flags = 0;
    buf_fini(&c->queue);
    resp_watch_clear(c);
}

void client_replace_text(char **text, struct slice value)
{
    free(*text);
    *text = value.len > 0 ? xstrndup(value.ptr, value.len) : NULL;
}

void client_own(struct resp_client *c)
{
    worker_own(c->worker);
}

void client_disown(struct resp_client *c)
{
    worker_disown(c->worker);
}

/* --- reading ---------------------------------------------------------------------------------- */

void client_missed(struct resp_client *c, struct slice key)
{
    if (c->followed) {
        lease_miss(c->worker, &c->leases, c->db, key);
    }
    tags_miss(c->worker, &c->leases, c->db, key);
}

static void report_refusal(struct resp_client *c, struct slice key, enum store_absence why)
{
    enum refusal_kind kind = refusal_of_absence(why);
    if (kind != REFUSAL_NONE) {
        refusals_note(c->worker->server->refusals, c->db, key,
                      &(struct refusal){.kind = kind, .at_ms = client_now(c)});
    }
}

static bool follows_database(const struct fresh *f, const struct store_item *item)
{
    uint32_t count;
    const fresh_dep *deps = store_item_deps(item, &count);
    bool follows = false;
    for (uint32_t i = 0; i < count; i++) {
        follows |= !fresh_dep_is_tag(f, deps[i]);
    }
    return follows;
}

/* Without the proof that a strict space wants, what follows the database is absent; the rest is not. */
static struct store_item *proven(const struct resp_client *c, struct store_item *item)
{
    bool hidden = __builtin_expect(c->proof_failed, 0) && item != NULL &&
                  follows_database(c->worker->server->fresh, item);
    return hidden ? NULL : item;
}

static struct store_item *find_item(struct resp_client *c, struct store_hold *h,
                                    enum store_absence *ret_why)
{
    return proven(c, c->no_touch ? store_peek(h, ret_why) : store_lookup(h, ret_why));
}

struct store_item *client_item(struct resp_client *c, struct store_hold *h)
{
    return find_item(c, h, NULL);
}

struct store_item *client_item_unused(struct resp_client *c, struct store_hold *h)
{
    return proven(c, store_peek(h, NULL));
}

bool client_read(struct resp_client *c, struct slice key, struct store_hold *ret_hold,
                 struct store_item **ret_item)
{
    client_hold(c, key, ret_hold);
    enum store_absence why = STORE_NO_KEY;
    struct store_item *item = find_item(c, ret_hold, &why);
    if (__builtin_expect(item != NULL, 1)) {
        serve_count(c->worker, resp_hits);
        serve_count_db(c->worker, c->db, hits);
        *ret_item = item;
        return true;
    }
    store_drop(ret_hold);
    serve_count(c->worker, resp_misses);
    serve_count_db(c->worker, c->db, misses);
    trace(TRACE_KEY_MISS, c->conn.id, why, key);
    client_event(c, EVENT_MISS, "keymiss", key);
    report_refusal(c, key, why);
    client_missed(c, key);
    return false;
}

bool client_peek(struct resp_client *c, struct slice key, struct store_hold *ret_hold,
                 struct store_item **ret_item)
{
    client_hold(c, key, ret_hold);
    enum store_absence why = STORE_NO_KEY;
    struct store_item *item = proven(c, store_peek(ret_hold, &why));
    if (item != NULL) {
        *ret_item = item;
        return true;
    }
    store_drop(ret_hold);
    client_event(c, EVENT_MISS, "keymiss", key);
    report_refusal(c, key, why);
    client_missed(c, key);
    return false;
}

/* --- writing ---------------------------------------------------------------------------------- */

const struct lease *client_lease(struct resp_client *c, struct slice key, struct lease *room)
{
    if (__builtin_expect(!c->followed, 1)) {
        return NULL;
    }
    lease_for_write(c->worker, &c->leases, c->db, key, room);
    return room;
}

enum err client_put_exact(struct resp_client *c, struct store_hold *h, const struct lease *lease,
                          struct store_write *w)
{
    if (lease != NULL) {
        if (!lease_holds(c->worker, lease, h)) {
            (void)store_remove(h);
            return ERR_OK;
        }
        lease_apply(lease, w);
    }
    if (client_wants_event(c, EVENT_NEW) && store_peek(h, NULL) == NULL) {
        client_event(c, EVENT_NEW, "new", h->key);
    }
    return store_put(h, w);
}

enum err client_put(struct resp_client *c, struct store_hold *h, const struct lease *lease,
                    struct store_write *w)
{
    if (w->expiry_ms == 0 && c->space->ttl_ms > 0 && !c->replaying) {
        w->expiry_ms = h->now_ms + c->space->ttl_ms;
    }
    return client_put_exact(c, h, lease, w);
}

struct store_write client_write_like(const struct store_item *item, struct slice value)
{
    struct store_write w = {
        .value = value, .expiry_ms = store_item_expiry(item), .stamp = store_item_stamp(item)};
    w.deps = store_item_deps(item, &w.dep_count);
    return w;
}

/* --- replies and arguments -------------------------------------------------------------------- */

bool client_make_room(struct resp_client *c, size_t len)
{
    bool fits = buf_len(&c->conn.out) + len <= c->conn.face->limits->output_max + REPLY_FRAME &&
                conn_reserve(&c->conn, len);
    c->reply_failed |= !fits;
    return fits;
}

void reply_err(struct resp_client *c, enum err e)
{
    /* A policy without `spaces` has one, which need not be named. */
    if (e == ERR_NOSPACE && strcmp(c->space->name, "default") != 0) {
        resp_error(&c->conn.out, "%s %s Space '%s' is at its budget.", err_prefix(e), err_text(e),
                   c->space->name);
        return;
    }
    resp_error(&c->conn.out, "%s %s", err_prefix(e), err_text(e));
}

void reply_syntax(struct resp_client *c)
{
    reply_err(c, ERR_SYNTAX);
}

void reply_wrong_arity(struct resp_client *c, const char *full_name)
{
    resp_error(&c->conn.out, "ERR wrong number of arguments for '%s' command", full_name);
}

void reply_stored(struct resp_client *c, enum err e)
{
    if (__builtin_expect(e == ERR_OK, 1)) {
        reply_ok(c);
    } else {
        reply_err(c, e);
    }
}

void reply_help(struct resp_client *c, const char *container, const char *const *lines,
                uint32_t count)
{
    struct buf *out = &c->conn.out;
    char head[96];
    (void)snprintf(head, sizeof(head),
                   "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container);
    resp_array(out, count + 3);
    resp_simple(out, head);
    for (uint32_t i = 0; i < count; i++) {
        resp_simple(out, lines[i]);
    }
    resp_simple(out, "HELP");
    resp_simple(out, "    Prints this help.");
}

bool arg_integer(struct resp_client *c, struct slice arg, int64_t *ret_value)
{
    if (!number_parse_i64(arg, ret_value)) {
        reply_err(c, ERR_NOT_INTEGER);
        return false;
    }
    return true;
}

bool arg_integer_between(struct resp_client *c, struct slice arg, int64_t min, int64_t max,
                         int64_t *ret_value)
{
    if (!arg_integer(c, arg, ret_value)) {
        return false;
    }
    if (*ret_value < min || *ret_value > max) {
        resp_error(&c->conn.out,
                   "ERR value is out of range, value must between %" PRId64 " and %" PRId64, min,
                   max);
        return false;
    }
    return true;
}

bool arg_count(struct resp_client *c, struct slice arg, int64_t *ret_value)
{
    if (!number_parse_i64(arg, ret_value) || *ret_value < 0) {
        resp_error(&c->conn.out, "ERR value is out of range, must be positive");
        return false;
    }
    return true;
}

bool arg_database(struct resp_client *c, struct slice arg, int64_t *ret_db)
{
    return arg_integer_between(c, arg, INT32_MIN, INT32_MAX, ret_db);
}
