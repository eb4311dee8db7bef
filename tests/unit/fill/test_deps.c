/* SPDX-License-Identifier: BSD-3-Clause */
/* The dependencies of one answer: which marks must hold it, and which relations forbid storing it.
 */
#include "base/check.h"
#include "base/hash.h"
#include "fill/plan.h"
#include "shop.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct trees *trees;

struct bench {
    struct fresh *fresh;
    struct shop shop;
    struct plan plan;
    struct plan_route route;
    uint32_t tables[80];
    struct fresh_deps deps;
    const char *why;
};

static int setup(void **state)
{
    static struct bench b;
    b = (struct bench){0};
    b.fresh = fresh_create(&(struct fresh_options){.slots = 1024, .max_stale_ms = 500});
    shop_init(&b.shop, trees, b.fresh);
    b.plan.catalog = &b.shop.catalog;
    b.route.tables = b.tables;
    b.route.keep = PLAN_FOLLOWED;
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    fresh_destroy(&b->fresh);
    return 0;
}

static uint32_t oid_of(const char *name)
{
    return trees_oid(trees, name);
}

static void reads(struct bench *b, const char *name)
{
    b->tables[b->route.table_count++] = oid_of(name);
}

static bool deps_of(struct bench *b, const char *const *params, const uint32_t *locked,
                    uint32_t locked_count)
{
    b->why = NULL;
    bool ok =
        plan_deps(&b->plan, &b->route, b->fresh, params, locked, locked_count, &b->deps, &b->why);
    assert_true(ok || b->why != NULL);
    return ok;
}

static bool has(const struct bench *b, fresh_dep dep)
{
    for (uint32_t i = 0; i < b->deps.count; i++) {
        if (b->deps.dep[i] == dep) {
            return true;
        }
    }
    return false;
}

static fresh_dep any(struct bench *b, const char *name)
{
    return fresh_dep_any(b->fresh, shop_table(&b->shop, trees, name)->wide);
}

static fresh_dep all(struct bench *b, const char *name)
{
    return fresh_dep_all(b->fresh, shop_table(&b->shop, trees, name)->wide);
}

static void every_table_of_the_statement_is_held(void **state)
{
    struct bench *b = *state;
    reads(b, "product");
    reads(b, "category");
    assert_true(deps_of(b, NULL, NULL, 0));
    assert_int_equal(b->deps.count, 2);
    assert_true(has(b, any(b, "product")) && has(b, any(b, "category")));
}

static void bind_price(struct bench *b)
{
    reads(b, "price");
    reads(b, "product");
    b->route.row = (struct plan_row){
        .table_oid = oid_of("price"),
        .count = 2,
        .param = {1, 0},
        .kind = {FOLLOW_KIND_INTEGER, FOLLOW_KIND_INTEGER},
    };
}

static void a_row_is_held_with_its_tables_all_mark(void **state)
{
    struct bench *b = *state;
    bind_price(b);
    const char *const params[] = {"5", "3"};
    const struct slice key[] = {SLICE("3"), SLICE("5")};
    assert_true(deps_of(b, params, b->tables, 2));
    assert_int_equal(b->deps.count, 3);
    assert_true(
        has(b, fresh_dep_hash(b->fresh, follow_row_hash(oid_of("price"), key, array_len(key)))));
    assert_true(has(b, all(b, "price")));
    assert_true(has(b, any(b, "product")));
    assert_false(has(b, any(b, "price")));
}

static void parameters_that_name_no_row_fall_back_to_the_table(void **state)
{
    struct bench *b = *state;
    bind_price(b);
    const char *const texts[] = {"05", "+5", " 5", "", "5.0", NULL};
    for (size_t i = 0; i < array_len(texts); i++) {
        const char *const params[] = {texts[i], "3"};
        assert_true(deps_of(b, params, NULL, 0));
        assert_true(has(b, any(b, "price")));
        assert_int_equal(b->deps.count, 2);
    }
}

static void a_value_is_held_with_its_tables_all_mark(void **state)
{
    struct bench *b = *state;
    reads(b, "price");
    b->route.value = (struct plan_value){
        .table_oid = oid_of("price"), .attnum = 1, .param = 0, .kind = FOLLOW_KIND_INTEGER};
    const char *const params[] = {"7"};
    assert_true(deps_of(b, params, NULL, 0));
    uint64_t hash = follow_value_hash(oid_of("price"), 1, SLICE("7"));
    assert_int_equal(b->deps.count, 2);
    assert_true(has(b, fresh_dep_hash(b->fresh, hash)) && has(b, all(b, "price")));
    const char *const null[] = {NULL};
    assert_true(deps_of(b, null, NULL, 0));
    assert_int_equal(b->deps.count, 1);
    assert_true(has(b, any(b, "price")));
}

