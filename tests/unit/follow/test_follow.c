/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole follower against a real server: from SQL to marks, and through everything that can break the
 * line of positions. One follower lives through all cases; each leaves it following.
 *
 * Waiting is always for something: a strict wait for the log's end, or a state, polled without sleeping
 * (each turn asks the server something).
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "../pg/cluster.h"
#include "follow/follow.h"

#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

static struct fresh *fresh;
static struct follow *follow;
static const struct policy *policy;
static struct mailbox mailbox;
static PGconn *side; /* the application's connection */
static struct follow_value_column values[1];

/* What was published last; written by the follower, read by the test. */
static struct lock catalog_lock;
static const struct follow_catalog *catalog;
static _Atomic uint32_t publications;

static void *analyse(void *arg, PGconn *conn, const struct follow_catalog *c,
                     const struct follow_value_column **ret_values, uint32_t *ret_count)
{
    const struct follow_table *full = follow_catalog_find_name(c, "public", "full_row");
    *ret_values = values;
    *ret_count = full != NULL ? 1 : 0;
    if (full != NULL) {
        values[0] = (struct follow_value_column){full->oid, 2};
    }
    return xstrdup("the analysis");
}

static void publish(void *arg, void *analysis, const struct follow_catalog *c)
{
    assert_string_equal(analysis, "the analysis");
    free(analysis);
    follow_catalog_ref(c);
    lock_acquire(&catalog_lock);
    follow_catalog_unref(catalog);
    catalog = c;
    lock_release(&catalog_lock);
    atomic_fetch_add(&publications, 1);
}

/* --- waiting ------------------------------------------------------------------------------------ */

static void on_wait(struct follow_wait *w)
{
    w->reply = NULL;
}

static bool wait_for(struct follow_wait *w)
{
    w->reply = &mailbox;
    w->done = on_wait;
    follow_wait(follow, w);
    while (w->reply != NULL) {
        struct pollfd p = {.fd = mailbox.fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 30000), 1);
        mailbox_drain(&mailbox);
    }
    return w->reached;
}

static bool strict(fresh_pos *ret_pos)
{
    struct follow_wait w = {.strict = true, .timeout_ms = 10000};
    bool reached = wait_for(&w);
    if (ret_pos != NULL) {
        *ret_pos = w.reached_at;
    }
    return reached;
}

static void sql(const char *text)
{
    if (PQstatus(side) != CONNECTION_OK) {
        PQfinish(side);
        side = PQconnectdb(cluster_dsn);
    }
    PGresult *r = PQexec(side, text);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        print_error("%s: %s\n", text, PQerrorMessage(side));
    }
    assert_true(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK);
    PQclear(r);
}

/* Until `holds` does. Every turn is a round trip through the follower's thread. */
static void until(bool (*holds)(void))
{
    uint64_t give_up = clock_now_ms() + 30000;
    while (!holds()) {
        struct follow_wait w = {.strict = true, .timeout_ms = 20};
        (void)wait_for(&w);
        assert_true(clock_now_ms() < give_up);
    }
}

static struct follow_status status(void)
{
    struct follow_status s;
    follow_status(follow, &s);
    return s;
}

static bool is_following(void)
{
    return status().state == FOLLOW_FOLLOWING && fresh_stamp(fresh) != 0;
}

static bool is_current(void)
{
    lock_acquire(&catalog_lock);
    bool current = catalog != NULL && catalog->version == follow_version(follow);
    lock_release(&catalog_lock);
    return current && is_following();
}

static bool all_visible(void)
{
    return is_following() && fresh_visible(fresh) >= (fresh_applied(fresh) & ~(fresh_pos)0xfff);
}

/* --- dependencies ------------------------------------------------------------------------------- */

static const struct follow_table *table(const char *name)
{
    until(is_current);
    const struct follow_table *t = follow_catalog_find_name(catalog, "public", name);
    assert_non_null(t);
    return t;
}

static fresh_dep row_dep(const char *name, const char *key)
{
    struct slice value = slice_of(key);
    return fresh_dep_hash(fresh, follow_row_hash(table(name)->oid, &value, 1));
}

static fresh_dep value_dep(const char *name, int16_t attnum, const char *value)
{
    return fresh_dep_hash(fresh, follow_value_hash(table(name)->oid, attnum, slice_of(value)));
}

static fresh_dep any_dep(const char *name)
{
    return fresh_dep_any(fresh, table(name)->wide);
}

static fresh_dep all_dep(const char *name)
{
    return fresh_dep_all(fresh, table(name)->wide);
}

struct keys {
    fresh_dep dep[8];
    uint32_t count;
};

static void add_match(void *arg, const struct policy_template *t, const struct slice *found)
{
    struct keys *k = arg;
    const struct follow_template *ft = &catalog->templates[t->index];
    assert_true(ft->followed);
    if (t->column_count == 0) {
        k->dep[k->count++] = fresh_dep_any(fresh, ft->wide);
    } else {
        k->dep[k->count++] = fresh_dep_hash(fresh, policy_template_hash(t, found));
        k->dep[k->count++] = fresh_dep_all(fresh, ft->wide);
    }
}

static struct keys key_deps(const char *key)
{
    struct keys k = {0};
    until(is_current);
    policy_match_key(policy, slice_of(key), add_match, &k);
    assert_true(k.count > 0);
    return k;
}

