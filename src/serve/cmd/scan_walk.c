/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What SCAN, SSCAN, HSCAN, ZSCAN and KEYS share; scan.h says what.
 *
 * What is found is collected as bulks while the store is walked, then put behind the header that needs its
 * number.
 */
#include "serve/cmd/scan.h"

#include "base/number.h"
#include "serve/edit.h"
#include "serve/glob.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

enum { SCAN_COUNT = 10, SCAN_COUNT_MAX = 100000 };

/* --- arguments -------------------------------------------------------------------------------- */

/* As Redis does, with strtoul(): an empty word is 0, and a sign counts. */
bool scan_parse_cursor(struct resp_client *c, struct slice text, uint64_t *ret_cursor)
{
    char copy[NUMBER_MAX_LEN + 1] = "";
    char *end = copy;
    bool good = text.len < sizeof(copy) && (text.len == 0 || !isspace((unsigned char)text.ptr[0]));
    if (good) {
        memcpy(copy, text.ptr != NULL ? text.ptr : "", text.len);
        errno = 0;
        *ret_cursor = strtoul(copy, &end, 10);
        good = *end == '\0' && errno == 0;
    }
    if (!good) {
        resp_error(&c->conn.out, "ERR invalid cursor");
    }
    return good;
}

static void take_kind(struct slice name, struct scan *s)
{
    s->by_kind = true;
    s->kind = STORE_STRING;
    while (s->kind <= STORE_STREAM && !slice_is_nocase(name, kind_name(s->kind))) {
        s->kind++;
    }
}

static bool take_option(struct resp_client *c, struct slice name, struct slice value,
                        bool with_kind, struct scan *s)
{
    int64_t count;
    if (slice_is_nocase(name, "count")) {
        if (!arg_integer(c, value, &count)) {
            return false;
        }
        if (count < 1) {
            reply_syntax(c);
            return false;
        }
        s->count = count < SCAN_COUNT_MAX ? (uint32_t)count : SCAN_COUNT_MAX;
    } else if (slice_is_nocase(name, "match")) {
        s->pattern = slice_is(value, "*") ? (struct slice){NULL, 0} : value;
    } else if (with_kind && slice_is_nocase(name, "type")) {
        take_kind(value, s);
    } else {
        reply_syntax(c);
        return false;
    }
    return true;
}

bool scan_parse_options(struct resp_client *c, const struct slice *argv, uint32_t argc,
                        uint32_t first, bool with_kind, struct scan *ret_scan)
{
    struct scan s = {.count = SCAN_COUNT};
    for (uint32_t i = first; i < argc; i += 2) {
        if (i + 1 == argc) {
            reply_syntax(c);
            return false;
        }
        if (!take_option(c, argv[i], argv[i + 1], with_kind, &s)) {
            return false;
        }
    }
    *ret_scan = s;
    return true;
}

/* --- collecting ------------------------------------------------------------------------------- */

void scan_found_init(struct resp_client *c, struct slice pattern, struct scan_found *ret_found)
{
    *ret_found = (struct scan_found){.pattern = pattern, .max = c->conn.face->limits->output_max};
}

bool scan_found_wants(const struct scan_found *f, struct slice name)
{
    return f->pattern.ptr == NULL || glob_match(f->pattern, name, false);
}

void scan_found_add(struct scan_found *f, struct slice text)
{
    f->too_much = f->too_much || buf_len(&f->bulks) > f->max ||
                  buf_try_reserve(&f->bulks, text.len + REPLY_FRAME) == NULL;
    if (!f->too_much) {
        resp_bulk(&f->bulks, text);
        f->count++;
    }
}

void scan_reply(struct resp_client *c, struct scan_found *f)
{
    struct slice bulks = buf_readable(&f->bulks);
    resp_array(&c->conn.out, f->count);
    if (f->too_much) {
        c->reply_failed = true;
    } else if (client_room(c, bulks.len)) {
        buf_append_slice(&c->conn.out, bulks);
    }
    buf_fini(&f->bulks);
}

void scan_reply_step(struct resp_client *c, uint64_t cursor, struct scan_found *f)
{
    char text[NUMBER_MAX_LEN];
    resp_array(&c->conn.out, 2);
    reply_bulk(c, (struct slice){text, number_format_u64(text, cursor)});
    scan_reply(c, f);
}
