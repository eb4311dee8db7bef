/* SPDX-License-Identifier: BSD-3-Clause */
/* What routes with real parse trees depend on, and why some cannot be kept. */
#include "fill/verdict.h"

#include "base/check.h"
#include "base/hash.h"
#include "shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct trees *trees;

static const struct policy_route get_route = {
    .method = "GET", .consistency = POLICY_FOLLOW, .fresh_ms = 1000};
static const struct policy_route strict_route = {
    .method = "GET", .consistency = POLICY_STRICT, .fresh_ms = 1000};
static const struct policy_route ttl_route = {
    .method = "GET", .consistency = POLICY_TTL, .fresh_ms = 1000};
static const struct policy_route post_route = {
    .method = "POST", .consistency = POLICY_FOLLOW, .fresh_ms = 1000};
static const struct policy_route unstored_route = {.method = "GET", .consistency = POLICY_FOLLOW};

struct judged {
    struct arena arena;
    struct plan_route route;
};

static void judge(struct judged *j, struct shop *s, const char *shape,
                  const struct policy_route *route, const struct functions_verdict *functions)
{
    struct facts f;
    const char *why = NULL;
    *j = (struct judged){.route.route = route};
    arena_init(&j->arena);
    assert_true(analyse(&j->arena, trees_find(trees, shape), &f, &why));
    verdict_judge(&j->arena, &f, functions, &s->catalog, &j->route);
    /* Whatever is not kept says why. */
    assert_true(j->route.keep != PLAN_NEVER || j->route.why != NULL);
}

/* "row product($1)", "value price.1=$1", "tables", "never: ..." */
static void outcome(struct shop *s, const char *shape, bool opaque, char *out, size_t size)
{
    static const struct functions_verdict clear = {0};
    static const struct functions_verdict reads_tables = {.opaque = true};
    struct judged j;
    judge(&j, s, shape, &get_route, opaque ? &reads_tables : &clear);
    const struct plan_route *r = &j.route;
    if (r->keep == PLAN_NEVER) {
        snprintf(out, size, "%s: %.30s", r->broken ? "broken" : "never", r->why);
    } else if (r->row.count > 0) {
        struct slice name = trees_relation(trees, r->row.table_oid);
        int n = snprintf(out, size, "row %.*s", (int)name.len, name.ptr);
        for (uint32_t i = 0; i < r->row.count; i++) {
            n += snprintf(out + n, size - (size_t)n, " $%d", r->row.param[i] + 1);
        }
    } else if (r->value.table_oid != 0) {
        struct slice name = trees_relation(trees, r->value.table_oid);
        snprintf(out, size, "value %.*s.%d $%d", (int)name.len, name.ptr, r->value.attnum,
                 r->value.param + 1);
    } else {
        snprintf(out, size, "tables");
    }
    arena_fini(&j.arena);
}

static void assert_outcome(struct shop *s, const char *shape, bool opaque, const char *want)
{
    char got[128];
    outcome(s, shape, opaque, got, sizeof got);
    if (strncmp(got, want, strlen(want)) != 0 || (strchr(want, ':') == NULL && strcmp(got, want))) {
        print_error("%s: want \"%s\", got \"%s\"\n", shape, want, got);
        fail();
    }
}

static void a_bound_primary_key_is_a_row_dependency(void **state)
{
    (void)state;
    static const struct {
        const char *shape;
        const char *outcome;
    } cases[] = {
        {"pk_bound", "row product $1"},
        {"pk_bound_flipped", "row product $1"},
        {"pk_bound_other_width", "row product $1"},
        {"pk_bound_aggregate", "row product $1"},
        {"pk_bound_uuid", "row customer $1"},
        {"pk_bound_varchar", "row voucher $1"},
        {"pk_bound_varchar_cast", "row voucher $1"},
        {"pk_bound_date", "row day_total $1"},
        {"composite_pk", "row price $1 $2"},
        {"composite_pk_one_param", "row price $1 $1"},
        {"pk_bound_join", "row product $1"},
        {"pk_bound_left_join", "row product $1"},
        {"pk_bound_subselect_other", "row product $1"},
        {"set_returning", "row product $1"},
        {"inherited", "row base_item $1"},
        {"rls", "row secret $1"},
    };
    struct shop s;
    shop_init(&s, trees, NULL);
    for (size_t i = 0; i < array_len(cases); i++) {
        assert_outcome(&s, cases[i].shape, false, cases[i].outcome);
        /* A function that may read tables hides what else of the table is read. */
        assert_outcome(&s, cases[i].shape, true, "tables");
    }
}

