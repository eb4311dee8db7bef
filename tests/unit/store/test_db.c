/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole databases: size, flush, swap, scan, random key. */
#include "store_test.h"

enum { KEYS = 40000 };

static struct slice key_n(uint32_t n, char out[32])
{
    return (struct slice){out, (size_t)snprintf(out, 32, "key:%u", n)};
}

static void put_n(struct rig *r, uint32_t db, uint32_t n)
{
    char key[32];
    assert_int_equal(rig_put(r, db, key_n(n, key), SLICE("value"), 0), ERR_OK);
}

static void own(struct rig *r)
{
    store_own(r->store, r->gate);
}

static void disown(struct rig *r)
{
    store_disown(r->store, r->gate);
}

static void flushing_empties_one_database_and_only_that(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 64ULL * MB, false, NULL);
    for (uint32_t i = 0; i < 5000; i++) {
        put_n(&r, 0, i);
        put_n(&r, 1, i);
        put_n(&r, 3, i);
    }
    own(&r);
    store_db_flush(r.store, 0);
    disown(&r);
    assert_int_equal(store_db_size(r.store, 0), 0);
    assert_int_equal(store_db_size(r.store, 1), 5000);
    assert_int_equal(store_db_size(r.store, 3), 5000);
    assert_true(rig_has(&r, 0, SLICE("key:7"), NULL));
    assert_true(rig_has(&r, 1, SLICE("key:7"), "value"));
    rig_validate(&r);
    uint64_t used = rig_stats(&r, 0).used_bytes;
    own(&r);
    store_db_flush(r.store, 1); /* the last of its space: the memory goes back at once */
    store_db_flush(r.store, 3);
    disown(&r);
    assert_true(used > 0);
    assert_int_equal(rig_stats(&r, 0).used_bytes, 0);
    assert_int_equal(rig_stats(&r, 1).used_bytes, 0);
    put_n(&r, 1, 9);
    assert_true(rig_has(&r, 1, SLICE("key:9"), "value"));
    rig_close(&r);
}

static void an_empty_store_owns_no_memory(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 1024ULL * MB, true, NULL);
    assert_int_equal(rig_stats(&r, 0).used_bytes, 0);
    put_n(&r, 0, 1);
    assert_in_range(rig_stats(&r, 0).used_bytes, 1, 64 * 1024);
    rig_close(&r);
}

static void swapping_exchanges_two_databases_of_a_space(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    put_n(&r, 0, 1);
    put_n(&r, 1, 2);
    own(&r);
    assert_true(store_db_swap(r.store, 0, 1, 0));
    assert_true(store_db_swap(r.store, 2, 2, 0));
    disown(&r);
    assert_true(rig_has(&r, 1, SLICE("key:1"), "value"));
    assert_true(rig_has(&r, 0, SLICE("key:2"), "value"));
    assert_true(rig_has(&r, 0, SLICE("key:1"), NULL));
    put_n(&r, 0, 3);
    assert_int_equal(store_db_size(r.store, 0), 2);
    own(&r);
    store_db_flush(r.store, 0);
    assert_true(store_db_swap(r.store, 0, 1, 0));
    disown(&r);
    assert_true(rig_has(&r, 0, SLICE("key:1"), "value"));
    assert_int_equal(store_db_size(r.store, 1), 0);
    rig_close(&r);
}

static void databases_of_different_spaces_are_not_swapped(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    put_n(&r, 0, 1);
    own(&r);
    assert_false(store_db_swap(r.store, 0, 3, 0));
    disown(&r);
    assert_true(rig_has(&r, 0, SLICE("key:1"), "value"));
    rig_close(&r);
}

struct seen {
    unsigned char times[KEYS];
    uint32_t total;
};

static void see(void *arg, const struct store_item *it)
{
    struct seen *seen = arg;
    seen->times[strtoul(store_item_key(it).ptr + 4, NULL, 10)]++;
    seen->total++;
}

/* Deletes what it is shown, as a client that deletes by pattern does, while others keep adding. */
static void a_scan_that_deletes_what_it_sees_misses_nothing(void **state)
{
    (void)state;
    struct rig r;
    struct seen *seen = calloc(1, sizeof(*seen));
    rig_open(&r, 64ULL * MB, false, NULL);
    for (uint32_t i = 0; i < 10000; i++) {
        put_n(&r, 0, i);
    }
    uint64_t cursor = 0;
    uint32_t added = 10000;
    do {
        cursor = store_scan(r.store, r.gate, 0, cursor, 10, r.now_ms, see, seen);
        for (uint32_t i = 0; i < 10000; i++) {
            char key[32];
            if (seen->times[i] == 1) {
                assert_true(rig_remove(&r, 0, key_n(i, key)));
                seen->times[i]++;
            }
        }
        for (int i = 0; i < 15 && added < KEYS; i++) {
            put_n(&r, 0, added++);
        }
    } while (cursor != 0);
    for (uint32_t i = 0; i < 10000; i++) {
        assert_true(seen->times[i] == 2);
    }
    free(seen);
    rig_close(&r);
}

