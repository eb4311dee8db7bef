/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SINTER, SUNION, SDIFF, their STORE forms, and SINTERCARD.
 *
 * All keys are read at one moment: the store is owned. An intersection walks the smallest set and asks the
 * others, smallest first; a difference walks the first set and asks the others; a union walks all and
 * remembers what it has seen (gather.h).
 */
#include "serve/cmd/gather.h"

#include "base/number.h"

enum algebra { ALGEBRA_INTER, ALGEBRA_UNION, ALGEBRA_DIFF };

static bool in_all_others(const struct gather_sources *s, struct slice name)
{
    double ignored;
    uint32_t i = 1;
    while (i < s->count && gather_find(&s->at[i], name, &ignored)) {
        i++;
    }
    return i == s->count;
}

static bool in_any_other(const struct gather_sources *s, struct slice name)
{
    double ignored;
    uint32_t i = 1;
    while (i < s->count && !gather_find(&s->at[i], name, &ignored)) {
        i++;
    }
    return i < s->count;
}

/* Counts them, up to `limit`, and gathers them unless `g` is NULL. */
static uint64_t intersect(struct gather_sources *s, uint64_t limit, struct gather *g)
{
    uint64_t count = 0;
    if (s->any_absent) {
        return 0;
    }
    gather_by_count(s);
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element member;
    coll_walk_begin(&s->at[0].hold, s->at[0].item, 0, false, &walk);
    while (count < limit && coll_walk_next(&walk, &member)) {
        bool is_common = in_all_others(s, member.name);
        count += is_common ? 1 : 0;
        if (is_common && g != NULL) {
            gather_add(g, member.name, 1);
        }
    }
    return count;
}

static void subtract(const struct gather_sources *s, struct gather *g)
{
    if (s->at[0].item == NULL) {
        return;
    }
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element member;
    coll_walk_begin(&s->at[0].hold, s->at[0].item, 0, false, &walk);
    while (!g->failed && coll_walk_next(&walk, &member)) {
        if (!in_any_other(s, member.name)) {
            gather_add(g, member.name, 1);
        }
    }
}

static void unite(const struct gather_sources *s, struct gather *g)
{
    for (uint32_t i = 0; i < s->count && !g->failed; i++) {
        struct coll_walk walk __attribute__((uninitialized));
        struct coll_element member;
        bool is_new;
        if (s->at[i].item == NULL) {
            continue;
        }
        coll_walk_begin(&s->at[i].hold, s->at[i].item, 0, false, &walk);
        while (!g->failed && coll_walk_next(&walk, &member)) {
            (void)gather_put(g, member.name, 1, &is_new);
        }
    }
}

/* With the store owned. `to` NULL: the members are replied. */
static void run(struct resp_client *c, enum algebra what, const struct slice *keys, uint32_t count,
                const struct gather_target *to)
{
    struct gather_sources sources;
    if (!gather_open(c, GATHER_SETS, keys, count, &sources)) {
        return;
    }
    struct gather g = {.all = NULL};
    switch (what) {
    case ALGEBRA_INTER:
        (void)intersect(&sources, UINT64_MAX, &g);
        break;
    case ALGEBRA_UNION:
        unite(&sources, &g);
        break;
    case ALGEBRA_DIFF:
        subtract(&sources, &g);
        break;
    }
    if (to != NULL) {
        gather_store(c, &g, &sources, to);
    } else {
        gather_reply_names(c, &g, true);
        gather_close(&sources);
    }
    gather_fini(&g);
}

static void reply_members(struct resp_client *c, enum algebra what, const struct slice *argv,
                          uint32_t argc)
{
    client_own(c);
    run(c, what, argv + 1, argc - 1, NULL);
    client_disown(c);
}

void cmd_sinter(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_members(c, ALGEBRA_INTER, argv, argc);
}

void cmd_sunion(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_members(c, ALGEBRA_UNION, argv, argc);
}

void cmd_sdiff(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_members(c, ALGEBRA_DIFF, argv, argc);
}

static void store_members(struct resp_client *c, enum algebra what, const struct slice *argv,
                          uint32_t argc, const char *event)
{
    struct gather_target to = {.key = argv[1], .kind = STORE_SET, .event = event};
    client_own(c);
    run(c, what, argv + 2, argc - 2, &to);
    client_disown(c);
}

void cmd_sinterstore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    store_members(c, ALGEBRA_INTER, argv, argc, "sinterstore");
}

void cmd_sunionstore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    store_members(c, ALGEBRA_UNION, argv, argc, "sunionstore");
}

void cmd_sdiffstore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    store_members(c, ALGEBRA_DIFF, argv, argc, "sdiffstore");
}

/* --- SINTERCARD --------------------------------------------------------------------------------- */

/* False after replying. `ret_limit` UINT64_MAX: none. */
static bool parse_card(struct resp_client *c, const struct slice *argv, uint32_t argc,
                       uint32_t *ret_count, uint64_t *ret_limit)
{
    int64_t count;
    int64_t limit = 0;
    if (!number_parse_i64(argv[1], &count) || count < 1) {
        resp_error(&c->conn.out, "ERR numkeys should be greater than 0");
        return false;
    }
    if (count > argc - 2) {
        resp_error(&c->conn.out, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    for (uint32_t i = 2 + (uint32_t)count; i < argc; i += 2) {
        if (!slice_is_nocase(argv[i], "limit") || i + 1 == argc) {
            reply_syntax(c);
            return false;
        }
        if (!number_parse_i64(argv[i + 1], &limit) || limit < 0) {
            resp_error(&c->conn.out, "ERR LIMIT can't be negative");
            return false;
        }
    }
    *ret_count = (uint32_t)count;
    *ret_limit = limit == 0 ? UINT64_MAX : (uint64_t)limit;
    return true;
}

void cmd_sintercard(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    uint32_t count;
    uint64_t limit;
    if (!parse_card(c, argv, argc, &count, &limit)) {
        return;
    }
    struct gather_sources sources;
    client_own(c);
    if (gather_open(c, GATHER_SETS, argv + 2, count, &sources)) {
        reply_integer(c, (int64_t)intersect(&sources, limit, NULL));
        gather_close(&sources);
    }
    client_disown(c);
}
