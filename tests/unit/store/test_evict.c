/* SPDX-License-Identifier: BSD-3-Clause */
/* Making room: the budget holds, the dead go first, what is used stays, memory flows between sizes.
 */
#include "store_test.h"

static char bytes[MB];

static enum err put_n(struct rig *r, uint32_t db, const char *kind, uint32_t n, size_t len,
                      uint64_t expiry_ms)
{
    char key[48];
    size_t key_len = (size_t)snprintf(key, sizeof(key), "%s:%u", kind, n);
    return rig_put(r, db, (struct slice){key, key_len}, (struct slice){bytes, len}, expiry_ms);
}

/* Looks the key up as a client does: counts a hit. */
static bool get_n(struct rig *r, uint32_t db, const char *kind, uint32_t n)
{
    char key[48];
    size_t key_len = (size_t)snprintf(key, sizeof(key), "%s:%u", kind, n);
    struct store_hold h;
    rig_hold(r, db, (struct slice){key, key_len}, &h);
    bool found = store_lookup(&h, NULL) != NULL;
    store_drop(&h);
    return found;
}

static uint32_t count_n(struct rig *r, uint32_t db, const char *kind, uint32_t below)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < below; i++) {
        found += get_n(r, db, kind, i);
    }
    return found;
}

static void the_budget_holds_at_every_step_for_any_sizes(void **state)
{
    (void)state;
    uint64_t random = test_seed("budget");
    uint64_t budgets[] = {64 * 1024, 300 * 1024, MB, 5ULL * MB, 20ULL * MB};
    for (size_t b = 0; b < array_len(budgets); b++) {
        struct rig r;
        rig_open(&r, budgets[b], true, NULL);
        for (uint32_t i = 0; i < 30000; i++) {
            uint64_t scale = test_random(&random) % 20;
            size_t most = scale == 0 ? budgets[b] / 2 : scale < 4 ? 10000 : 400;
            size_t len = test_random(&random) % most % sizeof(bytes);
            enum err e = put_n(&r, i % 3, "k", (uint32_t)(test_random(&random) % 20000), len, 0);
            assert_true(e == ERR_OK || len > budgets[b] / 8);
            struct store_space_stats stats = rig_stats(&r, 0);
            assert_true(stats.used_bytes <= budgets[b]);
            assert_true(stats.item_bytes <= stats.used_bytes);
        }
        assert_true(rig_stats(&r, 0).evicted > 0);
        rig_close(&r);
    }
}

static void most_of_the_budget_is_used_for_items(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 16ULL * MB, true, NULL);
    for (uint32_t i = 0; i < 200000; i++) {
        assert_int_equal(put_n(&r, 0, "key", i, 100 + i % 64, 0), ERR_OK);
    }
    struct store_space_stats stats = rig_stats(&r, 0);
    assert_true(stats.item_bytes > stats.budget_bytes / 100 * 88);
    rig_close(&r);
}

static void the_expired_leave_before_the_living(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    uint32_t n = 0;
    while (rig_stats(&r, 0).used_bytes < 7 * (uint64_t)MB) {
        bool is_short = n % 2 == 0;
        assert_int_equal(
            put_n(&r, 0, is_short ? "short" : "long", n / 2, 100, is_short ? r.now_ms + 10 : 0),
            ERR_OK);
        n++;
    }
    r.now_ms += 5000;
    for (uint32_t i = 0; i < n / 2; i++) {
        assert_int_equal(put_n(&r, 0, "next", i, 100, 0), ERR_OK);
    }
    assert_int_equal(rig_stats(&r, 0).evicted, 0);
    assert_int_equal(count_n(&r, 0, "long", n / 2), n / 2);
    rig_close(&r);
}