static void everything_less_than_a_bound_key_is_a_table_dependency(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        "pk_bound_numeric",
        "pk_bound_const",
        "pk_bound_or",
        "pk_bound_not",
        "pk_in_list",
        "pk_any",
        "pk_range",
        "pk_in_having",
        "pk_bound_varchar_truncated",
        "pk_bound_collate",
        "composite_pk_half",
        "pk_bound_on_clause",
        "pk_bound_self_join",
        "pk_bound_subselect_same",
        "pk_in_subquery",
        "column_bound",
        "view",
        "view_pk",
        "cte",
        "cte_recursive",
        "subselect",
        "exists_subselect",
        "lateral",
        "removed_join",
        "where_false",
        "union_two",
        "union_pk",
        "outer_join",
        "aggregates",
        "window",
        "grouping_sets",
        "expressions",
        "partitioned",
        "partition_leaf",
        "matview",
        "values",
        "no_table",
        "current_user",
    };
    struct shop s;
    shop_init(&s, trees, NULL);
    for (size_t i = 0; i < array_len(shapes); i++) {
        assert_outcome(&s, shapes[i], false, "tables");
    }
}

static void what_changes_without_a_commit_is_never_kept(void **state)
{
    (void)state;
    static const struct {
        const char *shape;
        const char *outcome;
    } cases[] = {
        {"current_date", "never: CURRENT_DATE"},
        {"current_timestamp", "never: CURRENT_DATE"},
        {"clock_in_order_by", "never: CURRENT_DATE"},
        {"current_schema", "never: CURRENT_SCHEMA"},
        {"tablesample", "never: TABLESAMPLE"},
        {"xml", "never: it uses XMLEXPR"},
        {"system_catalog", "never: reads a relation: system"},
        {"information_schema", "never: "},
        {"sequence_read", "never: reads a relation: seque"},
        {"unlogged", "never: reads a relation: an unl"},
        {"utility", "never: it is not a query"},
        {"for_update", "broken: FOR UPDATE"},
        {"for_share_in_subselect", "broken: FOR UPDATE"},
        {"nextval", "broken: it moves a sequence"},
        {"insert", "broken: it writes"},
        {"insert_identity", "broken: it writes"},
        {"upsert", "broken: it writes"},
        {"update", "broken: it writes"},
        {"delete_using", "broken: it writes"},
        {"merge", "broken: it writes"},
        {"cte_modifying", "broken: it writes"},
    };
    struct shop s;
    shop_init(&s, trees, NULL);
    for (size_t i = 0; i < array_len(cases); i++) {
        assert_outcome(&s, cases[i].shape, false, cases[i].outcome);
    }
}

static void functions_that_forbid_keeping_are_heeded(void **state)
{
    (void)state;
    const struct functions_verdict no = {.why = "it rolls dice"};
    struct shop s;
    struct judged j;
    shop_init(&s, trees, NULL);
    judge(&j, &s, "pk_bound", &get_route, &no);
    assert_int_equal(j.route.keep, PLAN_NEVER);
    assert_string_equal(j.route.why, "it rolls dice");
    arena_fini(&j.arena);
}

static void identity_full_gives_value_dependencies(void **state)
{
    (void)state;
    struct shop s;
    shop_init(&s, trees, NULL);
    shop_table(&s, trees, "price")->identity = 'f';
    shop_table(&s, trees, "product")->identity = 'f';
    assert_outcome(&s, "composite_pk_half", false, "value price.1 $1");
    assert_outcome(&s, "column_bound", false, "value product.3 $1");
    assert_outcome(&s, "column_bound", true, "tables");
    assert_outcome(&s, "pk_bound", false, "row product $1");
    assert_outcome(&s, "pk_bound_self_join", false, "tables");
}

static void a_collation_that_calls_different_bytes_equal_binds_nothing(void **state)
{
    (void)state;
    static struct follow_column columns[2];
    struct shop s;
    shop_init(&s, trees, NULL);
    struct follow_table *voucher = shop_table(&s, trees, "voucher");
    memcpy(columns, voucher->columns, sizeof columns);
    columns[0].collation_deterministic = false;
    voucher->columns = columns;
    assert_outcome(&s, "pk_bound_varchar", false, "tables");
}

static void tables_outside_the_publication_are_not_followed(void **state)
{
    (void)state;
    struct shop s;
    shop_init(&s, trees, NULL);
    shop_table(&s, trees, "category")->published = false;
    assert_outcome(&s, "pk_bound", false, "row product $1");
    assert_outcome(&s, "pk_bound_join", false, "never: reads a relation: it is not in");
    assert_outcome(&s, "removed_join", false, "never: reads a relation: it is not in");
    assert_outcome(&s, "view", false, "never: reads a relation: it is not in");
    shop_table(&s, trees, "category")->key_count = 0;
    assert_outcome(&s, "removed_join", false, "never: reads a relation: it has no");
    s.catalog.publication_exists = false;
    assert_outcome(&s, "removed_join", false, "never: reads a relation: the publi");
}

static void partitions_and_matviews_need_the_event_trigger(void **state)
{
    (void)state;
    struct shop s;
    shop_init(&s, trees, NULL);
    s.catalog.sees_ddl = false;
    assert_outcome(&s, "pk_bound", false, "row product $1");
    assert_outcome(&s, "partitioned", false, "never: reads a relation: attac");
    assert_outcome(&s, "inherited", false, "never: reads a relation: attac");
    assert_outcome(&s, "matview", false, "never: reads a relation: a REFRESH");
    assert_outcome(&s, "partition_leaf", false, "tables");
}

