/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is wrong with a policy file, one line for each mistake:
 *
 *     shop.yaml:12:5: routes[2].fresch: unknown key; did you mean `fresh`?
 *     shop.yaml:3:9: warning: spaces.cache.prefix: ...
 *
 * Loading never stops at the first mistake, so every reader complains and goes on; at the end the
 * lines are sorted by place. Mistakes past POLICY_COMPLAINTS_MAX are only counted.
 *
 * Threads: one owner.
 */
#ifndef POLICY_COMPLAIN_H
#define POLICY_COMPLAIN_H

#include "base/buf.h"
#include "base/check.h"

#include <stdint.h>

enum { POLICY_COMPLAINTS_MAX = 200 };

/* A spot in the file, both from 1. Line 0: the file as a whole. */
struct policy_spot {
    uint32_t line;
    uint32_t column;
};

struct complaint {
    struct policy_spot at;
    uint32_t order; /* in which it was made */
    struct buf line;
};

struct complaints {
    const char *file; /* borrowed */
    uint32_t errors;
    uint32_t warnings;
    struct complaint *list;
    uint32_t count;
};

void policy_complaints_init(struct complaints *c, const char *file);
/* Appends all lines, in the order of the file, to `out` and frees everything. */
void policy_complaints_fini(struct complaints *c, struct buf *out);
/* No further line would be shown: do not spend time on wording it. */
bool policy_complaints_full(const struct complaints *c);

/* `path` is the key's path ("routes[2].fresh"), "" for none. */
void policy_complain(struct complaints *c, struct policy_spot at, const char *path, const char *fmt,
                     ...) printf_like(4, 5);
void policy_warn(struct complaints *c, struct policy_spot at, const char *path, const char *fmt,
                 ...) printf_like(4, 5);
/* A key of a version to come: refused, in words of its own. */
void policy_complain_later(struct complaints *c, struct policy_spot at, const char *path,
                           const char *what);

#endif
