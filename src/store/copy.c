/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole values to another key: COPY, RENAME, MOVE.
 *
 * Threads: inside an ownership, so both shards are this thread's.
 */
#include "store/coll_priv.h"

#include "base/check.h"

enum err store_copy(struct store_hold *from, struct store_hold *to, const struct store_write *meta)
{
    check(from->owned && to->owned);
    /* Not judged again: a mark may have risen since the caller looked. Then the copy is as outdated. */
    struct store_item *source = store_inspect(from);
    check(source != NULL);
    unsigned is_edited = source->is_edited;
    struct store_item *it;
    enum err e = entry_put(to, meta, (enum store_kind)source->kind, item_value(source), &it);
    if (e == ERR_OK) {
        it->is_edited = is_edited & 1;
        effect_item(to, it);
    }
    return e;
}

void store_dump(struct store_hold *h)
{
    const struct store_item *it = store_peek(h, NULL);
    if (it != NULL) {
        effect_item(h, it);
    }
}

enum err store_move(struct store_hold *from, struct store_hold *to, const struct store_write *meta)
{
    enum err e = store_copy(from, to, meta);
    if (e == ERR_OK) {
        (void)store_remove(from);
    }
    return e;
}
