/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams, written: XADD, XTRIM, XDEL, XSETID, and XLEN. Reading is in cmd/stream_read.c, XINFO in
 * cmd/stream_info.c.
 *
 * Not done: consumer groups; their commands say so.
 */
#include "serve/cmd/stream_id.h"
#include "serve/cmd/stream_trim.h"
#include "serve/edit.h"
#include "serve/events.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>

static struct coll_stream info_of(const struct store_item *item)
{
    return item != NULL ? coll_stream_info(item) : (struct coll_stream){.added = 0};
}

/* --- XADD ------------------------------------------------------------------------------------- */

/* The id of the next entry; false after replying that there is none. */
static bool choose_id(struct resp_client *c, const struct stream_options *o, struct coll_id last,
                      struct coll_id *ret_id)
{
    struct coll_id id = o->id;
    bool fits = true;
    if (last.ms == UINT64_MAX && last.seq == UINT64_MAX) {
        resp_error(&c->conn.out, "ERR The stream has exhausted the last possible ID, unable to "
                                 "add more items");
        return false;
    }
    if (!o->has_id) {
        uint64_t now = clock_wall_ms();
        id = now > last.ms ? (struct coll_id){now, 0} : last;
        fits = now > last.ms || stream_id_next(&id);
    } else if (!o->has_seq && id.ms == last.ms) {
        fits = last.seq < UINT64_MAX;
        id.seq = last.seq + 1;
    }
    if (!fits || stream_id_compare(id, last) <= 0) {
        resp_error(&c->conn.out, "ERR The ID specified in XADD is equal or smaller than the target "
                                 "stream top item");
        return false;
    }
    *ret_id = id;
    return true;
}

/* How much came of an XADD; events tell of it when the key is there. */
struct added {
    bool any;
    bool trimmed;
};

static void add_entry(struct resp_client *c, struct client_edit *e, const struct stream_options *o,
                      const struct slice *fields, uint32_t count, struct added *ret_added)
{
    struct coll_id id;
    if (e->item == NULL && o->must_exist) {
        reply_null(c);
        return;
    }
    if (!choose_id(c, o, info_of(e->item).last, &id)) {
        return;
    }
    enum err err = coll_append(&e->hold, id, fields, count, &e->meta);
    if (err == ERR_OK) {
        ret_added->any = true;
        ret_added->trimmed = stream_trim(&e->hold, o) > 0;
        reply_stream_id(c, id);
    } else if (err == ERR_TOO_BIG) {
        resp_error(&c->conn.out, "ERR Elements are too large to be stored");
    } else {
        reply_err(c, err);
    }
}

