/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What commands that wait have in common: their timeouts, and CLIENT UNBLOCK, which ends a wait. And WAIT,
 * which waits for replicas: there are none, so it never does.
 */
#include "serve/blocked.h"

#include "base/clock.h"
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool timeout_fits(struct resp_client *c, long double ms, uint64_t *ret_ms)
{
    if (ms > (long double)INT64_MAX || ms > (long double)(INT64_MAX - (int64_t)clock_wall_ms())) {
        resp_error(&c->conn.out, "ERR timeout is out of range");
        return false;
    }
    if (ms < 0) {
        resp_error(&c->conn.out, "ERR timeout is negative");
        return false;
    }
    *ret_ms = (uint64_t)ms;
    return true;
}

static bool parse_seconds(struct slice arg, long double *ret_value)
{
    char text[512];
    char *end;
    if (arg.len == 0 || arg.len >= sizeof(text) || isspace((unsigned char)arg.ptr[0])) {
        return false;
    }
    memcpy(text, arg.ptr, arg.len);
    text[arg.len] = '\0';
    errno = 0;
    *ret_value = strtold(text, &end);
    return end == text + arg.len && errno == 0 && !isnan(*ret_value);
}

bool arg_timeout_s(struct resp_client *c, struct slice arg, uint64_t *ret_ms)
{
    long double seconds;
    if (!parse_seconds(arg, &seconds)) {
        resp_error(&c->conn.out, "ERR timeout is not a float or out of range");
        return false;
    }
    return timeout_fits(c, ceill(seconds * 1000), ret_ms);
}

bool arg_timeout_ms(struct resp_client *c, struct slice arg, uint64_t *ret_ms)
{
    int64_t ms;
    if (!number_parse_i64(arg, &ms)) {
        resp_error(&c->conn.out, "ERR timeout is not an integer or out of range");
        return false;
    }
    return timeout_fits(c, ms, ret_ms);
}

void cmd_client_unblock(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t id;
    bool with_error = argc == 4 && slice_is_nocase(argv[3], "error");
    if (argc > 4) {
        reply_wrong_arity(c, "client|unblock");
    } else if (argc == 4 && !with_error && !slice_is_nocase(argv[3], "timeout")) {
        resp_error(&c->conn.out, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    } else if (arg_integer(c, argv[2], &id)) {
        reply_integer(c, blocked_end(c->worker, (uint64_t)id, with_error) ? 1 : 0);
    }
}

void cmd_wait(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t replicas;
    uint64_t timeout_ms;
    if (arg_integer(c, argv[1], &replicas) && arg_timeout_ms(c, argv[2], &timeout_ms)) {
        reply_integer(c, 0);
    }
}
