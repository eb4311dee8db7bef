/* SPDX-License-Identifier: BSD-3-Clause */
/* What an item costs beside its key and value, everything counted: deterministic, so it is
 * asserted. */
#include "store_test.h"

enum { ITEMS = 250 * 1000, ITEMS_EVICTING = 1000 * 1000, KEY = 16, VALUE = 100 };

/* Stores the items of one database; returns bytes a key beside key and value, at the worst moment
 * of the last half and at the end. */
static double bytes_beside(const struct store_write *like, bool evict, double *ret_worst)
{
    struct rig r;
    rig_open(&r, evict ? 132ULL * MB : 128ULL * MB, evict, NULL);
    double beside = 0;
    *ret_worst = 0;
    uint32_t items = evict ? ITEMS_EVICTING : ITEMS;
    for (uint32_t i = 0; i < items; i++) {
        char key[KEY + 1];
        (void)snprintf(key, sizeof(key), "key:%012u", i);
        assert_int_equal(rig_write(&r, 0, (struct slice){key, KEY}, like), ERR_OK);
        if (i % 10000 == 9999) {
            struct store_space_stats stats = rig_stats(&r, 0);
            beside = (double)stats.used_bytes / (double)stats.keys - KEY - VALUE;
            *ret_worst = i > items / 2 && beside > *ret_worst ? beside : *ret_worst;
        }
    }
    rig_close(&r);
    return beside;
}

static void an_item_costs_at_most_24_bytes_and_32_with_a_ttl(void **state)
{
    (void)state;
    static const char value[VALUE];
    fresh_dep deps[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct {
        const char *what;
        struct store_write like;
        double most;
    } cases[] = {
        {"plain", {.value = {value, VALUE}}, 24},
        {"ttl", {.value = {value, VALUE}, .expiry_ms = 1ULL << 40}, 32},
        {"followed, 2 dependencies",
         {.value = {value, VALUE}, .stamp = 1, .deps = deps, .dep_count = 2},
         24 + 8 + 2 * 4},
        {"followed, 10 dependencies, ttl",
         {.value = {value, VALUE},
          .stamp = 1,
          .deps = deps,
          .dep_count = 10,
          .expiry_ms = 1ULL << 40},
         32 + 8 + 10 * 4},
    };
    for (size_t i = 0; i < array_len(cases) + 2; i++) { /* the first two also while it evicts */
        bool evict = i >= array_len(cases);
        size_t at = evict ? i - array_len(cases) : i;
        const char *what = cases[at].what;
        double worst;
        double end = bytes_beside(&cases[at].like, evict, &worst);
        print_message("# %s%s: %.2f bytes beside key and value, %.2f at worst\n", what,
                      evict ? ", evicting" : "", end, worst);
        assert_true(worst <= cases[at].most + (evict ? 1 : 0)); /* what is free for a moment */
    }
}

static void figures_count_what_happened(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    for (uint32_t i = 0; i < 100; i++) {
        char key[16];
        struct slice name = {key, (size_t)snprintf(key, sizeof(key), "k%u", i)};
        assert_int_equal(rig_put(&r, i % 3, name, SLICE("v"), i < 30 ? r.now_ms + 1 : 0), ERR_OK);
    }
    r.now_ms += 1;
    for (uint32_t i = 0; i < 100; i++) {
        char key[16];
        struct slice name = {key, (size_t)snprintf(key, sizeof(key), "k%u", i)};
        assert_true(rig_has(&r, i % 3, name, i < 30 ? NULL : "v"));
    }
    struct store_space_stats stats = rig_stats(&r, 0);
    assert_int_equal(stats.keys, 70);
    assert_int_equal(stats.expired, 30);
    assert_int_equal(stats.evicted, 0);
    assert_int_equal(stats.outdated, 0);
    assert_int_equal(stats.budget_bytes, 8ULL * MB);
    assert_in_range(stats.item_bytes, 70 * 11, 70 * 24);
    assert_int_equal(rig_stats(&r, 1).keys, 0);
    assert_int_equal(rig_stats(&r, 1).used_bytes, 0);
    rig_close(&r);
}

static struct slice name_n(uint32_t n, char out[16])
{
    return (struct slice){out, (size_t)snprintf(out, 16, "k%u", n)};
}

/* Stores (or removes) keys until the space's use passes the mark. */
static uint32_t fill_to(struct rig *r, uint32_t n, uint64_t bytes)
{
    char key[16];
    static char value[1000];
    while (rig_stats(r, 0).used_bytes < bytes) {
        assert_int_equal(rig_put(r, 0, name_n(n++, key), (struct slice){value, sizeof(value)}, 0),
                         ERR_OK);
    }
    while (rig_stats(r, 0).used_bytes > bytes) {
        assert_true(rig_remove(r, 0, name_n(--n, key)));
        (void)store_expire_some(r->store, r->gate, r->now_ms); /* gives free pages back */
    }
    return n;
}

static void a_space_warns_once_for_each_time_it_comes_near_its_budget(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 100ULL * MB, true, NULL);
    struct {
        uint64_t percent;
        bool crosses;
    } steps[] = {{50, false}, {79, false}, {81, true}, {90, false}, {77, false},
                 {85, false}, {60, false}, {82, true}, {76, false}, {99, false}};
    uint32_t n = 0;
    uint64_t crossings = 0;
    for (size_t i = 0; i < array_len(steps); i++) {
        n = fill_to(&r, n, steps[i].percent * MB);
        assert_int_equal(store_space_crossed(r.store, 0), steps[i].crosses);
        assert_false(store_space_crossed(r.store, 0));
        crossings += steps[i].crosses;
        assert_int_equal(rig_stats(&r, 0).crossings, crossings);
        assert_int_equal(rig_stats(&r, 0).near_full, i >= 2 && steps[i].percent > 75);
    }
    assert_false(store_space_crossed(r.store, 1));
    rig_close(&r);
}

