/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parser against a table: each input is fed whole, then byte by byte from memory that moves at
 * every call (exactly sized, so the sanitizers see any byte read too far or too late). Both must
 * give the written result: commands as "GET|key", one per line, then "more" or "error: text".
 */
#include "base/alloc.h"
#include "resp/resp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct resp_limits small_limits = {.args_max = 20, .bulk_max = 32, .inline_max = 40};
static const struct resp_limits anonymous_limits = {
    .args_max = 1024, .bulk_max = 1 << 20, .inline_max = 65536, .anonymous = true};
static const struct resp_limits wide_limits = {
    .args_max = 1 << 20, .bulk_max = 1 << 20, .inline_max = 65536};

struct example {
    const char *name;
    struct slice in;
    const char *want;
};

static const struct example examples[] = {
    {"one command", SLICE("*1\r\n$4\r\nPING\r\n"), "PING\n"},
    {"binary bytes in a bulk", SLICE("*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n"), "GET|a\r\nb\n"},
    {"empty bulk", SLICE("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1\r\nv\r\n"), "SET||v\n"},
    {"pipeline", SLICE("*1\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n$1\r\nc\r\n*1\r\n$1\r\nd\r\n"),
     "a\nb|c\nd\n"},
    {"unfinished after a whole one", SLICE("*1\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n$1\r\n"), "a\nmore"},
    {"header only", SLICE("*2\r\n"), "more"},
    {"half a header", SLICE("*2\r"), "more"},
    {"payload without its line end", SLICE("*1\r\n$1\r\na\r"), "more"},
    {"empty multibulk is an empty command", SLICE("*0\r\n*1\r\n$1\r\na\r\n"), "\na\n"},
    {"negative multibulk is an empty command", SLICE("*-1\r\n+PING\r\n"), "\n+PING\n"},
    {"multibulk count with a leading zero", SLICE("*01\r\n"), "error: invalid multibulk length"},
    {"multibulk count is no number", SLICE("*abc\r\n"), "error: invalid multibulk length"},
    {"multibulk count is missing", SLICE("*\r\n"), "error: invalid multibulk length"},
    {"multibulk count with a plus sign", SLICE("*+1\r\n"), "error: invalid multibulk length"},
    {"too many arguments", SLICE("*21\r\n"), "error: invalid multibulk length"},
    {"multibulk count overflows", SLICE("*99999999999999999999\r\n"),
     "error: invalid multibulk length"},
    {"most arguments", SLICE("*20\r\n"), "more"},
    {"endless multibulk count", SLICE("*1111111111111111111111111111111111111111"),
     "error: too big mbulk count string"},
    {"bulk length is no number", SLICE("*1\r\n$x\r\n"), "error: invalid bulk length"},
    {"bulk length is negative", SLICE("*1\r\n$-1\r\n"), "error: invalid bulk length"},
    {"bulk length with a leading zero", SLICE("*1\r\n$01\r\na\r\n"), "error: invalid bulk length"},
    {"bulk too long", SLICE("*1\r\n$33\r\n"), "error: invalid bulk length"},
    {"longest bulk", SLICE("*1\r\n$32\r\n"), "more"},
    {"endless bulk length", SLICE("*1\r\n$1111111111111111111111111111111111111111"),
     "error: too big bulk count string"},
    {"not a bulk", SLICE("*1\r\n:1\r\n"), "error: expected '$', got ':'"},
    {"not a bulk, second argument", SLICE("*2\r\n$1\r\na\r\n*1\r\n"),
     "error: expected '$', got '*'"},
    {"an argument's type is missing", SLICE("*1\r\n\r\n"), "error: expected '$', got '\r'"},
    {"an argument's type is NUL", SLICE("*1\r\n\0\r\n"), "error: expected '$', got NUL"},
    {"nested arrays", SLICE("*1\r\n*1\r\n*1\r\n"), "error: expected '$', got '*'"},
    {"bulk length with NUL", SLICE("*1\r\n$4\0\r\n"), "error: invalid bulk length"},
    {"bulk length overflows", SLICE("*1\r\n$99999999999999999999\r\n"),
     "error: invalid bulk length"},
    {"bulk length is the least number", SLICE("*1\r\n$-9223372036854775808\r\n"),
     "error: invalid bulk length"},
    {"bulk length is missing", SLICE("*1\r\n$\r\n"), "error: invalid bulk length"},
    {"minus zero", SLICE("*-0\r\n"), "error: invalid multibulk length"},
    {"most negative multibulk", SLICE("*-9223372036854775808\r\nPING\r\n"), "\nPING\n"},
    {"a line feed alone ends no header", SLICE("*1\n$4\nPING\n"), "more"},
    {"inline with NUL", SLICE("GET a\0b\r\n"), "error: NUL byte in inline request; is this TLS?"},
    {"TLS hello", SLICE("\x16\x03\x01\x02\0\x01"),
     "error: NUL byte in inline request; is this TLS?"},
    {"inline, vertical tab inside a word", SLICE("\vECHO a\vb \f c\r\n"), "ECHO|a\vb|c\n"},
    {"inline, carriage return inside", SLICE("ECHO a\rb\r\n"), "ECHO|a|b\n"},
    {"inline", SLICE("PING\r\n"), "PING\n"},
    {"inline without CR", SLICE("SET a  b \n"), "SET|a|b\n"},
    {"inline, empty line", SLICE("\r\n\nPING\r\n"), "\n\nPING\n"},
    {"inline, only spaces", SLICE("   \r\n"), "\n"},
    {"inline, unfinished", SLICE("PING"), "more"},
    {"inline, tabs", SLICE("\tSET\ta\tb\r\n"), "SET|a|b\n"},
    {"inline, double quotes", SLICE("SET \"a b\" \"\\x41\\n\\\"\\q\"\r\n"), "SET|a b|A\n\"q\n"},
    {"inline, single quotes", SLICE("SET 'a \"b' 'it\\'s\\n'\r\n"), "SET|a \"b|it's\\n\n"},
    {"inline, empty quotes", SLICE("SET \"\" ''\r\n"), "SET||\n"},
    {"inline, quote inside a word", SLICE("SET fo\"o b\"\r\n"), "SET|foo b\n"},
    {"inline, all escapes", SLICE("\"\\r\\t\\b\\a\\xzz\"\r\n"), "\r\t\b\axzz\n"},
    {"inline, bad hex at the end", SLICE("\"\\x4\"\r\n"), "x4\n"},
    {"inline, quote not closed", SLICE("GET \"a\r\n"), "error: unbalanced quotes in request"},
    {"inline, single quote not closed", SLICE("GET 'a\r\n"), "error: unbalanced quotes in request"},
    {"inline, backslash before the end", SLICE("GET \"a\\\r\n"),
     "error: unbalanced quotes in request"},
    {"inline, bytes after a closing quote", SLICE("GET \"a\"b\r\n"),
     "error: unbalanced quotes in request"},
    {"inline, longest", SLICE("0123456789012345678901234567890123456789\n"),
     "0123456789012345678901234567890123456789\n"},
    {"inline, too long", SLICE("01234567890123456789012345678901234567890\n"),
     "error: too big inline request"},
    {"inline after multibulk", SLICE("*1\r\n$1\r\na\r\nPING\r\n*1\r\n$1\r\nb\r\n"), "a\nPING\nb\n"},
};

