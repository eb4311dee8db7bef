/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Elements to bytes and back; pack.h draws them.
 *
 * The inner loops of every collection are here: finding a name and seeking a rank are sweeps over a
 * kilobyte at most, which the processor reads ahead.
 *
 * Threads: none of its own.
 */
#include "store/pack.h"

#include "base/buf.h"
#include "base/check.h"

enum { LEB_MAX = 5, LEB_BITS = 7, LEB_MORE = 0x80 };

static size_t leb_size(size_t value)
{
    size_t size = 1;
    while (value >= LEB_MORE) {
        value >>= LEB_BITS;
        size++;
    }
    return size;
}

static char *leb_write(char *at, size_t value)
{
    while (value >= LEB_MORE) {
        *at++ = (char)(value | LEB_MORE);
        value >>= LEB_BITS;
    }
    *at++ = (char)value;
    return at;
}

static inline const char *leb_read(const char *at, size_t *ret_value)
{
    size_t value = (unsigned char)*at++;
    if (__builtin_expect(value >= LEB_MORE, 0)) {
        value &= LEB_MORE - 1;
        size_t byte;
        int shift = LEB_BITS;
        do {
            byte = (unsigned char)*at++;
            value |= (byte & (LEB_MORE - 1)) << shift;
            shift += LEB_BITS;
        } while (byte >= LEB_MORE);
    }
    *ret_value = value;
    return at;
}

/* The most significant group first, without the mark; the last byte is marked if there are more. */
static char *back_write(char *at, size_t value)
{
    size_t size = leb_size(value);
    for (size_t i = size; i-- > 0;) {
        size_t group = value >> (i * LEB_BITS) & (LEB_MORE - 1);
        *at++ = (char)(i == size - 1 ? group : group | LEB_MORE);
    }
    return at;
}

static char *bytes_write(char *at, const void *src, size_t len)
{
    if (len > 0) {
        memcpy(at, src, len);
    }
    return at + len;
}

const char *pack_back(const char *end)
{
    size_t value = 0;
    int shift = 0;
    size_t byte;
    do {
        byte = (unsigned char)*--end;
        value |= (byte & (LEB_MORE - 1)) << shift;
        shift += LEB_BITS;
    } while (byte >= LEB_MORE);
    return end - value;
}

/* --- writing ------------------------------------------------------------------------------------ */

static size_t body_size(enum store_kind kind, const struct coll_element *e)
{
    size_t size = leb_size(e->name.len) + e->name.len;
    switch (kind) {
    case STORE_HASH:
        return size + leb_size(e->value.len) + e->value.len;
    case STORE_ZSET:
        return size + sizeof(e->score);
    case STORE_STREAM:
        return size + sizeof(e->id);
    case STORE_STRING:
    case STORE_LIST:
    case STORE_SET:
        break;
    }
    return size;
}

size_t pack_size(enum store_kind kind, const struct coll_element *e)
{
    size_t size = body_size(kind, e);
    return pack_has_back(kind) ? size + leb_size(size) : size;
}

char *pack_write(enum store_kind kind, char *begin, const struct coll_element *e)
{
    char *at = leb_write(begin, e->name.len);
    if (kind == STORE_HASH) {
        at = leb_write(at, e->value.len);
    } else if (kind == STORE_ZSET) {
        at = bytes_write(at, &e->score, sizeof(e->score));
    } else if (kind == STORE_STREAM) {
        at = bytes_write(at, &e->id, sizeof(e->id));
    }
    at = bytes_write(at, e->name.ptr, e->name.len);
    if (kind == STORE_HASH) {
        at = bytes_write(at, e->value.ptr, e->value.len);
    }
    return pack_has_back(kind) ? back_write(at, (size_t)(at - begin)) : at;
}

void pack_append(struct buf *out, enum store_kind kind, const struct coll_element *e)
{
    char *begin = buf_reserve(out, pack_size(kind, e));
    buf_commit(out, (size_t)(pack_write(kind, begin, e) - begin));
}

static size_t fields_size(const struct slice *fields, uint32_t count)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        len += leb_size(fields[i].len) + fields[i].len;
    }
    return len;
}

size_t pack_entry_size(const struct slice *fields, uint32_t count)
{
    return fields_size(fields, count) + sizeof(struct coll_id) + (size_t)2 * LEB_MAX;
}

void pack_append_entry(struct buf *out, struct coll_id id, const struct slice *fields,
                       uint32_t count)
{
    size_t len = fields_size(fields, count);
    char *begin = buf_reserve(out, pack_entry_size(fields, count));
    char *at = leb_write(begin, len);
    at = bytes_write(at, &id, sizeof(id));
    for (uint32_t i = 0; i < count; i++) {
        at = leb_write(at, fields[i].len);
        at = bytes_write(at, fields[i].ptr, fields[i].len);
    }
    at = back_write(at, (size_t)(at - begin));
    buf_commit(out, (size_t)(at - begin));
}

/* --- reading ------------------------------------------------------------------------------------ */

/* Inlined for each kind, so that sweeps do not ask for it at every element. */
static inline __attribute__((always_inline)) const char *
read_as(enum store_kind kind, const char *at, struct coll_element *ret_element)
{
    struct coll_element *e = ret_element;
    const char *begin = at;
    at = leb_read(at, &e->name.len);
    if (kind == STORE_HASH) {
        at = leb_read(at, &e->value.len);
        e->name.ptr = at;
        e->value.ptr = at + e->name.len;
        return e->value.ptr + e->value.len;
    }
    if (kind == STORE_ZSET) {
        memcpy(&e->score, at, sizeof(e->score));
        at += sizeof(e->score);
    } else if (kind == STORE_STREAM) {
        memcpy(&e->id, at, sizeof(e->id));
        at += sizeof(e->id);
    }
    e->name.ptr = at;
    at += e->name.len;
    return kind == STORE_SET ? at : at + leb_size((size_t)(at - begin));
}

