/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the keys of a command are among its arguments. The table is key_specs.def; a specification says where to
 * begin (at an argument, or behind a word) and how to go on (a range, or as many as an argument says).
 *
 * Three commands say it in ways that no specification can: SORT behind STORE, MIGRATE behind KEYS unless it has a
 * key, and SET, which reads if it has GET.
 *
 * Threads: none; the table is completed before they exist.
 */
#include "serve/command_keys.h"

#include "base/check.h"
#include "base/number.h"

#include <string.h>

#define AT(argument)       .begin = KEY_AT, .at = (argument)
#define BEHIND(text, from) .begin = KEY_BEHIND, .word = (text), .at = (from)
#define SOMEWHERE          .begin = KEY_SOMEWHERE
#define RANGE(l, s, m)     .find = KEY_RANGE, .last = (l), .step = (s), .limit = (m)
#define COUNTED(c, f, s)   .find = KEY_COUNTED, .count = (c), .first = (f), .step = (s)
#define UNKNOWN            .find = KEY_UNKNOWN

/* Those of one command follow one another. */
static struct key_spec specs[] = {
#define KEYS(name, told, ...) {.command = name, .words = told, __VA_ARGS__},
#include "serve/key_specs.def"
#undef KEYS
};

/* --- flags ------------------------------------------------------------------------------------ */

static const char *const flag_words[KEY_FLAG_WORDS] = {
    "RO",     "RW",     "OW",      "RM",         "access",         "update",
    "insert", "delete", "not_key", "incomplete", "variable_flags",
};

uint32_t key_flag_words(uint32_t flags, const char *ret_words[KEY_FLAG_WORDS])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEY_FLAG_WORDS; i++) {
        if ((flags >> i & 1) != 0) {
            ret_words[count++] = flag_words[i];
        }
    }
    return count;
}

static uint32_t flag_of(struct slice word)
{
    for (uint32_t i = 0; i < KEY_FLAG_WORDS; i++) {
        if (slice_is(word, flag_words[i])) {
            return 1U << i;
        }
    }
    unreachable();
}

static uint32_t parse_flags(const char *words)
{
    uint32_t flags = 0;
    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        flags |= flag_of((struct slice){words, len});
        words += words[len] == ' ' ? len + 1 : len;
    }
    return flags;
}

void command_keys_attach(struct command *cmd)
{
    for (size_t i = 0; i < array_len(specs); i++) {
        if (strcmp(specs[i].command, cmd->full_name) == 0) {
            specs[i].flags = parse_flags(specs[i].words);
            cmd->keys = cmd->key_spec_count == 0 ? &specs[i] : cmd->keys;
            cmd->key_spec_count++;
        }
    }
}

bool command_has_keys(const struct command *cmd)
{
    bool has = false;
    for (uint32_t i = 0; i < cmd->key_spec_count; i++) {
        has = has || (cmd->keys[i].flags & KEY_NOT_KEY) == 0;
    }
    return has;
}

/* --- finding ---------------------------------------------------------------------------------- */

static void add_run(struct command_keys *k, int64_t first, int64_t count, int step, uint32_t flags)
{
    if (count > 0) {
        check(k->run_count < array_len(k->runs));
        k->runs[k->run_count].first = (uint32_t)first;
        k->runs[k->run_count].count = (uint32_t)count;
        k->runs[k->run_count].step = (uint32_t)step;
        k->runs[k->run_count].flags = flags;
        k->run_count++;
    }
}

/* The argument behind the word; 0: it is not there. */
static int64_t behind(const struct key_spec *s, const struct slice *argv, int64_t argc)
{
    bool forwards = s->at > 0;
    int64_t end = forwards ? argc - 1 : 0;
    for (int64_t i = forwards ? s->at : argc + s->at; forwards ? i < end : i > end;
         i += forwards ? 1 : -1) {
        if (slice_is_nocase(argv[i], s->word)) {
            return i + 1;
        }
    }
    return 0;
}

