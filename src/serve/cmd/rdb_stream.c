/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading streams in Redis' snapshot format, types 15, 19 and 21; rdb_stream_write.c writes type 19.
 *
 *      count of nodes, each a text with an id (16 bytes, big endian) and a text that is a listpack
 *        listpack  entries, deleted, fields n, n names, 0; then for each entry
 *                  flags (1 deleted, 2 fields as above), ms and seq less the node's, [n, n names with]
 *                  values, how many of these there were
 *      entries, last id; from type 19 on first id, greatest deleted id, entries ever added
 *      count of consumer groups: 0, others are refused
 */
#include "serve/cmd/rdb.h"

#include "base/alloc.h"
#include "base/number.h"

#include <endian.h>

enum { FLAG_DELETED = 1, FLAG_SAME_FIELDS = 2 };

/* A node's listpack, read as a list of texts. */
struct node {
    struct rdb_value texts;
    uint64_t at; /* next */
    struct coll_id id;
    uint64_t fields_at;
    uint64_t fields;
};

static bool next_text(struct node *n, struct slice *ret_text)
{
    if (n->at >= n->texts.count) {
        return false;
    }
    *ret_text = rdb_element(&n->texts, n->at++).name;
    return true;
}

static bool next_integer(struct node *n, int64_t *ret_value)
{
    struct slice text;
    return next_text(n, &text) && number_parse_i64(text, ret_value);
}

static bool next_count(struct node *n, uint64_t *ret_count)
{
    int64_t value;
    if (!next_integer(n, &value) || value < 0 || (uint64_t)value > n->texts.count) {
        return false;
    }
    *ret_count = (uint64_t)value;
    return true;
}

static bool is_above(struct coll_id a, struct coll_id b)
{
    return a.ms > b.ms || (a.ms == b.ms && a.seq > b.seq);
}

static bool begin_entry(struct rdb_value *v, struct coll_id id, uint64_t fields)
{
    bool is_first = v->entry_count == 0;
    if (fields == 0 || fields > UINT32_MAX / 2 || (id.ms == 0 && id.seq == 0) ||
        (!is_first && !is_above(id, v->entries[v->entry_count - 1].id))) {
        return false;
    }
    if (v->entry_count == v->entry_cap) {
        v->entry_cap = v->entry_cap > 0 ? v->entry_cap * 2 : 16;
        v->entries = xrealloc(v->entries, v->entry_cap * sizeof(*v->entries));
    }
    v->entries[v->entry_count++] =
        (struct rdb_entry){.id = id, .first = v->count, .fields = (uint32_t)fields};
    return true;
}

/* Names and values in turn; names from the node's head if they are the same there. */
static bool take_fields(struct rdb_value *v, struct node *n, uint64_t fields, bool same, bool keep)
{
    bool ok = true;
    struct slice text;
    for (uint64_t i = 0; i < fields && ok; i++) {
        if (same) {
            text = rdb_element(&n->texts, n->fields_at + i).name;
        }
        ok = (same || next_text(n, &text)) && (!keep || rdb_take(v, text));
        ok = ok && next_text(n, &text) && (!keep || rdb_take(v, text));
    }
    return ok;
}

static bool take_entry(struct rdb_value *v, struct node *n)
{
    int64_t flags;
    int64_t ms;
    int64_t seq;
    uint64_t fields = n->fields;
    struct slice count;
    if (!next_integer(n, &flags) || !next_integer(n, &ms) || !next_integer(n, &seq)) {
        return false;
    }
    bool same = (flags & FLAG_SAME_FIELDS) != 0;
    bool keep = (flags & FLAG_DELETED) == 0;
    if (!same && !next_count(n, &fields)) {
        return false;
    }
    struct coll_id id = {n->id.ms + (uint64_t)ms, n->id.seq + (uint64_t)seq};
    return (!keep || begin_entry(v, id, fields)) && take_fields(v, n, fields, same, keep) &&
           next_text(n, &count);
}

static bool take_entries(struct rdb_value *v, struct node *n)
{
    uint64_t entries;
    uint64_t deleted;
    uint64_t end;
    if (!next_count(n, &entries) || !next_count(n, &deleted) || !next_count(n, &n->fields)) {
        return false;
    }
    n->fields_at = n->at;
    n->at += n->fields;
    bool ok = next_count(n, &end) && end == 0;
    for (uint64_t i = 0; i < entries + deleted && ok; i++) {
        ok = take_entry(v, n);
    }
    return ok && n->at == n->texts.count;
}

static bool take_node(struct rdb_value *v, struct slice *in)
{
    struct buf bytes;
    struct node n = {.texts = {.kind = STORE_LIST}};
    uint64_t id[2];
    buf_init(&bytes);
    buf_init(&n.texts.texts);
    buf_append_char(&n.texts.texts, '\0');
    bool ok = rdb_take_text(in, &bytes) && buf_len(&bytes) == sizeof(id);
    if (ok) {
        memcpy(id, buf_readable(&bytes).ptr, sizeof(id));
        n.id = (struct coll_id){be64toh(id[0]), be64toh(id[1])};
        buf_clear(&bytes);
        ok = rdb_take_text(in, &bytes) && rdb_take_listpack(&n.texts, buf_readable(&bytes)) &&
             take_entries(v, &n);
    }
    rdb_value_fini(&n.texts);
    buf_fini(&bytes);
    return ok;
}

static bool take_id(struct slice *in, struct coll_id *ret_id)
{
    return rdb_take_count(in, &ret_id->ms) && rdb_take_count(in, &ret_id->seq);
}

bool rdb_take_stream(struct rdb_value *v, struct slice *in, bool has_facts)
{
    uint64_t nodes;
    uint64_t entries;
    uint64_t groups;
    struct coll_id first;
    bool ok = rdb_take_count(in, &nodes) && nodes <= in->len;
    for (uint64_t i = 0; ok && i < nodes; i++) {
        ok = take_node(v, in);
    }
    if (!ok || !rdb_take_count(in, &entries) || entries != v->entry_count ||
        !take_id(in, &v->stream.last)) {
        return false;
    }
    v->stream.added = entries;
    if (has_facts && (!take_id(in, &first) || !take_id(in, &v->stream.max_deleted) ||
                      !rdb_take_count(in, &v->stream.added))) {
        return false;
    }
    bool in_order = entries == 0 || !is_above(v->entries[entries - 1].id, v->stream.last);
    return in_order && v->stream.added >= entries && rdb_take_count(in, &groups) && groups == 0;
}
