/* SPDX-License-Identifier: BSD-3-Clause */
/* load_invalidate: tables and their key templates. */
#include "policy_test.h"

static const struct wrong wrongs[] = {
    {"without_database", LISTEN "invalidate: { t: [\"x_{id}\"] }\n",
     "2:13: invalidate: needs a database to follow; add `database: { dsn: ... }`"},
    {"invalidate_is_list", FOLLOWED "invalidate: [t]\n",
     "3:13: invalidate: a list stands here; write a map `key: value`"},
    {"table_without_templates", FOLLOWED "invalidate:\n  t: []\n",
     "4:6: invalidate.t: no templates; write one, or remove the table"},
    {"table_with_nothing", FOLLOWED "invalidate:\n  t:\n",
     "4:5: invalidate.t: nothing stands here; write a template such as \"product_{id}\""},
    {"table_is_quoted", FOLLOWED "invalidate: { '\"T\"': [x] }\n",
     "3:15: invalidate.\"T\": no table's name; write table or schema.table, without quotes"},
    {"table_has_blanks", FOLLOWED "invalidate: { \"a b\": [x] }\n",
     "3:15: invalidate.a b: no table's name; write table or schema.table, without quotes"},
    {"table_has_two_dots", FOLLOWED "invalidate: { a.b.c: [x] }\n",
     "3:15: invalidate.a.b.c: no table's name; write table or schema.table, without quotes"},
    {"table_ends_with_dot", FOLLOWED "invalidate: { a.: [x] }\n",
     "3:15: invalidate.a.: no table's name; write table or schema.table, without quotes"},
    {"schema_missing", FOLLOWED "invalidate: { .a: [x] }\n",
     "3:15: invalidate..a: no table's name; write table or schema.table, without quotes"},
    {"table_twice", FOLLOWED "invalidate:\n  t: [x]\n  t: [y]\n",
     "5:3: invalidate.t: given twice, first on line 4; remove one"},
    {"template_is_list", FOLLOWED "invalidate: { t: [[x]] }\n",
     "3:19: invalidate.t[0]: a list stands here; write a template such as \"product_{id}\""},
    {"template_is_empty", FOLLOWED "invalidate: { t: [\"\"] }\n",
     "3:19: invalidate.t[0]: nothing stands here; write a template such as \"product_{id}\""},
    {"template_without_key", FOLLOWED "invalidate: { t: [ { implicit_lease: 3s } ] }\n",
     "3:20: invalidate.t[0]: no `key`; write key: \"product_{id}\""},
    {"template_twice", FOLLOWED "invalidate:\n  t: [\"x_{id}\", \"y\", \"x_{id}\"]\n",
     "4:22: invalidate.t[2]: given twice, first on line 4; remove one"},
    {"brace_not_closed", FOLLOWED "invalidate: { t: [\"x_{id\"] }\n",
     "3:19: invalidate.t[0]: `x_{id` has a `{` without `}` behind it"},
    {"brace_not_opened", FOLLOWED "invalidate: { t: [\"x_id}\"] }\n",
     "3:19: invalidate.t[0]: `x_id}` has a `}` without `{` before it"},
    {"brace_in_brace", FOLLOWED "invalidate: { t: [\"x_{{id}}\"] }\n",
     "3:19: invalidate.t[0]: `x_{{id}}` has a `{` without `}` behind it"},
    {"braces_empty", FOLLOWED "invalidate: { t: [\"x_{}\"] }\n",
     "3:19: invalidate.t[0]: `x_{}` has braces without a column's name in them; write {id}"},
    {"braces_with_blank", FOLLOWED "invalidate: { t: [\"x_{ id }\"] }\n",
     "3:19: invalidate.t[0]: `x_{ id }` has braces without a column's name in them; write {id}"},
    {"too_many_placeholders",
     FOLLOWED "invalidate: { t: [\"{a}.{b}.{c}.{d}.{e}.{f}.{g}.{h}.{i}\"] }\n",
     "3:19: invalidate.t[0]: `{a}.{b}.{c}.{d}.{e}.{f}.{g}.{h}.{i}` has more than 8 different "
     "placeholders"},
    {"too_many_parts", FOLLOWED "invalidate: { t: [\"*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.\"] }\n",
     "3:19: invalidate.t[0]: `*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.` has more than 32 parts; shorten "
     "it"},
    {"lease_without_unit", FOLLOWED "invalidate: { t: [ { key: x, implicit_lease: 30 } ] }\n",
     "3:46: invalidate.t[0].implicit_lease: `30` has no unit; write ms, s, m, h or d after the "
     "number, such as 30s"},
    {"lease_too_long", FOLLOWED "invalidate: { t: [ { key: x, implicit_lease: 6m } ] }\n",
     "3:46: invalidate.t[0].implicit_lease: `6m` is out of range; write 10ms to 5m"},
};

