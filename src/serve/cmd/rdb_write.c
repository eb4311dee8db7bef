/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing a value in Redis' snapshot format, and the checksum; rdb.h has the frame.
 *
 *      type 0 string: text       1 list, 2 set: count, texts        4 hash: count, (field, value)...
 *           5 sorted set: count, (member, 8 bytes of a double, little endian)..., highest score first
 *          19 stream: rdb_stream.c
 *
 *      length  00xxxxxx | 01xxxxxx byte | 10000000 4 bytes | 10000001 8 bytes, big endian
 *      text    length, bytes
 */
#include "serve/cmd/rdb.h"

#include <endian.h>

enum { VERSION_WRITTEN = 9, VERSION_READ = 11, FOOTER = 10 };

/* Eight bits at a time; the polynomial is 0xad93d23594c935a9, bits reversed. */
static uint64_t crc64(struct slice bytes)
{
    static const uint64_t reversed = 0x95ac9329ac4bc9b5ULL;
    static _Thread_local uint64_t table[256];
    if (table[1] == 0) {
        for (uint64_t i = 0; i < 256; i++) {
            uint64_t crc = i;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc & 1) != 0 ? crc >> 1 ^ reversed : crc >> 1;
            }
            table[i] = crc;
        }
    }
    uint64_t crc = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        crc = table[(crc ^ (unsigned char)bytes.ptr[i]) & 0xff] ^ crc >> 8;
    }
    return crc;
}

void rdb_put_len(struct buf *out, uint64_t len)
{
    if (len < 1 << 6) {
        buf_append_char(out, (char)len);
    } else if (len < 1 << 14) {
        buf_append_char(out, (char)(0x40 | len >> 8));
        buf_append_char(out, (char)len);
    } else if (len <= UINT32_MAX) {
        uint32_t be = htobe32((uint32_t)len);
        buf_append_char(out, (char)0x80);
        buf_append(out, &be, sizeof(be));
    } else {
        uint64_t be = htobe64(len);
        buf_append_char(out, (char)0x81);
        buf_append(out, &be, sizeof(be));
    }
}

void rdb_put_text(struct buf *out, struct slice text)
{
    rdb_put_len(out, text.len);
    buf_append_slice(out, text);
}

static void put_score(struct buf *out, double score)
{
    uint64_t bits;
    memcpy(&bits, &score, sizeof(bits));
    bits = htole64(bits);
    buf_append(out, &bits, sizeof(bits));
}

static void put_elements(const struct store_hold *h, const struct store_item *it, struct buf *out)
{
    struct coll_walk walk;
    struct coll_element e;
    enum store_kind kind = store_item_kind(it);
    uint64_t count = coll_count(it);
    bool backward = kind == STORE_ZSET;
    rdb_put_len(out, count);
    coll_walk_begin(h, it, backward ? count - 1 : 0, backward, &walk);
    while (coll_walk_next(&walk, &e)) {
        rdb_put_text(out, e.name);
        if (kind == STORE_HASH) {
            rdb_put_text(out, e.value);
        } else if (kind == STORE_ZSET) {
            put_score(out, e.score);
        }
    }
}

static void put_value(const struct store_hold *h, const struct store_item *it, struct buf *out)
{
    switch (store_item_kind(it)) {
    case STORE_STRING:
        buf_append_char(out, 0);
        rdb_put_text(out, store_item_value(it));
        return;
    case STORE_LIST:
        buf_append_char(out, 1);
        break;
    case STORE_SET:
        buf_append_char(out, 2);
        break;
    case STORE_HASH:
        buf_append_char(out, 4);
        break;
    case STORE_ZSET:
        buf_append_char(out, 5);
        break;
    case STORE_STREAM:
        buf_append_char(out, 19);
        rdb_put_stream(h, it, out);
        return;
    }
    put_elements(h, it, out);
}

void rdb_seal(struct buf *out, size_t before)
{
    uint16_t version = htole16(VERSION_WRITTEN);
    buf_append(out, &version, sizeof(version));
    uint64_t crc = htole64(crc64(slice_from(buf_readable(out), before)));
    buf_append(out, &crc, sizeof(crc));
}

void rdb_write(const struct store_hold *h, const struct store_item *it, struct buf *out)
{
    size_t before = buf_len(out);
    put_value(h, it, out);
    rdb_seal(out, before);
}

bool rdb_check(struct slice *payload)
{
    uint16_t version;
    uint64_t crc;
    if (payload->len < FOOTER) {
        return false;
    }
    memcpy(&version, payload->ptr + payload->len - FOOTER, sizeof(version));
    memcpy(&crc, payload->ptr + payload->len - sizeof(crc), sizeof(crc));
    struct slice summed = {payload->ptr, payload->len - sizeof(crc)};
    payload->len -= FOOTER;
    return le16toh(version) <= VERSION_READ && crc64(summed) == le64toh(crc);
}
