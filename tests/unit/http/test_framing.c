/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the fields of a head mean together: each smuggling vector against a server by its name, then
 * what is accepted.
 */
#include "http_case.h"

static struct http_case c;

static void post_refused(struct slice fields, int status, const char *words)
{
    expect_fields_refused("POST", fields, status, words);
}

/* --- length -------------------------------------------------------------------------------------
 */

static void reads_content_length(void **state)
{
    expect_done(&c, SLICE("POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 4096\r\n\r\n"));
    assert_true(c.req.has_body);
    assert_false(c.req.chunked);
    assert_int_equal(c.req.content_length, 4096);
    case_free(&c);
    expect_done(&c, SLICE("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
    assert_false(c.req.has_body);
    case_free(&c);
}

static void refuses_length_beside_chunked(void **state)
{
    post_refused(SLICE("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400, "beside");
    post_refused(SLICE("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400, "beside");
    post_refused(SLICE("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), 400, "beside");
}

static void refuses_two_content_lengths(void **state)
{
    post_refused(SLICE("Content-Length: 5\r\nContent-Length: 6\r\n"), 400, "twice");
    post_refused(SLICE("Content-Length: 5\r\nContent-Length: 5\r\n"), 400, "twice");
    post_refused(SLICE("Content-Length: 0\r\nX: y\r\ncontent-length: 5\r\n"), 400, "twice");
}

static void refuses_a_list_of_lengths(void **state)
{
    post_refused(SLICE("Content-Length: 5, 5\r\n"), 400, "plain decimal");
    post_refused(SLICE("Content-Length: 5,6\r\n"), 400, "plain decimal");
    post_refused(SLICE("Content-Length: 5,\r\n"), 400, "plain decimal");
}

static void refuses_lengths_that_are_no_plain_number(void **state)
{
    static const char *const lengths[] = {
        "+5", "-5", "-0",   "5 5", "",      "0x5",      "5x",  "a",   "5.0", "1e3",
        "05", "00", "5\t5", "5;",  "\"5\"", "\xd9\xa5", "5_0", "5'0", "NaN",
    };
    for (size_t i = 0; i < array_len(lengths); i++) {
        char line[100];
        (void)snprintf(line, sizeof(line), "Content-Length: %s\r\n", lengths[i]);
        post_refused(slice_of(line), 400, "plain decimal");
    }
}

static void refuses_tabs_around_what_frames(void **state)
{
    post_refused(SLICE("Content-Length:\t5\r\n"), 400, "tab");
    post_refused(SLICE("Content-Length: 5\t\r\n"), 400, "tab");
    post_refused(SLICE("Content-Length: \t 5\r\n"), 400, "tab");
    post_refused(SLICE("Transfer-Encoding:\tchunked\r\n"), 400, "tab");
    post_refused(SLICE("Transfer-Encoding: chunked \t\r\n"), 400, "tab");
}

static void refuses_a_length_that_overflows(void **state)
{
    post_refused(SLICE("Content-Length: 18446744073709551616\r\n"), 400, "plain decimal");
    post_refused(SLICE("Content-Length: 18446744073709551621\r\n"), 400, "plain decimal");
    post_refused(SLICE("Content-Length: 99999999999999999999999999\r\n"), 400, "plain decimal");
}

static void refuses_a_body_above_the_limit(void **state)
{
    post_refused(SLICE("Content-Length: 4097\r\n"), 413, "body");
    post_refused(SLICE("Content-Length: 18446744073709551615\r\n"), 413, "body");
}

/* --- transfer coding ----------------------------------------------------------------------------
 */

static void reads_chunked(void **state)
{
    expect_done(&c, SLICE("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"));
    assert_true(c.req.has_body);
    assert_true(c.req.chunked);
    case_free(&c);
}

static void refuses_chunked_in_http_1_0(void **state)
{
    expect_refused(SLICE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, "HTTP/1.0");
    expect_refused(SLICE("POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n"),
                   400, "HTTP/1.0");
}

static void refuses_codings_that_are_not_exactly_chunked(void **state)
{
    static const char *const codings[] = {
        "xchunked",    "chunkedx",          "\"chunked\"",
        "chunked;q=1", "chunked, identity", "chunked,",
        ",chunked",    "chunked, chunked",  "chunked,gzip",
        "gzip",        "identity",          "",
        "chun ked",    "gzip chunked",      "chunked chunked",
        "'chunked'",   "gzip;x, chunked",   "chunked, gzip, chunked",
        "chunked\xe4", "gzip, \"chunked\"",
    };
    for (size_t i = 0; i < array_len(codings); i++) {
        char line[100];
        (void)snprintf(line, sizeof(line), "Transfer-Encoding: %s\r\n", codings[i]);
        post_refused(slice_of(line), 400, "exactly chunked");
    }
}

static void refuses_a_control_beside_chunked(void **state)
{
    post_refused(SLICE("Transfer-Encoding: chunked\x0b\r\n"), 400, "control");
    post_refused(SLICE("Transfer-Encoding: \x0b"
                       "chunked\r\n"),
                 400, "control");
    post_refused(SLICE("Transfer-Encoding: chunked\0\r\n"), 400, "control");
    post_refused(SLICE("Transfer-Encoding:\x0c"
                       "chunked\r\n"),
                 400, "control");
}

static void refuses_two_transfer_encodings(void **state)
{
    post_refused(SLICE("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400,
                 "twice");
    post_refused(SLICE("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), 400,
                 "twice");
    post_refused(SLICE("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"), 400,
                 "exactly chunked");
}

static void refuses_a_coding_that_it_cannot_undo(void **state)
{
    post_refused(SLICE("Transfer-Encoding: gzip, chunked\r\n"), 501, "only transfer coding");
    post_refused(SLICE("Transfer-Encoding: gzip,chunked\r\n"), 501, "only transfer coding");
    post_refused(SLICE("Transfer-Encoding: identity, chunked\r\n"), 501, "only transfer coding");
}

/* --- a body where there must be none ------------------------------------------------------------
 */

static void refuses_a_body_on_methods_without_one(void **state)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < array_len(methods); i++) {
        expect_fields_refused(methods[i], SLICE("Content-Length: 5\r\n"), 400, "body");
        expect_fields_refused(methods[i], SLICE("Transfer-Encoding: chunked\r\n"), 400, "body");
    }
    expect_refused(SLICE("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\n"), 400,
                   "body");
}

static void takes_a_body_on_other_methods(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "M-SEARCH"};
    for (size_t i = 0; i < array_len(methods); i++) {
        char text[100];
        (void)snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
                       methods[i]);
        expect_done(&c, slice_of(text));
        assert_true(c.req.has_body);
        case_free(&c);
    }
}

/* --- Host ---------------------------------------------------------------------------------------
 */

static void refuses_a_missing_host(void **state)
{
    expect_refused(SLICE("GET / HTTP/1.1\r\n\r\n"), 400, "needs a Host");
    expect_refused(SLICE("GET http://a/ HTTP/1.1\r\n\r\n"), 400, "needs a Host");
}

static void http_1_0_needs_no_host(void **state)
{
    expect_done(&c, SLICE("GET / HTTP/1.0\r\n\r\n"));
    assert_slice(c.req.host, "");
    assert_int_equal(c.req.minor, 0);
    case_free(&c);
}

static void refuses_two_hosts(void **state)
{
    expect_refused(SLICE("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400, "twice");
    expect_refused(SLICE("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), 400, "twice");
    expect_refused(SLICE("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400, "twice");
}

static void refuses_an_invalid_host(void **state)
{
    static const char *const hosts[] = {
        "",      "a b",          "a,b",
        "a/b",   "a?b",          "a#b",
        "u@a",   "http://a",     "a:",
        "a:x",   "a:-1",         "a:+1",
        "a:080", "a:65536",      "a:1:2",
        ":80",   "[::1",         "::1",
        "[]",    "[::1]x",       "[::1]:",
        "[::g]", "[a",           "a\\b",
        "a\"",   "a;b",          "\xc3\xa4",
        "a%00b", "[::1%25eth0]", "a\tb",
        "<a>",   "a'b",          "a:99999999999999999999",
    };
    for (size_t i = 0; i < array_len(hosts); i++) {
        char text[120];
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        expect_refused(slice_of(text), 400, "Host is not");
    }
}

static void takes_every_kind_of_host(void **state)
{
    static const char *const hosts[] = {
        "a",
        "a.b.test",
        "127.0.0.1",
        "127.0.0.1:8080",
        "a:0",
        "a:65535",
        "[::1]",
        "[::1]:80",
        "my_app-1.test.",
        "[::ffff:10.0.0.1]",
        "xn--bcher-kva.test",
    };
    for (size_t i = 0; i < array_len(hosts); i++) {
        char text[120];
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        expect_done(&c, slice_of(text));
        assert_slice(c.req.host, hosts[i]);
        case_free(&c);
    }
}

static void refuses_a_target_for_another_host(void **state)
{
    expect_refused(SLICE("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "differs");
    expect_refused(SLICE("GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "differs");
    expect_refused(SLICE("GET http://ab/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "differs");
    expect_refused(SLICE("GET http://a/ HTTP/1.0\r\nHost: b\r\n\r\n"), 400, "differs");
    expect_refused(SLICE("CONNECT a:1 HTTP/1.1\r\nHost: b:1\r\n\r\n"), 400, "differs");
}

/* --- Connection, Expect, Upgrade ----------------------------------------------------------------
 */

static bool keeps_alive(const char *version, const char *fields)
{
    char text[200];
    (void)snprintf(text, sizeof(text), "GET / HTTP/%s\r\nHost: a\r\n%s\r\n", version, fields);
    expect_done(&c, slice_of(text));
    case_free(&c);
    return c.req.keep_alive;
}

static void knows_when_the_connection_goes_on(void **state)
{
    assert_true(keeps_alive("1.1", ""));
    assert_true(keeps_alive("1.1", "Connection: keep-alive\r\n"));
    assert_true(keeps_alive("1.1", "Connection: close-not\r\n"));
    assert_false(keeps_alive("1.1", "Connection: close\r\n"));
    assert_false(keeps_alive("1.1", "Connection: Close\r\n"));
    assert_false(keeps_alive("1.1", "Connection: keep-alive, close\r\n"));
    assert_false(keeps_alive("1.1", "Connection: close\r\nConnection: keep-alive\r\n"));
    assert_false(keeps_alive("1.0", ""));
    assert_true(keeps_alive("1.0", "Connection: Keep-Alive\r\n"));
    assert_false(keeps_alive("1.0", "Connection: keep-alive\r\nConnection: close\r\n"));
}

static void refuses_connection_that_names_end_to_end_fields(void **state)
{
    static const char *const names[] = {
        "Host",         "cookie", "X-Forwarded-For", "Content-Length", "transfer-encoding",
        "Authorization"};
    for (size_t i = 0; i < array_len(names); i++) {
        char line[100];
        (void)snprintf(line, sizeof(line), "Connection: close, %s\r\n", names[i]);
        expect_fields_refused("GET", slice_of(line), 400, "Connection names");
    }
}

static void expects_only_100_continue(void **state)
{
    expect_done(&c, SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                          "Expect: 100-Continue\r\n\r\n"));
    assert_true(c.req.expect_continue);
    case_free(&c);
    expect_done(&c, SLICE("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"));
    assert_false(c.req.expect_continue);
    case_free(&c);
    expect_done(&c, SLICE("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"));
    assert_false(c.req.expect_continue);
    case_free(&c);
}

static void refuses_other_expectations(void **state)
{
    static const char *const lines[] = {
        "Expect: \r\n",
        "Expect: 200-ok\r\n",
        "Expect: y100-continue\r\n",
        "Expect: 100-continue, x\r\n",
        "Expect: 100-continue, 100-continue\r\n",
        "Expect: \"100-continue\"\r\n",
        "Expect: 100-continue\r\nExpect: 100-continue\r\n",
    };
    for (size_t i = 0; i < array_len(lines); i++) {
        post_refused(slice_of(lines[i]), 417, "100-continue");
    }
}

static void ignores_upgrade(void **state)
{
    expect_done(&c, SLICE("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                          "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"));
    assert_true(c.req.keep_alive);
    assert_int_equal(c.req.minor, 1);
    case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_content_length),
        cmocka_unit_test(refuses_length_beside_chunked),
        cmocka_unit_test(refuses_two_content_lengths),
        cmocka_unit_test(refuses_a_list_of_lengths),
        cmocka_unit_test(refuses_lengths_that_are_no_plain_number),
        cmocka_unit_test(refuses_tabs_around_what_frames),
        cmocka_unit_test(refuses_a_length_that_overflows),
        cmocka_unit_test(refuses_a_body_above_the_limit),
        cmocka_unit_test(reads_chunked),
        cmocka_unit_test(refuses_chunked_in_http_1_0),
        cmocka_unit_test(refuses_codings_that_are_not_exactly_chunked),
        cmocka_unit_test(refuses_a_control_beside_chunked),
        cmocka_unit_test(refuses_two_transfer_encodings),
        cmocka_unit_test(refuses_a_coding_that_it_cannot_undo),
        cmocka_unit_test(refuses_a_body_on_methods_without_one),
        cmocka_unit_test(takes_a_body_on_other_methods),
        cmocka_unit_test(refuses_a_missing_host),
        cmocka_unit_test(http_1_0_needs_no_host),
        cmocka_unit_test(refuses_two_hosts),
        cmocka_unit_test(refuses_an_invalid_host),
        cmocka_unit_test(takes_every_kind_of_host),
        cmocka_unit_test(refuses_a_target_for_another_host),
        cmocka_unit_test(knows_when_the_connection_goes_on),
        cmocka_unit_test(refuses_connection_that_names_end_to_end_fields),
        cmocka_unit_test(expects_only_100_continue),
        cmocka_unit_test(refuses_other_expectations),
        cmocka_unit_test(ignores_upgrade),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
