/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes JSON strings (RFC 8259) from bytes that may be anything.
 *
 * Clean runs are appended whole. What is not UTF-8 (a stray or missing continuation byte, an
 * overlong form, a surrogate, a code point above 10FFFF) becomes U+FFFD, one per maximal ill-formed
 * run as the Unicode standard (3.9, table 3-8) and browsers do it, so the output is always valid
 * JSON.
 *
 * Threads: none; pure.
 */
#include "base/json.h"

#include "base/utf8.h"

static void put_escape(struct buf *out, char c)
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"':
    case '\\':
        buf_append(out, (char[]){'\\', c}, 2);
        return;
    case '\b':
        buf_append(out, "\\b", 2);
        return;
    case '\f':
        buf_append(out, "\\f", 2);
        return;
    case '\n':
        buf_append(out, "\\n", 2);
        return;
    case '\r':
        buf_append(out, "\\r", 2);
        return;
    case '\t':
        buf_append(out, "\\t", 2);
        return;
    default:
        buf_append(out, (char[]){'\\', 'u', '0', '0', hex[(c >> 4) & 15], hex[c & 15]}, 6);
        return;
    }
}

static bool is_plain(char c)
{
    return (uint8_t)c >= ' ' && (uint8_t)c < 0x80 && c != '"' && c != '\\';
}

/* Bytes from the start of `s` that stand for themselves in a JSON string. */
static size_t clean_len(struct slice s)
{
    size_t len = 0;
    while (len < s.len) {
        if (is_plain(s.ptr[len])) {
            len++;
            continue;
        }
        if ((uint8_t)s.ptr[len] < 0x80) {
            break;
        }
        struct utf8_span span = utf8_span(slice_from(s, len));
        if (!span.is_valid) {
            break;
        }
        len += span.len;
    }
    return len;
}

void json_put_string(struct buf *out, struct slice text)
{
    buf_append_char(out, '"');
    while (text.len > 0) {
        size_t len = clean_len(text);
        buf_append(out, text.ptr, len);
        text = slice_from(text, len);
        if (text.len == 0) {
            break;
        }
        size_t bad = 1;
        if ((uint8_t)text.ptr[0] < 0x80) {
            put_escape(out, text.ptr[0]);
        } else {
            bad = utf8_span(text).len;
            buf_append(out, "\xef\xbf\xbd", 3);
        }
        text = slice_from(text, bad);
    }
    buf_append_char(out, '"');
}