static void the_outdated_leave_first_from_the_run_under_the_hand(void **state)
{
    role_assume(&follower_role);
    (void)state;
    struct fresh_options options = {.slots = 1 << 16, .max_stale_ms = UINT32_MAX};
    struct fresh *fresh = fresh_create(&options);
    fresh_new_epoch(fresh, 1);
    fresh_open(fresh);
    struct rig r;
    rig_open(&r, 4ULL * MB, true, fresh);
    fresh_proof(fresh, r.now_ms);
    fresh_dep dep = 9;
    uint32_t n = 0;
    for (; rig_stats(&r, 0).used_bytes < 4 * (uint64_t)MB - 128 * 1024; n++) {
        char key[32];
        struct slice slice = {key, (size_t)snprintf(key, sizeof(key), "f:%u", n)};
        struct store_write w = {.value = {bytes, 100}};
        if (n % 4 == 0) {
            w.stamp = fresh_stamp(fresh);
            w.deps = &dep;
            w.dep_count = 1;
            w.value.len = 88; /* the same class */
        }
        assert_int_equal(rig_write(&r, 0, slice, &w), ERR_OK);
    }
    (void)fresh_local_event(fresh, &dep, 1);
    for (uint32_t i = 0; i < n / 8; i++) {
        assert_int_equal(put_n(&r, 0, "next", i, 100, 0), ERR_OK);
    }
    struct store_space_stats stats = rig_stats(&r, 0);
    assert_true(stats.outdated > 0);
    assert_int_equal(stats.evicted, 0);
    rig_close(&r);
    fresh_destroy(&fresh);
}

static void what_is_asked_for_survives_a_flood_of_what_is_not(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    enum { HOT = 5000, FLOOD = 300000 };
    for (uint32_t i = 0; i < HOT; i++) {
        assert_int_equal(put_n(&r, 0, "hot", i, 100, 0), ERR_OK);
    }
    for (uint32_t i = 0; i < FLOOD; i++) {
        assert_int_equal(put_n(&r, 0, "flood", i, 100, 0), ERR_OK);
        (void)get_n(&r, 0, "hot", i % HOT);
        (void)get_n(&r, 0, "hot", i * 7 % HOT);
    }
    assert_true(rig_stats(&r, 0).evicted > FLOOD / 2);
    print_message("# hot %u\n", count_n(&r, 0, "hot", HOT));
    assert_true(count_n(&r, 0, "hot", HOT) > HOT * 99 / 100);
    rig_close(&r);
}

/* Asks for `count` keys twice, storing what is missing; returns how many were there. */
static uint32_t ask_twice(struct rig *r, const char *kind, uint32_t count, size_t len)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (get_n(r, 0, kind, i)) {
            found++;
        } else {
            assert_int_equal(put_n(r, 0, kind, i, len, 0), ERR_OK);
        }
        (void)get_n(r, 0, kind, i);
    }
    return found;
}

/* As often asked for as small ones, a large item pays for the room of many and leaves before them.
 */
static void a_large_item_must_earn_its_room(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    uint32_t small = 0;
    uint32_t large = 0;
    for (uint32_t round = 0; round < 20; round++) {
        small += ask_twice(&r, "small", 2000, 100);
        large += ask_twice(&r, "large", 50, 20000);
        for (uint32_t i = 0; i < 25000; i++) {
            uint32_t n = round * 25000 + i; /* asked for often enough to get into main */
            assert_int_equal(put_n(&r, 0, "flood", n, 300, 0), ERR_OK);
            (void)get_n(&r, 0, "flood", n);
            (void)get_n(&r, 0, "flood", n);
        }
    }
    print_message("# small %u large %u\n", small, large);
    assert_true(small > 19 * 2000 * 60 / 100);
    assert_true(large < 19 * 50 * 30 / 100);
    rig_close(&r);
}

static void memory_flows_to_the_sizes_that_are_stored_now(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    size_t lens[] = {40, 2000, 100, 50000, 500, 150000, 30};
    for (size_t i = 0; i < array_len(lens); i++) {
        uint32_t fits = (uint32_t)(8ULL * MB / (lens[i] + 100));
        for (uint32_t n = 0; n < fits * 3; n++) {
            assert_int_equal(put_n(&r, 0, "k", n, lens[i], 0), ERR_OK);
        }
        uint32_t have = count_n(&r, 0, "k", fits * 3);
        print_message("# %zu bytes: %u of %u\n", lens[i], have, fits);
        assert_true(have > fits * 7 / 10);
        rig_validate(&r);
    }
    rig_close(&r);
}

