/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams, written. Unlike other collections they may be empty, and remember more than their elements.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/coll_priv.h"

#include "base/check.h"

static void put_info(struct store_item *it, const struct coll_stream *info)
{
    size_t at = coll_is_tree(it) ? sizeof(struct coll_root) : sizeof(struct coll_head);
    memcpy(coll_value(it) + at, info, sizeof(*info));
}

enum err coll_stream_set_info(struct store_hold *h, const struct coll_stream *info,
                              const struct store_write *meta)
{
    struct coll_write w;
    coll_write_begin(h, STORE_STREAM, meta, &w);
    enum err e = ERR_OK;
    if (w.item != NULL && coll_is_tree(w.item)) {
        coll_write_done(&w, coll_write_new(&w));
    } else {
        e = coll_write_splice(&w, 0, 0, 0, 0);
    }
    if (e == ERR_OK) {
        put_info(w.item, info);
        coll_log_stream(h, info, w.is_new);
        coll_write_end(&w);
    }
    return e;
}

enum err coll_append(struct store_hold *h, struct coll_id id, const struct slice *fields,
                     uint32_t count, const struct store_write *meta)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        size += fields[i].len;
    }
    if (size > ITEM_VALUE_MAX / 2 || count > ITEM_VALUE_MAX / 16) {
        return ERR_TOO_BIG;
    }
    struct coll_write w;
    coll_write_begin(h, STORE_STREAM, meta, &w);
    struct coll_stream info = {.added = 0};
    size_t at = 0;
    if (w.item != NULL) {
        info = coll_stream_info(w.item);
        at = coll_view_of(w.item).packed.len;
    }
    check(pack_id_below(info.last, id));
    if (!coll_write_reserve(&w, pack_entry_size(fields, count))) {
        return ERR_NOSPACE;
    }
    pack_append_entry(w.scratch, id, fields, count);
    bool is_tree;
    enum err e = coll_write_form(&w, 0, coll_write_new(&w).len, 1, &is_tree);
    if (is_tree) {
        e = coll_tree_put_at(&w, coll_count(w.item), false, coll_write_new(&w));
        if (e == ERR_OK) {
            coll_write_done(&w, coll_write_new(&w));
        }
    } else if (e == ERR_OK) {
        e = coll_write_splice(&w, at, 0, 0, 1);
    }
    if (e == ERR_OK) {
        info.last = id;
        info.added++;
        put_info(w.item, &info);
        struct coll_element entry;
        (void)pack_read(STORE_STREAM, coll_write_new(&w).ptr, &entry);
        coll_log_entry(h, &entry);
        coll_write_end(&w);
    }
    return e;
}
