/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages: how answers are read and judged, and what each level asks for. */
#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "verify/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

static const struct verify_options options = {.max_stale_ms = 500};

/* Table `item`: rows 0..3; 0 and 2 are in group 0, 1 in group 1, 3 is absent. All are of version 1. */
static int set_up(void **state)
{
    struct run *r = xcalloc(1, sizeof(*r));
    struct model_table *t = &r->tables[RUN_ITEM];
    r->options = &options;
    r->bound_us = 500000;
    check(pthread_mutex_init(&r->lock, NULL) == 0);
    model_table_init(t, "item", 4, 2);
    for (uint32_t id = 0; id < 3; id++) {
        struct model_row *row = model_own(t, id);
        model_commit(row, model_begin(row, (int32_t)(id % 2)), clock_now_us());
        model_give_up(t, row);
    }
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct run *r = *state;
    model_table_fini(&r->tables[RUN_ITEM]);
    free(r);
    return 0;
}

static const char *wrong(struct run *r, struct target t, enum face face, const char *page)
{
    static struct actor a;
    a = (struct actor){.run = r, .name = "test"};
    r->violation_count = 0;
    struct reading rd = reading_begin(r, t, face);
    bool fine = reading_judge(&a, &rd, slice_of(page), "test", false);
    assert_int_equal(fine, r->violation_count == 0);
    return fine ? NULL : r->violations[0].wrong;
}

static const struct target row_0 = {.table = RUN_ITEM, .id = 0};
static const struct target row_3 = {.table = RUN_ITEM, .id = 3};
static const struct target group_0 = {.table = RUN_ITEM, .list = true, .id = 0};

static void pages_of_every_face_are_read_alike(void **state)
{
    assert_null(wrong(*state, row_0, FACE_HTTP, "[{\"id\":0,\"v\":1}]"));
    assert_null(wrong(*state, row_0, FACE_REDIS, "0:1"));
    assert_null(wrong(*state, row_3, FACE_HTTP, "[]"));
    assert_null(wrong(*state, row_3, FACE_REDIS, "nothing"));
    assert_null(wrong(*state, group_0, FACE_REDIS, "0:1 2:1"));
    assert_null(wrong(*state, group_0, FACE_HTTP,
                      "[{\"id\":0,\"v\":1,\"total\":2},{\"id\":2,\"v\":1,\"total\":2}]"));
}

static void wrong_pages_are_named(void **state)
{
    assert_string_equal(wrong(*state, row_0, FACE_REDIS, "0:2"),
                        "a version that was never committed");
    assert_string_equal(wrong(*state, row_0, FACE_REDIS, "2:1"), "another row");
    assert_string_equal(wrong(*state, row_0, FACE_REDIS_STRICT, "nothing"), "an older version");
    assert_string_equal(wrong(*state, group_0, FACE_REDIS_STRICT, "0:1"), "an older version");
    assert_string_equal(wrong(*state, group_0, FACE_REDIS, "0:1 1:1 2:1"),
                        "a row in a group where that version never was");
    assert_string_equal(wrong(*state, group_0, FACE_REDIS, "0:1 2:1 2:1"),
                        "a row twice, out of order or unknown");
    assert_string_equal(wrong(*state, group_0, FACE_REDIS, "0:1 2:1 99:1"),
                        "a row twice, out of order or unknown");
    assert_string_equal(wrong(*state, group_0, FACE_REDIS, "0:1 2"),
                        "a page whose numbers do not fit together");
    assert_string_equal(wrong(*state, group_0, FACE_HTTP, "0,1,2 2,1,3"),
                        "a page whose numbers do not fit together");
}

static void follow_may_lag_until_a_strict_read_has_waited(void **state)
{
    struct run *r = *state;
    struct model_table *t = &r->tables[RUN_ITEM];
    struct model_row *row = model_own(t, 0);
    model_commit(row, model_begin(row, 0), clock_now_us());
    model_give_up(t, row);
    assert_null(wrong(r, row_0, FACE_REDIS, "0:1"));
    assert_string_equal(wrong(r, row_0, FACE_REDIS_STRICT, "0:1"), "an older version");
    atomic_store(&r->caught_up_us, clock_now_us());
    assert_string_equal(wrong(r, row_0, FACE_REDIS, "0:1"), "an older version");
    assert_null(wrong(r, row_0, FACE_REDIS, "0:2"));
}

static void follow_may_not_lag_longer_than_max_stale(void **state)
{
    struct run *r = *state;
    struct model_table *t = &r->tables[RUN_ITEM];
    struct model_row *row = model_own(t, 0);
    model_commit(row, model_begin(row, 0), clock_now_us() - r->bound_us);
    model_give_up(t, row);
    assert_string_equal(wrong(r, row_0, FACE_HTTP, "[{\"id\":0,\"v\":1}]"), "an older version");
}

static void targets_have_their_names(void **state)
{
    char name[TARGET_NAME_MAX];
    target_path(group_0, FACE_HTTP_STRICT, name);
    assert_string_equal(name, "/strict/items/0");
    target_path((struct target){.table = RUN_STAGE, .id = 7}, FACE_HTTP_GATED, name);
    assert_string_equal(name, "/gated/stage/7");
    target_key(group_0, name);
    assert_string_equal(name, "items_0");
    target_key(row_3, name);
    assert_string_equal(name, "item_3");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(pages_of_every_face_are_read_alike),
        T(wrong_pages_are_named),
        T(follow_may_lag_until_a_strict_read_has_waited),
        T(follow_may_not_lag_longer_than_max_stale),
        T(targets_have_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
