/* SPDX-License-Identifier: BSD-3-Clause */
/* load: files to policies; the defaults; the examples that are shipped; what is said of `database`.
 */
#include "policy_test.h"

#include <unistd.h>

static const struct wrong wrongs[] = {
    {"database_is_text", LISTEN "database: postgresql:///shop\n",
     "2:11: database: a single value stands here; write a map `key: value`"},
    {"database_without_dsn", LISTEN "database: { pool: 3 }\n",
     "2:11: database: no `dsn`; write dsn: \"postgresql:///shop\""},
    {"dsn_is_empty", LISTEN "database: { dsn: \"\" }\n",
     "2:18: database.dsn: nothing stands here; write text"},
    {"dsn_is_a_name", LISTEN "database: { dsn: shop }\n",
     "2:18: database.dsn: neither postgresql://host/database nor key=value pairs; for a local "
     "database called shop write postgresql:///shop"},
    {"replication_dsn_is_a_name", LISTEN "database: { dsn: a=b, replication_dsn: shop }\n",
     "2:40: database.replication_dsn: neither postgresql://host/database nor key=value pairs; for "
     "a local database called shop write postgresql:///shop"},
    {"marks_no_power_of_two", LISTEN "database: { dsn: a=b, marks: 1000000 }\n",
     "2:30: database.marks: 1000000 is no power of two; write 1048576 or another one"},
    {"too_few_marks", LISTEN "database: { dsn: a=b, marks: 512 }\n",
     "2:30: database.marks: `512` is out of range; write 1024 to 268435456"},
    {"pool_is_empty", LISTEN "database: { dsn: a=b, pool: 0 }\n",
     "2:29: database.pool: `0` is out of range; write 1 to 1000"},
    {"max_stale_too_short", LISTEN "database: { dsn: a=b, max_stale: 1ms }\n",
     "2:34: database.max_stale: `1ms` is out of range; write 50ms to 10m"},
};

static void a_file_with_only_listen_has_every_default(void **state)
{
    const struct policy *p = load_good(LISTEN);
    assert_string_equal(p->file, "t.yaml");
    assert_null(p->database.dsn);
    assert_null(p->database.replication_dsn);
    assert_string_equal(p->database.publication, "freshet");
    assert_int_equal(p->database.pool, 8);
    assert_int_equal(p->database.max_stale_ms, 500);
    assert_int_equal(p->database.statement_timeout_ms, 10000);
    assert_int_equal(p->database.marks, 1 << 20);
    assert_int_equal(p->limits.bulk_max, 64 << 20);
    assert_int_equal(p->limits.pipeline_max, 32 << 20);
    assert_int_equal(p->limits.http_head_max, 16 << 10);
    assert_int_equal(p->limits.http_body_max, 8 << 20);
    assert_int_equal(p->limits.http_idle_ms, 75000);
    assert_int_equal(p->limits.http_head_ms, 10000);
    assert_int_equal(p->limits.http_body_rate, 1024);
    assert_int_equal(p->limits.http_body_ms, 600000);
    assert_int_equal(p->limits.connections, 10000);
    assert_true(p->workers >= 1);
    assert_false(p->debug);
    assert_int_equal(p->log.level, LOG_INFO);
    assert_int_equal(p->template_count, 0);
    assert_int_equal(p->route_count, 0);
    assert_null(p->auth.password);
    policy_unload(&p);
    assert_null(p);
}

