/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a transaction marks, from events and a catalog made by hand. Each case says which of the
 * marks it names are raised and which are not; the kinds of tuples that PostgreSQL sends are all
 * here.
 */
#include "depend_rig.h"

/* --- the cases ---------------------------------------------------------------------------------- */

static void an_insert_names_the_new_row(void **state)
{
    insert(THING, ROW("1", "a", "5"));
    assert_true(any_marked(THING));
    assert_true(row_marked(THING, "1"));
    assert_true(key_marked(BY_ID, "1"));
    assert_true(key_marked(BY_V, "a"));
    assert_true(key_marked(BY_N, "5"));
    assert_true(template_any(EVERY));
    assert_true(template_any(BY_ID));
    assert_false(all_marked(THING));
    assert_false(template_all(BY_ID));
    assert_false(template_all(EVERY));
    assert_false(any_marked(FULL));
    assert_int_equal(depend_row_count(depend), 1);
}

static void an_update_without_an_old_tuple_kept_its_identity(void **state)
{
    update(THING, ROW("1", "a", "5"));
    assert_true(row_marked(THING, "1"));
    assert_true(key_marked(BY_ID, "1"));
    assert_false(all_marked(THING));
    assert_false(template_all(BY_ID));
    /* The old v and n are nowhere. */
    assert_true(key_marked(BY_V, "a"));
    assert_true(template_all(BY_V));
    assert_true(template_all(BY_N));
}

static void an_old_key_tells_only_the_identity(void **state)
{
    assert_true(
        change(DECODE_UPDATE, THING, DECODE_OLD_KEY, ROW("1", NULL, NULL), ROW("2", "a", "5")));
    assert_true(row_marked(THING, "1"));
    assert_true(row_marked(THING, "2"));
    assert_true(key_marked(BY_ID, "1"));
    assert_false(all_marked(THING));
    assert_true(template_all(BY_V)); /* the NULL is not the old value */
}

static void a_delete_by_key(void **state)
{
    assert_true(change(DECODE_DELETE, THING, DECODE_OLD_KEY, ROW("3", NULL, NULL), NULL));
    assert_true(row_marked(THING, "3"));
    assert_true(key_marked(BY_ID, "3"));
    assert_true(template_all(BY_V));
    assert_false(template_all(BY_ID));
    assert_false(all_marked(THING));
}

static void a_full_old_row_tells_everything(void **state)
{
    assert_true(change(DECODE_UPDATE, FULL, DECODE_OLD_FULL, ROW("1", "red"), ROW("1", "blue")));
    assert_true(value_marked(FULL, 2, "red"));
    assert_true(value_marked(FULL, 2, "blue"));
    assert_true(row_marked(FULL, "1"));
    assert_false(all_marked(FULL));
}

static void an_unchanged_toast_value_is_found_in_the_full_old_row(void **state)
{
    assert_true(
        change(DECODE_UPDATE, FULL, DECODE_OLD_FULL, ROW("1", "long"), ROW("1", "<unchanged>")));
    assert_true(value_marked(FULL, 2, "long"));
    assert_false(all_marked(FULL));
}

static void an_unchanged_toast_value_is_unknown_elsewhere(void **state)
{
    insert(THING, ROW("1", "x", "5"));
    depend_begin(depend);
    update(THING, ROW("1", "<unchanged>", "5"));
    assert_true(template_all(BY_V));
    assert_false(template_all(BY_ID));
    assert_false(all_marked(THING));
}

static void an_identity_index_does_not_tell_the_primary_key(void **state)
{
    update(SLUGGED, ROW("1", "s")); /* id may have been something else */
    assert_true(row_marked(SLUGGED, "1"));
    assert_true(all_marked(SLUGGED));
    depend_begin(depend);
    assert_true(change(DECODE_DELETE, SLUGGED, DECODE_OLD_KEY, ROW(NULL, "s"), NULL));
    assert_true(all_marked(SLUGGED));
    depend_begin(depend);
    insert(SLUGGED, ROW("1", "s"));
    assert_true(row_marked(SLUGGED, "1"));
    assert_false(all_marked(SLUGGED));
}

static void a_null_is_known_but_text_may_have_words_for_it(void **state)
{
    insert(THING, ROW("1", "a", NULL));
    assert_false(template_all(BY_N)); /* keys that are no number hold `any` */
    assert_true(template_any(BY_N));
    depend_begin(depend);
    insert(THING, ROW("1", NULL, "5"));
    assert_true(template_all(BY_V)); /* "v_None" could be anything */
    depend_begin(depend);
    assert_true(change(DECODE_UPDATE, FULL, DECODE_OLD_FULL, ROW("1", NULL), ROW("1", "x")));
    assert_true(value_marked(FULL, 2, "x"));
    assert_false(all_marked(FULL));
}

