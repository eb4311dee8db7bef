/* SPDX-License-Identifier: BSD-3-Clause */
/* load_listen: addresses in all their forms, and the password that open doors need. */
#include "policy_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DB_AND_ROUTE                                                                               \
    "database: { dsn: \"a=b\" }\n"                                                                 \
    "routes: [ { match: GET /x, sql: select 1 } ]\n"

static const struct wrong wrongs[] = {
    {"no_listen", "log: info\n",
     "1:1: listen: no address to listen on; write listen: { resp: \"127.0.0.1:6380\" }"},
    {"empty_listen", "listen: {}\n",
     "1:9: listen: no address to listen on; write listen: { resp: \"127.0.0.1:6380\" }"},
    {"listen_is_text", "listen: \":6380\"\n",
     "1:9: listen: a single value stands here; write a map `key: value`"},
    {"listen_is_nothing", "listen:\n",
     "1:8: listen: nothing stands here; write a map `key: value`"},
    {"face_is_nothing", "listen: { resp: }\n",
     "1:17: listen.resp: nothing stands here; write an address such as \"127.0.0.1:6380\""},
    {"face_is_empty_list", "listen: { resp: [] }\n",
     "1:17: listen.resp: 0 addresses; write 1 to 16, or remove the key"},
    {"bare_port", "listen: { resp: 6380 }\n",
     "1:17: listen.resp: `6380` has no host; write \"127.0.0.1:6380\""},
    {"bad_address", "listen: { resp: \"127.0.0.1\" }\n",
     "1:17: listen.resp: `127.0.0.1` is no address; write host:port or unix:/path"},
    {"bad_port", "listen: { resp: \"127.0.0.1:99999\" }\n",
     "1:17: listen.resp: `127.0.0.1:99999` has no valid port; write a number from 0 to 65535 after "
     "the last colon"},
    {"bad_v6", "listen: { resp: \"[::zz]:80\" }\n",
     "1:17: listen.resp: `[::zz]:80` has no IPv6 address between the brackets"},
    {"relative_socket", "listen: { resp: \"unix:freshet.sock\" }\n",
     "1:17: listen.resp: `unix:freshet.sock` needs an absolute path after `unix:`, such as "
     "unix:/run/freshet.sock"},
    {"address_missing", "listen: { resp: [ { affinity: connection } ] }\n",
     "1:19: listen.resp[0]: no `address`; write address: \"host:port\""},
    {"address_in_list_is_list", "listen: { resp: [ [a] ] }\n",
     "1:19: listen.resp[0]: a list stands here; write an address such as \"127.0.0.1:6380\""},
    {"bad_affinity", "listen: { resp: { address: \"127.0.0.1:1\", affinity: conection } }\n",
     "1:53: listen.resp.affinity: `conection` is none of none/connection; did you mean "
     "`connection`?"},
    {"affinity_on_http",
     "listen: { http: { address: \":80\", affinity: connection } }\n" DB_AND_ROUTE,
     "1:45: listen.http.affinity: only `resp` has connections whose SETs answer misses; remove it"},
    {"affinity_on_admin", "listen: { admin: { address: \"127.0.0.1:1\", affinity: connection } }\n",
     "1:54: listen.admin.affinity: only `resp` has connections whose SETs answer misses; remove "
     "it"},
    {"one_address_twice", "listen: { resp: [\"127.0.0.1:1\", \"127.0.0.1:1\"] }\n",
     "1:9: listen: `127.0.0.1:1` is given twice; each address serves one face"},
    {"one_address_for_two_faces", "listen: { resp: \"127.0.0.1:1\", admin: \"127.0.0.1:1\" }\n",
     "1:9: listen: `127.0.0.1:1` is given twice; each address serves one face"},
    {"open_resp", "listen: { resp: \"0.0.0.0:6380\" }\n",
     "1:17: listen.resp: reachable from other machines without a password; add `auth: { "
     "password_file: <path> }`, or listen on 127.0.0.1"},
    {"open_resp_on_every_interface", "listen: { resp: \":6380\" }\n",
     "1:17: listen.resp: reachable from other machines without a password; add `auth: { "
     "password_file: <path> }`, or listen on 127.0.0.1"},
    {"open_resp_v6", "listen: { resp: \"[::]:6380\" }\n",
     "1:17: listen.resp: reachable from other machines without a password; add `auth: { "
     "password_file: <path> }`, or listen on 127.0.0.1"},
    {"open_resp_by_name", "listen: { resp: [\"127.0.0.1:1\", \"cache.shop.example:6380\"] }\n",
     "1:33: listen.resp[1]: reachable from other machines without a password; add `auth: { "
     "password_file: <path> }`, or listen on 127.0.0.1"},
    {"open_admin", "listen: { admin: { address: \"10.1.2.3:1\" } }\n",
     "1:29: listen.admin.address: reachable from other machines without a password; add `auth: { "
     "password_file: <path> }`, or listen on 127.0.0.1"},
    {"open_and_empty_auth", "listen: { resp: \":6380\" }\nauth: {}\n",
     "2:7: auth: no password; write `password_file: <path>`, or remove `auth`"},
    {"auth_is_text", LISTEN "auth: secret\n",
     "2:7: auth: a single value stands here; write a map `key: value`"},
    {"auth_is_empty", LISTEN "auth: { password: \"\" }\n",
     "2:19: auth.password: nothing stands here; write text"},
    {"two_passwords", LISTEN "auth: { password: a, password_env: HOME }\n",
     "2:36: auth.password_env: a second way to say the password; keep one"},
    {"password_file_missing", LISTEN "auth: { password_file: /nowhere/at/all }\n",
     "2:24: auth.password_file: `/nowhere/at/all` cannot be read: No such file or directory; name "
     "a "
     "file that the user who runs freshet can read, with the password on its first line"},
    {"password_file_is_folder", LISTEN "auth: { password_file: /tmp }\n",
     "2:24: auth.password_file: `/tmp` is a directory; name a file that the user who runs freshet "
     "can "
     "read, with the password on its first line"},
    {"password_env_not_set", LISTEN "auth: { password_env: FRESHET_TEST_NOT_SET }\n",
     "2:23: auth.password_env: the environment variable `FRESHET_TEST_NOT_SET` is not set; "
     "set it where freshet is started"},
    {"password_env_empty", LISTEN "auth: { password_env: FRESHET_TEST_EMPTY }\n",
     "2:23: auth.password_env: the environment variable `FRESHET_TEST_EMPTY` is empty; set it "
     "where freshet is started"},
};