/* Is what was stamped before the change and depends on `dep` refused after it? */
static bool outdated(fresh_pos stamp, fresh_dep dep)
{
    return fresh_judge(fresh, stamp, &dep, 1, clock_now_ms()) == FRESH_OUTDATED;
}

static bool key_outdated(fresh_pos stamp, const struct keys *k)
{
    return fresh_judge(fresh, stamp, k->dep, k->count, clock_now_ms()) == FRESH_OUTDATED;
}

static fresh_pos stamp_now(void)
{
    until(is_current);
    assert_true(strict(NULL));
    until(all_visible);
    fresh_pos stamp = fresh_stamp(fresh);
    assert_true(stamp != 0);
    return stamp;
}

static void change(const char *text)
{
    sql(text);
    assert_true(strict(NULL));
}

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

static void the_fence_holds_back_what_nobody_can_see(void **state)
{
    fresh_dep one = row_dep("thing", "1");
    fresh_pos before = stamp_now();
    cluster_sql("alter system set synchronous_standby_names = 'nobody'");
    cluster_sql("select pg_reload_conf()");
    sql("select 1");
    /* The setting arrives in the backend with a signal; until then commits do not wait. */
    PGconn *stuck = PQconnectdb(cluster_dsn);
    assert_int_equal(PQsendQuery(stuck, "update thing set v = 'unseen' where id = 1"), 1);
    (void)PQflush(stuck);
    while (!outdated(before, one)) {
        assert_true(strict(NULL)); /* strict is about the log: it is not stuck */
    }
    assert_false(all_visible());
    fresh_pos stamp = fresh_stamp(fresh);
    assert_true(outdated(stamp, one)); /* a fill now would read the old row: it is born outdated */
    cluster_sql("alter system reset synchronous_standby_names");
    cluster_sql("select pg_reload_conf()");
    PGresult *r;
    while ((r = PQgetResult(stuck)) != NULL) {
        PQclear(r);
    }
    PQfinish(stuck);
    until(all_visible);
    assert_false(outdated(fresh_stamp(fresh), one));
    assert_true(status().fence_waits > 0);
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

/* --- trouble ------------------------------------------------------------------------------------ */

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

/* --- setting up --------------------------------------------------------------------------------- */

static const char schema_sql[] =
    "create table thing(id int primary key, v text);"
    "insert into thing values (1, 'one'), (2, 'two');"
    "create view thing_view as select * from thing;"
    "create table full_row(id int primary key, colour text);"
    "alter table full_row replica identity full;"
    "insert into full_row values (1, 'red');"
    "create table trunc(id int primary key);"
    "create table part(id int primary key, v text) partition by range (id);"
    "create table part_low partition of part for values from (0) to (100);"
    "create table part_high partition of part for values from (100) to (200);"
    "insert into part values (5, 'v'), (6, 'v');"
    "create table unpublished(id int primary key);"
    "create table logged_again(id int primary key);"
    "create table keyless(id int);"
    "create unlogged table logless(id int primary key);"
    "create publication freshet for table thing, full_row, trunc, part, keyless, logged_again;"
    "create function freshet_tell() returns event_trigger language plpgsql as $$ begin"
    " perform pg_logical_emit_message(true, 'freshet.ddl', 'all'); end $$;"
    "create event trigger freshet_ddl on ddl_command_end execute function freshet_tell();"
    "create event trigger freshet_drop on sql_drop execute function freshet_tell()";

static const struct policy *make_policy(void)
{
    char path[] = "/tmp/freshet-test-XXXXXX.yaml";
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    dprintf(fd,
            "listen: { resp: \"127.0.0.1:0\" }\n"
            "database: { dsn: \"%s\" }\n"
            "memory: 64MB\n"
            "spaces:\n"
            "  cache: { db: 0 }\n"
            "invalidate:\n"
            "  thing: [\"thing_{id}\", \"things_*\", \"by_v_{v}\"]\n",
            cluster_dsn);
    close(fd);
    struct buf complaints;
    buf_init(&complaints);
    const struct policy *p = policy_load(path, &complaints);
    if (p == NULL) {
        print_error("%.*s\n", (int)buf_len(&complaints), complaints.mem + complaints.start);
    }
    buf_fini(&complaints);
    (void)unlink(path);
    return p;
}

static int set_up(void **state)
{
    hash_setup();
    lock_init(&catalog_lock, LOCK_RANK_PLAN);
    mailbox_init(&mailbox);
    cluster_sql(schema_sql);
    side = PQconnectdb(cluster_dsn);
    policy = make_policy();
    assert_non_null(policy);
    fresh = fresh_create(&(struct fresh_options){.slots = 1 << 16, .max_stale_ms = 500});
    follow = follow_create(&(struct follow_options){
        .policy = policy, .fresh = fresh, .analyse = analyse, .publish = publish});
    until(is_current);
    return 0;
}

static int tear_down(void **state)
{
    follow_destroy(&follow);
    follow_catalog_unref(catalog);
    fresh_destroy(&fresh);
    policy_unload(&policy);
    PQfinish(side);
    mailbox_fini(&mailbox);
    lock_fini(&catalog_lock);
    return 0;
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
        cmocka_unit_test(a_lost_stream_starts_a_new_epoch),
        cmocka_unit_test(a_missing_publication_is_said_and_found_again),
        cmocka_unit_test(open_writers_delay_the_start),
        cmocka_unit_test(a_crash_and_a_restart),
        cmocka_unit_test(a_wrong_wal_level_is_said),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    (void)cluster_verb("stop");
    return failed;
}
