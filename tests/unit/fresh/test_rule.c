/* SPDX-License-Identifier: BSD-3-Clause */
/* The one rule: stamps, marks, the fence, epochs. Each test is named after the promise it holds. */
#include "base/check.h"
#include "base/hash.h"
#include "fresh/fresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

static struct fresh *make(void)
{
    role_assume(&follower_role);
    hash_setup_seed(7);
    struct fresh *f = fresh_create(&(struct fresh_options){.slots = 1024, .max_stale_ms = 500});
    fresh_new_epoch(f, 1000);
    fresh_open(f);
    fresh_proof(f, 1);
    return f;
}

static void commit(struct fresh *f, uint64_t lsn, uint64_t xid, fresh_dep dep)
{
    role_assume(&follower_role);
    fresh_apply(f, &(struct fresh_commit){.end_lsn = lsn, .xid = xid, .deps = &dep, .count = 1});
}

static enum fresh_verdict judge(struct fresh *f, fresh_pos stamp, fresh_dep dep)
{
    return fresh_judge(f, stamp, &dep, 1, 1);
}

static void entry_is_refused_after_its_row_changed(void **state)
{
    struct fresh *f = make();
    fresh_dep dep = fresh_dep_hash(f, hash_bytes("row", 3));
    fresh_pos stamp = fresh_stamp(f);
    assert_int_equal(judge(f, stamp, dep), FRESH_HIT);
    commit(f, 1100, 10, dep);
    assert_int_equal(judge(f, stamp, dep), FRESH_OUTDATED);
    fresh_destroy(&f);
}

static void unrelated_change_leaves_the_entry(void **state)
{
    struct fresh *f = make();
    fresh_wide a = fresh_register(f, SLICE("t:1"));
    fresh_wide b = fresh_register(f, SLICE("t:2"));
    fresh_pos stamp = fresh_stamp(f);
    commit(f, 1100, 10, fresh_dep_any(f, a));
    assert_int_equal(judge(f, stamp, fresh_dep_any(f, b)), FRESH_HIT);
    fresh_destroy(&f);
}

static void fill_begun_before_a_commit_is_visible_is_born_outdated(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_dep dep = fresh_dep_hash(f, 42);
    commit(f, 1100, 10, dep); /* applied, but no snapshot shows it yet */
    fresh_pos stamp = fresh_stamp(f);
    assert_int_equal(judge(f, stamp, dep), FRESH_OUTDATED);
    assert_false(fresh_confirm(f, SLICE("10:11:10")));
    assert_int_equal(judge(f, fresh_stamp(f), dep), FRESH_OUTDATED);
    assert_true(fresh_confirm(f, SLICE("11:11:")));
    assert_int_equal(judge(f, fresh_stamp(f), dep), FRESH_HIT);
    fresh_destroy(&f);
}

static void fence_stops_at_the_first_commit_not_shown(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_dep one = fresh_dep_hash(f, 1ULL << 32);
    fresh_dep two = fresh_dep_hash(f, 2ULL << 32);
    commit(f, 1100, 10, one);
    commit(f, 1200, 11, two);
    assert_false(fresh_confirm(f, SLICE("10:12:10"))); /* 11 is visible, 10 is not */
    assert_int_equal(judge(f, fresh_stamp(f), two), FRESH_OUTDATED);
    assert_true(fresh_confirm(f, SLICE("11:12:11")));
    assert_int_equal(judge(f, fresh_stamp(f), one), FRESH_HIT);
    assert_int_equal(judge(f, fresh_stamp(f), two), FRESH_OUTDATED);
    fresh_destroy(&f);
}