static void render_command(const struct resp_parser *p, struct buf *out)
{
    for (uint32_t i = 0; i < p->argc; i++) {
        buf_append_str(out, i > 0 ? "|" : "");
        buf_append_slice(out, p->argv[i]);
    }
    buf_append_char(out, '\n');
}

/* Parses as much as `in` has; returns what was used. RESP_COMMAND: nothing is left at all. */
static enum resp_result drain(struct resp_parser *p, struct slice in, struct buf *out,
                              size_t *ret_used)
{
    size_t used = 0;
    enum resp_result result = RESP_COMMAND;
    while (used < in.len && result == RESP_COMMAND) {
        size_t one = 0;
        result = resp_parse(p, slice_from(in, used), &one);
        if (result == RESP_COMMAND) {
            render_command(p, out);
            used += one;
        }
    }
    *ret_used = used;
    return result;
}

static void render_end(const struct resp_parser *p, enum resp_result result, struct buf *out)
{
    if (result == RESP_MORE) {
        buf_append_str(out, "more");
    } else if (result == RESP_ERROR) {
        buf_printf(out, "error: %s", p->error);
    }
    buf_append_char(out, '\0');
}

static void feed_in_steps(const struct resp_limits *limits, struct slice in, size_t step,
                          struct buf *out)
{
    struct resp_parser p;
    resp_parser_init(&p, limits);
    enum resp_result result = RESP_COMMAND;
    size_t start = 0;
    for (size_t end = 0; end < in.len && result != RESP_ERROR;) {
        end = in.len - end > step ? end + step : in.len;
        size_t used;
        char *copy = xmalloc(end - start);
        memcpy(copy, in.ptr + start, end - start);
        result = drain(&p, (struct slice){copy, end - start}, out, &used);
        start += used;
        if (result == RESP_ERROR) {
            render_end(&p, result, out);
        }
        free(copy);
    }
    if (result != RESP_ERROR) {
        render_end(&p, result, out);
    }
    resp_parser_fini(&p);
}

