/* SPDX-License-Identifier: BSD-3-Clause */
/* UTF-8 (RFC 3629), judged in one place. Threads: none; pure. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

/* The character at the start of `s`, which is not empty. Ill-formed (an overlong form, a surrogate, above
 * U+10FFFF, cut short): the bytes that one U+FFFD stands for, as the Unicode standard (3.9, table 3-8)
 * and browsers count them. */
struct utf8_span {
    size_t len;
    bool is_valid;
};
struct utf8_span utf8_span(struct slice s);

/* How many bytes from the start are well-formed. */
size_t utf8_valid_len(struct slice s);

#endif
