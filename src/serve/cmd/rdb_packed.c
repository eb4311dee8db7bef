/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packed forms inside Redis' snapshot format: listpack, ziplist, intset; and compressed texts (LZF).
 *
 *      listpack  4 bytes of length, 2 of count, entries, 0xff
 *        entry   0xxxxxxx                       an integer of 7 bits
 *                10xxxxxx bytes                 a text of so many bytes
 *                110xxxxx x                     a signed integer of 13 bits
 *                1110xxxx x bytes               a text, 12 bits of length
 *                11110000 llll bytes            a text, 4 bytes of length, little endian
 *                11110001 .. 11110100           an integer of 2, 3, 4, 8 bytes, little endian
 *                then the entry's length again, 7 bits a byte, for reading backwards
 *      ziplist   4 bytes of length, 4 of the tail's place, 2 of count, entries, 0xff
 *        entry   length of the one before: 1 byte, or 0xfe and 4; then
 *                00xxxxxx bytes                 a text of so many bytes
 *                01xxxxxx x bytes               14 bits of length, big endian
 *                10...... xxxx bytes            4 bytes of length, big endian
 *                11000000 2, 11010000 4, 11100000 8, 11110000 3, 11111110 1 byte of integer
 *                1111xxxx                       0 to 12, plus one
 *      intset    4 bytes of integer size (2, 4, 8), 4 of count, integers, all little endian
 *      LZF       000xxxxx: so many plus one bytes as they are; else lll..... ddd: a repetition
 *
 * Counts and lengths, and places that are said twice, must agree with what is there; else they are believed in
 * nothing.
 */
#include "serve/cmd/rdb.h"

#include "base/check.h"

#include <endian.h>

/* What is still to be read. */
struct reader {
    const unsigned char *at;
    size_t left;
    bool failed;
};

static const unsigned char *take(struct reader *r, size_t len)
{
    const unsigned char *at = r->at;
    if (r->failed || r->left < len) {
        r->failed = true;
        return NULL;
    }
    r->at += len;
    r->left -= len;
    return at;
}

/* Signed. */
static int64_t take_little_endian(struct reader *r, size_t size)
{
    uint64_t value = 0;
    const unsigned char *bytes = take(r, size);
    for (size_t i = size; bytes != NULL && i > 0; i--) {
        value = value << 8 | bytes[i - 1];
    }
    unsigned unused = 64 - 8 * (unsigned)size;
    return (int64_t)(value << unused) >> unused;
}

