/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads JSON without making anything of it: a text is checked once, and what it holds stays text.
 *
 * So a number of thirty digits reaches PostgreSQL with thirty digits: nothing here has a type in which it
 * could lose some. Values are slices of the input.
 *
 * Checking is recursive descent. Each function below reads its part at `at`, leaves `at` behind it and
 * returns true; or says in `fault` what is wrong and where, and returns false.
 *
 * J1. `depth` bounds the recursion, whatever the input.
 * J2. Names of open objects lie in `names`, the innermost object's last; each is a hash of what the name
 *     says (not how it is written) and its place. They are sorted when the object ends: n log n, where
 *     comparing each with each would let a client buy hours with a megabyte. Hashes are seeded, and a
 *     collision could only refuse a text.
 *
 * Threads: none; pure. Memory: 16 bytes a name while its object is open.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"

#include <stdlib.h>

struct name {
    uint64_t hash;
    uint64_t at;
};

struct reader {
    const char *start;
    const char *at;
    const char *end;
    uint32_t depth;
    struct name *names;
    size_t name_count;
    size_t name_cap;
    struct buf scratch; /* a name with escapes, unquoted */
    struct slice member;
    struct json_fault fault;
};

static bool wrong_at(struct reader *r, const char *at, const char *what)
{
    r->fault = (struct json_fault){(size_t)(at - r->start), what, r->member};
    return false;
}

static bool wrong(struct reader *r, const char *what)
{
    return wrong_at(r, r->at, r->at == r->end ? "the text ends too early" : what);
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end &&
           (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) {
        r->at++;
    }
}

