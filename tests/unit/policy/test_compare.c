/* SPDX-License-Identifier: BSD-3-Clause */
/* compare: what a reload may change, and which routes, templates and keys mean the same afterwards. */
#include "policy_test.h"

struct pair {
    const char *name;
    const char *old;
    const char *new;
    const char *restart; /* what policy_needs_restart() names; NULL: nothing */
};

static const struct pair pairs[] = {
    {"the_same_file", LISTEN, LISTEN, NULL},
    {"a_comment", LISTEN, "# hello\n" LISTEN, NULL},
    {"another_address", LISTEN, "listen: { resp: \"127.0.0.1:6381\" }\n", "listen"},
    {"one_address_more", LISTEN, "listen: { resp: [\"127.0.0.1:6380\", \"127.0.0.1:6381\"] }\n",
     "listen"},
    {"another_face", LISTEN, "listen: { http: \"127.0.0.1:6380\" }\n", "listen"},
    {"workers_and_memory", LISTEN, LISTEN "workers: 3\nmemory: 77MB\n", "memory, "},
    {"a_space_more", LISTEN "spaces: { a: { db: 1, memory: 8MB } }\n",
     LISTEN "spaces: { a: { db: 1, memory: 4MB }, b: { db: 2, memory: 4MB } }\n", "spaces"},
    {"a_space_with_another_ttl", LISTEN "spaces: { a: { db: 1, memory: 8MB } }\n",
     LISTEN "spaces: { a: { db: 1, memory: 8MB, ttl: 5s } }\n", NULL},
    {"a_larger_request", LISTEN, LISTEN "limits: { bulk: 1MB }\n", "limits"},
    {"more_connections", LISTEN, LISTEN "limits: { connections: 77 }\n", NULL},
    {"debug", LISTEN, LISTEN "debug: true\n", NULL},
    {"a_password", LISTEN, LISTEN "auth: { password: x }\n", NULL},
    {"another_database", FOLLOWED,
     "listen: { resp: \"127.0.0.1:6380\" }\ndatabase: { dsn: \"postgresql:///other\" }\n",
     "database"},
    {"the_first_database", LISTEN, FOLLOWED, "database"},
};

static void restart_is_needed(void **state)
{
    const struct pair *pair = *state;
    const struct policy *old = load_text(pair->old);
    const struct policy *new = load_text(pair->new);
    assert_non_null(old);
    assert_non_null(new);
    struct buf keys;
    buf_init(&keys);
    assert_int_equal(policy_needs_restart(old, new, &keys), pair->restart != NULL);
    buf_append_char(&keys, '\0');
    const char *expected = pair->restart != NULL ? pair->restart : "";
    assert_int_equal(strncmp(buf_readable(&keys).ptr, expected, strlen(expected)), 0);
    buf_fini(&keys);
    policy_unload(&old);
    policy_unload(&new);
}

#define ROUTED(more) DATABASE "routes:\n- { match: GET /a, sql: select :x " more " }\n"

static uint64_t identity(const char *text)
{
    const struct policy *p = load_text(text);
    assert_non_null(p);
    uint64_t id = p->routes[0].identity;
    policy_unload(&p);
    return id;
}

static void a_route_is_another_when_its_answers_are(void **state)
{
    uint64_t id = identity(ROUTED(""));
    assert_int_equal(id, identity("# moved\n" ROUTED("")));
    assert_int_equal(id, identity(ROUTED(", timeout: 3s")));
    assert_int_not_equal(id, identity(ROUTED(", fresh: 3s")));
    assert_int_not_equal(id, identity(ROUTED(", answer: object")));
    assert_int_not_equal(id, identity(ROUTED(", consistency: strict")));
    assert_int_not_equal(id, identity(ROUTED(", params: { x: 1 }")));
    assert_int_not_equal(identity(ROUTED(", params: { x: 1 }")),
                         identity(ROUTED(", params: { x: null }")));
    assert_int_not_equal(
        id, identity(DATABASE "routes:\n- { match: GET /a, sql: \"select :x + 1\" }\n"));
    assert_int_not_equal(id, identity(DATABASE "routes:\n- { match: GET /b, sql: select :x }\n"));
}

