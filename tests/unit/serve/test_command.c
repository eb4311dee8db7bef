/* SPDX-License-Identifier: BSD-3-Clause */
/* The command table: found by name in any letter case, and true to itself. */
#include "serve/command.h"

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
        cmocka_unit_test(arity_counts_the_name),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