static void a_leaf_marks_its_root_in_the_roots_terms(void **state)
{
    insert(LEAF, ROW("4", "w"));
    assert_true(row_marked(LEAF, "4"));
    assert_true(row_marked(ROOT, "4"));
    assert_true(value_marked(ROOT, 5, "w"));
    assert_true(key_marked(OF_ROOT, "4"));
    assert_true(any_marked(ROOT));
    assert_false(all_marked(ROOT));
    depend_begin(depend);
    update(LEAF, ROW("4", "w")); /* the old v is unknown: the root's value dependency with it */
    assert_true(all_marked(ROOT));
    assert_false(all_marked(LEAF));
}

static void truncate_marks_tables_and_templates(void **state)
{
    const uint32_t oids[] = {THING, LEAF};
    assert_true(depend_truncate(depend, &(struct decode_truncate){2, oids}));
    assert_true(any_marked(THING));
    assert_true(all_marked(THING));
    assert_true(template_all(BY_ID));
    assert_true(template_any(EVERY));
    assert_true(all_marked(LEAF));
    assert_true(all_marked(ROOT));
    assert_true(template_all(OF_ROOT));
    assert_false(any_marked(FULL));
}

static void a_flood_becomes_all_and_stops_growing(void **state)
{
    char id[16];
    for (int i = 0; i < DEPEND_FLOOD; i++) { /* a row and three keys each */
        (void)snprintf(id, sizeof(id), "%d", i);
        insert(THING, ROW(id, "v", "5"));
    }
    assert_true(all_marked(THING));
    assert_true(template_all(BY_ID));
    assert_true(template_all(BY_V));
    uint32_t after = mark_count();
    assert_in_range(after, DEPEND_FLOOD, DEPEND_FLOOD + 64);
    insert(THING, ROW("100000", "v", "5"));
    assert_int_equal(mark_count(), after);
    insert(FULL, ROW("1", "v")); /* other tables go on */
    assert_true(row_marked(FULL, "1"));
    assert_false(all_marked(FULL));
    assert_int_equal(depend_row_count(depend), DEPEND_FLOOD + 2);

    depend_begin(depend);
    insert(THING, ROW("1", "v", "5"));
    assert_false(all_marked(THING));
    assert_true(row_marked(THING, "1"));
}

static void as_many_as_allowed_are_no_flood(void **state)
{
    char id[16];
    for (int i = 0; i < DEPEND_FLOOD; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        insert(SLUGGED, ROW(id, "s"));
    }
    assert_false(all_marked(SLUGGED));
    insert(SLUGGED, ROW("5000", "s"));
    assert_true(all_marked(SLUGGED));
}

static void ddl_marks_what_it_names(void **state)
{
    depend_ddl(depend, SLICE("table 20001"));
    assert_true(all_marked(THING));
    assert_true(any_marked(THING));
    assert_true(template_all(BY_ID));
    assert_false(any_marked(FULL));
    assert_true(depend_outdated(depend));

    depend_begin(depend);
    assert_false(depend_outdated(depend));
    depend_ddl(depend, SLICE("table 20004")); /* the leaf: its root too */
    assert_true(all_marked(LEAF));
    assert_true(all_marked(ROOT));
    depend_begin(depend);
    depend_ddl(depend, SLICE("table 20005")); /* the root: its leaf too */
    assert_true(all_marked(LEAF));

    depend_begin(depend);
    depend_ddl(depend, SLICE("matview 20002")); /* refreshed: rows, not schema */
    assert_true(any_marked(SLUGGED));
    assert_true(all_marked(SLUGGED));
    assert_false(depend_outdated(depend));
    depend_begin(depend);
    depend_ddl(depend, SLICE("matview 99999")); /* one that the catalog does not know */
    assert_true(depend_outdated(depend));

    static const char *const everything[] = {
        "all", "", "table", "table x", "table 99999999999", "table 20001 "};
    for (size_t i = 0; i < array_len(everything); i++) {
        depend_begin(depend);
        depend_ddl(depend, slice_of(everything[i]));
        assert_true(all_marked(THING));
        assert_true(all_marked(FULL));
        assert_true(template_all(OF_ROOT));
        assert_true(depend_outdated(depend));
    }
}