static void a_scan_visits_about_as_many_as_asked_and_sees_no_dead(void **state)
{
    (void)state;
    struct rig r;
    struct seen *seen = calloc(1, sizeof(*seen));
    rig_open(&r, 64ULL * MB, false, NULL);
    for (uint32_t i = 0; i < 20000; i++) {
        char key[32];
        uint64_t expiry = i % 2 == 0 ? r.now_ms + 10 : 0;
        assert_int_equal(rig_put(&r, 0, key_n(i, key), SLICE("v"), expiry), ERR_OK);
    }
    r.now_ms += 10;
    uint64_t cursor = 0;
    do {
        uint32_t before = seen->total;
        cursor = store_scan(r.store, r.gate, 0, cursor, 100, r.now_ms, see, seen);
        assert_in_range(seen->total - before, cursor == 0 ? 0 : 1, 200);
    } while (cursor != 0);
    for (uint32_t i = 0; i < 20000; i++) {
        assert_int_equal(seen->times[i], i % 2);
    }
    free(seen);
    rig_close(&r);
}

static void any_number_is_a_cursor_and_every_scan_ends(void **state)
{
    (void)state;
    struct rig r;
    struct seen *seen = calloc(1, sizeof(*seen));
    uint64_t random = test_seed("cursor");
    rig_open(&r, 64ULL * MB, false, NULL);
    for (uint32_t i = 0; i < 5000; i++) {
        put_n(&r, 0, i);
    }
    for (int i = 0; i < 200; i++) {
        uint64_t cursor = test_random(&random) >> test_random(&random) % 64;
        uint32_t steps = 0;
        do {
            cursor = store_scan(r.store, r.gate, 0, cursor, 20, r.now_ms, see, seen);
            steps++;
        } while (cursor != 0);
        assert_in_range(steps, 1, 2000);
    }
    free(seen);
    rig_close(&r);
}

static void a_random_key_is_live_and_every_key_has_its_chance(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    struct buf key;
    buf_init(&key);
    assert_false(store_random_key(r.store, r.gate, 0, r.now_ms, &key));
    assert_int_equal(buf_len(&key), 0);
    for (uint32_t i = 0; i < 100; i++) {
        char name[32];
        uint64_t expiry = i < 50 ? r.now_ms + 1 : 0;
        assert_int_equal(rig_put(&r, 0, key_n(i, name), SLICE("v"), expiry), ERR_OK);
    }
    r.now_ms += 1;
    bool drawn[100] = {false};
    for (int i = 0; i < 20000; i++) {
        buf_clear(&key);
        assert_true(store_random_key(r.store, r.gate, 0, r.now_ms, &key));
        assert_true(rig_has(&r, 0, buf_readable(&key), "v"));
        buf_append_char(&key, '\0');
        drawn[strtoul(buf_readable(&key).ptr + 4, NULL, 10)] = true;
    }
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(drawn[i], i >= 50);
    }
    for (uint32_t i = 51; i < 100; i++) { /* one live key among dead ones is still found */
        char name[32];
        (void)rig_remove(&r, 0, key_n(i, name));
    }
    buf_clear(&key);
    assert_true(store_random_key(r.store, r.gate, 0, r.now_ms, &key));
    assert_true(slice_is(buf_readable(&key), "key:50"));
    buf_fini(&key);
    rig_close(&r);
}

int main(void)
{
    hash_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flushing_empties_one_database_and_only_that),
        cmocka_unit_test(an_empty_store_owns_no_memory),
        cmocka_unit_test(swapping_exchanges_two_databases_of_a_space),
        cmocka_unit_test(databases_of_different_spaces_are_not_swapped),
        cmocka_unit_test(a_scan_that_deletes_what_it_sees_misses_nothing),
        cmocka_unit_test(a_scan_visits_about_as_many_as_asked_and_sees_no_dead),
        cmocka_unit_test(any_number_is_a_cursor_and_every_scan_ends),
        cmocka_unit_test(a_random_key_is_live_and_every_key_has_its_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
