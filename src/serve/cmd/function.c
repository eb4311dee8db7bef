/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FUNCTION: freshet has scripts, and no libraries of functions. Asked for its libraries it has none, which can be
 * flushed, listed, dumped and restored, so that tools and test suites that begin with that go on; a library that
 * is to be loaded is refused with a word on what there is instead.
 *
 * Threads: the connection's worker.
 */
#include "serve/cmd/rdb.h"
#include "serve/resp_client.h"

#define NO_FUNCTIONS "ERR functions are not in freshet: use scripts (EVAL, SCRIPT LOAD, EVALSHA)"

void cmd_function_flush(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (argc > 3) {
        resp_error(
            &c->conn.out,
            "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try FUNCTION HELP.",
            (int)argv[1].len, argv[1].ptr);
        return;
    }
    if (argc == 3 && !slice_is_nocase(argv[2], "async") && !slice_is_nocase(argv[2], "sync")) {
        resp_error(&c->conn.out, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        return;
    }
    reply_ok(c);
}

void cmd_function_list(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    for (uint32_t i = 2; i < argc; i++) {
        bool is_name = slice_is_nocase(argv[i], "libraryname");
        if (is_name && i + 1 == argc) {
            resp_error(&c->conn.out, "ERR library name argument was not given");
            return;
        }
        if (!is_name && !slice_is_nocase(argv[i], "withcode")) {
            resp_error(&c->conn.out, "ERR Unknown argument %.*s", (int)argv[i].len, argv[i].ptr);
            return;
        }
        i += is_name ? 1 : 0;
    }
    resp_array(&c->conn.out, 0);
}

void cmd_function_stats(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf *out = &c->conn.out;
    resp_map(out, c->proto, 2);
    resp_bulk_str(out, "running_script");
    reply_null(c);
    resp_bulk_str(out, "engines");
    resp_map(out, c->proto, 1);
    resp_bulk_str(out, "LUA");
    resp_map(out, c->proto, 2);
    resp_bulk_str(out, "libraries_count");
    resp_integer(out, 0);
    resp_bulk_str(out, "functions_count");
    resp_integer(out, 0);
}

/* All libraries: nothing but the end of a dump. */
void cmd_function_dump(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf nothing;
    buf_init(&nothing);
    rdb_seal(&nothing, 0);
    reply_bulk(c, buf_readable(&nothing));
    buf_fini(&nothing);
}

void cmd_function_restore(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct slice libraries = argv[2];
    bool has_policy =
        argc == 4 && (slice_is_nocase(argv[3], "append") || slice_is_nocase(argv[3], "replace") ||
                      slice_is_nocase(argv[3], "flush"));
    if (argc > 4) {
        resp_error(
            &c->conn.out,
            "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try FUNCTION HELP.",
            (int)argv[1].len, argv[1].ptr);
    } else if (argc == 4 && !has_policy) {
        resp_error(&c->conn.out, "ERR Wrong restore policy given, value should be either FLUSH, "
                                 "APPEND or REPLACE.");
    } else if (!rdb_check(&libraries)) {
        resp_error(&c->conn.out, "ERR DUMP payload version or checksum are wrong");
    } else if (libraries.len > 0) {
        resp_error(&c->conn.out, NO_FUNCTIONS);
    } else {
        reply_ok(c);
    }
}

void cmd_function_load(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_error(&c->conn.out, NO_FUNCTIONS);
}

void cmd_function_delete(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_error(&c->conn.out, "ERR Library not found");
}

void cmd_function_kill(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_error(&c->conn.out, "NOTBUSY No scripts in execution right now.");
}

void cmd_function_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "DELETE <LIBRARY NAME>",
        "    Refused: there is no library.",
        "DUMP",
        "    All libraries, as bytes for RESTORE: none.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all libraries, of which there are none.",
        "KILL",
        "    Refused: no function is running.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return information on all libraries: nothing.",
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Refused: use scripts (EVAL, SCRIPT LOAD, EVALSHA).",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Takes a dump without libraries.",
        "STATS",
        "    Return what function is running: none.",
    };
    reply_help(c, "FUNCTION", lines, array_len(lines));
}
