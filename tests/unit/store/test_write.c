/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing one key: what is written is read back, and what fails changes nothing. */
#include "store_test.h"

static char bytes[4 * MB];

static void fill_bytes(void)
{
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i * 31 + i / 253);
    }
}

static void keys_and_values_are_any_bytes_of_any_length(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 64ULL * MB, false, NULL);
    size_t keys[] = {0, 1, 2, 254, 255, 256, 5000, MB};
    size_t values[] = {0, 1, 7, 100, 513, 4096, 32768, 65536, 3 * MB};
    for (int turn = 0; turn < 2; turn++) {
        for (size_t k = 0; k < array_len(keys); k++) {
            for (size_t v = 0; v < array_len(values); v++) {
                struct slice key = {bytes, keys[k]};
                struct slice value = {bytes + turn, values[v]};
                assert_int_equal(rig_put(&r, 0, key, value, 0), ERR_OK);
                struct store_hold h;
                rig_hold(&r, 0, key, &h);
                const struct store_item *it = store_lookup(&h, NULL);
                assert_true(slice_eq(store_item_key(it), key));
                assert_true(slice_eq(store_item_value(it), value));
                assert_true(store_item_bytes(it) >= key.len + value.len);
                store_drop(&h);
            }
        }
        assert_int_equal(store_db_size(r.store, 0), array_len(keys));
        rig_validate(&r);
    }
    rig_close(&r);
}

static void a_put_replaces_everything(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4ULL * MB, true, NULL);
    fresh_dep deps[] = {1, 2};
    struct store_write w = {.value = SLICE("old"),
                            .expiry_ms = r.now_ms + 100,
                            .stamp = 77,
                            .deps = deps,
                            .dep_count = 2};
    assert_int_equal(rig_write(&r, 0, SLICE("k"), &w), ERR_OK);
    rig_set(&r, "k", "new");
    struct store_hold h;
    rig_hold(&r, 0, SLICE("k"), &h);
    const struct store_item *it = store_peek(&h, NULL);
    uint32_t count;
    assert_int_equal(store_item_expiry(it), 0);
    assert_int_equal(store_item_stamp(it), 0);
    assert_null(store_item_deps(it, &count));
    assert_int_equal(count, 0);
    store_drop(&h);
    r.now_ms += 1000;
    assert_true(rig_has(&r, 0, SLICE("k"), "new"));
    rig_close(&r);
}

static void removing_tells_whether_the_key_was_there(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4ULL * MB, true, NULL);
    assert_false(rig_remove(&r, 0, SLICE("k")));
    rig_set(&r, "k", "v");
    assert_true(rig_remove(&r, 0, SLICE("k")));
    assert_false(rig_remove(&r, 0, SLICE("k")));
    assert_int_equal(rig_put(&r, 0, SLICE("k"), SLICE("v"), r.now_ms + 1), ERR_OK);
    r.now_ms += 1;
    assert_false(rig_remove(&r, 0, SLICE("k")));
    assert_int_equal(store_db_size(r.store, 0), 0);
    rig_close(&r);
}

static void an_expiry_comes_changes_and_goes_without_touching_the_value(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 16ULL * MB, false, NULL);
    size_t lens[] = {0, 1, 5, 6, 7, 8, 100, 489, 490, 600, 32700, 32752, 32760, 100000, MB};
    assert_false(rig_expire(&r, 0, SLICE("absent"), r.now_ms + 5));
    for (size_t i = 0; i < array_len(lens); i++) {
        struct slice key = {bytes + i, 8};
        struct slice value = {bytes, lens[i]};
        assert_int_equal(rig_put(&r, 0, key, value, 0), ERR_OK);
        uint64_t expiries[] = {r.now_ms + 500, r.now_ms + 900, 0, 0, r.now_ms + 700};
        for (size_t e = 0; e < array_len(expiries); e++) {
            assert_true(rig_expire(&r, 0, key, expiries[e]));
            struct store_hold h;
            rig_hold(&r, 0, key, &h);
            const struct store_item *it = store_peek(&h, NULL);
            assert_int_equal(store_item_expiry(it), expiries[e]);
            assert_true(slice_eq(store_item_value(it), value));
            store_drop(&h);
        }
    }
    rig_validate(&r);
    r.now_ms += 700;
    for (size_t i = 0; i < array_len(lens); i++) {
        assert_true(rig_has(&r, 0, (struct slice){bytes + i, 8}, NULL));
    }
    rig_close(&r);
}

static void an_expiry_in_the_past_makes_the_key_absent(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4ULL * MB, true, NULL);
    rig_set(&r, "k", "v");
    assert_true(rig_expire(&r, 0, SLICE("k"), r.now_ms));
    assert_true(rig_has(&r, 0, SLICE("k"), NULL));
    rig_close(&r);
}

static void a_value_beyond_the_budget_is_refused_and_the_old_one_stays(void **state)
{
    (void)state;
    struct rig r;
    for (int evict = 0; evict < 2; evict++) {
        rig_open(&r, MB, evict != 0, NULL);
        rig_set(&r, "k", "old");
        rig_set(&r, "other", "stays");
        assert_int_equal(rig_put(&r, 0, SLICE("k"), (struct slice){bytes, MB}, 0), ERR_NOSPACE);
        assert_int_equal(rig_put(&r, 0, SLICE("n"), (struct slice){bytes, 2 * MB}, 0), ERR_NOSPACE);
        struct store_hold h;
        char *value;
        struct store_write meta = {.expiry_ms = 0};
        rig_hold(&r, 0, SLICE("k"), &h);
        assert_int_equal(store_edit(&h, 3 * (size_t)MB, &meta, &value), ERR_NOSPACE);
        store_drop(&h);
        assert_true(rig_has(&r, 0, SLICE("k"), "old"));
        assert_true(rig_has(&r, 0, SLICE("n"), NULL));
        assert_true(rig_has(&r, 0, SLICE("other"), "stays"));
        rig_close(&r);
    }
}