static void a_template_is_its_text_on_its_table(void **state)
{
    const struct policy *a = load_text(FOLLOWED "invalidate: { t: [\"k_{x}\"], u: [\"l_{x}\"] }\n");
    const struct policy *b =
        load_text(FOLLOWED "invalidate: { u: [\"k_{x}\", \"l_{x}\"], t: [\"m_{x}\"] }\n");
    assert_non_null(a);
    assert_non_null(b);
    for (uint32_t i = 0; i < b->template_count; i++) {
        bool known = strcmp(b->templates[i].text, "l_{x}") == 0;
        assert_int_equal(policy_has_template(a, &b->templates[i]), known);
    }
    struct buf change;
    buf_init(&change);
    policy_describe_change(a, b, &change);
    assert_true(buf_len(&change) > 0);
    const char expected[] = "0 routes (0 new or changed, 0 gone), 3 key templates (2 new, 1 gone)";
    assert_int_equal(buf_len(&change), strlen(expected));
    assert_memory_equal(buf_readable(&change).ptr, expected, strlen(expected));
    buf_fini(&change);
    policy_unload(&a);
    policy_unload(&b);
}

static const struct policy_space *space_in(const struct policy *p)
{
    assert_non_null(p);
    return &p->spaces[0];
}

static void a_prefix_changes_what_keys_mean(void **state)
{
    const struct policy *plain = load_text(FOLLOWED "spaces: { a: { db: 0, memory: 8MB } }\n");
    const struct policy *strict =
        load_text(FOLLOWED "spaces: { a: { db: 0, memory: 8MB, consistency: strict } }\n");
    const struct policy *follow =
        load_text(FOLLOWED "spaces: { a: { db: 0, memory: 8MB, consistency: follow } }\n");
    const struct policy *prefixed = load_text(
        FOLLOWED "spaces: { a: { db: 0, memory: 8MB, consistency: follow, prefix: \"p:\" } }\n");
    assert_true(policy_space_same_keys(space_in(strict), space_in(follow)));
    assert_false(policy_space_same_keys(space_in(follow), space_in(prefixed)));
    assert_true(policy_space_same_keys(space_in(prefixed), space_in(prefixed)));
    assert_non_null(plain);
    policy_unload(&plain);
    policy_unload(&strict);
    policy_unload(&follow);
    policy_unload(&prefixed);
}

static void references_are_counted(void **state)
{
    const struct policy *p = load_text(LISTEN);
    const struct policy *again = policy_share(p);
    assert_ptr_equal(again, p);
    policy_unload(&p);
    assert_null(p);
    assert_int_equal(again->listen.resp_count, 1); /* still there: the sanitizers would object */
    policy_unload(&again);
    policy_unload(&again); /* nothing */
}

int main(void)
{
    hash_setup_seed(7);
    struct CMUnitTest tests[array_len(pairs) + 4];
    for (size_t i = 0; i < array_len(pairs); i++) {
        tests[i] = (struct CMUnitTest){.name = pairs[i].name,
                                       .test_func = restart_is_needed,
                                       .initial_state = (void *)(uintptr_t)&pairs[i]};
    }
    struct CMUnitTest *last = &tests[array_len(pairs)];
    last[0] = (struct CMUnitTest)cmocka_unit_test(a_route_is_another_when_its_answers_are);
    last[1] = (struct CMUnitTest)cmocka_unit_test(a_template_is_its_text_on_its_table);
    last[2] = (struct CMUnitTest)cmocka_unit_test(a_prefix_changes_what_keys_mean);
    last[3] = (struct CMUnitTest)cmocka_unit_test(references_are_counted);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
