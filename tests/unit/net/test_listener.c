/* SPDX-License-Identifier: BSD-3-Clause */
/* Accepting when the process has no descriptor left: nobody hangs, nothing spins, it recovers by itself. */
#include "base/check.h"
#include "base/clock.h"
#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 8, TICK_MS = 50 };

static struct loop *loop;
static struct listener *listener;
static int client[CLIENTS];
static int accepted_fd[CLIENTS];
static int accepted_count;
static struct rlimit before;
static struct timer tick;
static int ticks;
static int ended; /* clients that have seen the end */

static void on_accept(void *arg, int fd)
{
    (void)arg;
    assert_true(accepted_count < CLIENTS);
    accepted_fd[accepted_count++] = fd;
}

static void connect_client(int i)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = htons((uint16_t)atoi(strrchr(listener_address(listener), ':') + 1));
    assert_int_equal(connect(client[i], (const struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(fcntl(client[i], F_SETFL, O_NONBLOCK), 0);
}

/* No descriptor beyond those that are open now. */
static void forbid_descriptors(void)
{
    int next = dup(0);
    assert_true(next >= 0);
    (void)close(next);
    struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(dup(0), -1);
}

static int set_up(void **state)
{
    char *why = NULL;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    loop = loop_create();
    listener = listener_open(loop, "127.0.0.1:0", on_accept, NULL, &why);
    assert_non_null(listener);
    accepted_count = ended = ticks = 0;
    for (int i = 0; i < CLIENTS; i++) {
        client[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_true(client[i] >= 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)setrlimit(RLIMIT_NOFILE, &before);
    timer_stop(&tick);
    for (int i = 0; i < CLIENTS; i++) {
        (void)close(client[i]);
    }
    for (int i = 0; i < accepted_count; i++) {
        (void)close(accepted_fd[i]);
    }
    listener_close(&listener);
    loop_destroy(&loop);
    return 0;
}

static void count_ended(void)
{
    char c;
    ended = 0;
    for (int i = 0; i < CLIENTS; i++) {
        ended += read(client[i], &c, 1) == 0;
    }
}

static void until_all_have_ended(struct timer *t)
{
    assert_true(++ticks < 100000);
    count_ended();
    if (ended == CLIENTS) {
        loop_stop(loop);
    }
    timer_start(loop, t, 1, until_all_have_ended);
}

static void until_accepted(struct timer *t)
{
    assert_true(++ticks < 100000);
    clock_advance(TICK_MS);
    if (accepted_count == 1) {
        loop_stop(loop);
    }
    timer_start(loop, t, 1, until_accepted);
}

static void until_rested(struct timer *t)
{
    clock_advance(TICK_MS);
    if (++ticks == 20) {
        loop_stop(loop);
        return;
    }
    timer_start(loop, t, 1, until_rested);
}

static void reconnect_one(void)
{
    (void)close(client[0]);
    client[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(client[0] >= 0);
    connect_client(0);
}

static void clients_see_a_clean_end_and_later_ones_are_served(void **state)
{
    forbid_descriptors();
    for (int i = 0; i < CLIENTS; i++) {
        connect_client(i);
    }
    timer_start(loop, &tick, 1, until_all_have_ended);
    loop_run(loop);
    assert_int_equal(accepted_count, 0);

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    reconnect_one();
    timer_start(loop, &tick, 1, until_accepted);
    loop_run(loop);
    assert_int_equal(accepted_count, 1);
}

/* The reserve can be lost when another thread is faster; here it was never there. The connection then waits in
 * the backlog until there are descriptors again. */
static void without_a_reserve_it_rests_and_recovers(void **state)
{
    char *why = NULL;
    listener_close(&listener);
    int only = dup(0);
    forbid_descriptors();
    (void)close(only);
    listener = listener_open(loop, "127.0.0.1:0", on_accept, NULL, &why);
    assert_non_null(listener);
    assert_int_equal(dup(0), -1);
    connect_client(0);
    timer_start(loop, &tick, 1, until_rested);
    loop_run(loop);
    assert_int_equal(accepted_count, 0);
    count_ended();
    assert_int_equal(ended, 0);

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    timer_start(loop, &tick, 1, until_accepted);
    loop_run(loop);
    assert_int_equal(accepted_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clients_see_a_clean_end_and_later_ones_are_served, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_a_reserve_it_rests_and_recovers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
