/* SPDX-License-Identifier: BSD-3-Clause */
/* load_routes: match, statement, parameters, and what may be said about the answer. */
#include "policy_test.h"

#include <unistd.h>

#define R(text) DATABASE "routes:\n  - { " text " }\n"

static const struct wrong wrongs[] = {
    {"without_database", "listen: { http: \":1\" }\nroutes: [ { match: GET /x, sql: select 1 } ]\n",
     "2:9: routes: need a database to ask; add `database: { dsn: ... }`"},
    {"routes_is_map", DATABASE "routes: { a: b }\n",
     "3:9: routes: a map stands here; write a list of routes"},
    {"routes_is_empty", DATABASE "routes: []\n",
     "3:9: routes: an empty list stands here; write a list of routes"},
    {"routes_is_nothing", DATABASE "routes:\n",
     "3:8: routes: nothing stands here; write a list of routes"},
    {"route_is_text", DATABASE "routes: [GET /x]\n",
     "3:10: routes[0]: a single value stands here; write a map `key: value`"},
    {"route_is_nothing", DATABASE "routes:\n  -\n",
     "4:4: routes[0]: nothing stands here; write a map `key: value`"},

    {"no_match", R("sql: select 1"), "4:5: routes[0]: no `match`; write match: GET /api/products"},
    {"match_is_list", R("match: [GET], sql: select 1"),
     "4:14: routes[0].match: a list stands here; write method and path such as GET /api/products"},
    {"match_without_method", R("match: /x, sql: select 1"),
     "4:14: routes[0].match: `/x` is no method and path; write `GET /api/products`"},
    {"match_without_path", R("match: GET, sql: select 1"),
     "4:14: routes[0].match: `GET` is no method and path; write `GET /api/products`"},
    {"small_method", R("match: get /x, sql: select 1"),
     "4:14: routes[0].match: `get /x` has its method in small letters; write GET"},
    {"other_method", R("match: DELETE /x, sql: select 1"),
     "4:14: routes[0].match: `DELETE /x` has a method that routes do not have; write GET or POST"},
    {"two_blanks", R("match: GET  /x, sql: select 1"),
     "4:14: routes[0].match: `GET  /x` has a path that does not begin with '/'"},
    {"path_without_slash", R("match: GET x, sql: select 1"),
     "4:14: routes[0].match: `GET x` has a path that does not begin with '/'"},
    {"path_with_query", R("match: GET /x?a=1, sql: select 1"),
     "4:14: routes[0].match: `GET /x?a=1` has a character that no path has; write the path only, "
     "and others as %xx"},
    {"path_with_blank", R("match: GET /x y, sql: select 1"),
     "4:14: routes[0].match: `GET /x y` has a character that no path has; write the path only, and "
     "others as %xx"},
    {"path_with_star", R("match: GET /x/*, sql: select 1"),
     "4:14: routes[0].match: `GET /x/*` has a `*`, which is for upstream routes: not in this "
     "version yet"},
    {"path_with_two_slashes", R("match: GET /x//y, sql: select 1"),
     "4:14: routes[0].match: `GET /x//y` has an empty segment; remove one '/'"},
    {"path_with_bad_percent", R("match: GET /x%2, sql: select 1"),
     "4:14: routes[0].match: `GET /x%2` has a '%' that is not followed by two hexadecimal digits "
     "other than 00"},
    {"path_with_zero_byte", R("match: GET /x%00, sql: select 1"),
     "4:14: routes[0].match: `GET /x%00` has a '%' that is not followed by two hexadecimal digits "
     "other than 00"},
    {"half_a_segment", R("match: \"GET /x/a{id}\", sql: \"select :id\""),
     "4:14: routes[0].match: `GET /x/a{id}` has a brace that is not of a parameter; a parameter is "
     "a whole segment, {name}"},
    {"brace_not_closed", R("match: \"GET /x/{id\", sql: \"select :id\""),
     "4:14: routes[0].match: `GET /x/{id` has a brace that is not of a parameter; a parameter is a "
     "whole segment, {name}"},
    {"brace_alone", R("match: \"GET /x/{\", sql: select 1"),
     "4:14: routes[0].match: `GET /x/{` has a brace that is not of a parameter; a parameter is a "
     "whole segment, {name}"},
    {"bad_parameter_name", R("match: \"GET /x/{1d}\", sql: select 1"),
     "4:14: routes[0].match: `GET /x/{1d}` has a brace that is not of a parameter; a parameter is "
     "a whole segment, {name}"},
    {"one_parameter_twice", R("match: \"GET /{id}/{id}\", sql: \"select :id\""),
     "4:14: routes[0].match: `GET /{id}/{id}` has the parameter {id} twice; rename one"},
    {"too_many_segments",
     R("match: GET /a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a, sql: select "
       "1"),
     "4:14: routes[0].match: `GET "
     "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a` has more than 32 "
     "segments"},
    {"same_shape",
     DATABASE "routes:\n  - { match: \"GET /a/{x}\", sql: \"select :x\" }\n"
              "  - { match: \"GET /a/{y}\", sql: \"select :y\" }\n",
     "5:14: routes[1].match: no request can be told from `GET /a/{x}` on line 4; remove one"},
    {"same_shape_decoded",
     DATABASE
     "routes:\n  - { match: GET /ab, sql: select 1 }\n  - { match: GET /%61b, sql: select 1 }\n",
     "5:14: routes[1].match: no request can be told from `GET /ab` on line 4; remove one"},

    {"no_sql", R("match: GET /x"), "4:5: routes[0]: no `sql`; write the file or the statement"},
    {"sql_is_list", R("match: GET /x, sql: [a]"),
     "4:27: routes[0].sql: a list stands here; write a file such as sql/products.sql"},
    {"sql_is_empty", R("match: GET /x, sql: \"\""),
     "4:27: routes[0].sql: nothing stands here; write a file such as sql/products.sql"},
    {"sql_file_missing", R("match: GET /x, sql: sql/nowhere.sql"),
     "4:27: routes[0].sql: `sql/nowhere.sql` cannot be read: No such file or directory; a file is "
     "looked for from the policy file's folder, and a statement holds white space"},
    {"sql_file_is_folder", R("match: GET /x, sql: /tmp"),
     "4:27: routes[0].sql: `/tmp` is a directory; a file is looked for from the policy file's "
     "folder, and a statement holds white space"},
    {"sql_file_is_device", R("match: GET /x, sql: /dev/zero"),
     "4:27: routes[0].sql: `/dev/zero` is not a regular file; a file is looked for from the policy "
     "file's folder, and a statement holds white space"},
    {"sql_without_statement", R("match: GET /x, sql: \"-- x \""),
     "4:27: routes[0].sql: the statement cannot be used: it has no statement"},
    {"sql_with_two_statements", R("match: GET /x, sql: select 1; select 2"),
     "4:27: routes[0].sql: the statement cannot be used: it has several statements; a route runs "
     "one"},
    {"sql_with_open_quote", R("match: GET /x, sql: \"select 'x\""),
     "4:27: routes[0].sql: the statement cannot be used: a 'text' is not closed"},
    {"sql_with_numbers", R("match: GET /x, sql: select $1"),
     "4:27: routes[0].sql: the statement cannot be used: it has $1 parameters of its own; write "
     ":name instead"},

    {"params_is_list", R("match: GET /x, sql: \"select :a\", params: [a]"),
     "4:48: routes[0].params: a list stands here; write a map `key: value`"},
    {"param_unknown", R("match: GET /x, sql: \"select :page\", params: { pages: 1 }"),
     "4:53: routes[0].params.pages: the statement has no :pages; did you mean `page`?"},
    {"param_unknown_and_far", R("match: GET /x, sql: select 1, params: { q: 1 }"),
     "4:47: routes[0].params.q: the statement has no :q; remove it"},
    {"param_is_list", R("match: GET /x, sql: \"select :a\", params: { a: [1] }"),
     "4:53: routes[0].params.a: a list stands here; write one value or null"},
    {"param_twice", R("match: GET /x, sql: \"select :a\", params: { a: 1, a: 2 }"),
     "4:56: routes[0].params.a: given twice, first on line 4; remove one"},
    {"param_of_path_has_default", R("match: \"GET /x/{a}\", sql: \"select :a\", params: { a: 1 }"),
     "4:56: routes[0].params.a: is in the path and always has a value; remove the default"},

    {"bad_answer", R("match: GET /x, sql: select 1, answer: arry"),
     "4:45: routes[0].answer: `arry` is none of array/object; did you mean `array`?"},
    {"unknown_consistency", R("match: GET /x, sql: select 1, consistency: eventual"),
     "4:50: routes[0].consistency: `eventual` is none of ttl/follow/strict"},
    {"bad_fresh", R("match: GET /x, sql: select 1, fresh: 15"),
     "4:44: routes[0].fresh: `15` has no unit; write ms, s, m, h or d after the number, such as "
     "30s"},
    {"bad_timeout", R("match: GET /x, sql: select 1, timeout: 1ms"),
     "4:46: routes[0].timeout: `1ms` is out of range; write 10ms to 1h"},
    {"post_with_consistency", R("match: POST /x, sql: select 1, consistency: strict"),
     "4:51: routes[0].consistency: a POST runs each time and is never kept; remove `consistency`"},
    {"post_with_fresh", R("match: POST /x, sql: select 1, fresh: 1m"),
     "4:45: routes[0].fresh: a POST runs each time and is never kept; remove `fresh`"},
    {"upstream", R("match: GET /x, upstream: \"http://127.0.0.1:8000\""),
     "4:22: routes[0].upstream: not in this version yet: answers of an application behind freshet; "
     "remove it"},
};

