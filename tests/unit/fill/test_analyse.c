/* SPDX-License-Identifier: BSD-3-Clause */
/* Facts of statements as PostgreSQL 15 really prints them. */
#include "fill/analyse.h"
#include "fill/plan.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/hash.h"
#include "trees.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct trees *trees;

/* "product*2 category | product.1=$1 | now" : relations that are read (with more than one use, or
 * 't' on top), equalities, flags and whatever the statement needs to do to relations besides
 * SELECT. */
static void render(const struct facts *f, struct buf *out)
{
    for (uint32_t i = 0; i < f->relation_count; i++) {
        const struct facts_relation *r = &f->relations[i];
        struct slice name = trees_relation(trees, r->oid);
        buf_printf(out, "%s%.*s", i > 0 ? " " : "", (int)name.len, name.ptr);
        if (r->oid < 16384) {
            buf_append_str(out, "catalog");
        }
        if (r->relkind != 'r') {
            buf_printf(out, "(%c)", r->relkind);
        }
        if (r->uses > 1) {
            buf_printf(out, "*%u", r->uses);
        }
        buf_append_str(out, r->on_top ? "" : "-");
        if ((r->perms & ~(unsigned)PLAN_SELECT) != 0) {
            buf_printf(out, "!%u", r->perms);
        }
    }
    for (uint32_t i = 0; i < f->equal_count; i++) {
        const struct facts_equal *e = &f->equals[i];
        struct slice name = trees_relation(trees, e->table_oid);
        buf_printf(out, " | %.*s.%d=$%d", (int)name.len, name.ptr, e->attnum, e->param + 1);
    }
    const struct {
        bool set;
        const char *word;
    } flags[] = {
        {f->writes, "writes"},        {f->is_utility, "utility"},
        {f->locks_rows, "locks"},     {f->samples, "samples"},
        {f->reads_clock, "clock"},    {f->reads_search_path, "path"},
        {f->draws_sequence, "draws"}, {f->unknown.len > 0, "unknown"},
    };
    for (size_t i = 0; i < array_len(flags); i++) {
        if (flags[i].set) {
            buf_printf(out, " ; %s", flags[i].word);
        }
    }
    for (uint32_t i = 0; i < f->input_types.count; i++) {
        buf_printf(out, " ; reads %u", f->input_types.oid[i]);
    }
    for (uint32_t i = 0; i < f->class_constants.count; i++) {
        struct slice name = trees_relation(trees, f->class_constants.oid[i]);
        buf_printf(out, " ; '%.*s'", (int)name.len, name.ptr);
    }
}