static const struct wrong warnings[] = {
    {"placeholders_side_by_side", FOLLOWED "invalidate: { t: [\"x_{a}{b}\"] }\n",
     "3:19: warning: invalidate.t[0]: `x_{a}{b}` is ambiguous: a placeholder stands next to "
     "another or to `*` without text between them, so every way to split a key counts and more is "
     "voided than needed; put a character between them"},
    {"star_beside_placeholder", FOLLOWED "invalidate: { t: [\"x_{a}*\"] }\n",
     "3:19: warning: invalidate.t[0]: `x_{a}*` is ambiguous: a placeholder stands next to another "
     "or to `*` without text between them, so every way to split a key counts and more is voided "
     "than needed; put a character between them"},
};

static void templates_are_listed_in_the_order_of_the_file(void **state)
{
    const struct policy *p =
        load_good(FOLLOWED "invalidate:\n"
                           "  product: [\"product_{id}\", \"product_list_*\"]\n"
                           "  shop.stock:\n"
                           "    - { key: \"stock_{product_id}_{place}\", implicit_lease: 30s }\n"
                           "    - key: low_stock\n"
                           "  sale: \"daily_*\"\n"
                           "  other: { key: \"o_{id}\" }\n");
    assert_int_equal(p->template_count, 6);
    for (uint32_t i = 0; i < p->template_count; i++) {
        assert_int_equal(p->templates[i].index, i);
    }
    const struct policy_template *t = p->templates;
    assert_string_equal(t[0].text, "product_{id}");
    assert_string_equal(t[0].table, "product");
    assert_null(t[0].schema);
    assert_int_equal(t[0].implicit_lease_ms, 10000);
    assert_int_equal(t[0].column_count, 1);
    assert_string_equal(t[0].columns[0], "id");
    assert_int_equal(t[0].line, 4);
    assert_int_equal(t[1].column_count, 0);
    assert_string_equal(t[2].schema, "shop");
    assert_string_equal(t[2].table, "stock");
    assert_int_equal(t[2].implicit_lease_ms, 30000);
    assert_int_equal(t[2].column_count, 2);
    assert_int_equal(t[2].line, 6);
    assert_string_equal(t[3].text, "low_stock");
    assert_string_equal(t[4].table, "sale");
    assert_string_equal(t[5].text, "o_{id}");
    policy_unload(&p);
}

static void one_text_may_serve_several_tables(void **state)
{
    const struct policy *p =
        load_good(FOLLOWED "invalidate: { a: [\"x_*\"], b: [\"x_*\"], s.a: [\"x_*\"] }\n");
    assert_int_equal(p->template_count, 3);
    policy_unload(&p);
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(templates_are_listed_in_the_order_of_the_file),
        cmocka_unit_test(one_text_may_serve_several_tables),
    };
    struct CMUnitTest tests[array_len(wrongs) + array_len(warnings) + array_len(others)];
    size_t count = add_wrongs(tests, 0, wrongs, array_len(wrongs), wrong_is_refused);
    count = add_wrongs(tests, count, warnings, array_len(warnings), wrong_is_warned_about);
    count = add_tests(tests, count, others, array_len(others));
    return run_group("load_invalidate", tests, count);
}