void cmd_xadd(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct stream_options o;
    uint32_t at;
    if (!stream_options_parse(c, argv, argc, true, &o, &at)) {
        return;
    }
    uint32_t fields = at + 1 < argc ? argc - at - 1 : 0;
    if (fields == 0 || fields % 2 != 0) {
        reply_wrong_arity(c, "xadd");
        return;
    }
    if (o.has_id && o.has_seq && o.id.ms == 0 && o.id.seq == 0) {
        resp_error(&c->conn.out, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    struct client_edit e __attribute__((uninitialized));
    if (client_edit_begin(c, argv[1], STORE_STREAM, &e)) {
        struct added added = {false, false};
        add_entry(c, &e, &o, argv + at + 1, fields, &added);
        client_edit_end(c, &e);
        if (added.any) {
            client_event(c, EVENT_STREAM, "xadd", argv[1]);
        }
        if (added.trimmed) {
            client_event(c, EVENT_STREAM, "xtrim", argv[1]);
        }
    }
}

/* --- taking away ------------------------------------------------------------------------------ */

void cmd_xtrim(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct stream_options o;
    uint32_t at;
    if (!stream_options_parse(c, argv, argc, false, &o, &at)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_find_kind(c, argv[1], STORE_STREAM, &h, &item)) {
    case CLIENT_FOUND: {
        uint64_t removed = stream_trim(&h, &o);
        store_drop(&h);
        if (removed > 0) {
            client_event(c, EVENT_STREAM, "xtrim", argv[1]);
        }
        reply_integer(c, (int64_t)removed);
        break;
    }
    case CLIENT_ABSENT:
        reply_integer(c, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

static bool delete_entry(struct store_hold *h, struct coll_id id)
{
    const struct store_item *item = store_peek(h, NULL);
    uint64_t rank = coll_rank_of_id(h, item, id, false);
    struct coll_element e;
    if (!coll_at(h, item, rank, &e) || stream_id_compare(e.id, id) != 0) {
        return false;
    }
    coll_cut(h, rank, 1);
    return true;
}

/* The greatest id ever deleted is remembered. Returns how many were there. */
static uint64_t delete_entries(struct store_hold *h, const struct coll_id *ids, uint32_t count)
{
    uint64_t deleted = 0;
    struct coll_id greatest = {0, 0};
    for (uint32_t i = 0; i < count; i++) {
        if (delete_entry(h, ids[i])) {
            deleted++;
            greatest = stream_id_compare(ids[i], greatest) > 0 ? ids[i] : greatest;
        }
    }
    struct coll_stream info = coll_stream_info(store_peek(h, NULL));
    if (stream_id_compare(greatest, info.max_deleted) > 0) {
        info.max_deleted = greatest;
        (void)coll_stream_set_info(h, &info, NULL); /* needs no memory */
    }
    return deleted;
}

static bool parse_ids(struct resp_client *c, const struct slice *args, uint32_t count,
                      struct coll_id *ret_ids)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!arg_stream_id(c, args[i], 0, &ret_ids[i])) {
            return false;
        }
    }
    return true;
}

void cmd_xdel(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    switch (client_find_kind(c, argv[1], STORE_STREAM, &h, &item)) {
    case CLIENT_FOUND: {
        struct coll_id *ids = xmalloc((argc - 2) * sizeof(*ids));
        if (parse_ids(c, argv + 2, argc - 2, ids)) {
            uint64_t deleted = delete_entries(&h, ids, argc - 2);
            if (deleted > 0) {
                client_event(c, EVENT_STREAM, "xdel", argv[1]);
            }
            reply_integer(c, (int64_t)deleted);
        }
        store_drop(&h);
        free(ids);
        break;
    }
    case CLIENT_ABSENT:
        reply_integer(c, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

/* --- facts ------------------------------------------------------------------------------------ */

void cmd_xlen(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_count(c, argv[1], STORE_STREAM);
}

struct setid_args {
    struct coll_id last;
    bool has_added;
    uint64_t added;
    struct coll_id max_deleted; /* 0-0: not given */
};

static bool parse_added(struct resp_client *c, struct slice arg, struct setid_args *a)
{
    int64_t added;
    if (!arg_integer(c, arg, &added)) {
        return false;
    }
    if (added < 0) {
        resp_error(&c->conn.out, "ERR entries_added must be positive");
        return false;
    }
    a->has_added = true;
    a->added = (uint64_t)added;
    return true;
}

static bool parse_setid(struct resp_client *c, const struct slice *argv, uint32_t argc,
                        struct setid_args *ret_args)
{
    struct setid_args a = {.has_added = false};
    if (!arg_stream_id(c, argv[2], 0, &a.last)) {
        return false;
    }
    for (uint32_t i = 3; i < argc; i += 2) {
        bool more = i + 1 < argc;
        if (more && slice_is_nocase(argv[i], "entriesadded")) {
            if (!parse_added(c, argv[i + 1], &a)) {
                return false;
            }
        } else if (more && slice_is_nocase(argv[i], "maxdeletedid")) {
            if (!arg_stream_id(c, argv[i + 1], 0, &a.max_deleted)) {
                return false;
            }
            if (stream_id_compare(a.last, a.max_deleted) < 0) {
                resp_error(&c->conn.out, "ERR The ID specified in XSETID is smaller than the "
                                         "provided max_deleted_entry_id");
                return false;
            }
        } else {
            reply_syntax(c);
            return false;
        }
    }
    *ret_args = a;
    return true;
}

static const char *why_not_set(const struct store_hold *h, const struct store_item *item,
                               const struct setid_args *a)
{
    uint64_t count = coll_count(item);
    struct coll_element newest;
    if (stream_id_compare(a->last, coll_stream_info(item).max_deleted) < 0) {
        return "The ID specified in XSETID is smaller than current max_deleted_entry_id";
    }
    if (count > 0 && coll_at(h, item, count - 1, &newest) &&
        stream_id_compare(a->last, newest.id) < 0) {
        return "The ID specified in XSETID is smaller than the target stream top item";
    }
    if (count > 0 && a->has_added && a->added < count) {
        return "The entries_added specified in XSETID is smaller than the target stream length";
    }
    return NULL;
}

static void set_facts(struct resp_client *c, struct store_hold *h, const struct store_item *item,
                      const struct setid_args *a)
{
    const char *why = why_not_set(h, item, a);
    if (why != NULL) {
        resp_error(&c->conn.out, "ERR %s", why);
        return;
    }
    struct coll_stream info = coll_stream_info(item);
    info.last = a->last;
    info.added = a->has_added ? a->added : info.added;
    if (a->max_deleted.ms != 0 || a->max_deleted.seq != 0) {
        info.max_deleted = a->max_deleted;
    }
    enum err err = coll_stream_set_info(h, &info, NULL);
    if (err == ERR_OK) {
        client_event(c, EVENT_STREAM, "xsetid", h->key);
    }
    reply_stored(c, err);
}

void cmd_xsetid(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct setid_args a;
    if (!parse_setid(c, argv, argc, &a)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_find_kind(c, argv[1], STORE_STREAM, &h, &item)) {
    case CLIENT_FOUND:
        set_facts(c, &h, item, &a);
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        resp_error(&c->conn.out, "ERR no such key");
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

/* XGROUP, XREADGROUP, XACK, XPENDING, XCLAIM, XAUTOCLAIM */
void cmd_no_groups(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_error(&c->conn.out, "ERR consumer groups are not supported by freshet: read streams with "
                             "XREAD, or share work out through a list");
}

void cmd_xgroup_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "CREATE, CREATECONSUMER, DELCONSUMER, DESTROY, SETID",
        "    Refused: consumer groups are not supported by freshet.",
    };
    reply_help(c, "XGROUP", lines, array_len(lines));
}
