/* SPDX-License-Identifier: BSD-3-Clause */
/* One fill per key: who leads, who joins, who is told. */
#include "base/hash.h"
#include "fill/flight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct fresh *fresh;
static struct flights *flights;
static struct mailbox box;
static int landed;

static void on_landed(struct flight_waiter *w)
{
    landed++;
    assert_non_null(w->answer);
    flight_answer_unref(&w->answer);
}

static int set_up(void **state)
{
    role_assume(&follower_role);
    hash_setup_seed(5);
    fresh = fresh_create(&(struct fresh_options){.slots = 64, .max_stale_ms = 500});
    fresh_new_epoch(fresh, 1000);
    fresh_open(fresh);
    fresh_proof(fresh, 1);
    flights = flights_create();
    mailbox_init(&box);
    landed = 0;
    return 0;
}

static int tear_down(void **state)
{
    flights_destroy(&flights);
    fresh_destroy(&fresh);
    mailbox_fini(&box);
    return 0;
}

static struct flight *ask(struct flight_waiter *w, const char *key)
{
    *w = (struct flight_waiter){.reply = &box, .landed = on_landed};
    return flight_lead_or_join(flights, fresh, slice_of(key), w, 1);
}

static void land(struct flight *fl)
{
    struct flight_answer *a = flight_answer_create();
    flight_land(flights, &fl, a);
    flight_answer_unref(&a);
    mailbox_drain(&box);
}

static void first_leads_and_the_others_join(void **state)
{
    struct flight_waiter w[3];
    struct flight *led = ask(&w[0], "k");
    assert_non_null(led);
    assert_null(ask(&w[1], "k"));
    assert_null(ask(&w[2], "k"));
    assert_true(w[1].unconditional);
    struct flight_waiter other;
    struct flight *second = ask(&other, "l");
    assert_non_null(second);
    land(led);
    assert_int_equal(landed, 2);
    land(second);
    assert_int_equal(landed, 2);
}

static void sent_flight_is_joined_only_while_its_stamp_holds(void **state)
{
    role_assume(&follower_role);
    struct flight_waiter w[3];
    struct flight *led = ask(&w[0], "k");
    struct fresh_deps deps = {0};
    fresh_dep dep = fresh_dep_hash(fresh, 9ULL << 32);
    fresh_deps_add(&deps, dep);
    flight_sent(flights, led, fresh_stamp(fresh), &deps);
    assert_null(ask(&w[1], "k"));
    assert_false(w[1].unconditional);
    fresh_apply(fresh, &(struct fresh_commit){.end_lsn = 1100, .xid = 1, .deps = &dep, .count = 1});
    struct flight *newer = ask(&w[2], "k");
    assert_non_null(newer);
    struct flight_waiter joiner;
    assert_null(ask(&joiner, "k")); /* the newest flight is found first */
    assert_true(joiner.unconditional);
    land(led);
    assert_int_equal(landed, 1);
    land(newer);
    assert_int_equal(landed, 2);
}

static void who_comes_after_a_read_without_stamp_waits_behind_it(void **state)
{
    struct flight_waiter w[4];
    struct flight *led = ask(&w[0], "k");
    flight_sent(flights, led, 0, &(struct fresh_deps){0});
    for (int i = 1; i < 4; i++) {
        assert_null(ask(&w[i], "k"));
    }
    land(led);
    assert_int_equal(landed, 3);
    /* They start over: one leads, and its read began after all of them came. */
    struct flight *second = NULL;
    for (int i = 1; i < 4; i++) {
        assert_false(w[i].unconditional);
        struct flight *mine = flight_lead_or_join(flights, fresh, SLICE("k"), &w[i], 1);
        assert_true((mine != NULL) == (i == 1));
        second = mine != NULL ? mine : second;
        if (mine != NULL) {
            flight_sent(flights, mine, 0, &(struct fresh_deps){0});
        }
    }
    land(second);
    assert_int_equal(landed, 5);
    assert_true(w[2].unconditional && w[3].unconditional);
}

static void who_distrusts_stamps_waits_behind_a_read_that_is_under_way(void **state)
{
    struct flight_waiter w[3];
    struct flight *led = ask(&w[0], "k");
    flight_sent(flights, led, fresh_stamp(fresh), &(struct fresh_deps){0});
    w[1] = (struct flight_waiter){.reply = &box, .landed = on_landed, .distrusts = true};
    assert_null(flight_lead_or_join(flights, fresh, SLICE("k"), &w[1], 1));
    land(led);
    assert_false(w[1].unconditional);
    struct flight *own = flight_lead_or_join(flights, fresh, SLICE("k"), &w[1], 1);
    assert_non_null(own);
    w[2] = (struct flight_waiter){.reply = &box, .landed = on_landed, .distrusts = true};
    assert_null(flight_lead_or_join(flights, fresh, SLICE("k"), &w[2], 1));
    land(own);
    assert_true(w[2].unconditional);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_leads_and_the_others_join, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sent_flight_is_joined_only_while_its_stamp_holds, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_comes_after_a_read_without_stamp_waits_behind_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_distrusts_stamps_waits_behind_a_read_that_is_under_way,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
