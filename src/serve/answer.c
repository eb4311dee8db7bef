/* SPDX-License-Identifier: BSD-3-Clause */
/* Stored HTTP answers; the layout is drawn in answer.h. */
#include "serve/answer.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "http/http.h"

#include <inttypes.h>

struct stored {
    uint64_t stored_ms;
    uint16_t status;
    uint16_t head_len;
} __attribute__((packed));

_Static_assert(sizeof(struct stored) == 12, "the layout in answer.h");

enum { ETAG_AT = 6, ETAG_LEN = 18 }; /* of the quoted tag in the first line of the head */

void answer_make(struct buf *out, int status, const char *content_type, struct slice body,
                 uint64_t now_ms)
{
    check(buf_len(out) == 0);
    struct stored stored = {.stored_ms = now_ms, .status = (uint16_t)status};
    buf_append(out, &stored, sizeof(stored));
    buf_printf(out,
               "ETag: \"%016" PRIx64 "\"\r\n"
               "Content-Type: %s\r\n"
               "Content-Length: %zu\r\n"
               "Cache-Control: no-cache\r\n",
               hash_slice(body), content_type, body.len);
    stored.head_len = (uint16_t)(buf_len(out) - sizeof(stored));
    memcpy(out->mem + out->start, &stored, sizeof(stored));
    buf_append_slice(out, body);
}

struct answer answer_read(struct slice value)
{
    struct stored stored;
    check(value.len >= sizeof(stored));
    memcpy(&stored, value.ptr, sizeof(stored));
    struct slice rest = slice_from(value, sizeof(stored));
    check(rest.len >= stored.head_len);
    return (struct answer){
        .stored_ms = stored.stored_ms,
        .status = stored.status,
        .head = {rest.ptr, stored.head_len},
        .etag = {rest.ptr + ETAG_AT, ETAG_LEN},
        .body = slice_from(rest, stored.head_len),
    };
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

void answer_put(struct buf *out, const struct answer *a, const struct answer_wish *wish)
{
    bool unchanged = a->status == 200 && wish->if_none_match.len > 0 &&
                     http_etag_matches(wish->if_none_match, a->etag);
    http_put_status(out, unchanged ? 304 : a->status, clock_wall_ms());
    if (unchanged) {
        http_put_header(out, "ETag", a->etag);
        buf_append_str(out, "Cache-Control: no-cache\r\n");
    } else {
        buf_append_slice(out, a->head);
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
    if (!unchanged && !wish->head_only) {
        buf_append_slice(out, a->body);
    }
}
