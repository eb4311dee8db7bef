/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The decoder against messages made by hand. Every message is also cut at every byte, and given one
 * byte too many, from memory of exactly that size: none of these may be accepted.
 */
#include "base/alloc.h"
#include "bytes.h"
#include "follow/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct decoder *decoder;
static struct buf message;

static int set_up(void **state)
{
    decoder = decoder_create();
    buf_init(&message);
    return 0;
}

static int tear_down(void **state)
{
    decoder_destroy(&decoder);
    buf_fini(&message);
    return 0;
}

/* From memory of its own, so that the sanitizers see a byte read too far. */
static bool decode_copy(const char *bytes, size_t len)
{
    struct decode_event e;
    const char *why = NULL;
    char *copy = xmalloc(len > 0 ? len : 1);
    memcpy(copy, bytes, len);
    bool good = decode_event(decoder, (struct slice){copy, len}, &e, &why);
    assert_true(good || why != NULL);
    free(copy);
    return good;
}

static struct decode_event decode(void)
{
    struct slice in = buf_readable(&message);
    for (size_t len = 0; len < in.len; len++) {
        assert_false(decode_copy(in.ptr, len));
    }
    char *longer = xmalloc(in.len + 1);
    memcpy(longer, in.ptr, in.len);
    longer[in.len] = 0;
    assert_false(decode_copy(longer, in.len + 1));
    free(longer);

    struct decode_event e;
    const char *why = NULL;
    assert_true(decode_event(decoder, in, &e, &why));
    return e;
}

static bool refused(void)
{
    struct slice in = buf_readable(&message);
    return !decode_copy(in.ptr, in.len);
}

static void start(char kind)
{
    buf_clear(&message);
    buf_append_char(&message, kind);
}

static void assert_text(struct slice got, const char *want)
{
    assert_true(slice_is(got, want));
}

static void begin_and_commit(void **state)
{
    start('B');
    put_number(&message, 0x1122334455667788, 8);
    put_number(&message, 1, 8);
    put_number(&message, 0xfffffffe, 4);
    struct decode_event e = decode();
    assert_int_equal(e.kind, DECODE_BEGIN);
    assert_int_equal(e.begin.xid, 0xfffffffe);

    start('C');
    put_number(&message, 0, 1);
    put_number(&message, 5, 8);
    put_number(&message, 0x8122334455667788, 8);
    put_number(&message, 1, 8);
    e = decode();
    assert_int_equal(e.kind, DECODE_COMMIT);
    assert_int_equal(e.commit.end_lsn, 0x8122334455667788);
}

static void put_relation(uint32_t columns)
{
    start('R');
    put_number(&message, 70000, 4);
    put_cstring(&message, "public");
    put_cstring(&message, "thing");
    buf_append_char(&message, 'd');
    put_number(&message, columns, 2);
    for (uint32_t i = 0; i < columns; i++) {
        put_number(&message, i == 0, 1);
        put_cstring(&message, i == 0 ? "id" : "v");
        put_number(&message, i == 0 ? 23 : 25, 4);
        put_number(&message, 0xffffffff, 4);
    }
}

static void relation(void **state)
{
    put_relation(2);
    struct decode_event e = decode();
    assert_int_equal(e.kind, DECODE_RELATION);
    assert_int_equal(e.relation.oid, 70000);
    assert_text(e.relation.schema, "public");
    assert_text(e.relation.name, "thing");
    assert_int_equal(e.relation.identity, 'd');
    assert_int_equal(e.relation.column_count, 2);
    assert_text(e.relation.columns[0].name, "id");
    assert_true(e.relation.columns[0].identity);
    assert_int_equal(e.relation.columns[1].type_oid, 25);
    assert_false(e.relation.columns[1].identity);

    put_relation(0);
    assert_int_equal(decode().relation.column_count, 0);
}

static void more_columns_than_postgresql_has(void **state)
{
    put_relation(DECODE_COLUMNS_MAX);
    struct decode_event e;
    const char *why = NULL;
    assert_true(decode_event(decoder, buf_readable(&message), &e, &why));
    put_relation(DECODE_COLUMNS_MAX + 1);
    assert_true(refused());

    start('I');
    put_number(&message, 1, 4);
    buf_append_char(&message, 'N');
    put_number(&message, DECODE_COLUMNS_MAX + 1, 2);
    for (int i = 0; i <= DECODE_COLUMNS_MAX; i++) {
        buf_append_char(&message, 'n');
    }
    assert_true(refused());
}

