/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Popping from the first of several keys that has an element, and waiting for one: what the
 * commands of lists and of sorted sets have in common. They differ in how an element is popped and
 * told.
 *
 *      numkeys key [key ...] LEFT|RIGHT [COUNT n]              LMPOP, ZMPOP (with MIN|MAX)
 *      timeout numkeys key [key ...] LEFT|RIGHT [COUNT n]      BLMPOP, BZMPOP
 *      key [key ...] timeout                                   BLPOP, BRPOP, BZPOPMIN, BZPOPMAX
 *
 * Source: redis.io, the pages of these commands. Threads: the connection's worker.
 */
#ifndef SERVE_MPOP_H
#define SERVE_MPOP_H

#include "serve/edit.h"

struct mpop;
/* Pops from this key. CLIENT_FOUND: replied; CLIENT_ABSENT: no reply yet; CLIENT_WRONG_KIND: the
 * error was. */
typedef enum client_found mpop_fn(struct resp_client *c, struct slice key, const struct mpop *m);

/* What lists and sorted sets differ in. */
struct mpop_kind {
    enum store_kind kind;
    const char *ends[2]; /* how the arguments name them: LEFT and RIGHT */
    mpop_fn *pop;
};

struct mpop {
    const struct mpop_kind *of;
    const struct slice *keys;
    uint32_t key_count;
    bool from_second; /* the second of the ends */
    bool one;         /* a key's only element, not an array of them in the reply */
    uint64_t count;   /* at most so many */
};

/* LMPOP, ZMPOP: replies null when no key has any. */
void mpop_now(struct resp_client *c, const struct mpop_kind *of, const struct slice *argv,
              uint32_t argc);
/* BLMPOP, BZMPOP. */
void mpop_or_wait(struct resp_client *c, const struct mpop_kind *of, const struct slice *argv,
                  uint32_t argc);
/* BLPOP and its relatives. */
void mpop_one_or_wait(struct resp_client *c, const struct mpop_kind *of, bool from_second,
                      const struct slice *argv, uint32_t argc);

#endif
