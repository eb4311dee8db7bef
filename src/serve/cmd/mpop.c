/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the arguments of LMPOP and ZMPOP; mpop.h shows them.
 */
#include "serve/cmd/mpop.h"

#include "base/number.h"

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

bool arg_mpop(struct resp_client *c, const struct slice *argv, uint32_t argc, uint32_t first,
              const char *a, const char *b, struct mpop *ret_mpop)
{
    uint64_t keys;
    struct mpop m = {.keys = argv + first + 1, .count = 1};
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
    m.from_second = slice_is_nocase(end[0], b);
    if (!m.from_second && !slice_is_nocase(end[0], a)) {
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