static uint64_t take_big_endian(struct reader *r, size_t size)
{
    uint64_t value = 0;
    const unsigned char *bytes = take(r, size);
    for (size_t i = 0; bytes != NULL && i < size; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static bool give_text(struct rdb_value *v, struct reader *r, uint64_t len)
{
    const unsigned char *bytes = take(r, len);
    return bytes != NULL && rdb_take(v, (struct slice){(const char *)bytes, len});
}

static bool give_integer(struct rdb_value *v, const struct reader *r, int64_t value)
{
    struct buf text;
    buf_init(&text);
    buf_append_i64(&text, value);
    bool ok = !r->failed && rdb_take(v, buf_readable(&text));
    buf_fini(&text);
    return ok;
}

/* The reader over the entries of a form whose head is `head` bytes and whose last byte is 0xff. */
static bool open_entries(struct slice bytes, size_t head, struct reader *ret_reader)
{
    uint32_t total;
    if (bytes.len < head + 1 || (unsigned char)bytes.ptr[bytes.len - 1] != 0xff) {
        return false;
    }
    memcpy(&total, bytes.ptr, sizeof(total));
    *ret_reader =
        (struct reader){(const unsigned char *)bytes.ptr + head, bytes.len - head - 1, false};
    return le32toh(total) == bytes.len;
}

/* --- listpack ----------------------------------------------------------------------------------- */

static bool take_listpack_entry(struct rdb_value *v, struct reader *r)
{
    static const size_t sizes[] = {2, 3, 4, 8};
    const unsigned char *first = take(r, 1);
    if (first == NULL) {
        return false;
    }
    unsigned b = *first;
    if (b < 0x80) {
        return give_integer(v, r, b);
    }
    if (b < 0xc0) {
        return give_text(v, r, b & 0x3f);
    }
    if (b < 0xe0) {
        uint64_t bits = (uint64_t)(b & 0x1f) << 8 | take_big_endian(r, 1);
        return give_integer(v, r, (int64_t)(bits << 51) >> 51);
    }
    if (b < 0xf0) {
        return give_text(v, r, (uint64_t)(b & 0x0f) << 8 | take_big_endian(r, 1));
    }
    if (b == 0xf0) {
        return give_text(v, r, (uint64_t)take_little_endian(r, 4) & UINT32_MAX);
    }
    return b <= 0xf4 && give_integer(v, r, take_little_endian(r, sizes[b - 0xf1]));
}

/* Redis' own steps, which leave out the last length that would fit. */
size_t rdb_back_len(size_t entry_len)
{
    static const size_t most[] = {127, 16382, 2097150, 268435454};
    size_t len = 1;
    while (len <= array_len(most) && entry_len > most[len - 1]) {
        len++;
    }
    return len;
}

/* The length of the entry before, most significant bits first; all bytes but the first are marked. */
static bool take_back_len(struct reader *r, size_t entry_len)
{
    size_t size = rdb_back_len(entry_len);
    const unsigned char *bytes = take(r, size);
    uint64_t said = 0;
    bool ok = bytes != NULL;
    for (size_t i = 0; ok && i < size; i++) {
        ok = i == 0 || (bytes[i] & 0x80) != 0;
        said = said << 7 | (bytes[i] & 0x7f);
    }
    return ok && said == entry_len;
}

/* Is `count` what the head of a form says? The largest number stands for "not known". */
static bool is_count(const char *head, uint64_t count)
{
    uint16_t said;
    memcpy(&said, head, sizeof(said));
    said = le16toh(said);
    return said == UINT16_MAX || said == count;
}

bool rdb_take_listpack(struct rdb_value *v, struct slice bytes)
{
    struct reader r;
    uint64_t count = 0;
    bool ok = open_entries(bytes, 6, &r);
    while (ok && r.left > 0) {
        size_t before = r.left;
        ok = take_listpack_entry(v, &r) && take_back_len(&r, before - r.left);
        count++;
    }
    return ok && is_count(bytes.ptr + 4, count);
}

/* --- ziplist ------------------------------------------------------------------------------------ */

/* The length of the entry before, in one byte or five. */
static bool take_length_before(struct reader *r, size_t length)
{
    const unsigned char *first = take(r, 1);
    if (first == NULL) {
        return false;
    }
    uint64_t said = *first != 0xfe ? *first : (uint64_t)take_little_endian(r, 4) & UINT32_MAX;
    return !r->failed && said == length;
}

static bool take_ziplist_entry(struct rdb_value *v, struct reader *r, size_t length_before)
{
    const unsigned char *first = NULL;
    if (!take_length_before(r, length_before) || (first = take(r, 1)) == NULL) {
        return false;
    }
    unsigned b = *first;
    switch (b >> 6) {
    case 0:
        return give_text(v, r, b);
    case 1:
        return give_text(v, r, (uint64_t)(b & 0x3f) << 8 | take_big_endian(r, 1));
    case 2:
        return give_text(v, r, take_big_endian(r, 4));
    default:
        break;
    }
    switch (b) {
    case 0xc0:
        return give_integer(v, r, take_little_endian(r, 2));
    case 0xd0:
        return give_integer(v, r, take_little_endian(r, 4));
    case 0xe0:
        return give_integer(v, r, take_little_endian(r, 8));
    case 0xf0:
        return give_integer(v, r, take_little_endian(r, 3));
    case 0xfe:
        return give_integer(v, r, take_little_endian(r, 1));
    default:
        return b > 0xf0 && b < 0xfe && give_integer(v, r, (int64_t)(b & 0x0f) - 1);
    }
}

bool rdb_take_ziplist(struct rdb_value *v, struct slice bytes)
{
    enum { HEAD = 10 };
    struct reader r;
    uint64_t count = 0;
    size_t last = 0;
    uint32_t tail;
    bool ok = open_entries(bytes, HEAD, &r);
    while (ok && r.left > 0) {
        size_t before = r.left;
        ok = take_ziplist_entry(v, &r, last);
        last = before - r.left;
        count++;
    }
    if (!ok) {
        return false;
    }
    memcpy(&tail, bytes.ptr + 4, sizeof(tail));
    return is_count(bytes.ptr + 8, count) && le32toh(tail) == bytes.len - 1 - last;
}

/* --- intset ------------------------------------------------------------------------------------- */

bool rdb_take_intset(struct rdb_value *v, struct slice bytes)
{
    struct reader r = {(const unsigned char *)bytes.ptr, bytes.len, false};
    uint64_t size = (uint64_t)take_little_endian(&r, 4) & UINT32_MAX;
    uint64_t count = (uint64_t)take_little_endian(&r, 4) & UINT32_MAX;
    bool ok = !r.failed && (size == 2 || size == 4 || size == 8) && r.left == size * count;
    for (uint64_t i = 0; i < count && ok; i++) {
        ok = give_integer(v, &r, take_little_endian(&r, size));
    }
    return ok;
}

/* --- LZF ---------------------------------------------------------------------------------------- */

enum { EXPANDS_MOST = 300 }; /* times; a repetition is 3 bytes for at most 264 */

/* One repetition; `start` is where this text begins. */
static bool repeat(struct reader *r, unsigned control, char *start, size_t *used, size_t len)
{
    size_t count = (control >> 5) + 2;
    if (control >> 5 == 7) {
        count += take_big_endian(r, 1);
    }
    size_t back = ((size_t)(control & 0x1f) << 8 | take_big_endian(r, 1)) + 1;
    if (r->failed || back > *used || count > len - *used) {
        return false;
    }
    for (size_t i = 0; i < count; i++) { /* may overlap itself */
        start[*used] = start[*used - back];
        (*used)++;
    }
    return true;
}

bool rdb_expand_lzf(struct slice bytes, size_t len, struct buf *out)
{
    struct reader r = {(const unsigned char *)bytes.ptr, bytes.len, false};
    char *start = len > 0 && len <= bytes.len * EXPANDS_MOST ? buf_try_reserve(out, len) : NULL;
    size_t used = 0;
    bool ok = start != NULL;
    while (ok && r.left > 0) {
        const unsigned char *head = take(&r, 1);
        check(head != NULL); /* something was left */
        unsigned control = *head;
        if (control >= 32) {
            ok = repeat(&r, control, start, &used, len);
            continue;
        }
        const unsigned char *plain = control + 1 <= len - used ? take(&r, control + 1) : NULL;
        ok = plain != NULL;
        if (ok) {
            memcpy(start + used, plain, control + 1);
            used += control + 1;
        }
    }
    if (ok && used == len) {
        buf_commit(out, len);
    }
    return ok && used == len;
}
