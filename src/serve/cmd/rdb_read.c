/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a value in Redis' snapshot format: everything is input and may be wrong. What is read lies decoded
 * in one buffer, checked to the last byte, before the store is touched.
 *
 *      type  0 string     1 list    2 set      3 sorted set, scores as text   4 hash   5 sorted set
 *           10 list, 11 set, 12 sorted set, 13 hash: one text that is a ziplist (11: an intset)
 *           14 list: ziplists           18 list: listpacks, or single elements
 *           16 hash, 17 sorted set, 20 set: one text that is a listpack
 *
 *      a text's length may also say:  11000000 1 byte, 11000001 2, 11000010 4: an integer, little endian;
 *                                     11000011 compressed: its length, the length it expands to, bytes
 *           15, 19, 21 stream: rdb_stream.c
 *
 * Not done: types of modules.
 */
#include "serve/cmd/rdb.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/real.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>

enum { TEXT_INT8, TEXT_INT16, TEXT_INT32, TEXT_LZF };

/* --- bytes, lengths, texts ---------------------------------------------------------------------- */

static bool take_bytes(struct slice *in, size_t len, struct slice *ret_bytes)
{
    if (in->len < len) {
        return false;
    }
    *ret_bytes = (struct slice){in->ptr, len};
    *in = slice_from(*in, len);
    return true;
}

static bool take_big_endian(struct slice *in, size_t size, uint64_t *ret_value)
{
    struct slice bytes;
    uint64_t value = 0;
    if (!take_bytes(in, size, &bytes)) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | (unsigned char)bytes.ptr[i];
    }
    *ret_value = value;
    return true;
}

/* `ret_special`: no length, but how the text is encoded. */
static bool take_len(struct slice *in, uint64_t *ret_len, bool *ret_special)
{
    uint64_t first;
    uint64_t more;
    if (!take_big_endian(in, 1, &first)) {
        return false;
    }
    *ret_special = first >> 6 == 3;
    if (first >> 6 == 0 || *ret_special) {
        *ret_len = first & 0x3f;
        return true;
    }
    if (first >> 6 == 1) {
        if (!take_big_endian(in, 1, &more)) {
            return false;
        }
        *ret_len = (first & 0x3f) << 8 | more;
        return true;
    }
    return (first == 0x80 || first == 0x81) && take_big_endian(in, first == 0x80 ? 4 : 8, ret_len);
}

bool rdb_take_count(struct slice *in, uint64_t *ret_count)
{
    bool special;
    return take_len(in, ret_count, &special) && !special;
}

static bool take_integer(struct slice *in, size_t size, struct buf *out)
{
    struct slice bytes;
    uint64_t value = 0;
    if (!take_bytes(in, size, &bytes)) {
        return false;
    }
    memcpy(&value, bytes.ptr, size);
    value = le64toh(value);
    unsigned unused = 64 - 8 * (unsigned)size;
    buf_append_i64(out, (int64_t)(value << unused) >> unused);
    return true;
}

static bool take_compressed(struct slice *in, struct buf *out)
{
    uint64_t packed;
    uint64_t len;
    struct slice bytes;
    return rdb_take_count(in, &packed) && rdb_take_count(in, &len) &&
           take_bytes(in, packed, &bytes) && rdb_expand_lzf(bytes, len, out);
}

/* Appends the text to `out`. */
bool rdb_take_text(struct slice *in, struct buf *out)
{
    uint64_t len;
    bool special;
    struct slice bytes;
    if (!take_len(in, &len, &special)) {
        return false;
    }
    if (!special) {
        if (!take_bytes(in, len, &bytes) || (len > 0 && buf_try_reserve(out, len) == NULL)) {
            return false;
        }
        buf_append_slice(out, bytes);
        return true;
    }
    switch (len) {
    case TEXT_INT8:
    case TEXT_INT16:
    case TEXT_INT32:
        return take_integer(in, (size_t)1 << len, out);
    case TEXT_LZF:
        return take_compressed(in, out);
    default:
        return false;
    }
}

