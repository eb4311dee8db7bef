/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pgoutput, proto_version 2, as PostgreSQL 14 and later send it (PostgreSQL manual, "Logical
 * Replication Message Formats"). Integers are big-endian.
 *
 *   w  start:8 end:8 time:8 message            k  end:8 time:8 reply:1
 *   B  final:8 time:8 xid:4                    C  flags:1 lsn:8 end:8 time:8
 *   R  oid:4 schema\0 name\0 identity:1 n:2 { flags:1 name\0 type:4 typmod:4 }
 *   I  oid:4 N tuple                           D  oid:4 (K|O) tuple
 *   U  oid:4 [(K|O) tuple] N tuple             T  n:4 flags:1 { oid:4 }
 *   M  flags:1 lsn:8 prefix\0 len:4 bytes      Y  oid:4 schema\0 name\0
 *   O  lsn:8 name\0                            tuple  n:2 { n | u | t len:4 bytes }
 *   S  xid:4 first:1                           E
 *   c  xid:4 flags:1 lsn:8 end:8 time:8        A  xid:4 subxid:4
 *
 * Between S and E, a block of a transaction that has not ended, the letters R, Y, I, U, D, T and M are
 * followed by xid:4, that of the subtransaction.
 *
 * Reading is total: a reader that would pass its end turns bad, gives zeros from then on, and is
 * asked once, at the end of the message. So no length from outside is trusted before the bytes were
 * seen.
 *
 * Invariant D1. An event is given only if every byte of the message was read and understood: a
 * message that we do not understand may be a change that we do not mark.
 *
 * Not done: prepared transactions (proto_version 3), binary values: never asked for.
 */
#include "follow/decode.h"

#include "base/alloc.h"

#include <stdlib.h>

struct decoder {
    struct decode_value old_values[DECODE_COLUMNS_MAX];
    struct decode_value new_values[DECODE_COLUMNS_MAX];
    struct decode_column columns[DECODE_COLUMNS_MAX];
    uint32_t *oids;
    uint32_t oid_cap;
    bool in_block; /* between S and E */
};

/* --- the reader --------------------------------------------------------------------------------- */

struct reader {
    const unsigned char *at;
    size_t left;
    bool bad;
};

static struct reader reader_of(struct slice in)
{
    return (struct reader){(const unsigned char *)in.ptr, in.len, false};
}

static bool reader_done(const struct reader *r)
{
    return !r->bad && r->left == 0;
}

static struct slice take_bytes(struct reader *r, size_t len)
{
    if (r->bad || r->left < len) {
        r->bad = true;
        return (struct slice){"", 0};
    }
    struct slice s = {(const char *)r->at, len};
    r->at += len;
    r->left -= len;
    return s;
}

static uint64_t take_number(struct reader *r, size_t bytes)
{
    struct slice s = take_bytes(r, bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        value = value << 8 | (unsigned char)s.ptr[i];
    }
    return value;
}

static uint8_t take_u8(struct reader *r)
{
    return (uint8_t)take_number(r, 1);
}

static uint16_t take_u16(struct reader *r)
{
    return (uint16_t)take_number(r, 2);
}

static uint32_t take_u32(struct reader *r)
{
    return (uint32_t)take_number(r, 4);
}

static uint64_t take_u64(struct reader *r)
{
    return take_number(r, 8);
}

static struct slice take_cstring(struct reader *r)
{
    const void *end = r->left > 0 ? memchr(r->at, '\0', r->left) : NULL;
    if (r->bad || end == NULL) {
        r->bad = true;
        return (struct slice){"", 0};
    }
    struct slice s = take_bytes(r, (size_t)((const unsigned char *)end - r->at) + 1);
    s.len--;
    return s;
}

/* --- frames ------------------------------------------------------------------------------------- */

bool decode_frame(struct slice in, struct decode_frame *ret_frame)
{
    struct reader r = reader_of(in);
    struct decode_frame f = {0};
    switch (take_u8(&r)) {
    case 'w':
        (void)take_u64(&r); /* the change's own position: nothing may be concluded from it */
        (void)take_u64(&r);
        (void)take_u64(&r);
        f.message = take_bytes(&r, r.left);
        break;
    case 'k':
        f.keepalive = true;
        f.end_lsn = take_u64(&r);
        (void)take_u64(&r);
        f.reply_requested = take_u8(&r) != 0;
        break;
    default:
        return false;
    }
    if (!reader_done(&r)) {
        return false;
    }
    *ret_frame = f;
    return true;
}

/* --- tuples ------------------------------------------------------------------------------------- */

static struct decode_tuple take_tuple(struct reader *r, struct decode_value *values)
{
    uint32_t count = take_u16(r);
    if (count > DECODE_COLUMNS_MAX) {
        r->bad = true;
        count = 0;
    }
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct decode_value v = {.kind = DECODE_TEXT};
        switch (take_u8(r)) {
        case 'n':
            v.kind = DECODE_NULL;
            break;
        case 'u':
            v.kind = DECODE_UNCHANGED;
            break;
        case 't':
            v.text = take_bytes(r, take_u32(r));
            break;
        default:
            r->bad = true;
            break;
        }
        values[i] = v;
    }
    return (struct decode_tuple){count, values};
}

