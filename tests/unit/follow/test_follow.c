/* SPDX-License-Identifier: BSD-3-Clause */
/* From SQL to marks: rows, values and keys; positions, the fence, and changes of the schema. */
#include "rig.h"

/* --- rows, values, keys ------------------------------------------------------------------------- */

static void a_changed_row_outdates_what_depends_on_it(void **state)
{
    fresh_dep one = row_dep("thing", "1");
    fresh_dep two = row_dep("thing", "2");
    fresh_dep any = any_dep("thing");
    fresh_dep all = all_dep("thing");
    fresh_pos before = stamp_now();
    change("update thing set v = 'changed' where id = 1");
    assert_true(outdated(before, one));
    assert_false(outdated(before, two));
    assert_true(outdated(before, any));
    assert_false(outdated(before, all));
    until(all_visible);
    assert_false(outdated(fresh_stamp(fresh), one));
}

static void a_moved_key_outdates_both_rows(void **state)
{
    fresh_dep two = row_dep("thing", "2");
    fresh_dep moved = row_dep("thing", "200");
    fresh_pos before = stamp_now();
    change("update thing set id = 200 where id = 2");
    assert_true(outdated(before, two));
    assert_true(outdated(before, moved));
    change("update thing set id = 2 where id = 200");
}

static void an_absent_row_is_outdated_by_its_insert(void **state)
{
    fresh_dep absent = row_dep("thing", "77");
    fresh_pos before = stamp_now();
    change("insert into thing values (77, 'new')");
    assert_true(outdated(before, absent));
    before = stamp_now();
    change("delete from thing where id = 77");
    assert_true(outdated(before, absent));
}

static void a_rollback_outdates_nothing(void **state)
{
    fresh_dep one = row_dep("thing", "1");
    fresh_dep any = any_dep("thing");
    fresh_pos before = stamp_now();
    change("begin; update thing set v = 'no'; rollback");
    assert_false(outdated(before, one));
    assert_false(outdated(before, any));
}

static void values_follow_full_identity(void **state)
{
    fresh_dep red = value_dep("full_row", 2, "red");
    fresh_dep blue = value_dep("full_row", 2, "blue");
    fresh_dep green = value_dep("full_row", 2, "green");
    fresh_pos before = stamp_now();
    change("update full_row set colour = 'blue' where id = 1");
    assert_true(outdated(before, red));
    assert_true(outdated(before, blue));
    assert_false(outdated(before, green));
    assert_false(outdated(before, all_dep("full_row")));
    change("update full_row set colour = 'red' where id = 1");
}

static void keys_follow_templates(void **state)
{
    struct keys one = key_deps("thing_1");
    struct keys two = key_deps("thing_2");
    struct keys list = key_deps("things_all");
    fresh_pos before = stamp_now();
    change("update thing set v = 'again' where id = 1");
    assert_true(key_outdated(before, &one));
    assert_false(key_outdated(before, &two));
    assert_true(key_outdated(before, &list));
}

static void a_lacking_column_voids_the_template(void **state)
{
    struct keys a = key_deps("by_v_a"); /* v is not in thing's replica identity */
    struct keys b = key_deps("by_v_b");
    fresh_pos before = stamp_now();
    change("insert into thing values (50, 'a')");
    assert_true(key_outdated(before, &a));
    assert_false(key_outdated(before, &b));
    before = stamp_now();
    change("update thing set v = 'c' where id = 50");
    assert_true(key_outdated(before, &a));
    assert_true(key_outdated(before, &b));
    change("delete from thing where id = 50");
}

static void truncate_outdates_everything_of_the_table(void **state)
{
    fresh_dep row = all_dep("trunc");
    fresh_dep any = any_dep("trunc");
    fresh_pos before = stamp_now();
    change("truncate trunc");
    assert_true(outdated(before, row));
    assert_true(outdated(before, any));
}

static void a_leaf_outdates_its_root(void **state)
{
    fresh_dep root_row = row_dep("part", "5");
    fresh_dep root_other = row_dep("part", "6");
    fresh_dep root_any = any_dep("part");
    fresh_dep root_all = all_dep("part");
    fresh_pos before = stamp_now();
    change("update part set v = 'x' where id = 5");
    assert_true(outdated(before, root_row));
    assert_false(outdated(before, root_other));
    assert_true(outdated(before, root_any));
    assert_false(outdated(before, root_all));
    change("truncate part_low");
    assert_true(outdated(before, root_all));
    change("insert into part values (5, 'v'), (6, 'v')");
}

