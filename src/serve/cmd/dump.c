/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DUMP and RESTORE: values as bytes that another server can read; and MIGRATE, which is refused.
 *
 * The payload is Redis' own (rdb.h), so values move between freshet and Redis with the tools there are. A
 * restored key follows the database as a SET one does; idle times and frequencies are read and not kept.
 *
 * Threads: the connection's worker. RESTORE owns the store: the old value goes and the new one comes at one
 * moment.
 */
#include "serve/cmd/dump.h"
#include "serve/cmd/rdb.h"
#include "serve/command_keys.h"
#include "serve/edit.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>

void cmd_dump(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    struct buf payload;
    if (!client_peek(c, argv[1], &h, &item)) {
        reply_null(c);
        return;
    }
    buf_init(&payload);
    /* What is written has about the size of what is stored. */
    bool fits = buf_try_reserve(&payload, 2 * store_item_bytes(item)) != NULL;
    if (fits) {
        rdb_write(&h, item, &payload);
    }
    store_drop(&h);
    if (fits) {
        reply_bulk(c, buf_readable(&payload));
    } else {
        reply_no_memory(c);
    }
    buf_fini(&payload);
}

/* --- RESTORE ------------------------------------------------------------------------------------ */

struct restore {
    bool replaces;
    bool is_absolute;
    int64_t ttl_ms;
    uint64_t expiry_ms; /* monotonic; 0: none */
    bool is_past;
};

static bool parse_range(struct resp_client *c, struct slice arg, int64_t most, const char *error)
{
    int64_t value;
    if (!arg_integer(c, arg, &value)) {
        return false;
    }
    if (value < 0 || value > most) {
        resp_error(&c->conn.out, "%s", error);
        return false;
    }
    return true;
}

/* False after replying. */
static bool parse_options(struct resp_client *c, const struct slice *argv, uint32_t argc,
                          struct restore *r)
{
    bool has_idle = false;
    bool has_freq = false;
    for (uint32_t i = 4; i < argc; i++) {
        bool more = i + 1 < argc;
        if (slice_is_nocase(argv[i], "replace")) {
            r->replaces = true;
        } else if (slice_is_nocase(argv[i], "absttl")) {
            r->is_absolute = true;
        } else if (slice_is_nocase(argv[i], "idletime") && more && !has_freq) {
            has_idle = true;
            if (!parse_range(c, argv[++i], INT64_MAX, "ERR Invalid IDLETIME value, must be >= 0")) {
                return false;
            }
        } else if (slice_is_nocase(argv[i], "freq") && more && !has_idle) {
            has_freq = true;
            if (!parse_range(c, argv[++i], 255,
                             "ERR Invalid FREQ value, must be >= 0 and <= 255")) {
                return false;
            }
        } else {
            reply_syntax(c);
            return false;
        }
    }
    return true;
}

