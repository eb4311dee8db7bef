/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshet's own commands: fill tokens, explain, stats.
 *
 *   FRESHET.GET key                           -> [value or nil, token or nil]
 *   FRESHET.SET key value TOKEN token [EX s | PX ms | EXAT t | PXAT t]   -> OK
 *
 * A token is a stamp from before the client's read, so FRESHET.SET is exact where a plain SET has
 * to assume the first miss of the last `implicit_lease`: any client, any pool, however slow. Take a
 * token with every miss and give it back with the value. A token is nil while there is no contact
 * with the database; then the value may be used but not stored. Keys that match no template need no
 * token.
 */
#include "serve/resp_expiry.h"

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

void cmd_freshet_get(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    /* Before the lookup: whatever the client reads after a miss is at least as new. */
    fresh_pos stamp = fresh_stamp(c->worker->server->fresh);
    struct store_hold h;
    struct store_item *item;
    resp_array(&c->conn.out, 2);
    if (client_read(c, argv[1], &h, &item)) {
        reply_bulk(c, store_item_value(item));
        store_drop(&h);
        reply_null(c);
    } else {
        reply_null(c);
        put_token(c, stamp);
    }
}

/* False after replying. A token of another epoch is void: position 1 is below every floor. */
static bool parse_token(struct resp_client *c, struct slice text, fresh_pos *ret_stamp)
{
    switch (fresh_token_parse(c->worker->server->fresh, text, ret_stamp)) {
    case FRESH_TOKEN_OK:
        return true;
    case FRESH_TOKEN_OTHER_EPOCH:
        *ret_stamp = 1;
        return true;
    case FRESH_TOKEN_BAD:
        break;
    }
    resp_error(&c->conn.out, "ERR TOKEN is not a token; take it from FRESHET.GET");
    return false;
}

void cmd_freshet_set(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct expiry e = {0};
    fresh_pos stamp = 0;
    enum expiry_unit unit;
    for (uint32_t i = 3; i < argc; i += 2) {
        if (i + 1 == argc) {
            reply_syntax(c);
            return;
        }
        bool ok = false;
        if (slice_is_nocase(argv[i], "token")) {
            ok = parse_token(c, argv[i + 1], &stamp);
        } else if (expiry_unit_parse(argv[i], &unit)) {
            ok = expiry_parse(c, argv[i + 1], unit, "freshet.set", &e);
        } else {
            reply_syntax(c);
        }
        if (!ok) {
            return;
        }
    }
    struct lease lease;
    lease_with_stamp(c->worker, c->db, argv[1], stamp, &lease);
    struct store_hold h;
    struct store_write w = {.value = argv[2], .expiry_ms = e.at_ms};
    client_hold(c, argv[1], &h);
    enum err err = ERR_OK;
    if (e.past) {
        (void)store_remove(&h);
    } else {
        err = client_put(c, &h, &lease, &w);
    }
    store_drop(&h);
    reply_stored(c, err);
}

static void reply_text(struct resp_client *c, struct buf *text)
{
    resp_verbatim(&c->conn.out, c->proto, "txt", buf_readable(text));
    buf_fini(text);
}

void cmd_freshet_explain(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf text;
    buf_init(&text);
    if (argc == 2) {
        explain_key(c->worker, c->db, argv[1], &text);
    } else {
        explain_route(c->worker, argv[1], argv[2], &text);
    }
    reply_text(c, &text);
}

void cmd_freshet_stats(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf text;
    buf_init(&text);
    stats_text(c->worker, &text);
    reply_text(c, &text);
}
