/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coll: collections as values of items: lists, sets, hashes, sorted sets, streams.
 *
 * One structure serves them all: a sequence of elements in an order of their own, counted, so that any
 * place in it is found by its rank. What differs is only the order:
 *
 *      kind      element               order                              found by
 *      list      value                 where it was put                   rank
 *      set       member                hash of the member (hidden)        name, rank
 *      hash      field, value          hash of the field (hidden)         name, rank
 *      zset      member, score         score, then bytes of the member    name, rank, score
 *      stream    id, fields            id                                 id, rank
 *
 * Small collections are packed into the item's own value, one after the other (exact size, read in one
 * sweep). Larger ones are a counted B+tree whose leaves are packed the same way; the item's value is then
 * its root. Nodes are pieces of the item's pool: a collection counts fully towards its space's budget, is
 * evicted as a whole, and its nodes are moved like items when a space is tidied.
 *
 * A collection is never empty: what removes the last element removes the key. (Streams excepted.)
 *
 * Every function runs between store_hold() and store_drop(). Readers take the live item, found by
 * store_lookup() or store_peek(); slices they give are good until the next write by this thread. Writers
 * find the key themselves, since memory they need may move everything: item pointers taken before are
 * void afterwards. A writer with a `meta` creates the key when it is absent, with meta's expiry, stamp and
 * dependencies (its value is not read); with NULL the key must be live. The key's kind must be right:
 * calling with another one is a bug. A writer that answers ERR_NOSPACE or ERR_TOO_BIG has changed nothing.
 *
 * Writers log their effects themselves when the space is durable (effect.h), in the words of Redis.
 *
 * Threads: as the hold says.
 */
#ifndef STORE_COLL_H
#define STORE_COLL_H

#include "store/store.h"

struct coll_id { /* of a stream's element: "ms-seq" */
    uint64_t ms;
    uint64_t seq;
};

struct coll_element {
    struct slice name; /* list: value; set, zset: member; hash: field; stream: its fields, packed */
    struct slice value; /* hash: value; else empty */
    double score;       /* zset; never NaN */
    struct coll_id id;  /* stream */
};

enum coll_end { COLL_HEAD, COLL_TAIL };

/* Where coll_encoding() changes its word; how a collection is really kept has limits of its own. Relaxed: a
 * change may be seen a write late, and what became large before stays so. */
struct coll_limits {
    _Atomic int64_t list_size; /* elements; negative: -1 .. -5 for 4 .. 64 KB */
    _Atomic uint64_t hash_entries;
    _Atomic uint64_t hash_value; /* bytes of an element */
    _Atomic uint64_t integers;   /* of a set of integers */
    _Atomic uint64_t set_entries;
    _Atomic uint64_t set_value;
    _Atomic uint64_t zset_entries;
    _Atomic uint64_t zset_value;
};
/* Borrows the limits; before threads exist. Without, Redis's presets hold. */
void store_use_coll_limits(struct store *s, const struct coll_limits *limits);

/* --- reading: any kind -------------------------------------------------------------------------- */

uint64_t coll_count(const struct store_item *it);
/* The word of OBJECT ENCODING that Redis would use, by the limits of store_use_coll_limits() and the
 * collection's history: what became large stays so, lists excepted. https://redis.io/docs/latest/commands/object-encoding/ */
const char *coll_encoding(const struct store_item *it);
/* The element of a rank (0 first). False: rank >= count. */
bool coll_at(const struct store_hold *h, const struct store_item *it, uint64_t rank,
             struct coll_element *ret_element);

/* From `rank` onwards, or backwards from it (lists, zsets, streams). On the caller's stack; no writes
 * meanwhile. A rank at or beyond the count: nothing. */
struct coll_walk {
    const struct store_hold *hold;
    const struct store_item *item;
    const void *leaf; /* of a tree */
    const char *next;
    uint64_t left;
    uint32_t leaf_left;
    bool backward;
};
void coll_walk_begin(const struct store_hold *h, const struct store_item *it, uint64_t rank,
                     bool backward, struct coll_walk *ret_walk);
bool coll_walk_next(struct coll_walk *w, struct coll_element *ret_element);

