/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The head's grammar: what is read, and each malformed byte that must be refused. What the fields
 * mean for framing is in test_framing.c.
 */
#include "http_case.h"

#define HOST "Host: a.test\r\n"

static struct http_case c;

static void reads_request_line_and_fields(void **state)
{
    expect_done(&c, SLICE("GET /api/products?x=1&y=%20 HTTP/1.1\r\n"
                          "Host: shop.test:8080\r\n"
                          "Accept:application/json\r\n"
                          "X-Padded: \t two words \t \r\n"
                          "X-Empty:\r\n"
                          "\r\n"
                          "GET /next"));
    assert_int_equal(c.req.method, HTTP_GET);
    assert_slice(c.req.method_name, "GET");
    assert_slice(c.req.target, "/api/products?x=1&y=%20");
    assert_slice(c.req.path, "/api/products");
    assert_slice(c.req.query, "x=1&y=%20");
    assert_slice(c.req.host, "shop.test:8080");
    assert_int_equal(c.req.minor, 1);
    assert_int_equal(c.req.header_count, 4);
    assert_slice(c.req.header[1].name, "Accept");
    assert_slice(c.req.header[1].value, "application/json");
    assert_slice(c.req.header[2].value, "two words");
    assert_slice(c.req.header[3].value, "");
    assert_slice(slice_from((struct slice){c.mem, c.req.head_len + 9}, c.req.head_len),
                 "GET /next");
    case_free(&c);
}

static void knows_every_method(void **state)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {
        {"GET", HTTP_GET},         {"HEAD", HTTP_HEAD},   {"POST", HTTP_POST},
        {"PUT", HTTP_PUT},         {"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE},
        {"OPTIONS", HTTP_OPTIONS}, {"TRACE", HTTP_OTHER}, {"get", HTTP_OTHER},
        {"GETS", HTTP_OTHER},      {"GE", HTTP_OTHER},    {"M-SEARCH", HTTP_OTHER},
    };
    for (size_t i = 0; i < array_len(methods); i++) {
        char text[100];
        (void)snprintf(text, sizeof(text), "%s /x HTTP/1.1\r\n" HOST "\r\n", methods[i].name);
        expect_done(&c, slice_of(text));
        assert_int_equal(c.req.method, methods[i].method);
        assert_slice(c.req.method_name, methods[i].name);
        case_free(&c);
    }
}

static void connect_takes_an_authority(void **state)
{
    expect_done(&c, SLICE("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"));
    assert_int_equal(c.req.method, HTTP_OTHER);
    assert_slice(c.req.target, "a.test:443");
    case_free(&c);
    expect_refused(SLICE("CONNECT /x HTTP/1.1\r\n" HOST "\r\n"), 400, "host");
    expect_refused(SLICE("GET a.test:443 HTTP/1.1\r\n" HOST "\r\n"), 400, "target");
}

