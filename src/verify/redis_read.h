/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * redis_read: the steps of an application that caches in Redis, one by one, so that readers and scenes can
 * put what they like between them:  GET ─ miss ─> read the database ─> SET.
 * All return false when the run has to end.
 */
#ifndef VERIFY_REDIS_READ_H
#define VERIFY_REDIS_READ_H

#include "verify/db.h"
#include "verify/wire.h"

enum { REDIS_PAGE_MAX = 4096, REDIS_TOKEN_MAX = 64 };

/* A connection to `address` in database 1 (follow) or 2 (strict). */
bool redis_open(struct wire *w, struct run *r, const char *address, enum face face);

struct redis_miss {
    struct target target;
    enum face face;
    uint64_t missed_us; /* before the GET was sent */
    bool exact;         /* its SET may be as late as it likes: own connection, or a token */
    char token[REDIS_TOKEN_MAX]; /* empty: plain */
};

bool redis_get_send(struct actor *a, struct wire *w, struct target t, enum face face,
                    bool with_token, struct reading *ret_reading);
/* Judges a hit; of a miss, says so in `ret_miss`. */
bool redis_get_receive(struct actor *a, struct wire *w, const struct reading *rd, bool with_token,
                       bool *ret_hit, struct redis_miss *ret_miss);
bool redis_get(struct actor *a, struct wire *w, struct target t, enum face face, bool with_token,
               bool *ret_hit, struct redis_miss *ret_miss);
/* SETs `page` as the answer to that miss, by its token if it has one. */
bool redis_set(struct actor *a, struct wire *w, const struct redis_miss *miss, struct slice page);

#endif
