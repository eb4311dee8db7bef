/* SPDX-License-Identifier: BSD-3-Clause */
/* Who left lately: remembered about as long as there are prints, also while the memory grows. */
#include "store_test.h"

#include "store/ghost.h"

static uint64_t hash_n(uint64_t n)
{
    return hash_mix(n + 1, 0x9e3779b97f4a7c15ULL);
}

static uint32_t remembered(const struct ghost *g, struct pages *p, uint64_t from, uint64_t to)
{
    uint32_t found = 0;
    for (uint64_t n = from; n < to; n++) {
        found += ghost_take(g, p, hash_n(n));
    }
    return found;
}

static void the_latest_are_remembered_once_and_the_oldest_not(void **state)
{
    (void)state;
    enum { ITEMS = 8 * GHOST_PAGE_ITEMS, LEFT = 10 * ITEMS };
    struct space space = {.name = "s", .budget = 4ULL * MB, .limit = 4ULL * MB};
    struct pages p;
    pages_init(&p, &space);
    struct ghost g = {0};
    assert_false(ghost_take(&g, &p, hash_n(0)));
    for (uint64_t n = 1; n <= ITEMS; n++) {
        ghost_fit(&g, &p, n);
    }
    assert_int_equal(g.pages, 8);
    for (uint64_t n = 0; n < LEFT; n++) {
        ghost_note(&g, &p, hash_n(n));
    }
    assert_in_range(remembered(&g, &p, LEFT - ITEMS / 2, LEFT), ITEMS / 2 * 99 / 100, ITEMS / 2);
    assert_in_range(remembered(&g, &p, LEFT - ITEMS / 2, LEFT), 0, ITEMS / 100); /* each once */
    assert_in_range(remembered(&g, &p, 0, ITEMS), 0, ITEMS / 100);
    ghost_forget(&g, &space);
    pages_fini(&p);
    assert_int_equal(space_used(&space), 0);
}

static void growing_forgets_nothing(void **state)
{
    (void)state;
    enum { NOTED = 500 };
    struct space space = {.name = "s", .budget = 4ULL * MB, .limit = 4ULL * MB};
    struct pages p;
    pages_init(&p, &space);
    struct ghost g = {0};
    for (uint64_t n = 1; n <= GHOST_PAGE_ITEMS; n++) {
        ghost_fit(&g, &p, n);
    }
    for (uint64_t n = 0; n < NOTED; n++) {
        ghost_note(&g, &p, hash_n(n));
    }
    for (uint64_t n = 1; n <= 21ULL * GHOST_PAGE_ITEMS; n++) {
        ghost_fit(&g, &p, n);
    }
    assert_int_equal(g.pages, 21);
    assert_int_equal(remembered(&g, &p, 0, NOTED), NOTED);
    ghost_forget(&g, &space);
    pages_fini(&p);
}

static void a_small_pool_has_a_short_memory(void **state)
{
    (void)state;
    enum { ITEMS = 250, LEFT = 5000 };
    struct space space = {.name = "s", .budget = 4ULL * MB, .limit = 4ULL * MB};
    struct pages p;
    pages_init(&p, &space);
    struct ghost g = {0};
    for (uint64_t n = 1; n <= ITEMS; n++) {
        ghost_fit(&g, &p, n);
    }
    for (uint64_t n = 0; n < LEFT; n++) {
        ghost_note(&g, &p, hash_n(n));
    }
    assert_in_range(remembered(&g, &p, LEFT - ITEMS * 3 / 4, LEFT), ITEMS / 2, ITEMS * 3 / 4);
    assert_in_range(remembered(&g, &p, 0, LEFT - 2 * ITEMS), 0, ITEMS / 8);
    ghost_forget(&g, &space);
    pages_fini(&p);
}

int main(void)
{
    hash_setup_seed(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_are_remembered_once_and_the_oldest_not),
        cmocka_unit_test(growing_forgets_nothing),
        cmocka_unit_test(a_small_pool_has_a_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
