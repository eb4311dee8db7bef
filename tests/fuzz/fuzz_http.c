/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target for the HTTP codec: a connection with pipelined requests.
 *
 * The first byte chooses how the rest is cut into arrivals. The same bytes arrive whole and cut,
 * and both must give the same requests, bodies and refusal. Each accepted head is held against
 * rules that are written here a second time, plainly: lines end with CR LF, one length or one
 * coding or neither. Slices must lie in the input; the readers of values and the JSON writer run
 * over all of it.
 */
#include "base/alloc.h"
#include "base/json.h"
#include "http/http.h"

#include <stdlib.h>

/* Small, so that inputs reach every limit. */
static const struct http_limits limits = {.head_max = 512, .line_max = 128, .body_max = 128};

static void log_slice(struct buf *log, struct slice s)
{
    json_put_string(log, s);
    buf_append_u64(log, s.len);
}

static void log_request(struct buf *log, const struct http_request *req)
{
    log_slice(log, req->method_name);
    log_slice(log, req->target);
    log_slice(log, req->path);
    log_slice(log, req->query);
    log_slice(log, req->host);
    buf_printf(log, "%d %d %d %d %d %d %lu %lu\n", (int)req->method, req->minor, req->keep_alive,
               req->expect_continue, req->has_body, req->chunked,
               (unsigned long)req->content_length, (unsigned long)req->head_len);
    for (uint32_t i = 0; i < req->header_count; i++) {
        log_slice(log, req->header[i].name);
        log_slice(log, req->header[i].value);
    }
}

static bool lies_in(struct slice s, struct slice in)
{
    return s.len == 0 || (s.ptr >= in.ptr && s.ptr + s.len <= in.ptr + in.len);
}

static void check_bytes(struct slice head)
{
    for (size_t i = 0; i < head.len; i++) {
        unsigned char c = (unsigned char)head.ptr[i];
        if (c == '\r') {
            check(i + 1 < head.len && head.ptr[i + 1] == '\n');
        } else if (c == '\n') {
            check(i > 0 && head.ptr[i - 1] == '\r');
            check(i + 1 == head.len || (head.ptr[i + 1] != ' ' && head.ptr[i + 1] != '\t'));
        } else {
            check((c >= ' ' || c == '\t') && c != 0x7f);
        }
    }
    check(head.len >= 4 && memcmp(head.ptr + head.len - 4, "\r\n\r\n", 4) == 0);
}

static void check_request(const struct http_request *req, struct slice in)
{
    check(req->head_len <= in.len && req->head_len <= limits.head_max);
    struct slice head = {in.ptr, req->head_len};
    check_bytes(head);
    check(lies_in(req->method_name, head) && lies_in(req->target, head) &&
          lies_in(req->host, head));
    check(lies_in(req->query, head) && req->path.len > 0);
    check(req->minor == 0 || req->minor == 1);
    check(req->header_count <= HTTP_HEADERS_MAX);
    int hosts = 0;
    int lengths = 0;
    int codings = 0;
    for (uint32_t i = 0; i < req->header_count; i++) {
        check(lies_in(req->header[i].name, head) && lies_in(req->header[i].value, head));
        check(req->header[i].name.len > 0);
        hosts += slice_is_nocase(req->header[i].name, "Host");
        lengths += slice_is_nocase(req->header[i].name, "Content-Length");
        codings += slice_is_nocase(req->header[i].name, "Transfer-Encoding");
    }
    check(hosts <= 1 && lengths + codings <= 1 && req->chunked == (codings == 1));
    check(hosts == 1 || req->minor == 0);
    check(!req->chunked || req->minor == 1);
    check(req->has_body == (req->chunked || req->content_length > 0));
    check(!req->has_body || (req->method != HTTP_GET && req->method != HTTP_HEAD));
    check(req->content_length <= limits.body_max);
}

/* Nothing to compare: these must only stay inside their bytes. */
static void read_values(const struct http_request *req)
{
    struct buf out;
    buf_init(&out);
    struct slice rest = req->query;
    struct slice name;
    struct slice value;
    while (http_query_next(&rest, &name, &value)) {
        (void)http_percent_decode(name, true, &out);
        (void)http_percent_decode(value, false, &out);
        check(buf_sane(&out));
    }
    (void)http_cookie_get(req, "sessionid");
    for (uint32_t i = 0; i < req->header_count; i++) {
        (void)http_list_has(req->header[i].value, "no-cache");
        (void)http_etag_matches(req->header[i].value, SLICE("\"a\""));
        http_put_header(&out, "X", req->header[i].value);
    }
    buf_fini(&out);
}

struct connection {
    struct http_request req;
    struct http_body body;
    struct buf content;
    struct buf log;
    bool in_body;
};

/* One step on these unconsumed bytes; `ret_used` of them are done with. */
static enum http_result turn(struct connection *c, struct slice in, size_t *ret_used)
{
    struct http_refusal refusal = {.status = 0};
    enum http_result r;
    *ret_used = 0;
    if (!c->in_body) {
        r = http_parse_head(in, &limits, &c->req, &refusal);
        if (r == HTTP_DONE) {
            check_request(&c->req, in);
            read_values(&c->req);
            log_request(&c->log, &c->req);
            *ret_used = c->req.head_len;
            c->body = (struct http_body){0};
            c->in_body = true;
        }
    } else {
        r = http_parse_body(&c->body, &c->req, &limits, in, ret_used, &c->content, &refusal);
        check(*ret_used <= in.len && c->body.seen <= limits.body_max);
        if (r == HTTP_DONE) {
            check(c->body.seen == buf_len(&c->content));
            log_slice(&c->log, buf_readable(&c->content));
            buf_clear(&c->content);
            c->in_body = false;
        }
    }
    if (r == HTTP_REFUSED) {
        check(refusal.status >= 400 && refusal.reason != NULL);
        buf_printf(&c->log, "%d %s\n", refusal.status, refusal.reason);
    }
    return r;
}

/* The bytes arrive `step` at a time; returns how the connection stands after the last. */
static enum http_result run(struct slice in, size_t step, struct buf *ret_log)
{
    struct connection c = {.in_body = false};
    (void)buf_reserve(&c.content, 1); /* so that it is readable before it has content */
    enum http_result r = HTTP_MORE;
    size_t start = 0;
    for (size_t end = 0; end < in.len && r != HTTP_REFUSED;) {
        end = in.len - end > step ? end + step : in.len;
        do {
            size_t len = end - start;
            char *copy = xmalloc(len > 0 ? len : 1); /* exact, so that a read past the end shows */
            memcpy(copy, in.ptr + start, len);
            size_t used;
            r = turn(&c, (struct slice){copy, len}, &used);
            start += used;
            free(copy);
        } while (r == HTTP_DONE && start < end);
    }
    buf_fini(&c.content);
    *ret_log = c.log;
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct slice in = {(const char *)data + 1, size - 1};
    struct buf whole;
    struct buf split;
    enum http_result a = run(in, in.len, &whole);
    enum http_result b = run(in, (size_t)data[0] % 16 + 1, &split);
    check((a == HTTP_REFUSED) == (b == HTTP_REFUSED));
    check(buf_len(&whole) == buf_len(&split));
    check(buf_len(&whole) == 0 || memcmp(whole.mem, split.mem, buf_len(&whole)) == 0);
    buf_fini(&whole);
    buf_fini(&split);
    return 0;
}
