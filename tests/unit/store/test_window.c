/* SPDX-License-Identifier: BSD-3-Clause */
/* The queue of fingerprints: order, steady length without memory, refusal. */
#include "store_test.h"

#include "store/window.h"

static void what_goes_in_first_comes_out_first_over_any_number_of_pages(void **state)
{
    (void)state;
    struct space space = {.name = "s", .budget = 4ULL * MB, .limit = 4ULL * MB};
    struct pages p;
    pages_init(&p, &space);
    struct window w = {0};
    uint32_t in = 0;
    uint32_t out = 0;
    uint32_t print;
    assert_false(window_pop(&w, &p, &print));
    for (uint32_t round = 1; round < 200; round++) {
        for (uint32_t i = 0; i < round * 37 % 900; i++) {
            assert_true(window_push(&w, &p, in++));
        }
        for (uint32_t i = 0; i < round * 61 % 900 && out < in; i++) {
            assert_true(window_pop(&w, &p, &print));
            assert_int_equal(print, out++);
        }
        assert_int_equal(w.count, in - out);
        pages_validate(&p);
    }
    assert_true(in > 50000);
    while (window_pop(&w, &p, &print)) {
        assert_int_equal(print, out++);
    }
    assert_int_equal(out, in);
    pages_fini(&p);
    assert_int_equal(space_used(&space), 0);
}

static void a_queue_of_steady_length_needs_no_memory(void **state)
{
    (void)state;
    struct space space = {.name = "s", .budget = 1ULL * MB, .limit = 1ULL * MB};
    struct pages p;
    pages_init(&p, &space);
    struct window w = {0};
    uint32_t print;
    for (uint32_t i = 0; i < 1500; i++) {
        assert_true(window_push(&w, &p, i));
    }
    while (pages_take(&p, 1, PAGE_LARGE) != 0) {
    }
    for (uint32_t i = 0; i < 20000; i++) {
        assert_true(window_pop(&w, &p, &print));
        assert_int_equal(print, i);
        assert_true(window_push(&w, &p, i + 1500));
    }
    uint32_t more = 0;
    while (window_push(&w, &p, more)) { /* a longer one does, and says so */
        more++;
    }
    assert_in_range(more, 0, 2048);
    pages_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_first_comes_out_first_over_any_number_of_pages),
        cmocka_unit_test(a_queue_of_steady_length_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
