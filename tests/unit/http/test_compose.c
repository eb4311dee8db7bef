/* SPDX-License-Identifier: BSD-3-Clause */
#include "http_case.h"

static void expect_date(uint64_t wall_ms, const char *want)
{
    char text[30];
    http_format_date(wall_ms, text);
    assert_string_equal(text, want);
}

static void formats_dates(void **state)
{
    expect_date(784111777999, "Sun, 06 Nov 1994 08:49:37 GMT"); /* the example of RFC 9110 5.6.7 */
    expect_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(951782400000, "Tue, 29 Feb 2000 00:00:00 GMT");
    expect_date(UINT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void puts_status_and_date(void **state)
{
    struct buf out;
    buf_init(&out);
    http_put_status(&out, 200, 784111777000);
    assert_slice(buf_readable(&out), "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    buf_clear(&out);
    http_put_status(&out, 431, 784111777999);
    assert_slice(buf_readable(&out), "HTTP/1.1 431 Request Header Fields Too Large\r\n"
                                     "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    buf_clear(&out);
    http_put_status(&out, 599, 784111778000);
    assert_slice(buf_readable(&out),
                 "HTTP/1.1 599 Unknown\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
    buf_fini(&out);
}

static void puts_headers(void **state)
{
    struct buf out;
    buf_init(&out);
    http_put_header(&out, "ETag", SLICE("\"a\""));
    http_put_header(&out, "X-Empty", (struct slice){NULL, 0});
    http_put_header_fmt(&out, "Age", "%d", 7);
    assert_slice(buf_readable(&out), "ETag: \"a\"\r\nX-Empty: \r\nAge: 7\r\n");
    buf_fini(&out);
}

static void puts_long_formatted_headers(void **state)
{
    struct buf out;
    buf_init(&out);
    http_put_header_fmt(&out, "X", "%0*d", 5000, 1);
    assert_int_equal(buf_len(&out), 5000 + strlen("X: \r\n"));
    assert_true(buf_sane(&out));
    buf_fini(&out);
}

static void a_value_cannot_end_its_line(void **state)
{
    struct buf out;
    buf_init(&out);
    http_put_header(&out, "Location", SLICE("/a\r\nSet-Cookie: x\0\x7f\ty\x80"));
    http_put_header_fmt(&out, "Location", "/%s", "b\r\n\r\n<html>");
    assert_slice(buf_readable(&out),
                 "Location: /a  Set-Cookie: x  \ty\x80\r\nLocation: /b    <html>\r\n");
    buf_fini(&out);
}

static void every_refusal_has_a_status_text(void **state)
{
    static const int codes[] = {400, 405, 413, 414, 417, 431, 501, 505};
    for (size_t i = 0; i < array_len(codes); i++) {
        assert_string_not_equal(http_status_text(codes[i]), "Unknown");
    }
    assert_string_equal(http_status_text(304), "Not Modified");
    assert_string_equal(http_status_text(299), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_dates),
        cmocka_unit_test(puts_status_and_date),
        cmocka_unit_test(puts_headers),
        cmocka_unit_test(puts_long_formatted_headers),
        cmocka_unit_test(a_value_cannot_end_its_line),
        cmocka_unit_test(every_refusal_has_a_status_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
