/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * grammar: bytes without meaning become Redis commands that mostly make sense.
 *
 * Every choice takes one byte; when there are no more, the choice is 0. So the same bytes are always the
 * same commands, and a changed byte is another command, not a broken protocol.
 */
#ifndef FUZZ_GRAMMAR_H
#define FUZZ_GRAMMAR_H

#include "base/buf.h"

#include <stdint.h>

struct choices {
    const uint8_t *next;
    const uint8_t *end;
};

/* 0 to `below` - 1. */
uint32_t choose(struct choices *c, uint32_t below);
/* Appends one command in RESP. After command_setup(). Never one that ends the process, stops it for long, or
 * lets a user rule over everybody: see barred() there. */
void grammar_command(struct choices *c, struct buf *out);

#endif