static const struct {
    const char *shape;
    const char *facts;
} expected[] = {
    {"pk_bound", "product | product.1=$1"},
    {"pk_bound_flipped", "product | product.1=$1"},
    {"pk_bound_other_width", "product | product.1=$1"},
    {"pk_bound_numeric", "product"}, /* the column is converted, not relabelled */
    {"pk_bound_const", "product"},
    {"pk_bound_or", "product"},
    {"pk_bound_not", "product"},
    {"pk_in_list", "product"},
    {"pk_any", "product"},
    {"pk_range", "product | product.1=$1 | product.1=$1"}, /* >= and <=: the verdict refuses them */
    {"pk_in_having", "product"},
    {"pk_bound_aggregate", "product | product.1=$1"},
    {"pk_bound_uuid", "customer | customer.1=$1"},
    {"pk_bound_varchar", "voucher | voucher.1=$1"},
    {"pk_bound_varchar_cast", "voucher | voucher.1=$1"},
    {"pk_bound_varchar_truncated", "voucher"},
    {"pk_bound_collate", "voucher"},
    {"pk_bound_date", "day_total | day_total.1=$1"},
    {"composite_pk", "price | price.2=$2 | price.1=$1"},
    {"composite_pk_half", "price | price.1=$1"},
    {"composite_pk_one_param", "price | price.1=$1 | price.2=$1"},
    {"pk_bound_join", "product category | product.1=$1"},
    {"pk_bound_left_join", "product category | product.1=$1"},
    {"pk_bound_on_clause", "category product"},
    {"pk_bound_self_join", "product*2 | product.1=$1"},
    {"pk_bound_subselect_same", "product*2 | product.1=$1"},
    {"pk_bound_subselect_other", "product price- | product.1=$1"},
    {"pk_in_subquery", "product-"},
    {"column_bound", "product | product.3=$1 | product.4=$2"},
    {"whole_table", "product"},
    {"view", "product_full(v)*2- product- category-"},
    {"view_pk", "product_full(v)*2- product- category-"},
    {"view_with_now", "recent_sale(v)*2- sale(p)-"},
    {"cte", "category- product"},
    {"cte_recursive", "product*2-"},
    {"cte_modifying", "note-!10 ; writes"},
    {"subselect", "product category-"},
    {"exists_subselect", "category product-"},
    {"lateral", "category product-"},
    {"removed_join", "product category"},
    {"where_false", "product"},
    {"union_two", "product- category-"},
    {"union_pk", "product- category-"},
    {"outer_join", "product category"},
    {"aggregates", "product"},
    {"window", "product"},
    {"grouping_sets", "product"},
    {"expressions", "product"},
    {"to_char", "sale(p)"},
    {"stable_safe", "product"},
    {"cast_text_to_date", "product ; reads 1082"},
    {"cast_int_to_text", "product ; reads 25"},
    {"function_immutable", "product | product.1=$1"},
    {"function_stable", "product | product.1=$1"},
    {"function_volatile", "product"},
    {"random", "product"},
    {"now", "product"},
    {"current_date", "customer ; clock"},
    {"current_timestamp", "product ; clock"},
    {"current_user", "product"},
    {"current_schema", "product ; path"},
    {"age", "customer"},
    {"clock_in_order_by", "customer ; clock"},
    {"partitioned", "sale(p)"},
    {"partition_leaf", "sale_2026"},
    {"inherited", "base_item | base_item.1=$1"},
    {"unlogged", "scratch | scratch.1=$1"},
    {"matview", "best_seller(m)"},
    {"system_catalog", "?catalog"},
    {"for_update", "product!6 | product.1=$1 ; locks"},
    {"for_share_in_subselect", "product-!6 ; locks"},
    {"nextval", " ; 'ticket'"},
    {"sequence_read", "ticket(S)"},
    {"tablesample", "product ; samples"},
    {"set_returning", "product | product.1=$1"},
    {"values", ""},
    {"no_table", ""},
    {"xml", "product ; unknown"},
    {"rls", "secret membership- | secret.1=$1"},
    {"insert", "note!3 ; writes ; 'note_id_seq'"},
    {"insert_select", "note!1 product- ; writes ; 'note_id_seq'"},
    {"insert_identity", "sale(p)!1 ; writes ; draws"},
    {"upsert", "category!7 ; writes"},
    {"update", "product!6 | product.1=$1 ; writes"},
    {"delete_using", "price!10 product | product.2=$1 ; writes"},
    {"merge", "product!6 category ; writes"},
    {"utility", " ; utility"},
    {"odd_alias", "product category | category.1=$1"},
};

static void facts_of_every_captured_shape_are_as_written_down(void **state)
{
    (void)state;
    uint32_t wrong = 0;
    for (size_t i = 0; i < array_len(expected); i++) {
        struct arena a;
        struct buf out;
        struct facts f;
        const char *why = NULL;
        arena_init(&a);
        buf_init(&out);
        assert_true(analyse(&a, trees_find(trees, expected[i].shape), &f, &why));
        render(&f, &out);
        struct slice got = buf_readable(&out);
        if (!slice_is(got, expected[i].facts)) {
            print_error("%s\n  want \"%s\"\n  got  \"%.*s\"\n", expected[i].shape,
                        expected[i].facts, (int)got.len, got.ptr);
            wrong++;
        }
        buf_fini(&out);
        arena_fini(&a);
    }
    assert_int_equal(wrong, 0);
}

static void every_captured_shape_can_be_read(void **state)
{
    (void)state;
    for (uint32_t i = 0; trees_name(trees, i).len > 0; i++) {
        char name[64];
        struct slice n = trees_name(trees, i);
        snprintf(name, sizeof name, "%.*s", (int)n.len, n.ptr);
        struct arena a;
        struct facts f;
        const char *why = "";
        arena_init(&a);
        assert_true(analyse(&a, trees_find(trees, name), &f, &why));
        arena_fini(&a);
    }
}

static bool has_function(const char *shape, uint32_t oid)
{
    struct arena a;
    struct facts f;
    const char *why = NULL;
    arena_init(&a);
    assert_true(analyse(&a, trees_find(trees, shape), &f, &why));
    bool has = oid_set_has(&f.functions, oid);
    arena_fini(&a);
    return has;
}