static void keeps_path_and_query_as_sent(void **state)
{
    static const struct {
        const char *target;
        const char *path;
        const char *query;
    } cases[] = {
        {"/", "/", ""},
        {"/?", "/", ""},
        {"/a?b?c", "/a", "b?c"},
        {"//a/../b/./c", "//a/../b/./c", ""},
        {"/static/..%2faccount;.css", "/static/..%2faccount;.css", ""},
        {"/a%00.css", "/a%00.css", ""},
        {"/a|b[1]~?q={}|^`\\", "/a|b[1]~", "q={}|^`\\"},
        {"/a;b=1?c;d", "/a;b=1", "c;d"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        char text[200];
        (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", cases[i].target);
        expect_done(&c, slice_of(text));
        assert_slice(c.req.target, cases[i].target);
        assert_slice(c.req.path, cases[i].path);
        assert_slice(c.req.query, cases[i].query);
        case_free(&c);
    }
}

static void takes_absolute_form_of_the_same_host(void **state)
{
    expect_done(&c, SLICE("GET http://A.test:80/x?y HTTP/1.1\r\nHost: a.TEST:80\r\n\r\n"));
    assert_slice(c.req.path, "/x");
    assert_slice(c.req.query, "y");
    assert_slice(c.req.host, "A.test:80");
    case_free(&c);
    expect_done(&c, SLICE("GET https://a.test HTTP/1.1\r\n" HOST "\r\n"));
    assert_slice(c.req.path, "/");
    case_free(&c);
    expect_done(&c, SLICE("GET http://a.test?q HTTP/1.1\r\n" HOST "\r\n"));
    assert_slice(c.req.path, "/");
    assert_slice(c.req.query, "q");
    case_free(&c);
    expect_done(&c, SLICE("OPTIONS http://a.test HTTP/1.1\r\n" HOST "\r\n"));
    assert_slice(c.req.path, "*");
    case_free(&c);
    expect_done(&c, SLICE("GET http://a.test/ HTTP/1.0\r\n\r\n"));
    assert_slice(c.req.host, "a.test");
    case_free(&c);
}

static void takes_options_of_the_server(void **state)
{
    expect_done(&c, SLICE("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"));
    assert_slice(c.req.path, "*");
    assert_slice(c.req.query, "");
    case_free(&c);
    expect_refused(SLICE("GET * HTTP/1.1\r\n" HOST "\r\n"), 400, "OPTIONS");
    expect_refused(SLICE("OPTIONS *x HTTP/1.1\r\n" HOST "\r\n"), 400, "'*'");
    expect_refused(SLICE("OPTIONS *?x HTTP/1.1\r\n" HOST "\r\n"), 400, "'*'");
}

static void forgives_two_empty_lines_before_a_request(void **state)
{
    expect_done(&c, SLICE("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"));
    assert_int_equal(c.req.head_len, 4 + 16 + sizeof(HOST) - 1 + 2);
    case_free(&c);
    expect_refused(SLICE("\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400, "method");
    expect_refused(SLICE("\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400, "method");
    expect_refused(SLICE("\rGET / HTTP/1.1\r\n" HOST "\r\n"), 400, "CR");
}

static void waits_for_the_rest(void **state)
{
    expect_more(SLICE(""));
    expect_more(SLICE("\r"));
    expect_more(SLICE("GE"));
    expect_more(SLICE("GET /x HTTP/1."));
    expect_more(SLICE("GET /x HTTP/1.1\r\nHost: a.test\r\n"));
    expect_more(SLICE("GET /x HTTP/1.1\r\nHost: a.test\r\n\r"));
}

static void refuses_at_the_first_wrong_byte(void **state)
{
    expect_refused_at(SLICE("GET /x HTTP/1.1\r\nHost: a.test\r\nA b"), 32);
    expect_refused_at(SLICE("GET /\"x"), 5);
    expect_refused_at(SLICE("GET ftp:"), 4);
    expect_refused_at(SLICE("GET / HTTQ"), 9);
    expect_refused_at(SLICE("GET / HTTP/1.1\n"), 14);
    expect_refused_at(SLICE("GET / HTTP/1.1\r\nHost: a b\r\n"), 26);
}

static void refuses_bare_lf(void **state)
{
    expect_refused(SLICE("GET / HTTP/1.1\n" HOST "\r\n"), 400, "LF alone");
    expect_refused(SLICE("GET / HTTP/1.1\r\nHost: a.test\n\r\n"), 400, "LF alone");
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "\n"), 400, "LF alone");
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "X: a\nY: b\r\n\r\n"), 400, "LF alone");
}

static void refuses_bare_cr(void **state)
{
    expect_refused(SLICE("GET / HTTP/1.1\rHost: a.test\r\n\r\n"), 400, "CR");
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n"), 400, "CR");
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n"), 400, "CR");
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "\rX: a\r\n\r\n"), 400, "CR");
}

static void refuses_cr_x_as_line_end(void **state)
{
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "A: b\rXTransfer-Encoding: chunked\r\n\r\n"),
                   400, "CR");
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "\rX"), 400, "CR");
}

static void refuses_nul(void **state)
{
    expect_refused(SLICE("G\0T / HTTP/1.1\r\n" HOST "\r\n"), 400, "method");
    expect_refused(SLICE("\0GET / HTTP/1.1\r\n" HOST "\r\n"), 400, "method");
    expect_refused(SLICE("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), 400, "control");
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "X\0: a\r\n\r\n"), 400, "name");
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"), 400, "control");
    expect_refused(SLICE("GET / HTTP/1.1\r\nHost: a.test\0.evil\r\n\r\n"), 400, "control");
}