static const struct wrong warnings[] = {
    {"path_parameter_not_used", R("match: \"GET /x/{id}\", sql: select 1"),
     "4:14: warning: routes[0].match: the statement does not use `{id}`: every value gets the same "
     "answer; write :id in it"},
    {"nobody_can_ask", FOLLOWED "routes: [ { match: GET /x, sql: select 1 } ]\n",
     "3:9: warning: routes: nobody can ask for them; add listen: { http: ... }"},
};

static void a_route_says_what_it_is(void **state)
{
    const struct policy *p = load_good(DATABASE "routes:\n"
                                                "  - match: GET /a%20b/{id}/x\n"
                                                "    sql: select :q, :id::int, :page, :z;\n"
                                                "    params: { q: null, page: 1, z: \"null\" }\n"
                                                "    answer: object\n"
                                                "    fresh: 15m\n"
                                                "    consistency: strict\n"
                                                "    timeout: 3s\n");
    const struct policy_route *r = &p->routes[0];
    assert_int_equal(p->route_count, 1);
    assert_int_equal(r->line, 4);
    assert_string_equal(r->match, "GET /a%20b/{id}/x");
    assert_string_equal(r->method, "GET");
    assert_int_equal(r->segment_count, 3);
    assert_string_equal(r->segments[0].text, "a b");
    assert_string_equal(r->segments[1].text, "id");
    assert_true(r->segments[1].is_param);
    assert_false(r->segments[2].is_param);
    assert_null(r->sql_file);
    assert_string_equal(r->sql, "select $1, $2::int, $3, $4");
    assert_int_equal(r->param_count, 4);
    assert_string_equal(r->params[0].name, "q");
    assert_true(r->params[0].optional);
    assert_null(r->params[0].fallback);
    assert_string_equal(r->params[1].name, "id");
    assert_false(r->params[1].optional);
    assert_string_equal(r->params[2].fallback, "1");
    assert_string_equal(r->params[3].fallback, "null"); /* quoted: text */
    assert_int_equal(r->answer, POLICY_ANSWER_OBJECT);
    assert_int_equal(r->fresh_ms, 900000);
    assert_int_equal(r->consistency, POLICY_STRICT);
    assert_int_equal(r->timeout_ms, 3000);
    policy_unload(&p);
}

