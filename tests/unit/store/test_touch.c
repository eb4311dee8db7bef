/* SPDX-License-Identifier: BSD-3-Clause */
/* Notes of changed keys: of what is observed and of nothing else, each taken once. */
#include "store_test.h"

/* What was taken, as text: "w0:key r1:key ". */
static void append_note(void *arg, enum store_touch what, uint32_t db, struct slice key)
{
    static const char letters[] = "wrxeof";
    buf_printf(arg, "%c%u:%.*s ", letters[what], db, (int)key.len, key.ptr);
}

static void expect_notes(struct rig *r, const char *want)
{
    struct buf got;
    buf_init(&got);
    assert_int_equal(store_touched(r->store), want[0] != '\0');
    store_touched_take(r->store, r->gate, append_note, &got);
    buf_append_char(&got, '\0');
    assert_string_equal(buf_readable(&got).ptr, want);
    assert_false(store_touched(r->store));
    buf_fini(&got);
}

static void nothing_is_noted_while_nobody_observes(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    rig_set(&r, "k", "v");
    (void)rig_remove(&r, 0, SLICE("k"));
    expect_notes(&r, "");
    rig_close(&r);
}

static void an_observed_key_is_noted_in_every_database_and_others_are_not(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    store_observe_key(r.store, SLICE("k"), 1);
    assert_true(store_key_observed(r.store, SLICE("k")));
    uint32_t others = 0;
    for (char c = 'a'; c <= 'j'; c++) {
        char key[] = {'o', c, '\0'};
        others += store_key_observed(r.store, slice_of(key)) ? 1 : 0;
        rig_set(&r, key, "v");
    }
    assert_int_equal(others, 0); /* of 8192 slots: these ten happen to miss that of "k" */
    expect_notes(&r, "");
    rig_set(&r, "k", "v");
    assert_int_equal(rig_put(&r, 3, SLICE("k"), SLICE("v"), 0), ERR_OK);
    (void)rig_remove(&r, 0, SLICE("k"));
    expect_notes(&r, "w0:k w3:k r0:k ");
    store_observe_key(r.store, SLICE("k"), -1);
    assert_false(store_key_observed(r.store, SLICE("k")));
    rig_set(&r, "k", "v");
    expect_notes(&r, "");
    rig_close(&r);
}

static void a_key_is_observed_until_the_last_observer_leaves(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    store_observe_key(r.store, SLICE("k"), 1);
    store_observe_key(r.store, SLICE("k"), 1);
    store_observe_key(r.store, SLICE("k"), -1);
    rig_set(&r, "k", "v");
    expect_notes(&r, "w0:k ");
    store_observe_key(r.store, SLICE("k"), -1);
    rig_close(&r);
}

static void who_observes_all_is_told_why_keys_went(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 8ULL * MB, true, NULL);
    store_observe(r.store, 1);
    assert_int_equal(rig_put(&r, 0, SLICE("k"), SLICE("v"), r.now_ms + 100), ERR_OK);
    expect_notes(&r, "w0:k ");
    r.now_ms += 100;
    struct store_hold h;
    rig_hold(&r, 0, SLICE("k"), &h);
    assert_null(store_peek(&h, NULL));
    store_drop(&h);
    expect_notes(&r, "x0:k ");
    store_own(r.store, r.gate);
    store_db_flush(r.store, 1);
    assert_true(store_db_swap(r.store, 0, 2, 0));
    expect_notes(&r, "f1: f2: f0: "); /* inside the ownership, too */
    store_disown(r.store, r.gate);
    store_observe(r.store, -1);
    rig_close(&r);
}

static void every_key_of_many_is_taken_once(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 64ULL * MB, true, NULL);
    store_observe(r.store, 1);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++) {
            char key[16];
            (void)snprintf(key, sizeof(key), "key-%d", i);
            rig_set(&r, key, "v");
        }
        struct buf got;
        buf_init(&got);
        store_touched_take(r.store, r.gate, append_note, &got);
        buf_append_char(&got, '\0');
        for (int i = 0; i < 500; i++) {
            char want[24];
            (void)snprintf(want, sizeof(want), "w0:key-%d ", i);
            const char *at = strstr(buf_readable(&got).ptr, want);
            assert_non_null(at);
            assert_null(strstr(at + 1, want));
        }
        buf_fini(&got);
    }
    store_observe(r.store, -1);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_noted_while_nobody_observes),
        cmocka_unit_test(an_observed_key_is_noted_in_every_database_and_others_are_not),
        cmocka_unit_test(a_key_is_observed_until_the_last_observer_leaves),
        cmocka_unit_test(who_observes_all_is_told_why_keys_went),
        cmocka_unit_test(every_key_of_many_is_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
