/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inline commands: one line of words, as typed into telnet.
 *
 * Words are split at white space. Between double quotes \n \r \t \b \a \xHH are escapes and \c is
 * c; between single quotes only \' is. A closing quote must end its word. An opening quote may
 * stand in the middle of one (foo"bar" is foobar), as in Redis.
 *
 * Unescaping never lengthens, so room for the line is taken once and the words are slices into it.
 * A NUL byte is refused at once. (Redis waits for ever: it looks for the line's end with strchr().) So a TLS
 * hello on this port is told what is wrong instead of being waited for.
 *
 * `at` remembers how far the line's end was searched for. Threads: none.
 */
#include "resp/inline.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Redis's own unevenness: a vertical tab or form feed is skipped between words and belongs to them inside. */
static bool ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* One escape or plain byte between double quotes at `pos`; returns what follows it. */
static const char *copy_quoted(const char *pos, const char *end, char *out)
{
    if (*pos != '\\' || end - pos < 2) {
        *out = *pos;
        return pos + 1;
    }
    if (pos[1] == 'x' && end - pos >= 4 && hex_digit(pos[2]) >= 0 && hex_digit(pos[3]) >= 0) {
        *out = (char)(hex_digit(pos[2]) << 4 | hex_digit(pos[3]));
        return pos + 4;
    }
    *out = unescape(pos[1]);
    return pos + 2;
}

/* The rest of a quoted run after its opening quote; NULL when it does not close as it must. */
static const char *copy_run(const char *pos, const char *end, char quote, char **out)
{
    while (pos < end && *pos != quote) {
        if (quote == '"') {
            pos = copy_quoted(pos, end, *out);
        } else {
            if (*pos == '\\' && end - pos >= 2 && pos[1] == '\'') {
                pos++;
            }
            **out = *pos++;
        }
        (*out)++;
    }
    if (pos >= end || (end - pos > 1 && !is_space(pos[1]))) {
        return NULL;
    }
    return pos + 1;
}

/* One word; NULL when its quotes are unbalanced. */
static const char *copy_word(const char *pos, const char *end, char **out)
{
    while (pos != NULL && pos < end && !ends_word(*pos)) {
        if (*pos == '"' || *pos == '\'') {
            pos = copy_run(pos + 1, end, *pos, out);
        } else {
            *(*out)++ = *pos++;
        }
    }
    return pos;
}

static bool split_words(struct resp_parser *p, const char *pos, const char *end,
                        const char **ret_error)
{
    buf_clear(&p->inline_text);
    char *out = buf_try_reserve(&p->inline_text, (size_t)(end - pos) + 1);
    if (out == NULL) {
        *ret_error = "no memory for a request of this size";
        return false;
    }
    for (;;) {
        while (pos < end && is_space(*pos)) {
            pos++;
        }
        if (pos == end) {
            return true;
        }
        char *word = out;
        pos = copy_word(pos, end, &out);
        if (pos == NULL) {
            *ret_error = "unbalanced quotes in request";
            return false;
        }
        if (!resp_parser_push(p, (struct slice){word, (size_t)(out - word)})) {
            *ret_error = "no memory for a request of this size";
            return false;
        }
    }
}

enum resp_result resp_parse_inline(struct resp_parser *p, struct slice in, size_t *ret_used)
{
    size_t max = (size_t)p->limits->inline_max + 1;
    size_t seen = in.len < max ? in.len : max;
    const char *newline = memchr(in.ptr + p->at, '\n', seen - p->at);
    size_t line = newline != NULL ? (size_t)(newline - in.ptr) : seen;
    if (memchr(in.ptr + p->at, '\0', line - p->at) != NULL) {
        p->error = "NUL byte in inline request; is this TLS?";
        return RESP_ERROR;
    }
    if (newline == NULL) {
        p->at = seen;
        p->error = "too big inline request";
        return in.len < max ? RESP_MORE : RESP_ERROR;
    }
    const char *end = newline > in.ptr && newline[-1] == '\r' ? newline - 1 : newline;
    p->at = 0;
    p->have = 0;
    if (!split_words(p, in.ptr, end, &p->error)) {
        return RESP_ERROR;
    }
    p->argc = p->have;
    p->have = 0;
    *ret_used = (size_t)(newline - in.ptr) + 1;
    return RESP_COMMAND;
}
