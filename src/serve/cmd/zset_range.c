/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sorted sets by range: ZRANGE in all its forms and its older kin, ZRANGESTORE, ZCOUNT, ZLEXCOUNT,
 * ZREMRANGEBYRANK, -SCORE, -LEX.
 *
 * Each older command is ZRANGE with some options fixed; they share one parser, quirks included: ZRANGE takes
 * "LIMIT n -1" with ranks, since that is no limit.
 */
#include "serve/cmd/gather.h"
#include "serve/cmd/zrange.h"

/* --- ZRANGE: options -------------------------------------------------------------------------- */

/* What a command has fixed before its options are read. */
struct form {
    enum zrange_kind kind;
    bool any_kind; /* BYSCORE, BYLEX are options */
    bool backward;
    bool any_direction; /* REV is an option */
    bool stores;
};

struct query {
    struct zrange range; /* its ends come last */
    enum zrange_kind kind;
    bool has_kind;
    bool has_direction;
    bool with_scores;
};

/* REV, BYSCORE or BYLEX, once each and where the form has it open. */
static bool take_word(struct query *q, struct slice word)
{
    if (slice_is_nocase(word, "rev") && !q->has_direction) {
        q->has_direction = q->range.backward = true;
    } else if (slice_is_nocase(word, "bylex") && !q->has_kind) {
        q->has_kind = true;
        q->kind = ZRANGE_LEX;
    } else if (slice_is_nocase(word, "byscore") && !q->has_kind) {
        q->has_kind = true;
        q->kind = ZRANGE_SCORE;
    } else {
        return false;
    }
    return true;
}

/* Options from argv[first] on; false after replying. */
static bool parse_options(struct resp_client *c, const struct form *f, const struct slice *argv,
                          uint32_t argc, uint32_t first, struct query *q)
{
    for (uint32_t i = first; i < argc; i++) {
        if (!f->stores && slice_is_nocase(argv[i], "withscores")) {
            q->with_scores = true;
        } else if (slice_is_nocase(argv[i], "limit") && argc - i > 2) {
            if (!arg_integer(c, argv[i + 1], &q->range.offset) ||
                !arg_integer(c, argv[i + 2], &q->range.count)) {
                return false;
            }
            i += 2;
        } else if (!take_word(q, argv[i])) {
            reply_syntax(c);
            return false;
        }
    }
    return true;
}

