/* SPDX-License-Identifier: BSD-3-Clause */
/* yaml: what is no tree that a policy may have is refused, with the place; aliases are fine. */
#include "policy_test.h"

static const struct wrong wrongs[] = {
    {"an_empty_file", "",
     "1:1: the file is empty; the least is `listen: { resp: \"127.0.0.1:6380\" }`"},
    {"comments_only", "# nothing\n",
     "1:1: the file is empty; the least is `listen: { resp: \"127.0.0.1:6380\" }`"},
    {"a_list_at_the_top", "- listen\n",
     "1:1: a list stands here; a policy is a map that begins with `listen:`"},
    {"text_at_the_top", "listen\n",
     "1:1: a single value stands here; a policy is a map that begins with `listen:`"},
    {"tab_as_indentation", "listen:\n\tresp: x\n",
     "2:1: a tab stands here; YAML indents with spaces only"},
    {"tab_behind_spaces", "listen:\n  resp: a\n \tadmin: b\n",
     "3:2: a tab stands here; YAML indents with spaces only"},
    {"quote_not_closed", "listen: { resp: \"127.0.0.1:1 }\nworkers: 1\n",
     "1:17: found unexpected end of stream while scanning a quoted scalar that begins on line 1; "
     "check quotes, brackets and indentation"},
    {"bracket_not_closed", LISTEN "routes: [\n",
     "3:1: did not find expected node content while parsing a flow node that begins on line 3; "
     "check quotes, brackets and indentation"},
    {"colon_missing", LISTEN "workers\nlog: info\n",
     "2:1: could not find expected ':' while scanning a simple key that begins on line 2; check "
     "quotes, brackets and indentation"},
    {"bad_indentation", "listen:\n   resp: \"127.0.0.1:1\"\n  admin: \"127.0.0.1:2\"\n",
     "3:3: did not find expected key while parsing a block mapping that begins on line 1; check "
     "quotes, brackets and indentation"},
    {"bad_escape", LISTEN "log: \"\\q\"\n",
     "2:7: found unknown escape character while parsing a quoted scalar that begins on line 2; "
     "check quotes, brackets and indentation"},
    {"template_without_quotes", LISTEN "invalidate:\n  t: [{id}_x]\n",
     "3:11: did not find expected ',' or ']' while parsing a flow sequence that begins on line 3; "
     "check quotes, brackets and indentation"},
    {"star_without_quotes", LISTEN "invalidate:\n  t: [*_x]\n",
     "3:7: alias `*_x` has no anchor `&_x` above it; text that begins with `*` needs quotes"},
    {"percent_directive", "%FOO\n",
     "1:5: found unknown directive name while scanning a directive that begins on line 1; check "
     "quotes, brackets and indentation"},
    {"second_document", LISTEN "---\nlog: info\n",
     "2:1: a second document begins; one file is one policy"},
    {"tag", LISTEN "workers: !!int 1\n",
     "2:10: tag `tag:yaml.org,2002:int`: tags mean nothing here; remove it"},
    {"alias_without_anchor", LISTEN "workers: *n\n",
     "2:10: alias `*n` has no anchor `&n` above it; text that begins with `*` needs quotes"},
    {"alias_inside_its_anchor", LISTEN "spaces: &s { a: *s }\n",
     "2:17: alias `*s` stands inside of its own anchor"},
    {"map_as_key", LISTEN "? { a: b }\n: c\n",
     "2:3: a map stands where a key should; quote the key if it begins with a bracket or brace"},
    {"list_as_key", LISTEN "[a]: b\n",
     "2:1: a list stands where a key should; quote the key if it begins with a bracket or brace"},
    {"zero_byte", LISTEN "log: \"in\\0fo\"\n", "2:6: the text holds a zero byte; remove it"},
    {"too_deep", LISTEN "spaces: [[[[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]]]]\n",
     "2:24: nested deeper than 16 levels; no policy needs that"},
    {"not_utf8", LISTEN "log: inf\xff\n",
     "2:9: a control character, or no UTF-8 text; save the file as UTF-8"},
    {"latin1", LISTEN "# caf\xe9\n",
     "2:6: a control character, or no UTF-8 text; save the file as UTF-8"},
    {"utf16", "\xff\xfel", "1:1: a control character, or no UTF-8 text; save the file as UTF-8"},
    {"control_character", LISTEN "log: \x01info\n",
     "2:6: a control character, or no UTF-8 text; save the file as UTF-8"},
    {"c1_control_character", LISTEN "# \xc3\xa9\nlog: \xc2\x80info\n",
     "3:6: control characters are not allowed; check quotes, brackets and indentation"},
    {"merge_key",
     LISTEN "limits: &l { bulk: 1MB }\nspaces: { a: { <<: *l, db: 1, memory: 8MB } }\n",
     "3:16: spaces.a.<<: merge keys are not YAML 1.2; repeat the keys, or use the alias as a "
     "value"},
};

