/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of node text: shape, odd names, hostile bytes. */
#include "fill/nodes.h"

#include "base/alloc.h"
#include "base/check.h"
#include "trees.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct trees *trees;

static const struct node *parse(struct arena *a, const char *text)
{
    const char *why = NULL;
    const struct node *n = nodes_parse(a, slice_of(text), &why);
    assert_true((n == NULL) == (why != NULL));
    return n;
}

static void a_struct_gives_its_fields(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    const struct node *n = parse(
        &a, "{OPEXPR :opno 96 :args ({VAR :varno 1}\n{PARAM :paramid 2}) :name <> :location -1}");
    int64_t value = 0;
    assert_true(node_is(n, "OPEXPR"));
    assert_int_equal(node_oid(n, "opno"), 96);
    assert_true(node_int(n, "location", &value));
    assert_int_equal(value, -1);
    assert_int_equal(node_oid(n, "location"), 0);
    assert_int_equal(node_oid(n, "absent"), 0);
    assert_true(node_says(n, "name", "<>"));
    assert_null(node_items(n, "name"));
    const struct node *args = node_items(n, "args");
    assert_true(node_is(args, "VAR"));
    assert_true(node_is(args->next, "PARAM"));
    assert_null(args->next->next);
    arena_fini(&a);
}

static void a_constant_keeps_length_and_bytes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    const struct node *n = parse(&a, "{CONST :constvalue 4 [ -81 64 0 ] :x 1}");
    const struct node *length = node_field(n, "constvalue");
    assert_true(slice_is(length->text, "4"));
    assert_int_equal(length->next->kind, NODE_LIST);
    assert_true(slice_is(length->next->child->text, "-81"));
    assert_int_equal(node_oid(n, "x"), 1);
    arena_fini(&a);
}

static void names_cannot_pretend_to_be_structure(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    const struct node *n =
        parse(&a, "{ALIAS :aliasname :relid\\ 99\\ \\} :relid 7 :colnames (\"\\(\" \"b\\\nc\")}");
    assert_int_equal(node_oid(n, "relid"), 7);
    assert_true(node_says(n, "aliasname", ":relid\\ 99\\ \\}"));
    assert_non_null(node_items(n, "colnames"));
    arena_fini(&a);
}

static void broken_text_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",      " \n",    "{",          "(",         "{}",           "{ :x 1}",     "{A",
        "{A :x", "{A :x}", "{A :x 1",    "{A x}",     "{A : 1}",      ")",           "}",
        "(}",    "[ 1",    "({A :x 1)}", "{A :x 1}}", "({A :x 1}) x", "{A :x 1 (]}", "{{A} :x 1}",
    };
    for (size_t i = 0; i < array_len(texts); i++) {
        struct arena a;
        arena_init(&a);
        assert_null(parse(&a, texts[i]));
        arena_fini(&a);
    }
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char *text = xmalloc(2 * 100000 + 1);
    for (int depth = NODES_DEPTH_MAX; depth <= 100000; depth += 100000 - NODES_DEPTH_MAX) {
        memset(text, '(', (size_t)depth);
        memset(text + depth, ')', (size_t)depth);
        text[2 * depth] = '\0';
        struct arena a;
        arena_init(&a);
        assert_int_equal(parse(&a, text) != NULL, depth <= NODES_DEPTH_MAX);
        arena_fini(&a);
    }
    free(text);
}

/* The server fills 78 bytes a line; without a space in them it cuts a word. */
static void a_torn_word_is_refused(void **state)
{
    (void)state;
    char text[256];
    snprintf(text, sizeof text, "{A :x\n%078d\n5 :y 1}", 0);
    struct arena a;
    arena_init(&a);
    assert_null(parse(&a, text));
    snprintf(text, sizeof text, "{A :x\n%077d\n5 :y 1}", 0);
    assert_non_null(parse(&a, text));
    arena_fini(&a);
}

/* Every prefix, and every byte flipped to something structural: no crash, and a reason for each
 * refusal. */
static void damaged_trees_never_crash(void **state)
{
    (void)state;
    static const char bytes[] = "(){}:\\ [\n";
    struct slice whole = trees_find(trees, "view");
    char *text = xstrndup(whole.ptr, whole.len);
    for (size_t i = 0; i < whole.len; i += 7) {
        const char *why = NULL;
        struct arena a;
        arena_init(&a);
        assert_null(nodes_parse(&a, (struct slice){text, i}, &why));
        assert_non_null(why);
        char saved = text[i];
        text[i] = bytes[i % (sizeof bytes - 1)];
        (void)nodes_parse(&a, (struct slice){text, whole.len}, &why);
        text[i] = saved;
        arena_fini(&a);
    }
    free(text);
}

int main(void)
{
    trees = trees_load(TREES_DIR "/trees-15.txt");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_struct_gives_its_fields),
        cmocka_unit_test(a_constant_keeps_length_and_bytes),
        cmocka_unit_test(names_cannot_pretend_to_be_structure),
        cmocka_unit_test(broken_text_is_refused_with_a_reason),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_torn_word_is_refused),
        cmocka_unit_test(damaged_trees_never_crash),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    trees_free(&trees);
    return failed;
}
