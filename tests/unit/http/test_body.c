/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bodies by length and by chunks. Every body is offered whole and byte by byte; both must end
 * alike, with the same content and the same bytes left over.
 */
#include "http_case.h"

struct body_run {
    enum http_result result;
    size_t used;
    struct buf out;
    struct http_refusal refusal;
};

static const struct http_request chunked = {.has_body = true, .chunked = true};

/* Offers `in` in pieces of `step` bytes, as a connection would. */
static struct body_run run_body(const struct http_request *req, const struct http_limits *limits,
                                struct slice in, size_t step)
{
    struct body_run run = {.result = HTTP_MORE};
    struct http_body b = {0};
    buf_init(&run.out);
    while (run.result == HTTP_MORE) {
        size_t len = in.len - run.used < step ? in.len - run.used : step;
        char *mem = xmalloc(len > 0 ? len : 1);
        memcpy(mem, in.ptr + run.used, len);
        size_t used = 0;
        run.result = http_parse_body(&b, req, limits, (struct slice){mem, len}, &used, &run.out,
                                     &run.refusal);
        free(mem);
        assert_true(used <= len);
        assert_true(run.result != HTTP_MORE || used == len);
        run.used += used;
        if (len == 0) {
            break;
        }
    }
    return run;
}

static struct body_run run_both(const struct http_request *req, const struct http_limits *limits,
                                struct slice in)
{
    struct body_run whole = run_body(req, limits, in, SIZE_MAX);
    struct body_run bytes = run_body(req, limits, in, 1);
    assert_int_equal(whole.result, bytes.result);
    assert_int_equal(whole.used, bytes.used);
    if (whole.result == HTTP_REFUSED) {
        assert_int_equal(whole.refusal.status, bytes.refusal.status);
        assert_ptr_equal(whole.refusal.reason, bytes.refusal.reason);
    }
    assert_true(slice_eq(buf_readable(&whole.out), buf_readable(&bytes.out)));
    buf_fini(&bytes.out);
    return whole;
}

/* The whole of `in` but `left` bytes is a body with this content. */
static void expect_body(const struct http_request *req, struct slice in, size_t left,
                        const char *content)
{
    struct body_run run = run_both(req, &case_limits, in);
    if (run.result != HTTP_DONE) {
        fail_msg("not accepted: %s",
                 run.result == HTTP_REFUSED ? run.refusal.reason : "incomplete");
    }
    assert_int_equal(run.used, in.len - left);
    assert_slice(buf_readable(&run.out), content);
    buf_fini(&run.out);
}

static void expect_chunks_refused(struct slice in, int status, const char *words)
{
    struct body_run run = run_both(&chunked, &case_limits, in);
    if (run.result != HTTP_REFUSED) {
        fail_msg("not refused: '%.*s'", (int)in.len, in.ptr);
    }
    assert_int_equal(run.refusal.status, status);
    if (strstr(run.refusal.reason, words) == NULL) {
        fail_msg("'%.*s' refused with '%s'", (int)in.len, in.ptr, run.refusal.reason);
    }
    buf_fini(&run.out);
}

static void takes_a_body_of_known_length(void **state)
{
    struct http_request req = {.has_body = true, .content_length = 5};
    expect_body(&req, SLICE("helloGET /next"), 9, "hello");
}

static void no_body_ends_at_once(void **state)
{
    struct http_request req = {0};
    expect_body(&req, SLICE("GET /next"), 9, "");
    expect_body(&req, SLICE(""), 0, "");
}

static void waits_for_the_rest_of_a_body(void **state)
{
    static const char *const parts[] = {
        "",      "5",       "5\r",           "5\r\n", "5\r\nhel",      "5\r\nhello",
        "0\r\n", "0\r\n\r", "0\r\nX: y\r\n", "5;x",   "5\r\nhello\r\n"};
    for (size_t i = 0; i < array_len(parts); i++) {
        struct body_run run = run_both(&chunked, &case_limits, slice_of(parts[i]));
        assert_int_equal(run.result, HTTP_MORE);
        buf_fini(&run.out);
    }
    struct http_request req = {.has_body = true, .content_length = 5};
    struct body_run run = run_both(&req, &case_limits, SLICE("hell"));
    assert_int_equal(run.result, HTTP_MORE);
    buf_fini(&run.out);
}

static void joins_chunks(void **state)
{
    expect_body(&chunked, SLICE("0\r\n\r\n"), 0, "");
    expect_body(&chunked, SLICE("5\r\nhello\r\n0\r\n\r\nGET"), 3, "hello");
    /* Content that looks like framing is content. */
    expect_body(&chunked, SLICE("1\r\na\r\nb\r\n0\r\n\r\nGET / \r\n0\r\n\r\nnext"), 4,
                "a0\r\n\r\nGET / ");
    expect_body(&chunked, SLICE("0000000000000002\r\nhi\r\n000\r\n\r\n"), 0, "hi");
}