const char *pack_read(enum store_kind kind, const char *at, struct coll_element *ret_element)
{
    *ret_element = (struct coll_element){.score = 0};
    switch (kind) {
    case STORE_LIST:
        return read_as(STORE_LIST, at, ret_element);
    case STORE_SET:
        return read_as(STORE_SET, at, ret_element);
    case STORE_ZSET:
        return read_as(STORE_ZSET, at, ret_element);
    case STORE_HASH:
        return read_as(STORE_HASH, at, ret_element);
    case STORE_STREAM:
        return read_as(STORE_STREAM, at, ret_element);
    case STORE_STRING:
        break;
    }
    unreachable();
}

const char *pack_skip(enum store_kind kind, const char *at)
{
    struct coll_element e;
    return pack_read(kind, at, &e);
}

static inline __attribute__((always_inline)) const char *skip_as(enum store_kind kind,
                                                                 const char *at, uint64_t count)
{
    struct coll_element e;
    for (uint64_t i = 0; i < count; i++) {
        at = read_as(kind, at, &e);
    }
    return at;
}

const char *pack_seek(enum store_kind kind, struct slice packed, uint64_t count, uint64_t rank)
{
    if (pack_has_back(kind) && rank > count / 2) {
        const char *at = packed.ptr + packed.len;
        for (uint64_t i = count; i > rank; i--) {
            at = pack_back(at);
        }
        return at;
    }
    switch (kind) {
    case STORE_LIST:
        return skip_as(STORE_LIST, packed.ptr, rank);
    case STORE_SET:
        return skip_as(STORE_SET, packed.ptr, rank);
    case STORE_ZSET:
        return skip_as(STORE_ZSET, packed.ptr, rank);
    case STORE_HASH:
        return skip_as(STORE_HASH, packed.ptr, rank);
    case STORE_STREAM:
        return skip_as(STORE_STREAM, packed.ptr, rank);
    case STORE_STRING:
        break;
    }
    unreachable();
}

/* Names differ most at their ends: these are compared first, eight bytes at once. */
static inline __attribute__((always_inline)) bool is_named(const char *ptr, struct slice name,
                                                           uint64_t tail)
{
    uint64_t word;
    if (name.len < sizeof(word)) {
        return memcmp(ptr, name.ptr, name.len) == 0;
    }
    memcpy(&word, ptr + name.len - sizeof(word), sizeof(word));
    return word == tail && memcmp(ptr, name.ptr, name.len - sizeof(word)) == 0;
}

static inline __attribute__((always_inline)) const char *
find_as(enum store_kind kind, struct slice packed, struct slice name, uint64_t *ret_rank)
{
    const char *end = packed.ptr + packed.len;
    uint64_t rank = 0;
    uint64_t tail = 0;
    if (name.len == 0) {
        name.ptr = "";
    } else if (name.len >= sizeof(tail)) {
        memcpy(&tail, name.ptr + name.len - sizeof(tail), sizeof(tail));
    }
    for (const char *at = packed.ptr; at < end; rank++) {
        struct coll_element e;
        const char *next = read_as(kind, at, &e);
        if (e.name.len == name.len && is_named(e.name.ptr, name, tail)) {
            *ret_rank = rank;
            return at;
        }
        at = next;
    }
    return NULL;
}

const char *pack_find(enum store_kind kind, struct slice packed, struct slice name,
                      uint64_t *ret_rank)
{
    uint64_t rank = 0;
    uint64_t *at = ret_rank != NULL ? ret_rank : &rank;
    switch (kind) {
    case STORE_LIST:
        return find_as(STORE_LIST, packed, name, at);
    case STORE_SET:
        return find_as(STORE_SET, packed, name, at);
    case STORE_ZSET:
        return find_as(STORE_ZSET, packed, name, at);
    case STORE_HASH:
        return find_as(STORE_HASH, packed, name, at);
    case STORE_STRING:
    case STORE_STREAM:
        break;
    }
    unreachable();
}

/* The first zset element at or after (score, member): what is below in score is passed without a look at its
 * name. */
const char *pack_seek_score(struct slice packed, double score, struct slice member, bool after,
                            uint32_t *ret_rank)
{
    const char *at = packed.ptr;
    const char *end = at + packed.len;
    uint32_t rank = 0;
    while (at < end) {
        struct coll_element e;
        const char *next = read_as(STORE_ZSET, at, &e);
        if (e.score >= score) {
            int order = e.score > score ? 1 : pack_compare_bytes(e.name, member);
            if (order > 0 || (order == 0 && !after)) {
                break;
            }
        }
        at = next;
        rank++;
    }
    *ret_rank = rank;
    return at;
}

bool coll_field_next(struct slice *rest, struct slice *ret_text)
{
    if (rest->len == 0) {
        return false;
    }
    struct slice text;
    text.ptr = leb_read(rest->ptr, &text.len);
    *rest = slice_from(*rest, (size_t)(text.ptr - rest->ptr) + text.len);
    *ret_text = text;
    return true;
}

uint32_t coll_field_count(struct slice fields)
{
    uint32_t count = 0;
    struct slice text;
    while (coll_field_next(&fields, &text)) {
        count++;
    }
    return count;
}

/* --- order -------------------------------------------------------------------------------------- */

int pack_compare_bytes(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int pack_compare(const struct coll_element *a, const struct coll_element *b)
{
    if (a->score != b->score) { /* never NaN; -0 equals 0 */
        return a->score < b->score ? -1 : 1;
    }
    return pack_compare_bytes(a->name, b->name);
}