static void what_is_stated_is_taken(void **state)
{
    const struct policy *p = load_good(
        LISTEN
        "database:\n"
        "  dsn: host=/tmp dbname=shop\n"
        "  replication_dsn: postgres://u@h/d\n"
        "  publication: mine\n"
        "  pool: 3\n"
        "  max_stale: 2s\n"
        "  statement_timeout: 1m\n"
        "  marks: 4096\n"
        "limits: { bulk: 1MB, pipeline: 2MB, http_head: 3KB, http_body: 0, http_idle: 5s,\n"
        "          http_head_time: 6s, http_body_rate: 9KB, http_body_time: 8s, connections: 7 }\n"
        "workers: 3\n"
        "debug: true\n"
        "log: trace\n");
    assert_string_equal(p->database.dsn, "host=/tmp dbname=shop");
    assert_string_equal(p->database.replication_dsn, "postgres://u@h/d");
    assert_string_equal(p->database.publication, "mine");
    assert_int_equal(p->database.pool, 3);
    assert_int_equal(p->database.max_stale_ms, 2000);
    assert_int_equal(p->database.statement_timeout_ms, 60000);
    assert_int_equal(p->database.marks, 4096);
    assert_int_equal(p->limits.bulk_max, 1 << 20);
    assert_int_equal(p->limits.pipeline_max, 2 << 20);
    assert_int_equal(p->limits.http_head_max, 3 << 10);
    assert_int_equal(p->limits.http_body_max, 0);
    assert_int_equal(p->limits.http_idle_ms, 5000);
    assert_int_equal(p->limits.http_head_ms, 6000);
    assert_int_equal(p->limits.http_body_rate, 9216);
    assert_int_equal(p->limits.http_body_ms, 8000);
    assert_int_equal(p->limits.connections, 7);
    assert_int_equal(p->workers, 3);
    assert_true(p->debug);
    assert_int_equal(p->log.level, LOG_TRACE);
    policy_unload(&p);
}

static const struct policy *load_file(const char *file)
{
    struct buf complaints;
    buf_init(&complaints);
    const struct policy *p = policy_load(file, &complaints);
    buf_append_char(&complaints, '\0');
    (void)snprintf(said, sizeof(said), "%s", buf_readable(&complaints).ptr);
    buf_fini(&complaints);
    return p;
}

static void the_shipped_examples_are_valid(void **state)
{
    static const char *const files[] = {"conf/minimal.yaml", "conf/full.yaml",
                                        "examples/shop/freshet.yaml"};
    assert_int_equal(setenv("FRESHET_PASSWORD", "x", 1), 0);
    for (size_t i = 0; i < array_len(files); i++) {
        char path[1024];
        (void)snprintf(path, sizeof(path), SOURCE_ROOT "/%s", files[i]);
        const struct policy *p = load_file(path);
        assert_string_equal(said, "");
        assert_non_null(p);
        policy_unload(&p);
    }
}

static void files_that_cannot_be_read_are_refused(void **state)
{
    assert_null(load_file("/nowhere/shop.yaml"));
    assert_string_equal(said, "/nowhere/shop.yaml: cannot be read: No such file or directory; give "
                              "the path of a policy file that this user may read\n");
    assert_null(load_file("/tmp"));
    assert_string_equal(said, "/tmp: is a directory; give the path of a policy file that this "
                              "user may read\n");
    assert_null(load_file("/dev/zero"));
    assert_string_equal(said, "/dev/zero: is not a regular file; give the path of a policy file "
                              "that this user may read\n");
}

static void huge_files_are_refused_unread(void **state)
{
    char file[] = "/tmp/freshet_huge_XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)POLICY_FILE_MAX + 1), 0);
    (void)close(fd);
    assert_null(load_file(file));
    assert_int_equal(unlink(file), 0);
    assert_non_null(strstr(said, ": is larger than 1MB; "));
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(a_file_with_only_listen_has_every_default),
        cmocka_unit_test(what_is_stated_is_taken),
        cmocka_unit_test(the_shipped_examples_are_valid),
        cmocka_unit_test(files_that_cannot_be_read_are_refused),
        cmocka_unit_test(huge_files_are_refused_unread),
    };
    struct CMUnitTest tests[array_len(wrongs) + array_len(others)];
    size_t count = add_wrongs(tests, 0, wrongs, array_len(wrongs), wrong_is_refused);
    count = add_tests(tests, count, others, array_len(others));
    return run_group("load", tests, count);
}
