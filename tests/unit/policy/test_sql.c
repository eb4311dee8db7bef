/* SPDX-License-Identifier: BSD-3-Clause */
/* sql: ":name" to "$1" wherever PostgreSQL would see a parameter, and nowhere else. */
#include "policy_test.h"

struct row {
    const char *sql;
    const char *out;   /* NULL: refused */
    const char *names; /* joined by ','; or the reason */
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf out;
        struct buf joined;
        struct slice names[POLICY_PARAMS_MAX];
        uint32_t name_count = 0;
        const char *reason = "";
        buf_init(&out);
        buf_init(&joined);
        buf_append_str(&out, "kept ");
        bool ok = policy_sql_positional(rows[i].sql, &out, names, &name_count, &reason);
        for (uint32_t k = 0; ok && k < name_count; k++) {
            buf_printf(&joined, "%s%.*s", k > 0 ? "," : "", (int)names[k].len, names[k].ptr);
        }
        buf_append_char(&out, '\0');
        buf_append_char(&joined, '\0');
        assert_memory_equal(out.mem, "kept ", 5);
        if (ok != (rows[i].out != NULL)) {
            fail_msg("%s: %s", rows[i].sql, ok ? "taken" : reason);
        }
        assert_string_equal(out.mem + 5, ok ? rows[i].out : "");
        assert_string_equal(ok ? joined.mem : reason, rows[i].names);
        buf_fini(&out);
        buf_fini(&joined);
    }
}

static void names_become_numbers_in_order(void **state)
{
    static const struct row rows[] = {
        {"select 1", "select 1", ""},
        {"select :a", "select $1", "a"},
        {"select :a, :b, :a", "select $1, $2, $1", "a,b"},
        {"select :a,:ab,:abc", "select $1,$2,$3", "a,ab,abc"},
        {"select :A,:a", "select $1,$2", "A,a"},
        {"select * from f(:a)", "select * from f($1)", "a"},
        {"select 1 where x=:a;", "select 1 where x=$1", "a"},
        {"select 1 where x=:a ;  -- done\n ", "select 1 where x=$1   -- done\n ", "a"},
        {"select 1 where x in(:a,:b)and y>:c", "select 1 where x in($1,$2)and y>$3", "a,b,c"},
        {"select -:n, +:n, x||:n||x, x->>:n", "select -$1, +$1, x||$1||x, x->>$1", "n"},
        {"limit:n", "limit$1", "n"},
        {"select :_x1", "select $1", "_x1"},
        {"\tselect\n:a\n", "\tselect\n$1\n", "a"},
    };
    check_rows(rows, array_len(rows));
}

static void casts_and_assignments_are_no_parameters(void **state)
{
    static const struct row rows[] = {
        {"select x::int", "select x::int", ""},
        {"select x :: int", "select x :: int", ""},
        {"select :a::int", "select $1::int", "a"},
        {"select :a::text::date", "select $1::text::date", "a"},
        {"select '1'::text", "select '1'::text", ""},
        {"call f(a := :a)", "call f(a := $1)", "a"},
        {"call f(a:=b)", "call f(a:=b)", ""},
        {"select a : 1", "select a : 1", ""},
        {"select :1", "select :1", ""},
    };
    check_rows(rows, array_len(rows));
}

static void array_slices_are_no_parameters(void **state)
{
    static const struct row rows[] = {
        {"select a[1:2]", "select a[1:2]", ""},
        {"select a[low:high]", "select a[low:high]", ""},
        {"select a[1:n]", "select a[1:n]", ""},
        {"select a[b[1]:n]", "select a[b[1]:n]", ""},
        {"select a[f(x):n]", "select a[f(x):n]", ""},
        {"select a[\"x\":n]", "select a[\"x\":n]", ""},
        {"select a[:n]", "select a[$1]", "n"},
        {"select a[1 : :n]", "select a[1 : $1]", "n"},
        {"select a[:m : :n]", "select a[$1 : $2]", "m,n"},
        {"select array[:a,:b]", "select array[$1,$2]", "a,b"},
        {"select array[1,:b]", "select array[1,$1]", "b"},
        {"select a[1] , x=:n", "select a[1] , x=$1", "n"},
        {"select ] :a", "select ] $1", "a"},
    };
    check_rows(rows, array_len(rows));
}

static void quoted_text_is_left_alone(void **state)
{
    static const struct row rows[] = {
        {"select ':a'", "select ':a'", ""},
        {"select 'it''s :a', :b", "select 'it''s :a', $1", "b"},
        {"select '\\', :a", "select '\\', $1", "a"},
        {"select E'\\' :a', :b", "select E'\\' :a', $1", "b"},
        {"select e'\\\\', :b", "select e'\\\\', $1", "b"},
        {"select e'x''y :a', :b", "select e'x''y :a', $1", "b"},
        {"select E'a'\n  '\\' :b', :c", "select E'a'\n  '\\' :b', $1", "c"},
        {"select E'a' -- x\n '\\' :b', :c", "select E'a' -- x\n '\\' :b', $1", "c"},
        {"select E'a' '\\', :c", "select E'a' '\\', $1", "c"},
        {"select name'\\', :a", "select name'\\', $1", "a"},
        {"select U&'\\0061', B'1', x'ff', N':a', :b", "select U&'\\0061', B'1', x'ff', N':a', $1",
         "b"},
        {"select \":a\" , \"x\"\":b\"", "select \":a\" , \"x\"\":b\"", ""},
        {"select '{\"a\": 1}'::jsonb @> :a", "select '{\"a\": 1}'::jsonb @> $1", "a"},
        {"select '\xc3\xa9:a'", "select '\xc3\xa9:a'", ""},
    };
    check_rows(rows, array_len(rows));
}