static void ignores_chunk_extensions(void **state)
{
    expect_body(&chunked, SLICE("2;a\r\nhi\r\n0;bc=d.1\r\n\r\n"), 0, "hi");
}

static void drops_trailers(void **state)
{
    expect_body(&chunked,
                SLICE("2\r\nhi\r\n0\r\nContent-MD5: 5\r\nTransfer-Encodings: x\r\nX:\r\n\r\nGET"),
                3, "hi");
}

static void refuses_sizes_that_are_no_plain_hex(void **state)
{
    static const char *const sizes[] = {"0x5", "+5", "-5", "5 ", "5\t", "5_", "5x", "5,5", "5\x0b"};
    for (size_t i = 0; i < array_len(sizes); i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%s\r\nhello\r\n0\r\n\r\n", sizes[i]);
        expect_chunks_refused(slice_of(text), 400, "chunk");
    }
    expect_chunks_refused(SLICE("_5\r\nhello\r\n0\r\n\r\n"), 400, "does not begin with its size");
    expect_chunks_refused(SLICE(" 5\r\nhello\r\n0\r\n\r\n"), 400, "does not begin with its size");
}

static void refuses_an_empty_size(void **state)
{
    expect_chunks_refused(SLICE("\r\nhello\r\n0\r\n\r\n"), 400, "does not begin with its size");
    expect_chunks_refused(SLICE(";a\r\nhello\r\n0\r\n\r\n"), 400, "does not begin with its size");
    expect_chunks_refused(SLICE("2\r\nhi\r\n\r\n"), 400, "does not begin with its size");
}

static void refuses_a_size_of_17_digits(void **state)
{
    expect_chunks_refused(SLICE("00000000000000005\r\nhello\r\n0\r\n\r\n"), 400, "16 digits");
    expect_chunks_refused(SLICE("10000000000000005\r\nhello\r\n0\r\n\r\n"), 413, "larger");
}

static void refuses_bare_lf_in_chunks(void **state)
{
    expect_chunks_refused(SLICE("5\nhello\r\n0\r\n\r\n"), 400, "plain hexadecimal");
    expect_chunks_refused(SLICE("5\r\nhello\n0\r\n\r\n"), 400, "CR LF");
    expect_chunks_refused(SLICE("5\r\nhello\r\n0\n\r\n"), 400, "plain hexadecimal");
    expect_chunks_refused(SLICE("5\r\nhello\r\n0\r\n\n"), 400, "trailer");
    expect_chunks_refused(SLICE("0\r\nX: y\n\r\n"), 400, "trailer");
}

static void refuses_bare_cr_in_chunks(void **state)
{
    expect_chunks_refused(SLICE("5\rhello\r\n0\r\n\r\n"), 400, "CR LF");
    expect_chunks_refused(SLICE("5\r\nhello\r0\r\n\r\n"), 400, "CR LF");
    expect_chunks_refused(SLICE("5\r\nhello\r\n0\r\n\rX"), 400, "CR LF");
    expect_chunks_refused(SLICE("0\r\nX: y\rz\r\n\r\n"), 400, "CR LF");
}

