/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Percent-decoding and the walk through a query string or form body.
 *
 * Pairs are separated by '&' only (';' is data: reading it as a separator lets two parsers see
 * different parameters), and are split before they are decoded, so that an encoded '&' or '=' is
 * data.
 *
 * Threads: none; pure.
 */
#include "http/chars.h"
#include "http/http.h"

bool http_percent_decode(struct slice in, bool form, struct buf *out)
{
    if (in.len == 0) {
        return true;
    }
    char *room = buf_reserve(out, in.len);
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '%') {
            if (in.len - i < 3 || !http_is(in.ptr[i + 1], HTTP_HEX) ||
                !http_is(in.ptr[i + 2], HTTP_HEX)) {
                return false;
            }
            c = (char)(http_hex_value(in.ptr[i + 1]) << 4 | http_hex_value(in.ptr[i + 2]));
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        if (c == '\0') {
            return false;
        }
        room[len++] = c;
    }
    buf_commit(out, len);
    return true;
}

bool http_query_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value)
{
    while (rest->len > 0 && rest->ptr[0] == '&') {
        *rest = slice_from(*rest, 1);
    }
    if (rest->len == 0) {
        return false;
    }
    const char *stop = memchr(rest->ptr, '&', rest->len);
    size_t len = stop != NULL ? (size_t)(stop - rest->ptr) : rest->len;
    const char *equals = memchr(rest->ptr, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - rest->ptr) : len;
    size_t value_at = equals != NULL ? name_len + 1 : len;
    *ret_name = (struct slice){rest->ptr, name_len};
    *ret_value = (struct slice){rest->ptr + value_at, len - value_at};
    *rest = slice_from(*rest, len);
    return true;
}
