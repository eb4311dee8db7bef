/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything that breaks the line of positions, and that the follower comes back from each. */
#include "rig.h"

static fresh_pos old_floor;

static bool has_new_epoch(void)
{
    return fresh_floor(fresh) > old_floor && is_current();
}

static void a_lost_stream_starts_a_new_epoch(void **state)
{
    fresh_dep one = row_dep("thing", "1");
    fresh_pos before = stamp_now();
    old_floor = fresh_floor(fresh);
    sql("select pg_terminate_backend(pid) from pg_stat_replication");
    until(has_new_epoch);
    assert_int_equal(fresh_judge(fresh, before, &one, 1, clock_now_ms()), FRESH_VOID);
    before = stamp_now();
    change("update thing set v = 'after' where id = 1");
    assert_true(outdated(before, one));
}

static bool knows_missing(void)
{
    return strstr(status().last_error, "setup-sql") != NULL;
}

static void a_missing_publication_is_said_and_found_again(void **state)
{
    sql("drop publication freshet");
    sql("select pg_terminate_backend(pid) from pg_stat_replication");
    until(knows_missing);
    assert_int_equal(fresh_stamp(fresh), 0);
    sql("create publication freshet for table thing, full_row, trunc, part, logged_again");
    until(is_current);
    assert_string_equal(status().last_error, "");
}

static bool is_waiting_for_slot(void)
{
    return status().state == FOLLOW_SLOT;
}

static void open_writers_delay_the_start(void **state)
{
    old_floor = fresh_floor(fresh);
    sql("begin; insert into thing values (300, 'open')");
    cluster_sql("select pg_terminate_backend(pid) from pg_stat_replication");
    until(is_waiting_for_slot);
    assert_int_equal(fresh_stamp(fresh), 0);
    sql("commit");
    until(has_new_epoch);
    change("delete from thing where id = 300");
}

static bool is_not_following(void)
{
    return status().state == FOLLOW_BACKOFF || status().state == FOLLOW_CONNECTING;
}

static void a_crash_and_a_restart(void **state)
{
    old_floor = fresh_floor(fresh);
    assert_true(cluster_verb("halt"));
    until(is_not_following);
    assert_int_equal(fresh_stamp(fresh), 0);
    struct follow_wait w = {.strict = true, .timeout_ms = 50};
    assert_false(wait_for(&w));
    assert_true(cluster_verb("resume"));
    until(has_new_epoch);
    PQreset(side);
    fresh_dep one = row_dep("thing", "1");
    fresh_pos before = stamp_now();
    change("update thing set v = 'restarted' where id = 1");
    assert_true(outdated(before, one));
}

static bool knows_wal_level(void)
{
    return strstr(status().last_error, "set wal_level = logical") != NULL;
}

static void a_wrong_wal_level_is_said(void **state)
{
    cluster_sql("alter system set wal_level = replica");
    assert_true(cluster_verb("halt"));
    assert_true(cluster_verb("resume"));
    until(knows_wal_level);
    cluster_sql("alter system reset wal_level");
    assert_true(cluster_verb("halt"));
    assert_true(cluster_verb("resume"));
    until(is_current);
    PQreset(side);
}

int main(void)
{
    if (!cluster_start("contact")) {
        print_message("1..0 # SKIP PostgreSQL 15 cannot be started here (see tools/pg)\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_stream_starts_a_new_epoch),
        cmocka_unit_test(a_missing_publication_is_said_and_found_again),
        cmocka_unit_test(open_writers_delay_the_start),
        cmocka_unit_test(a_crash_and_a_restart),
        cmocka_unit_test(a_wrong_wal_level_is_said),
    };
    int failed = cmocka_run_group_tests(tests, rig_start, rig_stop);
    (void)cluster_verb("stop");
    return failed;
}
