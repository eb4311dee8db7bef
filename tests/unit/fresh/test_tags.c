/* SPDX-License-Identifier: BSD-3-Clause */
/* Tags: drops against stamps, with a database and without. */
#include "base/check.h"
#include "base/hash.h"
#include "fresh/fresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct fresh *make(void)
{
    hash_setup_seed(7);
    return fresh_create(&(struct fresh_options){.slots = 1024, .max_stale_ms = 500});
}

static struct fresh *make_following(void)
{
    role_assume(&follower_role);
    struct fresh *f = make();
    fresh_new_epoch(f, 1000);
    fresh_open(f);
    fresh_proof(f, 1);
    return f;
}

static enum fresh_verdict judge(struct fresh *f, fresh_pos stamp, fresh_dep dep)
{
    return fresh_judge(f, stamp, &dep, 1, 1);
}

static void drop_is_seen_without_any_database(void **state)
{
    struct fresh *f = make();
    fresh_dep tag = fresh_dep_tag(f, SLICE("product"));
    fresh_dep other = fresh_dep_tag(f, SLICE("sale"));
    assert_true(fresh_dep_is_tag(f, tag));
    assert_false(fresh_dep_is_tag(f, fresh_dep_hash(f, UINT64_MAX)));
    fresh_pos before = fresh_stamp_tags(f);
    assert_int_equal(judge(f, before, tag), FRESH_HIT);
    fresh_drop(f, &tag, 1);
    assert_int_equal(judge(f, before, tag), FRESH_OUTDATED);
    assert_int_equal(judge(f, before, other), FRESH_HIT);
    assert_int_equal(judge(f, fresh_stamp_tags(f), tag), FRESH_HIT);
    fresh_destroy(&f);
}

static void tags_need_no_contact_and_outlive_epochs(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make_following();
    fresh_dep deps[] = {fresh_dep_tag(f, SLICE("a")), fresh_dep_hash(f, 9ULL << 32)};
    fresh_pos stamp = fresh_stamp_tags(f);
    assert_int_equal(fresh_judge(f, stamp, deps, 2, 1), FRESH_HIT);
    assert_int_equal(fresh_judge(f, stamp, deps, 2, 5000), FRESH_UNPROVEN);
    assert_int_equal(fresh_judge(f, stamp, deps, 1, 5000), FRESH_HIT);
    fresh_new_epoch(f, 10);
    assert_int_equal(fresh_judge(f, stamp, deps, 2, 1), FRESH_VOID);
    assert_int_equal(fresh_judge(f, stamp, deps, 1, 1), FRESH_HIT);
    fresh_drop(f, deps, 1); /* contact is lost: no stamps of the database, but drops */
    assert_int_equal(fresh_stamp(f), 0);
    assert_int_equal(fresh_judge(f, stamp, deps, 1, 1), FRESH_OUTDATED);
    assert_int_equal(judge(f, fresh_stamp_tags(f), deps[0]), FRESH_HIT);
    fresh_destroy(&f);
}

static void drop_voids_stamps_that_the_fence_holds_back(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make_following();
    fresh_dep row = fresh_dep_hash(f, 9ULL << 32);
    fresh_dep tag = fresh_dep_tag(f, SLICE("a"));
    fresh_apply(f, &(struct fresh_commit){.end_lsn = 1100, .xid = 10, .deps = &row, .count = 1});
    fresh_pos fenced = fresh_stamp(f); /* of V, the commit is not visible yet */
    fresh_drop(f, &tag, 1);
    assert_int_equal(judge(f, fenced, tag), FRESH_OUTDATED);
    assert_int_equal(judge(f, fresh_stamp_tags(f), tag), FRESH_HIT);
    fresh_destroy(&f);
}

static void drop_works_where_the_log_has_no_positions_left(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make_following();
    fresh_dep tag = fresh_dep_tag(f, SLICE("a"));
    for (int i = 0; i < 5000; i++) {
        fresh_pos stamp = fresh_stamp_tags(f);
        fresh_drop(f, &tag, 1);
        assert_int_equal(judge(f, stamp, tag), FRESH_OUTDATED);
    }
    assert_int_equal(judge(f, fresh_stamp_tags(f), tag), FRESH_OUTDATED); /* until the log moves */
    fresh_apply_idle(f, 1008);
    assert_int_equal(judge(f, fresh_stamp_tags(f), tag), FRESH_HIT);
    fresh_destroy(&f);
}