/* Every byte at every place of a value longer than a machine word. */
static void refuses_controls_in_values(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\n" HOST "X: aaaaaaaaaaaaaaaaaaaa\r\n\r\n";
    for (int byte = 0; byte < 256; byte++) {
        bool is_bad = (byte < ' ' && byte != '\t') || byte == 0x7f;
        for (size_t at = 0; at < 20; at++) {
            char copy[sizeof(text)];
            memcpy(copy, text, sizeof(text));
            *(strchr(copy, 'a') + sizeof("a.test\r\nX: ") - 1 + at) = (char)byte;
            enum http_result got =
                case_parse(&c, (struct slice){copy, sizeof(text) - 1}, &case_limits);
            assert_int_equal(got, is_bad ? HTTP_REFUSED : HTTP_DONE);
            case_free(&c);
        }
    }
}

static void refuses_obs_fold(void **state)
{
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"), 400, "white space");
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb: c\r\n\r\n"), 400, "white space");
}

static void refuses_space_before_the_first_header(void **state)
{
    expect_refused(SLICE("GET / HTTP/1.1\r\n Host: a.test\r\n\r\n"), 400,
                   "begins with white space");
    expect_refused(SLICE("GET / HTTP/1.1\r\n\tHost: a.test\r\n\r\n"), 400,
                   "begins with white space");
}

static void refuses_space_before_the_colon(void **state)
{
    expect_refused(SLICE("GET / HTTP/1.1\r\nHost : a.test\r\n\r\n"), 400, "before the colon");
    expect_refused(SLICE("POST / HTTP/1.1\r\n" HOST "Content-Length\t: 5\r\n\r\n"), 400,
                   "before the colon");
}

static void refuses_an_empty_name(void **state)
{
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n"), 400, "no name");
    expect_refused(SLICE("GET / HTTP/1.1\r\n:\r\n" HOST "\r\n"), 400, "no name");
}

static void refuses_names_that_are_no_token(void **state)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[] = "GET / HTTP/1.1\r\n" HOST "X?Y: a\r\n\r\n";
        *strchr(text, '?') = (char)byte;
        bool is_token = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                        (byte >= 'A' && byte <= 'Z') ||
                        (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
        enum http_result want = is_token || byte == ':' ? HTTP_DONE : HTTP_REFUSED;
        assert_int_equal(case_run_limits(&c, (struct slice){text, sizeof(text) - 1}, &case_limits),
                         want);
        case_free(&c);
    }
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "no colon here\r\n\r\n"), 400, "colon");
    expect_refused(SLICE("GET / HTTP/1.1\r\n" HOST "nocolon\r\n\r\n"), 400, "name");
}

static void refuses_http_0_9(void **state)
{
    expect_refused(SLICE("GET /\r\n"), 400, "no HTTP version");
    expect_refused(SLICE("GET /\n"), 400, "no HTTP version");
    expect_refused(SLICE("GET /x?y\r\n" HOST "\r\n"), 400, "no HTTP version");
    expect_refused(SLICE("GET\r\n"), 400, "one space");
    expect_refused(SLICE("GET / HTTP/0.9\r\n" HOST "\r\n"), 505, "HTTP/1.1");
}

static void refuses_other_versions(void **state)
{
    expect_refused(SLICE("GET / HTTP/1.2\r\n" HOST "\r\n"), 505, "HTTP/1.1");
    expect_refused(SLICE("GET / HTTP/2.0\r\n" HOST "\r\n"), 505, "HTTP/1.1");
    expect_refused(SLICE("GET / HTTP/9.9\r\n" HOST "\r\n"), 505, "HTTP/1.1");
}

