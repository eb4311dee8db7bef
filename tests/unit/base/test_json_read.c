/* SPDX-License-Identifier: BSD-3-Clause */
/* json_read: what is JSON is taken and keeps every character, what is not is refused where it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/json.h"

/* The text in memory of exactly its size, so that a read past the end shows. */
static bool check_exact(struct slice text, struct json_fault *ret_fault)
{
    char *mem = xmalloc(text.len > 0 ? text.len : 1);
    memcpy(mem, text.ptr, text.len);
    bool ok = json_check((struct slice){mem, text.len}, ret_fault);
    if (!ok && ret_fault->member.ptr != NULL) {
        ret_fault->member.ptr = text.ptr + (ret_fault->member.ptr - mem);
    }
    free(mem);
    return ok;
}

static void assert_taken(struct slice text)
{
    struct json_fault fault;
    if (!check_exact(text, &fault)) {
        fail_msg("'%.*s' refused at %zu: %s", (int)text.len, text.ptr, fault.at, fault.what);
    }
}

static const struct {
    const char *text;
    size_t at;
    const char *what;
} wrong[] = {
    {"", 0, "ends too early"},
    {" \n", 2, "ends too early"},
    {"{", 1, "ends too early"},
    {"{\"a\":1", 6, "ends too early"},
    {"[1,", 3, "ends too early"},
    {"\"abc", 4, "ends too early"},
    {"{\"a\":1,}", 7, "name in quotes"},
    {"{a:1}", 1, "name in quotes"},
    {"{'a':1}", 1, "name in quotes"},
    {"{\"a\" 1}", 5, "colon"},
    {"{\"a\":}", 5, "value is expected"},
    {"[1,]", 3, "value is expected"},
    {"[,1]", 1, "value is expected"},
    {"[1 2]", 3, "comma or the closing"},
    {"{\"a\":1]", 6, "comma or the closing"},
    {"[1}", 2, "comma or the closing"},
    {"{} {}", 3, "follows the end"},
    {"{}x", 2, "follows the end"},
    {"\xef\xbb\xbf{}", 0, "value is expected"},
    {"[tru]", 1, "neither JSON nor in quotes"},
    {"[True]", 1, "value is expected"},
    {"[NaN]", 1, "value is expected"},
    {"[nil]", 1, "neither JSON nor in quotes"},
    {"[01]", 1, "begins with 0"},
    {"[-]", 2, "lacks a digit"},
    {"[-01]", 2, "begins with 0"},
    {"[1.]", 3, "lacks a digit"},
    {"[.5]", 1, "value is expected"},
    {"[+1]", 1, "value is expected"},
    {"[1e]", 3, "lacks a digit"},
    {"[1e+]", 4, "lacks a digit"},
    {"[0x10]", 2, "comma or the closing"},
    {"[\"\n\"]", 2, "control character"},
    {"[\"\x1f\"]", 2, "control character"},
    {"[\"\\x\"]", 2, "no known escape"},
    {"[\"\\u12g4\"]", 2, "four hexadecimal"},
    {"[\"\\u12\"]", 2, "four hexadecimal"},
    {"[\"a\\ud800\"]", 3, "first half"},
    {"[\"\\ud800\\u0041\"]", 2, "first half"},
    {"[\"\\ud800\\ud800\"]", 2, "first half"},
    {"[\"\\ud800x\"]", 2, "first half"},
    {"[\"\\udc00\"]", 2, "second half"},
    {"[\"\xff\"]", 2, "UTF-8"},
    {"[\"\xc0\x80\"]", 2, "UTF-8"},
    {"[\"\xed\xa0\x80\"]", 2, "UTF-8"},
    {"[\"\xc3\"]", 2, "UTF-8"},
    {"{\"\xff\":1}", 2, "UTF-8"},
    {"[\"\\", 3, "ends too early"},
};

static void tells_what_is_wrong_and_where(void **state)
{
    for (size_t i = 0; i < array_len(wrong); i++) {
        struct json_fault fault = {0};
        struct slice text = slice_of(wrong[i].text);
        if (check_exact(text, &fault) || fault.at != wrong[i].at ||
            strstr(fault.what, wrong[i].what) == NULL) {
            fail_msg("'%s': at %zu '%s', not at %zu '%s'", wrong[i].text, fault.at, fault.what,
                     wrong[i].at, wrong[i].what);
        }
    }
}

