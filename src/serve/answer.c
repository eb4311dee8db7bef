/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stored HTTP answers; the layout is drawn in answer.h.
 *
 * An answer whose size makes it a candidate for compression says `Vary: Accept-Encoding` in both forms and
 * in its 304, whether or not this client asked: a cache in between must know before it stores either.
 */
#include "serve/answer.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "serve/gzip.h"

#include <inttypes.h>

struct stored {
    uint64_t stored_ms;
    uint32_t body_len;
    uint16_t status;
    uint8_t head_len;
    uint8_t gzip_head_len;
} __attribute__((packed));

_Static_assert(sizeof(struct stored) == 16, "the layout in answer.h");

enum { ETAG_AT = 6, ETAG_LEN = 18 }; /* of the quoted tag in the first line of the head */
enum { GZIP_HEAD_AT_MOST = 254, GZIP_NOT_WORTH = 255 };

static const char vary[] = "Vary: Accept-Encoding\r\n";

static bool is_candidate(size_t body_len)
{
    return body_len >= ANSWER_GZIP_MIN && body_len <= ANSWER_GZIP_MAX;
}

void answer_make(struct buf *out, int status, const char *content_type, struct slice body,
                 uint64_t now_ms)
{
    check(buf_len(out) == 0 && body.len <= UINT32_MAX);
    struct stored stored = {
        .stored_ms = now_ms, .body_len = (uint32_t)body.len, .status = (uint16_t)status};
    buf_append(out, &stored, sizeof(stored));
    buf_printf(out,
               "ETag: \"%016" PRIx64 "\"\r\n"
               "Content-Type: %s\r\n"
               "Content-Length: %zu\r\n"
               "Cache-Control: %s\r\n"
               "%s%s",
               hash_slice(body), content_type, body.len, status < 500 ? "no-cache" : "no-store",
               status == 503 ? "Retry-After: 1\r\n" : "", is_candidate(body.len) ? vary : "");
    size_t head_len = buf_len(out) - sizeof(stored);
    check(head_len <= UINT8_MAX);
    stored.head_len = (uint8_t)head_len;
    memcpy(out->mem + out->start, &stored, sizeof(stored));
    buf_append_slice(out, body);
}

/* The compressed form's head: the plain one's with another tag and length. */
static size_t put_gzip_head(struct buf *out, struct slice head, size_t gzip_len)
{
    static const char type[] = "Content-Type: ";
    const char *type_line = memmem(head.ptr, head.len, type, sizeof(type) - 1);
    check(type_line != NULL);
    const char *type_end = memchr(type_line, '\r', head.len - (size_t)(type_line - head.ptr));
    check(type_end != NULL);
    size_t start = buf_len(out);
    buf_printf(out,
               "ETag: %.*s-gzip\"\r\n"
               "%.*s\r\n"
               "Content-Length: %zu\r\n"
               "Content-Encoding: gzip\r\n"
               "Cache-Control: no-cache\r\n"
               "%s",
               ETAG_LEN - 1, head.ptr + ETAG_AT, (int)(type_end - type_line), type_line, gzip_len,
               vary);
    return buf_len(out) - start;
}

void answer_mark_not_worth(char *value)
{
    value[offsetof(struct stored, gzip_head_len)] = (char)GZIP_NOT_WORTH;
}

bool answer_compress(struct buf *value, struct gzip **z, bool any_size)
{
    struct slice all = buf_readable(value);
    struct answer a = answer_read(all);
    if (a.gzip.head.ptr != NULL || (!a.may_gzip && !any_size)) {
        return false;
    }
    struct buf text;
    struct buf head;
    buf_init(&text);
    buf_init(&head);
    size_t max = any_size ? gzip_bound(a.plain.body.len) : a.plain.body.len;
    bool made = gzip_put(z, a.plain.body, max, &text);
    if (made) {
        size_t len = put_gzip_head(&head, a.plain.head, buf_len(&text));
        check(len <= GZIP_HEAD_AT_MOST);
        buf_append_slice(value, buf_readable(&head));
        buf_append_slice(value, buf_readable(&text));
        value->mem[value->start + offsetof(struct stored, gzip_head_len)] = (char)len;
    } else {
        answer_mark_not_worth(value->mem + value->start);
    }
    buf_fini(&head);
    buf_fini(&text);
    return made;
}