static void examples_give_their_result_however_split(void **state)
{
    for (size_t i = 0; i < array_len(examples); i++) {
        const struct example *e = &examples[i];
        for (size_t step = 1; step <= e->in.len; step++) {
            struct buf out;
            buf_init(&out);
            feed_in_steps(&small_limits, e->in, step, &out);
            if (strcmp(buf_readable(&out).ptr, e->want) != 0) {
                fail_msg("%s, %zu bytes at a time: %s", e->name, step, buf_readable(&out).ptr);
            }
            buf_fini(&out);
        }
    }
}

static void command_in_the_buffer_is_not_copied(void **state)
{
    struct resp_parser p;
    resp_parser_init(&p, &wide_limits);
    struct slice in = SLICE("*2\r\n$3\r\nGET\r\n$3\r\nkey\r\nrest");
    size_t used;
    assert_int_equal(resp_parse(&p, in, &used), RESP_COMMAND);
    assert_int_equal(used, in.len - 4);
    assert_int_equal(p.argc, 2);
    assert_ptr_equal(p.argv[1].ptr, in.ptr + 17);
    assert_null(p.offsets);
    resp_parser_fini(&p);
}

static void long_command_survives_moves(void **state)
{
    enum { COUNT = 5000 };
    struct buf in;
    struct buf whole;
    struct buf split;
    buf_init(&in);
    buf_init(&whole);
    buf_init(&split);
    for (int round = 0; round < 2; round++) {
        buf_printf(&in, "*%d\r\n", COUNT);
        for (int i = 0; i < COUNT; i++) {
            buf_printf(&in, "$4\r\n%04d\r\n", i);
        }
        buf_append_str(&in, "*1\r\n$4\r\nPING\r\n");
    }
    feed_in_steps(&wide_limits, buf_readable(&in), buf_len(&in), &whole);
    feed_in_steps(&wide_limits, buf_readable(&in), 777, &split);
    assert_true(slice_eq(buf_readable(&whole), buf_readable(&split)));
    assert_int_equal(buf_len(&whole), 2 * (COUNT * 5 + 5) + 1);
    buf_fini(&in);
    buf_fini(&whole);
    buf_fini(&split);
}

static void clients_that_have_not_authenticated_get_little(void **state)
{
    static const struct example few[] = {
        {"10 arguments", SLICE("*10\r\n"), "more"},
        {"11 arguments", SLICE("*11\r\n"), "error: unauthenticated multibulk length"},
        {"16384 bytes", SLICE("*1\r\n$16384\r\n"), "more"},
        {"more than anybody may", SLICE("*1025\r\n"), "error: unauthenticated multibulk length"},
        {"negative", SLICE("*-1\r\n*1\r\n$-1\r\n"), "\nerror: invalid bulk length"},
        {"16385 bytes", SLICE("*1\r\n$16385\r\n"), "error: unauthenticated bulk length"},
    };
    for (size_t i = 0; i < array_len(few); i++) {
        struct buf out;
        buf_init(&out);
        feed_in_steps(&anonymous_limits, few[i].in, 1, &out);
        assert_string_equal(buf_readable(&out).ptr, few[i].want);
        buf_fini(&out);
    }
}

/* Feeds all of `in` piece by piece; true when every command came out. */
static bool survives(struct slice in, size_t step)
{
    struct resp_parser p;
    resp_parser_init(&p, &wide_limits);
    size_t start = 0;
    enum resp_result result = RESP_MORE;
    for (size_t end = 0; end < in.len && result != RESP_ERROR;) {
        end = in.len - end > step ? end + step : in.len;
        do {
            size_t used = 0;
            result = resp_parse(&p, (struct slice){in.ptr + start, end - start}, &used);
            start += result == RESP_COMMAND ? used : 0;
        } while (result == RESP_COMMAND && start < end);
    }
    bool refused = result == RESP_ERROR;
    if (refused) {
        assert_string_equal(p.error, "no memory for a request of this size");
    }
    resp_parser_fini(&p);
    return !refused;
}

/* The n-th allocation fails, for every n: each time a refusal in words, no crash, and (ASan) no leak. */
static void any_allocation_may_fail(void **state)
{
    struct buf in;
    buf_init(&in);
    buf_append_str(&in, "SET 'an inline' \"command\"\r\n*3000\r\n");
    for (int i = 0; i < 3000; i++) {
        buf_append_str(&in, "$1\r\na\r\n");
    }
    for (size_t step = 100; step <= 100000; step *= 10) {
        uint64_t n = 0;
        bool whole = false;
        while (!whole) {
            assert_int_equal(alloc_fail_at(++n), 0);
            whole = survives(buf_readable(&in), step);
            assert_int_equal(alloc_fail_at(0) > 0, whole); /* still to come: nothing failed */
        }
        assert_true(n > 8);
    }
    buf_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_give_their_result_however_split),
        cmocka_unit_test(command_in_the_buffer_is_not_copied),
        cmocka_unit_test(long_command_survives_moves),
        cmocka_unit_test(clients_that_have_not_authenticated_get_little),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
