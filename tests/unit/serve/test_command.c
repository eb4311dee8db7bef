/* SPDX-License-Identifier: BSD-3-Clause */
/* The command table: found by name in any letter case, and true to itself. */
#include "serve/command_keys.h"

#include "base/check.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static int set_up(void **state)
{
    command_setup();
    command_setup(); /* once more does nothing */
    return 0;
}

static void every_command_is_found_by_its_name(void **state)
{
    assert_in_range(command_count(), 60, 400);
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        char upper[32] = "";
        for (size_t j = 0; cmd->name[j] != '\0'; j++) {
            upper[j] = (char)toupper((unsigned char)cmd->name[j]);
        }
        assert_ptr_equal(command_find(slice_of(cmd->name)), cmd);
        assert_ptr_equal(command_find(slice_of(upper)), cmd);
        assert_ptr_equal(command_find_full(slice_of(cmd->name)), cmd);
        for (uint32_t j = 0; j < cmd->sub_count; j++) {
            const struct command *sub = &cmd->subs[j];
            assert_ptr_equal(command_find_sub(cmd, slice_of(sub->name)), sub);
            assert_ptr_equal(command_find_full(slice_of(sub->full_name)), sub);
            assert_null(command_find(slice_of(sub->full_name)));
        }
    }
}

static void other_names_are_not(void **state)
{
    static const char *const names[] = {"",
                                        "ge",
                                        "gett",
                                        "get ",
                                        "g\x05t",
                                        "client|",
                                        "client|nosuch",
                                        "|",
                                        "nosuch|get",
                                        "a name that is longer than that of any command"};
    for (size_t i = 0; i < array_len(names); i++) {
        assert_null(command_find_full(slice_of(names[i])));
    }
    assert_null(command_find(SLICE("get\0")));
    assert_null(command_find((struct slice){NULL, 0}));
}

static void rows_are_consistent(void **state)
{
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        assert_int_not_equal(cmd->arity, 0);
        assert_true((cmd->flags & COMMAND_WRITE) == 0 || (cmd->flags & COMMAND_READONLY) == 0);
        assert_true((cmd->first_key == 0) == (cmd->key_step == 0));
        assert_true(strlen(cmd->summary) > 0);
        /* a command must have the arguments that its keys stand in */
        assert_true(cmd->last_key < abs(cmd->arity));
    }
}

/* The first key, and what the specifications say of it, are the same. */
static void key_specifications_agree_with_the_places(void **state)
{
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        if (cmd->key_spec_count == 0) {
            assert_int_equal(cmd->first_key, 0);
            continue;
        }
        const struct key_spec *s = &cmd->keys[0];
        assert_string_equal(s->command, cmd->full_name);
        assert_int_not_equal(s->flags & (KEY_RO | KEY_RW | KEY_OW | KEY_RM | KEY_NOT_KEY), 0);
        if (s->begin == KEY_AT && s->find == KEY_RANGE) {
            assert_int_equal(s->at, cmd->first_key);
            bool is_only = cmd->key_spec_count == 1;
            int last = s->last < 0 ? s->last : s->at + s->last;
            assert_true(!is_only || (last == cmd->last_key && s->step == cmd->key_step));
        }
    }
}

static uint32_t count_keys(const char *const *words, uint32_t argc, uint32_t ret_flags[2])
{
    struct slice argv[8];
    struct command_keys keys;
    uint32_t count = 0;
    for (uint32_t i = 0; i < argc; i++) {
        argv[i] = slice_of(words[i]);
    }
    const struct command *cmd = command_find(argv[0]);
    assert_non_null(cmd);
    if (!command_keys_find(cmd, argv, argc, &keys)) {
        return UINT32_MAX;
    }
    for (uint32_t r = 0; r < keys.run_count; r++) {
        count += keys.runs[r].count;
        ret_flags[r] = keys.runs[r].flags;
    }
    return count;
}

#define COUNT(flags, ...)                                                                          \
    count_keys((const char *const[]){__VA_ARGS__},                                                 \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), flags)

static void keys_are_found_with_what_happens_to_them(void **state)
{
    uint32_t flags[2];
    assert_int_equal(COUNT(flags, "set", "k", "v"), 1);
    assert_int_equal(flags[0], KEY_OW | KEY_UPDATE);
    assert_int_equal(COUNT(flags, "set", "k", "v", "GET"), 1);
    assert_int_equal(flags[0], KEY_RW | KEY_ACCESS | KEY_UPDATE);
    assert_int_equal(COUNT(flags, "zunionstore", "d", "2", "a", "b"), 3);
    assert_int_equal(flags[0], KEY_OW | KEY_UPDATE);
    assert_int_equal(flags[1], KEY_RO | KEY_ACCESS);
    assert_int_equal(COUNT(flags, "zunion", "3", "a", "b"), UINT32_MAX);
    assert_int_equal(COUNT(flags, "zunion", "9223372036854775807", "a"), UINT32_MAX);
    assert_int_equal(COUNT(flags, "xread", "streams", "a", "b", "0", "0"), 2);
    assert_int_equal(COUNT(flags, "xread", "count", "1", "a"), UINT32_MAX);
    assert_int_equal(COUNT(flags, "sunsubscribe"), 0);
    assert_int_equal(COUNT(flags, "spublish", "c", "m"), 0);
    assert_int_equal(COUNT(flags, "eval", "x", "0", "a"), 0);
    assert_int_equal(COUNT(flags, "sort", "a", "store", "b"), 2);
    assert_int_equal(flags[1], KEY_OW | KEY_UPDATE);
    assert_int_equal(COUNT(flags, "migrate", "h", "1", "", "0", "1", "keys", "a"), 1);
    assert_int_equal(COUNT(flags, "migrate", "h", "1", "k", "0", "1", "keys", "a"), UINT32_MAX);
}

static void arity_counts_the_name(void **state)
{
    const struct command *get = command_find(SLICE("get"));
    const struct command *set = command_find(SLICE("set"));
    assert_false(command_takes(get, 1));
    assert_true(command_takes(get, 2));
    assert_false(command_takes(get, 3));
    assert_false(command_takes(set, 2));
    assert_true(command_takes(set, 3));
    assert_true(command_takes(set, 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_found_by_its_name),
        cmocka_unit_test(other_names_are_not),
        cmocka_unit_test(rows_are_consistent),
        cmocka_unit_test(key_specifications_agree_with_the_places),
        cmocka_unit_test(keys_are_found_with_what_happens_to_them),
        cmocka_unit_test(arity_counts_the_name),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