/* [K|O tuple] [N tuple]; which of them there must be is the caller's to check. */
static bool take_row(struct decoder *d, struct reader *r, struct decode_row *ret_row)
{
    struct decode_row row = {.relation = take_u32(r)};
    uint8_t tag = take_u8(r);
    if (tag == 'K' || tag == 'O') {
        row.old_kind = tag == 'K' ? DECODE_OLD_KEY : DECODE_OLD_FULL;
        row.old_row = take_tuple(r, d->old_values);
        if (r->left == 0) {
            *ret_row = row;
            return true;
        }
        tag = take_u8(r);
    }
    if (tag != 'N') {
        return false;
    }
    row.new_row = take_tuple(r, d->new_values);
    *ret_row = row;
    return true;
}

static bool has_new(const struct decode_row *row)
{
    return row->new_row.values != NULL;
}

static bool same_width(const struct decode_row *row)
{
    return row->old_kind == DECODE_OLD_NONE || !has_new(row) ||
           row->old_row.count == row->new_row.count;
}

/* --- messages ----------------------------------------------------------------------------------- */

static bool take_relation(struct decoder *d, struct reader *r, struct decode_relation *ret_relation)
{
    struct decode_relation rel = {.oid = take_u32(r), .columns = d->columns};
    rel.schema = take_cstring(r);
    rel.name = take_cstring(r);
    rel.identity = (char)take_u8(r);
    rel.column_count = take_u16(r);
    if (rel.column_count > DECODE_COLUMNS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < rel.column_count && !r->bad; i++) {
        d->columns[i].identity = (take_u8(r) & 1) != 0;
        d->columns[i].name = take_cstring(r);
        d->columns[i].type_oid = take_u32(r);
        (void)take_u32(r); /* typmod */
    }
    *ret_relation = rel;
    return true;
}

static bool take_truncate(struct decoder *d, struct reader *r, struct decode_truncate *ret_truncate)
{
    uint32_t count = take_u32(r);
    (void)take_u8(r); /* CASCADE, RESTART IDENTITY */
    if (r->bad || count > r->left / 4) {
        return false;
    }
    if (count > d->oid_cap) {
        d->oids = xrealloc(d->oids, count * sizeof(*d->oids));
        d->oid_cap = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        d->oids[i] = take_u32(r);
    }
    *ret_truncate = (struct decode_truncate){count, d->oids};
    return true;
}

static struct decode_message take_message(struct reader *r)
{
    struct decode_message m = {.transactional = (take_u8(r) & 1) != 0, .lsn = take_u64(r)};
    m.prefix = take_cstring(r);
    m.content = take_bytes(r, take_u32(r));
    return m;
}

