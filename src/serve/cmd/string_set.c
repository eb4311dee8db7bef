/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SET in all its forms, and GETEX, which shares the options.
 *
 * A plain SET (no options) is the hot path: one lease question answered by a flag, one hold, one
 * put. The others look at the old value inside the same hold, so a condition and its store are one
 * step.
 */
#include "serve/cmd/set_options.h"
#include "serve/edit.h"
#include "serve/events.h"

/* --- options ---------------------------------------------------------------------------------- */

static bool take_expiry(struct set_options *o, enum expiry_unit unit, struct slice arg)
{
    if (o->keep_ttl || o->persist || (o->has_expiry && o->unit != unit)) {
        return false;
    }
    o->has_expiry = true;
    o->unit = unit;
    o->expiry_arg = arg;
    return true;
}

static bool take_set_word(struct set_options *o, struct slice word)
{
    if (slice_is_nocase(word, "nx") && !o->xx) {
        o->nx = true;
    } else if (slice_is_nocase(word, "xx") && !o->nx) {
        o->xx = true;
    } else if (slice_is_nocase(word, "get")) {
        o->get = true;
    } else if (slice_is_nocase(word, "keepttl") && !o->has_expiry) {
        o->keep_ttl = true;
    } else {
        return false;
    }
    return true;
}

bool set_option_take(struct set_options *o, const struct slice *argv, uint32_t argc, uint32_t *i)
{
    enum expiry_unit unit;
    if (!expiry_unit_parse(argv[*i], &unit)) {
        return take_set_word(o, argv[*i]);
    }
    (*i)++;
    return *i < argc && take_expiry(o, unit, argv[*i]);
}

/* Words from argv[first] on; false after replying. */
static bool parse_options(struct resp_client *c, const struct slice *argv, uint32_t argc,
                          uint32_t first, bool is_set, struct set_options *ret_options)
{
    struct set_options o = {0};
    for (uint32_t i = first; i < argc; i++) {
        bool taken = false;
        if (!is_set && slice_is_nocase(argv[i], "persist") && !o.has_expiry) {
            taken = o.persist = true;
        } else if (is_set || expiry_unit_parse(argv[i], &(enum expiry_unit){EXPIRY_EX})) {
            taken = set_option_take(&o, argv, argc, &i);
        }
        if (!taken) {
            reply_syntax(c);
            return false;
        }
    }
    *ret_options = o;
    return true;
}

bool set_options_end(struct resp_client *c, const char *command, struct set_options *o)
{
    return !o->has_expiry || expiry_parse(c, o->expiry_arg, o->unit, command, &o->expiry);
}

/* --- SET -------------------------------------------------------------------------------------- */

static enum err tell_set(struct resp_client *c, struct store_hold *h, enum err err, bool expires)
{
    if (err == ERR_OK) {
        client_event(c, EVENT_STRING, "set", h->key);
    }
    if (err == ERR_OK && expires) {
        client_event(c, EVENT_GENERIC, "expire", h->key);
    }
    return err;
}

static enum err put_value(struct resp_client *c, struct store_hold *h, const struct lease *lease,
                          struct slice value, const struct expiry *e)
{
    if (e->past) {
        (void)store_remove(h);
        (void)tell_set(c, h, ERR_OK, true);
        client_event(c, EVENT_EXPIRED, "expired", h->key);
        return ERR_OK;
    }
    struct store_write w = {.value = value, .expiry_ms = e->at_ms};
    return tell_set(c, h, client_put(c, h, lease, &w), e->at_ms != 0);
}

static void set_plain(struct resp_client *c, struct slice key, struct slice value,
                      const struct expiry *e)
{
    LEASE_ROOM(room);
    const struct lease *lease = client_lease(c, key, &room);
    struct store_hold h;
    client_hold(c, key, &h);
    enum err err = put_value(c, &h, lease, value, e);
    store_drop(&h);
    reply_stored(c, err);
}

/* Inside the hold. `old` NULL: absent. */
static enum err put_with_options(struct resp_client *c, struct store_hold *h,
                                 const struct lease *lease, struct slice value,
                                 const struct store_item *old, const struct set_options *o)
{
    if (o->keep_ttl && old != NULL) {
        struct store_write w = {.value = value, .expiry_ms = store_item_expiry(old)};
        return tell_set(c, h, client_put_exact(c, h, lease, &w), false);
    }
    return put_value(c, h, lease, value, &o->expiry);
}

