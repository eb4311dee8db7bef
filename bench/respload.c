/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * respload: asks a server that speaks the Redis protocol, in ways that redis-benchmark does not have.
 *
 *     respload load PORT CONNECTIONS PIPELINE REQUESTS KEYS RATE FILE
 *     respload fanout PORT SUBSCRIBERS MESSAGES BYTES
 *     respload pop PORT WAITING POPS
 *
 * A FILE that does not begin with '*' is one command of memcached's meta protocol.
 *
 * load: FILE holds one request as bytes, several commands if wanted (MULTI .. EXEC); each run of twelve
 * '#' becomes a random number below KEYS. PIPELINE requests are under way on each connection. RATE 0: the
 * next is sent when one has been answered; else RATE requests a second over all connections, and a time
 * counts from when the request was due, sent or not, so that a stalled server cannot hide (coordinated
 * omission). fanout: one publisher, every message to all subscribers. pop: WAITING connections are blocked
 * in BLPOP, one pushes; a time is from before the push until the popped element has come.
 *
 * Output: "requests per second, p50, p99, p99.9, max", times in microseconds, separated by spaces.
 *
 * Threads: one.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HOLES_MAX = 64,
    HOLE = 12,
    BUCKETS = 4096,
    PIPELINE_MAX = 1024,
    READ = 64 * 1024,
    READY = 256
};

struct link {
    int fd;
    struct buf in;
    struct buf out;                 /* requests of one turn, sent together */
    uint64_t sent_us[PIPELINE_MAX]; /* a ring: of the requests under way */
    uint32_t first;
    uint32_t under_way;
    uint32_t replies; /* of the oldest request, so far */
};

static struct {
    uint16_t port;
    int epoll;
    struct link *links;
    uint32_t count;
    uint32_t *times_us; /* one for each request */
    uint64_t done;
    uint64_t random;
} all = {.random = 88172645463325252U};

static void die(const char *what)
{
    fprintf(stderr, "respload: %s: %s\n", what, errno != 0 ? strerror(errno) : "?");
    exit(1);
}

static uint64_t draw(void)
{
    all.random ^= all.random << 13;
    all.random ^= all.random >> 7;
    all.random ^= all.random << 17;
    return all.random;
}

/* --- the wire ------------------------------------------------------------------------------------- */

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(all.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        die("connect");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void dial_all(uint32_t count)
{
    all.epoll = epoll_create1(EPOLL_CLOEXEC);
    all.links = xcalloc(count, sizeof(*all.links));
    all.count = count;
    for (uint32_t i = 0; i < count; i++) {
        all.links[i].fd = dial();
        struct epoll_event want = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(all.epoll, EPOLL_CTL_ADD, all.links[i].fd, &want) != 0) {
            die("epoll_ctl");
        }
    }
}

static void put(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0) {
            die("send");
        }
        bytes = slice_from(bytes, (size_t)n);
    }
}

static void put_str(int fd, const char *text)
{
    put(fd, (struct slice){text, strlen(text)});
}

/* Bytes of the first whole reply in `in`; 0: not whole yet. An error ends the measurement. */
static size_t reply_len(struct slice in)
{
    const char *end = in.len > 0 ? memchr(in.ptr, '\n', in.len) : NULL;
    if (end == NULL) {
        return 0;
    }
    size_t len = (size_t)(end - in.ptr) + 1;
    if (in.ptr[0] == '-') {
        fprintf(stderr, "respload: the server says: %.*s\n", (int)len - 2, in.ptr);
        exit(1);
    }
    bool is_meta = in.ptr[0] == 'V'; /* memcached's "VA 100" */
    long n = strtol(in.ptr + (is_meta ? 3 : 1), NULL, 10);
    if (in.ptr[0] == '$' || is_meta) {
        size_t whole = n < 0 ? len : len + (size_t)n + 2;
        return whole <= in.len ? whole : 0;
    }
    if (in.ptr[0] != '*') {
        return len;
    }
    for (long i = 0; i < n; i++) {
        size_t part = reply_len(slice_from(in, len));
        if (part == 0) {
            return 0;
        }
        len += part;
    }
    return len;
}

static void take_bytes(struct link *l)
{
    char *room = buf_reserve(&l->in, READ);
    ssize_t n = recv(l->fd, room, READ, 0);
    if (n <= 0) {
        die("recv");
    }
    buf_commit(&l->in, (size_t)n);
}

/* True when a reply was there, and is gone. */
static bool take_reply(struct link *l)
{
    size_t len = reply_len(buf_readable(&l->in));
    buf_consume(&l->in, len);
    return len > 0;
}

