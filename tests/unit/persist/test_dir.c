/* SPDX-License-Identifier: BSD-3-Clause */
/* The directory of the log: one owner, one manifest, nothing in between. */
#include "persist_test.h"

#include "persist/dir.h"

static struct log_dir own(const char *place)
{
    struct log_dir d;
    char *why = NULL;
    assert_true(log_dir_open(&d, place, LOG_DIR_OWN, &why));
    return d;
}

static uint64_t new_file(struct log_dir *d)
{
    uint64_t number;
    int fd = log_dir_create(d, &number);
    assert_true(fd >= 0);
    (void)close(fd);
    return number;
}

static void a_new_directory_is_an_empty_log(void **state)
{
    char *place = place_make();
    char *inner = xasprintf("%s/log", place);
    struct log_dir d = own(inner);
    assert_int_equal(d.count, 0);
    assert_int_equal(new_file(&d), 1);
    log_dir_close(&d);
    free(inner);
    place_remove(place);
}

static void a_second_owner_is_refused_and_told_of_the_first(void **state)
{
    char *place = place_make();
    char number[16];
    char *why = NULL;
    struct log_dir d = own(place);
    struct log_dir other;
    assert_false(log_dir_open(&other, place, LOG_DIR_OWN, &why));
    (void)snprintf(number, sizeof(number), "%d", getpid());
    assert_non_null(strstr(why, number));
    free(why);
    assert_true(log_dir_open(&other, place, LOG_DIR_LOOK, &why));
    log_dir_close(&other);
    log_dir_close(&d);
    d = own(place); /* the lock goes with its owner */
    log_dir_close(&d);
    place_remove(place);
}

static void the_manifest_is_read_as_it_was_written(void **state)
{
    char *place = place_make();
    struct log_dir d = own(place);
    uint64_t files[3] = {new_file(&d), new_file(&d), new_file(&d)};
    assert_true(log_dir_commit(&d, files, 3));
    log_dir_close(&d);
    d = own(place);
    assert_int_equal(d.count, 3);
    assert_memory_equal(d.files, files, sizeof(files));
    assert_int_equal(d.next, 4);
    assert_true(log_dir_commit(&d, &files[2], 1));
    log_dir_sweep(&d);
    assert_int_equal(new_file(&d), 4);
    log_dir_close(&d);
    d = own(place);
    assert_int_equal(d.count, 1);
    assert_int_equal(d.files[0], 3);
    log_dir_close(&d);
    place_remove(place);
}

static void a_changed_manifest_is_refused_at_every_byte(void **state)
{
    char *place = place_make();
    struct buf text;
    buf_init(&text);
    struct log_dir d = own(place);
    uint64_t files[2] = {new_file(&d), new_file(&d)};
    assert_true(log_dir_commit(&d, files, 2));
    log_dir_close(&d);
    file_read(place, "manifest", &text);
    for (size_t i = 0; i + 1 < buf_len(&text); i++) { /* the last line end may be anything */
        char *why = NULL;
        text.mem[text.start + i] ^= 1;
        file_write(place, "manifest", buf_readable(&text));
        text.mem[text.start + i] ^= 1;
        if (log_dir_open(&d, place, LOG_DIR_LOOK, &why)) {
            fail_msg("byte %zu of the manifest changed, and nobody noticed", i);
        }
        assert_non_null(strstr(why, "freshet log repair"));
        free(why);
    }
    buf_fini(&text);
    place_remove(place);
}

static void a_later_versions_log_is_refused_and_not_repaired(void **state)
{
    static const enum log_dir_mode modes[] = {LOG_DIR_LOOK, LOG_DIR_OWN, LOG_DIR_REPAIR};
    static const char later[] = "freshet log 2\nlog-1.resp of=another kind\n";
    char *place = place_make();
    struct buf text;
    buf_init(&text);
    file_write(place, "manifest", (struct slice){later, sizeof(later) - 1});
    for (size_t i = 0; i < array_len(modes); i++) {
        struct log_dir d;
        char *why = NULL;
        assert_false(log_dir_open(&d, place, modes[i], &why));
        assert_non_null(strstr(why, "a later freshet"));
        assert_null(strstr(why, "repair"));
        free(why);
    }
    file_read(place, "manifest", &text);
    assert_true(slice_is(buf_readable(&text), later));
    buf_fini(&text);
    place_remove(place);
}

static void a_lost_manifest_is_guessed_only_for_a_repair(void **state)
{
    static const char content[1024] = "not a header alone";
    char *place = place_make();
    char *why = NULL;
    struct log_dir d;
    file_write(place, "log-10.resp", (struct slice){content, sizeof(content)});
    file_write(place, "log-9.resp", (struct slice){content, sizeof(content)});
    file_write(place, "log-9.resp.kept-1", (struct slice){content, sizeof(content)});
    assert_false(log_dir_open(&d, place, LOG_DIR_OWN, &why));
    free(why);
    why = NULL;
    assert_true(log_dir_open(&d, place, LOG_DIR_REPAIR, &why));
    assert_int_equal(d.count, 2);
    assert_int_equal(d.files[0], 9);
    assert_int_equal(d.files[1], 10);
    assert_int_equal(d.next, 11);
    log_dir_close(&d);
    place_remove(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_directory_is_an_empty_log),
        cmocka_unit_test(a_second_owner_is_refused_and_told_of_the_first),
        cmocka_unit_test(the_manifest_is_read_as_it_was_written),
        cmocka_unit_test(a_changed_manifest_is_refused_at_every_byte),
        cmocka_unit_test(a_later_versions_log_is_refused_and_not_repaired),
        cmocka_unit_test(a_lost_manifest_is_guessed_only_for_a_repair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
