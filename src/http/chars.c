/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The byte table of chars.h. Every byte stands in exactly one line; what is not named belongs to no
 * class: NUL and the other controls, CR, LF, DEL.
 *
 * Threads: none; constant.
 */
#include "http/chars.h"

enum {
    URL = HTTP_PATH | HTTP_QUERY | HTTP_TEXT,
    NAME = URL | HTTP_TOKEN | HTTP_HOST | HTTP_PLACE,
};

const uint8_t http_chars[256] = {
    ['\t'] = HTTP_TEXT,
    [' '] = HTTP_TEXT,
    ['!'] = URL | HTTP_TOKEN,
    ['"'] = HTTP_TEXT,
    ['#'] = HTTP_TEXT | HTTP_TOKEN,
    ['$' ... '\''] = URL | HTTP_TOKEN, /* $ % & ' */
    ['(' ... ')'] = URL,
    ['*' ... '+'] = URL | HTTP_TOKEN,
    [','] = URL,
    ['-' ... '.'] = NAME,
    ['/'] = URL,
    ['0' ... '9'] = NAME | HTTP_HEX | HTTP_DIGIT,
    [':'] = URL | HTTP_PLACE,
    [';'] = URL,
    ['<'] = HTTP_TEXT,
    ['='] = URL,
    ['>'] = HTTP_TEXT,
    ['?'] = HTTP_QUERY | HTTP_TEXT,
    ['@'] = URL,
    ['A' ... 'F'] = NAME | HTTP_HEX,
    ['G' ... 'Z'] = NAME,
    ['['] = URL | HTTP_PLACE,
    ['\\'] = HTTP_QUERY | HTTP_TEXT,
    [']'] = URL | HTTP_PLACE,
    ['^'] = HTTP_QUERY | HTTP_TEXT | HTTP_TOKEN,
    ['_'] = NAME,
    ['`'] = HTTP_QUERY | HTTP_TEXT | HTTP_TOKEN,
    ['a' ... 'f'] = NAME | HTTP_HEX,
    ['g' ... 'z'] = NAME,
    ['{'] = HTTP_QUERY | HTTP_TEXT,
    ['|'] = URL | HTTP_TOKEN,
    ['}'] = HTTP_QUERY | HTTP_TEXT,
    ['~'] = URL | HTTP_TOKEN,
    [0x80 ... 0xff] = HTTP_TEXT,
};
