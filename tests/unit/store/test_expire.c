/* SPDX-License-Identifier: BSD-3-Clause */
/* Upkeep: it finds what has expired, nothing else, a bounded amount at a time. */
#include "store_test.h"

#include "store/priv.h"

static struct slice key_n(uint32_t n, char out[32])
{
    return (struct slice){out, (size_t)snprintf(out, 32, "key:%u", n)};
}

static void put_n(struct rig *r, uint32_t n, size_t len, uint64_t expiry_ms)
{
    static const char bytes[100000];
    char key[32];
    assert_int_equal(rig_put(r, 0, key_n(n, key), (struct slice){bytes, len}, expiry_ms), ERR_OK);
}

/* Calls until a call finds nothing; each call is bounded, so a full round takes several. */
static uint32_t expire_all(struct rig *r)
{
    uint32_t total = 0;
    uint32_t idle = 0;
    while (idle < 20) {
        uint32_t n = store_expire_some(r->store, r->gate, r->now_ms);
        total += n;
        idle = n == 0 ? idle + 1 : 0;
    }
    return total;
}

static void upkeep_removes_exactly_what_has_expired(void **state)
{
    (void)state;
    struct rig r;
    uint64_t random = test_seed("expire");
    rig_open(&r, 256ULL * MB, false, NULL);
    enum { KEYS = 50000 };
    uint64_t *expiry = calloc(KEYS, sizeof(*expiry));
    for (uint32_t i = 0; i < KEYS; i++) {
        expiry[i] = i % 3 == 0 ? 0 : r.now_ms + 1 + test_random(&random) % 60000;
        put_n(&r, i, test_random(&random) % (i % 100 == 0 ? 90000 : 300), expiry[i]);
    }
    assert_int_equal(store_expire_some(r.store, r.gate, r.now_ms), 0);
    uint64_t gone = 0;
    for (int step = 0; step < 10; step++) {
        r.now_ms += 7001;
        gone += expire_all(&r);
        uint64_t left = 0;
        for (uint32_t i = 0; i < KEYS; i++) {
            left += expiry[i] == 0 || expiry[i] > r.now_ms;
        }
        assert_int_equal(store_db_size(r.store, 0), left);
        assert_int_equal(gone, KEYS - left);
        rig_validate(&r);
    }
    assert_int_equal(rig_stats(&r, 0).expired, gone);
    free(expiry);
    rig_close(&r);
}

/* The note that saves walking live items: after a search every run promises the future only. */
static void a_searched_run_notes_its_next_expiry(void **state)
{
    (void)state;
    struct rig r;
    uint64_t random = test_seed("notes");
    rig_open(&r, 64ULL * MB, false, NULL);
    for (uint32_t i = 0; i < 20000; i++) {
        put_n(&r, i, 100, r.now_ms + 1 + test_random(&random) % 60000);
    }
    r.now_ms += 30000;
    (void)expire_all(&r);
    uint32_t runs = 0;
    for (uint32_t i = 0; i < r.store->shard_count; i++) {
        const struct slab *s = &r.store->shards[i].pools[0].slab;
        for (uint32_t page = 1; page < s->pages.top; page += pages_step(&s->pages, page)) {
            if (slab_run_has_items(s, page)) {
                assert_true(s->pages.page[page].soonest >= r.now_ms >> 10);
                assert_true(s->pages.page[page].soonest <= (r.now_ms + 30001) >> 10);
                runs++;
            }
        }
    }
    assert_true(runs > 100);
    rig_close(&r);
}

static void an_expiry_made_later_or_removed_is_respected(void **state)
{
    (void)state;
    struct rig r;
    char key[32];
    rig_open(&r, 16ULL * MB, false, NULL);
    for (uint32_t i = 0; i < 3000; i++) {
        put_n(&r, i, 50, r.now_ms + 100);
        if (i % 3 == 0) {
            assert_true(rig_expire(&r, 0, key_n(i, key), r.now_ms + 90000));
        } else if (i % 3 == 1) {
            assert_true(rig_expire(&r, 0, key_n(i, key), 0));
        }
    }
    r.now_ms += 5000;
    assert_int_equal(expire_all(&r), 1000);
    r.now_ms += 90000;
    assert_int_equal(expire_all(&r), 1000);
    assert_int_equal(store_db_size(r.store, 0), 1000);
    rig_close(&r);
}