static bool is_digit(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool is_byte(const struct reader *r, char c)
{
    return r->at < r->end && *r->at == c;
}

/* --- strings ------------------------------------------------------------------------------------ */

/* Four hexadecimal digits at `at`, or -1. */
static int hex4(const char *at, const char *end)
{
    int value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static bool is_low_surrogate(int unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Behind "\u". */
static bool check_code(struct reader *r)
{
    const char *escape = r->at - 2;
    int unit = hex4(r->at, r->end);
    if (unit < 0) {
        return wrong_at(r, escape, "\\u is not followed by four hexadecimal digits");
    }
    r->at += 4;
    if (is_low_surrogate(unit)) {
        return wrong_at(r, escape, "the second half of a surrogate pair stands alone");
    }
    if (unit < 0xd800 || unit > 0xdbff) {
        return true;
    }
    bool paired = r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u' &&
                  is_low_surrogate(hex4(r->at + 2, r->end));
    if (!paired) {
        return wrong_at(r, escape, "the first half of a surrogate pair stands alone");
    }
    r->at += 6;
    return true;
}

/* Behind the backslash. */
static bool check_escape(struct reader *r)
{
    if (r->at == r->end) {
        return wrong(r, "");
    }
    char c = *r->at++;
    if (c == 'u') {
        return check_code(r);
    }
    return strchr("\"\\/bfnrt", c) != NULL && c != '\0'
               ? true
               : wrong_at(r, r->at - 2, "a backslash is followed by no known escape");
}

static bool check_string(struct reader *r, struct slice *ret_string)
{
    const char *start = r->at++;
    while (r->at < r->end && *r->at != '"') {
        struct utf8_span span = utf8_span((struct slice){r->at, (size_t)(r->end - r->at)});
        if ((unsigned char)*r->at < ' ') {
            return wrong(r, "a control character stands in a string");
        }
        if (!span.is_valid) {
            return wrong(r, "a string is not valid UTF-8");
        }
        bool is_escape = *r->at == '\\';
        r->at += span.len;
        if (is_escape && !check_escape(r)) {
            return false;
        }
    }
    if (r->at == r->end) {
        return wrong(r, "");
    }
    r->at++;
    *ret_string = (struct slice){start, (size_t)(r->at - start)};
    return true;
}

static void put_utf8(struct buf *out, unsigned code)
{
    if (code < 0x80) {
        buf_append_char(out, (char)code);
    } else if (code < 0x800) {
        buf_append(out, (char[]){(char)(0xc0 | code >> 6), (char)(0x80 | (code & 63))}, 2);
    } else if (code < 0x10000) {
        buf_append(out,
                   (char[]){(char)(0xe0 | code >> 12), (char)(0x80 | (code >> 6 & 63)),
                            (char)(0x80 | (code & 63))},
                   3);
    } else {
        buf_append(out,
                   (char[]){(char)(0xf0 | code >> 18), (char)(0x80 | (code >> 12 & 63)),
                            (char)(0x80 | (code >> 6 & 63)), (char)(0x80 | (code & 63))},
                   4);
    }
}

/* Appends what the escape at `at` (its backslash) stands for; returns what is behind it. */
static const char *put_escape(const char *at, const char *end, struct buf *out)
{
    static const char letters[] = "bfnrt";
    static const char meanings[] = "\b\f\n\r\t";
    if (at[1] != 'u') {
        const char *letter = strchr(letters, at[1]);
        buf_append_char(out, letter != NULL ? meanings[letter - letters] : at[1]);
        return at + 2;
    }
    unsigned unit = (unsigned)hex4(at + 2, end);
    if (unit < 0xd800 || unit > 0xdbff) {
        put_utf8(out, unit);
        return at + 6;
    }
    unsigned low = (unsigned)hex4(at + 8, end);
    put_utf8(out, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
    return at + 12;
}

void json_unquote(struct slice string, struct buf *out)
{
    const char *at = string.ptr + 1;
    const char *end = string.ptr + string.len - 1;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        const char *stop = escape != NULL ? escape : end;
        buf_append(out, at, (size_t)(stop - at));
        at = escape != NULL ? put_escape(escape, end, out) : end;
    }
}

/* --- names -------------------------------------------------------------------------------------- */

static void note_name(struct reader *r, struct slice string)
{
    struct slice says = {string.ptr + 1, string.len - 2};
    if (says.len > 0 && memchr(says.ptr, '\\', says.len) != NULL) {
        buf_clear(&r->scratch);
        json_unquote(string, &r->scratch);
        says = buf_readable(&r->scratch);
    }
    if (r->name_count == r->name_cap) {
        r->name_cap = r->name_cap == 0 ? 64 : r->name_cap * 2;
        r->names = xrealloc(r->names, r->name_cap * sizeof(*r->names));
    }
    r->names[r->name_count++] = (struct name){hash_slice(says), (uint64_t)(string.ptr - r->start)};
}

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a;
    const struct name *y = b;
    return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1) : (x->at < y->at ? -1 : x->at > y->at);
}

/* The end of an object whose names begin at `first`. */
static bool check_names(struct reader *r, size_t first)
{
    size_t count = r->name_count - first;
    r->name_count = first;
    if (count < 2) {
        return true;
    }
    struct name *names = r->names + first;
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 1; i < count; i++) {
        if (names[i].hash == names[i - 1].hash) {
            const char *at = r->start + names[i].at;
            if (r->depth == 1) { /* the member is the one that stands twice, not the last one */
                struct slice name = {at, (size_t)(r->end - at)};
                struct reader again = {.start = at, .at = at, .end = r->end};
                check(check_string(&again, &name));
                r->member = name;
            }
            return wrong_at(r, at, "a name stands twice in one object");
        }
    }
    return true;
}

/* --- values ------------------------------------------------------------------------------------- */

static bool check_value(struct reader *r);

static bool check_digits(struct reader *r)
{
    if (!is_digit(r)) {
        return wrong(r, "a number lacks a digit");
    }
    while (is_digit(r)) {
        r->at++;
    }
    return true;
}

static bool check_number(struct reader *r)
{
    if (is_byte(r, '-')) {
        r->at++;
    }
    const char *first = r->at;
    if (!check_digits(r)) {
        return false;
    }
    if (*first == '0' && r->at - first > 1) {
        return wrong_at(r, first, "a number begins with 0");
    }
    if (is_byte(r, '.')) {
        r->at++;
        if (!check_digits(r)) {
            return false;
        }
    }
    if (is_byte(r, 'e') || is_byte(r, 'E')) {
        r->at++;
        if (is_byte(r, '+') || is_byte(r, '-')) {
            r->at++;
        }
        return check_digits(r);
    }
    return true;
}

static bool check_literal(struct reader *r, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, text, len) != 0) {
        return wrong_at(r, r->at, "a value is neither JSON nor in quotes");
    }
    r->at += len;
    return true;
}

