/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions to a running daemon: HTTP/1.1 over its admin listener, blocking, one connection for as
 * many as are asked.
 *
 * The policy file says where the daemon listens and with which password, so nothing has to be told
 * twice. Only what this server writes is understood (Content-Length; no chunks, no redirects).
 *
 * Threads: none shared.
 */
#include "cli/ask.h"

#include "base/alloc.h"
#include "cli/verbs.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

const struct policy *ask_policy(const char *file)
{
    const struct policy *p = cli_policy(file);
    if (p == NULL) {
        (void)fprintf(stderr, "freshet: say with -c FILE which policy the daemon runs\n");
    } else if (p->listen.admin_count == 0) {
        (void)fprintf(
            stderr,
            "freshet: %s has no admin listener; add `admin: \"127.0.0.1:9180\"` to `listen`\n",
            file);
        policy_unload(&p);
    }
    return p;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(addr.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static int connect_tcp(const char *address)
{
    const char *colon = strrchr(address, ':');
    char *host = xstrndup(address, (size_t)(colon - address));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int fd = -1;
    /* An address that listens everywhere is reached on loopback. */
    bool any = host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0;
    int rc = getaddrinfo(any ? "127.0.0.1" : host, colon + 1, &hints, &found);
    free(host);
    for (const struct addrinfo *ai = rc == 0 ? found : NULL; ai != NULL && fd < 0;
         ai = ai->ai_next) {
        fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    if (rc == 0) {
        freeaddrinfo(found);
    }
    return fd;
}

/* --- one question, one answer -------------------------------------------------------------------- */

struct ask {
    const struct policy *policy;
    int fd;
};

static bool send_all(int fd, struct buf *request)
{
    while (buf_len(request) > 0) {
        ssize_t put = send(fd, buf_readable(request).ptr, buf_len(request), MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        buf_consume(request, (size_t)put);
    }
    return true;
}

/* Bytes that the whole answer has, SIZE_MAX while its head is not complete. */
static size_t answer_size(struct slice got, size_t *ret_head)
{
    static const char length[] = "\r\nContent-Length: ";
    const char *end = got.len > 0 ? memmem(got.ptr, got.len, "\r\n\r\n", 4) : NULL;
    if (end == NULL) {
        return SIZE_MAX;
    }
    *ret_head = (size_t)(end - got.ptr) + 4;
    const char *at = memmem(got.ptr, *ret_head, length, sizeof(length) - 1);
    return *ret_head + (at != NULL ? strtoul(at + sizeof(length) - 1, NULL, 10) : 0);
}

static bool receive(int fd, struct buf *answer, size_t *ret_head)
{
    while (buf_len(answer) < answer_size(buf_readable(answer), ret_head)) {
        char *room = buf_reserve(answer, 65536);
        ssize_t got = read(fd, room, 65536);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        buf_commit(answer, (size_t)got);
    }
    return true;
}

struct ask *ask_open(const struct policy *p)
{
    const char *address = p->listen.admin[0].text;
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    int fd = is_unix ? connect_unix(address + 5) : connect_tcp(address);
    if (fd < 0) {
        (void)fprintf(stderr,
                      "freshet: no daemon answers on %s (%s); start it with `freshet serve %s`\n",
                      address, strerror(errno), p->file);
        return NULL;
    }
    struct timeval limit = {.tv_sec = 10};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    struct ask *a = xcalloc(1, sizeof(*a));
    a->policy = p;
    a->fd = fd;
    return a;
}

void ask_close(struct ask **ap)
{
    struct ask *a = *ap;
    *ap = NULL;
    if (a != NULL) {
        (void)close(a->fd);
        free(a);
    }
}

bool ask_get(struct ask *a, const char *path, struct buf *ret_answer)
{
    struct buf request;
    struct buf answer;
    size_t head = 0;
    buf_init(&request);
    buf_init(&answer);
    buf_printf(&request, "GET %s HTTP/1.1\r\nHost: freshet\r\n", path);
    if (a->policy->auth.password != NULL) {
        buf_printf(&request, "Authorization: Bearer %s\r\n", a->policy->auth.password);
    }
    buf_append_str(&request, "\r\n");
    bool ok = send_all(a->fd, &request) && receive(a->fd, &answer, &head);
    struct slice all = buf_readable(&answer);
    if (!ok) {
        (void)fprintf(stderr, "freshet: %s: no complete answer\n", a->policy->listen.admin[0].text);
    } else {
        struct slice body = slice_from(all, head);
        ok = all.len > 12 && memcmp(all.ptr + 9, "200", 3) == 0;
        if (ok) {
            buf_append_slice(ret_answer, body);
        } else {
            (void)fwrite(body.ptr, 1, body.len, stderr);
        }
    }
    buf_fini(&request);
    buf_fini(&answer);
    return ok;
}

void ask_put_encoded(struct buf *path, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (isalnum(*p) || strchr("-._~/", *p) != NULL) {
            buf_append_char(path, (char)*p);
        } else {
            buf_printf(path, "%%%02X", *p);
        }
    }
}

bool ask_daemon(const struct policy *p, const char *path, const char *target,
                struct buf *ret_answer)
{
    struct buf whole;
    buf_init(&whole);
    buf_printf(&whole, "%s%s", path, target != NULL ? "?target=" : "");
    ask_put_encoded(&whole, target != NULL ? target : "");
    buf_append_char(&whole, '\0');
    struct ask *a = ask_open(p);
    bool ok = a != NULL && ask_get(a, buf_readable(&whole).ptr, ret_answer);
    ask_close(&a);
    buf_fini(&whole);
    return ok;
}