static void exact_stamp_takes_what_its_snapshot_shows(void **state)
{
    struct fresh *f = make();
    fresh_dep one = fresh_dep_hash(f, 1ULL << 32);
    fresh_dep two = fresh_dep_hash(f, 2ULL << 32);
    commit(f, 1100, 10, one);
    commit(f, 1200, 11, two);
    struct fresh_window w = fresh_window_open(f);
    fresh_pos none = fresh_stamp_exact(f, &w, SLICE("10:12:10,11"));
    assert_int_equal(none, w.stamp);
    fresh_pos first = fresh_stamp_exact(f, &w, SLICE("11:12:11"));
    assert_int_equal(judge(f, first, one), FRESH_HIT);
    assert_int_equal(judge(f, first, two), FRESH_OUTDATED);
    fresh_pos both = fresh_stamp_exact(f, &w, SLICE("12:12:"));
    assert_int_equal(judge(f, both, two), FRESH_HIT);
    /* A commit applied after the window opened is never covered, whatever the snapshot shows. */
    commit(f, 1300, 12, two);
    assert_int_equal(judge(f, fresh_stamp_exact(f, &w, SLICE("13:13:")), two), FRESH_OUTDATED);
    fresh_destroy(&f);
}

static void new_epoch_voids_every_older_entry(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_dep dep = fresh_dep_hash(f, 5);
    commit(f, 900000, 10, dep);
    (void)fresh_confirm(f, SLICE("11:11:"));
    fresh_pos stamp = fresh_stamp(f);
    fresh_new_epoch(f, 1000); /* an older LSN, as after a restore */
    assert_int_equal(judge(f, stamp, dep), FRESH_VOID);
    assert_int_equal(fresh_stamp(f), 0);
    fresh_open(f);
    assert_int_equal(judge(f, fresh_stamp(f), dep), FRESH_HIT);
    fresh_destroy(&f);
}

static void local_event_is_above_every_stamp_given(void **state)
{
    struct fresh *f = make();
    fresh_dep dep = fresh_dep_hash(f, 5);
    fresh_pos before = fresh_stamp(f);
    fresh_pos event = fresh_local_event(f, &dep, 1);
    assert_true(event > before);
    assert_int_equal(judge(f, before, dep), FRESH_OUTDATED);
    fresh_pos after = fresh_stamp(f);
    assert_int_equal(judge(f, after, dep), FRESH_HIT);
    /* Two events without a stamp between them share a position. */
    fresh_pos third = fresh_local_event(f, &dep, 1);
    assert_int_equal(fresh_local_event(f, &dep, 1), third);
    fresh_destroy(&f);
}

static void local_events_never_carry_into_the_wal(void **state)
{
    struct fresh *f = make();
    fresh_dep dep = fresh_dep_hash(f, 5);
    fresh_pos at = 0;
    for (int i = 0; i < 4095; i++) {
        (void)fresh_stamp(f);
        at = fresh_local_event(f, &dep, 1);
        assert_true(at != 0);
    }
    (void)fresh_stamp(f);
    assert_int_equal(fresh_local_event(f, &dep, 1), 0);
    commit(f, 1001, 10, dep);
    assert_true(fresh_applied(f) > at);
    fresh_destroy(&f);
}

static void hits_need_a_recent_proof_of_contact(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_dep dep = fresh_dep_hash(f, 5);
    fresh_pos stamp = fresh_stamp(f);
    fresh_proof(f, 1000);
    assert_int_equal(fresh_judge(f, stamp, &dep, 1, 1500), FRESH_HIT);
    assert_int_equal(fresh_judge(f, stamp, &dep, 1, 1501), FRESH_UNPROVEN);
    fresh_destroy(&f);
}

static void registration_counts_only_for_later_stamps(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_pos early = fresh_stamp(f);
    fresh_apply_idle(f, 2000);
    fresh_wide wide = fresh_register(f, SLICE("t:9"));
    assert_int_equal(fresh_register(f, SLICE("t:9")), wide);
    assert_int_equal(judge(f, early, fresh_dep_all(f, wide)), FRESH_OUTDATED);
    assert_int_equal(judge(f, fresh_stamp(f), fresh_dep_all(f, wide)), FRESH_HIT);
    fresh_destroy(&f);
}

static void stamp_of_the_past_is_never_newer_than_asked(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_dep dep = fresh_dep_hash(f, 5);
    assert_int_equal(fresh_stamp_ago(f, 100, 50), 0);
    fresh_sample(f, 100);
    commit(f, 1100, 10, dep);
    (void)fresh_confirm(f, SLICE("11:11:"));
    fresh_sample(f, 200);
    assert_int_equal(fresh_stamp_ago(f, 220, 150), 0);
    assert_int_equal(judge(f, fresh_stamp_ago(f, 220, 100), dep), FRESH_OUTDATED);
    assert_int_equal(judge(f, fresh_stamp_ago(f, 220, 20), dep), FRESH_HIT);
    fresh_destroy(&f);
}

