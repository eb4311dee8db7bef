/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking ahead in a pipeline: which keys, and what in them, will the coming commands ask for?
 *
 *      *2\r\n $3\r\n GET\r\n $4\r\n key1\r\n *3\r\n $4\r\n HGET\r\n $4\r\n key2\r\n $1\r\n f\r\n ...
 *                                 ^^^^                               ^^^^         ^
 *
 * Only what is complete and plain is looked at; anything else ends the look. The answer is a hint:
 * no state is kept, no error is found, and the second word of a command may be no key at all.
 *
 * Threads: none; pure.
 */
#include "resp/resp.h"

enum { PEEK_ARGS_MAX = 8, PEEK_DIGITS_MAX = 7 };

/* "<type><number>\r\n" at `*pos`, moved behind it; -1: something else. */
static inline int64_t peek_header(const char **pos, const char *end, char type)
{
    const char *at = *pos;
    int64_t value = 0;
    if (at == end || *at != type) {
        return -1;
    }
    const char *digits = ++at;
    while (at < end && at - digits < PEEK_DIGITS_MAX && (unsigned)*at - '0' <= 9) {
        value = value * 10 + (*at - '0');
        at++;
    }
    if (at == digits || end - at < 2 || *at != '\r') {
        return -1;
    }
    *pos = at + 2;
    return value;
}

/* One command at `*pos`, moved behind it. */
static inline bool peek_command(const char **pos, const char *end, struct slice *ret_words)
{
    int64_t argc = peek_header(pos, end, '*');
    if (argc < 2 || argc > PEEK_ARGS_MAX) {
        return false;
    }
    for (int64_t i = 0; i < argc; i++) {
        int64_t len = peek_header(pos, end, '$');
        if (len < 0 || end - *pos < len + 2) {
            return false;
        }
        if (i >= 1 && i <= RESP_PEEK_WORDS) {
            ret_words[i - 1] = (struct slice){*pos, (size_t)len};
        }
        *pos += len + 2;
    }
    for (int64_t i = argc - 1; i < RESP_PEEK_WORDS; i++) {
        ret_words[i] = (struct slice){NULL, 0};
    }
    return true;
}

uint32_t resp_peek(struct slice in, struct slice *ret_words, uint32_t max)
{
    const char *pos = in.ptr;
    const char *end = in.ptr + in.len;
    uint32_t count = 0;
    while (count < max && peek_command(&pos, end, ret_words)) {
        count++;
        ret_words += RESP_PEEK_WORDS;
    }
    return count;
}