static void relations_locked_by_functions_are_held_too(void **state)
{
    struct bench *b = *state;
    const uint32_t locked[] = {oid_of("product"), oid_of("category"), oid_of("product_full")};
    reads(b, "product");
    assert_true(deps_of(b, NULL, locked, array_len(locked)));
    assert_int_equal(b->deps.count, 2);
    assert_true(has(b, any(b, "category")));
}

static void partitions_are_covered_by_their_root(void **state)
{
    struct bench *b = *state;
    const uint32_t locked[] = {oid_of("sale"), oid_of("sale_2026")};
    reads(b, "sale");
    assert_true(deps_of(b, NULL, locked, array_len(locked)));
    assert_int_equal(b->deps.count, 1);
    assert_true(has(b, any(b, "sale")));
    b->route.table_count = 0; /* read by a function: the root is locked, not named */
    assert_true(deps_of(b, NULL, locked, array_len(locked)));
    assert_int_equal(b->deps.count, 1);
    assert_true(has(b, any(b, "sale")));
    assert_true(deps_of(b, NULL, &locked[1], 1)); /* the leaf alone */
    assert_true(has(b, any(b, "sale_2026")));
}

static void unfollowed_relations_forbid_storing(void **state)
{
    struct bench *b = *state;
    const uint32_t unlogged[] = {oid_of("scratch")};
    const uint32_t unknown[] = {4000000000U};
    const uint32_t category[] = {oid_of("category")};
    reads(b, "product");
    assert_false(deps_of(b, NULL, unlogged, 1));
    assert_false(deps_of(b, NULL, unknown, 1));
    assert_true(deps_of(b, NULL, category, 1));
    shop_table(&b->shop, trees, "category")->published = false;
    assert_false(deps_of(b, NULL, category, 1));
}

static void ttl_answers_depend_on_nothing(void **state)
{
    struct bench *b = *state;
    const uint32_t unlogged[] = {oid_of("scratch")};
    reads(b, "scratch");
    b->route.keep = PLAN_TTL;
    assert_true(deps_of(b, NULL, unlogged, 1));
    assert_int_equal(b->deps.count, 0);
    b->route.keep = PLAN_NEVER;
    b->route.why = "no";
    assert_false(deps_of(b, NULL, NULL, 0));
    assert_string_equal(b->why, "no");
}

static void a_parameter_that_names_the_clock_forbids_storing(void **state)
{
    struct bench *b = *state;
    const char *const params[] = {"2026-11-23", "today"};
    reads(b, "product");
    b->route.statement.param_count = 1;
    assert_true(deps_of(b, params, NULL, 0));
    b->route.statement.param_count = 2;
    assert_false(deps_of(b, params, NULL, 0));
    b->route.keep = PLAN_TTL;
    assert_true(deps_of(b, params, NULL, 0));
}

static void functions_that_read_nothing_leave_nothing_to_hold(void **state)
{
    struct bench *b = *state;
    const uint32_t locked[] = {oid_of("category")};
    assert_true(deps_of(b, NULL, NULL, 0)); /* SELECT 1 */
    b->route.function_count = 1;
    assert_false(deps_of(b, NULL, NULL, 0));
    assert_true(deps_of(b, NULL, locked, 1));
}

static void too_many_tables_forbid_storing(void **state)
{
    struct bench *b = *state;
    static struct follow_table many[FRESH_DEPS_MAX + 1];
    for (uint32_t i = 0; i < array_len(many); i++) {
        many[i] = *shop_table(&b->shop, trees, "category");
        many[i].oid = 20000 + i;
        char name[] = {'t', (char)('A' + i / 10), (char)('0' + i % 10)};
        many[i].wide = fresh_register(b->fresh, (struct slice){name, sizeof name});
        b->tables[i] = many[i].oid;
    }
    b->shop.catalog.tables = many;
    b->shop.catalog.table_count = array_len(many);
    b->route.table_count = FRESH_DEPS_MAX;
    assert_true(deps_of(b, NULL, NULL, 0));
    assert_int_equal(b->deps.count, FRESH_DEPS_MAX);
    b->route.table_count = FRESH_DEPS_MAX + 1;
    assert_false(deps_of(b, NULL, NULL, 0));
}

int main(void)
{
    hash_setup();
    trees = trees_load(TREES_DIR "/trees-15.txt");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_table_of_the_statement_is_held, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_is_held_with_its_tables_all_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters_that_name_no_row_fall_back_to_the_table, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_value_is_held_with_its_tables_all_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(relations_locked_by_functions_are_held_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(partitions_are_covered_by_their_root, setup, teardown),
        cmocka_unit_test_setup_teardown(unfollowed_relations_forbid_storing, setup, teardown),
        cmocka_unit_test_setup_teardown(ttl_answers_depend_on_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_parameter_that_names_the_clock_forbids_storing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(functions_that_read_nothing_leave_nothing_to_hold, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(too_many_tables_forbid_storing, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    trees_free(&trees);
    return failed;
}
