/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of versions: what may be read when. A checker that is too lenient finds nothing, one that is
 * too strict finds what is not there. */
#include "base/clock.h"
#include "verify/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct fixture {
    struct model_table table;
    struct model_row *row;
};

static int set_up(void **state)
{
    static struct fixture f;
    model_table_init(&f.table, "t", 2, 4);
    f.row = model_own(&f.table, 1);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    model_give_up(&f->table, f->row);
    model_table_fini(&f->table);
    return 0;
}

static uint64_t write_at(struct model_row *row, int32_t group, uint64_t acked_us)
{
    uint64_t number = model_begin(row, group);
    model_commit(row, number, acked_us);
    return number;
}

static enum model_verdict judge(const struct model_row *row, uint64_t number, int32_t group,
                                uint64_t from_us)
{
    uint64_t wanted;
    struct model_window w = {from_us, UINT64_MAX};
    return model_judge(row, number, group, &w, &wanted);
}

static enum model_verdict judge_absent(const struct model_row *row, int32_t group, uint64_t from_us)
{
    uint64_t wanted;
    struct model_window w = {from_us, UINT64_MAX};
    return model_judge_absent(row, group, &w, &wanted);
}

static void version_is_legal_until_the_next_commit_has_returned(void **state)
{
    struct fixture *f = *state;
    uint64_t wanted;
    uint64_t one = write_at(f->row, 0, 100);
    uint64_t two = model_begin(f->row, 0);
    assert_int_equal(judge(f->row, one, MODEL_ANY_GROUP, 1000), MODEL_LEGAL);
    assert_int_equal(judge(f->row, two, MODEL_ANY_GROUP, 1000),
                     MODEL_LEGAL); /* may be committed already */
    model_commit(f->row, two, 200);
    assert_int_equal(judge(f->row, one, MODEL_ANY_GROUP, 199), MODEL_LEGAL);
    assert_int_equal(judge(f->row, one, MODEL_ANY_GROUP, 200), MODEL_STALE);
    assert_int_equal(judge(f->row, two, MODEL_ANY_GROUP, 1000), MODEL_LEGAL);
    (void)write_at(f->row, 0, 300);
    assert_int_equal(
        model_judge(f->row, one, MODEL_ANY_GROUP, &(struct model_window){250, 260}, &wanted),
        MODEL_STALE);
    assert_int_equal(wanted, two);
    assert_int_equal(model_ended(f->row, one), 200);
    assert_int_equal(model_ended(f->row, two), 300);
    assert_int_equal(model_ended(f->row, 3), 0);
}

static void version_that_was_never_committed_is_a_phantom(void **state)
{
    struct fixture *f = *state;
    uint64_t one = write_at(f->row, 0, 100);
    uint64_t two = model_begin(f->row, 0);
    assert_true(model_roll_back(f->row, two));
    assert_int_equal(judge(f->row, two, MODEL_ANY_GROUP, 0), MODEL_PHANTOM);
    assert_int_equal(judge(f->row, two + 1, MODEL_ANY_GROUP, 0), MODEL_PHANTOM);
    assert_int_equal(judge(f->row, 0, MODEL_ANY_GROUP, 0), MODEL_PHANTOM);
    /* A rollback ends nothing. */
    assert_int_equal(judge(f->row, one, MODEL_ANY_GROUP, 1000), MODEL_LEGAL);
}

static void version_read_before_its_rollback_is_noticed_then(void **state)
{
    struct fixture *f = *state;
    uint64_t one = model_begin(f->row, 0);
    assert_int_equal(judge(f->row, one, MODEL_ANY_GROUP, 0), MODEL_LEGAL);
    assert_false(model_roll_back(f->row, one));
}

static void row_is_read_where_it_was(void **state)
{
    struct fixture *f = *state;
    uint64_t one = write_at(f->row, 1, 100);
    assert_int_equal(judge(f->row, one, 1, 0), MODEL_LEGAL);
    assert_int_equal(judge(f->row, one, 2, 0), MODEL_MISPLACED);
    uint64_t two = write_at(f->row, 2, 200);
    assert_int_equal(judge(f->row, two, 2, 300), MODEL_LEGAL);
    assert_int_equal(judge(f->row, one, 1, 300), MODEL_STALE);
}

