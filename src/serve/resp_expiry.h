/* SPDX-License-Identifier: BSD-3-Clause */
/* Expiries as Redis clients give them: relative or absolute, seconds or milliseconds. */
#ifndef SERVE_RESP_EXPIRY_H
#define SERVE_RESP_EXPIRY_H

#include "serve/resp_client.h"

enum expiry_unit { EXPIRY_EX, EXPIRY_PX, EXPIRY_EXAT, EXPIRY_PXAT };

struct expiry {
    bool past;      /* already over: the key goes away */
    uint64_t at_ms; /* monotonic; 0: none given */
};

/* "EX", "px", ...: false when `word` is none of them. */
bool expiry_unit_parse(struct slice word, enum expiry_unit *ret_unit);
/* Of SET and its kin: must be positive. `command` names the command in the error. */
bool expiry_parse(struct resp_client *c, struct slice arg, enum expiry_unit unit,
                  const char *command, struct expiry *ret_expiry);

#endif
