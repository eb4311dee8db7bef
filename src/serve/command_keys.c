/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the keys of a command are among its arguments; command_keys.h says how that is told.
 */
#include "serve/command_keys.h"

#include "base/check.h"
#include "base/number.h"

#include <string.h>

enum how { BY_COUNT, BEHIND_STREAMS, BEHIND_STORE };

/* Beside the places of command.def. */
static const struct movable {
    const char *name;
    enum how how;
    uint32_t at; /* BY_COUNT: argument that says how many keys follow it */
} movables[] = {
    {"zunion", BY_COUNT, 1},      {"zinter", BY_COUNT, 1},      {"zdiff", BY_COUNT, 1},
    {"zintercard", BY_COUNT, 1},  {"sintercard", BY_COUNT, 1},  {"zmpop", BY_COUNT, 1},
    {"lmpop", BY_COUNT, 1},       {"bzmpop", BY_COUNT, 2},      {"blmpop", BY_COUNT, 2},
    {"zunionstore", BY_COUNT, 2}, {"zinterstore", BY_COUNT, 2}, {"zdiffstore", BY_COUNT, 2},
    {"eval", BY_COUNT, 2},        {"evalsha", BY_COUNT, 2},     {"eval_ro", BY_COUNT, 2},
    {"evalsha_ro", BY_COUNT, 2},  {"xread", BEHIND_STREAMS, 0}, {"sort", BEHIND_STORE, 0},
};

static const struct movable *find_movable(const struct command *cmd)
{
    for (size_t i = 0; i < array_len(movables); i++) {
        if (cmd->parent == NULL && strcmp(cmd->name, movables[i].name) == 0) {
            return &movables[i];
        }
    }
    return NULL;
}

bool command_has_keys(const struct command *cmd)
{
    return cmd->first_key > 0 || find_movable(cmd) != NULL;
}

static void add_run(struct command_keys *k, uint32_t first, uint32_t count, uint32_t step)
{
    check(k->run_count < array_len(k->runs));
    if (count > 0) {
        k->runs[k->run_count].first = first;
        k->runs[k->run_count].count = count;
        k->runs[k->run_count].step = step;
        k->run_count++;
    }
}

static bool add_counted(struct command_keys *k, const struct movable *m, const struct slice *argv,
                        uint32_t argc)
{
    int64_t count;
    bool may_be_none = strncmp(m->name, "eval", 4) == 0;
    if (m->at >= argc || !number_parse_i64(argv[m->at], &count) ||
        count > (int64_t)argc - m->at - 1 || (count < 1 && !may_be_none)) {
        return false;
    }
    add_run(k, m->at + 1, count > 0 ? (uint32_t)count : 0, 1);
    return true;
}

/* XREAD [COUNT n] [BLOCK ms] STREAMS key... id... */
static bool add_streams(struct command_keys *k, const struct slice *argv, uint32_t argc)
{
    for (uint32_t i = 1; i + 1 < argc; i++) {
        if (slice_is_nocase(argv[i], "streams")) {
            add_run(k, i + 1, (argc - i - 1) / 2, 1);
            return true;
        }
    }
    return false;
}

/* SORT key ... [STORE to]; the last one counts. */
static void add_store(struct command_keys *k, const struct slice *argv, uint32_t argc)
{
    uint32_t at = 0;
    for (uint32_t i = 2; i + 1 < argc; i++) {
        if (slice_is_nocase(argv[i], "limit")) {
            i += 2;
        } else if (slice_is_nocase(argv[i], "by") || slice_is_nocase(argv[i], "get")) {
            i++;
        } else if (slice_is_nocase(argv[i], "store")) {
            at = ++i;
        }
    }
    add_run(k, at, at > 0 ? 1 : 0, 1);
}

bool command_keys_find(const struct command *cmd, const struct slice *argv, uint32_t argc,
                       struct command_keys *ret_keys)
{
    struct command_keys k = {.run_count = 0};
    if (cmd->first_key > 0) {
        uint32_t first = (uint32_t)cmd->first_key;
        uint32_t last =
            cmd->last_key < 0 ? argc - (uint32_t)-cmd->last_key : (uint32_t)cmd->last_key;
        add_run(&k, first, (last - first) / (uint32_t)cmd->key_step + 1, (uint32_t)cmd->key_step);
    }
    const struct movable *m = find_movable(cmd);
    bool found = true;
    if (m != NULL && m->how == BY_COUNT) {
        found = add_counted(&k, m, argv, argc);
    } else if (m != NULL && m->how == BEHIND_STREAMS) {
        found = add_streams(&k, argv, argc);
    } else if (m != NULL) {
        add_store(&k, argv, argc);
    }
    *ret_keys = k;
    return found;
}
