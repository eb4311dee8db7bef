/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads one request head: request line and header fields, byte by byte, once, left to right.
 *
 *     [CRLF [CRLF]]  method SP target SP "HTTP/1." ("0" | "1") CRLF
 *     *( name ":" OWS value OWS CRLF )  CRLF
 *
 * Each parse_* function below reads its part at `at` and answers HTTP_DONE (carry on), HTTP_MORE
 * (the bytes ended first) or HTTP_REFUSED. What the fields mean together is judged by framing.c.
 *
 * Invariants
 * P1. The first wrong byte decides. Hence a head that arrives byte by byte and one that arrives
 * whole get the same answer, and a wrong head is refused before its end is there. P2. Nothing at or
 * beyond `end` is read; `end` never lies beyond head_max, so a head without an end costs a bounded
 * look. P3. A line ends with CR LF and with nothing else; a line that begins with white space is an
 * error.
 *
 * Threads: none; pure. Memory: none; every slice points into the input or at a literal.
 *
 * Not done: resuming. A head that arrives in pieces is read again from its start: almost all heads
 * arrive whole, head_max bounds the rest, and a parser without state cannot be in a wrong one.
 */
#include "http/chars.h"
#include "http/framing.h"
#include "http/http.h"

struct parse {
    const char *at;
    const char *end;
    struct http_request *req;
    struct http_frame frame;
    struct http_refusal *ret_refusal;
};

static enum http_result refuse(struct parse *p, int status, const char *reason)
{
    return http_refuse(p->ret_refusal, status, reason);
}

static enum http_result refuse_stranger(struct parse *p, const char *reason)
{
    (void)http_refuse(p->ret_refusal, 400, reason);
    p->ret_refusal->is_stranger = true;
    return HTTP_REFUSED;
}

static enum http_result parse_line_end(struct parse *p)
{
    if (p->at == p->end) {
        return HTTP_MORE;
    }
    if (*p->at == '\n') {
        return refuse(p, 400, "a line ends with LF alone, without CR");
    }
    if (*p->at != '\r') {
        return refuse(p, 400, "a control character stands in the head");
    }
    if (p->at + 1 == p->end) {
        return HTTP_MORE;
    }
    if (p->at[1] != '\n') {
        return refuse(p, 400, "CR is not followed by LF");
    }
    p->at += 2;
    return HTTP_DONE;
}

/* --- request line -------------------------------------------------------------------------------
 */

/* Two empty lines before a request are forgiven: old clients send one after a body. */
static enum http_result parse_empty_lines(struct parse *p)
{
    for (int lines = 0; lines < 2; lines++) {
        if (p->at == p->end || *p->at != '\r') {
            return HTTP_DONE;
        }
        enum http_result r = parse_line_end(p);
        if (r != HTTP_DONE) {
            return r;
        }
    }
    return HTTP_DONE;
}

static enum http_method method_of(struct slice name)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
        [HTTP_OPTIONS] = "OPTIONS",
    };
    for (size_t i = 0; i < array_len(names); i++) {
        if (slice_is(name, names[i])) {
            return (enum http_method)i;
        }
    }
    return HTTP_OTHER;
}

static enum http_result parse_method(struct parse *p)
{
    const char *start = p->at;
    p->at = http_skip(p->at, p->end, HTTP_TOKEN);
    if (p->at == p->end) {
        return HTTP_MORE;
    }
    if (p->at == start && *p->at == 0x16) {
        return refuse_stranger(p, "this is TLS, and the port speaks plain HTTP: use http:// "
                                  "here, or let a proxy in front end TLS");
    }
    if (p->at == start) {
        return refuse(p, 400, "the request does not begin with a method");
    }
    if (*p->at != ' ') {
        return refuse(p, 400, "the method is not followed by one space");
    }
    p->req->method_name = (struct slice){start, (size_t)(p->at - start)};
    p->req->method = method_of(p->req->method_name);
    p->at++;
    return HTTP_DONE;
}

/* The byte at `at` cannot stand in a target and is no space: say why. */
static enum http_result refuse_target(struct parse *p)
{
    switch (*p->at) {
    case '\r':
    case '\n':
        return refuse(p, 400, "the request line has no HTTP version");
    case '#':
        return refuse(p, 400, "the target has a fragment ('#')");
    default:
        if (*p->at > 0x20 && *p->at < 0x7f) {
            return refuse(p, 400, "the target has a character that must be percent-encoded");
        }
        return refuse(p, 400, "the target has a control or non-ASCII byte");
    }
}