/* One step of a cursor walk (SSCAN, HSCAN, ZSCAN): `visit` sees about `count` elements; every element
 * that stays for the whole walk is seen. Begins with cursor 0; 0 returned: done. Set, hash, zset. */
typedef void coll_visit_fn(void *arg, const struct coll_element *e);
uint64_t coll_scan(const struct store_hold *h, const struct store_item *it, uint64_t cursor,
                   uint64_t count, coll_visit_fn *visit, void *arg);

/* --- set, hash, zset: by name ------------------------------------------------------------------- */

bool coll_find(const struct store_hold *h, const struct store_item *it, struct slice name,
               struct coll_element *ret_element);
/* Adds the element or gives it a new value or score. `ret_was`: it was there before (may be NULL). The
 * element's slices may lie in the store itself. Effect: SADD, HSET, ZADD. */
enum err coll_put(struct store_hold *h, enum store_kind kind, const struct coll_element *e,
                  const struct store_write *meta, bool *ret_was);
/* False: it was not there. Effect: SREM, HDEL, ZREM. */
bool coll_remove(struct store_hold *h, struct slice name);

/* --- zset: by order ----------------------------------------------------------------------------- */

bool coll_rank(const struct store_hold *h, const struct store_item *it, struct slice name,
               uint64_t *ret_rank);
/* How many members lie before `score`; with `after`, before or at it. */
uint64_t coll_rank_of_score(const struct store_hold *h, const struct store_item *it, double score,
                            bool after);
/* The same for members compared by bytes, all scores being equal (ZRANGEBYLEX). */
uint64_t coll_rank_of_lex(const struct store_hold *h, const struct store_item *it,
                          struct slice member, bool after);

/* --- list --------------------------------------------------------------------------------------- */

/* Puts the values at an end, one after the other: pushed at the head, the last is first. All or none.
 * Effect: LPUSH, RPUSH. */
enum err coll_push(struct store_hold *h, enum coll_end end, const struct slice *values,
                   uint32_t count, const struct store_write *meta);
/* Effect: LSET. The rank must exist. */
enum err coll_replace(struct store_hold *h, uint64_t rank, struct slice value);
/* Before or after the first element equal to `pivot`. `ret_found` false: no such. Effect: LINSERT. */
enum err coll_insert(struct store_hold *h, struct slice pivot, bool after, struct slice value,
                     bool *ret_found);
/* LREM: up to |count| elements equal to `value`, which is not the store's, from the head or (negative) the
 * tail; 0: all. */
uint64_t coll_remove_equal(struct store_hold *h, int64_t count, struct slice value);

/* --- any kind: by rank -------------------------------------------------------------------------- */

/* Removes the elements [rank, rank + count), as far as they exist. Effect: LPOP, RPOP, SREM, HDEL,
 * ZREMRANGEBYRANK, XDEL, from the head of a stream XTRIM; DEL when nothing is left. A list is cut at its
 * ends only. A stream's facts stay: say what was deleted with coll_stream_set_info(). */
void coll_cut(struct store_hold *h, uint64_t rank, uint64_t count);

/* --- stream ------------------------------------------------------------------------------------- */

struct coll_stream {
    struct coll_id last;        /* id of the newest ever added */
    struct coll_id max_deleted; /* greatest deleted, 0-0: none */
    uint64_t added;             /* entries ever added */
};
struct coll_stream coll_stream_info(const struct store_item *it);
/* Creates an empty stream when the key is absent (`meta`). Effect: XSETID. */
enum err coll_stream_set_info(struct store_hold *h, const struct coll_stream *info,
                              const struct store_write *meta);
/* Adds at the end; `id` is above `last`, becomes it, and `added` counts it. `fields`: names and values in
 * turn. Effect: XADD with that id. */
enum err coll_append(struct store_hold *h, struct coll_id id, const struct slice *fields,
                     uint32_t count, const struct store_write *meta);
/* How many entries have a smaller id; with `after`, a smaller or equal one. */
uint64_t coll_rank_of_id(const struct store_hold *h, const struct store_item *it, struct coll_id id,
                         bool after);
/* Reads the next field or value from a stream element's packed `rest` and moves on; false at the end. */
bool coll_field_next(struct slice *rest, struct slice *ret_text);
uint32_t coll_field_count(struct slice fields);

#endif
