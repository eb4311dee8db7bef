/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rdb: one value as DUMP gives it and RESTORE takes it, in the format of Redis' snapshot files.
 *
 *      OFFSET  SIZE  MEANING
 *      0       1     type (rdb.c)
 *      1             the value
 *      -10     2     version of the format, little endian
 *      -8      8     CRC64 (Jones) of everything before it, little endian
 *
 * Written with the plain types and version 9, which every Redis since 5.0 reads; read up to version 11, that
 * of Redis 7.2, with its compact types and compressed strings.
 *
 * Pure: no key, no client. Threads: none.
 */
#ifndef SERVE_RDB_H
#define SERVE_RDB_H

#include "base/buf.h"
#include "store/coll.h"

/* Appends the payload of the item's value. */
void rdb_write(const struct store_hold *h, const struct store_item *it, struct buf *out);

/* Appends version and checksum of what is in `out` from `before` on. */
void rdb_seal(struct buf *out, size_t before);
/* Is the version one that can be read, and the checksum right? Takes both off `payload`. */
bool rdb_check(struct slice *payload);

/* A value that was read. A string is one element's name. */
struct rdb_value {
    enum store_kind kind;
    uint64_t count;
    /* private */
    struct rdb_element {
        size_t name_at; /* in `texts` */
        size_t name_len;
        size_t value_at;
        size_t value_len;
        double score;
    } * elements;
    uint64_t cap;
    /* a stream's entries; `elements` are their names and values in turn */
    struct rdb_entry {
        struct coll_id id;
        uint64_t first; /* element */
        uint32_t fields;
    } * entries;
    uint64_t entry_count;
    uint64_t entry_cap;
    struct coll_stream stream;
    bool is_half; /* the last element waits for its value or score */
    struct buf texts;
};

/* Reads what rdb_check() has left. False: it is broken, of a type that is not offered, or has an element
 * twice. Either way rdb_value_fini(). */
bool rdb_read(struct slice payload, struct rdb_value *ret_value);
struct coll_element rdb_element(const struct rdb_value *v, uint64_t index);
void rdb_value_fini(struct rdb_value *v);

/* --- between the files rdb_*.c ------------------------------------------------------------------- */

void rdb_put_len(struct buf *out, uint64_t len);
void rdb_put_text(struct buf *out, struct slice text);
void rdb_put_stream(const struct store_hold *h, const struct store_item *it, struct buf *out);
/* Bytes that say the length of an entry of a listpack behind it. */
size_t rdb_back_len(size_t entry_len);

/* Takes a number, or a text (appended to `out`), off `in`. */
bool rdb_take_count(struct slice *in, uint64_t *ret_count);
bool rdb_take_text(struct slice *in, struct buf *out);
/* `has_facts`: types 19 and 21. */
bool rdb_take_stream(struct rdb_value *v, struct slice *in, bool has_facts);

/* The next text of a value: an element, or in turn its name and its value or score. */
bool rdb_take(struct rdb_value *v, struct slice text);
/* All texts of a packed form. */
bool rdb_take_listpack(struct rdb_value *v, struct slice bytes);
bool rdb_take_ziplist(struct rdb_value *v, struct slice bytes);
bool rdb_take_intset(struct rdb_value *v, struct slice bytes);
/* Appends exactly `len` bytes to `out`, or says false. */
bool rdb_expand_lzf(struct slice bytes, size_t len, struct buf *out);

#endif
