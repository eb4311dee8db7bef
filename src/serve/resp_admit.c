/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which command may run: known, with the right number of words, by this client, in this state, with room
 * for what it writes. Every refusal is replied here, in Redis's words.
 *
 * Threads: the connection's worker.
 */
#include "serve/command_stats.h"
#include "serve/durable.h"
#include "serve/not_offered.h"
#include "serve/pubsub.h"
#include "serve/resp_client.h"
#include "serve/users.h"

#include "base/log.h"

#include <stdio.h>

static void refuse_unknown(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    char args[256] = "";
    size_t len = 0;
    for (uint32_t i = 1; i < argc && len < 128; i++) {
        int room = 128 - (int)len;
        int take = argv[i].len < (size_t)room ? (int)argv[i].len : room;
        len += (size_t)snprintf(args + len, sizeof(args) - len, "'%.*s' ", take,
                                argv[i].ptr != NULL ? argv[i].ptr : "");
    }
    int shown = argv[0].len < 128 ? (int)argv[0].len : 128;
    const char *why = not_offered(argv[0]);
    resp_error(&c->conn.out, "ERR unknown command '%.*s', with args beginning with: %s%s%s%s",
               shown, argv[0].ptr, args, why != NULL ? "(" : "", why != NULL ? why : "",
               why != NULL ? ")" : "");
}

static void refuse_unknown_sub(struct resp_client *c, const struct command *cmd, struct slice name)
{
    char upper[32];
    size_t len = 0;
    for (; cmd->name[len] != '\0'; len++) {
        upper[len] = (char)(cmd->name[len] - 'a' + 'A');
    }
    upper[len] = '\0';
    int shown = name.len < 128 ? (int)name.len : 128;
    resp_error(&c->conn.out, "ERR unknown subcommand '%.*s'. Try %s HELP.", shown, name.ptr, upper);
}

/* A web page that makes a browser post Redis commands sends these first. */
static bool is_http(struct slice name)
{
    return slice_is_nocase(name, "post") || slice_is_nocase(name, "host:");
}

static const struct command *find_known(struct resp_client *c, const struct slice *argv,
                                        uint32_t argc)
{
    const struct command *cmd = command_find(argv[0]);
    if (cmd == NULL) {
        if (is_http(argv[0])) {
            log_event(LOG_WARN, "resp", "HTTP on the Redis port; closed",
                      log_text("peer", c->conn.peer));
            conn_close(&c->conn);
        } else {
            refuse_unknown(c, argv, argc);
        }
        return NULL;
    }
    if (__builtin_expect(cmd->sub_count > 0 && argc > 1, 0)) {
        const struct command *sub = command_find_sub(cmd, argv[1]);
        if (sub == NULL) {
            refuse_unknown_sub(c, cmd, argv[1]);
        }
        return sub;
    }
    return cmd;
}

/* An EXEC that may not even run gives the transaction up; `before`: where the reply that says why begins. */
static void abort_transaction(struct resp_client *c, size_t before)
{
    char why[256];
    struct slice text = slice_from(buf_readable(&c->conn.out), before);
    text = slice_from(text, text.len > 5 && memcmp(text.ptr, "-ERR ", 5) == 0 ? 5 : 1);
    (void)snprintf(why, sizeof(why), "%.*s", (int)text.len - 2, text.ptr);
    buf_truncate(&c->conn.out, before);
    client_discard(c);
    resp_error(&c->conn.out, "EXECABORT Transaction discarded because of: %s", why);
}

/* A RESP2 client that listens could not tell replies from messages. */
bool resp_is_for_subscribers(const struct command *cmd)
{
    return cmd->run == cmd_ping || cmd->run == cmd_quit || cmd->run == cmd_reset ||
           cmd->run == cmd_subscribe || cmd->run == cmd_unsubscribe || cmd->run == cmd_psubscribe ||
           cmd->run == cmd_punsubscribe || cmd->run == cmd_ssubscribe ||
           cmd->run == cmd_sunsubscribe;
}

/* The slow look at a client that may not run everything; false after replying. */
static bool is_open_to(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                       uint32_t argc)
{
    if (!users_refresh(c)) {
        return false;
    }
    if (!c->authenticated && (cmd->flags & COMMAND_NO_AUTH) == 0) {
        resp_error(&c->conn.out, "NOAUTH Authentication required.");
        return false;
    }
    if (c->user != NULL && !user_is_full(c->user) && !users_admit(c, cmd, argv, argc)) {
        return false;
    }
    if (c->proto == 2 && !c->in_exec && client_is_subscribed(c) && !resp_is_for_subscribers(cmd)) {
        resp_error(&c->conn.out,
                   "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT "
                   "/ RESET are allowed in this context",
                   cmd->full_name);
        return false;
    }
    return true;
}

/* A space that is full and never evicts refuses before the command, or the transaction, has done half of its
 * work. */
static bool room_admits(struct resp_client *c, const struct command *cmd)
{
    uint32_t flags = cmd->flags | (cmd->run == cmd_exec ? c->queued_flags : 0);
    if ((flags & COMMAND_DENYOOM) == 0 || !store_is_full(client_store(c), c->db)) {
        return true;
    }
    reply_err(c, ERR_NOSPACE);
    return false;
}

/* False after replying why not. */
static bool is_admitted(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                        uint32_t argc)
{
    if (!command_takes(cmd, argc)) {
        reply_wrong_arity(c, cmd->full_name);
        return false;
    }
    uint32_t alert = atomic_load_explicit(&c->worker->server->alert, memory_order_relaxed);
    bool guarded = c->guarded || (alert & ALERT_USERS) != 0;
    return (__builtin_expect(!guarded, 1) || is_open_to(c, cmd, argv, argc)) &&
           durable_admits(c, cmd) && room_admits(c, cmd);
}

const struct command *resp_admit(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    const struct command *cmd = find_known(c, argv, argc);
    if (cmd == NULL) {
        return NULL;
    }
    size_t before = buf_len(&c->conn.out);
    if (!is_admitted(c, cmd, argv, argc)) {
        if (cmd->run == cmd_exec) {
            abort_transaction(c, before);
        }
        command_stats_rejected(c->worker, cmd);
        return NULL;
    }
    return cmd;
}
