/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Judges the few header fields that decide whom a request is for, where its body ends and whether
 * the connection goes on: Host, Content-Length, Transfer-Encoding, Connection, Expect.
 *
 * Request smuggling lives here: two readers of one byte stream that disagree about where a message
 * ends. So nothing is repaired and nothing has two readings.
 *
 * F1. At most one Content-Length, plain digits; at most one Transfer-Encoding, exactly "chunked",
 * in HTTP/1.1 only; never both. F2. Exactly one Host in HTTP/1.1, at most one in HTTP/1.0, valid,
 * and the same as the authority of an absolute target. F3. A body only where it means something:
 * never with GET, HEAD, OPTIONS, TRACE, CONNECT. F4. Connection does not name a field that routes,
 * frames or authenticates (a proxy in front would then have removed it).
 *
 * A single field's fault is reported at its line, what concerns several at the end of the head.
 * Upgrade is ignored: no protocol is switched to, so nothing can be smuggled through the switch.
 *
 * Threads: none; pure.
 */
#include "http/framing.h"

#include "base/number.h"
#include "http/chars.h"

enum {
    FRAME_HOST = 1,
    FRAME_LENGTH = 2,
    FRAME_CHUNKED = 4,
    FRAME_EXPECT = 8,
    FRAME_CLOSE = 16,
    FRAME_KEEP_ALIVE = 32,
};

bool http_is_authority(struct slice s)
{
    const char *at = s.ptr;
    const char *end = s.ptr + s.len;
    if (s.len > 0 && *at == '[') {
        const char *start = ++at;
        while (at < end && (http_is(*at, HTTP_HEX) || *at == ':' || *at == '.')) {
            at++;
        }
        if (at - start < 2 || at == end || *at++ != ']') {
            return false;
        }
    } else {
        at = http_skip(at, end, HTTP_HOST);
    }
    if (at == s.ptr || at == end) {
        return at != s.ptr;
    }
    uint64_t port;
    return *at == ':' && number_parse_u64((struct slice){at + 1, (size_t)(end - at - 1)}, &port) &&
           port <= 65535;
}

static enum http_result take_host(struct http_frame *f, struct slice value,
                                  struct http_refusal *ret_refusal)
{
    if ((f->seen & FRAME_HOST) != 0) {
        return http_refuse(ret_refusal, 400, "Host is given twice");
    }
    if (!http_is_authority(value)) {
        return http_refuse(ret_refusal, 400, "Host is not a host name with an optional port");
    }
    f->seen |= FRAME_HOST;
    f->host = value;
    return HTTP_DONE;
}

static enum http_result take_length(struct http_frame *f, struct slice value,
                                    struct http_refusal *ret_refusal)
{
    if ((f->seen & FRAME_LENGTH) != 0) {
        return http_refuse(ret_refusal, 400, "Content-Length is given twice");
    }
    if ((f->seen & FRAME_CHUNKED) != 0) {
        return http_refuse(ret_refusal, 400, "Content-Length stands beside Transfer-Encoding");
    }
    if (!number_parse_u64(value, &f->length)) {
        return http_refuse(ret_refusal, 400, "Content-Length is not one plain decimal number");
    }
    f->seen |= FRAME_LENGTH;
    return HTTP_DONE;
}

/* "gzip, chunked": well formed and framed, but with a coding that we do not undo. */
static bool is_other_coding(struct slice value)
{
    static const char tail[] = "chunked";
    size_t cut = value.len > sizeof(tail) ? value.len - (sizeof(tail) - 1) : 0;
    struct slice before = {value.ptr, cut};
    if (cut == 0 || !slice_is_nocase(slice_from(value, cut), tail) || http_list_has(before, tail)) {
        return false;
    }
    const char *end = value.ptr + cut;
    const char *at = value.ptr;
    while (at < end && (http_is(*at, HTTP_TOKEN) || *at == ',' || *at == ' ')) {
        at++;
    }
    return at == end && (end[-1] == ',' || (end[-1] == ' ' && cut > 1 && end[-2] == ','));
}

static enum http_result take_coding(struct http_frame *f, struct slice value,
                                    struct http_refusal *ret_refusal)
{
    if ((f->seen & FRAME_CHUNKED) != 0) {
        return http_refuse(ret_refusal, 400, "Transfer-Encoding is given twice");
    }
    if ((f->seen & FRAME_LENGTH) != 0) {
        return http_refuse(ret_refusal, 400, "Transfer-Encoding stands beside Content-Length");
    }
    if (is_other_coding(value)) {
        return http_refuse(ret_refusal, 501, "the only transfer coding understood is chunked");
    }
    if (!slice_is_nocase(value, "chunked")) {
        return http_refuse(ret_refusal, 400, "Transfer-Encoding is not exactly chunked");
    }
    f->seen |= FRAME_CHUNKED;
    return HTTP_DONE;
}

static enum http_result take_connection(struct http_frame *f, struct slice value,
                                        struct http_refusal *ret_refusal)
{
    static const char *const end_to_end[] = {"host",   "content-length", "transfer-encoding",
                                             "cookie", "authorization",  "x-forwarded-for"};
    for (size_t i = 0; i < array_len(end_to_end); i++) {
        if (http_list_has(value, end_to_end[i])) {
            return http_refuse(ret_refusal, 400, "Connection names a header that it must not");
        }
    }
    f->seen |= http_list_has(value, "close") ? FRAME_CLOSE : 0;
    f->seen |= http_list_has(value, "keep-alive") ? FRAME_KEEP_ALIVE : 0;
    return HTTP_DONE;
}

