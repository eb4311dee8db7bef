/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots of size classes: aligned, narrow, never overlapping, and their pages return. */
#include "store_test.h"

#include "store/slab.h"

enum { PIECES = 3000 };

struct slab_rig {
    struct space space;
    struct slab slab;
};

static void slab_open(struct slab_rig *r, uint64_t budget)
{
    memset(r, 0, sizeof(*r));
    r->space.limit = budget;
    r->space.budget = budget;
    slab_init(&r->slab, &r->space, 1);
}

static void slab_close(struct slab_rig *r)
{
    slab_validate(&r->slab);
    slab_fini(&r->slab);
    assert_int_equal(space_used(&r->space), 0);
}

static void rounding_is_eight_bytes_for_small_and_a_sixteenth_for_large(void **state)
{
    (void)state;
    struct slab_rig r;
    slab_open(&r, 1024ULL * MB);
    size_t before = 0;
    for (size_t size = 8; size <= 200000; size++) {
        size_t round = slab_round(&r.slab, size);
        assert_true(round >= size && round >= before && round % 8 == 0);
        if (size <= 512) {
            assert_true(round - size < 8);
        } else if (size <= SLAB_MAX) {
            assert_true((round - size) * 16 < size);
        } else {
            assert_true(round - size < STORE_PAGE);
        }
        before = round;
    }
    slab_close(&r);
}

static void a_small_budget_has_fewer_classes(void **state)
{
    (void)state;
    uint32_t classes[3] = {0};
    uint64_t budgets[] = {1024ULL * MB, 16ULL * MB, MB};
    for (int i = 0; i < 3; i++) {
        struct slab_rig r;
        slab_open(&r, budgets[i]);
        for (size_t size = 8; size < SLAB_MAX; size = slab_round(&r.slab, size + 1)) {
            assert_true(slab_round(&r.slab, size) >= size);
            classes[i]++;
        }
        slab_close(&r);
    }
    assert_true(classes[0] >= 2 * classes[1] - 1 && classes[1] >= 2 * classes[2] - 1);
}

static void every_class_serves_its_sizes_and_wastes_little_of_its_runs(void **state)
{
    (void)state;
    struct slab_rig r;
    slab_open(&r, 64ULL * MB);
    for (size_t size = 8; size <= SLAB_MAX; size = slab_round(&r.slab, size + 1)) {
        uint32_t count = (uint32_t)(8ULL * MB / size < 5000 ? 8ULL * MB / size : 5000);
        for (uint32_t i = 0; i < count; i++) {
            char *ptr = slab_alloc(&r.slab, size);
            assert_non_null(ptr);
            assert_int_equal((uintptr_t)ptr % 8, 0);
            assert_int_equal(slab_bytes(&r.slab, ptr), slab_round(&r.slab, size));
            assert_int_equal(ptr[7], 0); /* not an item yet */
            memset(ptr, 0x5a, size);
        }
        size_t ideal = count * slab_round(&r.slab, size);
        size_t run = (size_t)32 * STORE_PAGE; /* the last run may be new */
        assert_true(space_used(&r.space) <= ideal + ideal / 40 + run + run / 40);
        slab_reset(&r.slab);
    }
    slab_close(&r);
}

static void a_run_that_empties_gives_its_pages_back(void **state)
{
    (void)state;
    struct slab_rig r;
    slab_open(&r, 64ULL * MB);
    void *piece[1000];
    for (int i = 0; i < 1000; i++) {
        piece[i] = slab_alloc(&r.slab, 100);
    }
    for (int i = 0; i < 1000; i++) {
        slab_free(&r.slab, piece[i]);
    }
    slab_validate(&r.slab);
    assert_int_equal(r.slab.pages.free, r.slab.pages.top - 1);
    assert_int_equal(r.slab.bytes, 0);
    slab_close(&r);
}