static void dollar_quotes_are_left_alone(void **state)
{
    static const struct row rows[] = {
        {"select $$:a$$, :b", "select $$:a$$, $1", "b"},
        {"select $x$ :a $$ :b $x$, :c", "select $x$ :a $$ :b $x$, $1", "c"},
        {"select $x$ :a $xx$ $x$, :c", "select $x$ :a $xx$ $x$, $1", "c"},
        {"select $x1_$:a$x1_$", "select $x1_$:a$x1_$", ""},
        {"select a$b, c$$d :e", "select a$b, c$$d $1", "e"},
        {"select $\xc3\xa9$:a$\xc3\xa9$", "select $\xc3\xa9$:a$\xc3\xa9$", ""},
    };
    check_rows(rows, array_len(rows));
}

static void comments_are_left_alone(void **state)
{
    static const struct row rows[] = {
        {"select 1 -- :a\n, :b", "select 1 -- :a\n, $1", "b"},
        {"select 1 -- it's\r, :b", "select 1 -- it's\r, $1", "b"},
        {"select /* :a */ :b", "select /* :a */ $1", "b"},
        {"select /* x /* :a */ :b */ :c", "select /* x /* :a */ :b */ $1", "c"},
        {"select /* ' */ :b", "select /* ' */ $1", "b"},
        {"select 1 - -:a", "select 1 - -$1", "a"},
        {"select 4/:a*:b", "select 4/$1*$2", "a,b"},
        {"-- head\nselect 1", "-- head\nselect 1", ""},
    };
    check_rows(rows, array_len(rows));
}

static void what_cannot_be_one_statement_is_refused(void **state)
{
    static const char several[] = "it has several statements; a route runs one";
    static const struct row rows[] = {
        {"select 1; select 2", NULL, several},
        {"select 1;;select 2", NULL, several},
        {"select 1; -- x\n delete from t", NULL, several},
        {"select 1;'", NULL, several},
        {"", NULL, "it has no statement"},
        {"  ;  ", NULL, "it has no statement"},
        {"-- only\n/* comments */", NULL, "it has no statement"},
        {"select 'a", NULL, "a 'text' is not closed"},
        {"select 'a''", NULL, "a 'text' is not closed"},
        {"select E'a\\'", NULL, "a 'text' is not closed"},
        {"select E'a\\", NULL, "a 'text' is not closed"},
        {"select E'a'\n'b", NULL, "a 'text' is not closed"},
        {"select \"a", NULL, "a \"name\" is not closed"},
        {"select $x$ a $$", NULL, "a $dollar$ quote is not closed"},
        {"select 1 /* /* */", NULL, "a /* comment is not closed"},
        {"select $1", NULL, "it has $1 parameters of its own; write :name instead"},
        {"select :\xc3\xa9", NULL,
         "a parameter's name has at most 63 ASCII letters, digits and '_'"},
    };
    check_rows(rows, array_len(rows));
}

static void parameters_are_counted_up_to_the_limit(void **state)
{
    struct buf sql;
    struct buf out;
    struct slice names[POLICY_PARAMS_MAX];
    uint32_t count;
    const char *reason;
    buf_init(&sql);
    buf_init(&out);
    buf_append_str(&sql, "select ");
    for (int i = 0; i < POLICY_PARAMS_MAX; i++) {
        buf_printf(&sql, ":p%d,:p%d,", i, i);
    }
    buf_append(&sql, "1\0", 2);
    assert_true(policy_sql_positional(sql.mem, &out, names, &count, &reason));
    assert_int_equal(count, POLICY_PARAMS_MAX);
    buf_truncate(&sql, buf_len(&sql) - 2);
    buf_append(&sql, ":one_more\0", 10);
    assert_false(policy_sql_positional(sql.mem, &out, names, &count, &reason));
    assert_string_equal(reason, "it has more than 32 parameters");
    buf_fini(&sql);
    buf_fini(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_numbers_in_order),
        cmocka_unit_test(casts_and_assignments_are_no_parameters),
        cmocka_unit_test(array_slices_are_no_parameters),
        cmocka_unit_test(quoted_text_is_left_alone),
        cmocka_unit_test(dollar_quotes_are_left_alone),
        cmocka_unit_test(comments_are_left_alone),
        cmocka_unit_test(what_cannot_be_one_statement_is_refused),
        cmocka_unit_test(parameters_are_counted_up_to_the_limit),
    };
    return run_group("sql", tests, array_len(tests));
}
