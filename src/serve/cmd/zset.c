/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sorted sets, member by member: ZADD, ZINCRBY, ZREM, ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK. Ranges are in
 * cmd/zset_range.c, unions and the like in cmd/zset_algebra.c, ZPOPMIN and its kin in cmd/zset_pop.c.
 *
 * A ZADD reads all its scores before it looks at the key, so a bad one changes nothing. Without options a
 * member costs one search; with options it is looked up first. A ZADD that runs out of space in the middle
 * answers the error and leaves what was added until then.
 */
#include "serve/edit.h"

#include "base/alloc.h"
#include "base/real.h"

#include <math.h>
#include <stdlib.h>

/* --- ZADD: options ---------------------------------------------------------------------------- */

struct zadd {
    bool nx, xx, gt, lt, ch, incr;
    const struct slice *pairs; /* score, member, ... */
    uint32_t count;            /* of pairs */
};

static bool take_option(struct zadd *z, struct slice word)
{
    static const struct {
        const char *word;
        size_t at;
    } options[] = {
        {"nx", offsetof(struct zadd, nx)}, {"xx", offsetof(struct zadd, xx)},
        {"gt", offsetof(struct zadd, gt)}, {"lt", offsetof(struct zadd, lt)},
        {"ch", offsetof(struct zadd, ch)}, {"incr", offsetof(struct zadd, incr)},
    };
    for (size_t i = 0; i < array_len(options); i++) {
        if (slice_is_nocase(word, options[i].word)) {
            *((bool *)z + options[i].at) = true;
            return true;
        }
    }
    return false;
}

/* ZINCRBY is ZADD with INCR given, and takes the other options where nobody would look for them. */
static bool parse_zadd(struct resp_client *c, const struct slice *argv, uint32_t argc, bool incr,
                       struct zadd *ret_zadd)
{
    struct zadd z = {.incr = incr};
    uint32_t at = 2;
    while (at < argc && take_option(&z, argv[at])) {
        at++;
    }
    z.pairs = argv + at;
    z.count = (argc - at) / 2;
    *ret_zadd = z;
    if (z.count == 0 || (argc - at) % 2 != 0) {
        reply_syntax(c);
        return false;
    }
    if (z.nx && z.xx) {
        resp_error(&c->conn.out, "ERR XX and NX options at the same time are not compatible");
        return false;
    }
    if ((z.gt && z.nx) || (z.lt && z.nx) || (z.gt && z.lt)) {
        resp_error(&c->conn.out,
                   "ERR GT, LT, and/or NX options at the same time are not compatible");
        return false;
    }
    if (z.incr && z.count > 1) {
        resp_error(&c->conn.out, "ERR INCR option supports a single increment-element pair");
        return false;
    }
    return true;
}

/* --- ZADD: scores ----------------------------------------------------------------------------- */

enum { FEW_SCORES = 32 };

struct scores {
    double few[FEW_SCORES];
    double *all; /* `few`, or malloc'ed */
};

static void scores_fini(struct scores *s)
{
    if (s->all != s->few) {
        free(s->all);
    }
}

/* False after replying; then nothing is to be freed. */
static bool parse_scores(struct resp_client *c, const struct zadd *z, struct scores *s)
{
    s->all = z->count <= FEW_SCORES ? s->few : alloc_try(z->count * sizeof(*s->all));
    if (s->all == NULL) {
        resp_error(&c->conn.out, "OOM no memory to read so many scores; add fewer at once");
        return false;
    }
    for (uint32_t i = 0; i < z->count; i++) {
        if (!real_parse(z->pairs[(size_t)i * 2], &s->all[i])) {
            scores_fini(s);
            reply_err(c, ERR_NOT_FLOAT);
            return false;
        }
    }
    return true;
}

/* --- ZADD: adding ----------------------------------------------------------------------------- */

struct outcome {
    int64_t added;
    int64_t changed;
    bool done;    /* the last pair was put, or found as it should be: its score is */
    double score; /* this */
    bool is_nan;
};

/* False: the options forbid it, or the sum is not a number. */
static bool decide(const struct zadd *z, const struct coll_element *old, double *score,
                   struct outcome *o)
{
    if (old == NULL) {
        return !z->xx;
    }
    if (z->nx) {
        return false;
    }
    if (z->incr) {
        *score += old->score;
        o->is_nan = isnan(*score);
    }
    bool forbidden = (z->gt && *score <= old->score) || (z->lt && *score >= old->score);
    return !o->is_nan && !forbidden;
}

/* Inside the edit. `exists`: the key is there by now. */
static enum err put_decided(struct client_edit *e, const struct zadd *z, struct slice name,
                            double score, bool exists, struct outcome *o)
{
    const struct store_item *item = exists ? store_peek(&e->hold, NULL) : NULL;
    struct coll_element old;
    bool was = item != NULL && coll_find(&e->hold, item, name, &old);
    o->done = decide(z, was ? &old : NULL, &score, o);
    if (!o->done) {
        return ERR_OK;
    }
    o->score = score;
    if (was && old.score == score) {
        return ERR_OK;
    }
    struct coll_element member = {.name = name, .score = score};
    o->added += was ? 0 : 1;
    o->changed++;
    return coll_put(&e->hold, STORE_ZSET, &member, &e->meta, NULL);
}

