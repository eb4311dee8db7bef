/* SPDX-License-Identifier: BSD-3-Clause */
/* WATCH: every way in which a key changes is noticed, and nothing else is. */
#include "store_test.h"

static void watch(struct rig *r, uint32_t db, struct store_watch *w, char *key)
{
    struct store_hold h;
    *w = (struct store_watch){.key = key, .key_len = strlen(key)};
    rig_hold(r, db, slice_of(key), &h);
    store_watch_add(&h, w);
    store_drop(&h);
}

/* Watches "k" of database 0, does `change`, and tells whether that was noticed. */
static bool notices(struct rig *r, void (*change)(struct rig *r))
{
    struct store_watch w;
    char key[] = "k";
    watch(r, 0, &w, key);
    assert_false(store_watch_dirty(r->store, r->gate, &w, r->now_ms));
    change(r);
    bool dirty = store_watch_dirty(r->store, r->gate, &w, r->now_ms);
    store_watch_remove(r->store, r->gate, &w);
    return dirty;
}

static void put_same(struct rig *r)
{
    rig_set(r, "k", "v");
}

static void put_longer(struct rig *r)
{
    rig_set(r, "k", "a value of another size class altogether");
}

static void put_other_key(struct rig *r)
{
    rig_set(r, "kk", "v");
}

static void put_other_db(struct rig *r)
{
    assert_int_equal(rig_put(r, 1, SLICE("k"), SLICE("v"), 0), ERR_OK);
}

static void read_it(struct rig *r)
{
    struct store_hold h;
    rig_hold(r, 0, SLICE("k"), &h);
    (void)store_lookup(&h, NULL);
    store_drop(&h);
}

static void edit_it(struct rig *r)
{
    struct store_hold h;
    struct store_write meta = {.expiry_ms = 0};
    char *value;
    rig_hold(r, 0, SLICE("k"), &h);
    assert_int_equal(store_edit(&h, 1, &meta, &value), ERR_OK);
    *value = 'w';
    store_drop(&h);
}

static void remove_it(struct rig *r)
{
    (void)rig_remove(r, 0, SLICE("k"));
}

static void expire_it(struct rig *r)
{
    (void)rig_expire(r, 0, SLICE("k"), r->now_ms + 1000);
}

static void let_time_pass(struct rig *r)
{
    r->now_ms += 1000000;
}

static void let_upkeep_run(struct rig *r)
{
    r->now_ms += 1000000;
    (void)store_expire_some(r->store, r->gate, r->now_ms);
}

static void flush(struct rig *r)
{
    store_own(r->store, r->gate);
    store_db_flush(r->store, 0);
    store_disown(r->store, r->gate);
}

static void flush_other(struct rig *r)
{
    store_own(r->store, r->gate);
    store_db_flush(r->store, 1);
    store_disown(r->store, r->gate);
}

static void swap(struct rig *r)
{
    store_own(r->store, r->gate);
    assert_true(store_db_swap(r->store, 0, 1, 0));
    store_disown(r->store, r->gate);
}

static void crowd_out(struct rig *r)
{
    static char large[MB];
    for (int i = 0; i < 60; i++) { /* first more than the window holds, then larger than it */
        char key[] = {'L', (char)('A' + i)};
        size_t len = i < 40 ? sizeof(large) / 64 : sizeof(large);
        assert_int_equal(rig_put(r, 2, (struct slice){key, 2}, (struct slice){large, len}, 0),
                         ERR_OK);
    }
}

static void every_change_of_a_present_key_is_noticed(void **state)
{
    (void)state;
    struct rig r;
    void (*changes[])(struct rig *) = {put_same,  put_longer, edit_it, remove_it,
                                       expire_it, flush,      swap,    crowd_out};
    for (size_t i = 0; i < array_len(changes); i++) {
        rig_open(&r, 4ULL * MB, true, NULL);
        rig_set(&r, "k", "v");
        struct store_watch w;
        char key[] = "k";
        watch(&r, 0, &w, key);
        changes[i](&r);
        assert_true(w.dirty); /* at once, not only when asked */
        assert_true(store_watch_dirty(r.store, r.gate, &w, r.now_ms));
        store_watch_remove(r.store, r.gate, &w);
        rig_close(&r);
    }
}

