/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What collections leave in the log of a durable space; effect.h says why it is the store that writes it.
 *
 * Threads: the hold's.
 */
#include "store/coll_priv.h"

#include "base/check.h"
#include "store/effect.h"

#include <inttypes.h>
#include <stdio.h>

enum { ELEMENTS_A_COMMAND = 64 };

static void arg_id(struct store_hold *h, struct coll_id id)
{
    char text[48];
    int len = snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
    effect_arg(h, (struct slice){text, (size_t)len});
}

static void begin(struct store_hold *h, const char *name, uint64_t more)
{
    effect_command(h, name, (uint32_t)more + 1);
    effect_arg(h, h->key);
}

/* --- by name ------------------------------------------------------------------------------------ */

static void args_of(struct store_hold *h, enum store_kind kind, const struct coll_element *e)
{
    if (kind == STORE_ZSET) {
        effect_arg_double(h, e->score);
    }
    effect_arg(h, e->name);
    if (kind == STORE_HASH) {
        effect_arg(h, e->value);
    }
}

static const char *adder_of(enum store_kind kind)
{
    switch (kind) {
    case STORE_LIST:
        return "RPUSH";
    case STORE_SET:
        return "SADD";
    case STORE_ZSET:
        return "ZADD";
    case STORE_HASH:
        return "HSET";
    case STORE_STRING:
    case STORE_STREAM:
        break;
    }
    unreachable();
}

static uint32_t args_per_element(enum store_kind kind)
{
    return kind == STORE_ZSET || kind == STORE_HASH ? 2 : 1;
}

void coll_log_put(struct store_hold *h, enum store_kind kind, const struct coll_element *e)
{
    if (effect_wanted(h)) {
        effect_more(h, adder_of(kind), args_per_element(kind));
        args_of(h, kind, e);
    }
}

static const char *remover_of(enum store_kind kind)
{
    return kind == STORE_SET ? "SREM" : kind == STORE_HASH ? "HDEL" : "ZREM";
}

void coll_log_remove(struct store_hold *h, enum store_kind kind, struct slice name)
{
    if (effect_wanted(h)) {
        effect_more(h, remover_of(kind), 1);
        effect_arg(h, name);
    }
}

/* --- by rank ------------------------------------------------------------------------------------ */

/* Names each of them, in commands of a bounded length. */
static void log_each(struct store_hold *h, const struct store_item *it, uint64_t rank,
                     uint64_t count)
{
    enum store_kind kind = (enum store_kind)it->kind;
    struct coll_walk walk;
    coll_walk_begin(h, it, rank, false, &walk);
    while (count > 0) {
        uint64_t part = count < ELEMENTS_A_COMMAND ? count : ELEMENTS_A_COMMAND;
        begin(h, kind == STORE_STREAM ? "XDEL" : remover_of(kind), part);
        for (uint64_t i = 0; i < part; i++) {
            struct coll_element e;
            check(coll_walk_next(&walk, &e));
            if (kind == STORE_STREAM) {
                arg_id(h, e.id);
            } else {
                effect_arg(h, e.name);
            }
        }
        count -= part;
    }
}

void coll_log_cut(struct store_hold *h, const struct store_item *it, uint64_t rank, uint64_t count)
{
    if (!effect_wanted(h)) {
        return;
    }
    uint64_t total = coll_count(it);
    enum store_kind kind = (enum store_kind)it->kind;
    if (kind != STORE_STREAM && count == total) {
        effect_removed(h);
    } else if (kind == STORE_LIST) {
        begin(h, rank == 0 ? "LPOP" : "RPOP", 1);
        effect_arg_unsigned(h, count);
    } else if (kind == STORE_ZSET) {
        begin(h, "ZREMRANGEBYRANK", 2);
        effect_arg_unsigned(h, rank);
        effect_arg_unsigned(h, rank + count - 1);
    } else if (kind == STORE_STREAM && rank == 0) {
        begin(h, "XTRIM", 2);
        effect_arg_str(h, "MAXLEN");
        effect_arg_unsigned(h, total - count);
    } else {
        log_each(h, it, rank, count);
    }
}

/* --- streams ------------------------------------------------------------------------------------ */

