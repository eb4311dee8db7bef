/* SPDX-License-Identifier: BSD-3-Clause */
#include "http_case.h"

static void expect_decoded(const char *in, bool form, struct slice want)
{
    struct buf out;
    buf_init(&out);
    buf_append_str(&out, "kept");
    assert_true(http_percent_decode(slice_of(in), form, &out));
    assert_true(slice_eq(slice_from(buf_readable(&out), 4), want));
    buf_fini(&out);
}

static void expect_undecodable(struct slice in)
{
    struct buf out;
    buf_init(&out);
    buf_append_str(&out, "kept");
    assert_false(http_percent_decode(in, true, &out));
    assert_slice(buf_readable(&out), "kept");
    buf_fini(&out);
}

static void decodes_escapes(void **state)
{
    expect_decoded("", false, SLICE(""));
    expect_decoded("plain", false, SLICE("plain"));
    expect_decoded("%41%6a%6A", false, SLICE("Ajj"));
    expect_decoded("%C3%a4%ff%01", false, SLICE("\xc3\xa4\xff\x01"));
    expect_decoded("%2541", false, SLICE("%41"));
    expect_decoded("a%26b%3Dc", false, SLICE("a&b=c"));
}

static void plus_is_a_space_in_forms_only(void **state)
{
    expect_decoded("a+b%2B", true, SLICE("a b+"));
    expect_decoded("a+b%2B", false, SLICE("a+b+"));
}

static void refuses_bad_escapes(void **state)
{
    static const char *const bad[] = {"%",    "a%",   "%4",  "%4g",  "%g4",
                                      "%%41", "% 41", "%-1", "%0x41"};
    for (size_t i = 0; i < array_len(bad); i++) {
        expect_undecodable(slice_of(bad[i]));
    }
}

static void refuses_a_decoded_nul(void **state)
{
    expect_undecodable(SLICE("a%00b"));
    expect_undecodable(SLICE("a\0b"));
}

static void walks_pairs(void **state)
{
    struct slice rest = SLICE("a=1&&b&=x&c=&d=2=3;e=4&");
    static const char *const want[][2] = {
        {"a", "1"}, {"b", ""}, {"", "x"}, {"c", ""}, {"d", "2=3;e=4"}};
    struct slice name;
    struct slice value;
    for (size_t i = 0; i < array_len(want); i++) {
        assert_true(http_query_next(&rest, &name, &value));
        assert_slice(name, want[i][0]);
        assert_slice(value, want[i][1]);
        assert_non_null(value.ptr);
    }
    assert_false(http_query_next(&rest, &name, &value));
    assert_false(http_query_next(&rest, &name, &value));
}

static void an_empty_query_has_no_pair(void **state)
{
    struct slice name;
    struct slice value;
    struct slice none = {NULL, 0};
    struct slice separators = SLICE("&&&");
    assert_false(http_query_next(&none, &name, &value));
    assert_false(http_query_next(&separators, &name, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_escapes),     cmocka_unit_test(plus_is_a_space_in_forms_only),
        cmocka_unit_test(refuses_bad_escapes), cmocka_unit_test(refuses_a_decoded_nul),
        cmocka_unit_test(walks_pairs),         cmocka_unit_test(an_empty_query_has_no_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
