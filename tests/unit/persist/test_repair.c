/* SPDX-License-Identifier: BSD-3-Clause */
/* check, repair and show: they agree on what is wrong, and nothing is thrown away. */
#include "persist_test.h"

#include "persist/dir.h"
#include "persist/group.h"
#include "persist/persist.h"

static void add_group(struct buf *file, uint64_t nonce, const char *commands)
{
    struct buf group;
    buf_init(&group);
    buf_append_str(&group, commands);
    group_put_proof(&group, nonce, buf_len(file));
    buf_append_slice(file, buf_readable(&group));
    buf_fini(&group);
}

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define SET_B "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n"
#define MARK  "*2\r\n$11\r\nFRESHET.LOG\r\n$8\r\nCOMPLETE\r\n"

#define ENDED "*2\r\n$11\r\nFRESHET.LOG\r\n$5\r\nENDED\r\n"

/* A directory with log-1 (a rewrite when told) and log-2; `ret_first`, `ret_second`: their bytes. */
static char *make_log(bool is_rewrite, struct buf *ret_first, struct buf *ret_second)
{
    char *place = place_make();
    struct log_dir d;
    char *why = NULL;
    uint64_t files[2];
    buf_init(ret_first);
    buf_init(ret_second);
    group_put_header(ret_first, 1, is_rewrite);
    add_group(ret_first, 1, SET_A);
    if (is_rewrite) {
        add_group(ret_first, 1, MARK);
    }
    add_group(ret_first, 1, SET_B);
    add_group(ret_first, 1, ENDED);
    group_put_header(ret_second, 2, true);
    add_group(ret_second, 2, SET_A);
    assert_true(log_dir_open(&d, place, LOG_DIR_OWN, &why));
    for (int i = 0; i < 2; i++) {
        int fd = log_dir_create(&d, &files[i]);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    file_write(place, "log-1.resp", buf_readable(ret_first));
    file_write(place, "log-2.resp", buf_readable(ret_second));
    assert_true(log_dir_commit(&d, files, 2));
    log_dir_close(&d);
    return place;
}

static bool check_says(const char *place, const char *words)
{
    struct buf out;
    buf_init(&out);
    bool ok = persist_check_dir(place, &out);
    buf_append_char(&out, '\0');
    if (strstr(buf_readable(&out).ptr, words) == NULL) {
        fail_msg("check said: %s", buf_readable(&out).ptr);
    }
    buf_fini(&out);
    return ok;
}

static bool repair_says(const char *place, const char *words)
{
    struct buf out;
    buf_init(&out);
    bool ok = persist_repair_dir(place, &out);
    buf_append_char(&out, '\0');
    if (strstr(buf_readable(&out).ptr, words) == NULL) {
        fail_msg("repair said: %s", buf_readable(&out).ptr);
    }
    buf_fini(&out);
    return ok;
}

static void a_whole_log_is_left_alone(void **state)
{
    struct buf first;
    struct buf second;
    struct buf now;
    char *place = make_log(false, &first, &second);
    buf_init(&now);
    assert_true(check_says(place, "log-1.resp: "));
    assert_true(check_says(place, "2 commands: whole"));
    assert_true(repair_says(place, "nothing was cut"));
    file_read(place, "log-1.resp", &now);
    assert_true(slice_eq(buf_readable(&now), buf_readable(&first)));
    buf_fini(&now);
    buf_fini(&first);
    buf_fini(&second);
    place_remove(place);
}

static void damage_is_cut_and_kept(void **state)
{
    struct buf first;
    struct buf second;
    struct buf now;
    char *place = make_log(false, &first, &second);
    const char *at = memmem(buf_readable(&first).ptr, buf_len(&first), SET_B, sizeof(SET_B) - 1);
    size_t offset = (size_t)(at - buf_readable(&first).ptr);
    char words[64];
    buf_init(&now);
    first.mem[first.start + offset + 21] ^= 1;
    file_write(place, "log-1.resp", buf_readable(&first));
    (void)snprintf(words, sizeof(words), "DAMAGED at byte %zu", offset);
    assert_false(check_says(place, words));
    (void)snprintf(words, sizeof(words), "cut at byte %zu", offset);
    assert_true(repair_says(place, words));
    assert_true(check_says(place, "1 commands: whole"));
    file_read(place, "log-1.resp", &now);
    assert_int_equal(buf_len(&now), offset);
    file_read(place, "log-1.resp.kept-1", &now);
    assert_true(slice_eq(buf_readable(&now), buf_readable(&first)));
    file_read(place, "log-2.resp.kept-1", &now); /* what came behind speaks of an unknown state */
    assert_true(slice_eq(buf_readable(&now), buf_readable(&second)));
    buf_fini(&now);
    buf_fini(&first);
    buf_fini(&second);
    place_remove(place);
}

static void a_rewrite_cut_before_its_mark_gets_one(void **state)
{
    struct buf first;
    struct buf second;
    char *place = make_log(true, &first, &second);
    const char *at = memmem(buf_readable(&first).ptr, buf_len(&first), MARK, sizeof(MARK) - 1);
    first.mem[(size_t)(at - first.mem) + 3] ^= 1;
    file_write(place, "log-1.resp", buf_readable(&first));
    assert_false(check_says(place, "DAMAGED"));
    assert_true(repair_says(place, "keys that it had not come to are lost"));
    assert_true(check_says(place, "from a rewrite: whole"));
    buf_fini(&first);
    buf_fini(&second);
    place_remove(place);
}

static void a_torn_end_is_no_damage(void **state)
{
    struct buf first;
    struct buf second;
    char *place = make_log(false, &first, &second);
    file_write(place, "log-2.resp",
               (struct slice){buf_readable(&second).ptr, buf_len(&second) - 2});
    assert_true(check_says(place, "were never acknowledged"));
    file_write(place, "log-1.resp", (struct slice){buf_readable(&first).ptr, buf_len(&first) - 2});
    assert_false(check_says(place, "DAMAGED"));
    buf_fini(&first);
    buf_fini(&second);
    place_remove(place);
}

static void a_log_without_a_header_is_begun_anew(void **state)
{
    struct buf first;
    struct buf second;
    char *place = make_log(false, &first, &second);
    first.mem[first.start + 8] ^= 1;
    file_write(place, "log-1.resp", buf_readable(&first));
    assert_true(repair_says(place, "begins with none"));
    assert_true(check_says(place, "no log"));
    buf_fini(&first);
    buf_fini(&second);
    place_remove(place);
}

static void append(struct buf *out)
{
    assert_true(buf_len(out) > 0);
}

static void a_later_versions_file_is_left_alone(void **state)
{
    struct buf first;
    struct buf second;
    struct buf now;
    char *place = make_log(false, &first, &second);
    char *version = memmem(first.mem, first.end, "BEGIN\r\n$1\r\n1", 12);
    version[11] = '2';
    buf_init(&now);
    file_write(place, "log-1.resp", buf_readable(&first));
    assert_false(check_says(place, "log-1.resp: it is the log of a later freshet"));
    assert_false(repair_says(place, "log-1.resp: it is the log of a later freshet"));
    file_read(place, "log-1.resp", &now);
    assert_true(slice_eq(buf_readable(&now), buf_readable(&first)));
    assert_false(check_says(place, "later freshet")); /* the manifest still names it */
    buf_fini(&now);
    buf_fini(&first);
    buf_fini(&second);
    place_remove(place);
}

static void show_prints_what_any_redis_understands(void **state)
{
    struct buf first;
    struct buf second;
    struct buf out;
    char *place = make_log(true, &first, &second);
    buf_init(&out);
    assert_true(persist_show_dir(place, &out, append));
    assert_true(slice_is(buf_readable(&out), SET_A SET_B SET_A));
    buf_fini(&out);
    buf_fini(&first);
    buf_fini(&second);
    place_remove(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_log_is_left_alone),
        cmocka_unit_test(damage_is_cut_and_kept),
        cmocka_unit_test(a_rewrite_cut_before_its_mark_gets_one),
        cmocka_unit_test(a_torn_end_is_no_damage),
        cmocka_unit_test(a_log_without_a_header_is_begun_anew),
        cmocka_unit_test(a_later_versions_file_is_left_alone),
        cmocka_unit_test(show_prints_what_any_redis_understands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
