/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading one key: what is there is seen, what is dead is absent, and the reason is told. */
#include "store_test.h"

enum { DEP = 4711, MAX_STALE_MS = 500 };

struct fresh_rig {
    struct rig rig;
    struct fresh *fresh;
};

static void fresh_open_rig(struct fresh_rig *r)
{
    role_assume(&follower_role);
    struct fresh_options options = {.slots = 1 << 16, .max_stale_ms = MAX_STALE_MS};
    r->fresh = fresh_create(&options);
    fresh_new_epoch(r->fresh, 0x1000);
    fresh_open(r->fresh);
    rig_open(&r->rig, 16ULL * MB, true, r->fresh);
    fresh_proof(r->fresh, r->rig.now_ms);
}

static void fresh_close_rig(struct fresh_rig *r)
{
    rig_close(&r->rig);
    fresh_destroy(&r->fresh);
}

static void put_followed(struct fresh_rig *r, const char *key, const char *value)
{
    fresh_dep dep = DEP;
    struct store_write w = {
        .value = slice_of(value), .stamp = fresh_stamp(r->fresh), .deps = &dep, .dep_count = 1};
    assert_int_equal(rig_write(&r->rig, 0, slice_of(key), &w), ERR_OK);
}

static enum store_absence look(struct rig *r, const char *key)
{
    struct store_hold h;
    enum store_absence why;
    rig_hold(r, 0, slice_of(key), &h);
    bool found = store_lookup(&h, &why) != NULL;
    assert_int_equal(found, why == STORE_PRESENT);
    store_drop(&h);
    return why;
}

static bool is_stored(struct rig *r, const char *key)
{
    struct store_hold h;
    rig_hold(r, 0, slice_of(key), &h);
    bool is_so = store_inspect(&h) != NULL;
    store_drop(&h);
    return is_so;
}

static void a_key_never_stored_is_no_key(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4ULL * MB, true, NULL);
    assert_int_equal(look(&r, "nobody"), STORE_NO_KEY);
    rig_set(&r, "somebody", "here");
    assert_int_equal(look(&r, "nobody"), STORE_NO_KEY);
    assert_int_equal(look(&r, "somebody"), STORE_PRESENT);
    rig_close(&r);
}

static void databases_keep_the_same_key_apart(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4ULL * MB, true, NULL);
    struct slice key = SLICE("key");
    for (uint32_t db = 0; db < TEST_DBS; db++) {
        char value[] = {(char)('a' + db), '\0'};
        assert_int_equal(rig_put(&r, db, key, slice_of(value), 0), ERR_OK);
    }
    assert_true(rig_has(&r, 0, key, "a") && rig_has(&r, 1, key, "b"));
    assert_true(rig_has(&r, 2, key, "c") && rig_has(&r, 3, key, "d"));
    rig_close(&r);
}

static void an_expired_item_is_absent_and_leaves_when_met(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4ULL * MB, true, NULL);
    assert_int_equal(rig_put(&r, 0, SLICE("k"), SLICE("v"), r.now_ms + 10), ERR_OK);
    r.now_ms += 9;
    assert_int_equal(look(&r, "k"), STORE_PRESENT);
    r.now_ms += 1;
    assert_true(is_stored(&r, "k"));
    assert_int_equal(look(&r, "k"), STORE_EXPIRED);
    assert_false(is_stored(&r, "k"));
    assert_int_equal(look(&r, "k"), STORE_NO_KEY);
    assert_int_equal(rig_stats(&r, 0).expired, 1);
    rig_close(&r);
}

static void an_outdated_item_is_absent_and_leaves_when_met(void **state)
{
    (void)state;
    struct fresh_rig r;
    fresh_open_rig(&r);
    put_followed(&r, "k", "v");
    assert_int_equal(look(&r.rig, "k"), STORE_PRESENT);
    fresh_dep dep = DEP;
    (void)fresh_local_event(r.fresh, &dep, 1);
    assert_int_equal(look(&r.rig, "k"), STORE_OUTDATED);
    assert_false(is_stored(&r.rig, "k"));
    assert_int_equal(rig_stats(&r.rig, 0).outdated, 1);
    put_followed(&r, "k", "new");
    assert_int_equal(look(&r.rig, "k"), STORE_PRESENT);
    fresh_close_rig(&r);
}

static void an_item_of_an_earlier_epoch_is_void(void **state)
{
    role_assume(&follower_role);
    (void)state;
    struct fresh_rig r;
    fresh_open_rig(&r);
    put_followed(&r, "k", "v");
    fresh_new_epoch(r.fresh, 0x1000);
    fresh_open(r.fresh);
    fresh_proof(r.fresh, r.rig.now_ms);
    assert_int_equal(look(&r.rig, "k"), STORE_VOID);
    assert_false(is_stored(&r.rig, "k"));
    fresh_close_rig(&r);
}

static void an_unproven_item_is_hidden_but_kept(void **state)
{
    role_assume(&follower_role);
    (void)state;
    struct fresh_rig r;
    fresh_open_rig(&r);
    put_followed(&r, "k", "v");
    rig_set(&r.rig, "unfollowed", "v");
    r.rig.now_ms += MAX_STALE_MS + 1;
    assert_int_equal(look(&r.rig, "k"), STORE_UNPROVEN);
    assert_int_equal(look(&r.rig, "unfollowed"), STORE_PRESENT);
    assert_true(is_stored(&r.rig, "k"));
    fresh_proof(r.fresh, r.rig.now_ms);
    assert_int_equal(look(&r.rig, "k"), STORE_PRESENT);
    fresh_close_rig(&r);
}