static void one_call_is_bounded_work(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 256ULL * MB, false, NULL);
    for (uint32_t i = 0; i < 200000; i++) {
        put_n(&r, i, 100, r.now_ms + 1);
    }
    r.now_ms += 2000;
    uint32_t n = store_expire_some(r.store, r.gate, r.now_ms);
    assert_in_range(n, 1, 100000);
    assert_int_equal(n + expire_all(&r), 200000);
    rig_close(&r);
}

/* Among a million that live on, a thousand expire: upkeep looks at their runs, not at the million. */
static void looking_for_the_expired_costs_by_the_expired(void **state)
{
    (void)state;
    enum { LONG = 1000 * 1000, SHORT = 1000, RUN = 64 };
    struct rig r;
    rig_open(&r, 512ULL * MB, false, NULL);
    for (uint32_t i = 0; i < LONG; i++) {
        put_n(&r, i, 100, r.now_ms + 3600 * 1000);
        if (i % (LONG / SHORT) == 0) {
            put_n(&r, LONG + i / (LONG / SHORT), 100, r.now_ms + 1000);
        }
    }
    assert_int_equal(expire_all(&r), 0);
    assert_int_equal(rig_stats(&r, 0).expire_looks, 0);
    r.now_ms += 5000;
    assert_int_equal(expire_all(&r), SHORT);
    assert_in_range(rig_stats(&r, 0).expire_looks, SHORT, SHORT * RUN);
    uint64_t looks = rig_stats(&r, 0).expire_looks;
    r.now_ms += 5000;
    assert_int_equal(expire_all(&r), 0);
    assert_int_equal(rig_stats(&r, 0).expire_looks, looks);
    assert_int_equal(store_db_expiring(r.store, 0), LONG);
    rig_close(&r);
}

static void memory_of_the_expired_returns_to_the_system(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 256ULL * MB, false, NULL);
    for (uint32_t i = 0; i < 200000; i++) {
        put_n(&r, i, 100, r.now_ms + 1);
    }
    assert_true(rig_stats(&r, 0).used_bytes > 20ULL * MB);
    r.now_ms += 2000;
    (void)expire_all(&r);
    assert_true(rig_stats(&r, 0).used_bytes < 6ULL * MB);
    rig_close(&r);
}

static void a_very_distant_expiry_is_kept_exactly(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4ULL * MB, false, NULL);
    put_n(&r, 1, 10, UINT64_MAX);
    put_n(&r, 2, 10, 1ULL << 60);
    assert_int_equal(expire_all(&r), 0);
    r.now_ms = (1ULL << 60) - 1;
    assert_int_equal(expire_all(&r), 0);
    r.now_ms++;
    struct store_hold h;
    char key[32];
    rig_hold(&r, 0, key_n(1, key), &h);
    assert_int_equal(store_item_expiry(store_peek(&h, NULL)), UINT64_MAX);
    store_drop(&h);
    assert_true(rig_has(&r, 0, key_n(2, key), NULL));
    rig_close(&r);
}

int main(void)
{
    hash_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upkeep_removes_exactly_what_has_expired),
        cmocka_unit_test(a_searched_run_notes_its_next_expiry),
        cmocka_unit_test(an_expiry_made_later_or_removed_is_respected),
        cmocka_unit_test(one_call_is_bounded_work),
        cmocka_unit_test(looking_for_the_expired_costs_by_the_expired),
        cmocka_unit_test(memory_of_the_expired_returns_to_the_system),
        cmocka_unit_test(a_very_distant_expiry_is_kept_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