static void confirm_all(struct fresh *f)
{
    role_assume(&follower_role);
    (void)fresh_confirm(f, SLICE("1000:1000:"));
}

static bool twice(struct fresh *f, const fresh_dep *deps, uint32_t count, uint64_t now_ms)
{
    return fresh_changed_twice(f, deps, count, now_ms, 100);
}

static void two_changes_are_known_until_one_of_them_is_long_ago(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_dep deps[] = {fresh_dep_hash(f, 1ULL << 32), fresh_dep_hash(f, 2ULL << 32)};
    fresh_dep other = fresh_dep_hash(f, 3ULL << 32);
    assert_false(twice(f, deps, 2, 10));
    commit(f, 1100, 10, deps[0]);
    assert_false(twice(f, deps, 2, 10));
    commit(f, 1150, 11, other);
    assert_false(twice(f, deps, 2, 10)); /* somebody else's change */
    commit(f, 1200, 12, deps[0]);
    assert_true(twice(f, deps, 2, 10));
    assert_false(twice(f, &deps[1], 1, 10));
    confirm_all(f);
    fresh_sample(f, 50);
    commit(f, 1300, 13, deps[1]); /* one dependency changed then, another now */
    assert_true(twice(f, deps, 2, 149));
    assert_false(twice(f, deps, 2, 150));
    commit(f, 1400, 14, deps[1]);
    assert_true(twice(f, deps, 2, 150));
    fresh_destroy(&f);
}

static void changes_of_several_dependencies_in_one_commit_are_one(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_dep deps[] = {fresh_dep_hash(f, 1ULL << 32), fresh_dep_hash(f, 2ULL << 32)};
    fresh_apply(f, &(struct fresh_commit){.end_lsn = 1100, .xid = 10, .deps = deps, .count = 2});
    assert_false(twice(f, deps, 2, 10));
    fresh_destroy(&f);
}

static void lost_contact_counts_as_a_change(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_dep dep = fresh_dep_hash(f, 1ULL << 32);
    fresh_sample(f, 10);
    fresh_new_epoch(f, 5000);
    fresh_open(f);
    assert_false(twice(f, &dep, 1, 110));
    commit(f, 5100, 20, dep);
    assert_true(twice(f, &dep, 1, 110)); /* what the sample knew was of the epoch before */
    confirm_all(f);
    fresh_sample(f, 120);
    assert_false(twice(f, &dep, 1, 220));
    fresh_destroy(&f);
}

static void what_was_registered_before_the_start_is_no_change(void **state)
{
    role_assume(&follower_role);
    hash_setup_seed(7);
    struct fresh *f = fresh_create(&(struct fresh_options){.slots = 64, .max_stale_ms = 500});
    fresh_new_epoch(f, 1000);
    fresh_apply_idle(f, 1050);
    fresh_wide wide = fresh_register(f, SLICE("k:1"));
    fresh_open(f);
    fresh_dep deps[] = {fresh_dep_any(f, wide), fresh_dep_all(f, wide)};
    commit(f, 1100, 10, deps[0]);
    assert_false(twice(f, deps, 2, 10));
    commit(f, 1200, 11, deps[0]);
    assert_true(twice(f, deps, 2, 10));
    fresh_destroy(&f);
}

static void tokens_come_back_as_they_went(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_apply_idle(f, 0x123456);
    char text[FRESH_TOKEN_MAX];
    size_t len = fresh_token_format(f, fresh_applied(f), text);
    fresh_pos pos = 0;
    assert_int_equal(fresh_token_parse(f, (struct slice){text, len}, &pos), FRESH_TOKEN_OK);
    assert_int_equal(pos, fresh_applied(f));
    const char *bad[] = {"",         ".",     "1",      "1.2",     "1.2.",
                         "1.2.4096", "1.g.0", "-1.2.0", "1.2.0.0", "1..0"};
    for (size_t i = 0; i < array_len(bad); i++) {
        assert_int_equal(fresh_token_parse(f, slice_of(bad[i]), &pos), FRESH_TOKEN_BAD);
    }
    assert_int_equal(fresh_token_parse(f, SLICE("7.AB.0"), &pos), FRESH_TOKEN_OTHER_EPOCH);
    fresh_destroy(&f);
}

