/* SPDX-License-Identifier: BSD-3-Clause */
/* Large transactions, which come in blocks between which others begin and commit. */
#include "depend_rig.h"

static void a_transaction_in_blocks_marks_when_it_commits(void **state)
{
    depend_block_begin(depend, 7);
    describe(THING);
    insert(THING, ROW("1", "a", "5"));
    depend_block_end(depend);
    assert_int_equal(mark_count(), 0); /* another one between its blocks */
    insert(THING, ROW("2", "b", "6"));
    assert_true(row_marked(THING, "2"));
    assert_false(row_marked(THING, "1"));
    depend_block_begin(depend, 7);
    insert(THING, ROW("3", "c", "7"));
    depend_block_end(depend);
    assert_true(depend_choose(depend, 7));
    assert_true(row_marked(THING, "1"));
    assert_true(row_marked(THING, "3"));
    assert_false(row_marked(THING, "2"));
    assert_true(any_marked(THING));
    assert_int_equal(depend_row_count(depend), 2);
    depend_forget(depend, 7);
    assert_int_equal(mark_count(), 0);
    assert_false(depend_choose(depend, 7));
}

static void an_aborted_transaction_in_blocks_marks_nothing(void **state)
{
    depend_block_begin(depend, 7);
    insert(THING, ROW("1", "a", "5"));
    depend_block_end(depend);
    depend_forget(depend, 7);
    assert_int_equal(mark_count(), 0);
    assert_false(depend_choose(depend, 7));
}

static void two_transactions_in_blocks_are_bounded_each(void **state)
{
    char id[16];
    for (uint32_t i = 0; i < 4 * DEPEND_FLOOD; i++) {
        (void)snprintf(id, sizeof(id), "%u", i);
        depend_block_begin(depend, 7 + i % 2);
        insert(THING, ROW(id, "a", "5"));
        depend_block_end(depend);
    }
    for (uint32_t xid = 7; xid <= 8; xid++) {
        assert_true(depend_choose(depend, xid));
        assert_true(all_marked(THING));
        assert_true(mark_count() < 2 * DEPEND_FLOOD);
        depend_forget(depend, xid);
    }
}

static void what_a_block_describes_holds_for_others_once_it_commits(void **state)
{
    depend_reset(depend);
    depend_block_begin(depend, 7);
    describe(THING);
    insert(THING, ROW("1", "a", "5"));
    depend_block_end(depend);
    assert_false(change(DECODE_INSERT, THING, DECODE_OLD_NONE, NULL, ROW("2", "b", "6")));
    assert_true(depend_choose(depend, 7));
    depend_forget(depend, 7);
    insert(THING, ROW("2", "b", "6"));
    assert_true(row_marked(THING, "2"));
}

static void a_catalog_between_blocks_marks_everything(void **state)
{
    depend_block_begin(depend, 7);
    insert(THING, ROW("1", "a", "5"));
    depend_block_end(depend);
    const struct follow_catalog *same = depend_catalog(depend);
    depend_install(depend, same, value_columns, array_len(value_columns));
    depend_block_begin(depend, 7);
    insert(THING, ROW("2", "a", "5"));
    depend_block_end(depend);
    assert_int_equal(mark_count(), 0);
    assert_true(depend_choose(depend, 7));
    for (uint32_t oid = THING; oid < THING + TABLES; oid++) {
        assert_true(any_marked(oid) && all_marked(oid));
    }
    depend_forget(depend, 7);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    hash_setup_seed(11);
    const struct CMUnitTest tests[] = {
        CASE(a_transaction_in_blocks_marks_when_it_commits),
        CASE(an_aborted_transaction_in_blocks_marks_nothing),
        CASE(two_transactions_in_blocks_are_bounded_each),
        CASE(what_a_block_describes_holds_for_others_once_it_commits),
        CASE(a_catalog_between_blocks_marks_everything),
    };
    return cmocka_run_group_tests(tests, load_policy, unload_policy);
}
