/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LPOS: where in a list an element is. RANK says which of several matches comes first, negative from the
 * tail; COUNT how many are wanted (0: all); MAXLEN how many elements are looked at.
 */
#include "serve/edit.h"

#include "base/number.h"

struct search {
    struct slice element;
    bool backward;
    uint64_t skip; /* matches */
    bool has_count;
    uint64_t count;         /* 0: all */
    uint64_t max_looked_at; /* 0: all */
};

static bool parse_rank(struct resp_client *c, struct slice arg, struct search *s)
{
    int64_t rank;
    if (!arg_integer(c, arg, &rank)) {
        return false;
    }
    if (rank == 0) {
        resp_error(&c->conn.out,
                   "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second "
                   "... or use negative to start from the end of the list");
        return false;
    }
    if (rank == INT64_MIN) {
        resp_error(&c->conn.out, "ERR value is out of range, value must between %lld and %lld",
                   -(long long)INT64_MAX, (long long)INT64_MAX);
        return false;
    }
    s->backward = rank < 0;
    s->skip = (uint64_t)(rank < 0 ? -rank : rank) - 1;
    return true;
}

static bool parse_positive(struct resp_client *c, struct slice arg, const char *name,
                           uint64_t *ret_value)
{
    int64_t value;
    if (!number_parse_i64(arg, &value) || value < 0) {
        resp_error(&c->conn.out, "ERR %s can't be negative", name);
        return false;
    }
    *ret_value = (uint64_t)value;
    return true;
}

static bool parse_search(struct resp_client *c, const struct slice *argv, uint32_t argc,
                         struct search *ret_search)
{
    struct search s = {.element = argv[2], .count = 1};
    for (uint32_t i = 3; i < argc; i += 2) {
        bool fits = false;
        bool has_value = i + 1 < argc;
        if (has_value && slice_is_nocase(argv[i], "rank")) {
            fits = parse_rank(c, argv[i + 1], &s);
        } else if (has_value && slice_is_nocase(argv[i], "count")) {
            fits = s.has_count = parse_positive(c, argv[i + 1], "COUNT", &s.count);
        } else if (has_value && slice_is_nocase(argv[i], "maxlen")) {
            fits = parse_positive(c, argv[i + 1], "MAXLEN", &s.max_looked_at);
        } else {
            reply_syntax(c);
        }
        if (!fits) {
            return false;
        }
    }
    *ret_search = s;
    return true;
}

/* Appends the places of the matches as integers; returns how many. */
static uint64_t append_matches(const struct store_hold *h, const struct store_item *item,
                               struct search s, struct buf *out)
{
    uint64_t length = coll_count(item);
    uint64_t looks = s.max_looked_at > 0 && s.max_looked_at < length ? s.max_looked_at : length;
    uint64_t found = 0;
    struct coll_walk walk __attribute__((uninitialized));
    struct coll_element e;
    coll_walk_begin(h, item, s.backward ? length - 1 : 0, s.backward, &walk);
    for (uint64_t i = 0; i < looks && coll_walk_next(&walk, &e); i++) {
        if (!slice_eq(e.name, s.element)) {
            continue;
        }
        if (s.skip > 0) {
            s.skip--;
            continue;
        }
        resp_integer(out, (int64_t)(s.backward ? length - 1 - i : i));
        if (++found == s.count) {
            break;
        }
    }
    return found;
}

static void reply_search(struct resp_client *c, const struct store_hold *h,
                         const struct store_item *item, const struct search *s)
{
    struct buf places;
    buf_init(&places);
    uint64_t found = item != NULL ? append_matches(h, item, *s, &places) : 0;
    if (s->has_count) {
        resp_array(&c->conn.out, found);
    } else if (found == 0) {
        reply_null(c);
    }
    if (client_room(c, buf_len(&places))) {
        buf_append_slice(&c->conn.out, buf_readable(&places));
    }
    buf_fini(&places);
}

void cmd_lpos(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct search s;
    if (!parse_search(c, argv, argc, &s)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_read_kind(c, argv[1], STORE_LIST, &h, &item)) {
    case CLIENT_FOUND:
        reply_search(c, &h, item, &s);
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        reply_search(c, NULL, NULL, &s);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}
