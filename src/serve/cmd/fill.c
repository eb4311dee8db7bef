/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FRESHET.GET: a value, or the token with which to fill it; of many who miss, one.
 *
 *   FRESHET.GET key                          -> [value, nil]           it is there
 *                                               [nil, token]           fill it: FRESHET.SET ... TOKEN token
 *   FRESHET.GET key [WAIT ms] [STALE ms]     -> [value, nil, "fresh"]
 *                                               [nil, token, "none"]   you are the one who fills it
 *                                               [value, token, "stale"]   the same, and what it was until lately
 *                                               [value, nil, "stale"]  another one fills it
 *                                               [nil, nil, "none"]     another one does, and you would not wait
 *
 * A token is a stamp from before the client's read, so FRESHET.SET is exact where a plain SET has to assume:
 * any client, any pool, however slow. It is nil while there is no contact with the database that the key
 * follows; then a value that the client reads itself may be used but not stored.
 *
 * With WAIT or STALE one client gets the token and the others wait, at most so long, until it has written or
 * its connection is gone; then they look again. Whoever has waited in vain becomes the filler. STALE: an
 * outdated value is good enough if it was current within that time, and then nobody waits. An expired value
 * is not: it is gone.
 *
 * Inside MULTI, scripts and with replies turned off nobody waits.
 */
#include "serve/cmd/fill_token.h"
#include "serve/durable.h"
#include "serve/edit.h"
#include "serve/gate.h"
#include "serve/herd.h"

enum { WAIT_MAX_MS = 60 * 60 * 1000 };

struct ask {
    struct herd_question q;
    bool shares; /* WAIT or STALE was said */
};

static void put_token(struct resp_client *c, fresh_pos stamp)
{
    char token[FRESH_TOKEN_MAX];
    if (stamp == 0) {
        reply_null(c);
        return;
    }
    size_t len = fresh_token_format(c->worker->server->fresh, stamp, token);
    reply_bulk(c, (struct slice){token, len});
}

/* NULL `value`: nil. */
static void put_answer(struct resp_client *c, const struct ask *a, const struct slice *value,
                       fresh_pos token, const char *state)
{
    resp_array(&c->conn.out, a->shares ? 3 : 2);
    if (value != NULL) {
        reply_bulk(c, *value);
    } else {
        reply_null(c);
    }
    put_token(c, token);
    if (a->shares) {
        reply_bulk(c, slice_of(state));
    }
}

/* Replies if the key is there, or is of another kind. */
static bool put_if_there(struct resp_client *c, const struct ask *a)
{
    struct store_hold h;
    struct store_item *item;
    enum client_found found = client_read_kind(c, a->q.key, STORE_STRING, &h, &item);
    if (found == CLIENT_FOUND) {
        struct slice value = store_item_value(item);
        put_answer(c, a, &value, 0, "fresh");
        store_drop(&h);
    }
    return found != CLIENT_ABSENT;
}

/* A string that is outdated, or cannot be proven right, but was right lately enough. Copied, because who
 * fills is not asked while something is held; and looked at without removing it. */
static bool take_stale(struct resp_client *c, const struct ask *a, struct buf *ret_value)
{
    struct fresh *f = c->worker->server->fresh;
    struct store_hold h;
    client_hold(c, a->q.key, &h);
    const struct store_item *it = store_inspect(&h);
    uint64_t expiry_ms = it != NULL ? store_item_expiry(it) : 0;
    bool usable = it != NULL && store_item_kind(it) == STORE_STRING &&
                  (expiry_ms == 0 || expiry_ms > h.now_ms);
    if (usable) {
        uint32_t count;
        const fresh_dep *deps = store_item_deps(it, &count);
        fresh_pos stamp = store_item_stamp(it);
        usable = count > 0 && fresh_judge(f, stamp, deps, count, h.now_ms) != FRESH_HIT &&
                 fresh_was_current(f, stamp, deps, count, h.now_ms, a->q.stale_ms);
    }
    if (usable) {
        buf_append_slice(ret_value, store_item_value(it));
    }
    store_drop(&h);
    return usable;
}

static bool may_wait(const struct resp_client *c, const struct ask *a)
{
    return !c->in_exec && !c->detached && c->reply == REPLY_ON && a->q.deadline_ms > client_now(c);
}

static void look_again(struct resp_client *c, const struct herd_question *q);

