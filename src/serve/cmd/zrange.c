/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges of sorted sets become ranks: every range, whatever it is given by, is a run of neighbours.
 *
 *      ranks       0 1 2 3 4 5 6 7          begin = members before the lower end
 *      range           [     )              end   = members before, or at, the upper end
 *
 * LIMIT then takes from the run's beginning, or with `backward` from its end. So finding costs two descents
 * of the tree, however far in the offset is.
 */
#include "serve/cmd/zrange.h"

#include "base/real.h"

/* --- parsing ---------------------------------------------------------------------------------- */

static bool parse_score(struct slice text, struct zrange_end *ret_end)
{
    ret_end->is_open = text.len > 0 && text.ptr[0] == '(';
    return real_parse_bound(ret_end->is_open ? slice_from(text, 1) : text, &ret_end->score);
}

static bool parse_lex(struct slice text, struct zrange_end *ret_end)
{
    struct zrange_end end = {.score = 0};
    if (slice_is(text, "-") || slice_is(text, "+")) {
        end.infinite = text.ptr[0] == '-' ? -1 : 1;
    } else if (text.len > 0 && (text.ptr[0] == '[' || text.ptr[0] == '(')) {
        end.is_open = text.ptr[0] == '(';
        end.text = slice_from(text, 1);
    } else {
        return false;
    }
    *ret_end = end;
    return true;
}

bool zrange_parse(struct resp_client *c, enum zrange_kind kind, struct slice min, struct slice max,
                  struct zrange *ret_range)
{
    ret_range->kind = kind;
    switch (kind) {
    case ZRANGE_RANK:
        return arg_integer(c, min, &ret_range->first) && arg_integer(c, max, &ret_range->last);
    case ZRANGE_SCORE:
        if (!parse_score(min, &ret_range->min) || !parse_score(max, &ret_range->max)) {
            resp_error(&c->conn.out, "ERR min or max is not a float");
            return false;
        }
        return true;
    case ZRANGE_LEX:
        if (!parse_lex(min, &ret_range->min) || !parse_lex(max, &ret_range->max)) {
            resp_error(&c->conn.out, "ERR min or max not valid string range item");
            return false;
        }
        return true;
    }
    unreachable();
}

/* --- ranks ------------------------------------------------------------------------------------ */

struct run {
    uint64_t begin;
    uint64_t end;
};

static struct run ranks_of_ranks(const struct zrange *r, uint64_t total)
{
    int64_t len = (int64_t)total;
    int64_t first = r->first < 0 ? r->first + len : r->first;
    int64_t last = r->last < 0 ? r->last + len : r->last;
    first = first < 0 ? 0 : first;
    last = last >= len ? len - 1 : last;
    if (first > last || first >= len) {
        return (struct run){0, 0};
    }
    struct run run = {(uint64_t)first, (uint64_t)last + 1};
    return r->backward ? (struct run){total - run.end, total - run.begin} : run;
}

/* Members below the end, those at it included with `at`. */
static uint64_t rank_of_end(const struct store_hold *h, const struct store_item *item,
                            const struct zrange_end *end, bool at)
{
    if (end->infinite != 0) {
        return end->infinite < 0 ? 0 : coll_count(item);
    }
    return coll_rank_of_lex(h, item, end->text, at);
}

static struct run find_run(const struct zrange *r, const struct store_hold *h,
                           const struct store_item *item)
{
    switch (r->kind) {
    case ZRANGE_RANK:
        return ranks_of_ranks(r, coll_count(item));
    case ZRANGE_SCORE:
        return (struct run){coll_rank_of_score(h, item, r->min.score, r->min.is_open),
                            coll_rank_of_score(h, item, r->max.score, !r->max.is_open)};
    case ZRANGE_LEX:
        return (struct run){rank_of_end(h, item, &r->min, r->min.is_open),
                            rank_of_end(h, item, &r->max, !r->max.is_open)};
    }
    unreachable();
}

uint64_t zrange_ranks(const struct zrange *r, const struct store_hold *h,
                      const struct store_item *item, uint64_t *ret_first)
{
    struct run run = find_run(r, h, item);
    uint64_t count = run.end > run.begin ? run.end - run.begin : 0;
    uint64_t skip = 0;
    if (r->limited) {
        bool past = r->offset < 0 || (uint64_t)r->offset >= count;
        skip = past ? count : (uint64_t)r->offset;
        count -= skip;
        count = r->count >= 0 && (uint64_t)r->count < count ? (uint64_t)r->count : count;
    }
    *ret_first = r->backward ? run.end - 1 - skip : run.begin + skip;
    return count;
}
