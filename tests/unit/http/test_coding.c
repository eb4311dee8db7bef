/* SPDX-License-Identifier: BSD-3-Clause */
#include "http_case.h"

static const struct {
    const char *fields;
    bool gzip;
    bool identity;
} cases[] = {
    /* what clients send */
    {"", false, true},
    {"Accept-Encoding: gzip\r\n", true, true},
    {"Accept-Encoding: gzip, deflate, br, zstd\r\n", true, true},
    {"Accept-Encoding: deflate, gzip;q=1.0, *;q=0.5\r\n", true, true},
    {"Accept-Encoding: identity\r\n", false, true},
    {"Accept-Encoding: br\r\n", false, true},
    {"Accept-Encoding: X-GZip\r\n", true, true},
    /* RFC 9110 12.5.3, its own examples */
    {"Accept-Encoding: compress, gzip\r\n", true, true},
    {"Accept-Encoding:\r\n", false, true},
    {"Accept-Encoding: *\r\n", true, true},
    {"Accept-Encoding: compress;q=0.5, gzip;q=1.0\r\n", true, true},
    {"Accept-Encoding: gzip;q=1.0, identity; q=0.5, *;q=0\r\n", true, true},
    /* forbidden */
    {"Accept-Encoding: gzip;q=0\r\n", false, true},
    {"Accept-Encoding: gzip;q=0.000, *\r\n", false, true},
    {"Accept-Encoding: *;q=0\r\n", false, false},
    {"Accept-Encoding: identity;q=0\r\n", false, false},
    {"Accept-Encoding: gzip, identity;q=0\r\n", true, false},
    {"Accept-Encoding: gzip, *;q=0\r\n", true, false},
    {"Accept-Encoding: *, identity;q=0\r\n", true, false},
    {"Accept-Encoding: identity, *;q=0\r\n", false, true},
    /* ranked */
    {"Accept-Encoding: gzip;q=0.5, identity\r\n", false, true},
    {"Accept-Encoding: gzip;q=0.5, identity;q=0.5\r\n", true, true},
    {"Accept-Encoding: gzip;q=0.001\r\n", true, true},
    {"Accept-Encoding: gzip;q=0.2, *;q=0.5\r\n", false, true},
    /* several fields, odd spaces, empty members */
    {"Accept-Encoding: br\r\nX: y\r\naccept-encoding: gzip\r\n", true, true},
    {"Accept-Encoding: ,, \tgzip\t ; Q=0.7 ,,\r\n", true, true},
    /* malformed members are not there */
    {"Accept-Encoding: gzip;q=2\r\n", false, true},
    {"Accept-Encoding: gzip;q=0.0001\r\n", false, true},
    {"Accept-Encoding: gzip;q=\r\n", false, true},
    {"Accept-Encoding: gzip;q=-1\r\n", false, true},
    {"Accept-Encoding: gzip;level=9\r\n", false, true},
    {"Accept-Encoding: gzip gzip\r\n", false, true},
    {"Accept-Encoding: gzipped\r\n", false, true},
    {"Accept-Encoding: ;q=0\r\n", false, true},
    {"Accept-Encoding: identity;q=00\r\n", false, true},
};

static void says_what_may_be_sent(void **state)
{
    for (size_t i = 0; i < array_len(cases); i++) {
        struct http_case c;
        char text[500];
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].fields);
        expect_done(&c, slice_of(text));
        struct http_codings got = http_accepted_codings(&c.req);
        if (got.gzip != cases[i].gzip || got.identity != cases[i].identity) {
            fail_msg("%s gzip %d identity %d", cases[i].fields, got.gzip, got.identity);
        }
        case_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_may_be_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
