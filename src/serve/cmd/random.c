/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drawing lots: SRANDMEMBER, HRANDFIELD, ZRANDMEMBER, and SPOP.
 *
 * An element is drawn by its rank, so every element is as likely as any other, whatever its size. Several
 * different ones are drawn as a sorted array of ranks: when many of all are wanted, one pass over the ranks
 * takes each with the chance that is left to it; when few are, ranks are drawn until there are enough
 * different ones.
 *
 * SPOP replies first and removes afterwards, the highest rank first: ranks below stay what they are, and a
 * reply that may not be sent loses nothing.
 */
#include "serve/edit.h"

#include "base/alloc.h"
#include "base/number.h"

#include <stdlib.h>

/* --- ranks ------------------------------------------------------------------------------------ */

enum { FEW = 4 }; /* below an n-th of all, ranks are drawn one by one */

static uint64_t draw_below(struct resp_client *c, uint64_t n)
{
    return (uint64_t)store_draw(c->worker->gate) * n >> 32;
}

static void draw_by_pass(struct resp_client *c, uint64_t total, uint64_t count, uint64_t *ranks)
{
    uint64_t taken = 0;
    for (uint64_t rank = 0; taken < count; rank++) {
        if (draw_below(c, total - rank) < count - taken) {
            ranks[taken++] = rank;
        }
    }
}

