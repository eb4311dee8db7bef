/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * http: HTTP/1.1 messages as a pure, strict codec (RFC 9110, 9112). Bytes in, slices out.
 *
 * The request parser reads a message head in one go from the unconsumed bytes, then the body by its
 * framing. On any doubt about framing it refuses: the caller answers `status` and closes. Everything
 * that the study of smuggling found (two lengths, length beside chunked, bare LF or CR, obs-fold, space
 * before the colon, chunked not last, signs in sizes, ...) is refused here and nowhere else.
 *
 * No allocation: slices point into the input (bodies of chunked messages are decoded into a buffer
 * that the caller gives). Threads: none; pure.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"
#include "base/check.h"
#include "base/slice.h"

#include <stdint.h>

enum { HTTP_HEADERS_MAX = 100 };

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER, /* a valid token that is none of these; TRACE and CONNECT too */
};

struct http_header {
    struct slice name;  /* as sent */
    struct slice value; /* outer white space removed */
};

struct http_limits {
    uint32_t head_max; /* bytes of request line and headers: 431 */
    uint32_t line_max; /* bytes of the request line: 414 */
    uint64_t body_max; /* 413 */
};

struct http_request {
    enum http_method method;
    struct slice method_name;
    struct slice target; /* as sent */
    struct slice path;   /* undecoded, of origin-form or absolute-form; "*" for OPTIONS * */
    struct slice query;  /* after '?', undecoded; empty when none */
    struct slice host;   /* from Host or absolute-form; empty in HTTP/1.0 without Host */
    int minor;           /* HTTP/1.minor */
    bool keep_alive;
    bool expect_continue;
    bool has_body; /* Content-Length > 0 or chunked */
    bool chunked;
    uint64_t content_length; /* when not chunked */
    struct http_header header[HTTP_HEADERS_MAX];
    uint32_t header_count;
    size_t head_len;
};

enum http_result { HTTP_DONE, HTTP_MORE, HTTP_REFUSED };

struct http_refusal {
    int status;         /* 400, 405, 413, 414, 417, 431, 501, 505 */
    const char *reason; /* static, one sentence for a person */
    bool is_stranger;   /* another protocol: whoever set the client up should hear of it */
};

/* Parses one head. HTTP_MORE: offer the same bytes again with more behind. Leading CRLFs (at most
 * two) are part of head_len. */
enum http_result http_parse_head(struct slice in, const struct http_limits *limits,
                                 struct http_request *req, struct http_refusal *ret_refusal);

/* The body that follows a head. State between calls in `struct http_body`; zero it per message. */
struct http_body {
    int state;
    uint64_t left;
    uint64_t seen;     /* decoded bytes so far */
    uint64_t overhead; /* chunk framing bytes, bounded */
    uint32_t line;     /* bytes of the current size line, or of the trailers; bounded */
    uint32_t name_len; /* of the current trailer's name */
    uint8_t name_differs;
};
/* Takes bytes of `in`, appends decoded body bytes to `out`, tells how many of `in` were used. HTTP_DONE
 * when the body has ended (trailers read and dropped). */
enum http_result http_parse_body(struct http_body *b, const struct http_request *req,
                                 const struct http_limits *limits, struct slice in,
                                 size_t *ret_used, struct buf *out,
                                 struct http_refusal *ret_refusal);

/* First header of that name (case-insensitive), or an empty slice with ptr NULL. */
struct slice http_header_get(const struct http_request *req, const char *name);
/* Does a comma list contain this token (case-insensitive)? */
bool http_list_has(struct slice list, const char *token);
/* A cookie's value from all Cookie headers; ptr NULL when absent. */
struct slice http_cookie_get(const struct http_request *req, const char *name);

/* If-None-Match against one entity tag (with quotes), weak comparison, "*" too. RFC 9110 13.1.2. */
bool http_etag_matches(struct slice if_none_match, struct slice etag);

/* What all Accept-Encoding fields together say. RFC 9110 12.5.3. */
struct http_codings {
    bool gzip;     /* asked for, and not less than no coding */
    bool identity; /* no coding is acceptable too: unless it was forbidden by name or by "*;q=0" */
};
struct http_codings http_accepted_codings(const struct http_request *req);

/* Percent-decoding; '+' stays '+' unless `form`. False on a bad escape or a decoded NUL. Appends. */
bool http_percent_decode(struct slice in, bool form, struct buf *out);
/* Walks "a=1&b=2": false at the end. Name and value are undecoded. */
bool http_query_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value);

/* --- composing ---------------------------------------------------------------------------------- */

/* The reason phrase (RFC 9110, 15); "Unknown" for a status that this server never sends. Static. */
const char *http_status_text(int status);
/* "HTTP/1.1 200 OK\r\n" and a Date header (cached per second per thread). */
void http_put_status(struct buf *out, int status, uint64_t wall_ms);
/* One field; control characters in the value become spaces, so no value can end its line. */
void http_put_header(struct buf *out, const char *name, struct slice value);
void http_put_header_fmt(struct buf *out, const char *name, const char *fmt, ...) printf_like(3, 4);
/* IMF-fixdate, 29 bytes and NUL. */
void http_format_date(uint64_t wall_ms, char out[30]);

#endif
