/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ZUNION, ZINTER, ZDIFF, their STORE forms, and ZINTERCARD. Plain sets take part, each member with score 1.
 *
 * All keys are read at one moment: the store is owned. Scores are added up from the smallest key to the
 * largest, as Redis does, so that rounding agrees. A product or sum that is not a number counts as 0.
 */
#include "serve/cmd/gather.h"

#include "base/number.h"
#include "base/real.h"

#include <math.h>

enum algebra { ALGEBRA_UNION, ALGEBRA_INTER, ALGEBRA_DIFF };
enum aggregate { AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX };

struct form {
    const char *name;
    enum algebra what;
    bool stores;
    bool counts;
};

struct options {
    enum aggregate aggregate;
    bool with_scores;
    uint64_t limit;
};

/* --- options ---------------------------------------------------------------------------------- */

static bool parse_weights(struct resp_client *c, const struct slice *argv, struct gather_sources *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (!real_parse(argv[i], &s->at[i].weight)) {
            resp_error(&c->conn.out, "ERR weight value is not a float");
            return false;
        }
    }
    return true;
}

static bool parse_aggregate(struct resp_client *c, struct slice word, enum aggregate *ret_aggregate)
{
    if (slice_is_nocase(word, "sum")) {
        *ret_aggregate = AGGREGATE_SUM;
    } else if (slice_is_nocase(word, "min")) {
        *ret_aggregate = AGGREGATE_MIN;
    } else if (slice_is_nocase(word, "max")) {
        *ret_aggregate = AGGREGATE_MAX;
    } else {
        reply_syntax(c);
        return false;
    }
    return true;
}

static bool parse_limit(struct resp_client *c, struct slice text, uint64_t *ret_limit)
{
    int64_t limit;
    if (!number_parse_i64(text, &limit) || limit < 0) {
        resp_error(&c->conn.out, "ERR LIMIT can't be negative");
        return false;
    }
    *ret_limit = limit == 0 ? UINT64_MAX : (uint64_t)limit;
    return true;
}

