/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing a stream in Redis' snapshot format, type 19; rdb_stream.c draws it.
 *
 * Each entry is written with its names, none as those of its node; a node has up to NODE_ENTRIES of them.
 */
#include "serve/cmd/rdb.h"

#include <endian.h>

enum { NODE_ENTRIES = 100 };

/* How long it was, for reading backwards: 7 bits a byte. */
static void end_packed(struct buf *lp, size_t before, uint32_t *count)
{
    size_t len = buf_len(lp) - before;
    size_t size = rdb_back_len(len);
    for (size_t i = size; i > 0; i--) {
        unsigned bits = (unsigned)(len >> 7 * (i - 1)) & 0x7f;
        buf_append_char(lp, (char)(i == size ? bits : bits | 0x80));
    }
    (*count)++;
}

static void pack_integer(struct buf *lp, uint64_t value, uint32_t *count)
{
    size_t before = buf_len(lp);
    if (value < 128) {
        buf_append_char(lp, (char)value);
    } else {
        uint64_t le = htole64(value);
        buf_append_char(lp, (char)0xf4);
        buf_append(lp, &le, sizeof(le));
    }
    end_packed(lp, before, count);
}

static void pack_text(struct buf *lp, struct slice text, uint32_t *count)
{
    size_t before = buf_len(lp);
    if (text.len < 64) {
        buf_append_char(lp, (char)(0x80 | text.len));
    } else if (text.len < 4096) {
        buf_append_char(lp, (char)(0xe0 | text.len >> 8));
        buf_append_char(lp, (char)text.len);
    } else {
        uint32_t le = htole32((uint32_t)text.len);
        buf_append_char(lp, (char)0xf0);
        buf_append(lp, &le, sizeof(le));
    }
    buf_append_slice(lp, text);
    end_packed(lp, before, count);
}

static void pack_entry(struct buf *lp, const struct coll_element *e, struct coll_id node,
                       uint32_t *count)
{
    struct slice rest = e->name;
    struct slice text;
    uint32_t fields = coll_field_count(rest) / 2;
    pack_integer(lp, 0, count);
    pack_integer(lp, e->id.ms - node.ms, count);
    pack_integer(lp, e->id.seq - node.seq, count);
    pack_integer(lp, fields, count);
    while (coll_field_next(&rest, &text)) {
        pack_text(lp, text, count);
    }
    pack_integer(lp, 2 * (uint64_t)fields + 4, count);
}

static void put_node(struct buf *out, const struct buf *lp, uint32_t count, struct coll_id node)
{
    uint64_t id[] = {htobe64(node.ms), htobe64(node.seq)};
    rdb_put_text(out, (struct slice){(const char *)id, sizeof(id)});
    rdb_put_len(out, 6 + buf_len(lp) + 1);
    uint32_t total = htole32((uint32_t)(6 + buf_len(lp) + 1));
    uint16_t elements = htole16((uint16_t)(count < UINT16_MAX ? count : UINT16_MAX));
    buf_append(out, &total, sizeof(total));
    buf_append(out, &elements, sizeof(elements));
    buf_append_slice(out, buf_readable(lp));
    buf_append_char(out, (char)0xff);
}

static void put_nodes(struct coll_walk *walk, uint64_t entries, struct buf *out)
{
    struct buf lp;
    struct coll_element e;
    buf_init(&lp);
    for (uint64_t left = entries; left > 0;) {
        uint64_t some = left < NODE_ENTRIES ? left : NODE_ENTRIES;
        struct coll_id node = {0, 0};
        uint32_t count = 0;
        buf_clear(&lp);
        pack_integer(&lp, some, &count);
        for (int i = 0; i < 3; i++) { /* none deleted, no names, end of names */
            pack_integer(&lp, 0, &count);
        }
        for (uint64_t i = 0; i < some && coll_walk_next(walk, &e); i++) {
            node = i == 0 ? e.id : node;
            pack_entry(&lp, &e, node, &count);
        }
        put_node(out, &lp, count, node);
        left -= some;
    }
    buf_fini(&lp);
}

static void put_id(struct buf *out, struct coll_id id)
{
    rdb_put_len(out, id.ms);
    rdb_put_len(out, id.seq);
}

void rdb_put_stream(const struct store_hold *h, const struct store_item *it, struct buf *out)
{
    struct coll_stream info = coll_stream_info(it);
    struct coll_element first = {.id = {0, 0}};
    struct coll_walk walk;
    uint64_t entries = coll_count(it);
    rdb_put_len(out, (entries + NODE_ENTRIES - 1) / NODE_ENTRIES);
    if (entries > 0) {
        (void)coll_at(h, it, 0, &first);
        coll_walk_begin(h, it, 0, false, &walk);
        put_nodes(&walk, entries, out);
    }
    rdb_put_len(out, entries);
    put_id(out, info.last);
    put_id(out, first.id);
    put_id(out, info.max_deleted);
    rdb_put_len(out, info.added);
    rdb_put_len(out, 0);
}
