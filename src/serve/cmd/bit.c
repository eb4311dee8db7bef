/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Single bits of strings: GETBIT, SETBIT, BITCOUNT. Bit 0 is the highest of byte 0, as in Redis.
 *
 * Not done: BITOP, BITPOS, BITFIELD.
 */
#include "serve/edit.h"

#include "base/alloc.h"
#include "base/number.h"

#include <stdlib.h>

/* False after replying. */
static bool parse_offset(struct resp_client *c, struct slice arg, uint64_t *ret_bit)
{
    int64_t bit;
    if (!number_parse_i64(arg, &bit) || bit < 0 ||
        (uint64_t)bit >> 3 >= c->worker->plan->policy->limits.bulk_max) {
        resp_error(&c->conn.out, "ERR bit offset is not an integer or out of range");
        return false;
    }
    *ret_bit = (uint64_t)bit;
    return true;
}

static bool bit_of(struct slice value, uint64_t bit)
{
    return bit >> 3 < value.len && ((unsigned char)value.ptr[bit >> 3] >> (7 - (bit & 7)) & 1) != 0;
}

static void put_bit(char *byte, uint64_t bit, bool on)
{
    unsigned char mask = (unsigned char)(0x80 >> (bit & 7));
    unsigned char old = (unsigned char)*byte;
    *byte = (char)(on ? old | mask : old & (unsigned char)~mask);
}

void cmd_getbit(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    uint64_t bit;
    struct store_hold h;
    struct store_item *item;
    if (!parse_offset(c, argv[2], &bit)) {
        return;
    }
    switch (client_read_kind(c, argv[1], STORE_STRING, &h, &item)) {
    case CLIENT_FOUND:
        reply_integer(c, bit_of(store_item_value(item), bit) ? 1 : 0);
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        reply_integer(c, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}

/* A value that follows something is stored anew as it was stamped: store_edit() would judge it again. */
static enum err set_in_copy(struct client_edit *e, uint64_t bit, size_t len, bool on)
{
    struct slice old = store_item_value(e->item);
    char *bytes = xcalloc(1, len);
    memcpy(bytes, old.ptr, old.len);
    put_bit(bytes + (bit >> 3), bit, on);
    struct store_write w = client_write_like(e->item, (struct slice){bytes, len});
    enum err err = store_put(&e->hold, &w);
    free(bytes);
    return err;
}

static enum err set_bit(struct client_edit *e, uint64_t bit, bool on)
{
    size_t old_len = e->item != NULL ? store_item_value(e->item).len : 0;
    size_t len = (size_t)(bit >> 3) + 1 > old_len ? (size_t)(bit >> 3) + 1 : old_len;
    if (e->item != NULL && store_item_stamp(e->item) != 0) {
        return set_in_copy(e, bit, len, on);
    }
    char *value;
    enum err err = store_edit(&e->hold, len, &e->meta, &value);
    if (err == ERR_OK) {
        put_bit(value + (bit >> 3), bit, on);
        bool grew = len > old_len;
        store_edited(&e->hold, grew ? 0 : (size_t)(bit >> 3), grew ? len : 1);
    }
    return err;
}

void cmd_setbit(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    uint64_t bit;
    if (!parse_offset(c, argv[2], &bit)) {
        return;
    }
    bool on = slice_is(argv[3], "1");
    if (!on && !slice_is(argv[3], "0")) {
        resp_error(&c->conn.out, "ERR bit is not an integer or out of range");
        return;
    }
    struct client_edit e __attribute__((uninitialized));
    if (!client_edit_begin(c, argv[1], STORE_STRING, &e)) {
        return;
    }
    bool was = e.item != NULL && bit_of(store_item_value(e.item), bit);
    bool changes = e.item == NULL || was != on || bit >> 3 >= store_item_value(e.item).len;
    enum err err = set_bit(&e, bit, on);
    client_edit_end(c, &e);
    if (err == ERR_OK && changes) {
        client_event(c, EVENT_STRING, "setbit", argv[1]);
    }
    if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        reply_integer(c, was ? 1 : 0);
    }
}

/* --- BITCOUNT ----------------------------------------------------------------------------------- */

struct bit_range {
    bool given;
    bool in_bits;
    int64_t start;
    int64_t end;
};

/* False after replying. */
static bool parse_range(struct resp_client *c, const struct slice *argv, uint32_t argc,
                        struct bit_range *r)
{
    r->given = argc > 2;
    if (!r->given) {
        return true;
    }
    if (argc != 4 && argc != 5) {
        reply_syntax(c);
        return false;
    }
    if (!arg_integer(c, argv[2], &r->start) || !arg_integer(c, argv[3], &r->end)) {
        return false;
    }
    r->in_bits = argc == 5 && slice_is_nocase(argv[4], "bit");
    if (argc == 5 && !r->in_bits && !slice_is_nocase(argv[4], "byte")) {
        reply_syntax(c);
        return false;
    }
    return true;
}

/* In bits [*ret_from, *ret_to) of a value. */
static void range_in_bits(const struct bit_range *r, size_t len, uint64_t *ret_from,
                          uint64_t *ret_to)
{
    int64_t unit = r->in_bits ? 1 : 8;
    int64_t total = (int64_t)len * (r->in_bits ? 8 : 1);
    int64_t start = r->given ? r->start : 0;
    int64_t end = r->given ? r->end : -1;
    bool backward = start < 0 && end < 0 && start > end;
    start = start < 0 ? start + total : start;
    end = end < 0 ? end + total : end;
    start = start < 0 ? 0 : start;
    end = end < 0 ? 0 : end;
    end = end >= total ? total - 1 : end;
    bool empty = backward || start > end;
    *ret_from = empty ? 0 : (uint64_t)(start * unit);
    *ret_to = empty ? 0 : (uint64_t)((end + 1) * unit);
}

static int64_t count_bits(struct slice value, uint64_t from, uint64_t to)
{
    int64_t count = 0;
    for (; from < to && (from & 7) != 0; from++) {
        count += bit_of(value, from) ? 1 : 0;
    }
    for (; from + 64 <= to; from += 64) {
        uint64_t word;
        memcpy(&word, value.ptr + (from >> 3), sizeof(word));
        count += __builtin_popcountll(word);
    }
    for (; from < to; from++) {
        count += bit_of(value, from) ? 1 : 0;
    }
    return count;
}

void cmd_bitcount(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct bit_range range = {.given = false};
    struct store_hold h;
    struct store_item *item;
    uint64_t from;
    uint64_t to;
    if (!parse_range(c, argv, argc, &range)) {
        return;
    }
    switch (client_read_kind(c, argv[1], STORE_STRING, &h, &item)) {
    case CLIENT_FOUND:
        range_in_bits(&range, store_item_value(item).len, &from, &to);
        reply_integer(c, count_bits(store_item_value(item), from, to));
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        reply_integer(c, 0);
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}
