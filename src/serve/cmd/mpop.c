/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpop.h's commands: the arguments are read, the keys are tried in their order, and who finds
 * nothing waits.
 *
 * Several keys are looked at at one moment (the store is owned), as Redis does.
 *
 * Threads: the connection's worker.
 */
#include "serve/cmd/mpop.h"

#include "base/number.h"
#include "serve/blocked.h"

/* --- arguments -------------------------------------------------------------------------------- */

static bool parse_positive(struct resp_client *c, struct slice arg, const char *name,
                           uint64_t *ret_value)
{
    int64_t value;
    if (!number_parse_i64(arg, &value) || value <= 0) {
        resp_error(&c->conn.out, "ERR %s should be greater than 0", name);
        return false;
    }
    *ret_value = (uint64_t)value;
    return true;
}

/* From argv[first], numkeys, on. False after replying. */
static bool parse(struct resp_client *c, const struct mpop_kind *of, const struct slice *argv,
                  uint32_t argc, uint32_t first, struct mpop *ret_mpop)
{
    uint64_t keys;
    struct mpop m = {.of = of, .keys = argv + first + 1, .count = 1};
    if (!parse_positive(c, argv[first], "numkeys", &keys)) {
        return false;
    }
    uint64_t left = argc - first - 1; /* arguments behind numkeys */
    if (keys >= left) {
        reply_syntax(c);
        return false;
    }
    const struct slice *end = m.keys + keys;
    bool has_count = left >= keys + 3 && slice_is_nocase(end[1], "count");
    m.key_count = (uint32_t)keys;
    m.from_second = slice_is_nocase(end[0], of->ends[1]);
    if (!m.from_second && !slice_is_nocase(end[0], of->ends[0])) {
        reply_syntax(c);
        return false;
    }
    if (has_count && !parse_positive(c, end[2], "count", &m.count)) {
        return false;
    }
    if (left != keys + (has_count ? 3 : 1)) {
        reply_syntax(c);
        return false;
    }
    *ret_mpop = m;
    return true;
}

/* --- popping ---------------------------------------------------------------------------------- */

/* False: no key has any; nothing was replied. */
static bool pop_first(struct resp_client *c, const void *args)
{
    const struct mpop *m = args;
    enum client_found found = CLIENT_ABSENT;
    if (m->key_count > 1) {
        client_own(c);
    }
    for (uint32_t i = 0; i < m->key_count && found == CLIENT_ABSENT; i++) {
        found = m->of->pop(c, m->keys[i], m);
    }
    if (m->key_count > 1) {
        client_disown(c);
    }
    return found != CLIENT_ABSENT;
}

static void pop_or_wait(struct resp_client *c, const struct mpop *m, uint64_t timeout_ms,
                        const struct slice *argv, uint32_t argc)
{
    block_run(c, &(struct block){.attempt = pop_first,
                                 .args = m,
                                 .kind = m->of->kind,
                                 .keys = m->keys,
                                 .key_count = m->key_count,
                                 .timeout_ms = timeout_ms,
                                 .argv = argv,
                                 .argc = argc});
}

void mpop_now(struct resp_client *c, const struct mpop_kind *of, const struct slice *argv,
              uint32_t argc)
{
    struct mpop m;
    if (parse(c, of, argv, argc, 1, &m) && !pop_first(c, &m)) {
        resp_null_array(&c->conn.out, c->proto);
    }
}

void mpop_or_wait(struct resp_client *c, const struct mpop_kind *of, const struct slice *argv,
                  uint32_t argc)
{
    uint64_t timeout_ms;
    struct mpop m;
    if (arg_timeout_s(c, argv[1], &timeout_ms) && parse(c, of, argv, argc, 2, &m)) {
        pop_or_wait(c, &m, timeout_ms, argv, argc);
    }
}

void mpop_one_or_wait(struct resp_client *c, const struct mpop_kind *of, bool from_second,
                      const struct slice *argv, uint32_t argc)
{
    uint64_t timeout_ms;
    struct mpop m = {.of = of,
                     .keys = argv + 1,
                     .key_count = argc - 2,
                     .from_second = from_second,
                     .one = true,
                     .count = 1};
    if (arg_timeout_s(c, argv[argc - 1], &timeout_ms)) {
        pop_or_wait(c, &m, timeout_ms, argv, argc);
    }
}