/* --- elements ----------------------------------------------------------------------------------- */

/* The text is the last `len` bytes of `texts`. */
static bool took(struct rdb_value *v, size_t at)
{
    size_t len = buf_len(&v->texts) - at;
    if (v->is_half) {
        struct rdb_element *e = &v->elements[v->count - 1];
        v->is_half = false;
        e->value_at = at;
        e->value_len = len;
        struct slice text = {buf_readable(&v->texts).ptr + at, len};
        return v->kind != STORE_ZSET || real_parse(text, &e->score);
    }
    if (v->count == v->cap) {
        v->cap = v->cap > 0 ? v->cap * 2 : 16;
        v->elements = xrealloc(v->elements, v->cap * sizeof(*v->elements));
    }
    v->elements[v->count++] = (struct rdb_element){.name_at = at, .name_len = len};
    v->is_half = v->kind == STORE_HASH || v->kind == STORE_ZSET;
    return true;
}

bool rdb_take(struct rdb_value *v, struct slice text)
{
    size_t at = buf_len(&v->texts);
    if (text.len > 0 && buf_try_reserve(&v->texts, text.len) == NULL) {
        return false;
    }
    buf_append_slice(&v->texts, text);
    return took(v, at);
}

static bool take_element_text(struct rdb_value *v, struct slice *in)
{
    size_t at = buf_len(&v->texts);
    return rdb_take_text(in, &v->texts) && took(v, at);
}

static bool take_texts(struct rdb_value *v, struct slice *in, uint64_t per_element)
{
    uint64_t count;
    if (!rdb_take_count(in, &count) || count == 0 || count > in->len) {
        return false;
    }
    bool ok = true;
    for (uint64_t i = 0; i < count * per_element && ok; i++) {
        ok = take_element_text(v, in);
    }
    return ok;
}

/* As a text of its own kind: one byte of length, 253 to 255 for what is no finite number. */
static bool take_old_score(struct slice *in, double *ret_score)
{
    uint64_t len;
    struct slice text;
    if (!take_big_endian(in, 1, &len)) {
        return false;
    }
    if (len >= 253) {
        *ret_score = len == 254 ? (double)INFINITY : -(double)INFINITY;
        return len != 253;
    }
    return take_bytes(in, len, &text) && real_parse(text, ret_score);
}

static bool take_score(struct slice *in, double *ret_score)
{
    struct slice bytes;
    uint64_t bits;
    if (!take_bytes(in, sizeof(bits), &bytes)) {
        return false;
    }
    memcpy(&bits, bytes.ptr, sizeof(bits));
    bits = le64toh(bits);
    memcpy(ret_score, &bits, sizeof(bits));
    return !isnan(*ret_score);
}

static bool take_scored(struct rdb_value *v, struct slice *in, bool old)
{
    uint64_t count;
    if (!rdb_take_count(in, &count) || count == 0 || count > in->len) {
        return false;
    }
    bool ok = true;
    for (uint64_t i = 0; i < count && ok; i++) {
        ok = take_element_text(v, in);
        v->is_half = false;
        double *score = ok ? &v->elements[v->count - 1].score : NULL;
        ok = ok && (old ? take_old_score(in, score) : take_score(in, score));
    }
    return ok;
}

typedef bool packed_fn(struct rdb_value *v, struct slice bytes);

static bool take_packed(struct rdb_value *v, struct slice *in, packed_fn *unpack)
{
    struct buf bytes;
    buf_init(&bytes);
    bool ok = rdb_take_text(in, &bytes) && unpack(v, buf_readable(&bytes));
    buf_fini(&bytes);
    return ok;
}

/* Nodes of a list: a ziplist each, or what a number in front says: 1 an element, 2 a listpack. */
static bool take_nodes(struct rdb_value *v, struct slice *in, bool old)
{
    uint64_t count;
    if (!rdb_take_count(in, &count) || count == 0 || count > in->len) {
        return false;
    }
    bool ok = true;
    for (uint64_t i = 0; i < count && ok; i++) {
        uint64_t container = 2;
        ok = old || rdb_take_count(in, &container);
        if (ok && container == 1) {
            bool is_empty = in->len > 0 && in->ptr[0] == '\0'; /* only large ones stand alone */
            ok = !is_empty && take_element_text(v, in);
        } else if (ok) {
            ok = container == 2 && take_packed(v, in, old ? rdb_take_ziplist : rdb_take_listpack);
        }
    }
    return ok;
}