enum {
    F_NOW = 1299,
    F_RANDOM = 1598,
    F_COUNT = 2803,
    F_RANK = 3101,
    F_NEXTVAL = 1574,
    F_AGE = 1386
};

static void functions_are_found_wherever_they_stand(void **state)
{
    (void)state;
    assert_true(has_function("now", F_NOW));
    assert_true(has_function("view_with_now", F_NOW));
    assert_true(has_function("view_with_now", F_COUNT));
    assert_true(has_function("random", F_RANDOM));
    assert_true(has_function("window", F_RANK));
    assert_true(has_function("nextval", F_NEXTVAL));
    assert_true(has_function("age", F_AGE));
    assert_false(has_function("pk_bound", F_NOW));
}

static void operators_in_sorting_and_row_comparison_are_found(void **state)
{
    (void)state;
    struct arena a;
    struct facts f;
    const char *why = NULL;
    arena_init(&a);
    assert_true(analyse(&a, trees_find(trees, "expressions"), &f, &why));
    assert_true(oid_set_has(&f.operators, 97));  /* (id, price) < ...: int4lt */
    assert_true(oid_set_has(&f.operators, 412)); /* price: int8lt */
    arena_fini(&a);
    arena_init(&a);
    assert_true(analyse(&a, trees_find(trees, "whole_table"), &f, &why));
    assert_true(oid_set_has(&f.operators, 664)); /* ORDER BY name: text_lt */
    arena_fini(&a);
}

static bool refused(const char *text)
{
    struct arena a;
    struct facts f;
    const char *why = NULL;
    arena_init(&a);
    bool ok = analyse(&a, slice_of(text), &f, &why);
    assert_true(ok || why != NULL);
    arena_fini(&a);
    return !ok;
}

static void a_tree_without_a_query_is_refused(void **state)
{
    (void)state;
    assert_true(refused(""));
    assert_true(refused("<>"));
    assert_true(refused("()"));
    assert_true(refused("({VAR :varno 1})"));
}

static struct facts facts_of(struct arena *a, const char *text)
{
    struct facts f;
    const char *why = NULL;
    assert_true(analyse(a, slice_of(text), &f, &why));
    return f;
}

static void unknown_forms_are_reported(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "({QUERY :commandType 1 :rtable ({NEWNODE :x 1})})",
        "({QUERY :noCommand 1})",
        "({QUERY :commandType 1 :rtable ({RANGETBLENTRY :rtekind 9})})",
        "({QUERY :commandType 1 :rtable ({RANGETBLENTRY :rtekind 0 :relkind r})})",
        "({QUERY :commandType 1 :rtable ({RANGETBLENTRY :rtekind 0 :relid 5})})",
        "({QUERY :commandType 1 :rtable ({RTE :rtekind 0 :relid 16385 :relkind r})})",
        "({QUERY :commandType 1 :targetList ({SQLVALUEFUNCTION :type 23})})",
    };
    for (size_t i = 0; i < array_len(texts); i++) {
        struct arena a;
        arena_init(&a);
        assert_true(facts_of(&a, texts[i]).unknown.len > 0);
        arena_fini(&a);
    }
}

static void permissions_of_newer_servers_are_read(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct facts f = facts_of(
        &a, "({QUERY :commandType 3 :rtable ({RANGETBLENTRY :rtekind 0 :relid 16385 :relkind r"
            " :perminfoindex 1}) :rteperminfos ({RTEPERMISSIONINFO :relid 16385 :inh false"
            " :requiredPerms 3 :checkAsUser 0})})");
    assert_int_equal(f.relation_count, 1);
    assert_int_equal(f.relations[0].perms, PLAN_INSERT | PLAN_SELECT);
    assert_int_equal(f.unknown.len, 0);
    arena_fini(&a);
}

int main(void)
{
    hash_setup();
    trees = trees_load(TREES_DIR "/trees-15.txt");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_of_every_captured_shape_are_as_written_down),
        cmocka_unit_test(every_captured_shape_can_be_read),
        cmocka_unit_test(functions_are_found_wherever_they_stand),
        cmocka_unit_test(operators_in_sorting_and_row_comparison_are_found),
        cmocka_unit_test(a_tree_without_a_query_is_refused),
        cmocka_unit_test(unknown_forms_are_reported),
        cmocka_unit_test(permissions_of_newer_servers_are_read),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    trees_free(&trees);
    return failed;
}
