/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop, timers and connections, over real sockets. */
#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- timers ------------------------------------------------------------------------------------- */

struct counted {
    struct timer timer;
    uint64_t due;
    bool stopped;
};

static uint64_t timer_last_due;
static int timers_left;

static void on_timer(struct timer *t)
{
    struct counted *c = container_of(t, struct counted, timer);
    assert_false(c->stopped);
    assert_true(c->due >= timer_last_due);
    timer_last_due = c->due;
    if (--timers_left == 0) {
        loop_stop(t->loop);
    }
}

static void timers_run_in_order_and_stopped_ones_never(void **state)
{
    struct loop *l = loop_create();
    static struct counted timers[500];
    uint32_t seed = 99;
    for (size_t i = 0; i < 500; i++) {
        seed = seed * 1664525U + 1013904223U;
        timer_start(l, &timers[i].timer, 1000, on_timer); /* moved at once */
        timers[i].due = seed % 20;
        timer_start(l, &timers[i].timer, timers[i].due, on_timer);
    }
    timers_left = 500;
    for (size_t i = 0; i < 500; i += 3) {
        timer_stop(&timers[i].timer);
        timer_stop(&timers[i].timer);
        timers[i].stopped = true;
        timers_left--;
    }
    loop_run(l);
    assert_int_equal(timers_left, 0);
    loop_destroy(&l);
}

/* --- connections -------------------------------------------------------------------------------- */

/* A face that answers each line: "p" pauses until the next loop task resumes it, "park" parks for ever, "q"
 * closes, "big" gives 100,000 bytes, everything else is echoed. */
struct echo {
    struct conn conn;
    struct loop_task resume;
};

static int echo_open_count;
static int echo_calls;

static void echo_open(struct conn *c, void *context)
{
    (void)context;
    echo_open_count++;
    list_init(&container_of(c, struct echo, conn)->resume.node);
}

static void echo_closed(struct conn *c)
{
    struct echo *e = container_of(c, struct echo, conn);
    list_remove(&e->resume.node);
    if (--echo_open_count == 0) {
        loop_stop(c->loop);
    }
}

static void echo_resume(struct loop_task *task)
{
    struct echo *e = container_of(task, struct echo, resume);
    buf_append_str(&e->conn.out, "resumed\n");
    conn_resume(&e->conn);
}

static size_t echo_data(struct conn *c, struct slice in)
{
    struct echo *e = container_of(c, struct echo, conn);
    size_t used = 0;
    echo_calls++;
    while (!c->paused && !c->closing && !conn_full(c)) {
        const char *end = used < in.len ? memchr(in.ptr + used, '\n', in.len - used) : NULL;
        if (end == NULL) {
            break;
        }
        struct slice line = {in.ptr + used, (size_t)(end - in.ptr) - used};
        used += line.len + 1;
        if (slice_is(line, "p")) {
            conn_pause(c);
            loop_defer(c->loop, &e->resume, echo_resume);
        } else if (slice_is(line, "park")) {
            conn_park(c);
        } else if (slice_is(line, "q")) {
            buf_append_str(&c->out, "bye\n");
            conn_close_after_flush(c);
        } else if (slice_is(line, "big")) {
            memset(buf_reserve(&c->out, 100000), 'x', 100000);
            buf_commit(&c->out, 100000);
        } else {
            buf_append(&c->out, line.ptr, line.len + 1);
        }
    }
    return used;
}

static const struct conn_limits echo_limits = {
    .input_max = 1 << 20, .output_limit = 200000, .output_max = SIZE_MAX, .idle_ms = 0};
static const struct conn_face echo_face = {.size = sizeof(struct echo),
                                           .limits = &echo_limits,
                                           .open = echo_open,
                                           .data = echo_data,
                                           .closed = echo_closed};

static int adopt_pair(struct loop *l)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    (void)conn_adopt(l, fd[0], &echo_face, NULL);
    return fd[1];
}

static size_t read_all(int fd, char *out, size_t room)
{
    size_t len = 0;
    ssize_t got;
    while ((got = read(fd, out + len, room - len)) > 0) {
        len += (size_t)got;
    }
    return len;
}

static void pipeline_is_answered_in_order_over_a_pause(void **state)
{
    struct loop *l = loop_create();
    int fd = adopt_pair(l);
    static const char ask[] = "one\np\ntwo\nq\nnever\n";
    assert_int_equal(write(fd, ask, sizeof(ask) - 1), sizeof(ask) - 1);
    loop_run(l);
    char got[256];
    size_t len = read_all(fd, got, sizeof(got));
    static const char want[] = "one\nresumed\ntwo\nbye\n";
    assert_int_equal(len, sizeof(want) - 1);
    assert_memory_equal(got, want, len);
    (void)close(fd);
    loop_destroy(&l);
}