/* Path and query up to the space after the target. */
static enum http_result parse_path(struct parse *p)
{
    const char *start = p->at;
    p->at = http_skip(p->at, p->end, HTTP_PATH);
    p->req->path = (struct slice){start, (size_t)(p->at - start)};
    p->req->query = (struct slice){p->at, 0};
    if (p->at < p->end && *p->at == '?') {
        start = ++p->at;
        p->at = http_skip(p->at, p->end, HTTP_QUERY);
        p->req->query = (struct slice){start, (size_t)(p->at - start)};
    }
    if (p->at == p->end) {
        return HTTP_MORE;
    }
    return *p->at == ' ' ? HTTP_DONE : refuse_target(p);
}

/* Reads this exact text; a difference is refused with this reason as soon as it shows. */
static enum http_result parse_literal(struct parse *p, const char *text, const char *reason)
{
    for (; *text != '\0'; text++, p->at++) {
        if (p->at == p->end) {
            return HTTP_MORE;
        }
        if (*p->at != *text) {
            return refuse(p, 400, reason);
        }
    }
    return HTTP_DONE;
}

/* host[:port] up to a byte that ends it in this form of target. */
static enum http_result parse_authority(struct parse *p)
{
    const char *start = p->at;
    p->at = http_skip(p->at, p->end, HTTP_PLACE);
    if (p->at == p->end) {
        return HTTP_MORE;
    }
    p->frame.authority = (struct slice){start, (size_t)(p->at - start)};
    if (!http_is_authority(p->frame.authority)) {
        return refuse(p, 400, "the target's host is not valid");
    }
    return HTTP_DONE;
}

static enum http_result parse_absolute(struct parse *p)
{
    static const char reason[] = "the target is neither a path nor an http URL";
    enum http_result r = parse_literal(p, "http", reason);
    if (r == HTTP_DONE && p->at < p->end && *p->at == 's') {
        p->at++;
    }
    if (r == HTTP_DONE) {
        r = parse_literal(p, "://", reason);
    }
    if (r == HTTP_DONE) {
        r = parse_authority(p);
    }
    if (r != HTTP_DONE) {
        return r;
    }
    if (*p->at != '/' && *p->at != '?' && *p->at != ' ') {
        return refuse_target(p);
    }
    r = parse_path(p);
    if (r == HTTP_DONE && p->req->path.len == 0) {
        /* RFC 9112 3.2.4: OPTIONS for a URL without a path speaks of the whole server. */
        p->req->path = p->req->method == HTTP_OPTIONS ? SLICE("*") : SLICE("/");
    }
    return r;
}

static enum http_result parse_target_form(struct parse *p)
{
    struct http_request *req = p->req;
    if (slice_is(req->method_name, "CONNECT")) {
        enum http_result r = parse_authority(p);
        req->path = p->frame.authority;
        req->query = (struct slice){p->at, 0};
        return r != HTTP_DONE || *p->at == ' ' ? r : refuse_target(p);
    }
    if (*p->at == '/') {
        return parse_path(p);
    }
    if (*p->at != '*') {
        return parse_absolute(p);
    }
    if (slice_is(req->method_name, "PRI")) {
        return refuse_stranger(p, "this is HTTP/2 without being asked, and the port speaks "
                                  "HTTP/1.1: turn prior knowledge (h2c) off in the client");
    }
    if (req->method != HTTP_OPTIONS) {
        return refuse(p, 400, "only OPTIONS may have the target '*'");
    }
    req->path = (struct slice){p->at++, 1};
    req->query = (struct slice){p->at, 0};
    if (p->at == p->end) {
        return HTTP_MORE;
    }
    return *p->at == ' ' ? HTTP_DONE : refuse(p, 400, "something follows the target '*'");
}

static enum http_result parse_target(struct parse *p)
{
    if (p->at == p->end) {
        return HTTP_MORE;
    }
    if (*p->at == ' ') {
        return refuse(p, 400, "two spaces follow the method");
    }
    if (!http_is(*p->at, HTTP_PATH)) {
        return refuse_target(p);
    }
    const char *start = p->at;
    enum http_result r = parse_target_form(p);
    if (r == HTTP_DONE) {
        p->req->target = (struct slice){start, (size_t)(p->at - start)};
        p->at++;
    }
    return r;
}