static void refuses_controls_in_extensions(void **state)
{
    expect_chunks_refused(SLICE("5;a\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("5;a\rhello\r\n0\r\n\r\n"), 400, "CR LF");
    expect_chunks_refused(SLICE("5;a\0b\r\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("2;a=\"\n\"\r\nhi\r\n0\r\n\r\n"), 400, "extension");
}

static void refuses_extensions_that_readers_differ_on(void **state)
{
    expect_chunks_refused(SLICE("5;\r\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("5; a\r\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("5;a \r\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("5;a=\"b\"\r\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("5;a;b\r\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("5;a=b;c\r\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("5;a;\r\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("5;a==b\r\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("5;a=\r\nhello\r\n0\r\n\r\n"), 400, "extension");
    expect_chunks_refused(SLICE("5;=a\r\nhello\r\n0\r\n\r\n"), 400, "extension");
}

static void refuses_trailers_that_frame(void **state)
{
    expect_chunks_refused(SLICE("0\r\nContent-Length: 5\r\n\r\n"), 400, "trailer");
    expect_chunks_refused(SLICE("0\r\nX: y\r\ntRANSFER-eNCODING:\r\n\r\n"), 400, "trailer");
}

static void refuses_an_extension_over_1_kb(void **state)
{
    for (size_t pad = 1024 - 4; pad <= 1024 - 3; pad++) {
        struct buf b;
        buf_init(&b);
        buf_append_str(&b, "0;"); /* with CRLF and the padding: 1,024 bytes, then one more */
        for (size_t i = 0; i < pad; i++) {
            buf_append_char(&b, 'x');
        }
        buf_append_str(&b, "\r\n\r\n");
        if (pad == 1024 - 4) {
            expect_body(&chunked, buf_readable(&b), 0, "");
        } else {
            expect_chunks_refused(buf_readable(&b), 400, "too long");
        }
        buf_fini(&b);
    }
}

static void refuses_missing_crlf_after_data(void **state)
{
    expect_chunks_refused(SLICE("5\r\nhello0\r\n\r\n"), 400, "CR LF");
    expect_chunks_refused(SLICE("5\r\nhello world\r\n0\r\n\r\n"), 400, "CR LF");
    expect_chunks_refused(SLICE("5\r\nhelloX\r\n0\r\n\r\n"), 400, "CR LF");
}

static void refuses_malformed_trailers(void **state)
{
    expect_chunks_refused(SLICE("0\r\n X: y\r\n\r\n"), 400, "trailer");
    expect_chunks_refused(SLICE("0\r\nX : y\r\n\r\n"), 400, "trailer");
    expect_chunks_refused(SLICE("0\r\n: y\r\n\r\n"), 400, "trailer");
    expect_chunks_refused(SLICE("0\r\nX: y\r\n z\r\n\r\n"), 400, "trailer");
    expect_chunks_refused(SLICE("0\r\nX\r\n\r\n"), 400, "trailer");
    expect_chunks_refused(SLICE("0\r\nX: \0\r\n\r\n"), 400, "trailer");
    expect_chunks_refused(SLICE("0\r\nGET / HTTP/1.1\r\n\r\n"), 400, "trailer");
}

static void refuses_trailers_above_the_head_limit(void **state)
{
    struct http_limits limits = {.head_max = 8, .line_max = 8, .body_max = 8};
    struct body_run run = run_both(&chunked, &limits, SLICE("0\r\nX: y\r\n\r\n"));
    assert_int_equal(run.result, HTTP_DONE);
    buf_fini(&run.out);
    run = run_both(&chunked, &limits, SLICE("0\r\nX: yz\r\n\r\n"));
    assert_int_equal(run.result, HTTP_REFUSED);
    assert_int_equal(run.refusal.status, 431);
    buf_fini(&run.out);
}

static void refuses_chunks_above_the_body_limit(void **state)
{
    struct http_limits limits = {.head_max = 100, .line_max = 100, .body_max = 5};
    struct body_run run = run_both(&chunked, &limits, SLICE("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
    assert_int_equal(run.result, HTTP_DONE);
    buf_fini(&run.out);
    static const char *const over[] = {"6\r\nabcdef", "3\r\nabc\r\n3\r\ndef",
                                       "fffffffffffffffff\r\n", "5\r\nabcde\r\n1\r\nf"};
    for (size_t i = 0; i < array_len(over); i++) {
        run = run_both(&chunked, &limits, slice_of(over[i]));
        assert_int_equal(run.result, HTTP_REFUSED);
        assert_int_equal(run.refusal.status, 413);
        buf_fini(&run.out);
    }
}

static void bounds_framing_by_content(void **state)
{
    struct buf small;
    struct buf padded;
    buf_init(&small);
    buf_init(&padded);
    for (int i = 0; i < 4000; i++) {
        buf_append_str(&small, "1\r\nx\r\n");
        buf_append_str(&padded, "0000000000000001\r\nx\r\n");
    }
    buf_append_str(&small, "0\r\n\r\n");
    struct body_run run = run_both(&chunked, &case_limits, buf_readable(&small));
    assert_int_equal(run.result, HTTP_DONE);
    assert_int_equal(buf_len(&run.out), 4000);
    buf_fini(&run.out);
    expect_chunks_refused(buf_readable(&padded), 400, "more framing than content");
    buf_fini(&small);
    buf_fini(&padded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_body_of_known_length),
        cmocka_unit_test(no_body_ends_at_once),
        cmocka_unit_test(waits_for_the_rest_of_a_body),
        cmocka_unit_test(joins_chunks),
        cmocka_unit_test(ignores_chunk_extensions),
        cmocka_unit_test(drops_trailers),
        cmocka_unit_test(refuses_sizes_that_are_no_plain_hex),
        cmocka_unit_test(refuses_an_empty_size),
        cmocka_unit_test(refuses_a_size_of_17_digits),
        cmocka_unit_test(refuses_bare_lf_in_chunks),
        cmocka_unit_test(refuses_bare_cr_in_chunks),
        cmocka_unit_test(refuses_controls_in_extensions),
        cmocka_unit_test(refuses_extensions_that_readers_differ_on),
        cmocka_unit_test(refuses_trailers_that_frame),
        cmocka_unit_test(refuses_an_extension_over_1_kb),
        cmocka_unit_test(refuses_missing_crlf_after_data),
        cmocka_unit_test(refuses_malformed_trailers),
        cmocka_unit_test(refuses_trailers_above_the_head_limit),
        cmocka_unit_test(refuses_chunks_above_the_body_limit),
        cmocka_unit_test(bounds_framing_by_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