static void a_value_longer_than_any_may_be_is_too_big(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4ULL * MB, true, NULL);
    struct slice endless = {bytes, 512ULL * MB + 1};
    assert_int_equal(rig_put(&r, 0, SLICE("k"), endless, 0), ERR_TOO_BIG);
    struct store_hold h;
    char *value;
    struct store_write meta = {.expiry_ms = 0};
    rig_hold(&r, 0, SLICE("k"), &h);
    assert_int_equal(store_edit(&h, endless.len, &meta, &value), ERR_TOO_BIG);
    store_drop(&h);
    rig_close(&r);
}

/* RENAME and COPY: the value is read from one item while room for the other is made, in a store so
 * full that room means moving and evicting. */
static void a_value_may_be_a_slice_of_a_stored_item(void **state)
{
    (void)state;
    struct rig r;
    uint64_t random = test_seed("copy");
    rig_open(&r, 2ULL * MB, true, NULL);
    for (uint32_t i = 0; i < 30000; i++) {
        char from[32];
        char to[32];
        struct slice key = {from, (size_t)snprintf(from, sizeof(from), "from:%u", i % 1000)};
        struct slice copy = {to, (size_t)snprintf(to, sizeof(to), "to:%u", i % 777)};
        size_t len = test_random(&random) % (i % 50 == 0 ? 90000 : 900);
        struct slice value = {bytes + test_random(&random) % MB, len};
        assert_int_equal(rig_put(&r, 0, key, value, 0), ERR_OK);
        store_own(r.store, r.gate);
        struct store_hold source;
        struct store_hold target;
        rig_hold(&r, 0, key, &source);
        rig_hold(&r, 1, copy, &target);
        struct store_write w = {.value = store_item_value(store_peek(&source, NULL))};
        enum err e = store_put(&target, &w);
        assert_int_equal(e, ERR_OK);
        assert_true(slice_eq(store_item_value(store_peek(&target, NULL)), value));
        store_drop(&target);
        store_drop(&source);
        store_disown(r.store, r.gate);
    }
    rig_close(&r);
}

static void a_value_may_be_a_slice_of_the_value_it_replaces(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 16ULL * MB, true, NULL);
    size_t lens[] = {10, 100, 1000, 40000, 200000};
    for (size_t i = 0; i < array_len(lens); i++) {
        for (size_t cut = 0; cut < lens[i]; cut += 1 + lens[i] / 7) {
            assert_int_equal(rig_put(&r, 0, SLICE("k"), (struct slice){bytes, lens[i]}, 0), ERR_OK);
            struct store_hold h;
            rig_hold(&r, 0, SLICE("k"), &h);
            struct slice part = slice_from(store_item_value(store_peek(&h, NULL)), cut);
            struct store_write w = {.value = part, .expiry_ms = r.now_ms + 9};
            assert_int_equal(store_put(&h, &w), ERR_OK);
            struct slice want = {bytes + cut, lens[i] - cut};
            assert_true(slice_eq(store_item_value(store_peek(&h, NULL)), want));
            store_drop(&h);
        }
    }
    rig_close(&r);
}

/* Growing by a little must not copy everything each time: most steps leave the value where it is,
 * even with neighbours in the way. */
static void appending_to_a_long_value_seldom_moves_it(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 256ULL * MB, false, NULL);
    const char *before = NULL;
    uint32_t moves = 0;
    uint32_t steps = 0;
    for (size_t len = 100000; len < 2 * (size_t)MB; len += 5000, steps++) {
        struct store_hold h;
        struct store_write meta = {.expiry_ms = 0};
        char *value;
        rig_hold(&r, 0, SLICE("log"), &h);
        assert_int_equal(store_edit(&h, len, &meta, &value), ERR_OK);
        moves += value != before;
        before = value;
        value[len - 1] = 'x';
        store_drop(&h);
        for (uint32_t i = 0; i < 8; i++) {
            char name[32];
            struct slice key = {name, (size_t)snprintf(name, sizeof(name), "n%u.%u", steps, i)};
            assert_int_equal(rig_put(&r, 0, key, (struct slice){bytes, 36000}, 0), ERR_OK);
        }
    }
    assert_true(moves * 8 < steps);
    rig_close(&r);
}

int main(void)
{
    hash_setup();
    fill_bytes();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_values_are_any_bytes_of_any_length),
        cmocka_unit_test(a_put_replaces_everything),
        cmocka_unit_test(removing_tells_whether_the_key_was_there),
        cmocka_unit_test(an_expiry_comes_changes_and_goes_without_touching_the_value),
        cmocka_unit_test(an_expiry_in_the_past_makes_the_key_absent),
        cmocka_unit_test(a_value_beyond_the_budget_is_refused_and_the_old_one_stays),
        cmocka_unit_test(a_value_longer_than_any_may_be_is_too_big),
        cmocka_unit_test(a_value_may_be_a_slice_of_a_stored_item),
        cmocka_unit_test(a_value_may_be_a_slice_of_the_value_it_replaces),
        cmocka_unit_test(appending_to_a_long_value_seldom_moves_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
