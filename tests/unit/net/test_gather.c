/* SPDX-License-Identifier: BSD-3-Clause */
/* When the loop looks a second time before it answers, and that it stops trying where this brings nothing. */
#include "base/check.h"
#include "net/net_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SOURCES = 64, FEW = 2, LONGEST = 64 };

static struct loop *loop;
static struct loop_batch batch;
static struct loop_source source[SOURCES];

static void ignore(struct loop_source *src, unsigned events)
{
    (void)src;
    (void)events;
}

static void make_ready(int from, int to)
{
    for (int i = from; i < to; i++) {
        assert_int_equal(eventfd_write(source[i].fd, 1), 0);
    }
}

static int wait_once(void)
{
    return epoll_wait(loop->epoll, batch.ready, LOOP_BATCH, 0);
}

static int set_up(void **state)
{
    loop = loop_create();
    loop->batch = &batch;
    loop->conn_count = SOURCES;
    for (int i = 0; i < SOURCES; i++) {
        loop_watch(loop, &source[i], eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), LOOP_READ, ignore);
    }
    return 0;
}

static int tear_down(void **state)
{
    for (int i = 0; i < SOURCES; i++) {
        int fd = source[i].fd;
        loop_unwatch(&source[i]);
        (void)close(fd);
    }
    loop->conn_count = 0;
    loop_destroy(&loop);
    return 0;
}

static void what_came_meanwhile_is_of_the_same_turn(void **state)
{
    make_ready(0, FEW);
    int count = wait_once();
    assert_int_equal(count, FEW);
    make_ready(FEW, SOURCES / 2); /* as peers do when they have the processor */
    assert_int_equal(gather_more(loop, count), SOURCES / 2);
    assert_true(loop->gather.rest == 0 ||
                loop->gather.rest > LONGEST); /* a busy machine: it took long */
}

static void nothing_is_tried_for_many_or_none(void **state)
{
    make_ready(0, SOURCES / 2);
    int count = wait_once();
    make_ready(SOURCES / 2, SOURCES);
    assert_int_equal(gather_more(loop, count), count);
    assert_int_equal(gather_more(loop, 0), 0);
    assert_int_equal(gather_more(loop, -1), -1);
    loop->conn_count = FEW;
    assert_int_equal(gather_more(loop, FEW), FEW);
}

/* Of a thousand turns with nobody else about, few are tried. */
static void it_stops_where_it_brings_nothing(void **state)
{
    make_ready(0, FEW);
    int tries = 0;
    for (int turn = 0; turn < 1000; turn++) {
        tries += loop->gather.rest == 0;
        assert_int_equal(gather_more(loop, wait_once()), FEW);
        assert_true(loop->gather.pause <= LONGEST);
    }
    assert_in_range(tries, 1, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_came_meanwhile_is_of_the_same_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_tried_for_many_or_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_stops_where_it_brings_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
