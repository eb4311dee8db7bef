/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole values to another key, of every kind. */
#include "coll_test.h"

static enum err transfer(struct rig *r, bool moves, const char *from, const char *to,
                         const struct store_write *meta)
{
    struct store_hold a;
    struct store_hold b;
    store_own(r->store, r->gate);
    rig_hold(r, 0, slice_of(from), &a);
    rig_hold(r, 0, slice_of(to), &b);
    enum err e = moves ? store_move(&a, &b, meta) : store_copy(&a, &b, meta);
    store_drop(&b);
    store_drop(&a);
    store_disown(r->store, r->gate);
    return e;
}

static void copy_is_independent(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 16 * MB, true, NULL);
    put(&r, "h", STORE_HASH, "f", "v", 0);
    put(&r, "z", STORE_ZSET, "m", "", 2);
    append(&r, "x", 5, 1, "f", "v");
    rig_set(&r, "s", "text");
    struct store_write meta = {.expiry_ms = r.now_ms + 10};
    assert_int_equal(transfer(&r, false, "h", "h2", &meta), ERR_OK);
    assert_int_equal(transfer(&r, false, "z", "s", &NO_META), ERR_OK);
    assert_int_equal(transfer(&r, false, "x", "x2", &NO_META), ERR_OK);
    put(&r, "h", STORE_HASH, "f", "other", 0);
    assert_shows(&r, "h", "f=other");
    assert_shows(&r, "h2", "f=v");
    assert_shows(&r, "s", "m:2");
    assert_shows(&r, "x2", "5-1{f v}");
    r.now_ms += 10;
    assert_shows(&r, "h2", "");
    rig_close(&r);
}

static void move_leaves_nothing_behind(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 16 * MB, true, NULL);
    push(&r, "l", COLL_TAIL, "a");
    push(&r, "l", COLL_TAIL, "b");
    rig_set(&r, "s", "text");
    assert_int_equal(transfer(&r, true, "l", "s", &NO_META), ERR_OK);
    assert_shows(&r, "s", "a b");
    assert_true(rig_has(&r, 0, SLICE("l"), NULL));
    rig_set(&r, "t", "text");
    assert_int_equal(transfer(&r, true, "t", "s", &NO_META), ERR_OK);
    assert_true(rig_has(&r, 0, SLICE("s"), "text"));
    rig_close(&r);
}

int main(void)
{
    hash_setup_seed(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_is_independent),
        cmocka_unit_test(move_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
