/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups: what was written is read; what was cut or changed is noticed, at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "persist/group.h"

enum { GROUPS = 6 };

/* A log of GROUPS groups behind its header; `ret_ends` gets where each group ends, the header's first. */
static void make_log(struct buf *out, size_t ret_ends[GROUPS + 1])
{
    struct buf group;
    buf_init(&group);
    group_put_header(out, 0x1234, false);
    ret_ends[0] = buf_len(out);
    for (int i = 0; i < GROUPS; i++) {
        buf_clear(&group);
        for (int k = 0; k <= i % 3; k++) {
            buf_printf(&group, "*3\r\n$3\r\nSET\r\n$2\r\nk%d\r\n$%d\r\n%0*d\r\n", k, i + 1, i + 1,
                       i);
        }
        group_put_proof(&group, 0x1234, buf_len(out));
        buf_append_slice(out, buf_readable(&group));
        ret_ends[i + 1] = buf_len(out);
    }
    buf_fini(&group);
}

/* Reads to the end or to what is wrong; `ret_at`: where that is. */
static enum group_result read_all(struct slice all, size_t *ret_at, uint64_t *ret_groups)
{
    struct group_reader r;
    struct slice commands;
    enum group_result result;
    group_reader_init(&r, all);
    while ((result = group_read(&r, &commands)) == GROUP_READ) {
        while (commands.len > 0) {
            assert_true(group_next_command(&r, &commands));
            assert_true(r.parser.argc > 0);
        }
    }
    assert_true(result == GROUP_END || r.why != NULL);
    *ret_at = r.at;
    *ret_groups = r.groups;
    group_reader_fini(&r);
    return result;
}

static void what_was_written_is_read(void **state)
{
    struct buf log;
    size_t ends[GROUPS + 1];
    size_t at;
    uint64_t groups;
    buf_init(&log);
    make_log(&log, ends);
    assert_int_equal(read_all(buf_readable(&log), &at, &groups), GROUP_END);
    assert_int_equal(at, buf_len(&log));
    assert_int_equal(groups, GROUPS + 1);

    struct group_reader r;
    struct slice commands;
    group_reader_init(&r, buf_readable(&log));
    assert_int_equal(group_read(&r, &commands), GROUP_READ);
    assert_int_equal(commands.len, 0);
    assert_int_equal(r.nonce, 0x1234);
    assert_false(r.is_rewrite);
    assert_int_equal(group_read(&r, &commands), GROUP_READ);
    assert_true(slice_is(commands, "*3\r\n$3\r\nSET\r\n$2\r\nk0\r\n$1\r\n0\r\n"));
    assert_true(group_next_command(&r, &commands));
    assert_int_equal(r.parser.argc, 3);
    assert_true(slice_is(r.parser.argv[1], "k0"));
    assert_false(group_next_command(&r, &commands));
    group_reader_fini(&r);
    buf_fini(&log);
}

static void a_tail_cut_at_any_byte_is_torn_at_the_last_whole_group(void **state)
{
    struct buf log;
    size_t ends[GROUPS + 1];
    buf_init(&log);
    make_log(&log, ends);
    for (size_t cut = ends[0]; cut < buf_len(&log); cut++) {
        size_t whole = 0;
        size_t at;
        uint64_t groups;
        for (int i = 0; i <= GROUPS; i++) {
            whole = ends[i] <= cut ? ends[i] : whole;
        }
        char *copy = malloc(cut); /* so that a sanitizer sees its end */
        assert_non_null(copy);
        memcpy(copy, buf_readable(&log).ptr, cut);
        enum group_result result = read_all((struct slice){copy, cut}, &at, &groups);
        assert_int_equal(result, whole == cut ? GROUP_END : GROUP_TORN);
        assert_int_equal(at, whole);
        free(copy);
    }
    buf_fini(&log);
}

static void a_header_cut_at_any_byte_is_damage(void **state)
{
    struct buf log;
    size_t ends[GROUPS + 1];
    size_t at;
    uint64_t groups;
    buf_init(&log);
    make_log(&log, ends);
    for (size_t cut = 0; cut < ends[0]; cut++) {
        struct slice part = {buf_readable(&log).ptr, cut};
        assert_int_equal(read_all(part, &at, &groups), GROUP_DAMAGED);
        assert_int_equal(at, 0);
    }
    buf_fini(&log);
}

/* Before the last group it is damage, and the offset is that of the group. In the last group it is damage or
 * a torn tail: never read as if nothing were. */
