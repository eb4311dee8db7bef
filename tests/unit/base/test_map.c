/* SPDX-License-Identifier: BSD-3-Clause */
/* The map against what it must agree with: an array of nodes that are in it or not. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"

enum { THINGS = 1000, HASHES = 300 }; /* so that several things have the same hash */

struct thing {
    struct map_node node;
    uint64_t hash;
    bool is_in;
    unsigned seen;
};

static struct thing things[THINGS];

static bool finds(const struct map *m, const struct thing *t)
{
    for (struct map_node *n = map_find(m, t->hash); n != NULL; n = map_find_next(n)) {
        assert_int_equal(n->hash, t->hash);
        if (n == &t->node) {
            return true;
        }
    }
    return false;
}

static void check_all(const struct map *m)
{
    unsigned count = 0;
    for (unsigned i = 0; i < THINGS; i++) {
        things[i].seen = 0;
        count += things[i].is_in ? 1 : 0;
        assert_int_equal(finds(m, &things[i]), things[i].is_in);
    }
    assert_int_equal(m->count, count);
    for (struct map_node *n = map_walk(m, NULL); n != NULL; n = map_walk(m, n)) {
        container_of(n, struct thing, node)->seen++;
    }
    for (unsigned i = 0; i < THINGS; i++) {
        assert_int_equal(things[i].seen, things[i].is_in ? 1 : 0);
    }
}

static void begin(struct map *m)
{
    map_init(m);
    for (unsigned i = 0; i < THINGS; i++) {
        things[i] = (struct thing){.hash = (i % HASHES) * UINT64_C(0x9e3779b97f4a7c15)};
    }
}

static void change(struct map *m, struct thing *t)
{
    if (t->is_in) {
        map_remove(m, &t->node);
    } else {
        map_add(m, &t->node, t->hash);
    }
    t->is_in = !t->is_in;
}

static void an_empty_map_has_nothing(void **state)
{
    struct map m;
    begin(&m);
    assert_null(map_find(&m, 0));
    assert_null(map_walk(&m, NULL));
    map_fini(&m);
}

static void has_what_was_added_and_nothing_else(void **state)
{
    struct map m;
    begin(&m);
    srand(2026);
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 200; i++) {
            change(&m, &things[(unsigned)rand() % THINGS]);
        }
        check_all(&m);
    }
    map_fini(&m);
}

static void keeps_all_when_it_grows(void **state)
{
    struct map m;
    begin(&m);
    for (unsigned i = 0; i < THINGS; i++) {
        change(&m, &things[i]);
    }
    assert_true(m.bucket_count >= THINGS);
    check_all(&m);
    map_fini(&m);
}

static void can_be_used_again_when_it_was_cleared(void **state)
{
    struct map m;
    begin(&m);
    change(&m, &things[0]);
    map_clear(&m);
    things[0].is_in = false;
    check_all(&m);
    change(&m, &things[1]);
    check_all(&m);
    map_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(has_what_was_added_and_nothing_else),
        cmocka_unit_test(keeps_all_when_it_grows),
        cmocka_unit_test(can_be_used_again_when_it_was_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
