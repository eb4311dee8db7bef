/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Glob patterns as Redis reads them.
 *
 * A '*' is tried with the shortest run first; when what follows fails, only the last '*' takes one
 * byte more. Earlier ones need not change their mind, since anything they could give the last one
 * can take itself. So the time is at most |pattern| x |text|, whatever the pattern.
 *
 * As in Redis, a pattern that needs more than 1000 runs of '*' matches nothing.
 *
 * Threads: none; pure.
 */
#include "serve/glob.h"

enum { RUNS_MAX = 1000 };

static unsigned char fold(char c, bool ignore_case)
{
    return (unsigned char)(ignore_case && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* One byte of a set, an escaped one too; moves `at` behind it. */
static unsigned char set_byte(struct slice p, size_t *at, bool ignore_case)
{
    if (p.ptr[*at] == '\\' && *at + 1 < p.len) {
        (*at)++;
    }
    return fold(p.ptr[(*at)++], ignore_case);
}

/* A set that begins behind '[' at `*at`; moves `at` behind its ']' (or to the end without one). */
static bool set_matches(struct slice p, size_t *at, unsigned char c, bool ignore_case)
{
    bool negated = *at < p.len && p.ptr[*at] == '^';
    bool found = false;
    *at += negated ? 1 : 0;
    while (*at < p.len && p.ptr[*at] != ']') {
        unsigned char low = set_byte(p, at, ignore_case);
        unsigned char high = low;
        if (*at + 1 < p.len && p.ptr[*at] == '-') {
            (*at)++;
            high = set_byte(p, at, ignore_case);
        }
        found = found || (c >= low && c <= high) || (c >= high && c <= low);
    }
    *at += *at < p.len ? 1 : 0;
    return found != negated;
}

/* One element of the pattern (not '*') against one byte; moves `at` behind the element. */
static bool element_matches(struct slice p, size_t *at, char text, bool ignore_case)
{
    unsigned char c = fold(text, ignore_case);
    switch (p.ptr[*at]) {
    case '?':
        (*at)++;
        return true;
    case '[':
        (*at)++;
        return set_matches(p, at, c, ignore_case);
    default:
        return set_byte(p, at, ignore_case) == c;
    }
}

bool glob_match(struct slice pattern, struct slice text, bool ignore_case)
{
    size_t p = 0;
    size_t t = 0;
    size_t star_p = 0; /* behind the last '*'; 0: none yet */
    size_t star_t = 0; /* where the text goes on after what it took */
    unsigned runs = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            runs += star_p != p || p == 0 ? 1 : 0;
            if (runs > RUNS_MAX) {
                return false;
            }
            star_p = ++p;
            star_t = t;
        } else if (p < pattern.len && element_matches(pattern, &p, text.ptr[t], ignore_case)) {
            t++;
        } else if (star_p > 0) {
            p = star_p;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}