static void nul_is_no_white_space(void **state)
{
    struct json_fault fault;
    assert_false(check_exact(SLICE("{}\0"), &fault));
    assert_int_equal(fault.at, 2);
    assert_false(check_exact(SLICE("{\"a\0\":1}"), &fault));
    assert_int_equal(fault.at, 3);
}

static void takes_what_is_json(void **state)
{
    static const char *const good[] = {
        "0",
        "-0",
        "null",
        " true\r\n\t",
        "\"\"",
        "[]",
        "[ ]",
        "{}",
        "{ }",
        "1e5",
        "-1.25E-3",
        "123456789012345678901234567890.123456789012345678901234567890",
        "1e99999",
        "{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}",
        "{\"\":1,\" \":2}",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uFFFF\\ud83e\\uDDFA\"]",
        "[\"\xe2\x82\xac \xf0\x9f\xa7\xba \x7f\"]"};
    for (size_t i = 0; i < array_len(good); i++) {
        assert_taken(slice_of(good[i]));
    }
}

static void a_name_twice_is_refused_however_it_is_written(void **state)
{
    static const struct {
        const char *text;
        size_t at;
        const char *member;
    } twice[] = {
        {"{\"a\":1,\"b\":2,\"a\":3,\"c\":4}", 13, "\"a\""},
        {"{\"a\":1,\"\\u0061\":2}", 7, "\"\\u0061\""},
        {"{\"\\ud83e\\uDDFA\":1,\"\xf0\x9f\xa7\xba\":2}", 18, "\"\xf0\x9f\xa7\xba\""},
        {"{\"x\":[{\"b\":1,\"b\":1}]}", 13, "\"x\""},
        {"{\"\":1,\"\":2}", 6, "\"\""},
        {"[{\"a\":1,\"a\":1}]", 8, NULL},
    };
    for (size_t i = 0; i < array_len(twice); i++) {
        struct json_fault fault;
        assert_false(check_exact(slice_of(twice[i].text), &fault));
        assert_string_equal(fault.what, "a name stands twice in one object");
        assert_int_equal(fault.at, twice[i].at);
        if (twice[i].member == NULL) {
            assert_null(fault.member.ptr);
        } else if (!slice_is(fault.member, twice[i].member)) {
            fail_msg("%s: %.*s", twice[i].text, (int)fault.member.len, fault.member.ptr);
        }
    }
}

static void the_member_in_fault_is_named(void **state)
{
    struct json_fault fault;
    assert_false(check_exact(SLICE("{\"a\":1,\"qty\":[1,{\"z\":01}]}"), &fault));
    assert_true(slice_is(fault.member, "\"qty\""));
    assert_false(check_exact(SLICE("{\"a\":1} x"), &fault));
    assert_null(fault.member.ptr);
    assert_false(check_exact(SLICE("[01]"), &fault));
    assert_null(fault.member.ptr);
}

static void depth_is_bounded(void **state)
{
    enum { DEEP = 1000000 };
    char *text = xmalloc(DEEP);
    struct json_fault fault;
    memset(text, '[', DEEP);
    assert_false(json_check((struct slice){text, DEEP}, &fault));
    assert_int_equal(fault.at, JSON_DEPTH_MAX);
    assert_non_null(strstr(fault.what, "256 levels"));
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_taken((struct slice){text, (size_t)2 * JSON_DEPTH_MAX});
    free(text);
}

/* Comparing each name with each would take a day. */
static void a_hundred_thousand_names_are_no_trouble(void **state)
{
    struct buf text;
    buf_init(&text);
    for (int i = 0; i < 100000; i++) {
        buf_printf(&text, "%c\"n%d\":%d", i == 0 ? '{' : ',', i, i);
    }
    buf_append_str(&text, "}");
    assert_taken(buf_readable(&text));
    buf_truncate(&text, buf_len(&text) - 1);
    buf_append_str(&text, ",\"n5\":0}");
    struct json_fault fault;
    assert_false(json_check(buf_readable(&text), &fault));
    assert_true(slice_is(fault.member, "\"n5\""));
    buf_fini(&text);
}