static void wait_replies(struct link *l, uint32_t count)
{
    while (count > 0) {
        if (take_reply(l)) {
            count--;
        } else {
            take_bytes(l);
        }
    }
}

/* --- what came out -------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(uint64_t began_us)
{
    double seconds = (double)(clock_now_us() - began_us) / 1e6;
    uint64_t n = all.done;
    qsort(all.times_us, n, sizeof(*all.times_us), by_value);
    printf("%.0f %u %u %u %u\n", (double)n / seconds, all.times_us[n / 2],
           all.times_us[n * 99 / 100], all.times_us[n * 999 / 1000], all.times_us[n - 1]);
}

/* --- load ----------------------------------------------------------------------------------------- */

static struct {
    char *bytes;
    size_t len;
    size_t holes[HOLES_MAX];
    uint32_t hole_count;
    uint32_t commands; /* replies that one request brings */
    uint64_t keys;
    uint32_t pipeline;
    uint64_t total;
    uint64_t sent;
    double us_each; /* between two due times; 0: as fast as answers come */
    uint64_t began_us;
} load;

/* One reply comes for each; a command of memcached's brings one as well. */
static uint32_t count_commands(struct slice rest)
{
    uint32_t commands = 0;
    while (rest.len > 0 && rest.ptr[0] == '*') {
        long words = strtol(rest.ptr + 1, NULL, 10);
        rest = slice_from(rest, (size_t)((char *)memchr(rest.ptr, '\n', rest.len) - rest.ptr) + 1);
        for (long i = 0; i < words; i++) {
            size_t len = (size_t)strtol(rest.ptr + 1, NULL, 10);
            size_t head = (size_t)((char *)memchr(rest.ptr, '\n', rest.len) - rest.ptr) + 1;
            rest = slice_from(rest, head + len + 2);
        }
        commands++;
    }
    return commands > 0 ? commands : 1;
}

static void read_request(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        die(path);
    }
    load.bytes = xcalloc(1, 1 << 20);
    load.len = fread(load.bytes, 1, (1 << 20) - 1, f);
    (void)fclose(f);
    for (size_t i = 0; i + HOLE <= load.len; i++) {
        if (memcmp(load.bytes + i, "############", HOLE) == 0) {
            check(load.hole_count < HOLES_MAX);
            load.holes[load.hole_count++] = i;
            i += HOLE - 1;
        }
    }
    load.commands = count_commands((struct slice){load.bytes, load.len});
}

static void send_one(struct link *l, uint64_t due_us)
{
    for (uint32_t i = 0; i < load.hole_count; i++) {
        char digits[HOLE + 1];
        (void)snprintf(digits, sizeof(digits), "%012u", (unsigned)(draw() % load.keys));
        memcpy(load.bytes + load.holes[i], digits, HOLE);
    }
    l->sent_us[(l->first + l->under_way) % PIPELINE_MAX] = due_us;
    l->under_way++;
    load.sent++;
    buf_append(&l->out, load.bytes, load.len);
}

static void flush(struct link *l)
{
    put(l->fd, buf_readable(&l->out));
    buf_clear(&l->out);
}

static void answered(struct link *l, uint64_t now_us)
{
    all.times_us[all.done++] = (uint32_t)(now_us - l->sent_us[l->first % PIPELINE_MAX]);
    l->first = (l->first + 1) % PIPELINE_MAX;
    l->under_way--;
    if (load.us_each == 0 && load.sent < load.total) {
        send_one(l, now_us);
    }
}

static void link_ready(struct link *l)
{
    take_bytes(l);
    uint64_t now_us = clock_now_us();
    while (l->under_way > 0 && take_reply(l)) {
        if (++l->replies == load.commands) {
            l->replies = 0;
            answered(l, now_us);
        }
    }
    flush(l);
}

/* Sends what is due; `ret_wait` is the time until the next is, NULL: none is. */
static const struct timespec *send_due(struct timespec *wait)
{
    uint64_t now_us = clock_now_us();
    while (load.sent < load.total) {
        uint64_t due_us = load.began_us + (uint64_t)((double)load.sent * load.us_each);
        if (due_us > now_us) {
            *wait = (struct timespec){.tv_sec = (time_t)((due_us - now_us) / 1000000),
                                      .tv_nsec = (long)((due_us - now_us) % 1000000 * 1000)};
            return wait;
        }
        struct link *l = &all.links[load.sent % all.count];
        if (l->under_way == PIPELINE_MAX) {
            break; /* far behind: its times go on counting */
        }
        send_one(l, due_us);
        flush(l);
    }
    return NULL;
}