struct answer answer_read(struct slice value)
{
    struct stored stored;
    check(value.len >= sizeof(stored));
    memcpy(&stored, value.ptr, sizeof(stored));
    struct slice rest = slice_from(value, sizeof(stored));
    check(rest.len >= stored.head_len + (size_t)stored.body_len);
    struct answer a = {
        .stored_ms = stored.stored_ms,
        .status = stored.status,
        .etag = {rest.ptr + ETAG_AT, ETAG_LEN},
        .plain = {{rest.ptr, stored.head_len}, {rest.ptr + stored.head_len, stored.body_len}},
    };
    rest = slice_from(rest, stored.head_len + (size_t)stored.body_len);
    a.may_gzip = stored.gzip_head_len == 0 && is_candidate(stored.body_len);
    if (stored.gzip_head_len != 0 && stored.gzip_head_len != GZIP_NOT_WORTH) {
        check(rest.len > stored.gzip_head_len);
        a.gzip.head = (struct slice){rest.ptr, stored.gzip_head_len};
        a.gzip.body = slice_from(rest, stored.gzip_head_len);
    }
    return a;
}

bool answer_same(struct slice value, struct slice other)
{
    struct stored a;
    struct stored b;
    check(value.len >= sizeof(a) && other.len >= sizeof(b));
    memcpy(&a, value.ptr, sizeof(a));
    memcpy(&b, other.ptr, sizeof(b));
    return a.stored_ms == b.stored_ms && a.status == b.status && a.body_len == b.body_len &&
           a.head_len == b.head_len &&
           memcmp(value.ptr + sizeof(a), other.ptr + sizeof(b), a.head_len) == 0;
}

/* --- sending ------------------------------------------------------------------------------------ */

/* Does If-None-Match name the form that this request would get? Its tag is known before it is made. */
static bool is_unchanged(const struct answer *a, const struct answer_wish *wish, bool gzip,
                         char ret_etag[ANSWER_GZIP_ETAG_LEN], struct slice *ret_tag)
{
    *ret_tag = a->etag;
    if (gzip) {
        memcpy(ret_etag, a->etag.ptr, ETAG_LEN - 1);
        memcpy(ret_etag + ETAG_LEN - 1, "-gzip\"", 6);
        *ret_tag = (struct slice){ret_etag, ANSWER_GZIP_ETAG_LEN};
    }
    return a->status == 200 && wish->if_none_match.len > 0 &&
           http_etag_matches(wish->if_none_match, *ret_tag);
}

/* Identity forbidden leaves one form, however small. A large answer is sent as it is all the same: RFC 9110
 * 12.4.1 allows that, and compressing it for one client would hold up the others. */
static bool gets_gzip(const struct answer *a, const struct answer_wish *wish)
{
    bool must = !wish->accepts.identity && a->plain.body.len <= ANSWER_GZIP_MAX;
    return wish->accepts.gzip && (a->gzip.head.ptr != NULL || a->may_gzip || must);
}

bool answer_lacks(const struct answer *a, const struct answer_wish *wish)
{
    char room[ANSWER_GZIP_ETAG_LEN];
    struct slice tag;
    return gets_gzip(a, wish) && a->gzip.head.ptr == NULL &&
           !is_unchanged(a, wish, true, room, &tag);
}

static void put_cache_status(struct buf *out, const struct answer_wish *wish)
{
    buf_append_str(out, "Cache-Status: freshet; ");
    buf_append_str(out, wish->cache_status);
    if (wish->ttl_s != UINT64_MAX) {
        buf_append_str(out, "; ttl=");
        buf_append_u64(out, wish->ttl_s);
    }
    buf_append_str(out, "\r\n");
}

size_t answer_put(struct buf *out, const struct answer *a, const struct answer_wish *wish)
{
    char room[ANSWER_GZIP_ETAG_LEN];
    struct slice tag;
    bool unchanged = is_unchanged(a, wish, gets_gzip(a, wish), room, &tag);
    const struct answer_form *form =
        wish->accepts.gzip && a->gzip.head.ptr != NULL ? &a->gzip : &a->plain;
    http_put_status(out, unchanged ? 304 : a->status, clock_wall_ms());
    if (unchanged) {
        http_put_header(out, "ETag", tag);
        buf_append_str(out, "Cache-Control: no-cache\r\n");
        buf_append_str(out, is_candidate(a->plain.body.len) ? vary : "");
    } else {
        buf_append_slice(out, form->head);
    }
    if (wish->hit) {
        buf_append_str(out, "Age: ");
        buf_append_u64(out, (wish->now_ms - a->stored_ms) / 1000);
        buf_append_str(out, "\r\n");
    }
    put_cache_status(out, wish);
    if (wish->close) {
        buf_append_str(out, "Connection: close\r\n");
    }
    buf_append_str(out, "\r\n");
    if (unchanged || wish->head_only) {
        return 0;
    }
    buf_append_slice(out, form->body);
    return form->body.len < a->plain.body.len ? a->plain.body.len - form->body.len : 0;
}