static void swapping_back_is_two_changes_not_none(void **state)
{
    (void)state;
    for (uint32_t holder = 0; holder < 2; holder++) {
        struct rig r;
        rig_open(&r, 4ULL * MB, true, NULL);
        assert_int_equal(rig_put(&r, holder, SLICE("k"), SLICE("v"), 0), ERR_OK);
        struct store_watch w[2];
        char key[] = "k";
        watch(&r, 0, &w[0], key);
        watch(&r, 1, &w[1], key);
        swap(&r);
        assert_true(w[0].dirty && w[1].dirty);
        swap(&r);
        for (int i = 0; i < 2; i++) {
            assert_true(store_watch_dirty(r.store, r.gate, &w[i], r.now_ms));
            store_watch_remove(r.store, r.gate, &w[i]);
        }
        rig_close(&r);
    }
}

static void reading_and_other_keys_are_not_changes(void **state)
{
    (void)state;
    struct rig r;
    void (*idle[])(struct rig *) = {read_it,     put_other_key, put_other_db,
                                    flush_other, let_time_pass, let_upkeep_run};
    for (size_t i = 0; i < array_len(idle); i++) {
        rig_open(&r, 4ULL * MB, true, NULL);
        rig_set(&r, "k", "v");
        assert_false(notices(&r, idle[i]));
        rig_close(&r);
    }
}

static void an_absent_key_changes_when_it_appears_and_not_before(void **state)
{
    (void)state;
    struct rig r;
    void (*idle[])(struct rig *) = {read_it, remove_it, expire_it, flush, swap, put_other_db};
    for (size_t i = 0; i < array_len(idle); i++) {
        rig_open(&r, 4ULL * MB, true, NULL);
        assert_false(notices(&r, idle[i]));
        assert_true(i == array_len(idle) - 1 || notices(&r, put_same));
        rig_close(&r);
    }
    rig_open(&r, 4ULL * MB, true, NULL);
    put_other_db(&r);
    assert_true(notices(&r, swap)); /* the other database brings one */
    rig_close(&r);
}

static void a_death_that_nobody_met_is_noticed(void **state)
{
    (void)state;
    struct rig r;
    void (*ends[])(struct rig *) = {let_time_pass, let_upkeep_run};
    for (size_t i = 0; i < array_len(ends); i++) {
        rig_open(&r, 4ULL * MB, true, NULL);
        assert_int_equal(rig_put(&r, 0, SLICE("k"), SLICE("v"), r.now_ms + 100), ERR_OK);
        assert_true(notices(&r, ends[i]));
        rig_close(&r);
    }
}

static void an_outdated_key_is_noticed(void **state)
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
    fresh_dep dep = 3;
    struct store_write w = {
        .value = SLICE("v"), .stamp = fresh_stamp(fresh), .deps = &dep, .dep_count = 1};
    assert_int_equal(rig_write(&r, 0, SLICE("k"), &w), ERR_OK);
    struct store_watch watched;
    char key[] = "k";
    watch(&r, 0, &watched, key);
    assert_false(store_watch_dirty(r.store, r.gate, &watched, r.now_ms));
    (void)fresh_local_event(fresh, &dep, 1);
    assert_true(store_watch_dirty(r.store, r.gate, &watched, r.now_ms));
    store_watch_remove(r.store, r.gate, &watched);
    rig_close(&r);
    fresh_destroy(&fresh);
}

static void many_watches_of_many_keys_are_kept_apart(void **state)
{
    (void)state;
    struct rig r;
    enum { KEYS = 50 };
    struct store_watch w[2][KEYS];
    char key[KEYS][8];
    rig_open(&r, 4ULL * MB, true, NULL);
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(key[i], sizeof(key[i]), "k%d", i);
        watch(&r, 0, &w[0][i], key[i]);
        watch(&r, 0, &w[1][i], key[i]);
    }
    for (int i = 0; i < KEYS; i += 2) {
        store_watch_remove(r.store, r.gate, &w[1][i]);
        rig_set(&r, key[i], "v");
    }
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(store_watch_dirty(r.store, r.gate, &w[0][i], r.now_ms), i % 2 == 0);
        store_watch_remove(r.store, r.gate, &w[0][i]);
        if (i % 2 == 1) {
            assert_false(store_watch_dirty(r.store, r.gate, &w[1][i], r.now_ms));
            store_watch_remove(r.store, r.gate, &w[1][i]);
        }
    }
    rig_close(&r);
}

int main(void)
{
    hash_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_of_a_present_key_is_noticed),
        cmocka_unit_test(swapping_back_is_two_changes_not_none),
        cmocka_unit_test(reading_and_other_keys_are_not_changes),
        cmocka_unit_test(an_absent_key_changes_when_it_appears_and_not_before),
        cmocka_unit_test(a_death_that_nobody_met_is_noticed),
        cmocka_unit_test(an_outdated_key_is_noticed),
        cmocka_unit_test(many_watches_of_many_keys_are_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
