/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every place where memory can run out, in turn: the same script runs in a budget that allows one
 * more page each time, until it passes untouched. Whatever fails must have changed nothing.
 */
#include "store_test.h"

enum { KEYS = 40 };

static char bytes[120000];

struct want {
    bool present;
    size_t len;
    uint64_t expiry_ms;
};

static struct slice key_n(uint32_t n, char out[400])
{
    size_t len = (size_t)snprintf(out, 400, "%u", n);
    size_t pad = n % 5 == 0 ? 300 : 0;
    memset(out + len, '.', pad);
    return (struct slice){out, len + pad};
}

static void check_kept(struct rig *r, const struct want *want)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        char key[400];
        struct store_hold h;
        rig_hold(r, 0, key_n(i, key), &h);
        const struct store_item *it = store_peek(&h, NULL);
        assert_int_equal(it != NULL, want[i].present);
        if (it != NULL) {
            assert_true(slice_eq(store_item_value(it), (struct slice){bytes, want[i].len}));
            assert_int_equal(store_item_expiry(it), want[i].expiry_ms);
        }
        count += want[i].present;
        store_drop(&h);
    }
    assert_int_equal(store_db_size(r->store, 0), count);
    rig_validate(r);
}

/* One operation; true when it had the memory. Keeps `w` in step. */
static bool try_one(struct rig *r, uint32_t turn, uint32_t n, struct want *w)
{
    static const size_t lens[] = {5, 100, 9, 700, 40, 5000, 33000, 110000, 3};
    size_t len = lens[(turn + n) % array_len(lens)];
    char key[400];
    struct store_hold h;
    rig_hold(r, 0, key_n(n, key), &h);
    enum err e = ERR_OK;
    if (turn % 3 == 0) {
        struct store_write put = {.value = {bytes, len}};
        e = store_put(&h, &put);
        *w = e == ERR_OK ? (struct want){true, len, 0} : *w;
    } else if (turn % 3 == 1) {
        struct store_write meta = {.expiry_ms = r->now_ms + 50};
        char *value;
        e = store_edit(&h, len, &meta, &value);
        if (e == ERR_OK) {
            memcpy(value, bytes, len);
            *w = (struct want){true, len, w->present ? w->expiry_ms : meta.expiry_ms};
        }
    } else {
        bool found = false;
        e = store_expire(&h, r->now_ms + 90 + n, &found);
        w->expiry_ms = e == ERR_OK && found ? r->now_ms + 90 + n : w->expiry_ms;
    }
    store_drop(&h);
    assert_true(e == ERR_OK || e == ERR_NOSPACE);
    return e == ERR_OK;
}

static uint32_t run_script(uint64_t budget)
{
    struct rig r;
    struct want want[KEYS] = {0};
    uint32_t refused = 0;
    rig_open(&r, budget, false, NULL);
    for (uint32_t turn = 0; turn < 6; turn++) {
        for (uint32_t n = 0; n < KEYS; n++) {
            refused += !try_one(&r, turn, n, &want[n]);
            struct store_space_stats stats = rig_stats(&r, 0);
            assert_true(stats.used_bytes <= budget);
        }
        check_kept(&r, want);
    }
    rig_close(&r);
    return refused;
}

static void a_write_without_room_changes_nothing_wherever_it_runs_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i % 251);
    }
    uint32_t refused = run_script(0);
    assert_true(refused > 0);
    uint64_t budget = 1000;
    while (refused > 0) {
        refused = run_script(budget);
        budget += 4096 + (budget > 300000 ? 60000 : 0);
        assert_true(budget < 32 * (uint64_t)MB);
    }
}

static uint64_t used(const struct rig *r)
{
    struct store_space_stats st;
    store_space_stats(r->store, 0, &st);
    return st.used_bytes;
}

static void limit(struct rig *r, uint64_t bytes)
{
    store_own(r->store, r->gate);
    store_space_limit(r->store, 0, bytes);
    while (store_shrink(r->store, 0, r->now_ms)) {
    }
    store_disown(r->store, r->gate);
}

static void fill(struct rig *r, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char key[16];
        struct store_write w = {.value = {bytes, 1000}};
        int len = snprintf(key, sizeof(key), "%u", i);
        (void)rig_write(r, 0, (struct slice){key, (size_t)len}, &w);
    }
}

static void a_lower_limit_is_reached_by_evicting_and_kept(void **state)
{
    struct rig r;
    rig_open(&r, 16 * MB, true, NULL);
    fill(&r, 8000);
    assert_true(used(&r) > 7 * MB);
    limit(&r, 2 * MB);
    assert_true(used(&r) <= 2 * MB);
    assert_in_range(store_db_size(r.store, 0), 500, 2000);
    assert_false(store_is_full(r.store, 0));
    fill(&r, 8000);
    assert_true(used(&r) <= 2 * MB);
    limit(&r, 1);
    assert_int_equal(store_db_size(r.store, 0), 0);
    limit(&r, 0);
    fill(&r, 8000);
    assert_int_equal(store_db_size(r.store, 0), 8000);
    rig_close(&r);
}

static void beyond_a_lower_limit_what_does_not_evict_is_full(void **state)
{
    struct rig r;
    rig_open(&r, 16 * MB, false, NULL);
    fill(&r, 4000);
    limit(&r, 1 * MB);
    assert_int_equal(store_db_size(r.store, 0), 4000);
    assert_true(store_is_full(r.store, 0));
    assert_false(store_is_full(r.store, 3));
    limit(&r, 100ULL * MB);
    assert_false(store_is_full(r.store, 0));
    fill(&r, 8000);
    assert_int_equal(store_db_size(r.store, 0), 8000);
    rig_close(&r);
}

int main(void)
{
    hash_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lower_limit_is_reached_by_evicting_and_kept),
        cmocka_unit_test(beyond_a_lower_limit_what_does_not_evict_is_full),
        cmocka_unit_test(a_write_without_room_changes_nothing_wherever_it_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
