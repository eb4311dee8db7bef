/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values that are numbers: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.
 *
 * An existing entry keeps its expiry, stamp and dependencies; an absent one counts as 0 and is
 * created under a lease like any other. Fractions are long doubles with 17 digits after the point,
 * trailing zeros cut, as Redis writes them.
 */
#include "serve/events.h"

#include "base/number.h"
#include "base/real.h"

#include <math.h>

/* Inside the hold: replaces the value of `item`, or creates the key. */
static enum err put_number(struct resp_client *c, struct store_hold *h, const struct lease *lease,
                           const struct store_item *item, struct slice text)
{
    if (item != NULL) {
        struct store_write like = client_write_like(item, text);
        return store_put(h, &like);
    }
    struct store_write w = {.value = text};
    return client_put(c, h, lease, &w);
}

/* --- integers --------------------------------------------------------------------------------- */

static enum err add_integer(struct resp_client *c, struct store_hold *h, const struct lease *lease,
                            int64_t delta, int64_t *ret_sum)
{
    struct store_item *item = client_item(c, h);
    int64_t sum = 0;
    if (item != NULL && store_item_kind(item) != STORE_STRING) {
        return ERR_WRONG_TYPE;
    }
    if (item != NULL && !number_parse_i64(store_item_value(item), &sum)) {
        return ERR_NOT_INTEGER;
    }
    if (__builtin_add_overflow(sum, delta, &sum)) {
        return ERR_OVERFLOW;
    }
    char text[NUMBER_MAX_LEN];
    size_t len = number_format_i64(text, sum);
    *ret_sum = sum;
    return put_number(c, h, lease, item, (struct slice){text, len});
}

static void increment(struct resp_client *c, struct slice key, int64_t delta)
{
    LEASE_ROOM(room);
    const struct lease *lease = client_lease(c, key, &room);
    struct store_hold h;
    client_hold(c, key, &h);
    int64_t sum = 0;
    enum err err = add_integer(c, &h, lease, delta, &sum);
    store_drop(&h);
    if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        client_event(c, EVENT_STRING, "incrby", key);
        reply_integer(c, sum);
    }
}

void cmd_incr(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    increment(c, argv[1], 1);
}

void cmd_decr(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    increment(c, argv[1], -1);
}

void cmd_incrby(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t delta;
    if (arg_integer(c, argv[2], &delta)) {
        increment(c, argv[1], delta);
    }
}

void cmd_decrby(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t delta;
    if (!arg_integer(c, argv[2], &delta)) {
        return;
    }
    if (delta == INT64_MIN) {
        resp_error(&c->conn.out, "ERR decrement would overflow");
        return;
    }
    increment(c, argv[1], -delta);
}

/* --- fractions -------------------------------------------------------------------------------- */

/* ERR_OK, also with the error that no code is for replied. On success the sum has been replied. */
static enum err add_float(struct resp_client *c, struct store_hold *h, const struct lease *lease,
                          struct slice delta_text)
{
    struct store_item *item = client_item(c, h);
    long double sum = 0;
    long double delta;
    if (item != NULL && store_item_kind(item) != STORE_STRING) {
        return ERR_WRONG_TYPE;
    }
    if ((item != NULL && !real_parse_long(store_item_value(item), &sum)) ||
        !real_parse_long(delta_text, &delta)) {
        return ERR_NOT_FLOAT;
    }
    sum += delta;
    if (isnan(sum) || isinf(sum)) {
        resp_error(&c->conn.out, "ERR increment would produce NaN or Infinity");
        return ERR_OK;
    }
    char text[REAL_LONG_MAX_LEN] __attribute__((uninitialized));
    struct slice value = {text, real_format_long(text, sum)};
    enum err err = put_number(c, h, lease, item, value);
    if (err == ERR_OK) {
        client_event(c, EVENT_STRING, "incrbyfloat", h->key);
        reply_bulk(c, value);
    }
    return err;
}

void cmd_incrbyfloat(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    LEASE_ROOM(room);
    const struct lease *lease = client_lease(c, argv[1], &room);
    struct store_hold h;
    client_hold(c, argv[1], &h);
    enum err err = add_float(c, &h, lease, argv[2]);
    store_drop(&h);
    if (err != ERR_OK) {
        reply_err(c, err);
    }
}
