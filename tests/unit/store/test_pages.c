/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs of pages: they never overlap, never exceed the budget, and come back whole. */
#include "store_test.h"

#include "store/pages.h"

enum { RUNS = 200 };

static struct space space_of(uint64_t pages)
{
    uint64_t bytes = pages * (STORE_PAGE + sizeof(struct page));
    return (struct space){.name = "test", .budget = bytes, .limit = bytes};
}

static void an_untouched_heap_owns_nothing(void **state)
{
    (void)state;
    struct space space = space_of(100);
    struct pages p;
    pages_init(&p, &space);
    assert_int_equal(space_used(&space), 0);
    assert_null(p.base);
    pages_fini(&p);
}

static void a_full_budget_gives_no_page_and_a_returned_one_is_given_again(void **state)
{
    (void)state;
    struct space space = space_of(10);
    struct pages p;
    pages_init(&p, &space);
    uint32_t page[10];
    for (int i = 0; i < 10; i++) {
        page[i] = pages_take(&p, 1, PAGE_SLAB);
        assert_int_not_equal(page[i], 0);
    }
    assert_int_equal(space_used(&space), space.budget);
    assert_int_equal(pages_take(&p, 1, PAGE_SLAB), 0);
    pages_give(&p, page[3]);
    assert_int_equal(pages_take(&p, 2, PAGE_SLAB), 0);
    assert_int_not_equal(pages_take(&p, 1, PAGE_SLAB), 0);
    pages_validate(&p);
    pages_fini(&p);
    assert_int_equal(space_used(&space), 0);
}

/* Every second page freed: no two neighbours, yet half of the budget must be usable as one run. */
static void fragmentation_costs_addresses_not_budget(void **state)
{
    (void)state;
    struct space space = space_of(1000);
    space.limit += 500 * sizeof(struct page); /* addresses have descriptors */
    space.budget = space.limit;
    struct pages p;
    pages_init(&p, &space);
    uint32_t page[1000];
    for (int i = 0; i < 1000; i++) {
        page[i] = pages_take(&p, 1, PAGE_SLAB);
        memset(pages_at(&p, page[i]), i, STORE_PAGE);
    }
    for (int i = 0; i < 1000; i += 2) {
        pages_give(&p, page[i]);
    }
    uint32_t big = pages_take(&p, 500, PAGE_LARGE);
    assert_int_not_equal(big, 0);
    memset(pages_at(&p, big), 0xff, 500 * (size_t)STORE_PAGE);
    for (int i = 1; i < 1000; i += 2) {
        assert_int_equal(*(unsigned char *)pages_at(&p, page[i]), i & 0xff);
    }
    assert_true(space_used(&space) <= space.budget);
    pages_validate(&p);
    pages_fini(&p);
}

static void trimming_gives_the_budget_back(void **state)
{
    (void)state;
    struct space space = space_of(100);
    struct pages p;
    pages_init(&p, &space);
    uint32_t first = pages_take(&p, 40, PAGE_LARGE);
    uint32_t second = pages_take(&p, 40, PAGE_LARGE);
    pages_give(&p, first);
    uint64_t used = space_used(&space);
    pages_trim(&p, 0);
    assert_int_equal(space_used(&space), used - 40 * STORE_PAGE);
    assert_int_equal(p.hollow, 40);
    pages_give(&p, second);
    pages_validate(&p);
    pages_fini(&p);
}

static void a_run_grows_and_shrinks_where_it_stands(void **state)
{
    (void)state;
    struct space space = space_of(100);
    struct pages p;
    pages_init(&p, &space);
    uint32_t run = pages_take(&p, 10, PAGE_LARGE);
    assert_true(pages_resize(&p, run, 20)); /* into the top */
    uint32_t wall = pages_take(&p, 1, PAGE_SLAB);
    assert_false(pages_resize(&p, run, 21));
    assert_true(pages_resize(&p, run, 5));
    assert_int_equal(p.free, 15);
    assert_true(pages_resize(&p, run, 20)); /* into the free run beside */
    assert_int_equal(p.free, 0);
    assert_true(pages_resize(&p, run, 4));
    pages_trim(&p, 0);
    assert_true(pages_resize(&p, run, 20)); /* into the hollow one */
    assert_int_equal(p.hollow, 0);
    pages_give(&p, wall);
    pages_validate(&p);
    pages_fini(&p);
}

struct held {
    uint32_t page;
    uint32_t len;
};

static void random_taking_and_giving_never_overlaps(void **state)
{
    (void)state;
    uint64_t random = test_seed("pages");
    struct space space = space_of(4000);
    struct pages p;
    pages_init(&p, &space);
    struct held held[RUNS] = {0};
    for (int i = 0; i < 50000; i++) {
        struct held *h = &held[test_random(&random) % RUNS];
        uint64_t what = test_random(&random) % 100;
        uint32_t len = 1 + (uint32_t)(test_random(&random) % (what < 90 ? 20 : 300));
        if (h->page == 0) {
            h->page = pages_take(&p, len, PAGE_LARGE);
            h->len = len;
        } else if (what < 20 && pages_resize(&p, h->page, len)) {
            h->len = len;
        } else {
            for (uint32_t k = 0; k<h->len; k += h->len> 1 ? h->len - 1 : 1) {
                uint32_t *mark = pages_at(&p, h->page + k);
                assert_true(*mark == 0 || *mark == h->page);
                *mark = 0;
            }
            pages_give(&p, h->page);
            *h = (struct held){0};
        }
        if (h->page != 0) {
            *(uint32_t *)pages_at(&p, h->page) = h->page;
            *(uint32_t *)pages_at(&p, h->page + h->len - 1) = h->page;
        }
        if (what == 99) {
            pages_trim(&p, 50);
        }
        assert_true(space_used(&space) <= space.budget);
        if (i % 1000 == 0) {
            pages_validate(&p);
        }
    }
    pages_fini(&p);
    assert_int_equal(space_used(&space), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_untouched_heap_owns_nothing),
        cmocka_unit_test(a_full_budget_gives_no_page_and_a_returned_one_is_given_again),
        cmocka_unit_test(fragmentation_costs_addresses_not_budget),
        cmocka_unit_test(trimming_gives_the_budget_back),
        cmocka_unit_test(a_run_grows_and_shrinks_where_it_stands),
        cmocka_unit_test(random_taking_and_giving_never_overlaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
