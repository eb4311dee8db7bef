/* SPDX-License-Identifier: BSD-3-Clause */
/* prefix: what an application puts before its keys is taken off, shortest runs, never across ':'.
 */
#include "policy_test.h"

static void prefixes_are_stripped(void **state)
{
    static const struct {
        const char *prefix;
        const char *key;
        const char *rest; /* NULL: the key does not begin with it */
    } rows[] = {
        {"erp:*:", "erp:1:product_7", "product_7"},
        {"erp:*:", "erp:12:a:b", "a:b"},
        {"erp:*:", "erp::x", "x"},
        {"erp:*:", "erp:1:", ""},
        {"erp:*:", "erp:1", NULL},
        {"erp:*:", "er", NULL},
        {"erp:*:", "shop:1:x", NULL},
        {"erp:*:", "", NULL},
        {"erp:", "erp:x", "x"},
        {"erp:", "erp", NULL},
        {"*:", ":x", "x"},
        {"*:", "1:x", "x"},
        {"*x:", "axbx:r", "r"},
        {"*x:", "axb:x:r", NULL}, /* the run may not cross ':' */
        {"*a*b:", "1a2b:r", "r"},
        {"*a*b:", "1a2:b:r", NULL},
        {"*a*b", "aabb", "b"},
        {"*a:*b", "x:a:b", NULL},
        {"*a:*b", "xa:yb_", "_"},
        {"a**:", "a1:r", "r"},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        struct policy_space space = {.prefix = rows[i].prefix};
        struct slice rest = SLICE("untouched");
        bool ok = policy_strip_prefix(&space, slice_of(rows[i].key), &rest);
        if (ok != (rows[i].rest != NULL) || !slice_is(rest, ok ? rows[i].rest : "untouched")) {
            fail_msg("%s on %s: %d \"%.*s\"", rows[i].prefix, rows[i].key, ok, (int)rest.len,
                     rest.ptr);
        }
    }
}

static void without_a_prefix_the_key_is_whole(void **state)
{
    struct policy_space space = {.prefix = NULL};
    struct slice rest;
    assert_true(policy_strip_prefix(&space, SLICE("a:b"), &rest));
    assert_true(slice_is(rest, "a:b"));
    assert_true(policy_strip_prefix(&space, (struct slice){0}, &rest));
    assert_int_equal(rest.len, 0);
}

static void only_spaces_that_follow_templates_are_followed(void **state)
{
    const struct policy *p = load_good(FOLLOWED "spaces:\n"
                                                "  a: { db: 0, memory: 8MB }\n"
                                                "  b: { db: 1, memory: 8MB, consistency: strict }\n"
                                                "  c: { db: 2, memory: 8MB, consistency: ttl }\n"
                                                "  http: { memory: 8MB }\n"
                                                "invalidate: { t: [\"x_{id}\"] }\n");
    assert_true(policy_space_followed(p, &p->spaces[0]));
    assert_true(policy_space_followed(p, &p->spaces[1]));
    assert_false(policy_space_followed(p, &p->spaces[2]));
    assert_false(policy_space_followed(p, &p->spaces[3]));
    policy_unload(&p);
    p = load_good(FOLLOWED "spaces: { a: { db: 0, memory: 8MB, consistency: follow } }\n");
    assert_false(policy_space_followed(p, &p->spaces[0]));
    policy_unload(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_are_stripped),
        cmocka_unit_test(without_a_prefix_the_key_is_whole),
        cmocka_unit_test(only_spaces_that_follow_templates_are_followed),
    };
    return run_group("prefix", tests, array_len(tests));
}
