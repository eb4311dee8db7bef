/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LCS: the longest common subsequence of two strings, its length, or where its pieces lie.
 *
 * The table of lengths of all prefixes is filled, then walked back from its corner: along a diagonal where
 * the bytes are equal, else towards the greater neighbour (the second string's on a tie, as Redis does, or
 * the pieces would be others). A piece is a run of diagonal steps.
 *
 * The table takes 4 bytes for each pair of positions; what would be above limits.bulk is refused.
 *
 * Threads: the connection's worker, with the store owned: two keys at one moment.
 */
#include "serve/edit.h"

#include <stdlib.h>

struct lcs {
    struct slice a;
    struct slice b;
    uint32_t *table; /* (a.len + 1) rows of (b.len + 1) */
    bool length_only;
    bool indexes;
    bool with_len;
    int64_t min_len;
};

static uint32_t *cell(const struct lcs *l, size_t i, size_t j)
{
    return &l->table[i * (l->b.len + 1) + j];
}

static void fill_table(const struct lcs *l)
{
    for (size_t i = 1; i <= l->a.len; i++) {
        for (size_t j = 1; j <= l->b.len; j++) {
            uint32_t up = *cell(l, i - 1, j);
            uint32_t left = *cell(l, i, j - 1);
            *cell(l, i, j) = l->a.ptr[i - 1] == l->b.ptr[j - 1] ? *cell(l, i - 1, j - 1) + 1
                             : up > left                        ? up
                                                                : left;
        }
    }
}

/* One piece as the walk leaves it: [i, i + len) of a, [j, j + len) of b. */
struct piece {
    size_t i;
    size_t j;
    size_t len;
};

/* The next piece before (*i, *j), which move in front of it. False: none. */
static bool next_piece(const struct lcs *l, size_t *i, size_t *j, struct piece *ret_piece)
{
    while (*i > 0 && *j > 0 && l->a.ptr[*i - 1] != l->b.ptr[*j - 1]) {
        if (*cell(l, *i - 1, *j) > *cell(l, *i, *j - 1)) {
            (*i)--;
        } else {
            (*j)--;
        }
    }
    size_t end = *i;
    while (*i > 0 && *j > 0 && l->a.ptr[*i - 1] == l->b.ptr[*j - 1]) {
        (*i)--;
        (*j)--;
    }
    *ret_piece = (struct piece){*i, *j, end - *i};
    return end > *i;
}

static void reply_span(struct resp_client *c, size_t from, size_t len)
{
    resp_array(&c->conn.out, 2);
    reply_integer(c, (int64_t)from);
    reply_integer(c, (int64_t)(from + len - 1));
}

/* Two passes: the number of pieces comes first in the reply. */
static void reply_indexes(struct resp_client *c, const struct lcs *l)
{
    struct piece p;
    uint64_t count = 0;
    for (size_t i = l->a.len, j = l->b.len; next_piece(l, &i, &j, &p);) {
        count += (int64_t)p.len >= l->min_len ? 1 : 0;
    }
    resp_map(&c->conn.out, c->proto, 2);
    resp_bulk_str(&c->conn.out, "matches");
    resp_array(&c->conn.out, count);
    for (size_t i = l->a.len, j = l->b.len; next_piece(l, &i, &j, &p);) {
        if ((int64_t)p.len < l->min_len) {
            continue;
        }
        if (!client_room(c, 4 * (size_t)REPLY_FRAME)) {
            return;
        }
        resp_array(&c->conn.out, l->with_len ? 3 : 2);
        reply_span(c, p.i, p.len);
        reply_span(c, p.j, p.len);
        if (l->with_len) {
            reply_integer(c, (int64_t)p.len);
        }
    }
    resp_bulk_str(&c->conn.out, "len");
    reply_integer(c, *cell(l, l->a.len, l->b.len));
}

static void reply_text(struct resp_client *c, const struct lcs *l)
{
    struct piece p;
    size_t len = *cell(l, l->a.len, l->b.len);
    char *text = malloc(len + 1);
    if (text == NULL) {
        resp_error(&c->conn.out,
                   "ERR Insufficient memory, failed allocating transient memory for LCS");
        return;
    }
    size_t free_bytes = len;
    for (size_t i = l->a.len, j = l->b.len; next_piece(l, &i, &j, &p);) {
        free_bytes -= p.len;
        memcpy(text + free_bytes, l->a.ptr + p.i, p.len);
    }
    reply_bulk(c, (struct slice){text, len});
    free(text);
}

static void compute(struct resp_client *c, struct lcs *l)
{
    size_t cells;
    bool too_many = __builtin_mul_overflow(l->a.len + 1, l->b.len + 1, &cells);
    if (too_many || cells > c->worker->plan->policy->limits.bulk_max / sizeof(*l->table)) {
        resp_error(&c->conn.out, "ERR Insufficient memory, transient memory for LCS exceeds "
                                 "proto-max-bulk-len");
        return;
    }
    l->table = calloc(cells, sizeof(*l->table));
    if (l->table == NULL) {
        resp_error(&c->conn.out,
                   "ERR Insufficient memory, failed allocating transient memory for LCS");
        return;
    }
    fill_table(l);
    if (l->indexes) {
        reply_indexes(c, l);
    } else if (l->length_only) {
        reply_integer(c, *cell(l, l->a.len, l->b.len));
    } else {
        reply_text(c, l);
    }
    free(l->table);
}

/* Copies, since looking up the second key may remove or move something. False after replying. */
static bool take_string(struct resp_client *c, struct slice key, struct buf *ret_text)
{
    struct store_hold h;
    struct store_item *item;
    if (!client_read(c, key, &h, &item)) {
        return true;
    }
    bool is_string = store_item_kind(item) == STORE_STRING;
    bool fits = is_string && buf_try_append_slice(ret_text, store_item_value(item));
    store_drop(&h);
    if (!is_string) {
        resp_error(&c->conn.out, "ERR The specified keys must contain string values");
    } else if (!fits) {
        reply_no_memory(c);
    }
    return fits;
}

/* False after replying. */
static bool parse(struct resp_client *c, const struct slice *argv, uint32_t argc, struct lcs *l)
{
    for (uint32_t i = 3; i < argc; i++) {
        if (slice_is_nocase(argv[i], "idx")) {
            l->indexes = true;
        } else if (slice_is_nocase(argv[i], "len")) {
            l->length_only = true;
        } else if (slice_is_nocase(argv[i], "withmatchlen")) {
            l->with_len = true;
        } else if (slice_is_nocase(argv[i], "minmatchlen") && i + 1 < argc) {
            if (!arg_integer(c, argv[++i], &l->min_len)) {
                return false;
            }
        } else {
            reply_syntax(c);
            return false;
        }
    }
    if (l->indexes && l->length_only) {
        resp_error(&c->conn.out,
                   "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

void cmd_lcs(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct lcs l = {.min_len = 0};
    struct buf a;
    struct buf b;
    buf_init(&a);
    buf_init(&b);
    client_own(c);
    bool have = take_string(c, argv[1], &a) && take_string(c, argv[2], &b);
    client_disown(c);
    l.a = buf_readable(&a);
    l.b = buf_readable(&b);
    if (have && parse(c, argv, argc, &l)) {
        compute(c, &l);
    }
    buf_fini(&a);
    buf_fini(&b);
}
