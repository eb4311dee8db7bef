/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which bytes may stand where in an HTTP message. Private to this module.
 *
 * One table, a bit per class. PATH and QUERY are what the URL standard lets a browser send, which
 * is a little more than RFC 3986 (for instance '|'), but never a quote, an angle bracket, '#', a
 * control or a byte above 0x7e. HOST is narrower than RFC 3986: names and numbers as they exist.
 */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum http_class {
    HTTP_TOKEN = 1,  /* tchar, RFC 9110 5.6.2 */
    HTTP_PATH = 2,   /* ends before '?' */
    HTTP_QUERY = 4,  /* after the first '?' */
    HTTP_TEXT = 8,   /* field values: visible, space, tab, 0x80 and above */
    HTTP_HOST = 16,  /* a registered name or an IPv4 address */
    HTTP_PLACE = 32, /* HTTP_HOST and what else host[:port] may have: colon and brackets */
    HTTP_HEX = 64,
    HTTP_DIGIT = 128,
};

extern const uint8_t http_chars[256];

static inline bool http_is(char c, int class)
{
    return (http_chars[(uint8_t)c] & class) != 0;
}

/* The first byte from `at` on that is not of this class, or `end`. */
static inline const char *http_skip(const char *at, const char *end, int class)
{
    while (at < end && http_is(*at, class)) {
        at++;
    }
    return at;
}

/* The same for HTTP_TEXT, eight bytes at a time: field values are most of a head. A word with a
 * byte below 0x20 or equal to 0x7f is left to the table. */
static inline const char *http_skip_text(const char *at, const char *end)
{
    static const uint64_t ones = 0x0101010101010101;
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        uint64_t del = word ^ ones * 0x7f;
        if ((((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & ones * 0x80) {
            break;
        }
    }
    return http_skip(at, end, HTTP_TEXT);
}

/* 0-15; the caller has checked HTTP_HEX. */
static inline uint8_t http_hex_value(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

#endif
