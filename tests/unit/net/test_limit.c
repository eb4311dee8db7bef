/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What connections may hold and how long they may wait. One thread plays both sides: a timer of the loop
 * does the peer's part and moves the clock, so nothing waits for real.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 1 << 20, PEERS = 4, TICK_MS = 100 };

/* --- a face that hoards ------------------------------------------------------------------------- */

/* Each "b" gets a piece of output, each "x" is held in `extra`, anything else waits as unfinished. */
struct hoarder {
    struct conn conn;
    int *ret_cut; /* where the end is noted */
};

static int open_count;
static int ends[PEERS]; /* enum conn_cut, -1: still open */

static void hoarder_open(struct conn *c, void *context)
{
    container_of(c, struct hoarder, conn)->ret_cut = context;
    open_count++;
}

static size_t hoarder_data(struct conn *c, struct slice in)
{
    size_t used = 0;
    while (used < in.len && !c->closing && !conn_full(c)) {
        if (in.ptr[used] == 'b') {
            memset(buf_reserve(&c->out, PIECE), 'b', PIECE);
            buf_commit(&c->out, PIECE);
        } else if (in.ptr[used] == 'x') {
            c->extra += PIECE;
        } else {
            break;
        }
        used++;
    }
    return used;
}

static void hoarder_last_word(struct conn *c)
{
    buf_append_str(&c->out, c->cut == CONN_CUT_MEMORY ? "memory" : "input");
}

static void hoarder_closed(struct conn *c)
{
    *container_of(c, struct hoarder, conn)->ret_cut = (int)c->cut;
    open_count--;
}

static struct conn_limits limits;
static const struct conn_face face = {.size = sizeof(struct hoarder),
                                      .limits = &limits,
                                      .open = hoarder_open,
                                      .data = hoarder_data,
                                      .last_word = hoarder_last_word,
                                      .closed = hoarder_closed};

/* --- both sides --------------------------------------------------------------------------------- */

static struct loop *loop;
static int peer[PEERS];
static struct timer tick;
static int ticks;
static void (*play)(
    void); /* the peers' part, once a tick; stops the loop when it has seen enough */

static void on_tick(struct timer *t)
{
    ticks++;
    assert_true(ticks < 100000);
    play();
    timer_start(loop, t, 1, on_tick);
}

static int set_up(void **state)
{
    limits = (struct conn_limits){
        .input_max = 4096, .output_limit = 64 * PIECE, .output_max = 64 * PIECE};
    loop = loop_create();
    for (int i = 0; i < PEERS; i++) {
        int fd[2];
        ends[i] = -1;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
        peer[i] = fd[1];
        (void)conn_adopt(loop, fd[0], &face, &ends[i]);
    }
    ticks = 0;
    timer_start(loop, &tick, 1, on_tick);
    return 0;
}

static int tear_down(void **state)
{
    loop_destroy(&loop);
    assert_int_equal(open_count, 0);
    for (int i = 0; i < PEERS; i++) {
        (void)close(peer[i]);
    }
    tick = (struct timer){0};
    return 0;
}

static void say(int i, const char *text)
{
    assert_int_equal(write(peer[i], text, strlen(text)), strlen(text));
}

/* Runs until `p` stops the loop. */
static void run(void (*p)(void))
{
    play = p;
    loop_run(loop);
}

static void until_someone_ends(void)
{
    for (int i = 0; i < PEERS; i++) {
        if (ends[i] >= 0) {
            loop_stop(loop);
        }
    }
}

/* Here time passes with the ticks. */
static void pass_time_until_someone_ends(void)
{
    clock_advance(TICK_MS);
    until_someone_ends();
}

/* --- memory ------------------------------------------------------------------------------------- */

static void who_holds_most_is_cut_and_nobody_else(void **state)
{
    loop_limit_buffers(loop, 10 * (uint64_t)PIECE);
    say(0, "b");
    say(1, "bbbbbb");
    say(2, "bb");
    say(3, "u");
    run(until_someone_ends);
    assert_int_equal(ends[1], CONN_CUT_BUFFERS);
    assert_int_equal(ends[0], -1);
    assert_int_equal(ends[2], -1);
    assert_int_equal(ends[3], -1);
    assert_in_range(loop_buffer_bytes(loop), 3 * PIECE, 10 * PIECE);
}

static void what_the_face_holds_elsewhere_counts(void **state)
{
    loop_limit_buffers(loop, 10 * (uint64_t)PIECE);
    say(2, "xxxxxxxxxxx");
    run(until_someone_ends);
    assert_int_equal(ends[2], CONN_CUT_BUFFERS);
}