static void rows(void **state)
{
    start('I');
    put_number(&message, 9, 4);
    put_tuple(&message, 'N', "tnut", (const char *[]){"42", ""});
    struct decode_event e = decode();
    assert_int_equal(e.kind, DECODE_INSERT);
    assert_int_equal(e.row.relation, 9);
    assert_int_equal(e.row.old_kind, DECODE_OLD_NONE);
    assert_int_equal(e.row.new_row.count, 4);
    assert_int_equal(e.row.new_row.values[0].kind, DECODE_TEXT);
    assert_text(e.row.new_row.values[0].text, "42");
    assert_int_equal(e.row.new_row.values[1].kind, DECODE_NULL);
    assert_int_equal(e.row.new_row.values[2].kind, DECODE_UNCHANGED);
    assert_text(e.row.new_row.values[3].text, "");

    start('U');
    put_number(&message, 9, 4);
    put_tuple(&message, 'N', "t", (const char *[]){"new"});
    e = decode();
    assert_int_equal(e.kind, DECODE_UPDATE);
    assert_int_equal(e.row.old_kind, DECODE_OLD_NONE);

    start('U');
    put_number(&message, 9, 4);
    put_tuple(&message, 'D', "t", (const char *[]){"x"});
    assert_true(refused());

    start('D');
    put_number(&message, 9, 4);
    put_tuple(&message, 'K', "tn", (const char *[]){"1"});
    e = decode();
    assert_int_equal(e.kind, DECODE_DELETE);
    assert_int_equal(e.row.old_kind, DECODE_OLD_KEY);
    assert_text(e.row.old_row.values[0].text, "1");
}

/* An UPDATE cut behind its old tuple would be a DELETE's body: decode() sees that it is refused. */
static void old_and_new(void **state)
{
    start('U');
    put_number(&message, 9, 4);
    put_tuple(&message, 'O', "tn", (const char *[]){"old"});
    put_tuple(&message, 'N', "tt", (const char *[]){"new", "x"});
    struct decode_event e = decode();
    assert_int_equal(e.row.old_kind, DECODE_OLD_FULL);
    assert_text(e.row.old_row.values[0].text, "old");
    assert_text(e.row.new_row.values[0].text, "new");

    start('U');
    put_number(&message, 9, 4);
    put_tuple(&message, 'K', "t", (const char *[]){"old"});
    put_tuple(&message, 'N', "tt", (const char *[]){"new", "x"});
    assert_true(refused()); /* of different width */
}

static void rows_that_cannot_be(void **state)
{
    start('I'); /* with an old tuple */
    put_number(&message, 9, 4);
    put_tuple(&message, 'K', "t", (const char *[]){"1"});
    put_tuple(&message, 'N', "t", (const char *[]){"1"});
    assert_true(refused());

    start('D'); /* with a new tuple */
    put_number(&message, 9, 4);
    put_tuple(&message, 'N', "t", (const char *[]){"1"});
    assert_true(refused());

    start('I'); /* binary */
    put_number(&message, 9, 4);
    put_tuple(&message, 'N', "b", NULL);
    assert_true(refused());

    start('I'); /* a length that nobody has */
    put_number(&message, 9, 4);
    buf_append_char(&message, 'N');
    put_number(&message, 1, 2);
    buf_append_char(&message, 't');
    put_number(&message, 0xffffffff, 4);
    assert_true(refused());
}

static void truncates(void **state)
{
    start('T');
    put_number(&message, 3, 4);
    put_number(&message, 1, 1);
    for (uint32_t oid = 5; oid < 8; oid++) {
        put_number(&message, oid, 4);
    }
    struct decode_event e = decode();
    assert_int_equal(e.kind, DECODE_TRUNCATE);
    assert_int_equal(e.truncate.count, 3);
    assert_int_equal(e.truncate.relations[2], 7);

    start('T'); /* more than the message holds */
    put_number(&message, 0x40000001, 4);
    put_number(&message, 0, 1);
    put_number(&message, 5, 4);
    assert_true(refused());
}

static void blocks_of_a_large_transaction(void **state)
{
    struct decode_event e;
    const char *why = NULL;
    start('S');
    put_number(&message, 0xfffffffe, 4);
    put_number(&message, 1, 1);
    e = decode();
    assert_int_equal(e.kind, DECODE_STREAM_START);
    assert_int_equal(e.stream.xid, 0xfffffffe);
    assert_true(decode_event(decoder, buf_readable(&message), &e, &why));

    start('I'); /* with the subtransaction's number before everything else */
    put_number(&message, 77, 4);
    put_number(&message, 9, 4);
    put_tuple(&message, 'N', "t", (const char *[]){"42"});
    e = decode();
    assert_int_equal(e.kind, DECODE_INSERT);
    assert_int_equal(e.row.relation, 9);
    assert_text(e.row.new_row.values[0].text, "42");
    start('I');
    put_number(&message, 9, 4);
    put_tuple(&message, 'N', "t", (const char *[]){"42"});
    assert_true(refused());

    start('E');
    assert_int_equal(decode().kind, DECODE_STREAM_STOP);
    assert_true(decode_event(decoder, buf_readable(&message), &e, &why));
    start('I'); /* outside a block without it */
    put_number(&message, 9, 4);
    put_tuple(&message, 'N', "t", (const char *[]){"42"});
    assert_int_equal(decode().row.relation, 9);

    start('c');
    put_number(&message, 12, 4);
    put_number(&message, 0, 1);
    put_number(&message, 5, 8);
    put_number(&message, 0x8122334455667788, 8);
    put_number(&message, 1, 8);
    e = decode();
    assert_int_equal(e.kind, DECODE_STREAM_COMMIT);
    assert_int_equal(e.commit.xid, 12);
    assert_true(e.commit.end_lsn == 0x8122334455667788);
    start('A');
    put_number(&message, 12, 4);
    put_number(&message, 13, 4);
    e = decode();
    assert_int_equal(e.kind, DECODE_STREAM_ABORT);
    assert_int_equal(e.stream.xid, 12);
    assert_int_equal(e.stream.subxid, 13);
}