static void run_load(char **arg)
{
    dial_all((uint32_t)atoi(arg[0]));
    load.pipeline = (uint32_t)atoi(arg[1]);
    load.total = strtoull(arg[2], NULL, 10);
    load.keys = strtoull(arg[3], NULL, 10);
    load.us_each = atof(arg[4]) > 0 ? 1e6 / atof(arg[4]) : 0;
    read_request(arg[5]);
    all.times_us = xcalloc(load.total, sizeof(*all.times_us));
    load.began_us = clock_now_us();
    for (uint32_t i = 0; load.us_each == 0 && i < all.count * load.pipeline; i++) {
        send_one(&all.links[i % all.count], clock_now_us());
    }
    for (uint32_t i = 0; i < all.count; i++) {
        flush(&all.links[i]);
    }
    struct epoll_event ready[READY];
    while (all.done < load.total) {
        struct timespec room;
        const struct timespec *wait = load.us_each > 0 ? send_due(&room) : NULL;
        int n = epoll_pwait2(all.epoll, ready, READY, wait, NULL);
        for (int i = 0; i < n; i++) {
            link_ready(&all.links[ready[i].data.u32]);
        }
    }
    report(load.began_us);
}

/* --- fanout --------------------------------------------------------------------------------------- */

static void run_fanout(char **arg)
{
    dial_all((uint32_t)atoi(arg[0]));
    uint64_t messages = strtoull(arg[1], NULL, 10);
    int bytes = atoi(arg[2]);
    struct link publisher = {.fd = dial()};
    for (uint32_t i = 0; i < all.count; i++) {
        put_str(all.links[i].fd, "SUBSCRIBE fan\r\n");
        wait_replies(&all.links[i], 1);
    }
    struct buf message = {0};
    buf_printf(&message, "*3\r\n$7\r\nPUBLISH\r\n$3\r\nfan\r\n$%d\r\n%0*d\r\n", bytes, bytes, 7);
    all.times_us = xcalloc(messages, sizeof(*all.times_us));
    uint64_t began_us = clock_now_us();
    for (uint64_t m = 0; m < messages; m++) {
        uint64_t sent_us = clock_now_us();
        put(publisher.fd, buf_readable(&message));
        for (uint32_t i = 0; i < all.count; i++) {
            wait_replies(&all.links[i], 1);
        }
        all.times_us[all.done++] = (uint32_t)(clock_now_us() - sent_us);
        wait_replies(&publisher, 1);
    }
    report(began_us);
}

/* --- pop ------------------------------------------------------------------------------------------ */

static void run_pop(char **arg)
{
    dial_all((uint32_t)atoi(arg[0]));
    uint64_t pops = strtoull(arg[1], NULL, 10);
    struct link pusher = {.fd = dial()};
    all.times_us = xcalloc(pops, sizeof(*all.times_us));
    for (uint32_t i = 0; i < all.count; i++) {
        put_str(all.links[i].fd, "BLPOP queue 0\r\n");
    }
    uint64_t began_us = clock_now_us();
    struct epoll_event ready[READY];
    while (all.done < pops) {
        uint64_t sent_us = clock_now_us();
        put_str(pusher.fd, "RPUSH queue x\r\n");
        if (epoll_wait(all.epoll, ready, 1, -1) != 1) {
            die("epoll_wait");
        }
        struct link *l = &all.links[ready[0].data.u32];
        wait_replies(l, 1);
        all.times_us[all.done++] = (uint32_t)(clock_now_us() - sent_us);
        wait_replies(&pusher, 1);
        put_str(l->fd, "BLPOP queue 0\r\n");
    }
    report(began_us);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int args;
        void (*run)(char **arg);
    } verbs[] = {{"load", 6, run_load}, {"fanout", 3, run_fanout}, {"pop", 2, run_pop}};
    for (size_t i = 0; i < array_len(verbs) && argc > 2; i++) {
        if (strcmp(argv[1], verbs[i].name) == 0 && argc == verbs[i].args + 3) {
            all.port = (uint16_t)atoi(argv[2]);
            verbs[i].run(argv + 3);
            return 0;
        }
    }
    fputs("usage: respload load PORT CONNECTIONS PIPELINE REQUESTS KEYS RATE FILE\n"
          "       respload fanout PORT SUBSCRIBERS MESSAGES BYTES\n"
          "       respload pop PORT WAITING POPS\n",
          stderr);
    return 2;
}
