/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Effects as RESP commands in the gate's buffer; effect.h says what they are for.
 *
 * Threads: the hold's.
 */
#include "store/effect.h"

#include "base/clock.h"
#include "base/number.h"
#include "store/priv.h"

#include <stdio.h>

bool effect_wanted(const struct store_hold *h)
{
    return hold_pool(h)->slab.pages.space->durable;
}

void effect_command(struct store_hold *h, const char *name, uint32_t args)
{
    struct buf *out = &h->gate->effects;
    buf_append_char(out, '*');
    buf_append_u64(out, args + 1);
    buf_append(out, "\r\n", 2);
    effect_arg_str(h, name);
}

void effect_arg(struct store_hold *h, struct slice arg)
{
    struct buf *out = &h->gate->effects;
    buf_append_char(out, '$');
    buf_append_u64(out, arg.len);
    buf_append(out, "\r\n", 2);
    buf_append_slice(out, arg);
    buf_append(out, "\r\n", 2);
}

void effect_arg_str(struct store_hold *h, const char *arg)
{
    effect_arg(h, (struct slice){arg, strlen(arg)});
}

void effect_arg_integer(struct store_hold *h, int64_t value)
{
    char text[32];
    effect_arg(h, (struct slice){text, number_format_i64(text, value)});
}

void effect_arg_unsigned(struct store_hold *h, uint64_t value)
{
    char text[32];
    effect_arg(h, (struct slice){text, number_format_u64(text, value)});
}

void effect_arg_double(struct store_hold *h, double value)
{
    char text[40];
    int len = snprintf(text, sizeof(text), "%.17g", value);
    effect_arg(h, (struct slice){text, (size_t)len});
}

void effect_arg_time(struct store_hold *h, uint64_t at_ms)
{
    effect_arg_unsigned(h, clock_wall_from_mono(at_ms));
}

void effect_removed(struct store_hold *h)
{
    if (effect_wanted(h)) {
        effect_command(h, "DEL", 1);
        effect_arg(h, h->key);
    }
}

void effect_string(struct store_hold *h, const struct store_item *it)
{
    if (!effect_wanted(h)) {
        return;
    }
    uint64_t expiry_ms = item_expiry(it);
    effect_command(h, "SET", expiry_ms != 0 ? 4 : 2);
    effect_arg(h, h->key);
    effect_arg(h, item_value(it));
    if (expiry_ms != 0) {
        effect_arg_str(h, "PXAT");
        effect_arg_time(h, expiry_ms);
    }
}

void effect_expiry(struct store_hold *h, uint64_t expiry_ms)
{
    if (!effect_wanted(h)) {
        return;
    }
    effect_command(h, expiry_ms != 0 ? "PEXPIREAT" : "PERSIST", expiry_ms != 0 ? 2 : 1);
    effect_arg(h, h->key);
    if (expiry_ms != 0) {
        effect_arg_time(h, expiry_ms);
    }
}
