/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges of sorted sets: by rank, by score or by bytes, as Redis writes them, and which ranks they are.
 *
 *      zrange_parse(c, kind, min, max, &range)       before the key is read
 *      zrange_ranks(&range, hold, item, &first)      how many members from rank `first` on
 *
 * Threads: the worker's.
 */
#ifndef SERVE_ZRANGE_H
#define SERVE_ZRANGE_H

#include "serve/edit.h"

enum zrange_kind { ZRANGE_RANK, ZRANGE_SCORE, ZRANGE_LEX };

struct zrange_end {
    double score;
    struct slice text;
    bool is_open; /* "(": without the end itself */
    int infinite; /* of ZRANGE_LEX: -1 "-", 1 "+" */
};

struct zrange {
    enum zrange_kind kind;
    int64_t first; /* ZRANGE_RANK; negative from the end */
    int64_t last;
    struct zrange_end min;
    struct zrange_end max;
    bool backward; /* ranks count from the highest */
    bool limited;
    int64_t offset; /* LIMIT; negative: nothing */
    int64_t count;  /* negative: all */
};

/* False after replying the error. The slices must outlive the range. Sets what it parses only. */
bool zrange_parse(struct resp_client *c, enum zrange_kind kind, struct slice min, struct slice max,
                  struct zrange *ret_range);
/* How many members it has; they begin at rank `ret_first` (from the lowest), or with `backward` go down from
 * there. */
uint64_t zrange_ranks(const struct zrange *r, const struct store_hold *h,
                      const struct store_item *item, uint64_t *ret_first);

#endif
