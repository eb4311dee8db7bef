/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/tell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void a_reason_is_told_once_in_an_outage(void **state)
{
    struct tell t = {0};
    assert_true(tell_due(&t, "refused", 1));
    for (uint64_t now = 2; now < 100 * (uint64_t)TELL_AGAIN_MS; now += 500) {
        assert_false(tell_due(&t, "refused", now));
    }
}

static void reasons_that_take_turns_are_told_once_each(void **state)
{
    struct tell t = {0};
    assert_true(tell_due(&t, "refused", 1));
    assert_true(tell_due(&t, "starting up", 2));
    for (uint64_t now = 3; now < 1000; now++) {
        assert_false(tell_due(&t, now % 2 == 0 ? "refused" : "starting up", now));
    }
}

static void the_next_outage_is_told_but_not_at_once(void **state)
{
    struct tell t = {0};
    assert_true(tell_due(&t, "cut", 1000));
    tell_over(&t);
    assert_false(tell_due(&t, "cut", 2000));
    assert_false(tell_due(&t, "cut", 1000 + 2 * TELL_AGAIN_MS)); /* the same outage */
    tell_over(&t);
    assert_true(tell_due(&t, "cut", 1000 + 2 * TELL_AGAIN_MS));
}

static void what_breaks_every_second_is_told_once_a_minute(void **state)
{
    struct tell t = {0};
    unsigned told = 0;
    for (uint64_t now = 0; now < UINT64_C(10) * TELL_AGAIN_MS; now += 1000) {
        told += tell_due(&t, "cut", now) ? 1 : 0;
        tell_over(&t);
    }
    assert_int_equal(told, 10);
}

static void numbers_do_not_make_another_reason(void **state)
{
    struct tell t = {0};
    assert_true(tell_due(&t, "process 4711 left", 1));
    assert_false(tell_due(&t, "process 815 left", 2));
    assert_true(tell_due(&t, "process 815 came", 3));
}

static void a_full_table_forgets_the_oldest(void **state)
{
    struct tell t = {0};
    char why[2] = "a";
    for (; why[0] < 'a' + TELL_REASONS + 1; why[0]++) {
        assert_true(tell_due(&t, why, 1));
    }
    assert_false(tell_due(&t, "b", 2));
    assert_true(tell_due(&t, "a", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reason_is_told_once_in_an_outage),
        cmocka_unit_test(reasons_that_take_turns_are_told_once_each),
        cmocka_unit_test(the_next_outage_is_told_but_not_at_once),
        cmocka_unit_test(what_breaks_every_second_is_told_once_a_minute),
        cmocka_unit_test(numbers_do_not_make_another_reason),
        cmocka_unit_test(a_full_table_forgets_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