/* A value of more than its shard's share of the budget takes room from the other shards. */
static void a_value_nearly_as_large_as_the_budget_finds_room(void **state)
{
    (void)state;
    struct rig r;
    static char large[7 * MB];
    rig_open(&r, 8ULL * MB, true, NULL);
    for (uint32_t i = 0; i < 100000; i++) {
        assert_int_equal(put_n(&r, i % 3, "small", i, 100, 0), ERR_OK);
    }
    for (uint32_t i = 0; i < 8; i++) {
        char key[] = {(char)('a' + i)};
        assert_int_equal(
            rig_put(&r, 1, (struct slice){key, 1}, (struct slice){large, sizeof(large)}, 0),
            ERR_OK);
    }
    for (uint32_t i = 0; i < 20000; i++) {
        assert_int_equal(put_n(&r, 0, "small", i, 100, 0), ERR_OK);
    }
    assert_true(count_n(&r, 0, "small", 20000) > 10000);
    rig_close(&r);
}

static void a_space_that_never_evicts_refuses_when_full_and_accepts_after_a_removal(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 2ULL * MB, true, NULL);
    uint32_t n = 0;
    while (put_n(&r, 3, "job", n, 200, 0) == ERR_OK) {
        n++;
    }
    assert_true(n > 2 * MB / 300);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_not_equal(put_n(&r, 3, "more", i, 5000, 0), ERR_OK);
    }
    assert_int_equal(count_n(&r, 3, "job", n), n);
    assert_int_equal(rig_stats(&r, 1).evicted, 0);
    assert_int_equal(put_n(&r, 0, "cache", 1, 200, 0), ERR_OK); /* the other space has its own */
    for (uint32_t i = 0; i < n; i += 2) {
        char key[48];
        size_t len = (size_t)snprintf(key, sizeof(key), "job:%u", i);
        assert_true(rig_remove(&r, 3, (struct slice){key, len}));
    }
    /* Every second slot is free: gathered, they hold values of another size. */
    for (uint32_t i = 0; i < 2 * MB / 5 / 5200; i++) {
        assert_int_equal(put_n(&r, 3, "more", i, 5000, 0), ERR_OK);
    }
    rig_close(&r);
}

static void a_full_space_that_never_evicts_still_lets_its_expired_go(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 2ULL * MB, false, NULL);
    uint32_t n = 0;
    while (put_n(&r, 0, "k", n, 200, n % 2 == 0 ? r.now_ms + 100 : 0) == ERR_OK) {
        n++;
    }
    r.now_ms += 3000;
    for (uint32_t i = 0; i < n / 3; i++) {
        assert_int_equal(put_n(&r, 0, "next", i, 200, 0), ERR_OK);
    }
    assert_int_equal(rig_stats(&r, 0).evicted, 0);
    rig_close(&r);
}

int main(void)
{
    hash_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_holds_at_every_step_for_any_sizes),
        cmocka_unit_test(most_of_the_budget_is_used_for_items),
        cmocka_unit_test(the_expired_leave_before_the_living),
        cmocka_unit_test(the_outdated_leave_first_from_the_run_under_the_hand),
        cmocka_unit_test(what_is_asked_for_survives_a_flood_of_what_is_not),
        cmocka_unit_test(a_large_item_must_earn_its_room),
        cmocka_unit_test(memory_flows_to_the_sizes_that_are_stored_now),
        cmocka_unit_test(a_value_nearly_as_large_as_the_budget_finds_room),
        cmocka_unit_test(a_space_that_never_evicts_refuses_when_full_and_accepts_after_a_removal),
        cmocka_unit_test(a_full_space_that_never_evicts_still_lets_its_expired_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
