/* SPDX-License-Identifier: BSD-3-Clause */
/* PostgreSQL results as JSON, parameters as canonical text, stored answers as HTTP. */
#include "base/check.h"
#include "base/hash.h"
#include "serve/answer.h"
#include "serve/param_type.h"
#include "serve/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

static PGresult *one_row(int columns, const char *const *names, const Oid *types,
                         const char *const *values)
{
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc desc[16] = {0};
    for (int i = 0; i < columns; i++) {
        desc[i] =
            (PGresAttDesc){.name = (char *)(uintptr_t)names[i], .typid = types[i], .typlen = -1};
    }
    assert_true(PQsetResultAttrs(rows, columns, desc));
    for (int i = 0; i < columns; i++) {
        int len = values[i] != NULL ? (int)strlen(values[i]) : -1;
        assert_true(PQsetvalue(rows, 0, i, (char *)(uintptr_t)values[i], len));
    }
    return rows;
}

static void each_type_has_its_json_form(void **state)
{
    const char *names[] = {"i", "b", "n", "t", "j", "nan", "ts", "z", "nothing", "empty"};
    const Oid types[] = {23, 16, 1700, 25, 3802, 701, 1114, 1184, 23, 25};
    const char *values[] = {"-7",
                            "t",
                            "12.50",
                            "a\"b\\\n\xc3\xa9",
                            "{\"x\": [1]}",
                            "NaN",
                            "2026-01-31 10:00:00.5",
                            "2026-01-31 10:00:00+00",
                            NULL,
                            ""};
    PGresult *rows = one_row(10, names, types, values);
    struct buf out;
    buf_init(&out);
    rows_put_array(&out, rows);
    static const char want[] =
        "[{\"i\":-7,\"b\":true,\"n\":12.50,\"t\":\"a\\\"b\\\\\\n\xc3\xa9\",\"j\":{\"x\": [1]},"
        "\"nan\":\"NaN\",\"ts\":\"2026-01-31T10:00:00.5\",\"z\":\"2026-01-31T10:00:00+00:00\","
        "\"nothing\":null,\"empty\":\"\"}]";
    assert_int_equal(buf_len(&out), sizeof(want) - 1);
    assert_memory_equal(buf_readable(&out).ptr, want, sizeof(want) - 1);
    json_t *parsed = json_loadb(buf_readable(&out).ptr, buf_len(&out), 0, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    PQclear(rows);
    buf_fini(&out);
}

static void single_json_column_is_the_whole_object(void **state)
{
    const char *names[] = {"answer"};
    const Oid types[] = {114};
    const char *values[] = {"{\"total\": 3}"};
    PGresult *rows = one_row(1, names, types, values);
    struct buf out;
    buf_init(&out);
    rows_put_object(&out, rows);
    assert_true(slice_is(buf_readable(&out), "{\"total\": 3}"));
    PQclear(rows);
    buf_fini(&out);
}

static bool accepts(uint32_t type, const char *given, const char *canonical)
{
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, "before");
    buf_append_str(&text, given);
    bool ok = param_type_check(type, &text, 6) == NULL;
    if (ok) {
        struct slice got = slice_from(buf_readable(&text), 6);
        ok = slice_is(got, canonical);
    }
    buf_fini(&text);
    return ok;
}

static void parameters_have_one_text_per_value(void **state)
{
    assert_true(accepts(23, "42", "42"));
    assert_true(accepts(16, "T", "true"));
    assert_true(accepts(16, "0", "false"));
    assert_true(accepts(1700, "-1.5e3", "-1.5e3"));
    assert_true(accepts(1082, "2026-01-31", "2026-01-31"));
    assert_true(accepts(2950, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
                        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
    assert_true(accepts(25, "\xe2\x82\xac any text", "\xe2\x82\xac any text"));
    assert_true(accepts(0, "", ""));
}

static void parameters_of_the_wrong_type_are_refused(void **state)
{
    const struct {
        uint32_t type;
        const char *text;
    } wrong[] = {
        {23, "007"},
        {23, "+5"},
        {23, ""},
        {23, "4e2"},
        {23, "2147483648"},
        {21, "-32769"},
        {20, "9223372036854775808"},
        {16, "maybe"},
        {16, ""},
        {1700, "1.2.3"},
        {1700, "e5"},
        {1700, "1e"},
        {1700, "0x10"},
        {1700, "NaN"},
        {1082, "31.1.26"},
        {1082, "2026-1-31"},
        {2950, "a0eebc99"},
        {25, "\xff"},
        {25, "\xc0\x80"},
        {25, "\xed\xa0\x80"},
        {25, "\xf4\x90\x80\x80"},
        {25, "\xe2\x82"},
    };
    for (size_t i = 0; i < array_len(wrong); i++) {
        assert_false(accepts(wrong[i].type, wrong[i].text, wrong[i].text));
    }
}

static bool has(const struct buf *b, const char *text)
{
    struct slice all = buf_readable(b);
    return memmem(all.ptr, all.len, text, strlen(text)) != NULL;
}

static void stored_answer_is_sent_whole_or_as_304(void **state)
{
    hash_setup_seed(3);
    struct buf value;
    struct buf out;
    buf_init(&value);
    buf_init(&out);
    answer_make(&value, 200, "application/json", SLICE("[1,2]"), 5000);
    struct answer a = answer_read(buf_readable(&value));
    struct answer_wish wish = {.cache_status = "hit", .ttl_s = 9, .hit = true, .now_ms = 12500};
    answer_put(&out, &a, &wish);
    assert_true(has(&out, "HTTP/1.1 200 OK\r\n"));
    assert_true(has(&out, "Content-Length: 5\r\n"));
    assert_true(has(&out, "Age: 7\r\n"));
    assert_true(has(&out, "Cache-Status: freshet; hit; ttl=9\r\n"));
    assert_true(has(&out, "\r\n\r\n[1,2]"));
    buf_clear(&out);
    wish.if_none_match = a.etag;
    answer_put(&out, &a, &wish);
    assert_true(has(&out, "HTTP/1.1 304 Not Modified\r\n"));
    assert_true(has(&out, "ETag: \""));
    assert_false(has(&out, "[1,2]"));
    assert_false(has(&out, "Content-Length"));
    buf_clear(&out);
    wish.if_none_match = (struct slice){NULL, 0};
    wish.head_only = true;
    answer_put(&out, &a, &wish);
    assert_true(has(&out, "Content-Length: 5\r\n"));
    assert_false(has(&out, "[1,2]"));
    buf_fini(&value);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_has_its_json_form),
        cmocka_unit_test(single_json_column_is_the_whole_object),
        cmocka_unit_test(parameters_have_one_text_per_value),
        cmocka_unit_test(parameters_of_the_wrong_type_are_refused),
        cmocka_unit_test(stored_answer_is_sent_whole_or_as_304),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