/* Deleting says "must not come back", also of what cannot be seen at the moment. */
static void removing_an_unproven_item_removes_it_for_good(void **state)
{
    role_assume(&follower_role);
    (void)state;
    struct fresh_rig r;
    fresh_open_rig(&r);
    put_followed(&r, "k", "v");
    r.rig.now_ms += MAX_STALE_MS + 1;
    assert_false(rig_remove(&r.rig, 0, SLICE("k")));
    fresh_proof(r.fresh, r.rig.now_ms);
    assert_int_equal(look(&r.rig, "k"), STORE_NO_KEY);
    fresh_close_rig(&r);
}

static void editing_what_is_hidden_starts_anew(void **state)
{
    (void)state;
    struct fresh_rig r;
    fresh_open_rig(&r);
    put_followed(&r, "k", "old value");
    r.rig.now_ms += MAX_STALE_MS + 1;
    struct store_hold h;
    struct store_write meta = {.expiry_ms = r.rig.now_ms + 50};
    char *value;
    rig_hold(&r.rig, 0, SLICE("k"), &h);
    assert_int_equal(store_edit(&h, 3, &meta, &value), ERR_OK);
    assert_memory_equal(value, "\0\0\0", 3);
    const struct store_item *it = store_peek(&h, NULL);
    assert_non_null(it);
    assert_int_equal(store_item_expiry(it), r.rig.now_ms + 50);
    assert_int_equal(store_item_stamp(it), 0);
    store_drop(&h);
    assert_int_equal(store_db_size(r.rig.store, 0), 1);
    fresh_close_rig(&r);
}

static void an_edit_keeps_stamp_dependencies_and_expiry(void **state)
{
    (void)state;
    struct fresh_rig r;
    fresh_open_rig(&r);
    fresh_dep deps[] = {5, 6, 7};
    struct store_write w = {.value = SLICE("abc"),
                            .expiry_ms = r.rig.now_ms + 1000,
                            .stamp = fresh_stamp(r.fresh),
                            .deps = deps,
                            .dep_count = 3};
    assert_int_equal(rig_write(&r.rig, 0, SLICE("k"), &w), ERR_OK);
    size_t lens[] = {3, 4, 0, 2, 600, 100000, 120000, 90000, 10};
    for (size_t i = 0; i < array_len(lens); i++) {
        struct store_hold h;
        struct store_write meta = {.expiry_ms = 1};
        char *value;
        rig_hold(&r.rig, 0, SLICE("k"), &h);
        assert_int_equal(store_edit(&h, lens[i], &meta, &value), ERR_OK);
        const struct store_item *it = store_peek(&h, NULL);
        assert_ptr_equal(store_item_value(it).ptr, value);
        assert_int_equal(store_item_value(it).len, lens[i]);
        assert_int_equal(store_item_expiry(it), w.expiry_ms);
        assert_int_equal(store_item_stamp(it), w.stamp);
        uint32_t count;
        assert_memory_equal(store_item_deps(it, &count), deps, sizeof(deps));
        assert_int_equal(count, 3);
        store_drop(&h);
    }
    fresh_dep dep = 6;
    (void)fresh_local_event(r.fresh, &dep, 1);
    assert_int_equal(look(&r.rig, "k"), STORE_OUTDATED);
    fresh_close_rig(&r);
}

static void a_lookup_counts_a_hit_and_a_peek_does_not(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4ULL * MB, true, NULL);
    rig_set(&r, "k", "v");
    struct store_hold h;
    rig_hold(&r, 0, SLICE("k"), &h);
    assert_int_equal(store_item_hits(store_peek(&h, NULL)), 0);
    assert_int_equal(store_item_hits(store_lookup(&h, NULL)), 1);
    assert_int_equal(store_item_hits(store_inspect(&h)), 1);
    uint32_t before = 1;
    for (int i = 0; i < 1000; i++) { /* saturates, never wraps */
        uint32_t hits = store_item_hits(store_lookup(&h, NULL));
        assert_true(hits >= before);
        before = hits;
    }
    store_drop(&h);
    rig_set(&r, "k", "v"); /* a new value of a popular key is popular */
    rig_hold(&r, 0, SLICE("k"), &h);
    assert_int_equal(store_item_hits(store_peek(&h, NULL)), before);
    store_drop(&h);
    assert_true(rig_has(&r, 0, SLICE("k"), "v"));
    rig_close(&r);
}

int main(void)
{
    hash_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_never_stored_is_no_key),
        cmocka_unit_test(databases_keep_the_same_key_apart),
        cmocka_unit_test(an_expired_item_is_absent_and_leaves_when_met),
        cmocka_unit_test(an_outdated_item_is_absent_and_leaves_when_met),
        cmocka_unit_test(an_item_of_an_earlier_epoch_is_void),
        cmocka_unit_test(an_unproven_item_is_hidden_but_kept),
        cmocka_unit_test(removing_an_unproven_item_removes_it_for_good),
        cmocka_unit_test(editing_what_is_hidden_starts_anew),
        cmocka_unit_test(an_edit_keeps_stamp_dependencies_and_expiry),
        cmocka_unit_test(a_lookup_counts_a_hit_and_a_peek_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
