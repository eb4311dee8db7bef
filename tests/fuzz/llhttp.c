/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second opinion on HTTP messages: what llhttp in strict mode refuses, our codec refuses too.
 *
 * Linked in front of http_parse_head() and http_parse_body() (the linker's --wrap), so that every
 * message of the corpus and of the codec's own unit tests is put to both. Where ours accepts, llhttp
 * must accept, and both must see the same framing: coding, length, the byte where the body ends.
 * Where ours refuses or waits, nothing is asked: it is meant to be the stricter of the two.
 *
 * llhttp knows a fixed list of methods and ours any token, so a method that has no name of its own in
 * `enum http_method` is shown to llhttp as POST (CONNECT stays: its target has another form). A body
 * is put behind a head made for it: the head itself was judged before. One body at a time.
 *
 * A disagreement is printed and aborts.
 */
#include "base/buf.h"
#include "base/json.h"
#include "http/http.h"
#include "opinion.h"

#include <stdio.h>
#include <stdlib.h>

enum http_result __real_http_parse_head(struct slice in, const struct http_limits *limits,
                                        struct http_request *req, struct http_refusal *ret_refusal);
enum http_result __wrap_http_parse_head(struct slice in, const struct http_limits *limits,
                                        struct http_request *req, struct http_refusal *ret_refusal);
enum http_result __real_http_parse_body(struct http_body *b, const struct http_request *req,
                                        const struct http_limits *limits, struct slice in,
                                        size_t *ret_used, struct buf *out,
                                        struct http_refusal *ret_refusal);
enum http_result __wrap_http_parse_body(struct http_body *b, const struct http_request *req,
                                        const struct http_limits *limits, struct slice in,
                                        size_t *ret_used, struct buf *out,
                                        struct http_refusal *ret_refusal);

static _Noreturn void disagree(const char *what, struct slice bytes)
{
    struct buf text;
    buf_init(&text);
    json_put_string(&text, bytes);
    fprintf(stderr, "accepted here, but llhttp %s (%s)\n%.*s\n", what, opinion_reason(),
            (int)buf_len(&text), text.mem);
    abort();
}

static void judge_head(struct slice head, const struct http_request *req)
{
    struct opinion o;
    struct buf shown;
    size_t before = (size_t)(req->method_name.ptr - head.ptr);
    buf_init(&shown);
    buf_append_slice(&shown, (struct slice){head.ptr, before});
    if (req->method == HTTP_OTHER && !slice_is(req->method_name, "CONNECT")) {
        buf_append_str(&shown, "POST");
    } else {
        buf_append_slice(&shown, req->method_name);
    }
    buf_append_slice(&shown, slice_from(head, before + req->method_name.len));

    opinion_start(&o);
    if (!opinion_takes(buf_readable(&shown))) {
        disagree("refuses the head", head);
    }
    if (o.heads != 1) {
        disagree("sees no end of the head", head);
    }
    if (o.chunked != req->chunked || (!o.chunked && o.length != req->content_length)) {
        disagree("sees another framing", head);
    }
    if ((o.messages == 1) == req->has_body) {
        disagree("sees another end of the message", head);
    }
    buf_fini(&shown);
}

enum http_result __wrap_http_parse_head(struct slice in, const struct http_limits *limits,
                                        struct http_request *req, struct http_refusal *ret_refusal)
{
    enum http_result r = __real_http_parse_head(in, limits, req, ret_refusal);
    if (r == HTTP_DONE) {
        judge_head((struct slice){in.ptr, req->head_len}, req);
    }
    return r;
}

static struct opinion body; /* of the body that is being read */

static void start_body(const struct http_request *req)
{
    char head[128];
    int len = req->chunked
                  ? snprintf(head, sizeof(head),
                             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                  : snprintf(head, sizeof(head),
                             "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %llu\r\n\r\n",
                             (unsigned long long)req->content_length);
    opinion_start(&body);
    if (!opinion_takes((struct slice){head, (size_t)len})) {
        disagree("refuses our own head", slice_of(head));
    }
}

enum http_result __wrap_http_parse_body(struct http_body *b, const struct http_request *req,
                                        const struct http_limits *limits, struct slice in,
                                        size_t *ret_used, struct buf *out,
                                        struct http_refusal *ret_refusal)
{
    static const struct http_body fresh;
    if (memcmp(b, &fresh, sizeof(fresh)) == 0) {
        start_body(req);
    }
    enum http_result r = __real_http_parse_body(b, req, limits, in, ret_used, out, ret_refusal);
    if (r == HTTP_REFUSED) {
        return r;
    }
    struct slice used = {in.ptr, *ret_used};
    bool taken = used.len == 0 || opinion_takes(used);
    if (r == HTTP_MORE) { /* ours may still refuse what llhttp has refused */
        if (body.messages != 0) {
            disagree("sees the body end before", used);
        }
        return r;
    }
    if (!taken) {
        disagree("refuses the body", used);
    }
    if (body.messages != 1 || body.heads != 1) {
        disagree("sees another end of the body", used);
    }
    if (body.seen != b->seen) {
        disagree("sees other content", used);
    }
    return r;
}
