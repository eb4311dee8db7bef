/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * opinion: what llhttp thinks of a request's bytes. Its header and http.h share names (HTTP_PATCH), so
 * that no file can have both: this one has neither. One parser; opinion_start() begins anew.
 */
#ifndef FUZZ_OPINION_H
#define FUZZ_OPINION_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct opinion {
    bool chunked;
    uint64_t length; /* when not chunked */
    uint64_t seen;   /* bytes of content */
    int heads;
    int messages;
    bool refused;
};

void opinion_start(struct opinion *o);
/* False for good once something was refused. `o` is that of opinion_start(). */
bool opinion_takes(struct slice bytes);
/* For a person; static until the next call of any of these. */
const char *opinion_reason(void);

#endif
