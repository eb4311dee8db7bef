/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When keys end: EXPIRE and its kin, TTL and its kin, PERSIST.
 *
 * The store counts on the monotonic clock; absolute times of clients are wall time and are
 * converted at once, on the way in and on the way out. A deadline that is already over deletes the
 * key.
 */
#include "serve/events.h"
#include "serve/resp_expiry.h"

#include "base/clock.h"
#include "base/number.h"

bool expiry_unit_parse(struct slice word, enum expiry_unit *ret_unit)
{
    static const char *const words[] = {
        [EXPIRY_EX] = "ex", [EXPIRY_PX] = "px", [EXPIRY_EXAT] = "exat", [EXPIRY_PXAT] = "pxat"};
    for (size_t i = 0; i < array_len(words); i++) {
        if (slice_is_nocase(word, words[i])) {
            *ret_unit = (enum expiry_unit)i;
            return true;
        }
    }
    return false;
}

static bool refuse_expiry(struct resp_client *c, const char *command)
{
    resp_error(&c->conn.out, "ERR invalid expire time in '%s' command", command);
    return false;
}

/* Of EXPIRE and its kin: may be negative. */
static bool parse_signed(struct resp_client *c, struct slice arg, enum expiry_unit unit,
                         const char *command, struct expiry *ret_expiry)
{
    int64_t when;
    if (!arg_integer(c, arg, &when)) {
        return false;
    }
    bool seconds = unit == EXPIRY_EX || unit == EXPIRY_EXAT;
    bool relative = unit == EXPIRY_EX || unit == EXPIRY_PX;
    int64_t wall_now = (int64_t)clock_wall_ms();
    int64_t wall;
    if ((seconds && __builtin_mul_overflow(when, 1000, &when)) ||
        __builtin_add_overflow(when, relative ? wall_now : 0, &wall)) {
        return refuse_expiry(c, command);
    }
    struct expiry e = {.past = wall <= wall_now && !c->replaying};
    if (!e.past) {
        e.at_ms = relative ? client_now(c) + (uint64_t)when : clock_mono_from_wall((uint64_t)wall);
        e.at_ms += e.at_ms == 0; /* before the machine's start: over, but 0 means none */
    }
    *ret_expiry = e;
    return true;
}

bool expiry_parse(struct resp_client *c, struct slice arg, enum expiry_unit unit,
                  const char *command, struct expiry *ret_expiry)
{
    int64_t when;
    if (!arg_integer(c, arg, &when)) {
        return false;
    }
    if (when <= 0) {
        return refuse_expiry(c, command);
    }
    return parse_signed(c, arg, unit, command, ret_expiry);
}

/* --- EXPIRE ----------------------------------------------------------------------------------- */

struct conditions {
    bool nx, xx, gt, lt;
};

static bool parse_conditions(struct resp_client *c, const struct slice *argv, uint32_t argc,
                             struct conditions *ret_conditions)
{
    struct conditions k = {0};
    for (uint32_t i = 3; i < argc; i++) {
        if (slice_is_nocase(argv[i], "nx")) {
            k.nx = true;
        } else if (slice_is_nocase(argv[i], "xx")) {
            k.xx = true;
        } else if (slice_is_nocase(argv[i], "gt")) {
            k.gt = true;
        } else if (slice_is_nocase(argv[i], "lt")) {
            k.lt = true;
        } else {
            resp_error(&c->conn.out, "ERR Unsupported option %.*s", (int)argv[i].len, argv[i].ptr);
            return false;
        }
    }
    if (k.nx && (k.xx || k.gt || k.lt)) {
        resp_error(&c->conn.out,
                   "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (k.gt && k.lt) {
        resp_error(&c->conn.out, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    *ret_conditions = k;
    return true;
}

/* `old_ms` 0: the key has no expiry, which counts as endless. */
static bool conditions_hold(const struct conditions *k, uint64_t old_ms, const struct expiry *e)
{
    uint64_t new_ms = e->past ? 0 : e->at_ms;
    if ((k->nx && old_ms != 0) || (k->xx && old_ms == 0)) {
        return false;
    }
    if (k->gt && (old_ms == 0 || new_ms <= old_ms)) {
        return false;
    }
    return !k->lt || old_ms == 0 || new_ms < old_ms;
}

static void expire(struct resp_client *c, const struct slice *argv, uint32_t argc,
                   enum expiry_unit unit, const char *command)
{
    struct conditions k;
    struct expiry e;
    if (!parse_conditions(c, argv, argc, &k) || !parse_signed(c, argv[2], unit, command, &e)) {
        return;
    }
    struct store_hold h;
    client_hold(c, argv[1], &h);
    struct store_item *item = client_item_unused(c, &h);
    bool done = item != NULL && conditions_hold(&k, store_item_expiry(item), &e);
    enum err err = ERR_OK;
    if (done && e.past) {
        (void)store_remove(&h);
    } else if (done) {
        bool found;
        err = store_expire(&h, e.at_ms, &found);
    }
    store_drop(&h);
    if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        if (done) {
            client_event(c, EVENT_GENERIC, e.past ? "del" : "expire", argv[1]);
        }
        reply_integer(c, done ? 1 : 0);
    }
}

void cmd_expire(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    expire(c, argv, argc, EXPIRY_EX, "expire");
}

void cmd_pexpire(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    expire(c, argv, argc, EXPIRY_PX, "pexpire");
}

void cmd_expireat(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    expire(c, argv, argc, EXPIRY_EXAT, "expireat");
}

void cmd_pexpireat(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    expire(c, argv, argc, EXPIRY_PXAT, "pexpireat");
}

void cmd_persist(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    client_hold(c, argv[1], &h);
    struct store_item *item = client_item_unused(c, &h);
    bool done = item != NULL && store_item_expiry(item) != 0;
    enum err err = ERR_OK;
    if (done) {
        bool found;
        err = store_expire(&h, 0, &found);
    }
    store_drop(&h);
    if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        if (done) {
            client_event(c, EVENT_GENERIC, "persist", argv[1]);
        }
        reply_integer(c, done ? 1 : 0);
    }
}

/* --- TTL -------------------------------------------------------------------------------------- */

/* -2: no key, -1: no expiry; else monotonic milliseconds. */
static int64_t key_expiry(struct resp_client *c, struct slice key)
{
    struct store_hold h;
    struct store_item *item;
    if (!client_peek(c, key, &h, &item)) {
        return -2;
    }
    uint64_t at = store_item_expiry(item);
    store_drop(&h);
    return at == 0 ? -1 : (int64_t)at;
}

static int64_t to_seconds(int64_t ms)
{
    return ms < 0 ? ms : (ms + 500) / 1000;
}

static int64_t key_ttl(struct resp_client *c, struct slice key)
{
    int64_t at = key_expiry(c, key);
    int64_t now = (int64_t)client_now(c);
    return at < 0 ? at : at > now ? at - now : 0;
}

static int64_t key_expiretime(struct resp_client *c, struct slice key)
{
    int64_t at = key_expiry(c, key);
    return at < 0 ? at : (int64_t)clock_wall_from_mono((uint64_t)at);
}

void cmd_ttl(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_integer(c, to_seconds(key_ttl(c, argv[1])));
}

void cmd_pttl(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_integer(c, key_ttl(c, argv[1]));
}

void cmd_expiretime(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_integer(c, to_seconds(key_expiretime(c, argv[1])));
}

void cmd_pexpiretime(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_integer(c, key_expiretime(c, argv[1]));
}
