/* SPDX-License-Identifier: BSD-3-Clause */
/* load_users: `users` as a map and as a list, their passwords and words, and who may come from elsewhere. */
#include "policy_test.h"

#define REMOTE      "listen: { resp: \"0.0.0.0:6380\" }\n"
#define SECRET_HASH "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

static const struct wrong wrongs[] = {
    {"users_is_text", LISTEN "users: ana\n",
     "2:8: users: a single value stands here; write a map `key: value`"},
    {"unknown_key", LISTEN "users: { ana: { pasword: x, rules: off } }\n",
     "2:17: users.ana.pasword: unknown key; did you mean `password`?"},
    {"no_name_in_a_list", LISTEN "users: [ { password: x } ]\n",
     "2:10: users[0]: no `name`; write name: reader"},
    {"two_names", LISTEN "users: { ana: { name: eve, password: x } }\n",
     "2:23: users.ana.name: the name of this user is its key, `ana`; remove it"},
    {"same_name_twice",
     LISTEN "users:\n- { name: ana, password: x }\n- { name: ana, password: y }\n",
     "4:11: users[1]: a second user of this name; remove one"},
    {"name_with_space", LISTEN "users: { \"a b\": { password: x } }\n",
     "2:10: users.a b: a user's name has no white space; choose another"},
    {"two_passwords", LISTEN "users: { ana: { password: x, password_sha256: " SECRET_HASH " } }\n",
     "2:47: users.ana.password_sha256: a second way to say the password; keep one"},
    {"no_hash", LISTEN "users: { ana: { password_sha256: 12ab } }\n",
     "2:34: users.ana.password_sha256: no SHA-256: it has 64 digits, 0-9 and a-f; `printf %s "
     "secret "
     "| sha256sum` tells it"},
    {"default_with_password", LISTEN "users: { default: { password: x } }\n",
     "2:19: users.default: the password of the default user stands in `auth`; move it there"},
    {"rules_are_a_map", LISTEN "users: { ana: { password: x, rules: { a: b } } }\n",
     "2:37: users.ana.rules: a map stands here; write words such as +@read ~cache:*"},
    {"remote_without_secret", REMOTE "users: { ana: { rules: \"on nopass\" } }\n",
     "1:17: listen.resp: reachable from other machines without a password; add `auth: { "
     "password_file: <path> }`, or a password to one of `users`, or listen on 127.0.0.1"},
    {"remote_with_open_default",
     REMOTE "users: { ana: { password: x }, default: { rules: nopass } }\n",
     "1:17: listen.resp: reachable from other machines without a password; add `auth: { "
     "password_file: <path> }`, or a password to one of `users`, or listen on 127.0.0.1"},
};

static const struct wrong warnings[] = {
    {"nobody_can_be_it", LISTEN "users: { ana: { rules: \"+@all\" } }\n",
     "2:15: warning: users.ana: has no password, so nobody can be this user; write password_file: "
     "<path>, or `nopass` among the rules"},
};

static void map_and_list_say_the_same(void **state)
{
    static const char *const texts[] = {
        LISTEN "users:\n  ana: { password: secret, rules: \"+@read  ~a:*\" }\n",
        LISTEN "users:\n- { name: ana, password_sha256: " SECRET_HASH
               ", rules: [\"+@read\", \"~a:*\"] }\n",
    };
    for (size_t i = 0; i < array_len(texts); i++) {
        const struct policy *p = load_good(texts[i]);
        assert_int_equal(p->user_count, 1);
        const struct policy_user *u = &p->users[0];
        assert_string_equal(u->name, "ana");
        assert_string_equal(u->password_sha256, SECRET_HASH);
        assert_int_equal(u->rule_count, 2);
        assert_string_equal(u->rules[0].word, "+@read");
        assert_string_equal(u->rules[1].word, "~a:*");
        assert_int_equal(u->rules[1].line, 3);
        assert_false(p->default_is_off);
        policy_unload(&p);
    }
}

static void users_stand_in_for_auth_and_then_default_is_off(void **state)
{
    const struct policy *p = load_good(REMOTE "users: { ana: { password: x } }\n");
    assert_true(p->default_is_off);
    policy_unload(&p);
    p = load_good(REMOTE "auth: { password: y }\nusers: { ana: { password: x } }\n");
    assert_false(p->default_is_off);
    policy_unload(&p);
    assert_null(load_text("listen: { admin: \":1\" }\nusers: { ana: { password: x } }\n"));
    assert_non_null(strstr(said, "listen.admin: reachable from other machines"));
    assert_null(load_text(REMOTE "users: { ana: { password: x, rules: off } }\n"));
}

static void passwords_are_never_shown(void **state)
{
    assert_null(
        load_text(LISTEN "users: { ana: { password: hunter2, password_env: HOME, x: 1 } }\n"));
    assert_null(strstr(said, "hunter2"));
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(map_and_list_say_the_same),
        cmocka_unit_test(users_stand_in_for_auth_and_then_default_is_off),
        cmocka_unit_test(passwords_are_never_shown),
    };
    struct CMUnitTest tests[array_len(wrongs) + array_len(warnings) + array_len(others)];
    size_t count = add_wrongs(tests, 0, wrongs, array_len(wrongs), wrong_is_refused);
    count = add_wrongs(tests, count, warnings, array_len(warnings), wrong_is_warned_about);
    count = add_tests(tests, count, others, array_len(others));
    return run_group("load_users", tests, count);
}