static void a_flood_raises_all_and_ends(void **state)
{
    fresh_dep all = all_dep("thing");
    struct keys one = key_deps("thing_1");
    fresh_pos before = stamp_now();
    change("insert into thing select g, 'f' from generate_series(1000, 1299) g");
    /* Three dependencies each: the row and two keys. */
    assert_false(outdated(before, all));
    assert_false(key_outdated(before, &one));
    change("update thing set v = 'flood' where id >= 1000; update thing set id = id + 5000"
           " where id >= 1000; delete from thing where id >= 1000");
    assert_true(outdated(before, all));
    assert_true(key_outdated(before, &one));
}

/* --- positions ---------------------------------------------------------------------------------- */

static void strict_sees_asynchronous_commits(void **state)
{
    fresh_dep one = row_dep("thing", "1");
    for (int i = 0; i < 20; i++) {
        fresh_pos before = stamp_now();
        sql("set synchronous_commit to off; update thing set v = v || '.' where id = 1");
        assert_true(strict(NULL));
        assert_true(outdated(before, one));
    }
    sql("reset synchronous_commit");
}

static void strict_ends_at_a_segment_boundary(void **state)
{
    for (int i = 0; i < 3; i++) {
        sql("select pg_switch_wal()");
        struct follow_wait w = {.strict = true, .timeout_ms = 3000};
        assert_true(wait_for(&w));
    }
}

static void a_position_is_waited_for(void **state)
{
    fresh_pos at = 0;
    assert_true(strict(&at));
    struct follow_wait now = {.position = at, .timeout_ms = 10000};
    assert_true(wait_for(&now));
    struct follow_wait never = {.position = at + ((fresh_pos)1 << 50), .timeout_ms = 20};
    assert_false(wait_for(&never));
}

static void proof_is_kept_up(void **state)
{
    until(is_following);
    uint64_t mid = clock_now_ms();
    until(all_visible);
    /* A proof newer than `mid` comes without anybody asking for a strict position. */
    while (fresh_proof_age(fresh, clock_now_ms()) > clock_now_ms() - mid) {
        assert_true(clock_now_ms() - mid < 30000);
        (void)poll(NULL, 0, 1);
    }
}

/* Is this backend's commit flushed, streamed, and waiting for a standby? */
static bool waits_for_standby(PGconn *observer, int pid)
{
    char query[128];
    (void)snprintf(query, sizeof(query),
                   "select 1 from pg_stat_activity where pid = %d and wait_event = 'SyncRep'", pid);
    PGresult *r = PQexec(observer, query);
    bool waits = PQntuples(r) == 1;
    PQclear(r);
    return waits;
}

/* Updates until a commit hangs: the new setting reaches backends and checkpointer some time after the
 * reload, and until both have it, commits do not wait. */
static PGconn *commit_that_hangs(const char *update)
{
    PGconn *observer = PQconnectdb(cluster_dsn);
    PGconn *stuck = PQconnectdb(cluster_dsn);
    bool hangs = false;
    while (!hangs) {
        assert_int_equal(PQsendQuery(stuck, update), 1);
        (void)PQflush(stuck);
        do {
            assert_int_equal(PQconsumeInput(stuck), 1);
            hangs = waits_for_standby(observer, PQbackendPID(stuck));
        } while (PQisBusy(stuck) && !hangs);
        PGresult *r;
        while (!hangs && (r = PQgetResult(stuck)) != NULL) {
            PQclear(r);
        }
    }
    PQfinish(observer);
    return stuck;
}

static bool log_is_applied(void)
{
    return strict(NULL);
}

static uint64_t fence_waits;

static bool fence_has_waited(void)
{
    return status().fence_waits > fence_waits;
}