static void a_new_connection_is_outside_every_block(void **state)
{
    struct decode_event e;
    const char *why = NULL;
    start('S');
    put_number(&message, 1, 4);
    put_number(&message, 1, 1);
    assert_true(decode_event(decoder, buf_readable(&message), &e, &why));
    decoder_reset(decoder);
    start('I');
    put_number(&message, 9, 4);
    put_tuple(&message, 'N', "t", (const char *[]){"42"});
    assert_int_equal(decode().row.relation, 9);
}

static void logical_messages(void **state)
{
    start('M');
    put_number(&message, 1, 1);
    put_number(&message, 77, 8);
    put_cstring(&message, "freshet.ddl");
    put_number(&message, 4, 4);
    buf_append(&message, "a\0ll", 4);
    struct decode_event e = decode();
    assert_int_equal(e.kind, DECODE_MESSAGE);
    assert_true(e.message.transactional);
    assert_int_equal(e.message.lsn, 77);
    assert_text(e.message.prefix, "freshet.ddl");
    assert_int_equal(e.message.content.len, 4);
}

static void types_and_origins(void **state)
{
    start('Y');
    put_number(&message, 70001, 4);
    put_cstring(&message, "public");
    put_cstring(&message, "mood");
    assert_int_equal(decode().kind, DECODE_TYPE);

    start('O');
    put_number(&message, 70001, 8);
    put_cstring(&message, "elsewhere");
    assert_int_equal(decode().kind, DECODE_ORIGIN);
}

static void other_letters_are_refused(void **state)
{
    for (int c = 0; c < 256; c++) {
        if (c == 0 || strchr("BCRIUDTYOMSEcA", c) == NULL) {
            start((char)c);
            put_number(&message, 0, 8);
            assert_true(refused());
        }
    }
}

static bool frame_good(const struct buf *b, size_t len, struct decode_frame *ret_frame)
{
    char *copy = xmalloc(len > 0 ? len : 1);
    memcpy(copy, b->mem + b->start, len);
    bool good = decode_frame((struct slice){copy, len}, ret_frame);
    free(copy);
    return good;
}

static void frames(void **state)
{
    struct decode_frame f;
    start('k');
    put_number(&message, 0x16B374D848, 8);
    put_number(&message, 1, 8);
    put_number(&message, 1, 1);
    for (size_t len = 0; len < buf_len(&message); len++) {
        assert_false(frame_good(&message, len, &f));
    }
    assert_true(frame_good(&message, buf_len(&message), &f));
    assert_true(f.keepalive);
    assert_true(f.reply_requested);
    assert_int_equal(f.end_lsn, 0x16B374D848);
    buf_append_char(&message, 0);
    assert_false(frame_good(&message, buf_len(&message), &f));

    start('w');
    put_number(&message, 1, 8);
    put_number(&message, 2, 8);
    put_number(&message, 3, 8);
    for (size_t len = 0; len < buf_len(&message); len++) {
        assert_false(frame_good(&message, len, &f));
    }
    buf_append_str(&message, "body");
    assert_true(decode_frame(buf_readable(&message), &f));
    assert_false(f.keepalive);
    assert_text(f.message, "body");

    start('x');
    put_number(&message, 0, 8);
    put_number(&message, 0, 8);
    put_number(&message, 0, 1);
    assert_false(frame_good(&message, buf_len(&message), &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begin_and_commit),
        cmocka_unit_test(relation),
        cmocka_unit_test(more_columns_than_postgresql_has),
        cmocka_unit_test(rows),
        cmocka_unit_test(old_and_new),
        cmocka_unit_test(rows_that_cannot_be),
        cmocka_unit_test(truncates),
        cmocka_unit_test(logical_messages),
        cmocka_unit_test(blocks_of_a_large_transaction),
        cmocka_unit_test(a_new_connection_is_outside_every_block),
        cmocka_unit_test(types_and_origins),
        cmocka_unit_test(other_letters_are_refused),
        cmocka_unit_test(frames),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