static void drops_without_a_database_never_run_out(void **state)
{
    struct fresh *f = make();
    fresh_dep tag = fresh_dep_tag(f, SLICE("a"));
    for (int i = 0; i < 10000; i++) {
        fresh_pos stamp = fresh_stamp_tags(f);
        fresh_drop(f, &tag, 1);
        assert_int_equal(judge(f, stamp, tag), FRESH_OUTDATED);
        assert_int_equal(judge(f, fresh_stamp_tags(f), tag), FRESH_HIT);
    }
    fresh_destroy(&f);
}

static void past_stamp_is_below_a_drop_since(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make_following();
    fresh_dep tag = fresh_dep_tag(f, SLICE("a"));
    fresh_sample(f, 100);
    fresh_drop(f, &tag, 1); /* the log has not moved: the same V as in the sample */
    fresh_sample(f, 200);
    assert_int_equal(judge(f, fresh_stamp_ago(f, 210, 100), tag), FRESH_OUTDATED);
    assert_int_equal(judge(f, fresh_stamp_ago(f, 210, 10), tag), FRESH_HIT);
    fresh_destroy(&f);
}

static void stale_entry_is_known_to_have_been_current(void **state)
{
    struct fresh *f = make();
    fresh_dep deps[] = {fresh_dep_tag(f, SLICE("a")), fresh_dep_tag(f, SLICE("b"))};
    fresh_pos stamp = fresh_stamp_tags(f);
    assert_false(fresh_was_current(f, stamp, deps, 2, 50, 50)); /* nothing is known yet */
    fresh_sample(f, 100);
    fresh_drop(f, &deps[0], 1);
    fresh_sample(f, 200);
    assert_true(fresh_was_current(f, stamp, deps, 2, 250, 150));
    assert_false(fresh_was_current(f, stamp, deps, 2, 251, 150));
    fresh_drop(f, &deps[1], 1);
    fresh_sample(f, 300);
    assert_true(fresh_was_current(f, stamp, deps, 2, 310, 210));
    assert_false(fresh_was_current(f, stamp, deps, 2, 310, 110)); /* a was dropped before */
    assert_true(fresh_was_current(f, stamp, &deps[1], 1, 310, 110));
    (void)fresh_stamp_tags(f);
    fresh_drop(f, &deps[0], 1);
    assert_false(fresh_was_current(f, stamp, deps, 2, 310, 210)); /* twice: cannot be told */
    fresh_destroy(&f);
}

static void stale_entry_that_follows_needs_contact_within_that_time(void **state)
{
    role_assume(&follower_role);
    struct fresh *f = make_following();
    fresh_dep row = fresh_dep_hash(f, 9ULL << 32);
    fresh_pos stamp = fresh_stamp(f);
    fresh_sample(f, 1000);
    fresh_proof(f, 1000);
    fresh_apply(f, &(struct fresh_commit){.end_lsn = 1100, .xid = 10, .deps = &row, .count = 1});
    assert_true(fresh_was_current(f, stamp, &row, 1, 1010, 100));
    assert_false(fresh_was_current(f, stamp, &row, 1, 1200, 100));
    fresh_sample(f, 1150);
    assert_false(fresh_was_current(f, stamp, &row, 1, 1200, 100));
    fresh_new_epoch(f, 5000);
    assert_false(fresh_was_current(f, stamp, &row, 1, 1010, 100));
    fresh_destroy(&f);
}

static void tokens_of_another_process_are_foreign(void **state)
{
    struct fresh *f = make();
    char text[FRESH_TOKEN_MAX];
    fresh_pos stamp = fresh_stamp_tags(f);
    fresh_pos pos = 0;
    size_t len = fresh_token_format(f, stamp, text);
    assert_int_equal(fresh_token_parse(f, (struct slice){text, len}, &pos), FRESH_TOKEN_OK);
    assert_int_equal(pos, stamp);
    assert_int_equal(fresh_token_parse(f, SLICE("0.0.1"), &pos), FRESH_TOKEN_OTHER_EPOCH);
    assert_int_equal(fresh_token_parse(f, SLICE("1700000000000.0.1"), &pos),
                     FRESH_TOKEN_OTHER_EPOCH);
    fresh_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drop_is_seen_without_any_database),
        cmocka_unit_test(tags_need_no_contact_and_outlive_epochs),
        cmocka_unit_test(drop_voids_stamps_that_the_fence_holds_back),
        cmocka_unit_test(drop_works_where_the_log_has_no_positions_left),
        cmocka_unit_test(drops_without_a_database_never_run_out),
        cmocka_unit_test(past_stamp_is_below_a_drop_since),
        cmocka_unit_test(stale_entry_is_known_to_have_been_current),
        cmocka_unit_test(stale_entry_that_follows_needs_contact_within_that_time),
        cmocka_unit_test(tokens_of_another_process_are_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