static void until_two_end(void)
{
    if (open_count == PEERS - 2) {
        loop_stop(loop);
    }
}

static void all_that_was_counted_is_given_back(void **state)
{
    say(0, "bbb");
    say(1, "unfinished");
    (void)close(peer[0]);
    (void)close(peer[1]);
    peer[0] = peer[1] = -1;
    run(until_two_end);
    assert_int_equal(loop_buffer_bytes(loop), 0);
}

static void unfinished_input_above_the_limit_gets_a_last_word(void **state)
{
    char text[8192];
    memset(text, 'u', sizeof(text));
    assert_int_equal(write(peer[0], text, sizeof(text)), sizeof(text));
    run(pass_time_until_someone_ends); /* by the lingering's end, since we never close */
    assert_int_equal(ends[0], CONN_CUT_INPUT);
    assert_int_equal(read(peer[0], text, sizeof(text)), 5);
    assert_memory_equal(text, "input", 5);
}

static void fail_the_next(void)
{
    if (ticks == 1) {
        say(0, "u");
        (void)alloc_fail_at(1);
    }
    clock_advance(TICK_MS);
    until_someone_ends();
}

static void input_that_finds_no_memory_costs_its_sender_only(void **state)
{
    char text[64];
    run(fail_the_next);
    assert_int_equal(alloc_fail_at(0), 0);
    assert_int_equal(ends[0], CONN_CUT_MEMORY);
    assert_int_equal(read(peer[0], text, sizeof(text)), 6);
    assert_memory_equal(text, "memory", 6);
    assert_int_equal(open_count, PEERS - 1);
}

static void room_that_cannot_be_had_changes_nothing(void **state)
{
    struct buf b;
    buf_init(&b);
    buf_append_str(&b, "kept");
    assert_int_equal(alloc_fail_at(1), 0);
    assert_null(buf_try_reserve(&b, 1 << 20));
    assert_int_equal(alloc_fail_at(0), 0);
    assert_true(slice_is(buf_readable(&b), "kept"));
    assert_true(buf_sane(&b));
    assert_null(buf_try_reserve(&b, SIZE_MAX / 2 + 2));
    assert_non_null(buf_try_reserve(&b, 1 << 20));
    buf_fini(&b);
}

/* --- time --------------------------------------------------------------------------------------- */

static void who_takes_nothing_is_cut(void **state)
{
    limits.stall_ms = 10 * TICK_MS;
    say(1, "bbbb");
    run(pass_time_until_someone_ends);
    assert_int_equal(ends[1], CONN_CUT_STALLED);
    assert_int_equal(open_count, PEERS - 1);
    assert_true(ticks >= 10);
}

static size_t taken;

/* Takes a little at every tick: each time much less than what waits, but something. */
static void take_slowly(void)
{
    static char sink[64 * 1024];
    ssize_t got = read(peer[1], sink, sizeof(sink));
    taken += got > 0 ? (size_t)got : 0;
    clock_advance(TICK_MS);
    if (taken == 4 * (size_t)PIECE) {
        loop_stop(loop);
    }
}

static void who_takes_slowly_is_served(void **state)
{
    limits.stall_ms = 10 * TICK_MS;
    taken = 0;
    say(1, "bbbb");
    run(take_slowly);
    assert_true(ticks > 30); /* far longer than the limit */
    assert_int_equal(open_count, PEERS);
}

static void pass_time_until_all_end(void)
{
    clock_advance(TICK_MS);
    if (open_count == 0) {
        loop_stop(loop);
    }
}

static void idle_connections_end(void **state)
{
    limits.idle_ms = 20 * TICK_MS;
    int fd[2];
    int end = -1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    (void)conn_adopt(loop, fd[0], &face,
                     &end); /* the others were opened before there was a limit */
    assert_int_equal(write(fd[1], "half a request", 14), 14);
    for (int i = 0; i < PEERS; i++) {
        (void)close(peer[i]);
        peer[i] = -1;
    }
    run(pass_time_until_all_end);
    assert_int_equal(end, CONN_CUT_IDLE);
    assert_true(ticks >= 20);
    (void)close(fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_holds_most_is_cut_and_nobody_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_face_holds_elsewhere_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_that_was_counted_is_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unfinished_input_above_the_limit_gets_a_last_word, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(input_that_finds_no_memory_costs_its_sender_only, set_up,
                                        tear_down),
        cmocka_unit_test(room_that_cannot_be_had_changes_nothing),
        cmocka_unit_test_setup_teardown(who_takes_nothing_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_takes_slowly_is_served, set_up, tear_down),
        cmocka_unit_test_setup_teardown(idle_connections_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