static void a_stranger_marks_itself(void **state)
{
    struct decode_column column = {SLICE("id"), 23, true};
    depend_relation(depend, &(struct decode_relation){.oid = 30000,
                                                      .schema = SLICE("public"),
                                                      .name = SLICE("new"),
                                                      .identity = 'd',
                                                      .column_count = 1,
                                                      .columns = &column});
    fresh_wide wide = fresh_register(fresh, SLICE("t:30000"));
    assert_true(marked(fresh_dep_any(fresh, wide)));
    assert_true(marked(fresh_dep_all(fresh, wide)));
    assert_true(depend_outdated(depend));
}

static void describe_thing(const char *name, const char *column, uint32_t type, uint32_t count,
                           char identity)
{
    struct decode_column columns[] = {
        {SLICE("id"), 23, true}, {slice_of(column), type, false}, {SLICE("n"), 23, false}};
    depend_begin(depend);
    depend_relation(depend, &(struct decode_relation){.oid = THING,
                                                      .schema = SLICE("public"),
                                                      .name = slice_of(name),
                                                      .identity = identity,
                                                      .column_count = count,
                                                      .columns = columns});
}

static void a_table_that_changed_is_marked_as_a_whole(void **state)
{
    describe_thing("thing", "v", 25, 3, 'd');
    assert_false(depend_outdated(depend));
    static const struct {
        const char *name;
        const char *column;
        uint32_t type;
        uint32_t count;
        char identity;
    } cases[] = {
        {"renamed", "v", 25, 3, 'd'}, {"thing", "w", 25, 3, 'd'}, {"thing", "v", 1043, 3, 'd'},
        {"thing", "v", 25, 2, 'd'},   {"thing", "v", 25, 3, 'n'},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        describe_thing(cases[i].name, cases[i].column, cases[i].type, cases[i].count,
                       cases[i].identity);
        assert_true(depend_outdated(depend));
        assert_true(all_marked(THING));
        assert_true(template_all(BY_ID));
    }
    depend_begin(depend);
    insert(THING, ROW("1", "a", "5")); /* until the catalog knows: every row is everything */
    assert_true(all_marked(THING));
    assert_true(depend_outdated(depend));
}

static void rows_must_fit_their_relation(void **state)
{
    struct decode_value v[3] = {
        {.kind = DECODE_NULL}, {.kind = DECODE_NULL}, {.kind = DECODE_NULL}};
    struct decode_row row = {.relation = THING, .new_row = {2, v}};
    assert_false(depend_row(depend, DECODE_INSERT, &row));
    row = (struct decode_row){.relation = 31000, .new_row = {1, v}};
    assert_false(depend_row(depend, DECODE_INSERT, &row));
    row = (struct decode_row){.relation = THING, .old_kind = DECODE_OLD_KEY, .old_row = {1, v}};
    assert_false(depend_row(depend, DECODE_DELETE, &row));
    const uint32_t oid = 31000;
    assert_false(depend_truncate(depend, &(struct decode_truncate){1, &oid}));
    depend_reset(depend); /* a new connection describes again */
    row = (struct decode_row){.relation = THING, .new_row = {3, v}};
    assert_false(depend_row(depend, DECODE_INSERT, &row));
}

static void the_debug_break_leaves_all_out(void **state)
{
    depend_destroy(&depend);
    make(true);
    update(SLUGGED, ROW("1", "s"));
    assert_true(row_marked(SLUGGED, "1"));
    assert_false(all_marked(SLUGGED));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    hash_setup_seed(11);
    const struct CMUnitTest tests[] = {
        CASE(an_insert_names_the_new_row),
        CASE(an_update_without_an_old_tuple_kept_its_identity),
        CASE(an_old_key_tells_only_the_identity),
        CASE(a_delete_by_key),
        CASE(a_full_old_row_tells_everything),
        CASE(an_unchanged_toast_value_is_found_in_the_full_old_row),
        CASE(an_unchanged_toast_value_is_unknown_elsewhere),
        CASE(an_identity_index_does_not_tell_the_primary_key),
        CASE(a_null_is_known_but_text_may_have_words_for_it),
        CASE(a_leaf_marks_its_root_in_the_roots_terms),
        CASE(truncate_marks_tables_and_templates),
        CASE(a_flood_becomes_all_and_stops_growing),
        CASE(as_many_as_allowed_are_no_flood),
        CASE(ddl_marks_what_it_names),
        CASE(a_stranger_marks_itself),
        CASE(a_table_that_changed_is_marked_as_a_whole),
        CASE(rows_must_fit_their_relation),
        CASE(the_debug_break_leaves_all_out),
    };
    return cmocka_run_group_tests(tests, load_policy, unload_policy);
}