static void a_full_space_says_so_until_something_changes_in_it(void **state)
{
    (void)state;
    struct rig r;
    char key[16];
    static char value[5000];
    rig_open(&r, 2ULL * MB, false, NULL);
    uint32_t n = 0;
    assert_false(store_is_full(r.store, 0));
    while (rig_put(&r, 0, name_n(n, key), (struct slice){value, 1000}, 0) == ERR_OK) {
        assert_false(store_is_full(r.store, 0));
        n++;
    }
    assert_true(store_is_full(r.store, 0));
    assert_true(store_is_full(r.store, 2)); /* the same space */
    assert_false(store_is_full(r.store, 3));
    assert_true(rig_remove(&r, 0, name_n(0, key)));
    assert_false(store_is_full(r.store, 0));
    /* What is refused for its own size says nothing about others. */
    assert_int_equal(rig_put(&r, 0, name_n(n, key), (struct slice){value, 5000}, 0), ERR_NOSPACE);
    assert_false(store_is_full(r.store, 0));
    assert_int_equal(rig_stats(&r, 0).refused, 2);
    rig_close(&r);
}

static void keys_with_an_expiry_are_counted(void **state)
{
    (void)state;
    struct rig r;
    char key[16];
    rig_open(&r, 8ULL * MB, true, NULL);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(rig_put(&r, 0, name_n(i, key), SLICE("v"), i < 60 ? r.now_ms + 10 : 0),
                         ERR_OK);
    }
    assert_int_equal(store_db_expiring(r.store, 0), 60);
    assert_true(rig_expire(&r, 0, name_n(0, key), 0));
    assert_true(rig_expire(&r, 0, name_n(1, key), r.now_ms + 20));
    assert_true(rig_expire(&r, 0, name_n(99, key), r.now_ms + 20));
    assert_int_equal(store_db_expiring(r.store, 0), 60);
    assert_int_equal(rig_put(&r, 0, name_n(2, key), SLICE("w"), 0), ERR_OK); /* in place */
    assert_int_equal(rig_put(&r, 0, name_n(3, key), SLICE("a longer value"), 0), ERR_OK);
    assert_true(rig_remove(&r, 0, name_n(4, key)));
    assert_int_equal(store_db_expiring(r.store, 0), 57);
    r.now_ms += 15;
    for (uint32_t i = 0; i < 100; i++) {
        (void)rig_has(&r, 0, name_n(i, key), NULL);
    }
    assert_int_equal(store_db_expiring(r.store, 0), 2);
    rig_validate(&r);
    store_own(r.store, r.gate);
    store_db_flush(r.store, 0);
    store_disown(r.store, r.gate);
    assert_int_equal(store_db_expiring(r.store, 0), 0);
    rig_close(&r);
}

int main(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)puts("1..0 # SKIP millions of items, and figures of plain builds");
    return 0;
#endif
    hash_setup_seed(1); /* the bound is asserted: the same distribution each time */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_costs_at_most_24_bytes_and_32_with_a_ttl),
        cmocka_unit_test(figures_count_what_happened),
        cmocka_unit_test(a_space_warns_once_for_each_time_it_comes_near_its_budget),
        cmocka_unit_test(a_full_space_says_so_until_something_changes_in_it),
        cmocka_unit_test(keys_with_an_expiry_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