static void *big_client(void *arg)
{
    int fd = *(int *)arg;
    char ask[1024];
    size_t len = 0;
    for (int i = 0; i < 100; i++) {
        len += (size_t)snprintf(ask + len, sizeof(ask) - len, "big\n");
    }
    len += (size_t)snprintf(ask + len, sizeof(ask) - len, "q\n");
    check(write(fd, ask, len) == (ssize_t)len);
    static char sink[1 << 16];
    size_t total = 0;
    ssize_t got;
    while ((got = read(fd, sink, sizeof(sink))) > 0) {
        total += (size_t)got;
    }
    return (void *)total;
}

static void reading_stops_while_the_output_is_full_and_goes_on_after(void **state)
{
    struct loop *l = loop_create();
    int fd = adopt_pair(l);
    pthread_t client;
    assert_int_equal(pthread_create(&client, NULL, big_client, &fd), 0);
    echo_calls = 0;
    loop_run(l);
    void *total;
    assert_int_equal(pthread_join(client, &total), 0);
    assert_int_equal((size_t)total, 100 * 100000 + 4);
    assert_true(echo_calls > 10); /* not all at once: 10 MB never stood in the output */
    (void)close(fd);
    loop_destroy(&l);
}

static void hang_up_frees_the_connection(void **state)
{
    struct loop *l = loop_create();
    int fd = adopt_pair(l);
    assert_int_equal(write(fd, "half a li", 9), 9);
    (void)close(fd);
    loop_run(l);
    assert_int_equal(echo_open_count, 0);
    loop_destroy(&l);
}

/* The peer has said that it sends no more; what it sent before is in the way, or not. */
static void a_parked_connection_ends_with_its_peer(void **state)
{
    static const char *const asks[] = {"park\n", "one\npark\nunread\n"};
    for (size_t i = 0; i < array_len(asks); i++) {
        struct loop *l = loop_create();
        int fd = adopt_pair(l);
        assert_int_equal(write(fd, asks[i], strlen(asks[i])), strlen(asks[i]));
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        loop_run(l); /* until it is closed */
        assert_int_equal(echo_open_count, 0);
        (void)close(fd);
        loop_destroy(&l);
    }
}

static struct {
    struct timer timer;
    int fd;
} peer;

static void close_the_peer(struct timer *t)
{
    (void)t;
    check(write(peer.fd, "more\n", 5) == 5); /* unread behind the parked request */
    (void)close(peer.fd);
}

static void a_parked_connection_ends_when_its_peer_goes_later(void **state)
{
    struct loop *l = loop_create();
    peer.fd = adopt_pair(l);
    assert_int_equal(write(peer.fd, "park\n", 5), 5);
    timer_start(l, &peer.timer, 20, close_the_peer);
    loop_run(l);
    assert_int_equal(echo_open_count, 0);
    loop_destroy(&l);
}

static void listener_says_why_it_cannot_bind(void **state)
{
    struct loop *l = loop_create();
    char *why = NULL;
    const char *bad[] = {"nonsense", "127.0.0.1:", "unix:/nonexistent/dir/socket", "256.1.1.1:80"};
    for (size_t i = 0; i < array_len(bad); i++) {
        assert_null(listener_open(l, bad[i], NULL, NULL, &why));
        assert_non_null(why);
        free(why);
    }
    struct listener *first = listener_open(l, "127.0.0.1:0", NULL, NULL, &why);
    assert_non_null(first);
    assert_null(listener_open(l, listener_address(first), NULL, NULL, &why));
    assert_non_null(strstr(why, "in use; stop what has it"));
    free(why);
    listener_close(&first);
    loop_destroy(&l);
}

/* A mistyped path must not cost the file that lies there. */
static void listener_leaves_a_file_that_is_no_socket(void **state)
{
    struct loop *l = loop_create();
    char address[] = "unix:/tmp/freshet-listener-XXXXXX";
    char *path = address + strlen("unix:");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    char *why = NULL;
    assert_null(listener_open(l, address, NULL, NULL, &why));
    assert_non_null(strstr(why, "in use"));
    free(why);
    assert_int_equal(access(path, F_OK), 0);
    (void)close(fd);
    (void)unlink(path);
    loop_destroy(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_run_in_order_and_stopped_ones_never),
        cmocka_unit_test(a_parked_connection_ends_with_its_peer),
        cmocka_unit_test(a_parked_connection_ends_when_its_peer_goes_later),
        cmocka_unit_test(pipeline_is_answered_in_order_over_a_pause),
        cmocka_unit_test(reading_stops_while_the_output_is_full_and_goes_on_after),
        cmocka_unit_test(hang_up_frees_the_connection),
        cmocka_unit_test(listener_says_why_it_cannot_bind),
        cmocka_unit_test(listener_leaves_a_file_that_is_no_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
