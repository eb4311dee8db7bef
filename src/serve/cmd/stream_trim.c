/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MAXLEN and MINID, exactly or roughly (~).
 *
 * Roughly means: as Redis, by whole nodes of its tree (stream_node.h). Without a LIMIT at most a
 * hundred nodes leave at once.
 */
#include "serve/cmd/stream_trim.h"

#include "serve/cmd/stream_id.h"
#include "serve/cmd/stream_node.h"

enum { NODE_ENTRIES = 100, ROUGH_NODES = 100, ROUGH_LIMIT_MAX = 1000000 };

/* --- options ---------------------------------------------------------------------------------- */

/* One value behind a word, which may be preceded by ~ or =. False after replying. */
static bool parse_threshold(struct resp_client *c, const struct slice *argv, uint32_t argc,
                            uint32_t *at, struct stream_options *o)
{
    bool by_length = slice_is_nocase(argv[*at], "maxlen");
    if (o->by != STREAM_TRIM_NOT) {
        resp_error(&c->conn.out, "ERR syntax error, MAXLEN and MINID options at the same time are "
                                 "not compatible");
        return false;
    }
    o->roughly = false;
    ++*at;
    if (*at + 1 < argc && (slice_is(argv[*at], "~") || slice_is(argv[*at], "="))) {
        o->roughly = argv[*at].ptr[0] == '~';
        ++*at;
    }
    o->by = by_length ? STREAM_TRIM_LENGTH : STREAM_TRIM_ID;
    if (!by_length) {
        return arg_stream_id(c, argv[*at], 0, &o->min_id);
    }
    int64_t length;
    if (!arg_integer(c, argv[*at], &length)) {
        return false;
    }
    if (length < 0) {
        resp_error(&c->conn.out, "ERR The MAXLEN argument must be >= 0.");
        return false;
    }
    o->max_length = (uint64_t)length;
    return true;
}

static bool parse_limit(struct resp_client *c, struct slice arg, uint64_t *ret_limit)
{
    int64_t limit;
    if (!arg_integer(c, arg, &limit)) {
        return false;
    }
    if (limit < 0) {
        resp_error(&c->conn.out, "ERR The LIMIT argument must be >= 0.");
        return false;
    }
    *ret_limit = (uint64_t)limit;
    return true;
}

/* Do the options fit together? False after replying. */
static bool agree(struct resp_client *c, struct stream_options *o, bool is_add, bool has_limit)
{
    const char *why = NULL;
    if (o->limit > 0 && o->by == STREAM_TRIM_NOT) {
        why = "LIMIT cannot be used without specifying a trimming strategy";
    } else if (!is_add && o->by == STREAM_TRIM_NOT) {
        why = "XTRIM must be called with a trimming strategy";
    } else if (has_limit && !o->roughly) {
        why = "LIMIT cannot be used without the special ~ option";
    }
    uint64_t node = setting_get(&c->worker->server->settings.stream_node_max_entries);
    o->node = node > 0 ? node : NODE_ENTRIES;
    o->node_bytes = setting_get(&c->worker->server->settings.stream_node_max_bytes);
    if (why != NULL) {
        resp_error(&c->conn.out, "ERR syntax error, %s", why);
    } else if (o->roughly && !has_limit) {
        bool many = o->node > ROUGH_LIMIT_MAX / ROUGH_NODES;
        o->limit = many ? ROUGH_LIMIT_MAX : o->node * ROUGH_NODES;
    }
    return why == NULL;
}

bool stream_options_parse(struct resp_client *c, const struct slice *argv, uint32_t argc,
                          bool is_add, struct stream_options *ret_options, uint32_t *ret_at)
{
    struct stream_options o = {.by = STREAM_TRIM_NOT};
    bool has_limit = false;
    uint32_t at = 2;
    for (; at < argc; at++) {
        bool more = at + 1 < argc;
        if (is_add && slice_is(argv[at], "*")) {
            break;
        }
        if (more && (slice_is_nocase(argv[at], "maxlen") || slice_is_nocase(argv[at], "minid"))) {
            if (!parse_threshold(c, argv, argc, &at, &o)) {
                return false;
            }
        } else if (more && slice_is_nocase(argv[at], "limit")) {
            has_limit = true;
            if (!parse_limit(c, argv[++at], &o.limit)) {
                return false;
            }
        } else if (is_add && slice_is_nocase(argv[at], "nomkstream")) {
            o.must_exist = true;
        } else if (is_add) {
            o.has_id = true;
            if (!arg_stream_new_id(c, argv[at], &o.id, &o.has_seq)) {
                return false;
            }
            break;
        } else {
            reply_syntax(c);
            return false;
        }
    }
    *ret_at = at;
    bool fits = agree(c, &o, is_add, has_limit);
    *ret_options = o;
    return fits;
}

/* --- trimming --------------------------------------------------------------------------------- */

uint64_t stream_trim(struct store_hold *h, const struct stream_options *o)
{
    const struct store_item *item = store_peek(h, NULL);
    if (item == NULL || o->by == STREAM_TRIM_NOT) {
        return 0;
    }
    uint64_t count = coll_count(item);
    uint64_t excess = 0;
    if (o->by == STREAM_TRIM_ID) {
        excess = coll_rank_of_id(h, item, o->min_id, false);
    } else if (count > o->max_length) {
        excess = count - o->max_length;
    }
    if (o->roughly) {
        excess = stream_whole_nodes(h, item, excess, o);
    }
    if (excess > 0) {
        coll_cut(h, 0, excess);
    }
    return excess;
}