/* --- values ------------------------------------------------------------------------------------- */

static bool take_value(struct rdb_value *v, uint64_t type, struct slice *in)
{
    static const enum store_kind kinds[] = {
        [0] = STORE_STRING,  [1] = STORE_LIST,    [2] = STORE_SET,   [3] = STORE_ZSET,
        [4] = STORE_HASH,    [5] = STORE_ZSET,    [10] = STORE_LIST, [11] = STORE_SET,
        [12] = STORE_ZSET,   [13] = STORE_HASH,   [14] = STORE_LIST, [16] = STORE_HASH,
        [17] = STORE_ZSET,   [18] = STORE_LIST,   [20] = STORE_SET,  [15] = STORE_STREAM,
        [19] = STORE_STREAM, [21] = STORE_STREAM,
    };
    v->kind = type < array_len(kinds) ? kinds[type] : STORE_STRING;
    switch (type) {
    case 0:
        return take_element_text(v, in);
    case 1:
    case 2:
        return take_texts(v, in, 1);
    case 4:
        return take_texts(v, in, 2);
    case 3:
    case 5:
        return take_scored(v, in, type == 3);
    case 11:
        return take_packed(v, in, rdb_take_intset);
    case 10:
    case 12:
    case 13:
        return take_packed(v, in, rdb_take_ziplist);
    case 14:
    case 18:
        return take_nodes(v, in, type == 14);
    case 16:
    case 17:
    case 20:
        return take_packed(v, in, rdb_take_listpack);
    case 15:
    case 19:
    case 21:
        return rdb_take_stream(v, in, type != 15);
    default:
        return false;
    }
}

struct coll_element rdb_element(const struct rdb_value *v, uint64_t index)
{
    const struct rdb_element *e = &v->elements[index];
    const char *texts = buf_readable(&v->texts).ptr;
    return (struct coll_element){.name = {texts + e->name_at, e->name_len},
                                 .value = {texts + e->value_at, e->value_len},
                                 .score = e->score};
}

static int compare_names(const void *a, const void *b, void *arg)
{
    const struct rdb_element *x = a;
    const struct rdb_element *y = b;
    const char *texts = arg;
    if (x->name_len != y->name_len) {
        return x->name_len < y->name_len ? -1 : 1;
    }
    return memcmp(texts + x->name_at, texts + y->name_at, x->name_len);
}

/* Sorts elements whose order does not matter. */
static bool has_twins(struct rdb_value *v)
{
    char *texts = v->texts.mem + v->texts.start;
    if (v->kind == STORE_STRING || v->kind == STORE_LIST || v->kind == STORE_STREAM ||
        v->count < 2) {
        return false;
    }
    qsort_r(v->elements, v->count, sizeof(*v->elements), compare_names, texts);
    for (uint64_t i = 1; i < v->count; i++) {
        if (compare_names(&v->elements[i - 1], &v->elements[i], texts) == 0) {
            return true;
        }
    }
    return false;
}

bool rdb_read(struct slice payload, struct rdb_value *ret_value)
{
    struct rdb_value *v = ret_value;
    *v = (struct rdb_value){.count = 0};
    buf_init(&v->texts);
    buf_append_char(&v->texts, '\0'); /* so that there is an address, even of an empty text */
    uint64_t type;
    return take_big_endian(&payload, 1, &type) && take_value(v, type, &payload) &&
           payload.len == 0 && !v->is_half && (v->count > 0 || v->kind == STORE_STREAM) &&
           !has_twins(v);
}

void rdb_value_fini(struct rdb_value *v)
{
    free(v->elements);
    free(v->entries);
    buf_fini(&v->texts);
}