static void absence_is_a_state_like_any_other(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(judge_absent(f->row, MODEL_ANY_GROUP, 1000),
                     MODEL_LEGAL); /* before all versions */
    (void)write_at(f->row, 1, 100);
    assert_int_equal(judge_absent(f->row, MODEL_ANY_GROUP, 99), MODEL_LEGAL);
    uint64_t gone = write_at(f->row, MODEL_ABSENT, 200);
    assert_int_equal(judge_absent(f->row, MODEL_ANY_GROUP, 1000), MODEL_LEGAL);
    assert_int_equal(judge(f->row, gone, MODEL_ANY_GROUP, 0), MODEL_PHANTOM);
    (void)write_at(f->row, 1, 300);
    assert_int_equal(judge_absent(f->row, MODEL_ANY_GROUP, 299), MODEL_LEGAL);
    assert_int_equal(judge_absent(f->row, MODEL_ANY_GROUP, 300), MODEL_STALE);
}

static void row_that_moved_is_missing_from_its_old_group_alone(void **state)
{
    struct fixture *f = *state;
    (void)write_at(f->row, 1, 100);
    assert_int_equal(judge_absent(f->row, 1, 150), MODEL_STALE);
    assert_int_equal(judge_absent(f->row, 2, 150), MODEL_LEGAL);
    uint64_t two = model_begin(f->row, 2);
    assert_int_equal(judge_absent(f->row, 1, 150), MODEL_LEGAL); /* it may have moved already */
    assert_int_equal(judge_absent(f->row, 2, 150), MODEL_LEGAL);
    model_commit(f->row, two, 200);
    assert_int_equal(judge_absent(f->row, 1, 1000), MODEL_LEGAL);
    assert_int_equal(judge_absent(f->row, 2, 199), MODEL_LEGAL);
    assert_int_equal(judge_absent(f->row, 2, 200), MODEL_STALE);
}

static void absence_is_not_excused_by_a_rollback(void **state)
{
    struct fixture *f = *state;
    (void)write_at(f->row, 1, 100);
    assert_true(model_roll_back(f->row, model_begin(f->row, MODEL_ABSENT)));
    assert_int_equal(judge_absent(f->row, MODEL_ANY_GROUP, 150), MODEL_STALE);
}

static void what_was_written_after_the_answer_excuses_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t wanted;
    (void)write_at(f->row, 1, 100);
    uint64_t before_us = clock_now_us();
    while (clock_now_us() == before_us) {
    }
    (void)write_at(f->row, MODEL_ABSENT, clock_now_us());
    assert_int_equal(model_judge_absent(f->row, MODEL_ANY_GROUP,
                                        &(struct model_window){before_us, before_us}, &wanted),
                     MODEL_STALE);
}

static void forgotten_versions_are_still_stale(void **state)
{
    struct fixture *f = *state;
    uint64_t one = write_at(f->row, 0, 100);
    for (uint32_t i = 0; i < MODEL_HISTORY + 10; i++) {
        (void)write_at(f->row, 0, clock_now_us());
    }
    assert_int_equal(judge(f->row, one, MODEL_ANY_GROUP, clock_now_us()), MODEL_STALE);
    assert_int_equal(judge(f->row, one, MODEL_ANY_GROUP, 0), MODEL_LEGAL); /* who knows */
    assert_null(model_find(f->row, one));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(version_is_legal_until_the_next_commit_has_returned),
        T(version_that_was_never_committed_is_a_phantom),
        T(version_read_before_its_rollback_is_noticed_then),
        T(row_is_read_where_it_was),
        T(absence_is_a_state_like_any_other),
        T(row_that_moved_is_missing_from_its_old_group_alone),
        T(absence_is_not_excused_by_a_rollback),
        T(what_was_written_after_the_answer_excuses_nothing),
        T(forgotten_versions_are_still_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