static const struct wrong warnings[] = {
    {"http_without_routes", "listen: { http: \":8080\" }\n",
     "1:17: warning: listen.http: there are no `routes`: every request gets 404"},
};

static void one_address_many_forms(void **state)
{
    const struct policy *p =
        load_good("listen:\n"
                  "  resp:\n"
                  "    - \"127.0.0.1:6380\"\n"
                  "    - { address: \"unix:/run/freshet.sock\", affinity: connection }\n"
                  "    - { address: \"[::1]:0\", affinity: none }\n"
                  "    - \"127.0.0.1:0\"\n"
                  "    - \"127.0.0.1:0\"\n"
                  "  admin: { address: \"localhost:9180\" }\n");
    assert_int_equal(p->listen.resp_count, 5);
    assert_string_equal(p->listen.resp[0].text, "127.0.0.1:6380");
    assert_false(p->listen.resp[0].affinity_connection);
    assert_string_equal(p->listen.resp[1].text, "unix:/run/freshet.sock");
    assert_true(p->listen.resp[1].affinity_connection);
    assert_string_equal(p->listen.resp[2].text, "[::1]:0");
    assert_false(p->listen.resp[2].affinity_connection);
    assert_int_equal(p->listen.admin_count, 1);
    assert_string_equal(p->listen.admin[0].text, "localhost:9180");
    assert_int_equal(p->listen.http_count, 0);
    assert_null(p->auth.password);
    policy_unload(&p);
}

static void a_password_opens_the_doors(void **state)
{
    const struct policy *p =
        load_good("listen: { resp: \":6380\", admin: \":9180\" }\nauth: { password: 12 3 }\n");
    assert_string_equal(p->auth.password, "12 3");
    policy_unload(&p);
    assert_int_equal(setenv("FRESHET_TEST_PASSWORD", "from env", 1), 0);
    p = load_good("listen: { resp: \":6380\" }\nauth: { password_env: FRESHET_TEST_PASSWORD }\n");
    assert_string_equal(p->auth.password, "from env");
    policy_unload(&p);
}

/* Writes `content` with `mode`, loads a policy that names the file, and removes it. */
static const struct policy *with_password_file(const char *content, mode_t mode)
{
    char file[] = "/tmp/freshet_password_XXXXXX";
    char text[256];
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
    (void)snprintf(text, sizeof(text), LISTEN "auth: { password_file: %s }\n", file);
    const struct policy *p = load_text(text);
    assert_int_equal(unlink(file), 0);
    return p;
}

static void a_password_file_gives_its_first_line(void **state)
{
    const struct policy *p = with_password_file("s3cret\r\nnot this\n", 0600);
    assert_string_equal(said, "");
    assert_string_equal(p->auth.password, "s3cret");
    policy_unload(&p);
    p = with_password_file("s3cret", 0644);
    assert_non_null(strstr(said, "t.yaml:2:24: warning: auth.password_file: "));
    assert_non_null(strstr(said, " can be read by everybody; chmod o-r it\n"));
    policy_unload(&p);
    assert_null(with_password_file("\nsecond line\n", 0600));
    assert_non_null(strstr(said, " has no password on its first line\n"));
}

static void passwords_are_never_shown(void **state)
{
    assert_null(
        load_text(LISTEN "auth: { password: hunter2, password_env: HOME, pasword: hunter2 }\n"));
    assert_null(strstr(said, "hunter2"));
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(one_address_many_forms),
        cmocka_unit_test(a_password_opens_the_doors),
        cmocka_unit_test(a_password_file_gives_its_first_line),
        cmocka_unit_test(passwords_are_never_shown),
    };
    struct CMUnitTest tests[array_len(wrongs) + array_len(warnings) + array_len(others)];
    size_t count = add_wrongs(tests, 0, wrongs, array_len(wrongs), wrong_is_refused);
    count = add_wrongs(tests, count, warnings, array_len(warnings), wrong_is_warned_about);
    count = add_tests(tests, count, others, array_len(others));
    (void)setenv("FRESHET_TEST_EMPTY", "", 1);
    (void)unsetenv("FRESHET_TEST_NOT_SET");
    return run_group("load_listen", tests, count);
}
