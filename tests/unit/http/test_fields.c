/* SPDX-License-Identifier: BSD-3-Clause */
#include "http_case.h"

static struct http_case c;

static void parse_with(const char *fields)
{
    char text[500];
    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    expect_done(&c, slice_of(text));
}

static void finds_the_first_header_in_any_case(void **state)
{
    parse_with("X-One: 1\r\nx-one: 2\r\nX-On: 3\r\nX-Empty:\r\n");
    assert_slice(http_header_get(&c.req, "x-ONE"), "1");
    assert_slice(http_header_get(&c.req, "X-On"), "3");
    assert_non_null(http_header_get(&c.req, "X-Empty").ptr);
    assert_null(http_header_get(&c.req, "X").ptr);
    case_free(&c);
}

static void finds_list_members(void **state)
{
    assert_true(http_list_has(SLICE("close"), "close"));
    assert_true(http_list_has(SLICE("a, CLOSE ,b"), "close"));
    assert_true(http_list_has(SLICE(",, \tclose"), "close"));
    assert_true(http_list_has(SLICE("max-age=0, no-cache"), "no-cache"));
    assert_false(http_list_has(SLICE("closed, xclose, clo se"), "close"));
    assert_false(http_list_has(SLICE(""), "close"));
    assert_false(http_list_has(SLICE(",,,"), "close"));
    assert_false(http_list_has((struct slice){NULL, 0}, "close"));
}

static void a_quoted_comma_ends_no_member(void **state)
{
    assert_false(http_list_has(SLICE("a=\"x, close, y\""), "close"));
    assert_true(http_list_has(SLICE("a=\"x\\\", y\", close"), "close"));
    assert_false(http_list_has(SLICE("a=\"x, close"), "close"));
    assert_false(http_list_has(SLICE("a=\"\\"), "close"));
}

static void finds_cookies(void **state)
{
    parse_with("Cookie: a=1; sessionid=xyz==; b = 2;c=\r\nX: y\r\nCookie: d=\"4\"; a=5\r\n");
    assert_slice(http_cookie_get(&c.req, "a"), "1");
    assert_slice(http_cookie_get(&c.req, "sessionid"), "xyz==");
    assert_slice(http_cookie_get(&c.req, "c"), "");
    assert_non_null(http_cookie_get(&c.req, "c").ptr);
    assert_slice(http_cookie_get(&c.req, "d"), "\"4\"");
    assert_null(http_cookie_get(&c.req, "session").ptr);
    assert_null(http_cookie_get(&c.req, "A").ptr);
    assert_null(http_cookie_get(&c.req, "b").ptr);
    assert_null(http_cookie_get(&c.req, "xyz").ptr);
    case_free(&c);
    parse_with("Cookie:\r\nCookie: ;;; a\r\n");
    assert_null(http_cookie_get(&c.req, "a").ptr);
    case_free(&c);
}

static void etags_match_weakly(void **state)
{
    struct slice etag = SLICE("\"abc\"");
    assert_true(http_etag_matches(SLICE("\"abc\""), etag));
    assert_true(http_etag_matches(SLICE("W/\"abc\""), etag));
    assert_true(http_etag_matches(SLICE("\"abc\""), SLICE("W/\"abc\"")));
    assert_true(http_etag_matches(SLICE("\"x\", W/\"y\" , \"abc\""), etag));
    assert_true(http_etag_matches(SLICE("\"a,b\",,\"abc\""), etag));
    assert_true(http_etag_matches(SLICE(" * "), etag));
    assert_true(http_etag_matches(SLICE("\"\""), SLICE("\"\"")));
}

static void other_etags_do_not_match(void **state)
{
    struct slice etag = SLICE("\"abc\"");
    assert_false(http_etag_matches(SLICE(""), etag));
    assert_false(http_etag_matches((struct slice){NULL, 0}, etag));
    assert_false(http_etag_matches(SLICE("\"ABC\""), etag));
    assert_false(http_etag_matches(SLICE("abc"), etag));
    assert_false(http_etag_matches(SLICE("\"abc"), etag));
    assert_false(http_etag_matches(SLICE("\""), etag));
    assert_false(http_etag_matches(SLICE("w/\"abc\""), etag));
    assert_false(http_etag_matches(SLICE("W/"), etag));
    assert_false(http_etag_matches(SLICE("\"ab\", \"abcd\""), etag));
    assert_false(http_etag_matches(SLICE("*, x"), etag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_first_header_in_any_case),
        cmocka_unit_test(finds_list_members),
        cmocka_unit_test(a_quoted_comma_ends_no_member),
        cmocka_unit_test(finds_cookies),
        cmocka_unit_test(etags_match_weakly),
        cmocka_unit_test(other_etags_do_not_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
