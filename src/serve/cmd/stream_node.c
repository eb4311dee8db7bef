/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Redis keeps a stream in nodes of 100 entries (stream-node-max-entries) or 4096 bytes
 * (stream-node-max-bytes), whichever is full first, and trims roughly by whole nodes only. freshet
 * has no such nodes, but clients see by the length how many entries did not leave (BullMQ counts on
 * it), so here entries leave by the same number:
 *
 *   head of the stream                                            newest
 *   | node: 4096 bytes as a listpack | node: 100 entries | ...      |
 *
 * A node begins with the first entry that is left, for what leaves roughly is whole nodes. Only if
 * entries were taken out exactly, or from the middle, it began earlier: then nodes of 100 are
 * counted from the first entry that the stream ever had, and those that end by their size are a
 * little off.
 *
 * The bytes are counted as Redis packs them: names once if entries have the same, small integers
 * short.
 *
 * Counting costs a look at each entry of a node. So a worker remembers how far it has come in the
 * first node of some streams, and an XADD looks at what is new. What it remembers may be wrong
 * after an XDEL; no more depends on it than how much is trimmed roughly.
 *
 * Threads: the connection's worker; what is remembered is its own.
 */
#include "serve/cmd/stream_node.h"

#include "base/number.h"
#include "serve/cmd/rdb.h"

enum {
    LISTPACK_ENDS = 7,  /* bytes around its elements */
    NUMBER_DIGITS = 20, /* what is longer is no number to a listpack */
    SEEN_MAX = 64,
};

/* --- sizes in a listpack ---------------------------------------------------------------------- */

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

/* --- a node ---------------------------------------------------------------------------------- */

/* One that is being filled. */
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

/* Does such a node end by its size? Then the first one began with the first entry that is left:
 * entries have not been counted by the hundred. */
static bool fills_by_size(const struct node *n, const struct stream_options *o)
{
    return o->node_bytes > 0 && n->bytes / n->entries > o->node_bytes / o->node;
}

/* --- the first node, as far as it has been looked at ------------------------------------------ */

struct seen {
    uint64_t hash; /* of the key */
    struct coll_id first;
    uint64_t entries;
    size_t bytes;
};

static struct seen *seen_of(const struct store_hold *h)
{
    static _Thread_local struct seen seen[SEEN_MAX];
    return &seen[h->hash % SEEN_MAX];
}

static bool same_id(struct coll_id a, struct coll_id b)
{
    return a.ms == b.ms && a.seq == b.seq;
}

static struct node first_node(const struct store_hold *h, const struct store_item *item)
{
    const struct seen *s = seen_of(h);
    struct node n = {.entries = 0};
    if (coll_at(h, item, 0, &n.first) && s->hash == h->hash && same_id(s->first, n.first.id) &&
        s->entries <= coll_count(item)) {
        n.entries = s->entries;
        n.bytes = s->bytes;
    }
    return n;
}

static void remember(const struct store_hold *h, const struct node *n)
{
    *seen_of(h) = (struct seen){h->hash, n->first.id, n->entries, n->bytes};
}

/* --- all of them ------------------------------------------------------------------------------ */

uint64_t stream_whole_nodes(const struct store_hold *h, const struct store_item *item,
                            uint64_t excess, const struct stream_options *o)
{
    uint64_t count = coll_count(item);
    uint64_t gone = coll_stream_info(item).added - count; /* about, if some left the middle */
    uint64_t entries_max = o->node - gone % o->node;
    uint64_t removed = 0;
    uint64_t most = o->limit > 0 && o->limit < excess ? o->limit : excess;
    struct node node = first_node(h, item);
    struct coll_walk walk;
    struct coll_element e;
    coll_walk_begin(h, item, node.entries, false, &walk);
    while (removed + node.entries <= most && coll_walk_next(&walk, &e)) {
        bool fits = node_takes(&node, &e, entries_max, o);
        if (!fits && entries_max < o->node && fills_by_size(&node, o)) {
            entries_max = o->node;
            fits = node_takes(&node, &e, entries_max, o);
        }
        if (!fits) {
            removed += node.entries;
            node.entries = 0;
            entries_max = o->node;
            (void)node_takes(&node, &e, entries_max, o);
        }
    }
    remember(h, &node);
    bool is_last = removed + node.entries == count && count <= most; /* whole, being the last */
    return is_last ? count : removed;
}
