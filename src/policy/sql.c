/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sql: ":name" to "$1", the only thing freshet ever reads in a statement.
 *
 * A scanner over PostgreSQL's lexical rules (scan.l), not a parser: it must know exactly where
 * quotes, dollar quotes and comments begin and end, and nothing else. Copied through untouched:
 *
 *     'text' with ''     E'text' with \ escapes     "name" with ""     $tag$ text $tag$
 *     -- comment         nested slash-star comments   ::cast   :=      a[1:2], a[low:high]
 *
 * A colon inside brackets directly after a name, number or closing bracket is the slice operator,
 * as PostgreSQL would read it; write a[1 : :n] for a parameter there. One statement only; a
 * semicolon at its end is dropped. standard_conforming_strings is taken to be on, as it is by
 * default since 9.1.
 *
 * Threads: any; no state.
 */
#include "policy/policy.h"

#include "policy/text.h"

struct scan {
    const char *at;
    const char *copied; /* everything before it has been appended or dropped */
    const char *reason; /* NULL: no mistake yet */
    struct buf *out;
    struct slice *names;
    uint32_t count;
    uint32_t brackets; /* open [ */
    bool has_words;    /* something but blanks and comments was seen */
    bool has_ended;    /* a semicolon was seen */
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes above ASCII are letters to PostgreSQL. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '$';
}

static void scan_quoted(struct scan *s, char quote, bool has_escapes)
{
    s->at++;
    for (; *s->at != '\0'; s->at++) {
        bool is_escape = has_escapes && *s->at == '\\' && s->at[1] != '\0';
        if (is_escape || (*s->at == quote && s->at[1] == quote)) {
            s->at++;
        } else if (*s->at == quote) {
            s->at++;
            return;
        }
    }
    s->reason = quote == '"' ? "a \"name\" is not closed" : "a 'text' is not closed";
}

/* At '$'. A tag is a name without '$'; "$1" is somebody's own positional parameter. */
static void scan_dollar(struct scan *s)
{
    const char *tag = s->at;
    const char *p = tag + 1;
    if (is_digit(*p)) {
        s->reason = "it has $1 parameters of its own; write :name instead";
        return;
    }
    while (is_letter(*p) || (p > tag + 1 && is_digit(*p))) {
        p++;
    }
    if (*p != '$') {
        s->at++;
        return;
    }
    size_t len = (size_t)(p + 1 - tag);
    for (p++; *p != '\0'; p++) {
        if (*p == '$' && strncmp(p, tag, len) == 0) {
            s->at = p + len;
            return;
        }
    }
    s->reason = "a $dollar$ quote is not closed";
}

static void scan_block_comment(struct scan *s)
{
    uint32_t depth = 0;
    while (*s->at != '\0') {
        if (s->at[0] == '/' && s->at[1] == '*') {
            depth++;
            s->at += 2;
        } else if (s->at[0] == '*' && s->at[1] == '/') {
            depth--;
            s->at += 2;
            if (depth == 0) {
                return;
            }
        } else {
            s->at++;
        }
    }
    s->reason = "a /* comment is not closed";
}

/* SQL lets a literal go on in a second pair of quotes on a later line, under the rules of the
 * first. */
static bool is_continued(struct scan *s)
{
    const char *p = s->at;
    bool saw_newline = false;
    for (;;) {
        if (is_space(*p)) {
            saw_newline |= *p == '\n' || *p == '\r';
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n\r");
        } else {
            break;
        }
    }
    if (*p != '\'' || !saw_newline) {
        return false;
    }
    s->at = p;
    return true;
}

/* A name, keyword or number. E'...' is the one word that changes how what follows is read. */
static void scan_word(struct scan *s)
{
    const char *start = s->at;
    while (is_word(*s->at)) {
        s->at++;
    }
    bool is_e = s->at - start == 1 && (*start == 'e' || *start == 'E');
    if (!is_e || *s->at != '\'') {
        return;
    }
    do {
        scan_quoted(s, '\'', true);
    } while (s->reason == NULL && is_continued(s));
}

static void replace_parameter(struct scan *s)
{
    const char *colon = s->at;
    struct slice name = {colon + 1, 0};
    while (is_word(name.ptr[name.len]) && name.ptr[name.len] != '$') {
        name.len++;
    }
    if (!policy_text_is_name(name)) {
        s->reason = "a parameter's name has at most 63 ASCII letters, digits and '_'";
        return;
    }
    uint32_t number = 0;
    while (number < s->count && !slice_eq(s->names[number], name)) {
        number++;
    }
    if (number == POLICY_PARAMS_MAX) {
        s->reason = "it has more than 32 parameters";
        return;
    }
    if (number == s->count) {
        s->names[s->count++] = name;
    }
    buf_append(s->out, s->copied, (size_t)(colon - s->copied));
    buf_append_char(s->out, '$');
    buf_append_u64(s->out, number + 1);
    s->at = name.ptr + name.len;
    s->copied = s->at;
}

static void scan_colon(struct scan *s, const char *start)
{
    bool follows_operand =
        s->at > start && (is_word(s->at[-1]) || memchr("])\"", s->at[-1], 3) != NULL);
    if (s->at[1] == ':' || s->at[1] == '=') {
        s->at += 2;
    } else if (!is_letter(s->at[1]) || (s->brackets > 0 && follows_operand)) {
        s->at++;
    } else {
        replace_parameter(s);
    }
}

static void scan_token(struct scan *s, const char *start)
{
    char c = *s->at;
    if (c == '-' && s->at[1] == '-') {
        s->at += strcspn(s->at, "\n\r");
        return;
    }
    if (c == '/' && s->at[1] == '*') {
        scan_block_comment(s);
        return;
    }
    if (s->has_ended && c != ';') {
        s->reason = "it has several statements; a route runs one";
        return;
    }
    if (c == ';') {
        buf_append(s->out, s->copied, (size_t)(s->at - s->copied));
        s->copied = ++s->at;
        s->has_ended = true;
        return;
    }
    s->has_words = true;
    if (c == '\'' || c == '"') {
        scan_quoted(s, c, false);
    } else if (c == '$') {
        scan_dollar(s);
    } else if (c == ':') {
        scan_colon(s, start);
    } else if (is_word(c)) {
        scan_word(s);
    } else {
        s->brackets += c == '[' ? 1 : 0;
        s->brackets -= c == ']' && s->brackets > 0 ? 1 : 0;
        s->at++;
    }
}

bool policy_sql_positional(const char *sql, struct buf *ret_sql,
                           struct slice ret_names[POLICY_PARAMS_MAX], uint32_t *ret_count,
                           const char **ret_reason)
{
    size_t had = buf_len(ret_sql);
    struct scan s = {.at = sql, .copied = sql, .out = ret_sql, .names = ret_names};
    while (*s.at != '\0' && s.reason == NULL) {
        if (is_space(*s.at)) {
            s.at++;
        } else {
            scan_token(&s, sql);
        }
    }
    if (s.reason == NULL && !s.has_words) {
        s.reason = "it has no statement";
    }
    if (s.reason != NULL) {
        buf_truncate(ret_sql, had);
        *ret_reason = s.reason;
        return false;
    }
    buf_append(s.out, s.copied, (size_t)(s.at - s.copied));
    *ret_count = s.count;
    return true;
}