void set_with_lease(struct resp_client *c, struct slice key, struct slice value,
                    const struct lease *lease, const struct set_options *o)
{
    struct buf *out = &c->conn.out;
    size_t before = buf_len(out);
    struct store_hold h;
    client_hold(c, key, &h);
    struct store_item *old = client_item(c, &h);
    if (o->get && old != NULL && store_item_kind(old) != STORE_STRING) {
        store_drop(&h);
        reply_wrong_kind(c);
        return;
    }
    if (o->get && old != NULL) {
        reply_bulk(c, store_item_value(old));
    } else if (o->get) {
        client_event(c, EVENT_MISS, "keymiss", key);
        reply_null(c);
    }
    bool wanted = !(o->nx && old != NULL) && !(o->xx && old == NULL);
    enum err err = wanted ? put_with_options(c, &h, lease, value, old, o) : ERR_OK;
    store_drop(&h);
    if (err != ERR_OK) {
        buf_truncate(out, before);
        reply_err(c, err);
    } else if (!o->get && wanted) {
        reply_ok(c);
    } else if (!o->get) {
        reply_null(c);
    }
}

static void set_with_options(struct resp_client *c, struct slice key, struct slice value,
                             const struct set_options *o)
{
    LEASE_ROOM(room);
    set_with_lease(c, key, value, client_lease(c, key, &room), o);
}

void cmd_set(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const struct expiry none = {0};
    if (__builtin_expect(argc == 3, 1)) {
        set_plain(c, argv[1], argv[2], &none);
        return;
    }
    struct set_options o;
    if (!parse_options(c, argv, argc, 3, true, &o) || !set_options_end(c, "set", &o)) {
        return;
    }
    if (o.nx || o.xx || o.get || o.keep_ttl) {
        set_with_options(c, argv[1], argv[2], &o);
    } else {
        set_plain(c, argv[1], argv[2], &o.expiry);
    }
}

void cmd_setex(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct expiry e;
    if (expiry_parse(c, argv[2], EXPIRY_EX, "setex", &e)) {
        set_plain(c, argv[1], argv[3], &e);
    }
}

void cmd_psetex(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct expiry e;
    if (expiry_parse(c, argv[2], EXPIRY_PX, "psetex", &e)) {
        set_plain(c, argv[1], argv[3], &e);
    }
}

void cmd_setnx(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    LEASE_ROOM(room);
    const struct lease *lease = client_lease(c, argv[1], &room);
    struct store_hold h;
    client_hold(c, argv[1], &h);
    bool wanted = client_item(c, &h) == NULL;
    struct store_write w = {.value = argv[2]};
    enum err err = wanted ? tell_set(c, &h, client_put(c, &h, lease, &w), false) : ERR_OK;
    store_drop(&h);
    if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        reply_integer(c, wanted ? 1 : 0);
    }
}

void cmd_getset(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const struct set_options get = {.get = true};
    set_with_options(c, argv[1], argv[2], &get);
}

/* --- GETEX ------------------------------------------------------------------------------------ */

/* Inside the hold, after the value was replied. */
static enum err change_expiry(struct resp_client *c, struct store_hold *h,
                              const struct store_item *item, const struct set_options *o)
{
    bool found;
    if (o->expiry.past) {
        (void)store_remove(h);
        client_event(c, EVENT_GENERIC, "del", h->key);
        return ERR_OK;
    }
    bool changes = o->has_expiry || (o->persist && store_item_expiry(item) != 0);
    if (changes) {
        client_event(c, EVENT_GENERIC, o->has_expiry ? "expire" : "persist", h->key);
    }
    return changes ? store_expire(h, o->expiry.at_ms, &found) : ERR_OK;
}

void cmd_getex(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct set_options o;
    if (!parse_options(c, argv, argc, 2, false, &o)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, argv[1], STORE_STRING, &h, &item);
    if (found == CLIENT_ABSENT) {
        reply_null(c);
    }
    if (found != CLIENT_FOUND) {
        return;
    }
    if (!set_options_end(c, "getex", &o)) {
        store_drop(&h);
        return;
    }
    size_t before = buf_len(&c->conn.out);
    reply_bulk(c, store_item_value(item));
    enum err err = change_expiry(c, &h, item, &o);
    store_drop(&h);
    if (err != ERR_OK) {
        buf_truncate(&c->conn.out, before);
        reply_err(c, err);
    }
}