static void a_route_has_defaults(void **state)
{
    const struct policy *p = load_good("listen: { http: \":8080\" }\n"
                                       "database: { dsn: \"a=b\", statement_timeout: 7s }\n"
                                       "routes:\n"
                                       "  - { match: GET /, sql: select 1 }\n"
                                       "  - { match: POST /, sql: \"insert into t values (:x)\" }\n"
                                       "  - { match: GET /never, sql: select 1, fresh: 0 }\n");
    const struct policy_route *get = &p->routes[0];
    assert_int_equal(get->answer, POLICY_ANSWER_ARRAY);
    assert_int_equal(get->fresh_ms, 3600000);
    assert_int_equal(get->consistency, POLICY_FOLLOW);
    assert_int_equal(get->timeout_ms, 7000);
    assert_int_equal(get->segment_count, 1);
    const struct policy_route *post = &p->routes[1];
    assert_int_equal(post->index, 1);
    assert_string_equal(post->method, "POST");
    assert_int_equal(post->answer, POLICY_ANSWER_OBJECT);
    assert_int_equal(post->fresh_ms, 0);
    assert_false(post->params[0].optional);
    assert_int_equal(p->routes[2].fresh_ms, 0);
    policy_unload(&p);
}

/* A policy file and an SQL file beside it, in a folder of their own. */
static void load_with_sql_file(const char *sql, size_t sql_len, const struct policy **ret_policy)
{
    char folder[] = "/tmp/freshet_routes_XXXXXX";
    char policy_file[64];
    char sql_file[64];
    struct buf complaints;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(policy_file, sizeof(policy_file), "%s/shop.yaml", folder);
    (void)snprintf(sql_file, sizeof(sql_file), "%s/x.sql", folder);
    FILE *f = fopen(policy_file, "w");
    (void)fputs(R("match: \"GET /x/{id}\", sql: x.sql"), f);
    (void)fclose(f);
    f = fopen(sql_file, "w");
    assert_int_equal(fwrite(sql, 1, sql_len, f), sql_len);
    (void)fclose(f);

    buf_init(&complaints);
    *ret_policy = policy_load(policy_file, &complaints);
    buf_append_char(&complaints, '\0');
    (void)snprintf(said, sizeof(said), "%s", buf_readable(&complaints).ptr);
    buf_fini(&complaints);
    assert_int_equal(unlink(sql_file), 0);
    assert_int_equal(unlink(policy_file), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void sql_files_lie_beside_the_policy(void **state)
{
    const struct policy *p;
    static const char sql[] = "\xef\xbb\xbf-- caf\xc3\xa9\nselect *\n  from t\n where id = :id;\n";
    load_with_sql_file(sql, strlen(sql), &p);
    assert_string_equal(said, "");
    assert_string_equal(p->routes[0].sql, "-- caf\xc3\xa9\nselect *\n  from t\n where id = $1\n");
    assert_non_null(strstr(p->routes[0].sql_file, "/x.sql"));
    policy_unload(&p);
}

static void sql_files_that_are_no_statements_are_refused(void **state)
{
    static char large[POLICY_SQL_FILE_MAX + 1];
    memset(large, ' ', sizeof(large));
    const struct {
        const char *sql;
        size_t len;
        const char *complaint;
    } rows[] = {
        {"", 0, "the statement cannot be used: it has no statement\n"},
        {"select 1;\nselect 2", 18,
         "x.sql: the statement cannot be used: it has several statements"},
        {"select\n '\xff'", 11, "x.sql` is not UTF-8 text at line 2, column 3\n"},
        {"select\0 1", 9, "x.sql` is not UTF-8 text at line 1, column 7\n"},
        {large, sizeof(large), "x.sql` is larger than 256KB; "},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        const struct policy *p;
        load_with_sql_file(rows[i].sql, rows[i].len, &p);
        assert_null(p);
        if (strstr(said, rows[i].complaint) == NULL ||
            strstr(said, "shop.yaml:4:34: routes[0].sql: ") == NULL) {
            fail_msg("%s", said);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(a_route_says_what_it_is),
        cmocka_unit_test(a_route_has_defaults),
        cmocka_unit_test(sql_files_lie_beside_the_policy),
        cmocka_unit_test(sql_files_that_are_no_statements_are_refused),
    };
    struct CMUnitTest tests[array_len(wrongs) + array_len(warnings) + array_len(others)];
    size_t count = add_wrongs(tests, 0, wrongs, array_len(wrongs), wrong_is_refused);
    count = add_wrongs(tests, count, warnings, array_len(warnings), wrong_is_warned_about);
    count = add_tests(tests, count, others, array_len(others));
    return run_group("load_routes", tests, count);
}