static void one_unfollowed_partition_spoils_the_root(void **state)
{
    (void)state;
    struct shop s;
    shop_init(&s, trees, NULL);
    shop_table(&s, trees, "sale_2026")->published = false;
    assert_outcome(&s, "partitioned", false, "never: reads a relation: one of");
    shop_init(&s, trees, NULL);
    shop_table(&s, trees, "special_item")->published = false;
    assert_outcome(&s, "inherited", false, "never: reads a relation: one of");
    shop_init(&s, trees, NULL);
    shop_table(&s, trees, "sale_2026")->relkind = 'f';
    assert_outcome(&s, "partitioned", false, "never: reads a relation: one of");
}

static void a_relation_that_the_catalog_lacks_is_not_followed(void **state)
{
    (void)state;
    struct shop s;
    shop_init(&s, trees, NULL);
    s.catalog.table_count = 1; /* category */
    assert_outcome(&s, "pk_bound", false, "never: reads a relation: it is temp");
}

static void ttl_routes_may_read_anything_but_may_not_write(void **state)
{
    (void)state;
    static const struct functions_verdict clear = {0};
    struct shop s;
    struct judged j;
    shop_init(&s, trees, NULL);
    judge(&j, &s, "current_date", &ttl_route, &clear);
    assert_int_equal(j.route.keep, PLAN_TTL);
    arena_fini(&j.arena);
    judge(&j, &s, "cte_modifying", &ttl_route, &clear);
    assert_int_equal(j.route.keep, PLAN_NEVER);
    assert_true(j.route.broken);
    arena_fini(&j.arena);
}

static void writes_are_never_kept_and_are_no_fault(void **state)
{
    (void)state;
    static const struct functions_verdict clear = {0};
    struct shop s;
    struct judged j;
    shop_init(&s, trees, NULL);
    judge(&j, &s, "insert", &post_route, &clear);
    assert_int_equal(j.route.keep, PLAN_NEVER);
    assert_false(j.route.broken);
    assert_true(j.route.writes);
    arena_fini(&j.arena);
    judge(&j, &s, "pk_bound", &unstored_route, &clear);
    assert_int_equal(j.route.keep, PLAN_NEVER);
    assert_false(j.route.broken);
    arena_fini(&j.arena);
    judge(&j, &s, "pk_bound", &strict_route, &clear);
    assert_int_equal(j.route.keep, PLAN_FOLLOWED);
    arena_fini(&j.arena);
}

static uint32_t need_of(const struct plan_route *r, const char *relation)
{
    for (uint32_t i = 0; i < r->need_count; i++) {
        if (r->needs[i].oid == trees_oid(trees, relation)) {
            return r->needs[i].perms;
        }
    }
    return 0;
}

static void privileges_are_those_that_the_role_itself_needs(void **state)
{
    (void)state;
    static const struct functions_verdict clear = {0};
    struct shop s;
    struct judged j;
    shop_init(&s, trees, NULL);
    judge(&j, &s, "insert_select", &post_route, &clear);
    assert_int_equal(need_of(&j.route, "note"), PLAN_INSERT);
    assert_int_equal(need_of(&j.route, "product"), PLAN_SELECT);
    assert_int_equal(need_of(&j.route, "note_id_seq"), PLAN_USAGE);
    arena_fini(&j.arena);
    judge(&j, &s, "view", &get_route, &clear); /* tables behind it are read as its owner */
    assert_int_equal(need_of(&j.route, "product_full"), PLAN_SELECT);
    assert_int_equal(need_of(&j.route, "product"), 0);
    arena_fini(&j.arena);
}

int main(void)
{
    hash_setup();
    trees = trees_load(TREES_DIR "/trees-15.txt");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_primary_key_is_a_row_dependency),
        cmocka_unit_test(everything_less_than_a_bound_key_is_a_table_dependency),
        cmocka_unit_test(what_changes_without_a_commit_is_never_kept),
        cmocka_unit_test(functions_that_forbid_keeping_are_heeded),
        cmocka_unit_test(identity_full_gives_value_dependencies),
        cmocka_unit_test(a_collation_that_calls_different_bytes_equal_binds_nothing),
        cmocka_unit_test(tables_outside_the_publication_are_not_followed),
        cmocka_unit_test(partitions_and_matviews_need_the_event_trigger),
        cmocka_unit_test(one_unfollowed_partition_spoils_the_root),
        cmocka_unit_test(a_relation_that_the_catalog_lacks_is_not_followed),
        cmocka_unit_test(ttl_routes_may_read_anything_but_may_not_write),
        cmocka_unit_test(writes_are_never_kept_and_are_no_fault),
        cmocka_unit_test(privileges_are_those_that_the_role_itself_needs),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    trees_free(&trees);
    return failed;
}