static bool parse_ttl(struct resp_client *c, struct slice arg, struct restore *r)
{
    if (!arg_integer(c, arg, &r->ttl_ms)) {
        return false;
    }
    if (r->ttl_ms < 0) {
        resp_error(&c->conn.out, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    uint64_t ttl_ms = (uint64_t)r->ttl_ms;
    if (ttl_ms != 0 && r->is_absolute) {
        r->is_past = ttl_ms <= clock_wall_ms();
        r->expiry_ms = r->is_past ? 0 : clock_mono_from_wall(ttl_ms);
    } else if (ttl_ms != 0) {
        r->expiry_ms = client_now(c) + ttl_ms;
    }
    return true;
}

static enum err put_entry(struct store_hold *h, const struct rdb_value *v,
                          const struct rdb_entry *entry)
{
    uint32_t count = 2 * entry->fields;
    struct slice *fields = xcalloc(count, sizeof(*fields));
    for (uint32_t i = 0; i < count; i++) {
        fields[i] = rdb_element(v, entry->first + i).name;
    }
    enum err err = coll_append(h, entry->id, fields, count, &CLIENT_REMAKE_META);
    free(fields);
    return err;
}

static enum err put_stream(struct store_hold *h, const struct rdb_value *v)
{
    enum err err = ERR_OK;
    for (uint64_t i = 0; i < v->entry_count && err == ERR_OK; i++) {
        err = put_entry(h, v, &v->entries[i]);
    }
    return err == ERR_OK ? coll_stream_set_info(h, &v->stream, &CLIENT_REMAKE_META) : err;
}

static enum err put_elements(struct store_hold *h, const struct rdb_value *v)
{
    const struct store_write *meta = &CLIENT_REMAKE_META;
    enum err err = ERR_OK;
    if (v->kind == STORE_STRING) {
        return store_put(h, &(struct store_write){.value = rdb_element(v, 0).name});
    }
    if (v->kind == STORE_STREAM) {
        return put_stream(h, v);
    }
    for (uint64_t i = 0; i < v->count && err == ERR_OK; i++) {
        struct coll_element element = rdb_element(v, i);
        err = v->kind == STORE_LIST ? coll_push(h, COLL_TAIL, &element.name, 1, meta)
                                    : coll_put(h, v->kind, &element, meta, NULL);
    }
    return err;
}

static void remove_old(struct resp_client *c, struct slice key)
{
    struct store_hold h;
    client_hold(c, key, &h);
    (void)store_remove(&h);
    store_drop(&h);
}

/* With the store owned. */
static void put_value(struct resp_client *c, struct slice key, const struct restore *r,
                      const struct rdb_value *v)
{
    struct client_remake m __attribute__((uninitialized));
    client_remake_begin(c, key, &m);
    m.edit.meta.expiry_ms = r->expiry_ms;
    reply_stored(c, client_remake_end(c, &m, put_elements(&m.draft.hold, v)));
}

static bool key_is_there(struct resp_client *c, struct slice key)
{
    struct store_hold h;
    client_hold(c, key, &h);
    bool found = client_item_unused(c, &h) != NULL;
    store_drop(&h);
    return found;
}

static void restore(struct resp_client *c, const struct slice *argv, struct restore *r)
{
    struct rdb_value value = {.count = 0};
    struct slice payload = argv[3];
    if (!r->replaces && key_is_there(c, argv[1])) {
        resp_error(&c->conn.out, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!parse_ttl(c, argv[2], r)) {
        return;
    }
    if (!rdb_check(&payload)) {
        resp_error(&c->conn.out, "ERR DUMP payload version or checksum are wrong");
    } else if (!rdb_read(payload, &value)) {
        resp_error(&c->conn.out, "ERR Bad data format");
    } else if (r->is_past) {
        remove_old(c, argv[1]);
        reply_ok(c);
    } else {
        put_value(c, argv[1], r, &value);
    }
    rdb_value_fini(&value);
}

/* --- DEBUG RELOAD ------------------------------------------------------------------------------- */

static enum err put_back(struct resp_client *c, struct slice key, const struct rdb_value *v,
                         fresh_pos stamp, uint64_t expiry_ms, const struct buf *deps)
{
    struct client_remake m __attribute__((uninitialized));
    const fresh_dep *dep = (const fresh_dep *)(const void *)buf_readable(deps).ptr;
    uint32_t dep_count = (uint32_t)(buf_len(deps) / sizeof(*dep));
    client_remake_begin_from(c, key, stamp, &m);
    m.edit.meta = (struct store_write){
        .expiry_ms = expiry_ms, .stamp = stamp, .deps = dep, .dep_count = dep_count};
    return client_remake_end(c, &m, put_elements(&m.draft.hold, v));
}

enum err dump_pass_through(struct resp_client *c, struct slice key)
{
    struct store_hold h;
    struct store_item *item;
    struct rdb_value value = {.count = 0};
    if (!client_peek(c, key, &h, &item)) {
        return ERR_OK;
    }
    struct buf bytes;
    struct buf deps;
    uint32_t dep_count;
    buf_init(&bytes);
    buf_init(&deps);
    rdb_write(&h, item, &bytes);
    fresh_pos stamp = store_item_stamp(item);
    uint64_t expiry_ms = store_item_expiry(item);
    const fresh_dep *dep = store_item_deps(item, &dep_count);
    buf_append(&deps, dep, dep_count * sizeof(*dep));
    store_drop(&h);
    struct slice payload = buf_readable(&bytes);
    check(rdb_check(&payload) && rdb_read(payload, &value));
    enum err err = put_back(c, key, &value, stamp, expiry_ms, &deps);
    rdb_value_fini(&value);
    buf_fini(&deps);
    buf_fini(&bytes);
    return err;
}

void cmd_restore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct restore r = {.replaces = false};
    if (parse_options(c, argv, argc, &r)) {
        client_own(c);
        restore(c, argv, &r);
        client_disown(c);
    }
}

/* The options; false after replying. */
static bool check_migrate(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    for (uint32_t i = 6; i < argc; i++) {
        bool is_auth = slice_is_nocase(argv[i], "auth") && i + 1 < argc;
        bool is_auth2 = slice_is_nocase(argv[i], "auth2") && i + 2 < argc;
        if (slice_is_nocase(argv[i], "keys")) {
            if (argv[3].len > 0) {
                resp_error(&c->conn.out, "ERR When using MIGRATE KEYS option, the key argument "
                                         "must be set to the empty string");
                return false;
            }
            break;
        }
        if (!is_auth && !is_auth2 && !slice_is_nocase(argv[i], "copy") &&
            !slice_is_nocase(argv[i], "replace")) {
            reply_syntax(c);
            return false;
        }
        i += is_auth ? 1 : is_auth2 ? 2 : 0;
    }
    int64_t ignored;
    return arg_integer(c, argv[5], &ignored) && arg_integer(c, argv[4], &ignored);
}

/* Refused, unless there is nothing to move. */
void cmd_migrate(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct command_keys keys;
    uint32_t found = 0;
    if (!check_migrate(c, argv, argc)) {
        return;
    }
    (void)command_keys_find(command_find(SLICE("migrate")), argv, argc, &keys);
    for (uint32_t i = 0; keys.run_count > 0 && i < keys.runs[0].count; i++) {
        struct store_hold h;
        struct store_item *item;
        if (client_peek(c, argv[keys.runs[0].first + i], &h, &item)) {
            store_drop(&h);
            found++;
        }
    }
    if (found == 0) {
        resp_simple(&c->conn.out, "NOKEY");
        return;
    }
    resp_error(&c->conn.out,
               "ERR MIGRATE is not offered: freshet connects to no other server; DUMP "
               "here and RESTORE there, the payload is that of Redis");
}