static enum http_result parse_version(struct parse *p)
{
    static const char reason[] = "the request line does not end with HTTP/1.1 or HTTP/1.0";
    enum http_result r = parse_literal(p, "HTTP/", reason);
    if (r != HTTP_DONE) {
        return r;
    }
    for (int i = 0; i < 3; i++) {
        if (p->at + i == p->end) {
            return HTTP_MORE;
        }
        if (i == 1 ? p->at[i] != '.' : !http_is(p->at[i], HTTP_DIGIT)) {
            return refuse(p, 400, reason);
        }
    }
    if (p->at[0] != '1' || p->at[2] > '1') {
        return refuse(p, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
    p->req->minor = p->at[2] - '0';
    p->at += 3;
    return parse_line_end(p);
}

static enum http_result parse_request_line(struct parse *p)
{
    enum http_result r = parse_method(p);
    if (r == HTTP_DONE) {
        r = parse_target(p);
    }
    return r == HTTP_DONE ? parse_version(p) : r;
}

/* --- fields -------------------------------------------------------------------------------------
 */

static enum http_result refuse_name(struct parse *p, bool is_empty)
{
    if (*p->at == ' ' || *p->at == '\t') {
        if (!is_empty) {
            return refuse(p, 400, "white space stands before the colon of a header");
        }
        return refuse(p, 400, "a header line begins with white space");
    }
    if (is_empty && *p->at == ':') {
        return refuse(p, 400, "a header has no name");
    }
    return refuse(p, 400, "a header name has a character that it must not have");
}

static enum http_result parse_field(struct parse *p, struct http_header *ret_field)
{
    const char *start = p->at;
    p->at = http_skip(p->at, p->end, HTTP_TOKEN);
    if (p->at == p->end) {
        return HTTP_MORE;
    }
    if (*p->at != ':' || p->at == start) {
        return refuse_name(p, p->at == start);
    }
    ret_field->name = (struct slice){start, (size_t)(p->at - start)};
    p->at++;
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t')) {
        p->at++;
    }
    start = p->at;
    p->at = http_skip_text(p->at, p->end);
    const char *stop = p->at;
    while (stop > start && (stop[-1] == ' ' || stop[-1] == '\t')) {
        stop--;
    }
    ret_field->value = (struct slice){start, (size_t)(stop - start)};
    return parse_line_end(p);
}

static enum http_result parse_fields(struct parse *p)
{
    struct http_request *req = p->req;
    for (req->header_count = 0;; req->header_count++) {
        if (p->at == p->end) {
            return HTTP_MORE;
        }
        if (*p->at == '\r' || *p->at == '\n') {
            return parse_line_end(p);
        }
        if (req->header_count == HTTP_HEADERS_MAX) {
            return refuse(p, 431, "the request has more than 100 headers");
        }
        struct http_header *field = &req->header[req->header_count];
        enum http_result r = parse_field(p, field);
        if (r == HTTP_DONE) {
            r = http_frame_field(&p->frame, field, p->ret_refusal);
        }
        if (r != HTTP_DONE) {
            return r;
        }
    }
}

/* --- the head -----------------------------------------------------------------------------------
 */

/* The nearer of the input's end and `max` bytes from `from`. */
static const char *bound(const char *from, const char *end, size_t max)
{
    return (size_t)(end - from) > max ? from + max : end;
}

enum http_result http_parse_head(struct slice in, const struct http_limits *limits,
                                 struct http_request *req, struct http_refusal *ret_refusal)
{
    if (in.len == 0) {
        return HTTP_MORE;
    }
    const char *head_end = bound(in.ptr, in.ptr + in.len, limits->head_max);
    struct parse p = {.at = in.ptr, .end = head_end, .req = req, .ret_refusal = ret_refusal};

    enum http_result r = parse_empty_lines(&p);
    if (r == HTTP_DONE) {
        const char *line = p.at;
        p.end = bound(line, head_end, limits->line_max);
        r = parse_request_line(&p);
        if (r == HTTP_MORE && (size_t)(p.end - line) == limits->line_max) {
            return refuse(&p, 414, "the request line is longer than this server takes");
        }
    }
    if (r == HTTP_DONE) {
        p.end = head_end;
        r = parse_fields(&p);
    }
    if (r == HTTP_MORE && (size_t)(head_end - in.ptr) == limits->head_max) {
        return refuse(&p, 431, "the request head is larger than this server takes");
    }
    if (r == HTTP_DONE) {
        req->head_len = (size_t)(p.at - in.ptr);
        r = http_frame_finish(&p.frame, limits, req, ret_refusal);
    }
    return r;
}
