/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handshake and the connection's own state: HELLO, AUTH, PING, ECHO, SELECT, RESET, QUIT.
 *
 * Users are in users.h.
 */
#include "serve/cmd/server.h"
#include "serve/monitor.h"
#include "serve/pubsub.h"
#include "serve/tracking.h"
#include "serve/users_table.h"

#include "base/number.h"

/* --- authentication --------------------------------------------------------------------------- */

static bool authenticate(struct resp_client *c, struct slice user, struct slice password)
{
    if (!users_authenticate(c, user, password)) {
        resp_error(&c->conn.out, "WRONGPASS invalid username-password pair or user is disabled.");
        return false;
    }
    return true;
}

static bool default_is_open(struct resp_client *c)
{
    struct user *u = users_take(c->worker->server, SLICE("default"));
    bool open = u->is_policy_default ? c->worker->plan->policy->auth.password == NULL : u->nopass;
    user_unref(u);
    return open;
}

void cmd_auth(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (argc > 3) {
        reply_syntax(c);
        return;
    }
    if (argc == 2 && default_is_open(c)) {
        resp_error(&c->conn.out,
                   "ERR AUTH <password> called without any password configured for the default "
                   "user. Are you sure your configuration is correct?");
        return;
    }
    if (authenticate(c, argc == 3 ? argv[1] : SLICE("default"), argv[argc - 1])) {
        reply_ok(c);
    }
}

/* --- HELLO ------------------------------------------------------------------------------------ */

struct hello {
    int64_t proto;            /* 0: as it is */
    const struct slice *auth; /* user and password */
    const struct slice *name;
};

static bool parse_hello(struct resp_client *c, const struct slice *argv, uint32_t argc,
                        struct hello *ret_hello)
{
    struct hello h = {0};
    if (argc > 1 && !number_parse_i64(argv[1], &h.proto)) {
        resp_error(&c->conn.out, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (argc > 1 && h.proto != 2 && h.proto != 3) {
        resp_error(&c->conn.out, "NOPROTO unsupported protocol version");
        return false;
    }
    for (uint32_t i = 2; i < argc; i++) {
        uint32_t more = argc - 1 - i;
        if (slice_is_nocase(argv[i], "auth") && more >= 2) {
            h.auth = &argv[i + 1];
            i += 2;
        } else if (slice_is_nocase(argv[i], "setname") && more >= 1) {
            h.name = &argv[i + 1];
            i += 1;
        } else {
            resp_error(&c->conn.out, "ERR Syntax error in HELLO option '%.*s'", (int)argv[i].len,
                       argv[i].ptr);
            return false;
        }
    }
    *ret_hello = h;
    return true;
}

static void reply_hello(struct resp_client *c)
{
    struct buf *out = &c->conn.out;
    resp_map(out, c->proto, 7);
    resp_bulk_str(out, "server");
    resp_bulk_str(out, "redis");
    resp_bulk_str(out, "version");
    resp_bulk_str(out, REDIS_VERSION);
    resp_bulk_str(out, "proto");
    resp_integer(out, c->proto);
    resp_bulk_str(out, "id");
    resp_integer(out, (int64_t)c->conn.id);
    resp_bulk_str(out, "mode");
    resp_bulk_str(out, "standalone");
    resp_bulk_str(out, "role");
    resp_bulk_str(out, "master");
    resp_bulk_str(out, "modules");
    resp_array(out, 0);
}

void cmd_hello(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct hello h;
    if (!parse_hello(c, argv, argc, &h) || (h.name != NULL && !client_name_fits(c, *h.name)) ||
        (h.auth != NULL && !authenticate(c, h.auth[0], h.auth[1]))) {
        return;
    }
    if (!c->authenticated) {
        resp_error(&c->conn.out,
                   "NOAUTH HELLO must be called with the client already authenticated, otherwise "
                   "the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
                   "client and select the RESP protocol version at the same time");
        return;
    }
    if (h.name != NULL) {
        client_replace_text(&c->name, *h.name);
    }
    c->proto = h.proto != 0 ? (int)h.proto : c->proto;
    client_watch_admission(c);
    reply_hello(c);
}

/* --- the rest --------------------------------------------------------------------------------- */

void cmd_ping(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (argc > 2) {
        reply_wrong_arity(c, "ping");
    } else if (c->proto == 2 && client_is_subscribed(c)) {
        resp_array(&c->conn.out, 2);
        resp_bulk_str(&c->conn.out, "pong");
        reply_bulk(c, argc == 2 ? argv[1] : SLICE(""));
    } else if (argc == 2) {
        reply_bulk(c, argv[1]);
    } else {
        resp_simple(&c->conn.out, "PONG");
    }
}

void cmd_echo(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_bulk(c, argv[1]);
}

void cmd_select(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t db;
    if (!arg_database(c, argv[1], &db)) {
        return;
    }
    if (!client_select(c, db)) {
        resp_error(&c->conn.out, "ERR DB index is out of range");
        return;
    }
    reply_ok(c);
}

void cmd_reset(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    client_discard(c);
    monitor_end(c);
    tracking_end(c);
    pubsub_leave(c);
    client_select_first(c);
    users_begin(c);
    client_replace_text(&c->name, (struct slice){NULL, 0});
    c->proto = 2;
    client_watch_admission(c);
    c->reply = REPLY_ON;
    c->no_touch = false;
    resp_simple(&c->conn.out, "RESET");
}

void cmd_quit(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_ok(c);
    pubsub_leave(c); /* who publishes from now on does not reach it */
    conn_close_after_flush(&c->conn);
}

/* A container without subcommand: its arity refuses it before this. */
void cmd_container(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    unreachable();
}