static void entry(struct store_hold *h, const struct coll_element *e)
{
    begin(h, "XADD", 1 + coll_field_count(e->name));
    arg_id(h, e->id);
    struct slice rest = e->name;
    struct slice text;
    while (coll_field_next(&rest, &text)) {
        effect_arg(h, text);
    }
}

void coll_log_entry(struct store_hold *h, const struct coll_element *e)
{
    if (effect_wanted(h)) {
        entry(h, e);
    }
}

static void stream_info(struct store_hold *h, const struct coll_stream *info)
{
    bool has_deleted = info->max_deleted.ms != 0 || info->max_deleted.seq != 0;
    begin(h, "XSETID", has_deleted ? 5 : 3);
    arg_id(h, info->last);
    effect_arg_str(h, "ENTRIESADDED");
    effect_arg_unsigned(h, info->added);
    if (has_deleted) {
        effect_arg_str(h, "MAXDELETEDID");
        arg_id(h, info->max_deleted);
    }
}

/* Redis makes an empty stream by adding an entry that does not stay. */
static void empty_stream(struct store_hold *h, struct coll_id last)
{
    if (last.ms == 0 && last.seq == 0) {
        last.seq = 1;
    }
    begin(h, "XADD", 5);
    effect_arg_str(h, "MAXLEN");
    effect_arg_str(h, "0");
    arg_id(h, last);
    effect_arg_str(h, "x");
    effect_arg_str(h, "y");
}

void coll_log_stream(struct store_hold *h, const struct coll_stream *info, bool created)
{
    if (!effect_wanted(h)) {
        return;
    }
    if (created) {
        empty_stream(h, info->last);
    }
    stream_info(h, info);
}

/* --- whole items -------------------------------------------------------------------------------- */

/* Elements from `rank` on, until they take so many bytes. Returns the rank behind them. */
static uint64_t elements(struct store_hold *h, const struct store_item *it, uint64_t rank,
                         size_t max_bytes)
{
    enum store_kind kind = (enum store_kind)it->kind;
    uint64_t total = coll_count(it);
    size_t begun = buf_len(&h->gate->effects);
    struct coll_walk walk;
    struct coll_element e;
    coll_walk_begin(h, it, rank, false, &walk);
    while (rank < total && buf_len(&h->gate->effects) - begun < max_bytes) {
        uint64_t left = total - rank;
        uint64_t part = left < ELEMENTS_A_COMMAND ? left : ELEMENTS_A_COMMAND;
        if (kind == STORE_STREAM) {
            part = 1;
            check(coll_walk_next(&walk, &e));
            entry(h, &e);
        } else {
            begin(h, adder_of(kind), part * args_per_element(kind));
            for (uint64_t i = 0; i < part; i++) {
                check(coll_walk_next(&walk, &e));
                args_of(h, kind, &e);
            }
        }
        rank += part;
    }
    return rank;
}

static void stream_end(struct store_hold *h, const struct store_item *it)
{
    struct coll_stream info = coll_stream_info(it);
    if (coll_count(it) == 0) {
        empty_stream(h, info.last);
    }
    stream_info(h, &info);
}

void effect_item(struct store_hold *h, const struct store_item *it)
{
    if (!effect_wanted(h)) {
        return;
    }
    if (it->kind == STORE_STRING) {
        effect_string(h, it);
        return;
    }
    effect_removed(h);
    (void)elements(h, it, 0, SIZE_MAX);
    if (it->kind == STORE_STREAM) {
        stream_end(h, it);
    }
    if (item_expiry(it) != 0) {
        effect_expiry(h, item_expiry(it));
    }
}

/* The effects on `aside` are those of a hold that holds it. */
uint64_t effect_part(struct store_hold *h, const struct store_item *it, struct slice aside,
                     uint64_t rank, size_t max_bytes)
{
    struct slice own = h->key;
    h->key = aside;
    rank = elements(h, it, rank, max_bytes);
    bool is_all = rank == coll_count(it);
    if (is_all && it->kind == STORE_STREAM) {
        stream_end(h, it);
    }
    if (is_all) {
        begin(h, "RENAME", 1);
        effect_arg(h, own);
    }
    h->key = own;
    if (is_all && item_expiry(it) != 0) {
        effect_expiry(h, item_expiry(it));
    }
    return rank;
}
