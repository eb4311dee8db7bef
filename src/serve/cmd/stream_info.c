/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * XINFO: what is known of a stream. Groups there are none. The figures of Redis's radix tree, which clients
 * expect to be there, are those it would have: a key for each hundred entries, and a root.
 */
#include "serve/cmd/stream_id.h"
#include "serve/cmd/stream_reply.h"
#include "serve/edit.h"

enum { NODE_ENTRIES = 100, FULL_ENTRIES = 10 };

struct info_args {
    bool is_full;
    uint64_t count; /* of entries shown; 0: all */
};

static bool parse_info(struct resp_client *c, const struct slice *argv, uint32_t argc,
                       struct info_args *ret_args)
{
    int64_t count = FULL_ENTRIES;
    bool fits = argc == 3 || argc == 4 || argc == 6;
    fits = fits && (argc == 3 || slice_is_nocase(argv[3], "full"));
    fits = fits && (argc < 6 || slice_is_nocase(argv[4], "count"));
    if (!fits) {
        resp_error(&c->conn.out,
                   "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XINFO "
                   "HELP.",
                   argv[1].len < 128 ? (int)argv[1].len : 128, argv[1].ptr);
        return false;
    }
    if (argc == 6 && !arg_integer(c, argv[5], &count)) {
        return false;
    }
    ret_args->is_full = argc > 3;
    ret_args->count = (uint64_t)(count < 0 ? FULL_ENTRIES : count);
    return true;
}

static void reply_figure(struct resp_client *c, const char *name, uint64_t value)
{
    resp_bulk_str(&c->conn.out, name);
    reply_integer(c, (int64_t)value);
}

static void reply_id(struct resp_client *c, const char *name, struct coll_id id)
{
    resp_bulk_str(&c->conn.out, name);
    reply_stream_id(c, id);
}

static void reply_facts(struct resp_client *c, const struct store_hold *h,
                        const struct store_item *item)
{
    uint64_t count = coll_count(item);
    struct coll_stream info = coll_stream_info(item);
    struct coll_element first = {.id = {0, 0}};
    (void)coll_at(h, item, 0, &first);
    uint64_t nodes = (count + NODE_ENTRIES - 1) / NODE_ENTRIES;
    reply_figure(c, "length", count);
    reply_figure(c, "radix-tree-keys", nodes);
    reply_figure(c, "radix-tree-nodes", nodes + 1);
    reply_id(c, "last-generated-id", info.last);
    reply_id(c, "max-deleted-entry-id", info.max_deleted);
    reply_figure(c, "entries-added", info.added);
    reply_id(c, "recorded-first-entry-id", first.id);
}

static void reply_end(struct resp_client *c, const struct store_hold *h,
                      const struct store_item *item, const char *name, uint64_t rank)
{
    struct coll_element e;
    resp_bulk_str(&c->conn.out, name);
    if (coll_at(h, item, rank, &e)) {
        (void)reply_stream_entry(c, &e);
    } else {
        reply_null(c);
    }
}

static void reply_info(struct resp_client *c, const struct store_hold *h,
                       const struct store_item *item, const struct info_args *a)
{
    uint64_t count = coll_count(item);
    resp_map(&c->conn.out, c->proto, a->is_full ? 9 : 10);
    reply_facts(c, h, item);
    if (a->is_full) {
        resp_bulk_str(&c->conn.out, "entries");
        uint64_t shown = a->count > 0 && a->count < count ? a->count : count;
        reply_stream_entries(c, h, item, 0, shown, false);
        resp_bulk_str(&c->conn.out, "groups");
        resp_array(&c->conn.out, 0);
        return;
    }
    reply_figure(c, "groups", 0);
    reply_end(c, h, item, "first-entry", 0);
    reply_end(c, h, item, "last-entry", count - 1);
}

/* True with the stream held; false after replying. */
static bool find_stream(struct resp_client *c, struct slice key, struct store_hold *ret_hold,
                        struct store_item **ret_item)
{
    enum client_found found = client_read_kind(c, key, STORE_STREAM, ret_hold, ret_item);
    if (found == CLIENT_ABSENT) {
        resp_error(&c->conn.out, "ERR no such key");
    }
    return found == CLIENT_FOUND;
}

void cmd_xinfo_stream(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    struct info_args a;
    if (find_stream(c, argv[2], &h, &item)) {
        if (parse_info(c, argv, argc, &a)) {
            reply_info(c, &h, item, &a);
        }
        store_drop(&h);
    }
}

void cmd_xinfo_groups(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    if (find_stream(c, argv[2], &h, &item)) {
        resp_array(&c->conn.out, 0);
        store_drop(&h);
    }
}

void cmd_xinfo_consumers(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    if (find_stream(c, argv[2], &h, &item)) {
        resp_error(&c->conn.out, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                   (int)argv[3].len, argv[3].ptr, (int)argv[2].len, argv[2].ptr);
        store_drop(&h);
    }
}

void cmd_xinfo_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
    };
    reply_help(c, "XINFO", lines, array_len(lines));
}