static enum err put_all(struct client_edit *e, const struct zadd *z, const double *scores,
                        struct outcome *o)
{
    bool exists = e->item != NULL;
    enum err err = ERR_OK;
    for (uint32_t i = 0; i < z->count && err == ERR_OK && !o->is_nan; i++) {
        err = put_decided(e, z, z->pairs[(size_t)i * 2 + 1], scores[i], exists, o);
        exists = exists || o->added > 0;
    }
    return err;
}

static void reply_outcome(struct resp_client *c, const struct zadd *z, enum err err,
                          const struct outcome *o)
{
    if (err != ERR_OK) {
        reply_err(c, err);
    } else if (o->is_nan) {
        resp_error(&c->conn.out, "ERR resulting score is not a number (NaN)");
    } else if (z->incr && o->done) {
        resp_double(&c->conn.out, c->proto, o->score);
    } else if (z->incr) {
        reply_null(c);
    } else {
        reply_integer(c, z->ch ? o->changed : o->added);
    }
}

static void zadd(struct resp_client *c, struct slice key, const struct zadd *z)
{
    struct scores scores __attribute__((uninitialized));
    if (!parse_scores(c, z, &scores)) {
        return;
    }
    struct client_edit e __attribute__((uninitialized));
    if (client_edit_begin(c, key, STORE_ZSET, &e)) {
        struct outcome o = {.added = 0};
        enum err err = put_all(&e, z, scores.all, &o);
        client_edit_end(c, &e);
        if (o.changed > 0) {
            client_event(c, EVENT_ZSET, z->incr ? "zincr" : "zadd", key);
        }
        reply_outcome(c, z, err, &o);
    }
    scores_fini(&scores);
}

void cmd_zadd(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct zadd z;
    if (parse_zadd(c, argv, argc, false, &z)) {
        zadd(c, argv[1], &z);
    }
}

void cmd_zincrby(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct zadd z;
    if (parse_zadd(c, argv, argc, true, &z)) {
        zadd(c, argv[1], &z);
    }
}

void cmd_zrem(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_removed(c, STORE_ZSET, argv, argc);
}

/* --- asking ----------------------------------------------------------------------------------- */

void cmd_zcard(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_count(c, argv[1], STORE_ZSET);
}

static void reply_score(struct resp_client *c, enum client_found found, const struct store_hold *h,
                        const struct store_item *item, struct slice name)
{
    struct coll_element member;
    if (found == CLIENT_FOUND && coll_find(h, item, name, &member)) {
        resp_double(&c->conn.out, c->proto, member.score);
    } else {
        reply_null(c);
    }
}

static void reply_scores(struct resp_client *c, const struct slice *argv, uint32_t argc,
                         bool several)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, argv[1], STORE_ZSET, &h, &item);
    if (found == CLIENT_WRONG_KIND) {
        return;
    }
    if (several) {
        resp_array(&c->conn.out, argc - 2);
    }
    for (uint32_t i = 2; i < argc && client_room(c, REPLY_FRAME); i++) {
        reply_score(c, found, &h, item, argv[i]);
    }
    if (found == CLIENT_FOUND) {
        store_drop(&h);
    }
}

void cmd_zscore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_scores(c, argv, argc, false);
}

void cmd_zmscore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_scores(c, argv, argc, true);
}

/* --- ranks ------------------------------------------------------------------------------------ */

static void reply_rank(struct resp_client *c, const struct slice *argv, uint32_t argc,
                       const char *name, bool backward)
{
    bool with_score = argc > 3;
    if (argc > 4) {
        reply_wrong_arity(c, name);
        return;
    }
    if (with_score && !slice_is_nocase(argv[3], "withscore")) {
        reply_syntax(c);
        return;
    }
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, argv[1], STORE_ZSET, &h, &item);
    if (found == CLIENT_WRONG_KIND) {
        return;
    }
    uint64_t rank;
    bool is_member = found == CLIENT_FOUND && coll_rank(&h, item, argv[2], &rank);
    if (!is_member && with_score) {
        resp_null_array(&c->conn.out, c->proto);
    } else if (!is_member) {
        reply_null(c);
    } else {
        if (with_score) {
            resp_array(&c->conn.out, 2);
        }
        reply_integer(c, (int64_t)(backward ? coll_count(item) - 1 - rank : rank));
        if (with_score) {
            reply_score(c, found, &h, item, argv[2]);
        }
    }
    if (found == CLIENT_FOUND) {
        store_drop(&h);
    }
}

void cmd_zrank(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_rank(c, argv, argc, "zrank", false);
}

void cmd_zrevrank(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_rank(c, argv, argc, "zrevrank", true);
}
