/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which arguments of a command are keys, and what it does to each: by key specifications, as COMMAND INFO tells
 * them (key_specs.def).
 *
 * Source: redis.io "Key specifications". Threads: none; pure once command_setup() has run.
 */
#ifndef SERVE_COMMAND_KEYS_H
#define SERVE_COMMAND_KEYS_H

#include "serve/command.h"

/* One of the first four, and what happens to the value's content. In the order in which they are told. */
enum key_flag {
    KEY_RO = 1 << 0,     /* reads the value, or asks about it */
    KEY_RW = 1 << 1,     /* changes a part of it */
    KEY_OW = 1 << 2,     /* overwrites it without a look */
    KEY_RM = 1 << 3,     /* deletes it */
    KEY_ACCESS = 1 << 4, /* what is in it is told, copied or used */
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,    /* a shard channel: where a key would be */
    KEY_INCOMPLETE = 1 << 9, /* there may be more than the specification finds */
    KEY_VARIABLE_FLAGS = 1 << 10,
};

enum key_begin { KEY_AT, KEY_BEHIND, KEY_SOMEWHERE };
enum key_find { KEY_RANGE, KEY_COUNTED, KEY_UNKNOWN };

struct key_spec {
    const char *command; /* full name */
    const char *words;   /* the flags */
    enum key_begin begin;
    int at; /* KEY_AT: the argument; KEY_BEHIND: where the search starts, negative: from the end, backwards */
    const char *word; /* KEY_BEHIND */
    enum key_find find;
    int last;       /* KEY_RANGE: the last key, from the first one; negative: from the end */
    int step;       /* from key to key */
    int limit;      /* KEY_RANGE: above 1, that part of the arguments only */
    int count;      /* KEY_COUNTED: the argument that says how many, from where it begins */
    int first;      /* KEY_COUNTED: the first key, the same way */
    uint32_t flags; /* completed by command_setup() */
};

struct command_keys {
    uint32_t run_count;
    struct {
        uint32_t first; /* in argv */
        uint32_t count;
        uint32_t step;
        uint32_t flags; /* enum key_flag */
    } runs[2];
};

/* Of a command with a number of arguments that it takes. False: they do not say where the keys are, or name
 * more than there are. No runs: it has no keys. Shard channels are no keys. */
bool command_keys_find(const struct command *cmd, const struct slice *argv, uint32_t argc,
                       struct command_keys *ret_keys);
/* Can it have keys at all? */
bool command_has_keys(const struct command *cmd);
/* The words for flags, in Redis's order; returns how many. */
enum { KEY_FLAG_WORDS = 11 };
uint32_t key_flag_words(uint32_t flags, const char *ret_words[KEY_FLAG_WORDS]);
/* For command_setup(): gives a command its specifications. */
void command_keys_attach(struct command *cmd);

#endif
