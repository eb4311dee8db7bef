/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * floor: what a server costs that does nothing. It reads, looks for the end of each request, and sends the
 * same bytes for each. Whatever a real server spends above this, it spends on parsing, looking up,
 * judging and composing; below it nobody gets with epoll, read() and send().
 *
 *     floor PORT WORKERS END REPLY
 *
 * END is the text that a request ends with ("\r\n\r\n" as a shell's $'...'), or any text that each
 * request has exactly once ("*" for the Redis protocol); REPLY is a file. Each worker is a process with
 * its own listening socket on the port (SO_REUSEPORT); all end with their parent.
 *
 * A turn costs one epoll_wait() for all ready connections, and one read() and one send() for each. The
 * replies to a pipeline leave in one send(): `replies` holds many of them, one behind the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_SIZE = 65536, BATCH = 128, REPLIES = 512 };

/* A connection. `matched` bytes of the end were the last that came; `owed` replies did not fit the
 * socket, the first of them from `sent` on. */
struct peer {
    int fd;
    size_t matched;
    size_t owed;
    size_t sent;
    bool waits_for_room;
};

static struct {
    const char *end;
    size_t end_len;
    char *replies;
    size_t reply_len;
} serves;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void load_reply(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fail(path);
    }
    long len = ftell(file);
    rewind(file);
    if (len <= 0 || (serves.replies = malloc((size_t)len * REPLIES)) == NULL ||
        fread(serves.replies, 1, (size_t)len, file) != (size_t)len) {
        fail(path);
    }
    serves.reply_len = (size_t)len;
    for (size_t i = 1; i < REPLIES; i++) {
        memcpy(serves.replies + i * serves.reply_len, serves.replies, serves.reply_len);
    }
    (void)fclose(file);
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(port),
                               .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0 ||
        bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 512) != 0) {
        fail("listen");
    }
    return fd;
}

static void accept_one(int epoll, int listener)
{
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct peer *p = fd >= 0 ? calloc(1, sizeof(*p)) : NULL;
    if (p == NULL) {
        return;
    }
    p->fd = fd;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        fail("epoll_ctl");
    }
}

static size_t count_requests(struct peer *p, const char *at, size_t len)
{
    const char *stop = at + len;
    size_t found = 0;
    while (at < stop) {
        if (p->matched == 0) {
            at = memchr(at, serves.end[0], (size_t)(stop - at));
            if (at == NULL) {
                break;
            }
        }
        p->matched = *at == serves.end[p->matched] ? p->matched + 1 : *at == serves.end[0];
        at++;
        if (p->matched == serves.end_len) {
            p->matched = 0;
            found++;
        }
    }
    return found;
}

/* False when the peer is gone. */
static bool send_owed(int epoll, struct peer *p)
{
    while (p->owed > 0) {
        size_t replies = p->owed < REPLIES ? p->owed : REPLIES;
        ssize_t put = send(p->fd, serves.replies + p->sent, replies * serves.reply_len - p->sent,
                           MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN) {
            return false;
        }
        if (put < 0) {
            break;
        }
        p->owed -= (p->sent + (size_t)put) / serves.reply_len;
        p->sent = (p->sent + (size_t)put) % serves.reply_len;
    }
    if (p->waits_for_room != (p->owed > 0)) {
        p->waits_for_room = p->owed > 0;
        struct epoll_event ev = {.events = EPOLLIN | (p->owed > 0 ? EPOLLOUT : 0U), .data.ptr = p};
        (void)epoll_ctl(epoll, EPOLL_CTL_MOD, p->fd, &ev);
    }
    return true;
}

/* False when the peer is gone. */
static bool serve(int epoll, struct peer *p, uint32_t events)
{
    static char in[READ_SIZE];
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        ssize_t got = read(p->fd, in, sizeof(in));
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            return false;
        }
        p->owed += got > 0 ? count_requests(p, in, (size_t)got) : 0;
    }
    return send_owed(epoll, p);
}

static void work(uint16_t port)
{
    struct epoll_event ready[BATCH];
    int listener = listen_on(port);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev) != 0) {
        fail("epoll");
    }
    for (;;) {
        int count = epoll_wait(epoll, ready, BATCH, -1);
        for (int i = 0; i < count; i++) {
            struct peer *p = ready[i].data.ptr;
            if (p == NULL) {
                accept_one(epoll, listener);
            } else if (!serve(epoll, p, ready[i].events)) {
                (void)close(p->fd);
                free(p);
            }
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        (void)fprintf(stderr, "usage: floor PORT WORKERS END REPLY\n");
        return 2;
    }
    uint16_t port = (uint16_t)atoi(argv[1]);
    int workers = atoi(argv[2]);
    serves.end = argv[3];
    serves.end_len = strlen(argv[3]);
    if (serves.end_len == 0) {
        (void)fprintf(stderr, "floor: END is empty\n");
        return 2;
    }
    load_reply(argv[4]);
    for (int i = 1; i < workers; i++) {
        if (fork() == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
            break;
        }
    }
    work(port);
    return 0;
}
