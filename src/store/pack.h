/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pack: the elements of a collection as bytes, one after the other. Small collections are nothing else;
 * leaves of large ones are cut from the same cloth.
 *
 *      list, set   len | bytes                                   | back
 *      hash        len of field | len of value | field | value
 *      zset        len | score (8) | member                      | back
 *      stream      len | ms (8) | seq (8) | fields               | back
 *      fields      len | bytes, and so on, names and values in turn
 *
 * Lengths are LEB128, at most 5 bytes. `back` is the element's size before it, LEB128 written backwards,
 * so that ordered kinds can be walked from the end; sets and hashes have no end to walk from.
 *
 * Nothing here knows of items or trees. Bytes come from the store alone and are trusted.
 */
#ifndef STORE_PACK_H
#define STORE_PACK_H

#include "store/coll.h"

struct buf;

static inline bool pack_has_back(enum store_kind kind)
{
    return kind != STORE_SET && kind != STORE_HASH;
}

/* Appends the element. */
void pack_append(struct buf *out, enum store_kind kind, const struct coll_element *e);
/* The same to where there is room for it; returns its end. */
char *pack_write(enum store_kind kind, char *at, const struct coll_element *e);
/* A stream's element from loose texts. */
void pack_append_entry(struct buf *out, struct coll_id id, const struct slice *fields,
                       uint32_t count);
size_t pack_entry_size(const struct slice *fields, uint32_t count);
/* Bytes that pack_append() would add. */
size_t pack_size(enum store_kind kind, const struct coll_element *e);

/* Reads the element at `at`; returns where the next one begins. */
const char *pack_read(enum store_kind kind, const char *at, struct coll_element *ret_element);
const char *pack_skip(enum store_kind kind, const char *at);
/* Where the element that ends at `end` begins. Kinds with `back` only. */
const char *pack_back(const char *end);
/* The element of a rank below `count`, from the nearer end. */
const char *pack_seek(enum store_kind kind, struct slice packed, uint64_t count, uint64_t rank);
/* The element of this name (list: value), NULL if there is none. `ret_rank` may be NULL. */
const char *pack_find(enum store_kind kind, struct slice packed, struct slice name,
                      uint64_t *ret_rank);

/* The first zset element at or after (score, member), `after`: after it; how many are before. */
const char *pack_seek_score(struct slice packed, double score, struct slice member, bool after,
                            uint32_t *ret_rank);

/* Order of zset elements: score, then bytes. */
int pack_compare(const struct coll_element *a, const struct coll_element *b);
int pack_compare_bytes(struct slice a, struct slice b);
static inline bool pack_id_below(struct coll_id a, struct coll_id b)
{
    return a.ms < b.ms || (a.ms == b.ms && a.seq < b.seq);
}

#endif