static void wrong_is_refused_there(void **state)
{
    wrong_is_refused(state);
}

static void aliases_stand_for_what_they_name(void **state)
{
    const struct policy *p = load_good(LISTEN "limits: { bulk: &big 32MB, http_body: *big }\n"
                                              "spaces:\n"
                                              "  a: &one { db: 1, memory: *big }\n");
    assert_int_equal(p->limits.bulk_max, 32 << 20);
    assert_int_equal(p->limits.http_body_max, 32 << 20);
    assert_int_equal(p->spaces[0].memory, 32 << 20);
    policy_unload(&p);
}

static void a_later_anchor_hides_an_earlier_one(void **state)
{
    const struct policy *p =
        load_good(LISTEN "limits: { bulk: &x 1MB, http_body: &x 2MB, pipeline: *x }\n");
    assert_int_equal(p->limits.pipeline_max, 2 << 20);
    policy_unload(&p);
}

static void byte_order_mark_and_line_ends_do_not_matter(void **state)
{
    const struct policy *p =
        load_good("\xef\xbb\xbflisten: { resp: \"127.0.0.1:1\" }\r\nlog: debug\r\n");
    assert_int_equal(p->log.level, LOG_DEBUG);
    policy_unload(&p);
}

/* Appends `piece` with its index `count` times. */
static void append_many(struct buf *text, const char *fmt_before, const char *fmt_after, int count)
{
    for (int i = 0; i < count; i++) {
        buf_printf(text, "%s%d%s", fmt_before, i, fmt_after);
    }
}

static void expect_refused(struct buf *text, const char *complaint)
{
    assert_null(load_slice(buf_readable(text)));
    if (strstr(said, complaint) == NULL) {
        fail_msg("%.300s", said);
    }
    buf_fini(text);
}

static void small_files_cannot_stand_for_huge_ones(void **state)
{
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, LISTEN "spaces:\n  - &l0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&text, "  - &l%d [", i);
        for (int k = 0; k < 10; k++) {
            buf_printf(&text, "%s*l%d", k > 0 ? "," : "", i - 1);
        }
        buf_append_str(&text, "]\n");
    }
    expect_refused(&text, "more than 50000 values; this is no policy");
}

static void files_have_bounded_lists(void **state)
{
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, LISTEN "invalidate:\n");
    append_many(&text, "  t", ": x\n", 3000);
    expect_refused(&text, "t.yaml:2051:10: more than 2048 entries in one list or map; split it");
}

static void files_have_bounded_values(void **state)
{
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, LISTEN "invalidate:\n");
    for (int i = 0; i < 100; i++) {
        buf_printf(&text, "  t%d:\n", i);
        append_many(&text, "    - x", "\n", 1000);
    }
    expect_refused(&text, "more than 50000 values; this is no policy");
}

static void deep_nesting_is_refused_at_once(void **state)
{
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, LISTEN "spaces: ");
    for (int i = 0; i < 100000; i++) {
        buf_append_char(&text, '[');
    }
    expect_refused(&text, "t.yaml:2:24: nested deeper than 16 levels");
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(aliases_stand_for_what_they_name),
        cmocka_unit_test(a_later_anchor_hides_an_earlier_one),
        cmocka_unit_test(byte_order_mark_and_line_ends_do_not_matter),
        cmocka_unit_test(small_files_cannot_stand_for_huge_ones),
        cmocka_unit_test(files_have_bounded_lists),
        cmocka_unit_test(files_have_bounded_values),
        cmocka_unit_test(deep_nesting_is_refused_at_once),
    };
    struct CMUnitTest tests[array_len(wrongs) + array_len(others)];
    size_t count = add_wrongs(tests, 0, wrongs, array_len(wrongs), wrong_is_refused_there);
    count = add_tests(tests, count, others, array_len(others));
    return run_group("yaml", tests, count);
}