static enum http_result take_expect(struct http_frame *f, struct slice value,
                                    struct http_refusal *ret_refusal)
{
    if ((f->seen & FRAME_EXPECT) != 0 || !slice_is_nocase(value, "100-continue")) {
        return http_refuse(ret_refusal, 417, "the only expectation met here is one 100-continue");
    }
    f->seen |= FRAME_EXPECT;
    return HTTP_DONE;
}

/* RFC 9110 allows a tab around any value, but not every reader takes it around these two (llhttp does not):
 * then their readings would differ. The field's line has been read, up to its CR. */
static bool has_tab_around(const struct http_header *field)
{
    for (const char *at = field->name.ptr + field->name.len; at < field->value.ptr; at++) {
        if (*at == '\t') {
            return true;
        }
    }
    for (const char *at = field->value.ptr + field->value.len; *at != '\r'; at++) {
        if (*at == '\t') {
            return true;
        }
    }
    return false;
}

enum http_result http_frame_field(struct http_frame *f, const struct http_header *field,
                                  struct http_refusal *ret_refusal)
{
    /* By length first: most fields are none of these and should cost one jump. */
    switch (field->name.len) {
    case sizeof("Host") - 1:
        if (slice_is_nocase(field->name, "Host")) {
            return take_host(f, field->value, ret_refusal);
        }
        break;
    case sizeof("Expect") - 1:
        if (slice_is_nocase(field->name, "Expect")) {
            return take_expect(f, field->value, ret_refusal);
        }
        break;
    case sizeof("Connection") - 1:
        if (slice_is_nocase(field->name, "Connection")) {
            return take_connection(f, field->value, ret_refusal);
        }
        break;
    case sizeof("Content-Length") - 1:
        if (slice_is_nocase(field->name, "Content-Length")) {
            return has_tab_around(field)
                       ? http_refuse(ret_refusal, 400, "a tab stands around Content-Length")
                       : take_length(f, field->value, ret_refusal);
        }
        break;
    case sizeof("Transfer-Encoding") - 1:
        if (slice_is_nocase(field->name, "Transfer-Encoding")) {
            return has_tab_around(field)
                       ? http_refuse(ret_refusal, 400, "a tab stands around Transfer-Encoding")
                       : take_coding(f, field->value, ret_refusal);
        }
        break;
    default:
        break;
    }
    return HTTP_DONE;
}

static enum http_result judge_host(const struct http_frame *f, struct http_request *req,
                                   struct http_refusal *ret_refusal)
{
    bool has_host = (f->seen & FRAME_HOST) != 0;
    if (!has_host && req->minor == 1) {
        return http_refuse(ret_refusal, 400, "an HTTP/1.1 request needs a Host header");
    }
    req->host = f->host;
    if (f->authority.ptr != NULL) {
        if (has_host && (f->host.len != f->authority.len ||
                         strncasecmp(f->host.ptr, f->authority.ptr, f->host.len) != 0)) {
            return http_refuse(ret_refusal, 400, "Host differs from the host in the target");
        }
        req->host = f->authority;
    }
    return HTTP_DONE;
}

static bool may_have_body(const struct http_request *req)
{
    switch (req->method) {
    case HTTP_GET:
    case HTTP_HEAD:
    case HTTP_OPTIONS:
        return false;
    case HTTP_POST:
    case HTTP_PUT:
    case HTTP_PATCH:
    case HTTP_DELETE:
        return true;
    case HTTP_OTHER:
        return !slice_is(req->method_name, "TRACE") && !slice_is(req->method_name, "CONNECT");
    }
    unreachable();
}

enum http_result http_frame_finish(const struct http_frame *f, const struct http_limits *limits,
                                   struct http_request *req, struct http_refusal *ret_refusal)
{
    enum http_result r = judge_host(f, req, ret_refusal);
    if (r != HTTP_DONE) {
        return r;
    }
    req->chunked = (f->seen & FRAME_CHUNKED) != 0;
    req->content_length = f->length;
    req->has_body = req->chunked || f->length > 0;
    if (req->chunked && req->minor == 0) {
        return http_refuse(ret_refusal, 400, "HTTP/1.0 has no Transfer-Encoding");
    }
    if (req->has_body && !may_have_body(req)) {
        return http_refuse(ret_refusal, 400, "a request with this method must not have a body");
    }
    if (req->content_length > limits->body_max) {
        return http_refuse(ret_refusal, 413, "the body is larger than this server takes");
    }
    req->keep_alive =
        (f->seen & FRAME_CLOSE) == 0 && (req->minor == 1 || (f->seen & FRAME_KEEP_ALIVE) != 0);
    /* RFC 9110 10.1.1: an expectation in HTTP/1.0 is ignored; without a body there is none to
     * invite. */
    req->expect_continue = (f->seen & FRAME_EXPECT) != 0 && req->minor == 1 && req->has_body;
    return HTTP_DONE;
}
