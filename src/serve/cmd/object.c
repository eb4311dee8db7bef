/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OBJECT and MEMORY: looking into how a value is kept.
 *
 * Encodings are those that Redis would choose, since clients and tests compare them; the store
 * itself keeps every string the same way, and notes which were edited in place ("raw").
 */
#include "serve/edit.h"

#include "base/number.h"
#include "store/figures.h"

#include <stdio.h>

enum { EMBSTR_MAX = 44 };

/* True with the key held; false after replying nil. */
static bool hold_or_null(struct resp_client *c, struct slice key, struct store_hold *ret_hold,
                         struct store_item **ret_item)
{
    if (!client_peek(c, key, ret_hold, ret_item)) {
        reply_null(c);
        return false;
    }
    return true;
}

const char *item_encoding(const struct store_item *item)
{
    int64_t ignored;
    if (store_item_kind(item) != STORE_STRING) {
        return coll_encoding(item);
    }
    struct slice value = store_item_value(item);
    if (store_item_was_edited(item)) {
        return "raw";
    }
    if (number_parse_i64(value, &ignored)) {
        return "int";
    }
    return value.len <= EMBSTR_MAX ? "embstr" : "raw";
}

void cmd_object_encoding(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    if (hold_or_null(c, argv[2], &h, &item)) {
        resp_bulk_str(&c->conn.out, item_encoding(item));
        store_drop(&h);
    }
}

void cmd_object_freq(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    if (hold_or_null(c, argv[2], &h, &item)) {
        reply_integer(c, store_item_hits(item));
        store_drop(&h);
    }
}

static void reply_constant(struct resp_client *c, struct slice key, int64_t value)
{
    struct store_hold h;
    struct store_item *item;
    if (hold_or_null(c, key, &h, &item)) {
        store_drop(&h);
        reply_integer(c, value);
    }
}

void cmd_object_idletime(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_constant(c, argv[2], 0);
}

void cmd_object_refcount(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_constant(c, argv[2], 1);
}

void cmd_object_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "ENCODING <key>", "    Return the encoding that Redis would use for the value of <key>.",
        "FREQ <key>",     "    Return how often <key> was used, roughly.",
        "IDLETIME <key>", "    Return 0: idle times are not kept.",
        "REFCOUNT <key>", "    Return 1: values are not shared.",
    };
    reply_help(c, "OBJECT", lines, array_len(lines));
}

/* --- MEMORY ----------------------------------------------------------------------------------- */

void cmd_memory_usage(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t samples;
    for (uint32_t i = 3; i < argc; i += 2) {
        if (!slice_is_nocase(argv[i], "samples") || i + 1 == argc) {
            reply_syntax(c);
            return;
        }
        if (!arg_integer(c, argv[i + 1], &samples)) {
            return;
        }
        if (samples < 0) {
            reply_syntax(c);
            return;
        }
    }
    struct store_hold h;
    struct store_item *item;
    if (hold_or_null(c, argv[2], &h, &item)) {
        reply_integer(c, (int64_t)store_item_bytes(item));
        store_drop(&h);
    }
}

void cmd_memory_purge(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_ok(c);
}

void cmd_memory_doctor(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_verbatim(&c->conn.out, c->proto, "txt",
                  SLICE("Every space has its own budget and keeps to it; see INFO memory."));
}

/* --- MEMORY STATS: what Redis names and freshet has, then each database and each space ----------------- */

struct memory_sums {
    uint64_t used;
    uint64_t items;
    uint64_t keys;
    uint64_t buffers;
};

static struct memory_sums sum_memory(const struct server *s)
{
    struct memory_sums m = {.used = 0};
    for (uint32_t i = 0; i < s->started_with->space_count; i++) {
        struct store_space_stats st;
        store_space_stats(s->store, i, &st);
        m.used += st.used_bytes;
        m.items += st.item_bytes;
        m.keys += st.keys;
    }
    for (uint32_t i = 0; i < s->worker_count; i++) {
        m.buffers += loop_buffer_bytes(s->workers[i].loop);
    }
    return m;
}

static void put_figure(struct resp_client *c, const char *name, uint64_t value)
{
    resp_bulk_str(&c->conn.out, name);
    reply_integer(c, (int64_t)value);
}

static void put_space(struct resp_client *c, const struct policy_space *space, uint32_t index)
{
    struct store_space_stats st;
    char name[96];
    store_space_stats(client_store(c), index, &st);
    (void)snprintf(name, sizeof(name), "space.%s", space->name);
    resp_bulk_str(&c->conn.out, name);
    resp_map(&c->conn.out, c->proto, 4);
    put_figure(c, "budget", st.budget_bytes);
    put_figure(c, "used", st.used_bytes);
    put_figure(c, "dataset", st.item_bytes);
    put_figure(c, "keys", st.keys);
}

void cmd_memory_stats(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    const struct server *s = c->worker->server;
    struct memory_sums m = sum_memory(s);
    struct buf *out = &c->conn.out;
    uint32_t spaces = s->started_with->space_count;
    if (!client_room(c, ((size_t)spaces + 16) * 4 * REPLY_FRAME)) {
        return;
    }
    resp_map(out, c->proto, 9 + spaces);
    put_figure(c, "total.allocated", m.used + m.buffers);
    put_figure(c, "startup.allocated", 0);
    put_figure(c, "replication.backlog", 0);
    put_figure(c, "clients.normal", m.buffers);
    put_figure(c, "overhead.total", (m.used > m.items ? m.used - m.items : 0) + m.buffers);
    put_figure(c, "keys.count", m.keys);
    put_figure(c, "keys.bytes-per-key", m.keys > 0 ? m.used / m.keys : 0);
    put_figure(c, "dataset.bytes", m.items);
    resp_bulk_str(out, "dataset.percentage");
    resp_double(out, c->proto, m.used > 0 ? 100.0 * (double)m.items / (double)m.used : 0.0);
    for (uint32_t i = 0; i < spaces; i++) {
        put_space(c, &s->started_with->spaces[i], i);
    }
}

void cmd_memory_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return memory problems reports.",
        "PURGE",
        "    Accepted; there is nothing to purge.",
        "STATS",
        "    Return information about the memory of all spaces, and of each.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value.",
    };
    reply_help(c, "MEMORY", lines, array_len(lines));
}
