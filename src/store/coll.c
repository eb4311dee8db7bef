/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Collections, read; coll.h says what they are.
 *
 * Threads: the shard's lock, as the hold says.
 */
#include "store/coll_priv.h"

#include "base/check.h"

uint64_t coll_count(const struct store_item *it)
{
    return coll_view_of(it).head.count;
}

bool coll_is_packed(const struct store_item *it)
{
    return coll_view_of(it).head.tree == 0;
}

bool coll_all_integers(const struct store_hold *h, const struct store_item *it)
{
    (void)h;
    return coll_view_of(it).head.shape == COLL_INTEGERS;
}

const char *coll_encoding(const struct store_item *it)
{
    bool is_large = coll_view_of(it).head.shape == COLL_LARGE;
    switch ((enum store_kind)it->kind) {
    case STORE_LIST:
        return is_large ? "quicklist" : "listpack";
    case STORE_SET:
        return is_large                                       ? "hashtable"
               : coll_view_of(it).head.shape == COLL_INTEGERS ? "intset"
                                                              : "listpack";
    case STORE_ZSET:
        return is_large ? "skiplist" : "listpack";
    case STORE_HASH:
        return is_large ? "hashtable" : "listpack";
    case STORE_STREAM:
        return "stream";
    case STORE_STRING:
        break;
    }
    unreachable();
}

bool coll_at(const struct store_hold *h, const struct store_item *it, uint64_t rank,
             struct coll_element *ret_element)
{
    (void)h;
    struct coll_view v = coll_view_of(it);
    if (rank >= v.head.count) {
        return false;
    }
    (void)pack_read(v.kind, pack_seek(v.kind, v.packed, v.head.count, rank), ret_element);
    return true;
}

void coll_walk_begin(const struct store_hold *h, const struct store_item *it, uint64_t rank,
                     bool backward, struct coll_walk *ret_walk)
{
    struct coll_view v = coll_view_of(it);
    check(!backward || pack_has_back(v.kind));
    *ret_walk = (struct coll_walk){
        .slab = &hold_pool(h)->slab,
        .item = it,
        .backward = backward,
    };
    if (rank >= v.head.count) {
        return;
    }
    ret_walk->left = backward ? rank + 1 : v.head.count - rank;
    ret_walk->next = pack_seek(v.kind, v.packed, v.head.count, backward ? rank + 1 : rank);
}

bool coll_walk_next(struct coll_walk *w, struct coll_element *ret_element)
{
    if (w->left == 0) {
        return false;
    }
    w->left--;
    enum store_kind kind = (enum store_kind)w->item->kind;
    if (w->backward) {
        w->next = pack_back(w->next);
        (void)pack_read(kind, w->next, ret_element);
    } else {
        w->next = pack_read(kind, w->next, ret_element);
    }
    return true;
}

uint64_t coll_scan(const struct store_hold *h, const struct store_item *it, uint64_t cursor,
                   uint64_t count, coll_visit_fn *visit, void *arg)
{
    (void)cursor;
    (void)count;
    struct coll_walk w;
    struct coll_element e;
    coll_walk_begin(h, it, 0, false, &w);
    while (coll_walk_next(&w, &e)) {
        visit(arg, &e);
    }
    return 0;
}

bool coll_find(const struct store_hold *h, const struct store_item *it, struct slice name,
               struct coll_element *ret_element)
{
    (void)h;
    struct coll_view v = coll_view_of(it);
    const char *at = pack_find(v.kind, v.packed, name, NULL);
    if (at != NULL) {
        (void)pack_read(v.kind, at, ret_element);
    }
    return at != NULL;
}

bool coll_rank(const struct store_hold *h, const struct store_item *it, struct slice name,
               uint64_t *ret_rank)
{
    (void)h;
    struct coll_view v = coll_view_of(it);
    return pack_find(v.kind, v.packed, name, ret_rank) != NULL;
}

/* --- by order ----------------------------------------------------------------------------------- */

/* What an element is compared with: it lies before the bound or not. */
struct bound {
    enum { BOUND_SCORE, BOUND_LEX, BOUND_ID } by;
    bool after;
    double score;
    struct slice member;
    struct coll_id id;
};

static bool lies_before(const struct bound *b, const struct coll_element *e)
{
    switch (b->by) {
    case BOUND_SCORE:
        return b->after ? e->score <= b->score : e->score < b->score;
    case BOUND_LEX: {
        int order = pack_compare_bytes(e->name, b->member);
        return b->after ? order <= 0 : order < 0;
    }
    case BOUND_ID:
        return b->after ? !pack_id_below(b->id, e->id) : pack_id_below(e->id, b->id);
    }
    unreachable();
}

static uint64_t rank_of_bound(const struct store_item *it, const struct bound *b)
{
    struct coll_view v = coll_view_of(it);
    const char *at = v.packed.ptr;
    const char *end = at + v.packed.len;
    uint64_t rank = 0;
    struct coll_element e;
    while (at < end) {
        at = pack_read(v.kind, at, &e);
        if (!lies_before(b, &e)) {
            break;
        }
        rank++;
    }
    return rank;
}

uint64_t coll_rank_of_score(const struct store_hold *h, const struct store_item *it, double score,
                            bool after)
{
    (void)h;
    struct bound b = {.by = BOUND_SCORE, .after = after, .score = score};
    return rank_of_bound(it, &b);
}

uint64_t coll_rank_of_lex(const struct store_hold *h, const struct store_item *it,
                          struct slice member, bool after)
{
    (void)h;
    struct bound b = {.by = BOUND_LEX, .after = after, .member = member};
    return rank_of_bound(it, &b);
}

uint64_t coll_rank_of_id(const struct store_hold *h, const struct store_item *it, struct coll_id id,
                         bool after)
{
    (void)h;
    struct bound b = {.by = BOUND_ID, .after = after, .id = id};
    return rank_of_bound(it, &b);
}

struct coll_stream coll_stream_info(const struct store_item *it)
{
    struct coll_stream info;
    memcpy(&info, item_value(it).ptr + sizeof(struct coll_head), sizeof(info));
    return info;
}