static void members_come_as_they_were_written(void **state)
{
    static const struct {
        const char *name;
        const char *value;
    } want[] = {{"\"a\"", "123456789012345678901234567890"},
                {"\"b,}\"", "\"x\\\"],}\""},
                {"\"c\"", "{ \"d\": [1, {\"e\": \"]}\"}] }"},
                {"\"\\u0066\"", "null"},
                {"\"g\"", "[]"},
                {"\"h\"", "-1.50e+3"}};
    struct slice rest = SLICE(" { \"a\" : 123456789012345678901234567890 ,\n\"b,}\":\"x\\\"],}\","
                              "\"c\":{ \"d\": [1, {\"e\": \"]}\"}] }, \"\\u0066\":null\t,\"g\":[],"
                              "\"h\":-1.50e+3}\n");
    assert_taken(rest);
    assert_int_equal(json_kind(rest), '{');
    struct slice name;
    struct slice value;
    for (size_t i = 0; i < array_len(want); i++) {
        assert_true(json_next_member(&rest, &name, &value));
        if (!slice_is(name, want[i].name) || !slice_is(value, want[i].value)) {
            fail_msg("%zu: %.*s = %.*s", i, (int)name.len, name.ptr, (int)value.len, value.ptr);
        }
    }
    assert_false(json_next_member(&rest, &name, &value));
    rest = SLICE(" { } ");
    assert_false(json_next_member(&rest, &name, &value));
}

static void strings_say_what_they_say(void **state)
{
    struct buf out;
    buf_init(&out);
    json_unquote(
        SLICE("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83e\\uddfa\xe2\x82\xac\""),
        &out);
    assert_true(slice_is(buf_readable(&out),
                         "a\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\xa7\xba\xe2\x82\xac"));
    buf_clear(&out);
    json_unquote(SLICE("\"\\u0000\""), &out);
    assert_int_equal(buf_len(&out), 1);
    buf_clear(&out);
    json_unquote(SLICE("\"\""), &out);
    assert_int_equal(buf_len(&out), 0);
    buf_fini(&out);
}

/* Another reader's opinion on texts made of the pieces that matter. What it refuses we refuse; it takes less
 * in numbers only, since it has types for them. */
static void agrees_with_another_reader(void **state)
{
    static const char *const pieces[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         ",",
                                         ":",
                                         "\"a\"",
                                         "\"b\"",
                                         "\"\\u0061\"",
                                         "\"\\ud800\"",
                                         "\"\\ud83e\\uddfa\"",
                                         "\"\\udc00\"",
                                         "1",
                                         "-0",
                                         "01",
                                         "1.",
                                         "1.5",
                                         "1e3",
                                         "e",
                                         "true",
                                         "null",
                                         "fals",
                                         " ",
                                         "\n",
                                         "\"",
                                         "\\",
                                         "\xc3\xa9",
                                         "\xff",
                                         "\"\xc3\xa9\"",
                                         "\"\xed\xa0\x80\"",
                                         "{\"a\":1,",
                                         "[1,",
                                         "{\"a\":"};
    uint32_t random = 12345;
    int taken = 0;
    for (int round = 0; round < 200000; round++) {
        struct buf text;
        buf_init(&text);
        random = random * 1664525 + 1013904223;
        uint32_t count = 1 + (random >> 28) % 8;
        for (uint32_t i = 0; i < count; i++) {
            random = random * 1664525 + 1013904223;
            buf_append_str(&text, pieces[(random >> 16) % array_len(pieces)]);
        }
        struct json_fault fault;
        bool ours = json_check(buf_readable(&text), &fault);
        json_error_t error;
        json_t *theirs =
            json_loadb(text.mem + text.start, buf_len(&text),
                       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        bool is_its_type = theirs == NULL && (strstr(error.text, "overflow") != NULL ||
                                              strstr(error.text, "too big") != NULL);
        if (ours != (theirs != NULL) && !is_its_type) {
            fail_msg("'%.*s': ours %s, theirs %s", (int)buf_len(&text), text.mem + text.start,
                     ours ? "takes it" : fault.what, theirs != NULL ? "takes it" : error.text);
        }
        taken += ours ? 1 : 0;
        json_decref(theirs);
        buf_fini(&text);
    }
    assert_true(taken > 1000);
}

static int seed(void **state)
{
    hash_setup_seed(9);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_json),
        cmocka_unit_test(tells_what_is_wrong_and_where),
        cmocka_unit_test(nul_is_no_white_space),
        cmocka_unit_test(a_name_twice_is_refused_however_it_is_written),
        cmocka_unit_test(the_member_in_fault_is_named),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_hundred_thousand_names_are_no_trouble),
        cmocka_unit_test(members_come_as_they_were_written),
        cmocka_unit_test(strings_say_what_they_say),
        cmocka_unit_test(agrees_with_another_reader),
    };
    return cmocka_run_group_tests(tests, seed, NULL);
}