static void refuses_malformed_versions(void **state)
{
    static const char *const versions[] = {
        "HTTP/1",     "HTTP/1.",   "HTTP/1.10", "HTTP/11.1", "HTTP/1.1 ", "HTTP/01.1",
        "http/1.1",   "HTTP /1.1", "HTTP/ 1.1", "HTTP/1,1",  "XTTP/1.1",  "HTTP/-1.1",
        "HTTP/1.1\t", " HTTP/1.1", "HTTPS/1.1", "HTTP/1.1x", "HTTP/a.b",
    };
    for (size_t i = 0; i < array_len(versions); i++) {
        char text[100];
        (void)snprintf(text, sizeof(text), "GET / %s\r\n" HOST "\r\n", versions[i]);
        expect_refused(slice_of(text), 400, "");
    }
}

static void refuses_two_spaces_and_tabs(void **state)
{
    expect_refused(SLICE("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400, "two spaces");
    expect_refused(SLICE("GET /  HTTP/1.1\r\n" HOST "\r\n"), 400, "HTTP/1.1");
    expect_refused(SLICE("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400, "one space");
    expect_refused(SLICE("GET /\tHTTP/1.1\r\n" HOST "\r\n"), 400, "control");
    expect_refused(SLICE("GET / \tHTTP/1.1\r\n" HOST "\r\n"), 400, "HTTP/1.1");
    expect_refused(SLICE(" GET / HTTP/1.1\r\n" HOST "\r\n"), 400, "method");
    expect_refused(SLICE("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400, "HTTP/1.1");
    expect_refused(SLICE("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400, "");
}

static void refuses_raw_bytes_in_the_target(void **state)
{
    static const char path_ok[] = "!$%&'()*+,-./:;=@[]_|~?";
    static const char query_ok[] = "!$%&'()*+,-./:;=@[]_|~?\\^`{}";
    for (int byte = 0; byte < 256; byte++) {
        if (byte == ' ') {
            continue;
        }
        bool is_alnum = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                        (byte >= 'A' && byte <= 'Z');
        for (int in_query = 0; in_query < 2; in_query++) {
            char text[100] = "GET /a?b HTTP/1.1\r\n" HOST "\r\n";
            text[in_query ? 7 : 5] = (char)byte;
            const char *ok = in_query ? query_ok : path_ok;
            bool is_good = is_alnum || (byte != 0 && strchr(ok, byte) != NULL);
            struct slice in = {text, 19 + sizeof(HOST) - 1 + 2};
            enum http_result want = is_good ? HTTP_DONE : HTTP_REFUSED;
            assert_int_equal(case_run_limits(&c, in, &case_limits), want);
            case_free(&c);
        }
    }
}

static void refuses_a_fragment(void **state)
{
    expect_refused(SLICE("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), 400, "fragment");
    expect_refused(SLICE("GET /a?b#c HTTP/1.1\r\n" HOST "\r\n"), 400, "fragment");
}

static void refuses_a_backslash_in_the_path(void **state)
{
    expect_refused(SLICE("GET /a\\..\\b HTTP/1.1\r\n" HOST "\r\n"), 400, "percent-encoded");
}

static void refuses_targets_of_no_form(void **state)
{
    expect_refused(SLICE("GET x HTTP/1.1\r\n" HOST "\r\n"), 400, "neither");
    expect_refused(SLICE("GET ?x HTTP/1.1\r\n" HOST "\r\n"), 400, "");
    expect_refused(SLICE("GET ftp://a.test/ HTTP/1.1\r\n" HOST "\r\n"), 400, "neither");
    expect_refused(SLICE("GET http:/a.test/ HTTP/1.1\r\n" HOST "\r\n"), 400, "neither");
    expect_refused(SLICE("GET http:///x HTTP/1.1\r\n" HOST "\r\n"), 400, "host");
    expect_refused(SLICE("GET http://u@a.test/ HTTP/1.1\r\n" HOST "\r\n"), 400, "");
    expect_refused(SLICE("GET http://a.test:x/ HTTP/1.1\r\n" HOST "\r\n"), 400, "host");
    expect_refused(SLICE("GET http://a.test#x HTTP/1.1\r\n" HOST "\r\n"), 400, "fragment");
    expect_refused(SLICE("GET http://a.test\\x HTTP/1.1\r\n" HOST "\r\n"), 400, "percent-encoded");
}

static void says_that_tls_came_to_a_plain_port(void **state)
{
    expect_refused(SLICE("\x16\x03\x01\x02\x00\x01"), 400, "TLS");
}

static void refuses_http2_preface(void **state)
{
    expect_refused(SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400, "HTTP/2");
}

/* --- limits -------------------------------------------------------------------------------------
 */

static void limits_the_request_line(void **state)
{
    /* 16 bytes with CRLF: "GET / HTTP/1.1\r\n" */
    struct http_limits exact = {.head_max = 1000, .line_max = 16, .body_max = 0};
    struct http_limits short_by_one = {.head_max = 1000, .line_max = 15, .body_max = 0};
    struct slice in = SLICE("GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(case_run_limits(&c, in, &exact), HTTP_DONE);
    case_free(&c);
    expect_refused_limits(in, &short_by_one, 414, "request line");
    expect_refused_limits(SLICE("GETGETGETGETGETGETGET"), &exact, 414, "request line");
    expect_refused_limits(SLICE("\r\n\r\nGET /a HTTP/1.1\r\n"), &exact, 414, "request line");
}

static void limits_the_head(void **state)
{
    struct slice in = SLICE("GET / HTTP/1.1\r\n" HOST "X: yyyyyyyy\r\n\r\nbody");
    struct http_limits exact = {.head_max = (uint32_t)in.len - 4, .line_max = 20, .body_max = 0};
    struct http_limits short_by_one = {
        .head_max = exact.head_max - 1, .line_max = 20, .body_max = 0};
    assert_int_equal(case_run_limits(&c, in, &exact), HTTP_DONE);
    case_free(&c);
    expect_refused_limits(in, &short_by_one, 431, "head");
}

static void limits_the_number_of_headers(void **state)
{
    for (int count = HTTP_HEADERS_MAX; count <= HTTP_HEADERS_MAX + 1; count++) {
        struct buf b;
        buf_init(&b);
        buf_append_str(&b, "GET / HTTP/1.1\r\n" HOST);
        for (int i = 1; i < count; i++) {
            buf_append_str(&b, "X: y\r\n");
        }
        buf_append_str(&b, "\r\n");
        if (count == HTTP_HEADERS_MAX) {
            expect_done(&c, buf_readable(&b));
            assert_int_equal(c.req.header_count, HTTP_HEADERS_MAX);
            case_free(&c);
        } else {
            expect_refused(buf_readable(&b), 431, "100 headers");
        }
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_request_line_and_fields),
        cmocka_unit_test(knows_every_method),
        cmocka_unit_test(connect_takes_an_authority),
        cmocka_unit_test(keeps_path_and_query_as_sent),
        cmocka_unit_test(takes_absolute_form_of_the_same_host),
        cmocka_unit_test(takes_options_of_the_server),
        cmocka_unit_test(forgives_two_empty_lines_before_a_request),
        cmocka_unit_test(waits_for_the_rest),
        cmocka_unit_test(refuses_at_the_first_wrong_byte),
        cmocka_unit_test(refuses_bare_lf),
        cmocka_unit_test(refuses_bare_cr),
        cmocka_unit_test(refuses_cr_x_as_line_end),
        cmocka_unit_test(refuses_nul),
        cmocka_unit_test(refuses_controls_in_values),
        cmocka_unit_test(refuses_obs_fold),
        cmocka_unit_test(refuses_space_before_the_first_header),
        cmocka_unit_test(refuses_space_before_the_colon),
        cmocka_unit_test(refuses_an_empty_name),
        cmocka_unit_test(refuses_names_that_are_no_token),
        cmocka_unit_test(refuses_http_0_9),
        cmocka_unit_test(refuses_other_versions),
        cmocka_unit_test(refuses_malformed_versions),
        cmocka_unit_test(refuses_two_spaces_and_tabs),
        cmocka_unit_test(refuses_raw_bytes_in_the_target),
        cmocka_unit_test(refuses_a_fragment),
        cmocka_unit_test(refuses_a_backslash_in_the_path),
        cmocka_unit_test(refuses_targets_of_no_form),
        cmocka_unit_test(says_that_tls_came_to_a_plain_port),
        cmocka_unit_test(refuses_http2_preface),
        cmocka_unit_test(limits_the_request_line),
        cmocka_unit_test(limits_the_head),
        cmocka_unit_test(limits_the_number_of_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