static int by_rank(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* False: already in the table. */
static bool note_rank(uint64_t *table, uint64_t mask, uint64_t rank)
{
    uint64_t at = rank * 0x9e3779b97f4a7c15ULL >> 20 & mask;
    while (table[at] != 0) {
        if (table[at] == rank + 1) {
            return false;
        }
        at = (at + 1) & mask;
    }
    table[at] = rank + 1;
    return true;
}

static bool draw_one_by_one(struct resp_client *c, uint64_t total, uint64_t count, uint64_t *ranks)
{
    uint64_t slots = 8;
    while (slots < 2 * count) {
        slots *= 2;
    }
    uint64_t *table = alloc_try(slots * sizeof(*table));
    if (table == NULL) {
        return false;
    }
    memset(table, 0, slots * sizeof(*table));
    for (uint64_t taken = 0; taken < count;) {
        ranks[taken] = draw_below(c, total);
        taken += note_rank(table, slots - 1, ranks[taken]) ? 1 : 0;
    }
    free(table);
    qsort(ranks, count, sizeof(*ranks), by_rank);
    return true;
}

/* `count` different ranks of `total`, ascending, malloc'ed; NULL after replying that there is no memory. */
static uint64_t *draw_ranks(struct resp_client *c, uint64_t total, uint64_t count)
{
    uint64_t *ranks = alloc_try((count + 1) * sizeof(*ranks));
    bool drawn = ranks != NULL;
    if (drawn && count < total / FEW) {
        drawn = draw_one_by_one(c, total, count, ranks);
    } else if (drawn) {
        draw_by_pass(c, total, count, ranks);
    }
    if (!drawn) {
        free(ranks);
        resp_error(&c->conn.out, "OOM no memory to draw so many; ask for less at once");
        return NULL;
    }
    return ranks;
}

/* --- SRANDMEMBER, HRANDFIELD, ZRANDMEMBER ------------------------------------------------------- */

struct lot {
    enum store_kind kind;
    int64_t count; /* negative: as many draws, repetitions allowed */
    bool more;     /* values or scores too */
};

static bool reply_element(struct resp_client *c, const struct lot *lot,
                          const struct coll_element *e)
{
    if (!lot->more) {
        return reply_bulk(c, e->name);
    }
    if (lot->kind == STORE_ZSET) {
        return reply_scored(c, e, c->proto >= 3);
    }
    if (!client_room(c, e->name.len + e->value.len + (size_t)3 * REPLY_FRAME)) {
        return false;
    }
    if (c->proto >= 3) {
        resp_array(&c->conn.out, 2);
    }
    resp_bulk(&c->conn.out, e->name);
    resp_bulk(&c->conn.out, e->value);
    return true;
}

static void reply_head(struct resp_client *c, const struct lot *lot, uint64_t count)
{
    resp_array(&c->conn.out, lot->more && c->proto < 3 ? 2 * count : count);
}

static void reply_draws(struct resp_client *c, const struct lot *lot, const struct store_hold *h,
                        const struct store_item *item)
{
    uint64_t draws = 0 - (uint64_t)lot->count;
    uint64_t total = coll_count(item);
    struct coll_element e;
    bool fits = true;
    reply_head(c, lot, draws);
    for (uint64_t i = 0; i < draws && fits; i++) {
        (void)coll_at(h, item, draw_below(c, total), &e);
        fits = reply_element(c, lot, &e);
    }
}

static void reply_whole(struct resp_client *c, const struct lot *lot, const struct store_hold *h,
                        const struct store_item *item)
{
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    reply_head(c, lot, coll_count(item));
    coll_walk_begin(h, item, 0, false, &walk);
    while (coll_walk_next(&walk, &e) && reply_element(c, lot, &e)) {
    }
}

static void reply_different(struct resp_client *c, const struct lot *lot,
                            const struct store_hold *h, const struct store_item *item)
{
    uint64_t count = (uint64_t)lot->count;
    uint64_t *ranks = draw_ranks(c, coll_count(item), count);
    if (ranks == NULL) {
        return;
    }
    struct coll_element e;
    bool fits = true;
    reply_head(c, lot, count);
    for (uint64_t i = 0; i < count && fits; i++) {
        (void)coll_at(h, item, ranks[i], &e);
        fits = reply_element(c, lot, &e);
    }
    free(ranks);
}

static void reply_lot(struct resp_client *c, struct slice key, const struct lot *lot)
{
    struct store_hold h;
    struct store_item *item;
    switch (client_read_kind(c, key, lot->kind, &h, &item)) {
    case CLIENT_FOUND:
        if (lot->count < 0) {
            reply_draws(c, lot, &h, item);
        } else if ((uint64_t)lot->count >= coll_count(item)) {
            reply_whole(c, lot, &h, item);
        } else {
            reply_different(c, lot, &h, item);
        }
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        resp_array(&c->conn.out, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

static void reply_one(struct resp_client *c, struct slice key, enum store_kind kind)
{
    struct store_hold h;
    struct store_item *item;
    struct coll_element e;
    switch (client_read_kind(c, key, kind, &h, &item)) {
    case CLIENT_FOUND:
        (void)coll_at(&h, item, draw_below(c, coll_count(item)), &e);
        reply_bulk(c, e.name);
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        reply_null(c);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

/* `more_word`: the option that asks for values or scores; NULL: there is none. */
static void random_elements(struct resp_client *c, const struct slice *argv, uint32_t argc,
                            enum store_kind kind, const char *more_word)
{
    if (argc == 2) {
        reply_one(c, argv[1], kind);
        return;
    }
    struct lot lot = {.kind = kind};
    if (more_word == NULL && argc > 3) {
        reply_syntax(c);
        return;
    }
    if (!arg_integer_between(c, argv[2], -INT64_MAX, INT64_MAX, &lot.count)) {
        return;
    }
    lot.more = argc > 3;
    if (argc > 4 || (lot.more && !slice_is_nocase(argv[3], more_word))) {
        reply_syntax(c);
        return;
    }
    if (lot.more && (lot.count < -INT64_MAX / 2 || lot.count > INT64_MAX / 2)) {
        resp_error(&c->conn.out, "ERR value is out of range");
        return;
    }
    reply_lot(c, argv[1], &lot);
}

void cmd_srandmember(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    random_elements(c, argv, argc, STORE_SET, NULL);
}

void cmd_hrandfield(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    random_elements(c, argv, argc, STORE_HASH, "withvalues");
}

void cmd_zrandmember(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    random_elements(c, argv, argc, STORE_ZSET, "withscores");
}

/* --- SPOP ------------------------------------------------------------------------------------- */

static void pop_one(struct resp_client *c, struct store_hold *h, const struct store_item *item)
{
    struct coll_element e;
    uint64_t rank = draw_below(c, coll_count(item));
    (void)coll_at(h, item, rank, &e);
    if (reply_bulk(c, e.name)) {
        client_event_taken(c, EVENT_SET, "spop", h->key, coll_count(item) == 1);
        coll_cut(h, rank, 1);
    }
}

static void pop_some(struct resp_client *c, struct store_hold *h, const struct store_item *item,
                     uint64_t count)
{
    uint64_t *ranks = draw_ranks(c, coll_count(item), count);
    if (ranks == NULL) {
        return;
    }
    struct coll_element e;
    bool fits = true;
    resp_set(&c->conn.out, c->proto, count);
    for (uint64_t i = 0; i < count && fits; i++) {
        (void)coll_at(h, item, ranks[i], &e);
        fits = reply_bulk(c, e.name);
    }
    if (fits && count > 0) {
        client_event(c, EVENT_SET, "spop", h->key);
    }
    for (uint64_t i = count; i > 0 && fits; i--) {
        coll_cut(h, ranks[i - 1], 1);
    }
    free(ranks);
}

static void pop_all(struct resp_client *c, struct store_hold *h, const struct store_item *item)
{
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    bool fits = true;
    uint64_t count = coll_count(item);
    resp_set(&c->conn.out, c->proto, count);
    coll_walk_begin(h, item, 0, false, &walk);
    while (fits && coll_walk_next(&walk, &e)) {
        fits = reply_bulk(c, e.name);
    }
    if (fits) {
        client_event_taken(c, EVENT_SET, "spop", h->key, true);
        coll_cut(h, 0, count);
    }
}

void cmd_spop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t count = 1;
    bool several = argc > 2;
    if (argc > 3) {
        reply_syntax(c);
        return;
    }
    if (several && !arg_count(c, argv[2], &count)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_find_kind(c, argv[1], STORE_SET, &h, &item);
    if (found == CLIENT_ABSENT && several) {
        resp_set(&c->conn.out, c->proto, 0);
    } else if (found == CLIENT_ABSENT) {
        reply_null(c);
    }
    if (found != CLIENT_FOUND) {
        return;
    }
    if (!several) {
        pop_one(c, &h, item);
    } else if ((uint64_t)count < coll_count(item)) {
        pop_some(c, &h, item, (uint64_t)count);
    } else {
        pop_all(c, &h, item);
    }
    store_drop(&h);
}
