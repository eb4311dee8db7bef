/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MAXLEN and MINID, exactly or roughly (~).
 *
 * Roughly means in Redis: only whole nodes of its tree, which hold 100 entries (stream-node-max-entries) or
 * 4096 bytes (stream-node-max-bytes), whichever is full first, so that trimming costs next to nothing. Clients
 * see by the length how many entries too many did not leave; so here too they leave by the node: by the
 * hundred, counted from the first entry that the stream ever had, or fewer when as many as Redis would pack
 * into so many bytes are less. Without a LIMIT at most a hundred nodes leave at once.
 *
 * The bytes are counted as Redis packs them (a listpack: its head, names once if all entries have the same,
 * small integers short), from the first entry on. That is where a node begins unless entries were taken out of
 * the middle or trimmed exactly before.
 */
#include "serve/cmd/stream_trim.h"

#include "base/number.h"
#include "serve/cmd/rdb.h"
#include "serve/cmd/stream_id.h"

enum { NODE_ENTRIES = 100, ROUGH_NODES = 100, ROUGH_LIMIT_MAX = 1000000 };
enum {
    LISTPACK_ENDS = 7,  /* bytes around its elements */
    NUMBER_DIGITS = 20, /* what is longer is no number to a listpack */
};

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

/* A number in a listpack, with what tells its length from behind. */
static size_t integer_size(int64_t value)
{
    if (value >= 0 && value < 128) {
        return 2;
    }
    if (value >= -4096 && value < 4096) {
        return 3;
    }
    if (value >= INT16_MIN && value <= INT16_MAX) {
        return 4;
    }
    if (value >= -(1 << 23) && value < 1 << 23) {
        return 5;
    }
    return value >= INT32_MIN && value <= INT32_MAX ? 6 : 10;
}

static size_t text_size(struct slice text)
{
    int64_t number;
    if (text.len <= NUMBER_DIGITS && number_parse_i64(text, &number)) {
        return integer_size(number);
    }
    size_t size = text.len + (text.len < 64 ? 1 : text.len < 4096 ? 2 : 5);
    return size + rdb_back_len(size);
}

/* Names and values, or one of the two; `ret_raw`: as they are, unpacked. */
static size_t fields_size(struct slice fields, bool names, bool values, size_t *ret_raw)
{
    size_t size = 0;
    struct slice text;
    *ret_raw = 0;
    for (bool is_name = true; coll_field_next(&fields, &text); is_name = !is_name) {
        size += (is_name ? names : values) ? text_size(text) : 0;
        *ret_raw += text.len;
    }
    return size;
}

static bool same_names(struct slice a, struct slice b)
{
    struct slice from_a;
    struct slice from_b;
    bool same = coll_field_count(a) == coll_field_count(b);
    for (bool is_name = true; same && coll_field_next(&a, &from_a); is_name = !is_name) {
        same = coll_field_next(&b, &from_b) && (!is_name || slice_eq(from_a, from_b));
    }
    return same;
}

/* A node of Redis's that is being filled. */
struct node {
    uint64_t entries;
    size_t bytes;
    struct coll_element first;
};

/* False: it begins a new node. */
static bool node_takes(struct node *n, const struct coll_element *e, uint64_t entries_max,
                       const struct stream_options *o)
{
    size_t raw;
    bool same = n->entries > 0 && same_names(n->first.name, e->name);
    int64_t fields = coll_field_count(e->name) / 2;
    size_t size = fields_size(e->name, !same, true, &raw);
    if (n->entries > 0 &&
        (n->entries >= entries_max || (o->node_bytes > 0 && n->bytes + raw >= o->node_bytes))) {
        return false;
    }
    if (n->entries == 0) {
        size_t names = fields_size(e->name, true, false, &raw);
        n->first = *e;
        n->bytes = LISTPACK_ENDS + 3 * integer_size(0) + integer_size(fields) + names;
        size -= names; /* they are the node's own */
        same = true;
    }
    n->bytes += size + integer_size(0) + integer_size((int64_t)(e->id.ms - n->first.id.ms)) +
                integer_size((int64_t)(e->id.seq - n->first.id.seq)) +
                (same ? 0 : integer_size(fields)) + integer_size(fields);
    n->entries++;
    return true;
}

/* How many of the first `excess` entries are whole nodes. */
static uint64_t whole_nodes(const struct store_hold *h, const struct store_item *item,
                            uint64_t excess, const struct stream_options *o)
{
    uint64_t count = coll_count(item);
    uint64_t gone = coll_stream_info(item).added - count; /* about, if some left the middle */
    uint64_t entries_max = o->node - gone % o->node;
    uint64_t removed = 0;
    uint64_t most = o->limit > 0 && o->limit < excess ? o->limit : excess;
    struct node node = {.entries = 0};
    struct coll_walk walk;
    struct coll_element e;
    coll_walk_begin(h, item, 0, false, &walk);
    while (removed + node.entries <= most && coll_walk_next(&walk, &e)) {
        if (!node_takes(&node, &e, entries_max, o)) {
            removed += node.entries;
            node.entries = 0;
            entries_max = o->node;
            (void)node_takes(&node, &e, entries_max, o);
        }
    }
    bool is_last = removed + node.entries == count && count <= most; /* whole, being the last */
    return is_last ? count : removed;
}

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
        excess = whole_nodes(h, item, excess, o);
    }
    if (excess > 0) {
        coll_cut(h, 0, excess);
    }
    return excess;
}
