/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * text: reading files, checking text, measuring how far apart two words are.
 *
 * Reading refuses everything but regular files (a FIFO would block, /dev/zero would never end) and
 * reads at most one byte above the limit to see that the limit is passed.
 *
 * Distance is the optimal string alignment distance: the classic table with one more row for swaps.
 * It is used on option names only, so it may be quadratic.
 *
 * Threads: any; no state.
 */
#include "policy/text.h"

#include "policy/policy.h"

#include "policy/values.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORD_MAX = 63, FAR_APART = 1000 };

static ssize_t read_all(int fd, char *mem, size_t room)
{
    size_t len = 0;
    while (len < room) {
        ssize_t n = read(fd, mem + len, room - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    return (ssize_t)len;
}

bool policy_text_read(struct arena *arena, const char *file, size_t max, struct slice *ret_text,
                      const char **ret_why)
{
    bool ok = false;
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        *ret_why = arena_printf(arena, "cannot be read: %s", strerrordesc_np(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        *ret_why = S_ISDIR(st.st_mode) ? "is a directory" : "is not a regular file";
        goto out;
    }
    if ((uint64_t)st.st_size > max) {
        *ret_why = arena_printf(arena, "is larger than %s", policy_format_size(arena, max));
        goto out;
    }
    size_t room = (size_t)st.st_size + 1; /* one more, to see growth while reading */
    char *mem = arena_alloc(arena, room + 1);
    ssize_t len = read_all(fd, mem, room);
    if (len < 0) {
        *ret_why = arena_printf(arena, "cannot be read: %s", strerrordesc_np(errno));
        goto out;
    }
    if ((size_t)len == room) {
        *ret_why = "is changing while it is read";
        goto out;
    }
    *ret_text = (struct slice){mem, (size_t)len};
    ok = true;
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

/* Length of the UTF-8 character at `p`, 0 when it is none (RFC 3629: shortest form, no surrogates).
 */
static size_t utf8_length(const unsigned char *p, size_t room)
{
    static const struct {
        unsigned char first_low, first_high, second_low, second_high;
        size_t len;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    if (p[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < array_len(forms); i++) {
        if (p[0] < forms[i].first_low || p[0] > forms[i].first_high) {
            continue;
        }
        size_t len = forms[i].len;
        if (room < len || p[1] < forms[i].second_low || p[1] > forms[i].second_high) {
            return 0;
        }
        bool rest_ok = (len < 3 || (p[2] & 0xc0) == 0x80) && (len < 4 || (p[3] & 0xc0) == 0x80);
        return rest_ok ? len : 0;
    }
    return 0;
}

struct policy_spot policy_text_spot_at(struct slice text, size_t offset)
{
    struct policy_spot at = {1, 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        bool is_inside = ((unsigned char)text.ptr[i] & 0xc0) == 0x80; /* of a character */
        at.column += is_inside ? 0 : 1;
        if (text.ptr[i] == '\n') {
            at = (struct policy_spot){at.line + 1, 1};
        }
    }
    return at;
}

bool policy_text_is_clean(struct slice text, struct policy_spot *ret_bad)
{
    for (size_t i = 0; i < text.len;) {
        const unsigned char *p = (const unsigned char *)text.ptr + i;
        size_t len = utf8_length(p, text.len - i);
        bool is_control = (*p < 0x20 && *p != '\t' && *p != '\n' && *p != '\r') || *p == 0x7f;
        if (len == 0 || is_control) {
            *ret_bad = policy_text_spot_at(text, i);
            return false;
        }
        i += len;
    }
    return true;
}

struct slice policy_text_without_mark(struct slice text)
{
    bool has_mark = text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0;
    return has_mark ? slice_from(text, 3) : text;
}

bool policy_text_is_tab_at(struct slice text, struct policy_spot spot)
{
    const char *line = text.ptr;
    const char *end = text.ptr + text.len;
    for (uint32_t n = 1; n < spot.line && line != NULL; n++) {
        line = memchr(line, '\n', (size_t)(end - line));
        line = line != NULL ? line + 1 : NULL;
    }
    /* Columns count characters; in the indentation before a tab, characters are bytes. */
    return line != NULL && spot.column <= (size_t)(end - line) && line[spot.column - 1] == '\t';
}

bool policy_text_is_name(struct slice text)
{
    if (text.len == 0 || text.len > WORD_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return true;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

unsigned policy_text_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX) {
        return FAR_APART;
    }
    /* rows[i % 3][j]: distance of the first i bytes of `a` and the first j of `b` */
    unsigned rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned change = a[i - 1] == b[j - 1] ? 0 : 1;
            now[j] = min3(above[j] + 1, now[j - 1] + 1, above[j - 1] + change);
            bool is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (is_swap && rows[(i - 2) % 3][j - 2] + 1 < now[j]) {
                now[j] = rows[(i - 2) % 3][j - 2] + 1;
            }
        }
    }
    return rows[a_len % 3][b_len];
}

bool policy_text_is_near(unsigned distance, const char *word)
{
    size_t len = strlen(word);
    return distance <= (len <= 3 ? 1U : len <= 6 ? 2U : 3U);
}

bool policy_is_slip(const char *given, const char *word, unsigned *ret_distance)
{
    *ret_distance = policy_text_distance(given, word);
    return policy_text_is_near(*ret_distance, word);
}