static bool take_stream_event(struct reader *r, uint8_t letter, struct decode_event *e)
{
    switch (letter) {
    case 'S':
        e->kind = DECODE_STREAM_START;
        e->stream.xid = take_u32(r);
        (void)take_u8(r); /* the first block of this transaction? */
        return true;
    case 'E':
        e->kind = DECODE_STREAM_STOP;
        return true;
    case 'c':
        e->kind = DECODE_STREAM_COMMIT;
        e->commit.xid = take_u32(r);
        (void)take_u8(r);
        (void)take_u64(r);
        e->commit.end_lsn = take_u64(r);
        (void)take_u64(r);
        return true;
    case 'A':
        e->kind = DECODE_STREAM_ABORT;
        e->stream.xid = take_u32(r);
        e->stream.subxid = take_u32(r);
        return true;
    default:
        return false;
    }
}

static bool take_event(struct decoder *d, struct reader *r, struct decode_event *e)
{
    uint8_t letter = take_u8(r);
    if (d->in_block && letter != '\0' && strchr("RYIUDTM", letter) != NULL) {
        (void)take_u32(r); /* which part of the transaction: it counts as a whole */
    }
    switch (letter) {
    case 'B':
        e->kind = DECODE_BEGIN;
        (void)take_u64(r);
        (void)take_u64(r);
        e->begin.xid = take_u32(r);
        return true;
    case 'C':
        e->kind = DECODE_COMMIT;
        (void)take_u8(r);
        (void)take_u64(r);
        e->commit.end_lsn = take_u64(r);
        (void)take_u64(r);
        return true;
    case 'R':
        e->kind = DECODE_RELATION;
        return take_relation(d, r, &e->relation);
    case 'I':
        e->kind = DECODE_INSERT;
        return take_row(d, r, &e->row) && e->row.old_kind == DECODE_OLD_NONE && has_new(&e->row);
    case 'U':
        e->kind = DECODE_UPDATE;
        return take_row(d, r, &e->row) && has_new(&e->row) && same_width(&e->row);
    case 'D':
        e->kind = DECODE_DELETE;
        return take_row(d, r, &e->row) && e->row.old_kind != DECODE_OLD_NONE && !has_new(&e->row);
    case 'T':
        e->kind = DECODE_TRUNCATE;
        return take_truncate(d, r, &e->truncate);
    case 'Y':
        e->kind = DECODE_TYPE;
        (void)take_u32(r);
        (void)take_cstring(r);
        (void)take_cstring(r);
        return true;
    case 'O':
        e->kind = DECODE_ORIGIN;
        (void)take_u64(r);
        (void)take_cstring(r);
        return true;
    case 'M':
        e->kind = DECODE_MESSAGE;
        e->message = take_message(r);
        return true;
    default:
        return take_stream_event(r, letter, e);
    }
}

bool decode_event(struct decoder *d, struct slice in, struct decode_event *ret_event,
                  const char **ret_why)
{
    struct reader r = reader_of(in);
    struct decode_event e = {0};
    bool known = take_event(d, &r, &e);
    if (r.bad) {
        *ret_why = "a truncated message";
        return false;
    }
    if (!known) {
        *ret_why = "a message that the protocol does not have";
        return false;
    }
    if (r.left > 0) {
        *ret_why = "a message longer than its contents";
        return false;
    }
    if (e.kind == DECODE_STREAM_START || e.kind == DECODE_STREAM_STOP) {
        d->in_block = e.kind == DECODE_STREAM_START;
    }
    *ret_event = e;
    return true;
}

void decoder_reset(struct decoder *d)
{
    d->in_block = false;
}

struct decoder *decoder_create(void)
{
    return xcalloc(1, sizeof(struct decoder));
}

void decoder_destroy(struct decoder **d)
{
    if (*d != NULL) {
        free((*d)->oids);
        free(*d);
        *d = NULL;
    }
}
