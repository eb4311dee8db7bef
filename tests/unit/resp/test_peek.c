/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking ahead: what is seen, where the look ends, and that no byte behind the end is touched. */
#include "base/alloc.h"
#include "resp/resp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define GET_A   "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
#define SET_KEY "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"

static const struct {
    const char *in;
    const char *want; /* words, a bar behind each command's */
} rows[] = {
    {"", ""},
    {GET_A, "a|"},
    {GET_A SET_KEY GET_A, "a|key value|a|"},
    {"*4\r\n$4\r\nZADD\r\n$1\r\nz\r\n$1\r\n5\r\n$0\r\n\r\n" GET_A, "z 5 |a|"},
    {"*5\r\n$4\r\nHSET\r\n$1\r\nh\r\n$1\r\nf\r\n$1\r\nv\r\n$1\r\ng\r\n" GET_A, "h f v|a|"},
    {GET_A "*2\r\n$3\r\nGET\r\n$0\r\n\r\n" GET_A, "a||a|"},
    {GET_A "*1\r\n$4\r\nPING\r\n" GET_A, "a|"},
    {GET_A "PING\r\n" GET_A, "a|"},
    {GET_A "*2\r\n:1\r\n", "a|"},
    {GET_A "*-1\r\n" GET_A, "a|"},
    {GET_A "*2\r\n$-1\r\n" GET_A, "a|"},
    {GET_A "*2\r\n$99999999999999999999\r\n", "a|"},
    {GET_A "*99999999999999999999\r\n", "a|"},
    {GET_A "*9\r\n$1\r\na\r\n", "a|"},
    {GET_A "*x\r\n", "a|"},
};

static void look(struct slice in, struct buf *out)
{
    struct slice words[8 * RESP_PEEK_WORDS];
    char *copy = xmalloc(in.len + 1);
    char *exact =
        copy + 1; /* so that the allocation ends where the input does, even an empty one */
    if (in.len > 0) {
        memcpy(exact, in.ptr, in.len);
    }
    uint32_t count = resp_peek((struct slice){exact, in.len}, words, 8);
    for (uint32_t i = 0; i < count * RESP_PEEK_WORDS; i++) {
        if (words[i].ptr != NULL) {
            if (i % RESP_PEEK_WORDS != 0) {
                buf_append_char(out, ' ');
            }
            buf_append_slice(out, words[i]);
        }
        if ((i + 1) % RESP_PEEK_WORDS == 0) {
            buf_append_char(out, '|');
        }
    }
    buf_append_char(out, '\0');
    free(copy);
}

static void sees_words_until_something_else_comes(void **state)
{
    for (size_t i = 0; i < array_len(rows); i++) {
        struct buf out;
        buf_init(&out);
        look(slice_of(rows[i].in), &out);
        assert_string_equal(buf_readable(&out).ptr, rows[i].want);
        buf_fini(&out);
    }
}

static void cut_anywhere_sees_what_is_whole(void **state)
{
    struct slice in = SLICE(GET_A SET_KEY);
    for (size_t len = 0; len <= in.len; len++) {
        struct buf out;
        buf_init(&out);
        look((struct slice){in.ptr, len}, &out);
        const char *want = len == in.len ? "a|key value|" : len >= sizeof(GET_A) - 1 ? "a|" : "";
        assert_string_equal(buf_readable(&out).ptr, want);
        buf_fini(&out);
    }
}

static void stops_at_the_number_asked_for(void **state)
{
    struct slice words[2 * RESP_PEEK_WORDS];
    assert_int_equal(resp_peek(SLICE(GET_A GET_A GET_A), words, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sees_words_until_something_else_comes),
        cmocka_unit_test(cut_anywhere_sees_what_is_whole),
        cmocka_unit_test(stops_at_the_number_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
