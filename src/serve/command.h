/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands of the Redis face: one table (command.def), found by name.
 *
 * The table is completed once by command_setup(), before any thread starts, and never changes
 * again.
 */
#ifndef SERVE_COMMAND_H
#define SERVE_COMMAND_H

#include "base/slice.h"

#include <stdint.h>

struct resp_client;

enum command_flag {
    COMMAND_WRITE = 1 << 0,
    COMMAND_READONLY = 1 << 1,
    COMMAND_DENYOOM = 1 << 2,
    COMMAND_ADMIN = 1 << 3,
    COMMAND_NOSCRIPT = 1 << 4,
    COMMAND_LOADING = 1 << 5,
    COMMAND_STALE = 1 << 6,
    COMMAND_FAST = 1 << 7,
    COMMAND_NO_AUTH = 1 << 8,
    COMMAND_ALLOW_BUSY = 1 << 9,
    COMMAND_SKIP_SLOWLOG = 1 << 10,
    COMMAND_DANGEROUS = 1 << 11,  /* ACL category only */
    COMMAND_UNQUEUED = 1 << 12,   /* runs at once even inside MULTI */
    COMMAND_OVERWRITES = 1 << 13, /* looks at no value: needs no proof in a strict space */
    COMMAND_KEYSPACE = 1 << 14,   /* ACL category beside the group's */
    COMMAND_PUBSUB = 1 << 15,
    COMMAND_MAY_REPLICATE = 1 << 16,
    COMMAND_BLOCKING = 1 << 17,
    COMMAND_MOVABLE_KEYS = 1 << 18,     /* the arguments say where the keys are */
    COMMAND_OWNS = 1 << 19,             /* the whole store, whatever its arguments */
    COMMAND_NO_MULTI = 1 << 20,         /* never inside MULTI */
    COMMAND_ACL_ADMIN = 1 << 21,        /* ACL category @admin without the flag */
    COMMAND_NO_ASYNC_LOADING = 1 << 22, /* told, no more: as the next two */
    COMMAND_NO_MANDATORY_KEYS = 1 << 23,
    COMMAND_SKIP_MONITOR = 1 << 24,
};

enum command_group {
    COMMAND_GROUP_STRING,
    COMMAND_GROUP_GENERIC,
    COMMAND_GROUP_CONNECTION,
    COMMAND_GROUP_SERVER,
    COMMAND_GROUP_TRANSACTIONS,
    COMMAND_GROUP_SCRIPTING,
    COMMAND_GROUP_LIST,
    COMMAND_GROUP_SET,
    COMMAND_GROUP_SORTED_SET,
    COMMAND_GROUP_HASH,
    COMMAND_GROUP_STREAM,
    COMMAND_GROUP_BITMAP,
    COMMAND_GROUP_PUBSUB,
    COMMAND_GROUP_FRESHET,
    COMMAND_GROUP_SORT, /* "generic"; in the ACL categories of what can be sorted */
};

/* argv[0] is the name as the client wrote it. Replies go to c->conn.out. */
typedef void command_fn(struct resp_client *c, const struct slice *argv, uint32_t argc);

struct command {
    /* from the table */
    const char *parent; /* container of a subcommand, NULL for a command */
    const char *name;
    int arity; /* negative: at least */
    const char *letters;
    int8_t first_key;
    int8_t last_key; /* negative: counted from the end */
    int8_t key_step;
    enum command_group group;
    const char *since;
    command_fn *run;
    const char *summary;
    /* completed by command_setup() */
    char full_name[32]; /* "client|setname" */
    uint32_t flags;
    uint32_t place;   /* among all commands and subcommands, below command_total() */
    uint64_t word[3]; /* the folded name, for comparing */
    const struct command *subs;
    uint32_t sub_count;
    uint32_t owns_from;          /* arguments with which it owns the store; 0: never */
    const struct key_spec *keys; /* command_keys.h; key_spec_count of them */
    uint32_t key_spec_count;
};

/* Will it own the whole store? */
static inline bool command_owns(const struct command *cmd, uint32_t argc)
{
    return cmd->owns_from > 0 && argc >= cmd->owns_from;
}

void command_setup(void);
/* NULL when unknown. Letter case does not matter. */
const struct command *command_find(struct slice name);
const struct command *command_find_sub(const struct command *parent, struct slice name);
/* "client|setname", "get" */
const struct command *command_find_full(struct slice name);
bool command_takes(const struct command *cmd, uint32_t argc);
/* Top-level commands, in table order. */
uint32_t command_count(void);
uint32_t command_total(void); /* with subcommands */
const struct command *command_at(uint32_t index);

/* Prototypes of every function in the table. */
#define COMMAND(name, arity, letters, first, last, step, group, since, run, summary) command_fn run;
#define SUBCOMMAND(parent, name, arity, letters, first, last, step, group, since, run, summary)    \
    command_fn run;
#include "serve/command.def"
#undef COMMAND
#undef SUBCOMMAND

#endif
