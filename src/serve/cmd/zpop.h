/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Popping from a sorted set and composing the reply, for ZPOPMIN, ZPOPMAX and ZMPOP, and for the blocking
 * BZPOPMIN, BZPOPMAX and BZMPOP, which differ in how the reply looks.
 *
 * Threads: the worker's.
 */
#ifndef SERVE_ZPOP_H
#define SERVE_ZPOP_H

#include "serve/edit.h"

enum zpop_reply {
    ZPOP_ONE,      /* [member, score]                          ZPOPMIN key */
    ZPOP_SEVERAL,  /* [member, score, ...], in RESP3 as pairs  ZPOPMIN key count */
    ZPOP_KEY_ONE,  /* [key, member, score]                     BZPOPMIN */
    ZPOP_KEY_MANY, /* [key, [[member, score], ...]]            ZMPOP, BZMPOP */
};

/* Pops up to `count` members from the end with the highest scores, or the lowest. CLIENT_FOUND: replied (nothing
 * is popped if the reply says too much; count 0 replies an empty array). CLIENT_ABSENT: no reply yet.
 * CLIENT_WRONG_KIND: the error was replied. Holds the key itself. */
enum client_found zpop(struct resp_client *c, struct slice key, bool highest, uint64_t count,
                       enum zpop_reply form);

#endif
