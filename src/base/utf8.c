/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UTF-8 by table 3-7 of the Unicode standard (section 3.9): the first byte says how many follow,
 * and only the second one's range varies.
 *
 * Threads: pure.
 */
#include "base/utf8.h"

#include <stdint.h>

static bool in_range(struct slice s, size_t i, uint8_t low, uint8_t high)
{
    return i < s.len && (uint8_t)s.ptr[i] >= low && (uint8_t)s.ptr[i] <= high;
}

struct utf8_span utf8_span(struct slice s)
{
    uint8_t first = (uint8_t)s.ptr[0];
    if (first < 0x80) {
        return (struct utf8_span){1, true};
    }
    if (first < 0xc2 || first > 0xf4) {
        return (struct utf8_span){1, false};
    }
    size_t want = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (!in_range(s, 1, low, high)) {
        return (struct utf8_span){1, false};
    }
    size_t len = 2;
    while (len < want && in_range(s, len, 0x80, 0xbf)) {
        len++;
    }
    return (struct utf8_span){len, len == want};
}

size_t utf8_valid_len(struct slice s)
{
    size_t len = 0;
    while (len < s.len) {
        struct utf8_span span = utf8_span(slice_from(s, len));
        if (!span.is_valid) {
            break;
        }
        len += span.len;
    }
    return len;
}
