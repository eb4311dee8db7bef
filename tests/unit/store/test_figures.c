/* SPDX-License-Identifier: BSD-3-Clause */
/* What an item costs beside its key and value, everything counted: deterministic, so it is
 * asserted. */
#include "store_test.h"

enum { ITEMS = 1000 * 1000, KEY = 16, VALUE = 100 };

/* Stores the items of one database; returns bytes a key beside key and value, at the worst moment
 * of the last half and at the end. */
static double bytes_beside(const struct store_write *like, bool evict, double *ret_worst)
{
    struct rig r;
    rig_open(&r, evict ? 132ULL * MB : 512ULL * MB, evict, NULL);
    double beside = 0;
    *ret_worst = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        char key[KEY + 1];
        (void)snprintf(key, sizeof(key), "key:%012u", i);
        assert_int_equal(rig_write(&r, 0, (struct slice){key, KEY}, like), ERR_OK);
        if (i % 10000 == 9999) {
            struct store_space_stats stats = rig_stats(&r, 0);
            beside = (double)stats.used_bytes / (double)stats.keys - KEY - VALUE;
            *ret_worst = i > ITEMS / 2 && beside > *ret_worst ? beside : *ret_worst;
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
    for (size_t i = 0; i < 2 * array_len(cases); i++) {
        const char *what = cases[i / 2].what;
        bool evict = i % 2 != 0;
        double worst;
        double end = bytes_beside(&cases[i / 2].like, evict, &worst);
        print_message("# %s%s: %.2f bytes beside key and value, %.2f at worst\n", what,
                      evict ? ", evicting" : "", end, worst);
        assert_true(worst <= cases[i / 2].most + (evict ? 1 : 0)); /* what is free for a moment */
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

int main(void)
{
    hash_setup_seed(1); /* the bound is asserted: the same distribution each time */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_costs_at_most_24_bytes_and_32_with_a_ttl),
        cmocka_unit_test(figures_count_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
