/* SPDX-License-Identifier: BSD-3-Clause */
/* text: files read whole, text checked, words compared. */
#include "policy_test.h"

#include "policy/text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void distance_counts_edits(void **state)
{
    assert_int_equal(policy_text_distance("", ""), 0);
    assert_int_equal(policy_text_distance("memory", "memory"), 0);
    assert_int_equal(policy_text_distance("memroy", "memory"), 1); /* a swap is one slip */
    assert_int_equal(policy_text_distance("fresch", "fresh"), 1);
    assert_int_equal(policy_text_distance("frsh", "fresh"), 1);
    assert_int_equal(policy_text_distance("frash", "fresh"), 1);
    assert_int_equal(policy_text_distance("", "abc"), 3);
    assert_int_equal(policy_text_distance("abc", ""), 3);
    assert_int_equal(policy_text_distance("kitten", "sitting"), 3);
    char longest[65];
    memset(longest, 'x', sizeof(longest));
    longest[63] = '\0';
    assert_int_equal(policy_text_distance(longest, longest), 0);
    longest[63] = 'x';
    longest[64] = '\0';
    assert_true(policy_text_distance(longest, longest) > 63);
}

static void only_utf8_without_control_characters_is_clean(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } rows[] = {
        {"plain\ttext\r\n", true},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9f", true},
        {"", true},
        {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", true},
        {"\xff\xfe", false},
        {"\xc3", false},
        {"\xc3(", false},
        {"\x80", false},
        {"\xc0\xaf", false},
        {"\xc1\xbf", false},
        {"\xe0\x80\xaf", false},
        {"\xed\xa0\x80", false},
        {"\xf0\x80\x80\xaf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xe2\x82", false},
        {"\xf0\x9f\x90", false},
        {"\xe2\x82(", false},
        {"\xf0\x9f\x90(", false},
        {"\x01", false},
        {"\x1b[0m", false},
        {"\x7f", false},
        {"\v", false},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        struct policy_spot bad;
        if (policy_text_is_clean(slice_of(rows[i].text), &bad) != rows[i].ok) {
            fail_msg("row %zu", i);
        }
    }
}

static void places_are_counted_in_characters(void **state)
{
    struct slice text = SLICE("a\n\xc3\xa9z\xff");
    struct policy_spot at;
    assert_false(policy_text_is_clean(text, &at));
    assert_int_equal(at.line, 2);
    assert_int_equal(at.column, 3);
}

static void names_are_ascii(void **state)
{
    assert_true(policy_text_is_name(SLICE("id")));
    assert_true(policy_text_is_name(SLICE("_Business_id2")));
    assert_false(policy_text_is_name(SLICE("")));
    assert_false(policy_text_is_name(SLICE("2id")));
    assert_false(policy_text_is_name(SLICE("a-b")));
    assert_false(policy_text_is_name(SLICE("\xc3\xa9")));
}

static void only_regular_files_of_bounded_size_are_read(void **state)
{
    char folder[] = "/tmp/freshet_text_XXXXXX";
    struct arena arena;
    struct slice text;
    const char *why = NULL;
    arena_init(&arena);
    assert_non_null(mkdtemp(folder));
    const char *file = arena_printf(&arena, "%s/file", folder);
    const char *fifo = arena_printf(&arena, "%s/fifo", folder);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "12345678", 8), 8);
    (void)close(fd);
    assert_int_equal(mkfifo(fifo, 0600), 0);

    assert_true(policy_text_read(&arena, file, 8, &text, &why));
    assert_true(slice_is(text, "12345678"));
    assert_int_equal(text.ptr[8], '\0');
    assert_false(policy_text_read(&arena, file, 7, &text, &why));
    assert_string_equal(why, "is larger than 7B");
    assert_false(
        policy_text_read(&arena, fifo, 8, &text, &why)); /* and does not wait for a writer */
    assert_string_equal(why, "is not a regular file");
    assert_false(policy_text_read(&arena, folder, 8, &text, &why));
    assert_string_equal(why, "is a directory");
    assert_int_equal(unlink(file), 0);
    assert_false(policy_text_read(&arena, file, 8, &text, &why));
    assert_string_equal(why, "cannot be read: No such file or directory");

    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(rmdir(folder), 0);
    arena_fini(&arena);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_counts_edits),
        cmocka_unit_test(only_utf8_without_control_characters_is_clean),
        cmocka_unit_test(places_are_counted_in_characters),
        cmocka_unit_test(names_are_ascii),
        cmocka_unit_test(only_regular_files_of_bounded_size_are_read),
    };
    return run_group("text", tests, array_len(tests));
}
