/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OBJECT: looking into how a value is kept.
 *
 * Encodings are those that Redis would choose, since clients and tests compare them; the store
 * itself keeps every string the same way, and notes which were edited in place ("raw").
 */
#include "serve/edit.h"

#include "base/number.h"
#include "store/figures.h"

#include <stdio.h>

enum { EMBSTR_MAX = 44 };

/* True with the key held; false after replying nil. */
static bool hold_or_null(struct resp_client *c, struct slice key, struct store_hold *ret_hold,
                         struct store_item **ret_item)
{
    if (!client_peek(c, key, ret_hold, ret_item)) {
        reply_null(c);
        return false;
    }
    return true;
}

const char *item_encoding(const struct store_item *item)
{
    int64_t ignored;
    if (store_item_kind(item) != STORE_STRING) {
        return coll_encoding(item);
    }
    struct slice value = store_item_value(item);
    if (store_item_was_edited(item)) {
        return "raw";
    }
    if (number_parse_i64(value, &ignored)) {
        return "int";
    }
    return value.len <= EMBSTR_MAX ? "embstr" : "raw";
}

void cmd_object_encoding(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    if (hold_or_null(c, argv[2], &h, &item)) {
        resp_bulk_str(&c->conn.out, item_encoding(item));
        store_drop(&h);
    }
}

void cmd_object_freq(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    if (hold_or_null(c, argv[2], &h, &item)) {
        reply_integer(c, store_item_hits(item));
        store_drop(&h);
    }
}

static void reply_constant(struct resp_client *c, struct slice key, int64_t value)
{
    struct store_hold h;
    struct store_item *item;
    if (hold_or_null(c, key, &h, &item)) {
        store_drop(&h);
        reply_integer(c, value);
    }
}

void cmd_object_idletime(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_constant(c, argv[2], 0);
}

void cmd_object_refcount(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_constant(c, argv[2], 1);
}

void cmd_object_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "ENCODING <key>", "    Return the encoding that Redis would use for the value of <key>.",
        "FREQ <key>",     "    Return how often <key> was used, roughly.",
        "IDLETIME <key>", "    Return 0: idle times are not kept.",
        "REFCOUNT <key>", "    Return 1: values are not shared.",
    };
    reply_help(c, "OBJECT", lines, array_len(lines));
}
