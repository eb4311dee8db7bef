/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command table and its index.
 *
 * Names are folded to upper case into three words, their length in the last byte, so that comparing
 * is three integer compares. The index is open addressing over a power of two several times the
 * number of commands; a slot holds the place in the table plus one. Subcommands follow their
 * container in the table and are searched in turn.
 *
 * Invariant: C1. the table is written only by command_setup(), before any other thread exists.
 */
#include "serve/command.h"

#include "base/check.h"
#include "serve/command_keys.h"

#include <ctype.h>
#include <stdio.h>

enum { SLOTS = 512, NAME_BYTES = 24 };

static struct command table[] = {
#define COMMAND(name, arity, letters, first, last, step, group, since, run, summary)               \
    {NULL,  name, arity,   letters, first, last, step, COMMAND_GROUP_##group,                      \
     since, run,  summary, "",      0,     0,    {0},  NULL,                                       \
     0,     0,    NULL,    0},
#define SUBCOMMAND(parent, name, arity, letters, first, last, step, group, since, run, summary)    \
    {parent, name, arity,   letters, first, last, step, COMMAND_GROUP_##group,                     \
     since,  run,  summary, "",      0,     0,    {0},  NULL,                                      \
     0,      0,    NULL,    0},
#include "serve/command.def"
#undef COMMAND
#undef SUBCOMMAND
};

static uint16_t slots[SLOTS];
static uint16_t order[array_len(table)]; /* top-level commands */
static uint32_t top_count;

/* False when the name is longer than any command's. */
static inline bool fold(struct slice name, uint64_t ret_word[3])
{
    char upper[NAME_BYTES] = {0};
    if (name.len >= sizeof(upper)) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        upper[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    upper[NAME_BYTES - 1] = (char)name.len;
    memcpy(ret_word, upper, sizeof(upper));
    return true;
}

static inline uint32_t slot_of(const uint64_t word[3])
{
    uint64_t h = (word[0] ^ word[1] * 31 ^ word[2]) * 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(h >> 55);
}

static inline bool same_name(const struct command *cmd, const uint64_t word[3])
{
    return cmd->word[0] == word[0] && cmd->word[1] == word[1] && cmd->word[2] == word[2];
}

static uint32_t parse_letters(const char *letters)
{
    static const struct {
        char letter;
        uint32_t flag;
    } known[] = {
        {'w', COMMAND_WRITE},
        {'r', COMMAND_READONLY},
        {'m', COMMAND_DENYOOM},
        {'a', COMMAND_ADMIN},
        {'s', COMMAND_NOSCRIPT},
        {'l', COMMAND_LOADING},
        {'t', COMMAND_STALE},
        {'F', COMMAND_FAST},
        {'n', COMMAND_NO_AUTH},
        {'b', COMMAND_ALLOW_BUSY},
        {'k', COMMAND_SKIP_SLOWLOG},
        {'d', COMMAND_DANGEROUS},
        {'q', COMMAND_UNQUEUED},
        {'o', COMMAND_OVERWRITES},
        {'K', COMMAND_KEYSPACE},
        {'p', COMMAND_PUBSUB},
        {'A', COMMAND_ACL_ADMIN},
        {'y', COMMAND_MAY_REPLICATE},
        {'M', COMMAND_MOVABLE_KEYS},
        {'B', COMMAND_BLOCKING},
        {'O', COMMAND_OWNS},
        {'x', COMMAND_NO_MULTI},
        {'g', COMMAND_NO_ASYNC_LOADING},
        {'i', COMMAND_NO_MANDATORY_KEYS},
        {'v', COMMAND_SKIP_MONITOR},
    };
    uint32_t flags = 0;
    for (; *letters != '\0'; letters++) {
        uint32_t before = flags;
        for (size_t i = 0; i < array_len(known); i++) {
            flags |= known[i].letter == *letters ? known[i].flag : 0;
        }
        check(flags != before);
    }
    return flags;
}

static void index_command(uint32_t place)
{
    uint32_t slot = slot_of(table[place].word);
    while (slots[slot] != 0) {
        check(!same_name(&table[slots[slot] - 1], table[place].word));
        slot = (slot + 1) % SLOTS;
    }
    slots[slot] = (uint16_t)(place + 1);
    order[top_count++] = (uint16_t)place;
}

/* Several keys, or ones that only the command itself can find. */
static uint32_t owns_from(const struct command *cmd)
{
    if ((cmd->flags & (COMMAND_OWNS | COMMAND_BLOCKING | COMMAND_MOVABLE_KEYS)) != 0) {
        return 1;
    }
    bool has_more = cmd->first_key > 0 && cmd->last_key != cmd->first_key;
    return has_more ? (uint32_t)(cmd->first_key + cmd->key_step + 1) : 0;
}

void command_setup(void)
{
    if (top_count > 0) {
        return;
    }
    struct command *container = NULL;
    for (uint32_t i = 0; i < array_len(table); i++) {
        struct command *cmd = &table[i];
        cmd->flags = parse_letters(cmd->letters);
        cmd->owns_from = owns_from(cmd);
        cmd->place = i;
        check(fold(slice_of(cmd->name), cmd->word));
        if (cmd->parent == NULL) {
            (void)snprintf(cmd->full_name, sizeof(cmd->full_name), "%s", cmd->name);
            command_keys_attach(cmd);
            index_command(i);
            container = cmd;
            continue;
        }
        check(container != NULL && strcmp(container->name, cmd->parent) == 0);
        (void)snprintf(cmd->full_name, sizeof(cmd->full_name), "%s|%s", cmd->parent, cmd->name);
        command_keys_attach(cmd);
        container->subs = container->sub_count == 0 ? cmd : container->subs;
        container->sub_count++;
    }
}

const struct command *command_find(struct slice name)
{
    uint64_t word[3];
    if (!fold(name, word)) {
        return NULL;
    }
    uint32_t slot = slot_of(word);
    while (slots[slot] != 0) {
        const struct command *cmd = &table[slots[slot] - 1];
        if (same_name(cmd, word)) {
            return cmd;
        }
        slot = (slot + 1) % SLOTS;
    }
    return NULL;
}

const struct command *command_find_sub(const struct command *parent, struct slice name)
{
    uint64_t word[3];
    if (!fold(name, word)) {
        return NULL;
    }
    for (uint32_t i = 0; i < parent->sub_count; i++) {
        if (same_name(&parent->subs[i], word)) {
            return &parent->subs[i];
        }
    }
    return NULL;
}

const struct command *command_find_full(struct slice name)
{
    const char *bar = name.len > 0 ? memchr(name.ptr, '|', name.len) : NULL;
    if (bar == NULL) {
        return command_find(name);
    }
    size_t len = (size_t)(bar - name.ptr);
    const struct command *parent = command_find((struct slice){name.ptr, len});
    return parent != NULL ? command_find_sub(parent, slice_from(name, len + 1)) : NULL;
}

bool command_takes(const struct command *cmd, uint32_t argc)
{
    return cmd->arity >= 0 ? argc == (uint32_t)cmd->arity : argc >= (uint32_t)-cmd->arity;
}

uint32_t command_total(void)
{
    return array_len(table);
}

uint32_t command_count(void)
{
    return top_count;
}

const struct command *command_at(uint32_t index)
{
    check(index < top_count);
    return &table[order[index]];
}
