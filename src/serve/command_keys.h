/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which arguments of a command are keys: by place (command.def), by a count that an argument gives (ZUNION
 * 2 a b), or behind a word (XREAD ... STREAMS, SORT ... STORE).
 *
 * Threads: none; pure.
 */
#ifndef SERVE_COMMAND_KEYS_H
#define SERVE_COMMAND_KEYS_H

#include "serve/command.h"

struct command_keys {
    uint32_t run_count;
    struct {
        uint32_t first; /* in argv */
        uint32_t count;
        uint32_t step;
    } runs[2];
};

/* Of a command with a number of arguments that it takes. False: they do not say where the keys are, or name
 * more than there are. No runs: it has no keys. */
bool command_keys_find(const struct command *cmd, const struct slice *argv, uint32_t argc,
                       struct command_keys *ret_keys);
/* Can it have keys at all? */
bool command_has_keys(const struct command *cmd);

#endif
