/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One message, offered twice: whole, and growing by one byte. Both must end alike. Every offer is a
 * heap copy of exactly its size, so that a sanitizer sees a read past the end.
 */
#ifndef HTTP_CASE_H
#define HTTP_CASE_H

#include "base/alloc.h"
#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct http_limits case_limits = {
    .head_max = 16384, .line_max = 8192, .body_max = 4096};

struct http_case {
    struct http_request req;
    struct http_refusal refusal;
    char *mem; /* what the slices of `req` point into */
};

static inline enum http_result case_parse(struct http_case *c, struct slice in,
                                          const struct http_limits *limits)
{
    c->mem = xmalloc(in.len > 0 ? in.len : 1);
    memcpy(c->mem, in.ptr, in.len);
    c->refusal = (struct http_refusal){.status = 0};
    return http_parse_head((struct slice){c->mem, in.len}, limits, &c->req, &c->refusal);
}

static inline void case_free(struct http_case *c)
{
    free(c->mem);
}

static inline void assert_slice(struct slice got, const char *want)
{
    if (!slice_is(got, want)) {
        fail_msg("got '%.*s', want '%s'", (int)got.len, got.ptr != NULL ? got.ptr : "", want);
    }
}

static inline void assert_same(const struct http_case *a, const struct http_case *b)
{
    const struct http_request *x = &a->req;
    const struct http_request *y = &b->req;
    assert_int_equal(x->method, y->method);
    assert_true(slice_eq(x->method_name, y->method_name));
    assert_true(slice_eq(x->target, y->target));
    assert_true(slice_eq(x->path, y->path));
    assert_true(slice_eq(x->query, y->query));
    assert_true(slice_eq(x->host, y->host));
    assert_int_equal(x->minor, y->minor);
    assert_int_equal(x->keep_alive, y->keep_alive);
    assert_int_equal(x->expect_continue, y->expect_continue);
    assert_int_equal(x->has_body, y->has_body);
    assert_int_equal(x->chunked, y->chunked);
    assert_int_equal(x->content_length, y->content_length);
    assert_int_equal(x->head_len, y->head_len);
    assert_int_equal(x->header_count, y->header_count);
    for (uint32_t i = 0; i < x->header_count; i++) {
        assert_true(slice_eq(x->header[i].name, y->header[i].name));
        assert_true(slice_eq(x->header[i].value, y->header[i].value));
    }
}

/* The whole message, then every longer piece of it until one has an answer. */
static inline enum http_result case_run_limits(struct http_case *c, struct slice in,
                                               const struct http_limits *limits)
{
    enum http_result whole = case_parse(c, in, limits);
    enum http_result piece = HTTP_MORE;
    for (size_t len = 0; len <= in.len && piece == HTTP_MORE; len++) {
        static struct http_case part;
        piece = case_parse(&part, (struct slice){in.ptr, len}, limits);
        if (piece == HTTP_DONE && whole == HTTP_DONE) {
            assert_same(c, &part);
            assert_int_equal(len, c->req.head_len);
        }
        if (piece == HTTP_REFUSED) {
            assert_int_equal(part.refusal.status, c->refusal.status);
            assert_ptr_equal(part.refusal.reason, c->refusal.reason);
        }
        case_free(&part);
    }
    assert_int_equal(piece, whole);
    return whole;
}

static inline void expect_done(struct http_case *c, struct slice in)
{
    if (case_run_limits(c, in, &case_limits) != HTTP_DONE) {
        fail_msg("not accepted: %s",
                 c->refusal.reason != NULL ? c->refusal.reason : "(incomplete)");
    }
}

static inline void expect_more(struct slice in)
{
    static struct http_case c;
    assert_int_equal(case_run_limits(&c, in, &case_limits), HTTP_MORE);
    case_free(&c);
}

/* Refused with this status, for a reason that has these words. */
static inline void expect_refused_limits(struct slice in, const struct http_limits *limits,
                                         int status, const char *words)
{
    static struct http_case c;
    if (case_run_limits(&c, in, limits) != HTTP_REFUSED) {
        fail_msg("not refused: '%.*s'", (int)in.len, in.ptr);
    }
    if (c.refusal.status != status || strstr(c.refusal.reason, words) == NULL) {
        fail_msg("'%.*s' refused with %d '%s', want %d '%s'", (int)in.len, in.ptr, c.refusal.status,
                 c.refusal.reason, status, words);
    }
    case_free(&c);
}

static inline void expect_refused(struct slice in, int status, const char *words)
{
    expect_refused_limits(in, &case_limits, status, words);
}

/* A request with these header lines (each with its CRLF) beside Host. */
static inline void expect_fields_refused(const char *method, struct slice fields, int status,
                                         const char *words)
{
    struct buf b;
    buf_init(&b);
    buf_append_str(&b, method);
    buf_append_str(&b, " /x HTTP/1.1\r\nHost: a.test\r\n");
    buf_append_slice(&b, fields);
    buf_append_str(&b, "\r\n");
    expect_refused(buf_readable(&b), status, words);
    buf_fini(&b);
}

/* Refused with `status` as soon as byte `at` is there, and not before. */
static inline void expect_refused_at(struct slice in, size_t at)
{
    static struct http_case c;
    assert_int_equal(case_parse(&c, (struct slice){in.ptr, at}, &case_limits), HTTP_MORE);
    case_free(&c);
    assert_int_equal(case_parse(&c, (struct slice){in.ptr, at + 1}, &case_limits), HTTP_REFUSED);
    case_free(&c);
}

#endif
