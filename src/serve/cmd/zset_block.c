/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BZPOPMIN, BZPOPMAX, BZMPOP: popping from the first of several sorted sets that has a member, and waiting for
 * one when none has. How members are popped is zpop()'s business.
 */
#include "serve/blocked.h"
#include "serve/cmd/mpop.h"
#include "serve/cmd/zpop.h"

struct pop_args {
    const struct slice *keys;
    uint32_t key_count;
    bool highest;
    uint64_t count;
    enum zpop_reply form;
};

static bool pop_first(struct resp_client *c, const void *args)
{
    const struct pop_args *p = args;
    enum client_found found = CLIENT_ABSENT;
    client_own(c);
    for (uint32_t i = 0; i < p->key_count && found == CLIENT_ABSENT; i++) {
        found = zpop(c, p->keys[i], p->highest, p->count, p->form);
    }
    client_disown(c);
    return found != CLIENT_ABSENT;
}

static void pop_or_wait(struct resp_client *c, const struct pop_args *p, uint64_t timeout_ms,
                        const struct slice *argv, uint32_t argc)
{
    block_run(c, &(struct block){.attempt = pop_first,
                                 .args = p,
                                 .kind = STORE_ZSET,
                                 .keys = p->keys,
                                 .key_count = p->key_count,
                                 .timeout_ms = timeout_ms,
                                 .argv = argv,
                                 .argc = argc});
}

static void blocking_pop(struct resp_client *c, const struct slice *argv, uint32_t argc,
                         bool highest)
{
    uint64_t timeout_ms;
    struct pop_args p = {.keys = argv + 1,
                         .key_count = argc - 2,
                         .highest = highest,
                         .count = 1,
                         .form = ZPOP_KEY_ONE};
    if (arg_timeout_s(c, argv[argc - 1], &timeout_ms)) {
        pop_or_wait(c, &p, timeout_ms, argv, argc);
    }
}

void cmd_bzpopmin(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    blocking_pop(c, argv, argc, false);
}

void cmd_bzpopmax(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    blocking_pop(c, argv, argc, true);
}

void cmd_bzmpop(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    uint64_t timeout_ms;
    struct mpop m;
    if (!arg_timeout_s(c, argv[1], &timeout_ms) || !arg_mpop(c, argv, argc, 2, "min", "max", &m)) {
        return;
    }
    struct pop_args p = {.keys = m.keys,
                         .key_count = m.key_count,
                         .highest = m.from_second,
                         .count = m.count,
                         .form = ZPOP_KEY_MANY};
    pop_or_wait(c, &p, timeout_ms, argv, argc);
}