static void stamp_that_a_new_epoch_overtook_gives_no_token_of_it(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    char text[FRESH_TOKEN_MAX];
    fresh_pos pos = 0;
    fresh_pos stamp = fresh_stamp(f);
    fresh_new_epoch(f, 5000);
    size_t len = fresh_token_format(f, stamp, text);
    assert_int_equal(fresh_token_parse(f, (struct slice){text, len}, &pos),
                     FRESH_TOKEN_OTHER_EPOCH);
    fresh_destroy(&f);
}

static void broken_fence_and_late_marks_are_really_broken(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = fresh_create(
        &(struct fresh_options){.slots = 64, .max_stale_ms = 500, .break_fence = true});
    fresh_new_epoch(f, 1000);
    fresh_open(f);
    fresh_proof(f, 1);
    fresh_dep dep = fresh_dep_hash(f, 3ULL << 32);
    commit(f, 1100, 10, dep);
    assert_int_equal(judge(f, fresh_stamp(f), dep), FRESH_HIT);
    fresh_destroy(&f);
    f = fresh_create(
        &(struct fresh_options){.slots = 64, .max_stale_ms = 500, .break_late_marks = true});
    fresh_new_epoch(f, 1000);
    fresh_open(f);
    fresh_proof(f, 1);
    fresh_pos stamp = fresh_stamp(f);
    commit(f, 1100, 10, dep);
    assert_int_equal(judge(f, stamp, dep), FRESH_HIT);
    fresh_destroy(&f);
}

static void snapshots_are_read_as_postgresql_means_them(void **state)
{
    assert_true(fresh_snapshot_shows(SLICE("5:9:6,7"), 4));
    assert_true(fresh_snapshot_shows(SLICE("5:9:6,7"), 8));
    assert_false(fresh_snapshot_shows(SLICE("5:9:6,7"), 7));
    assert_false(fresh_snapshot_shows(SLICE("5:9:6,7"), 9));
    assert_false(fresh_snapshot_shows(SLICE("garbage"), 1));
    assert_int_equal(fresh_snapshot_xmax(SLICE("5:9:6,7")), 9);
    assert_int_equal(fresh_snapshot_xmax(SLICE("5:")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entry_is_refused_after_its_row_changed),
        cmocka_unit_test(unrelated_change_leaves_the_entry),
        cmocka_unit_test(fill_begun_before_a_commit_is_visible_is_born_outdated),
        cmocka_unit_test(fence_stops_at_the_first_commit_not_shown),
        cmocka_unit_test(exact_stamp_takes_what_its_snapshot_shows),
        cmocka_unit_test(new_epoch_voids_every_older_entry),
        cmocka_unit_test(local_event_is_above_every_stamp_given),
        cmocka_unit_test(local_events_never_carry_into_the_wal),
        cmocka_unit_test(hits_need_a_recent_proof_of_contact),
        cmocka_unit_test(registration_counts_only_for_later_stamps),
        cmocka_unit_test(stamp_of_the_past_is_never_newer_than_asked),
        cmocka_unit_test(two_changes_are_known_until_one_of_them_is_long_ago),
        cmocka_unit_test(changes_of_several_dependencies_in_one_commit_are_one),
        cmocka_unit_test(lost_contact_counts_as_a_change),
        cmocka_unit_test(what_was_registered_before_the_start_is_no_change),
        cmocka_unit_test(tokens_come_back_as_they_went),
        cmocka_unit_test(stamp_that_a_new_epoch_overtook_gives_no_token_of_it),
        cmocka_unit_test(broken_fence_and_late_marks_are_really_broken),
        cmocka_unit_test(snapshots_are_read_as_postgresql_means_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