static void a_spent_budget_lets_a_slightly_larger_slot_do(void **state)
{
    (void)state;
    struct slab_rig r;
    slab_open(&r, 2 * (STORE_PAGE + sizeof(struct page)));
    assert_non_null(slab_alloc(&r.slab, 128));
    assert_non_null(slab_alloc(&r.slab, 256));
    char *near = slab_alloc(&r.slab, 120); /* no run of its own: 128 has room */
    assert_non_null(near);
    assert_int_equal(slab_bytes(&r.slab, near), 128);
    assert_null(slab_alloc(&r.slab, 64)); /* 128 would be twice of what is needed */
    assert_null(slab_alloc(&r.slab, 5000));
    slab_free(&r.slab, near);
    slab_close(&r);
}

/* The best run for slots of 160 bytes has several pages; with one page left, one page will do. */
static void a_run_is_as_short_as_the_budget_demands(void **state)
{
    (void)state;
    struct slab_rig r;
    slab_open(&r, STORE_PAGE + sizeof(struct page));
    for (uint32_t i = 0; i < STORE_PAGE / 160; i++) {
        assert_non_null(slab_alloc(&r.slab, 160));
    }
    assert_null(slab_alloc(&r.slab, 160));
    slab_close(&r);
    slab_open(&r, 2 * (STORE_PAGE + sizeof(struct page))); /* 5,120 would like 4 pages */
    char *pair = slab_alloc(&r.slab, 5000);
    assert_non_null(pair);
    assert_int_equal(slab_bytes(&r.slab, pair), 2 * STORE_PAGE);
    slab_close(&r);
}

struct piece {
    unsigned char *ptr;
    size_t size;
    unsigned char mark;
};

static void check_piece(const struct piece *p)
{
    for (size_t i = 8; i<p->size; i += p->size> 600 ? 97 : 1) {
        assert_int_equal(p->ptr[i], p->mark);
    }
}

static void random_pieces_keep_their_bytes(void **state)
{
    (void)state;
    uint64_t random = test_seed("slab");
    struct slab_rig r;
    slab_open(&r, 6ULL * MB);
    struct piece *pieces = calloc(PIECES, sizeof(*pieces));
    uint32_t refused = 0;
    for (int i = 0; i < 200000; i++) {
        struct piece *p = &pieces[test_random(&random) % PIECES];
        if (p->ptr != NULL) {
            check_piece(p);
            slab_free(&r.slab, p->ptr);
            *p = (struct piece){0};
        } else {
            uint64_t what = test_random(&random) % 100;
            uint64_t most = what < 80 ? 600 : what < 98 ? 12000 : 150000;
            p->size = 8 + test_random(&random) % most;
            p->ptr = slab_alloc(&r.slab, p->size);
            p->mark = (unsigned char)test_random(&random);
            if (p->ptr != NULL) {
                memset(p->ptr, p->mark, p->size);
            }
            refused += p->ptr == NULL;
        }
        assert_true(space_used(&r.space) <= r.space.budget);
        if (i % 5000 == 0) {
            slab_validate(&r.slab);
        }
    }
    assert_true(refused > 0); /* the budget was met */
    free(pieces);
    slab_close(&r);
}

static void references_lead_back_to_their_addresses(void **state)
{
    (void)state;
    struct slab_rig r;
    slab_open(&r, 16ULL * MB);
    for (size_t size = 8; size < 100000; size = size * 3 / 2) {
        void *ptr = slab_alloc(&r.slab, size);
        assert_int_not_equal(slab_ref(&r.slab, ptr), 0);
        assert_ptr_equal(slab_at(&r.slab, slab_ref(&r.slab, ptr)), ptr);
    }
    slab_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_is_eight_bytes_for_small_and_a_sixteenth_for_large),
        cmocka_unit_test(a_small_budget_has_fewer_classes),
        cmocka_unit_test(every_class_serves_its_sizes_and_wastes_little_of_its_runs),
        cmocka_unit_test(a_run_that_empties_gives_its_pages_back),
        cmocka_unit_test(a_spent_budget_lets_a_slightly_larger_slot_do),
        cmocka_unit_test(a_run_is_as_short_as_the_budget_demands),
        cmocka_unit_test(random_pieces_keep_their_bytes),
        cmocka_unit_test(references_lead_back_to_their_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
