/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server as a whole: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB, TIME, SHUTDOWN, FUNCTION FLUSH.
 */
#include "serve/durable.h"
#include "serve/scripting.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void cmd_dbsize(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_integer(c, (int64_t)store_db_size(client_store(c), c->db));
}

/* --- emptying --------------------------------------------------------------------------------- */

/* [ASYNC|SYNC]; both are the same here. */
static bool flush_args_fit(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (argc == 1 ||
        (argc == 2 && (slice_is_nocase(argv[1], "async") || slice_is_nocase(argv[1], "sync")))) {
        return true;
    }
    reply_syntax(c);
    return false;
}

void cmd_flushdb(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (!flush_args_fit(c, argv, argc)) {
        return;
    }
    client_own(c);
    store_db_flush(client_store(c), c->db);
    client_disown(c);
    reply_ok(c);
}

void cmd_flushall(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (!flush_args_fit(c, argv, argc)) {
        return;
    }
    for (uint32_t db = 0; db < POLICY_DBS; db++) {
        if (!durable_reaches(c, db)) {
            return;
        }
    }
    client_own(c);
    for (uint32_t db = 0; db < POLICY_DBS; db++) {
        if (client_db_exists(c, db)) {
            store_db_flush(client_store(c), db);
        }
    }
    client_disown(c);
    reply_ok(c);
}

static bool parse_swap_db(struct resp_client *c, struct slice arg, const char *which,
                          int64_t *ret_db)
{
    if (!number_parse_i64(arg, ret_db) || *ret_db < INT32_MIN || *ret_db > INT32_MAX) {
        resp_error(&c->conn.out, "ERR invalid %s DB index", which);
        return false;
    }
    return true;
}

/* The entries of two databases may only change places when the same promises hold for both. */
static bool may_swap(const struct resp_client *c, uint32_t a, uint32_t b)
{
    return a == b || client_space(c, a) == client_space(c, b);
}

void cmd_swapdb(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t first;
    int64_t second;
    if (!parse_swap_db(c, argv[1], "first", &first) ||
        !parse_swap_db(c, argv[2], "second", &second)) {
        return;
    }
    if (!client_db_exists(c, first) || !client_db_exists(c, second)) {
        resp_error(&c->conn.out, "ERR DB index is out of range");
        return;
    }
    uint32_t a = (uint32_t)first;
    uint32_t b = (uint32_t)second;
    if (!may_swap(c, a, b)) {
        resp_error(&c->conn.out, "ERR databases of different spaces cannot be swapped");
        return;
    }
    client_own(c);
    store_db_swap(client_store(c), a, b, client_now(c));
    client_disown(c);
    reply_ok(c);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void reply_number_text(struct resp_client *c, uint64_t value)
{
    char text[NUMBER_MAX_LEN];
    size_t len = number_format_u64(text, value);
    reply_bulk(c, (struct slice){text, len});
}

void cmd_time(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    uint64_t now_us = scripting_wall_us(c);
    resp_array(&c->conn.out, 2);
    reply_number_text(c, now_us / 1000000);
    reply_number_text(c, now_us % 1000000);
}

void cmd_shutdown(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    bool saves = false;
    bool saves_not = false;
    bool aborts = false;
    for (uint32_t i = 1; i < argc; i++) {
        bool is_save = slice_is_nocase(argv[i], "save");
        bool is_nosave = slice_is_nocase(argv[i], "nosave");
        bool is_abort = slice_is_nocase(argv[i], "abort");
        saves = saves || is_save;
        saves_not = saves_not || is_nosave;
        aborts = aborts || is_abort;
        if ((!is_save && !is_nosave && !is_abort && !slice_is_nocase(argv[i], "now") &&
             !slice_is_nocase(argv[i], "force")) ||
            (saves && saves_not) || (aborts && argc > 2)) {
            reply_syntax(c);
            return;
        }
    }
    if (aborts) {
        resp_error(&c->conn.out, "ERR No shutdown in progress.");
        return;
    }
    if (s->request_shutdown == NULL) {
        resp_error(&c->conn.out, "ERR Errors trying to SHUTDOWN. Check logs.");
        return;
    }
    s->request_shutdown(s->request_shutdown_arg);
    conn_close_after_flush(&c->conn);
}