/* The words behind the keys; false after replying. Weights go to the sources. */
static bool parse_options(struct resp_client *c, const struct form *f, const struct slice *argv,
                          uint32_t argc, struct gather_sources *s, struct options *o)
{
    bool scored = f->what != ALGEBRA_DIFF && !f->counts;
    for (uint32_t i = 0; i < argc; i++) {
        uint32_t behind = argc - i - 1;
        bool good = true;
        if (scored && behind >= s->count && slice_is_nocase(argv[i], "weights")) {
            good = parse_weights(c, argv + i + 1, s);
            i += s->count;
        } else if (scored && behind >= 1 && slice_is_nocase(argv[i], "aggregate")) {
            good = parse_aggregate(c, argv[++i], &o->aggregate);
        } else if (!f->stores && !f->counts && slice_is_nocase(argv[i], "withscores")) {
            o->with_scores = true;
        } else if (f->counts && behind >= 1 && slice_is_nocase(argv[i], "limit")) {
            good = parse_limit(c, argv[++i], &o->limit);
        } else {
            reply_syntax(c);
            good = false;
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

/* --- scores ----------------------------------------------------------------------------------- */

static double weighted(const struct gather_source *s, double score)
{
    double product = s->weight * score;
    return isnan(product) ? 0 : product;
}

static double combine(enum aggregate how, double a, double b)
{
    switch (how) {
    case AGGREGATE_SUM:
        return isnan(a + b) ? 0 : a + b;
    case AGGREGATE_MIN:
        return b < a ? b : a;
    case AGGREGATE_MAX:
        return b > a ? b : a;
    }
    unreachable();
}

/* --- the three -------------------------------------------------------------------------------- */

static void unite(struct gather_sources *s, enum aggregate how, struct gather *g)
{
    gather_by_count(s);
    for (uint32_t i = 0; i < s->count && !g->failed; i++) {
        const struct gather_source *source = &s->at[i];
        struct coll_walk walk __attribute__((uninitialized));
        struct coll_element e;
        if (source->item == NULL) {
            continue;
        }
        coll_walk_begin(&source->hold, source->item, 0, false, &walk);
        while (!g->failed && coll_walk_next(&walk, &e)) {
            double score = weighted(source, gather_score(source, &e));
            bool is_new = true;
            struct gather_entry *entry = gather_put(g, e.name, score, &is_new);
            if (!is_new) {
                entry->score = combine(how, entry->score, score);
            }
        }
    }
}

/* The element's score over all sources; false when one lacks it. */
static bool score_in_all(const struct gather_sources *s, enum aggregate how,
                         const struct coll_element *e, double *ret_score)
{
    double sum = weighted(&s->at[0], gather_score(&s->at[0], e));
    for (uint32_t i = 1; i < s->count; i++) {
        double score;
        if (!gather_find(&s->at[i], e->name, &score)) {
            return false;
        }
        sum = combine(how, sum, weighted(&s->at[i], score));
    }
    *ret_score = sum;
    return true;
}

/* Counts them, up to `limit`, and gathers them unless `g` is NULL. */
static uint64_t intersect(struct gather_sources *s, const struct options *o, struct gather *g)
{
    uint64_t count = 0;
    if (s->any_absent) {
        return 0;
    }
    gather_by_count(s);
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    coll_walk_begin(&s->at[0].hold, s->at[0].item, 0, false, &walk);
    while (count < o->limit && coll_walk_next(&walk, &e)) {
        double score;
        bool is_common = score_in_all(s, o->aggregate, &e, &score);
        count += is_common ? 1 : 0;
        if (is_common && g != NULL) {
            gather_add(g, e.name, score);
        }
    }
    return count;
}

static void subtract(const struct gather_sources *s, struct gather *g)
{
    const struct gather_source *first = &s->at[0];
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    if (first->item == NULL) {
        return;
    }
    coll_walk_begin(&first->hold, first->item, 0, false, &walk);
    while (!g->failed && coll_walk_next(&walk, &e)) {
        double ignored;
        uint32_t i = 1;
        while (i < s->count && !gather_find(&s->at[i], e.name, &ignored)) {
            i++;
        }
        if (i == s->count) {
            gather_add(g, e.name, gather_score(first, &e));
        }
    }
}

/* --- commands --------------------------------------------------------------------------------- */

static void gather_all(enum algebra what, const struct options *o, struct gather_sources *s,
                       struct gather *g)
{
    switch (what) {
    case ALGEBRA_UNION:
        unite(s, o->aggregate, g);
        break;
    case ALGEBRA_INTER:
        (void)intersect(s, o, g);
        break;
    case ALGEBRA_DIFF:
        subtract(s, g);
        break;
    }
}

/* With the sources open; argv: the words behind the keys. Closes the sources. */
static void answer(struct resp_client *c, const struct form *f, const struct slice *argv,
                   uint32_t argc, struct gather_sources *s, struct slice into)
{
    struct options o = {.limit = UINT64_MAX};
    struct gather g = {.all = NULL};
    if (!parse_options(c, f, argv, argc, s, &o)) {
        gather_close(s);
        return;
    }
    if (f->counts) {
        reply_integer(c, (int64_t)intersect(s, &o, NULL));
    } else {
        gather_all(f->what, &o, s, &g);
        if (f->stores) {
            gather_store(c, &g, s, &(struct gather_target){into, STORE_ZSET, f->name});
        } else {
            gather_sort(&g);
            gather_reply_scores(c, &g, o.with_scores);
        }
    }
    gather_close(s);
    gather_fini(&g);
}

static void run(struct resp_client *c, const struct slice *argv, uint32_t argc,
                const struct form *f)
{
    uint32_t at = f->stores ? 2 : 1; /* of numkeys */
    int64_t count;
    if (!arg_integer(c, argv[at], &count)) {
        return;
    }
    if (count < 1) {
        resp_error(&c->conn.out, "ERR at least 1 input key is needed for '%s' command", f->name);
        return;
    }
    if (count > (int64_t)argc - at - 1) {
        reply_syntax(c);
        return;
    }
    uint32_t keys = (uint32_t)count;
    uint32_t rest = at + 1 + keys;
    struct gather_sources s;
    client_own(c);
    if (gather_open(c, GATHER_SETS | GATHER_ZSETS, argv + at + 1, keys, &s)) {
        answer(c, f, argv + rest, argc - rest, &s, argv[1]);
    }
    client_disown(c);
}

void cmd_zunion(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    run(c, argv, argc, &(struct form){.name = "zunion", .what = ALGEBRA_UNION});
}

void cmd_zinter(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    run(c, argv, argc, &(struct form){.name = "zinter", .what = ALGEBRA_INTER});
}

void cmd_zdiff(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    run(c, argv, argc, &(struct form){.name = "zdiff", .what = ALGEBRA_DIFF});
}

void cmd_zunionstore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    run(c, argv, argc,
        &(struct form){.name = "zunionstore", .what = ALGEBRA_UNION, .stores = true});
}

void cmd_zinterstore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    run(c, argv, argc,
        &(struct form){.name = "zinterstore", .what = ALGEBRA_INTER, .stores = true});
}

void cmd_zdiffstore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    run(c, argv, argc, &(struct form){.name = "zdiffstore", .what = ALGEBRA_DIFF, .stores = true});
}

void cmd_zintercard(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    run(c, argv, argc, &(struct form){.name = "zintercard", .what = ALGEBRA_INTER, .counts = true});
}
