/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Client connections (see wire.h).
 *
 * Answers are parsed where they lie in the input buffer; the slices handed out stay valid until the next
 * call, because the bytes are consumed only then. The parsers know the answers that freshet gives to the
 * checker's requests and refuse everything else.
 */
#include "verify/wire.h"

#include "base/number.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { TIMEOUT_S = 30, READ_SIZE = 16384 };

/* --- connecting ----------------------------------------------------------------------------------- */

static int connect_unix(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int connect_tcp(const char *address)
{
    const char *colon = strrchr(address, ':');
    char host[128];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int fd = -1;
    int one = 1;
    if (colon == NULL || (size_t)(colon - address) >= sizeof(host)) {
        errno = EINVAL;
        return -1;
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        errno = EHOSTUNREACH;
        return -1;
    }
    for (const struct addrinfo *ai = found; ai != NULL && fd < 0; ai = ai->ai_next) {
        fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    return fd;
}

bool wire_open(struct wire *w, struct run *r, const char *address)
{
    struct timeval limit = {.tv_sec = TIMEOUT_S};
    *w = (struct wire){.run = r};
    buf_init(&w->in);
    buf_init(&w->out);
    bool local = strncmp(address, "unix:", 5) == 0;
    w->fd = local ? connect_unix(address + 5) : connect_tcp(address);
    if (w->fd < 0) {
        run_fail(r, "no daemon answers on %s: %s", address, strerror(errno));
        return false;
    }
    (void)setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return true;
}

void wire_close(struct wire *w)
{
    if (w->fd >= 0) {
        (void)close(w->fd);
        w->fd = -1;
    }
    buf_fini(&w->in);
    buf_fini(&w->out);
}

/* --- bytes ---------------------------------------------------------------------------------------- */

static bool flush(struct wire *w)
{
    while (buf_len(&w->out) > 0) {
        ssize_t put = send(w->fd, buf_readable(&w->out).ptr, buf_len(&w->out), MSG_NOSIGNAL);
        if (put <= 0) {
            run_fail(w->run, "freshet closed a connection: %s", strerror(errno));
            return false;
        }
        buf_consume(&w->out, (size_t)put);
    }
    return true;
}

static bool more(struct wire *w)
{
    char *room = buf_reserve(&w->in, READ_SIZE);
    ssize_t got;
    do {
        got = recv(w->fd, room, READ_SIZE, 0);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        run_fail(w->run, "%s",
                 got == 0          ? "freshet closed a connection"
                 : errno == EAGAIN ? "freshet did not answer for 30 s"
                                   : strerror(errno));
        return false;
    }
    buf_commit(&w->in, (size_t)got);
    return true;
}

static void release_last(struct wire *w)
{
    buf_consume(&w->in, w->taken);
    w->taken = 0;
}

static bool nonsense(struct wire *w, const char *what)
{
    struct slice in = buf_readable(&w->in);
    run_fail(w->run, "%s: \"%.*s\"", what, (int)(in.len < 120 ? in.len : 120), in.ptr);
    return false;
}

/* --- HTTP --------------------------------------------------------------------------------------- */

bool http_get(struct wire *w, const char *path, const char *field, struct slice value)
{
    buf_printf(&w->out, "GET %s HTTP/1.1\r\nHost: verify\r\n", path);
    if (field != NULL) {
        buf_printf(&w->out, "%s: %.*s\r\n", field, (int)value.len, value.ptr);
    }
    buf_append_str(&w->out, "\r\n");
    return flush(w);
}

bool http_post(struct wire *w, const char *path, const char *json)
{
    buf_printf(&w->out,
               "POST %s HTTP/1.1\r\nHost: verify\r\nContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n\r\n%s",
               path, strlen(json), json);
    return flush(w);
}

static bool contains(struct slice text, const char *word)
{
    return text.len > 0 && memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

/* Header fields from `head` (after the status line) that the checker wants. */
static bool read_fields(struct slice head, struct http_reply *reply, uint64_t *ret_length)
{
    bool sized = false;
    while (head.len > 0) {
        const char *end = memmem(head.ptr, head.len, "\r\n", 2);
        size_t len = end != NULL ? (size_t)(end - head.ptr) : head.len;
        const char *colon = memchr(head.ptr, ':', len);
        if (colon != NULL) {
            struct slice name = {head.ptr, (size_t)(colon - head.ptr)};
            struct slice value = {colon + 1, len - name.len - 1};
            while (value.len > 0 && value.ptr[0] == ' ') {
                value = slice_from(value, 1);
            }
            if (slice_is_nocase(name, "Content-Length")) {
                sized = number_parse_u64(value, ret_length);
            } else if (slice_is_nocase(name, "Cache-Status")) {
                reply->cache_status = value;
            } else if (slice_is_nocase(name, "Freshet-Position")) {
                reply->position = value;
            } else if (slice_is_nocase(name, "ETag")) {
                reply->etag = value;
            }
        }
        head = slice_from(head, end != NULL ? len + 2 : len);
    }
    return sized;
}

static void read_cache_status(struct http_reply *reply)
{
    struct slice s = reply->cache_status;
    reply->hit = contains(s, "; hit");
    reply->joined = contains(s, "collapsed");
    reply->bypassed = contains(s, "bypass");
    /* A plain "fwd=miss" never came to the lookup: the route was not kept at that time. */
    reply->caught_up =
        !reply->bypassed && (reply->hit || contains(s, "fwd=uri-miss") || contains(s, "fwd=stale"));
}

bool http_receive(struct wire *w, struct http_reply *ret_reply)
{
    struct http_reply reply = {0};
    uint64_t length = 0;
    const char *end;
    release_last(w);
    while ((end = buf_len(&w->in) > 0
                      ? memmem(buf_readable(&w->in).ptr, buf_len(&w->in), "\r\n\r\n", 4)
                      : NULL) == NULL) {
        if (!more(w)) {
            return false;
        }
    }
    size_t head_len = (size_t)(end - buf_readable(&w->in).ptr);
    for (;;) { /* `in` may move while the body comes */
        struct slice in = buf_readable(&w->in);
        const char *line_end = memmem(in.ptr, in.len, "\r\n", 2);
        struct slice fields = {line_end, head_len - (size_t)(line_end - in.ptr)};
        if (in.len < 12 || memcmp(in.ptr, "HTTP/1.1 ", 9) != 0 ||
            (!read_fields(fields, &reply, &length) && memcmp(in.ptr + 9, "304", 3) != 0)) {
            return nonsense(w, "this is no HTTP answer");
        }
        if (in.len >= head_len + 4 + length) {
            reply.status = (int)strtol(in.ptr + 9, NULL, 10);
            reply.body = (struct slice){in.ptr + head_len + 4, length};
            break;
        }
        if (!more(w)) {
            return false;
        }
    }
    w->taken = head_len + 4 + length;
    read_cache_status(&reply);
    *ret_reply = reply;
    return true;
}

/* --- Redis protocol ------------------------------------------------------------------------------ */

bool resp_send(struct wire *w, uint32_t count, const struct slice *words)
{
    buf_printf(&w->out, "*%u\r\n", count);
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(&w->out, "$%zu\r\n", words[i].len);
        buf_append_slice(&w->out, words[i]);
        buf_append_str(&w->out, "\r\n");
    }
    return flush(w);
}

struct element {
    char kind;
    struct slice text;
};

/* One element of `in` from *at on; 0: more bytes are needed, -1: nonsense. */
static int take_element(struct slice in, size_t *at, struct element *ret_e)
{
    struct slice rest = slice_from(in, *at);
    const char *end = rest.len > 0 ? memmem(rest.ptr, rest.len, "\r\n", 2) : NULL;
    if (end == NULL) {
        return 0;
    }
    struct slice line = {rest.ptr + 1, (size_t)(end - rest.ptr) - 1};
    size_t used = line.len + 3;
    int64_t size = 0;
    *ret_e = (struct element){rest.ptr[0], line};
    if (rest.ptr[0] == '$' || rest.ptr[0] == '*') {
        if (!number_parse_i64(line, &size)) {
            return -1;
        }
        if (size < 0) {
            *ret_e = (struct element){'_', {NULL, 0}};
        } else if (rest.ptr[0] == '$') {
            if (rest.len < used + (size_t)size + 2) {
                return 0;
            }
            ret_e->text = (struct slice){rest.ptr + used, (size_t)size};
            used += (size_t)size + 2;
        }
    }
    *at += used;
    return 1;
}

/* A whole reply: one element, or an array of two. */
static int take_reply(struct slice in, size_t *ret_used, struct resp_reply *ret_reply)
{
    struct element first;
    struct element second = {0};
    size_t at = 0;
    int rc = take_element(in, &at, &first);
    if (rc == 1 && first.kind == '*') {
        if (!slice_is(first.text, "2")) {
            return -1;
        }
        rc = take_element(in, &at, &first);
        if (rc == 1) {
            rc = take_element(in, &at, &second);
        }
    }
    if (rc == 1) {
        *ret_used = at;
        *ret_reply = (struct resp_reply){first.kind, first.text, second.text};
    }
    return rc;
}

bool resp_receive(struct wire *w, struct resp_reply *ret_reply)
{
    release_last(w);
    for (;;) {
        int rc = buf_len(&w->in) > 0 ? take_reply(buf_readable(&w->in), &w->taken, ret_reply) : 0;
        if (rc == 1) {
            return true;
        }
        if (rc < 0) {
            return nonsense(w, "this is no Redis reply");
        }
        if (!more(w)) {
            return false;
        }
    }
}

bool resp_ask(struct wire *w, uint32_t count, const struct slice *words,
              struct resp_reply *ret_reply)
{
    if (!resp_send(w, count, words) || !resp_receive(w, ret_reply)) {
        return false;
    }
    if (ret_reply->kind == '-') {
        run_fail(w->run, "%.*s was refused: %.*s", (int)words[0].len, words[0].ptr,
                 (int)ret_reply->text.len, ret_reply->text.ptr);
        return false;
    }
    return true;
}