/* argv[key] is the key that is read; its range follows. False after replying. */
static bool parse_query(struct resp_client *c, const struct form *f, const struct slice *argv,
                        uint32_t argc, uint32_t key, struct query *ret_query)
{
    struct query q = {.kind = f->kind, .has_kind = !f->any_kind};
    q.has_direction = !f->any_direction;
    q.range = (struct zrange){.backward = f->backward, .count = -1};
    if (!parse_options(c, f, argv, argc, key + 3, &q)) {
        return false;
    }
    if (q.kind == ZRANGE_RANK && q.range.count != -1) {
        resp_error(&c->conn.out, "ERR syntax error, LIMIT is only supported in combination with "
                                 "either BYSCORE or BYLEX");
        return false;
    }
    if (q.kind == ZRANGE_LEX && q.with_scores) {
        resp_error(&c->conn.out,
                   "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        return false;
    }
    q.range.limited = q.kind != ZRANGE_RANK;
    bool swapped = q.range.backward && q.kind != ZRANGE_RANK;
    struct slice min = argv[swapped ? key + 2 : key + 1];
    struct slice max = argv[swapped ? key + 1 : key + 2];
    if (!zrange_parse(c, q.kind, min, max, &q.range)) {
        return false;
    }
    *ret_query = q;
    return true;
}

/* --- ZRANGE: answers -------------------------------------------------------------------------- */

static void reply_run(struct resp_client *c, const struct query *q, const struct store_hold *h,
                      const struct store_item *item)
{
    uint64_t first;
    uint64_t count = zrange_ranks(&q->range, h, item, &first);
    bool pairs = q->with_scores && c->proto < 3;
    resp_array(&c->conn.out, pairs ? 2 * count : count);
    if (count == 0) {
        return;
    }
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    bool fits = true;
    coll_walk_begin(h, item, first, q->range.backward, &walk);
    for (uint64_t i = 0; i < count && fits && coll_walk_next(&walk, &e); i++) {
        fits = q->with_scores ? reply_scored(c, &e, c->proto >= 3) : reply_bulk(c, e.name);
    }
}

static void range(struct resp_client *c, const struct slice *argv, uint32_t argc,
                  const struct form *f)
{
    struct query q;
    if (!parse_query(c, f, argv, argc, 1, &q)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_read_kind(c, argv[1], STORE_ZSET, &h, &item)) {
    case CLIENT_FOUND:
        reply_run(c, &q, &h, item);
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        resp_array(&c->conn.out, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

void cmd_zrange(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    range(c, argv, argc, &(struct form){.any_kind = true, .any_direction = true});
}

void cmd_zrevrange(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    range(c, argv, argc, &(struct form){.backward = true});
}

void cmd_zrangebyscore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    range(c, argv, argc, &(struct form){.kind = ZRANGE_SCORE});
}

void cmd_zrevrangebyscore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    range(c, argv, argc, &(struct form){.kind = ZRANGE_SCORE, .backward = true});
}

void cmd_zrangebylex(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    range(c, argv, argc, &(struct form){.kind = ZRANGE_LEX});
}

void cmd_zrevrangebylex(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    range(c, argv, argc, &(struct form){.kind = ZRANGE_LEX, .backward = true});
}

/* --- ZRANGESTORE ------------------------------------------------------------------------------ */

static void gather_run(const struct query *q, const struct gather_source *s, struct gather *g)
{
    uint64_t first;
    uint64_t count = zrange_ranks(&q->range, &s->hold, s->item, &first);
    if (count == 0) {
        return;
    }
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    coll_walk_begin(&s->hold, s->item, first, q->range.backward, &walk);
    for (uint64_t i = 0; i < count && !g->failed && coll_walk_next(&walk, &e); i++) {
        gather_add(g, e.name, e.score);
    }
}

void cmd_zrangestore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct query q;
    struct form f = {.any_kind = true, .any_direction = true, .stores = true};
    if (!parse_query(c, &f, argv, argc, 2, &q)) {
        return;
    }
    client_own(c);
    struct gather_sources sources;
    if (gather_open(c, GATHER_ZSETS, &argv[2], 1, &sources)) {
        struct gather g = {.all = NULL};
        if (sources.at[0].item != NULL) {
            gather_run(&q, &sources.at[0], &g);
        }
        gather_store(c, &g, &sources, &(struct gather_target){argv[1], STORE_ZSET, "zrangestore"});
        gather_fini(&g);
    }
    client_disown(c);
}

/* --- counting and removing -------------------------------------------------------------------- */

static void count_range(struct resp_client *c, const struct slice *argv, enum zrange_kind kind)
{
    struct zrange r = {.kind = kind};
    struct store_hold h;
    struct store_item *item;
    if (!zrange_parse(c, kind, argv[2], argv[3], &r)) {
        return;
    }
    enum client_found found = client_read_kind(c, argv[1], STORE_ZSET, &h, &item);
    uint64_t count = 0;
    if (found == CLIENT_FOUND) {
        uint64_t first;
        count = zrange_ranks(&r, &h, item, &first);
        store_drop(&h);
    }
    if (found != CLIENT_WRONG_KIND) {
        reply_integer(c, (int64_t)count);
    }
}

void cmd_zcount(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    count_range(c, argv, ZRANGE_SCORE);
}

void cmd_zlexcount(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    count_range(c, argv, ZRANGE_LEX);
}

static void remove_range(struct resp_client *c, const struct slice *argv, enum zrange_kind kind,
                         const char *event)
{
    struct zrange r = {.kind = kind};
    struct store_hold h;
    struct store_item *item;
    if (!zrange_parse(c, kind, argv[2], argv[3], &r)) {
        return;
    }
    enum client_found found = client_find_kind(c, argv[1], STORE_ZSET, &h, &item);
    uint64_t count = 0;
    if (found == CLIENT_FOUND) {
        uint64_t first;
        count = zrange_ranks(&r, &h, item, &first);
        if (count > 0) {
            client_event_taken(c, EVENT_ZSET, event, argv[1], count == coll_count(item));
            coll_cut(&h, first, count);
        }
        store_drop(&h);
    }
    if (found != CLIENT_WRONG_KIND) {
        reply_integer(c, (int64_t)count);
    }
}

void cmd_zremrangebyrank(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    remove_range(c, argv, ZRANGE_RANK, "zremrangebyrank");
}

void cmd_zremrangebyscore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    remove_range(c, argv, ZRANGE_SCORE, "zremrangebyscore");
}

void cmd_zremrangebylex(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    remove_range(c, argv, ZRANGE_LEX, "zremrangebylex");
}
