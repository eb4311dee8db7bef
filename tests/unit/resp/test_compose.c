/* SPDX-License-Identifier: BSD-3-Clause */
/* Every composer, in both protocols, byte for byte. */
#include "resp/resp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct buf out;

static int make_buffer(void **state)
{
    buf_init(&out);
    return 0;
}

static int drop_buffer(void **state)
{
    buf_fini(&out);
    return 0;
}

/* Compares all that was appended since the last call. */
static void expect(const char *want)
{
    buf_append_char(&out, '\0');
    assert_string_equal(buf_readable(&out).ptr, want);
    buf_clear(&out);
}

static void scalars(void **state)
{
    resp_simple(&out, "OK");
    expect("+OK\r\n");
    resp_integer(&out, 0);
    resp_integer(&out, 10);
    resp_integer(&out, -1);
    expect(":0\r\n:10\r\n:-1\r\n");
    resp_integer(&out, INT64_MAX);
    resp_integer(&out, INT64_MIN);
    expect(":9223372036854775807\r\n:-9223372036854775808\r\n");
    resp_bulk(&out, SLICE(""));
    resp_bulk(&out, (struct slice){NULL, 0});
    resp_bulk_str(&out, "hello world");
    expect("$0\r\n\r\n$0\r\n\r\n$11\r\nhello world\r\n");
}

static void errors_stay_on_one_line(void **state)
{
    resp_error(&out, "ERR unknown command '%s'", "a\r\nb");
    expect("-ERR unknown command 'a  b'\r\n");
}

static void long_errors_are_cut(void **state)
{
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    resp_error(&out, "%s", text);
    struct slice got = buf_readable(&out);
    assert_in_range(got.len, 512, 1100);
    assert_memory_equal(got.ptr + got.len - 3, "x\r\n", 3);
}

static void types_of_resp3_have_their_resp2_form(void **state)
{
    resp_null(&out, 2);
    resp_null(&out, 3);
    expect("$-1\r\n_\r\n");
    resp_null_array(&out, 2);
    resp_null_array(&out, 3);
    expect("*-1\r\n_\r\n");
    resp_array(&out, 12);
    expect("*12\r\n");
    resp_map(&out, 2, 3);
    resp_map(&out, 3, 3);
    expect("*6\r\n%3\r\n");
    resp_set(&out, 2, 3);
    resp_set(&out, 3, 3);
    expect("*3\r\n~3\r\n");
    resp_push(&out, 2, 3);
    resp_push(&out, 3, 3);
    expect("*3\r\n>3\r\n");
    resp_bool(&out, 2, true);
    resp_bool(&out, 3, true);
    resp_bool(&out, 3, false);
    expect(":1\r\n#t\r\n#f\r\n");
    resp_verbatim(&out, 2, "txt", SLICE("abc"));
    resp_verbatim(&out, 3, "txt", SLICE("abc"));
    expect("$3\r\nabc\r\n=7\r\ntxt:abc\r\n");
}

static void doubles_are_the_shortest_that_read_back(void **state)
{
    static const struct {
        double value;
        const char *want;
    } rows[] = {
        {0, ",0\r\n"},
        {-0.0, ",-0\r\n"},
        {3, ",3\r\n"},
        {-2.5, ",-2.5\r\n"},
        {0.1, ",0.1\r\n"},
        {1.0 / 3, ",0.3333333333333333\r\n"},
        {1e20, ",1e+20\r\n"},
        {(double)INFINITY, ",inf\r\n"},
        {-(double)INFINITY, ",-inf\r\n"},
        {(double)NAN, ",nan\r\n"},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        resp_double(&out, 3, rows[i].value);
        expect(rows[i].want);
    }
    resp_double(&out, 2, -2.5);
    expect("$4\r\n-2.5\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scalars, make_buffer, drop_buffer),
        cmocka_unit_test_setup_teardown(errors_stay_on_one_line, make_buffer, drop_buffer),
        cmocka_unit_test_setup_teardown(long_errors_are_cut, make_buffer, drop_buffer),
        cmocka_unit_test_setup_teardown(types_of_resp3_have_their_resp2_form, make_buffer,
                                        drop_buffer),
        cmocka_unit_test_setup_teardown(doubles_are_the_shortest_that_read_back, make_buffer,
                                        drop_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
