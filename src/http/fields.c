/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads inside header values: comma lists, cookies, entity tags.
 *
 * Nothing here can fail a request: a member that is malformed is not found, a list that is
 * malformed ends where the fault is. What must be refused has been refused by the parser.
 *
 * Threads: none; pure. Every slice points into the request.
 */
#include "http/http.h"

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s = slice_from(s, 1);
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

struct slice http_header_get(const struct http_request *req, const char *name)
{
    size_t len = strlen(name);
    for (uint32_t i = 0; i < req->header_count; i++) {
        const struct http_header *h = &req->header[i];
        if (h->name.len == len && strncasecmp(h->name.ptr, name, len) == 0) {
            return h->value;
        }
    }
    return (struct slice){NULL, 0};
}

/* Length of the first member; a comma inside a quoted string does not end it. */
static size_t member_len(struct slice list)
{
    bool quoted = false;
    for (size_t i = 0; i < list.len; i++) {
        if (list.ptr[i] == '"') {
            quoted = !quoted;
        } else if (list.ptr[i] == '\\' && quoted) {
            i++;
        } else if (list.ptr[i] == ',' && !quoted) {
            return i;
        }
    }
    return list.len;
}

bool http_list_has(struct slice list, const char *token)
{
    while (list.len > 0) {
        size_t len = member_len(list);
        if (slice_is_nocase(trim((struct slice){list.ptr, len}), token)) {
            return true;
        }
        list = slice_from(list, len < list.len ? len + 1 : len);
    }
    return false;
}

/* Looks for "name=value" among the "; "-separated pairs of one Cookie field. */
static bool cookie_find(struct slice pairs, struct slice name, struct slice *ret_value)
{
    while (pairs.len > 0) {
        const char *stop = memchr(pairs.ptr, ';', pairs.len);
        size_t len = stop != NULL ? (size_t)(stop - pairs.ptr) : pairs.len;
        struct slice pair = trim((struct slice){pairs.ptr, len});
        if (pair.len > name.len && pair.ptr[name.len] == '=' &&
            memcmp(pair.ptr, name.ptr, name.len) == 0) {
            *ret_value = slice_from(pair, name.len + 1);
            return true;
        }
        pairs = slice_from(pairs, len < pairs.len ? len + 1 : len);
    }
    return false;
}

struct slice http_cookie_get(const struct http_request *req, const char *name)
{
    struct slice value = {NULL, 0};
    for (uint32_t i = 0; i < req->header_count; i++) {
        if (slice_is_nocase(req->header[i].name, "Cookie") &&
            cookie_find(req->header[i].value, slice_of(name), &value)) {
            break;
        }
    }
    return value;
}

static struct slice without_weak_mark(struct slice etag)
{
    return etag.len >= 2 && memcmp(etag.ptr, "W/", 2) == 0 ? slice_from(etag, 2) : etag;
}

bool http_etag_matches(struct slice if_none_match, struct slice etag)
{
    struct slice rest = trim(if_none_match);
    if (slice_is(rest, "*")) {
        return true;
    }
    struct slice want = without_weak_mark(etag);
    while (rest.len > 0) {
        rest = without_weak_mark(rest);
        const char *close = NULL;
        if (rest.len > 1 && rest.ptr[0] == '"') {
            close = memchr(rest.ptr + 1, '"', rest.len - 1);
        }
        if (close == NULL) {
            return false;
        }
        size_t len = (size_t)(close - rest.ptr) + 1;
        if (slice_eq((struct slice){rest.ptr, len}, want)) {
            return true;
        }
        rest = trim(slice_from(rest, len));
        while (rest.len > 0 && rest.ptr[0] == ',') {
            rest = trim(slice_from(rest, 1));
        }
    }
    return false;
}