static void a_changed_byte_is_noticed_anywhere(void **state)
{
    static const unsigned char changes[] = {0x01, 0x20, 0x80, 0xff};
    struct buf log;
    size_t ends[GROUPS + 1];
    buf_init(&log);
    make_log(&log, ends);
    for (size_t i = 0; i < buf_len(&log); i++) {
        for (size_t k = 0; k < sizeof(changes); k++) {
            size_t at;
            uint64_t groups;
            size_t start = 0;
            for (int g = 0; g <= GROUPS; g++) {
                start = ends[g] <= i ? ends[g] : start;
            }
            log.mem[log.start + i] = (char)((unsigned char)log.mem[log.start + i] ^ changes[k]);
            enum group_result result = read_all(buf_readable(&log), &at, &groups);
            log.mem[log.start + i] = (char)((unsigned char)log.mem[log.start + i] ^ changes[k]);
            bool in_last = i >= ends[GROUPS - 1];
            if (result == GROUP_END) {
                fail_msg("byte %zu changed by %02x was not noticed", i, changes[k]);
            }
            if (!in_last && result != GROUP_DAMAGED) {
                fail_msg("byte %zu changed by %02x was taken for a torn tail", i, changes[k]);
            }
            assert_int_equal(at, start);
        }
    }
    buf_fini(&log);
}

static void a_missing_or_repeated_group_is_damage(void **state)
{
    struct buf log;
    struct buf other;
    size_t ends[GROUPS + 1];
    size_t at;
    uint64_t groups;
    buf_init(&log);
    buf_init(&other);
    make_log(&log, ends);
    struct slice all = buf_readable(&log);
    buf_append(&other, all.ptr, ends[2]);
    buf_append_slice(&other, slice_from(all, ends[3]));
    assert_int_equal(read_all(buf_readable(&other), &at, &groups), GROUP_DAMAGED);
    assert_int_equal(at, ends[2]);
    buf_clear(&other);
    buf_append_slice(&other, all);
    buf_append_slice(&other, slice_from(all, ends[GROUPS - 1]));
    assert_int_equal(read_all(buf_readable(&other), &at, &groups), GROUP_DAMAGED);
    assert_int_equal(at, ends[GROUPS]);
    buf_fini(&other);
    buf_fini(&log);
}

/* A disk that wrote the end of a group before its middle leaves zeros there. */
static void a_last_group_with_a_hole_is_torn(void **state)
{
    struct buf log;
    struct buf group;
    size_t at;
    uint64_t groups;
    buf_init(&log);
    buf_init(&group);
    group_put_header(&log, 7, true);
    size_t start = buf_len(&log);
    buf_append_str(&group, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4096\r\n");
    for (int i = 0; i < 4096; i++) {
        buf_append_char(&group, 'x');
    }
    buf_append_str(&group, "\r\n");
    group_put_proof(&group, 7, start);
    buf_append_slice(&log, buf_readable(&group));
    assert_int_equal(read_all(buf_readable(&log), &at, &groups), GROUP_END);
    memset(log.mem + log.start + start + 1024, 0, 1024);
    assert_int_equal(read_all(buf_readable(&log), &at, &groups), GROUP_TORN);
    assert_int_equal(at, start);
    memset(log.mem + log.start + start + 1024, 'y', 1024);
    assert_int_equal(read_all(buf_readable(&log), &at, &groups), GROUP_DAMAGED);
    buf_fini(&group);
    buf_fini(&log);
}

/* Values may hold anything, a proof too. */
static void a_proof_inside_a_value_proves_nothing(void **state)
{
    struct buf log;
    struct buf group;
    struct buf inner;
    size_t at;
    uint64_t groups;
    buf_init(&log);
    buf_init(&group);
    buf_init(&inner);
    group_put_header(&log, 7, false);
    size_t start = buf_len(&log);
    buf_append_str(&inner, "*1\r\n$4\r\nPING\r\n");
    group_put_proof(&inner, 7, 0);
    buf_printf(&group, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", buf_len(&inner));
    buf_append_slice(&group, buf_readable(&inner));
    buf_append_str(&group, "\r\n");
    group_put_proof(&group, 7, start);
    buf_append_slice(&log, buf_readable(&group));
    assert_int_equal(read_all(buf_readable(&log), &at, &groups), GROUP_END);
    for (size_t cut = start + 1; cut < buf_len(&log); cut++) {
        struct slice part = {buf_readable(&log).ptr, cut};
        assert_int_equal(read_all(part, &at, &groups), GROUP_TORN);
        assert_int_equal(at, start);
    }
    buf_fini(&inner);
    buf_fini(&group);
    buf_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_tail_cut_at_any_byte_is_torn_at_the_last_whole_group),
        cmocka_unit_test(a_header_cut_at_any_byte_is_damage),
        cmocka_unit_test(a_changed_byte_is_noticed_anywhere),
        cmocka_unit_test(a_missing_or_repeated_group_is_damage),
        cmocka_unit_test(a_last_group_with_a_hole_is_torn),
        cmocka_unit_test(a_proof_inside_a_value_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
