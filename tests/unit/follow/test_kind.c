/* SPDX-License-Identifier: BSD-3-Clause */
/* Kinds: which texts are the one way of writing a value; identities of rows and values; xids. */
#include "base/hash.h"
#include "follow/follow_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void types_have_kinds(void **state)
{
    assert_int_equal(follow_kind_of_type(20), FOLLOW_KIND_INTEGER);
    assert_int_equal(follow_kind_of_type(21), FOLLOW_KIND_INTEGER);
    assert_int_equal(follow_kind_of_type(23), FOLLOW_KIND_INTEGER);
    assert_int_equal(follow_kind_of_type(25), FOLLOW_KIND_TEXT);
    assert_int_equal(follow_kind_of_type(1043), FOLLOW_KIND_TEXT);
    assert_int_equal(follow_kind_of_type(2950), FOLLOW_KIND_UUID);
    assert_int_equal(follow_kind_of_type(1082), FOLLOW_KIND_DATE);
    assert_int_equal(follow_kind_of_type(1042), FOLLOW_KIND_OTHER); /* char(n): padding */
    assert_int_equal(follow_kind_of_type(1700), FOLLOW_KIND_OTHER); /* numeric: 1.0 and 1.00 */
    assert_int_equal(follow_kind_of_type(1114), FOLLOW_KIND_OTHER); /* timestamp */
    assert_int_equal(follow_kind_of_type(16), FOLLOW_KIND_OTHER);
    assert_int_equal(follow_kind_of_type(16500), FOLLOW_KIND_OTHER);
}

static void canonical_texts(void **state)
{
    static const struct {
        enum follow_kind kind;
        const char *text;
        bool canonical;
    } cases[] = {
        {FOLLOW_KIND_INTEGER, "0", true},
        {FOLLOW_KIND_INTEGER, "-7", true},
        {FOLLOW_KIND_INTEGER, "9223372036854775807", true},
        {FOLLOW_KIND_INTEGER, "9223372036854775808", false},
        {FOLLOW_KIND_INTEGER, "07", false},
        {FOLLOW_KIND_INTEGER, "+7", false},
        {FOLLOW_KIND_INTEGER, "-0", false},
        {FOLLOW_KIND_INTEGER, " 7", false},
        {FOLLOW_KIND_INTEGER, "7.0", false},
        {FOLLOW_KIND_INTEGER, "", false},
        {FOLLOW_KIND_INTEGER, "None", false},
        {FOLLOW_KIND_TEXT, "", true},
        {FOLLOW_KIND_TEXT, "anything at all", true},
        {FOLLOW_KIND_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", true},
        {FOLLOW_KIND_UUID, "A0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", false},
        {FOLLOW_KIND_UUID, "a0eebc999c0b4ef8bb6d6bb9bd380a11", false},
        {FOLLOW_KIND_UUID, "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", false},
        {FOLLOW_KIND_UUID, "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", false},
        {FOLLOW_KIND_DATE, "2026-11-23", true},
        {FOLLOW_KIND_DATE, "2024-02-29", true},
        {FOLLOW_KIND_DATE, "2000-02-29", true},
        {FOLLOW_KIND_DATE, "1900-02-29", false},
        {FOLLOW_KIND_DATE, "2023-02-29", false},
        {FOLLOW_KIND_DATE, "2026-13-01", false},
        {FOLLOW_KIND_DATE, "2026-00-01", false},
        {FOLLOW_KIND_DATE, "2026-04-31", false},
        {FOLLOW_KIND_DATE, "2026-1-1", false},
        {FOLLOW_KIND_DATE, "0000-01-01", false},
        {FOLLOW_KIND_DATE, "20261123", false},
        {FOLLOW_KIND_DATE, "infinity", false},
        {FOLLOW_KIND_OTHER, "1", false},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        if (follow_kind_canonical(cases[i].kind, slice_of(cases[i].text)) != cases[i].canonical) {
            fail_msg("%s", cases[i].text);
        }
    }
}

static uint64_t row(uint32_t oid, const char *a, const char *b)
{
    struct slice values[] = {slice_of(a), slice_of(b)};
    return follow_row_hash(oid, values, b != NULL ? 2 : 1);
}

static void identities_differ_where_things_do(void **state)
{
    const uint64_t all[] = {
        row(1, "ab", "c"),
        row(1, "a", "bc"),
        row(1, "abc", NULL),
        row(1, "abc", ""),
        row(2, "ab", "c"),
        row(1, "c", "ab"),
        follow_value_hash(1, 1, SLICE("abc")),
        follow_value_hash(1, 2, SLICE("abc")),
        follow_value_hash(2, 1, SLICE("abc")),
        follow_value_hash(1, 1, SLICE("abd")),
    };
    for (size_t i = 0; i < array_len(all); i++) {
        for (size_t k = 0; k < i; k++) {
            assert_true(all[i] != all[k]);
            assert_true(all[i] >> 32 != all[k] >> 32); /* the half that slots are taken from */
        }
    }
    assert_true(row(1, "ab", "c") == row(1, "ab", "c"));
}

static void short_xids_become_long(void **state)
{
    const uint64_t age = UINT64_C(1) << 32;
    assert_int_equal(apply_extend_xid(1000, 1001), 1000);
    assert_int_equal(apply_extend_xid(1002, 1001), 1002);
    assert_int_equal(apply_extend_xid(5, age * 3 + 10), age * 3 + 5);
    /* Across the wrap, either way. */
    assert_int_equal(apply_extend_xid(0xfffffff0, age * 3 + 10), age * 2 + 0xfffffff0);
    assert_int_equal(apply_extend_xid(10, age * 2 + 0xfffffff0), age * 3 + 10);
    /* Nothing lies before the first epoch. */
    assert_int_equal(apply_extend_xid(0xfffffff0, 10), 0xfffffff0);
}

int main(void)
{
    hash_setup_seed(7);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_kinds),
        cmocka_unit_test(canonical_texts),
        cmocka_unit_test(identities_differ_where_things_do),
        cmocka_unit_test(short_xids_become_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