static void the_fence_holds_back_what_nobody_can_see(void **state)
{
    fresh_dep one = row_dep("thing", "1");
    cluster_sql("alter system set synchronous_standby_names = 'nobody'");
    cluster_sql("select pg_reload_conf()");
    fence_waits = status().fence_waits;
    PGconn *stuck = commit_that_hangs("update thing set v = 'unseen' where id = 1");
    until(log_is_applied); /* the commit is in the log, which is not stuck */
    assert_false(all_visible());
    fresh_pos stamp = fresh_stamp(fresh);
    assert_true(outdated(stamp, one)); /* a fill now would read the old row: it is born outdated */
    until(fence_has_waited);
    cluster_sql("alter system reset synchronous_standby_names");
    cluster_sql("select pg_reload_conf()");
    PGresult *r;
    while ((r = PQgetResult(stuck)) != NULL) {
        PQclear(r);
    }
    PQfinish(stuck);
    until(all_visible);
    assert_false(outdated(fresh_stamp(fresh), one));
}

/* --- schema ------------------------------------------------------------------------------------- */

static void ddl_outdates_the_catalog(void **state)
{
    fresh_dep any = any_dep("thing");
    uint64_t version = follow_version(follow);
    fresh_pos before = stamp_now();
    change("alter table thing add column extra int");
    assert_true(follow_version(follow) > version);
    assert_true(outdated(before, any));
    assert_int_equal(table("thing")->column_count, 3);
    change("alter table thing drop column extra");
    assert_int_equal(table("thing")->column_count, 2);
}

static void a_schema_change_without_a_message_shows_in_the_rows(void **state)
{
    uint64_t version = follow_version(follow);
    sql("alter event trigger freshet_ddl disable");
    sql("alter event trigger freshet_drop disable");
    fresh_dep all = all_dep("thing");
    fresh_pos before = stamp_now();
    sql("alter table thing add column extra int");
    change("insert into thing values (90, 'v', 1)");
    assert_true(follow_version(follow) > version);
    assert_true(outdated(before, all));
    assert_int_equal(table("thing")->column_count, 3);
    assert_false(catalog->sees_ddl);
    sql("alter table thing drop column extra");
    sql("alter event trigger freshet_ddl enable");
    change("create table told(id int)");
    until(is_current);
    assert_false(catalog->sees_ddl); /* half of them is not enough */
    sql("alter event trigger freshet_drop enable");
    change("create table told_again(id int)");
    until(is_current);
    assert_true(catalog->sees_ddl);
    change("delete from thing where id = 90");
}

static void the_catalog_says_what_is_followed(void **state)
{
    assert_true(table("thing")->published);
    assert_true(table("part")->published);
    assert_true(table("part_low")->published);
    assert_int_equal(table("part_low")->ancestor_count, 1);
    assert_false(table("unpublished")->published);
    assert_false(table("keyless")->published);
    assert_false(table("logless")->published);
    assert_int_equal(table("logless")->persistence, 'u');
    assert_int_equal(table("thing")->key_count, 1);
    assert_true(table("thing")->columns[0].identity);
    assert_false(table("thing")->columns[1].identity);
    assert_true(table("full_row")->columns[1].identity);
    assert_int_equal(table("thing_view")->relkind, 'v');
}

int main(void)
{
    if (!cluster_start("follow")) {
        print_message("1..0 # SKIP PostgreSQL 15 cannot be started here (see tools/pg)\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalog_says_what_is_followed),
        cmocka_unit_test(a_changed_row_outdates_what_depends_on_it),
        cmocka_unit_test(a_moved_key_outdates_both_rows),
        cmocka_unit_test(an_absent_row_is_outdated_by_its_insert),
        cmocka_unit_test(a_rollback_outdates_nothing),
        cmocka_unit_test(values_follow_full_identity),
        cmocka_unit_test(keys_follow_templates),
        cmocka_unit_test(a_lacking_column_voids_the_template),
        cmocka_unit_test(truncate_outdates_everything_of_the_table),
        cmocka_unit_test(a_leaf_outdates_its_root),
        cmocka_unit_test(a_flood_raises_all_and_ends),
        cmocka_unit_test(strict_sees_asynchronous_commits),
        cmocka_unit_test(strict_ends_at_a_segment_boundary),
        cmocka_unit_test(a_position_is_waited_for),
        cmocka_unit_test(proof_is_kept_up),
        cmocka_unit_test(the_fence_holds_back_what_nobody_can_see),
        cmocka_unit_test(ddl_outdates_the_catalog),
        cmocka_unit_test(a_schema_change_without_a_message_shows_in_the_rows),
    };
    int failed = cmocka_run_group_tests(tests, rig_start, rig_stop);
    (void)cluster_verb("stop");
    return failed;
}