/* One of many who miss it. `stale` NULL: nothing to give meanwhile. */
static void share(struct resp_client *c, const struct ask *a, const struct slice *stale)
{
    const char *state = stale != NULL ? "stale" : "none";
    fresh_pos token = lease_token(c->worker, a->q.db, a->q.key); /* before the client's read */
    enum herd_role role = HERD_NEITHER;
    if (token != 0 && !c->detached) {
        role = herd_ask(c, &a->q, stale == NULL && may_wait(c, a) ? look_again : NULL);
    }
    switch (role) {
    case HERD_FILLER:
        if (stale == NULL && put_if_there(c, a)) { /* written before this client was the filler */
            herd_done(c->worker->server->herd, a->q.db, a->q.key);
        } else {
            put_answer(c, a, stale, token, state);
        }
        break;
    case HERD_NEITHER:
        if (stale != NULL) {
            serve_count(c->worker, herd_stale);
        }
        put_answer(c, a, stale, c->detached ? token : 0, state);
        break;
    case HERD_WAITS:
        serve_count(c->worker, herd_waits);
        conn_pause(&c->conn);
        break;
    }
}

static void get(struct resp_client *c, const struct ask *a)
{
    struct buf stale;
    buf_init(&stale);
    if (a->shares && a->q.stale_ms > 0 && take_stale(c, a, &stale)) {
        struct slice value = buf_readable(&stale);
        client_missed(c, a->q.key);
        share(c, a, &value);
    } else if (put_if_there(c, a)) {
        /* done */
    } else if (a->shares) {
        share(c, a, NULL);
    } else {
        put_answer(c, a, NULL, lease_token(c->worker, a->q.db, a->q.key), "none");
    }
    buf_fini(&stale);
}

/* Later, for a client that waited. */
static void look_again(struct resp_client *c, const struct herd_question *q)
{
    struct ask a = {.q = *q, .shares = true};
    size_t before = buf_len(&c->conn.out);
    bool took;
    if (gate_try(c->worker, &took)) {
        get(c, &a);
    } else { /* a script owns the store, perhaps for long */
        put_answer(c, &a, NULL, lease_token(c->worker, q->db, q->key), "none");
    }
    if (took) {
        gate_leave(c->worker);
    }
    if (c->herd == NULL) {
        resp_finish(c, before);
        conn_dirty(&c->conn);
        conn_resume(&c->conn);
        durable_hold(c);
    }
}

/* False after replying. */
static bool parse_ms(struct resp_client *c, const struct slice *argv, uint32_t argc, uint32_t i,
                     uint64_t *ret_ms)
{
    int64_t ms;
    if (i + 1 >= argc) {
        reply_syntax(c);
        return false;
    }
    if (!arg_integer(c, argv[i + 1], &ms)) {
        return false;
    }
    if (ms < 0) {
        resp_error(&c->conn.out, "ERR %.*s must not be negative", (int)argv[i].len, argv[i].ptr);
        return false;
    }
    *ret_ms = (uint64_t)ms < WAIT_MAX_MS ? (uint64_t)ms : WAIT_MAX_MS;
    return true;
}

void cmd_freshet_get(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct ask a = {.q = {.db = c->db, .key = argv[1]}, .shares = argc > 2};
    uint64_t wait_ms = 0;
    for (uint32_t i = 2; i < argc; i += 2) {
        bool waits = slice_is_nocase(argv[i], "wait");
        if (!waits && !slice_is_nocase(argv[i], "stale")) {
            reply_syntax(c);
            return;
        }
        if (!parse_ms(c, argv, argc, i, waits ? &wait_ms : &a.q.stale_ms)) {
            return;
        }
    }
    a.q.deadline_ms = client_now(c) + wait_ms;
    get(c, &a);
}

bool arg_token(struct resp_client *c, struct slice text, fresh_pos *ret_stamp)
{
    struct fresh *f = c->worker->server->fresh;
    switch (fresh_token_parse(f, text, ret_stamp)) {
    case FRESH_TOKEN_OK:
        if (*ret_stamp <= fresh_applied(f)) {
            return true;
        }
        break; /* of a position that has not been yet: nobody was given that */
    case FRESH_TOKEN_OTHER_EPOCH:
        *ret_stamp = TOKEN_VOID;
        return true;
    case FRESH_TOKEN_BAD:
        break;
    }
    resp_error(&c->conn.out, "ERR TOKEN is not a token; take it from FRESHET.GET");
    return false;
}