static bool check_member(struct reader *r)
{
    struct slice name = {r->at, 0}; /* check_string() says more; analysers do not see it */
    skip_space(r);
    if (!is_byte(r, '"')) {
        return wrong(r, "a name in quotes is expected");
    }
    if (!check_string(r, &name)) {
        return false;
    }
    note_name(r, name);
    if (r->depth == 1) {
        r->member = name;
    }
    skip_space(r);
    if (!is_byte(r, ':')) {
        return wrong(r, "a colon is expected behind a name");
    }
    r->at++;
    return check_value(r);
}

/* An object or an array, from its bracket to the other. */
static bool check_list(struct reader *r, char close, bool (*check_part)(struct reader *))
{
    size_t first_name = r->name_count;
    if (r->depth == JSON_DEPTH_MAX) {
        return wrong(r, "it is nested deeper than 256 levels");
    }
    r->depth++;
    r->at++;
    skip_space(r);
    bool is_first = true;
    while (!is_byte(r, close)) {
        if (!is_first && !is_byte(r, ',')) {
            return wrong(r, "a comma or the closing bracket is expected");
        }
        r->at += is_first ? 0 : 1;
        if (!check_part(r)) {
            return false;
        }
        is_first = false;
        skip_space(r);
    }
    r->at++;
    bool ok = check_names(r, first_name);
    r->depth--;
    return ok;
}

static bool check_value(struct reader *r)
{
    struct slice string;
    skip_space(r);
    if (r->at == r->end) {
        return wrong(r, "");
    }
    switch (*r->at) {
    case '{':
        return check_list(r, '}', check_member);
    case '[':
        return check_list(r, ']', check_value);
    case '"':
        return check_string(r, &string);
    case 't':
        return check_literal(r, "true");
    case 'f':
        return check_literal(r, "false");
    case 'n':
        return check_literal(r, "null");
    default:
        return is_byte(r, '-') || is_digit(r) ? check_number(r) : wrong(r, "a value is expected");
    }
}

bool json_check(struct slice text, struct json_fault *ret_fault)
{
    struct reader r = {.start = text.ptr, .at = text.ptr, .end = text.ptr + text.len};
    buf_init(&r.scratch);
    bool ok = check_value(&r);
    if (ok) {
        r.member = (struct slice){NULL, 0};
        skip_space(&r);
        ok = r.at == r.end || wrong(&r, "something follows the end of the JSON text");
    }
    if (!ok) {
        *ret_fault = r.fault;
    }
    buf_fini(&r.scratch);
    free(r.names);
    return ok;
}

/* --- walking what was checked ------------------------------------------------------------------- */

static struct slice trim_front(struct slice s)
{
    while (s.len > 0 &&
           (s.ptr[0] == ' ' || s.ptr[0] == '\t' || s.ptr[0] == '\n' || s.ptr[0] == '\r')) {
        s = slice_from(s, 1);
    }
    return s;
}

char json_kind(struct slice text)
{
    text = trim_front(text);
    return text.len > 0 ? text.ptr[0] : '\0';
}

static size_t string_len(struct slice s)
{
    size_t i = 1;
    while (s.ptr[i] != '"') {
        i += s.ptr[i] == '\\' ? 2 : 1;
    }
    return i + 1;
}

/* Of the value at the start: brackets are counted, strings jumped over. */
static size_t value_len(struct slice s)
{
    size_t depth = 0;
    size_t i = 0;
    while (i < s.len) {
        char c = s.ptr[i];
        if (c == '"') {
            i += string_len(slice_from(s, i));
        } else if (depth == 0 && strchr(",]} \t\r\n", c) != NULL) {
            return i;
        } else {
            depth += c == '{' || c == '[' ? 1 : 0;
            depth -= c == '}' || c == ']' ? 1 : 0;
            i++;
        }
    }
    return i;
}

bool json_next_member(struct slice *rest, struct slice *ret_name, struct slice *ret_value)
{
    struct slice s = trim_front(*rest);
    if (s.len > 0 && (s.ptr[0] == '{' || s.ptr[0] == ',')) {
        s = trim_front(slice_from(s, 1));
    }
    if (s.len == 0 || s.ptr[0] != '"') {
        return false;
    }
    *ret_name = (struct slice){s.ptr, string_len(s)};
    s = trim_front(slice_from(s, ret_name->len));
    s = trim_front(slice_from(s, 1)); /* the colon */
    *ret_value = (struct slice){s.ptr, value_len(s)};
    *rest = slice_from(s, ret_value->len);
    return true;
}