static bool add_range(struct command_keys *k, const struct key_spec *s, int64_t first, int64_t argc)
{
    int64_t last = first + s->last;
    if (s->last < 0) {
        last = s->limit > 1 ? first + (argc - first) / s->limit + s->last : argc + s->last;
    }
    if (last >= argc) {
        return false;
    }
    add_run(k, first, last >= first ? (last - first) / s->step + 1 : 0, s->step, s->flags);
    return true;
}

static bool add_counted(struct command_keys *k, const struct key_spec *s, int64_t begin,
                        const struct slice *argv, int64_t argc)
{
    int64_t count;
    bool may_be_none = strncmp(s->command, "eval", 4) == 0;
    int64_t first = begin + s->first;
    if (begin + s->count >= argc || !number_parse_i64(argv[begin + s->count], &count) ||
        (count < 1 && !may_be_none) || count > argc - first) {
        return false;
    }
    add_run(k, first, count, s->step, s->flags);
    return true;
}

static bool add_spec(struct command_keys *k, const struct key_spec *s, const struct slice *argv,
                     uint32_t argc)
{
    int64_t begin = s->begin == KEY_AT ? s->at : behind(s, argv, argc);
    if (begin == 0) {
        return false;
    }
    return s->find == KEY_RANGE ? add_range(k, s, begin, argc)
                                : add_counted(k, s, begin, argv, argc);
}

/* SORT key ... [STORE to]; the last one counts. */
static void add_store(struct command_keys *k, const struct key_spec *s, const struct slice *argv,
                      uint32_t argc)
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
    add_run(k, at, at > 0 ? 1 : 0, 1, s->flags & ~(uint32_t)KEY_INCOMPLETE);
}

/* MIGRATE host port "" db timeout ... KEYS key...; with a key and KEYS it is a syntax error, and has none. */
static void find_migrated(struct command_keys *k, const struct key_spec *s,
                          const struct slice *argv, uint32_t argc)
{
    int64_t keys = 0;
    for (uint32_t i = 6; i + 1 < argc && keys == 0; i++) {
        if (slice_is_nocase(argv[i], "keys")) {
            keys = i + 1;
        } else if (slice_is_nocase(argv[i], "auth")) {
            i += 1;
        } else if (slice_is_nocase(argv[i], "auth2")) {
            i += 2;
        }
    }
    uint32_t flags = s->flags & ~(uint32_t)KEY_INCOMPLETE;
    if (keys == 0) {
        add_run(k, s->at, 1, 1, flags);
    } else if (argv[s->at].len == 0) {
        add_run(k, keys, argc - keys, 1, flags);
    }
}

static bool has_word(const struct slice *argv, uint32_t argc, uint32_t from, const char *word)
{
    bool found = false;
    for (uint32_t i = from; i < argc && !found; i++) {
        found = slice_is_nocase(argv[i], word);
    }
    return found;
}

bool command_keys_find(const struct command *cmd, const struct slice *argv, uint32_t argc,
                       struct command_keys *ret_keys)
{
    struct command_keys k = {.run_count = 0};
    bool found = true;
    if (cmd->run == cmd_migrate) {
        find_migrated(&k, cmd->keys, argv, argc);
        *ret_keys = k;
        return k.run_count > 0;
    }
    for (uint32_t i = 0; i < cmd->key_spec_count && found; i++) {
        const struct key_spec *s = &cmd->keys[i];
        if (s->find != KEY_UNKNOWN && (s->flags & KEY_NOT_KEY) == 0) {
            found = add_spec(&k, s, argv, argc);
        } else if (cmd->run == cmd_sort && (s->flags & KEY_OW) != 0) {
            add_store(&k, s, argv, argc);
        }
    }
    if (cmd->run == cmd_set && k.run_count > 0) {
        k.runs[0].flags =
            has_word(argv, argc, 3, "get") ? KEY_RW | KEY_ACCESS | KEY_UPDATE : KEY_OW | KEY_UPDATE;
    }
    *ret_keys = k;
    return found;
}
