/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EVAL and its relatives, SCRIPT.
 *
 * Threads: the connection's worker. Not done: the Lua debugger (SCRIPT DEBUG takes only NO), functions
 * (FUNCTION, FCALL).
 */
#include "serve/resp_client.h"
#include "serve/scripting.h"

#include <ctype.h>

/* --- EVAL --------------------------------------------------------------------------------------- */

/* argv: command, source or SHA1, number of keys, keys, arguments. */
static void eval(struct resp_client *c, const struct slice *argv, uint32_t argc, bool by_sha,
                 bool read_only)
{
    int64_t keys = 0;
    if (!arg_integer(c, argv[2], &keys)) {
        return;
    }
    if (keys > (int64_t)argc - 3) {
        resp_error(&c->conn.out, "ERR Number of keys can't be greater than number of args");
        return;
    }
    if (keys < 0) {
        resp_error(&c->conn.out, "ERR Number of keys can't be negative");
        return;
    }
    struct scripting_call call = {
        .read_only = read_only,
        .keys = argv + 3,
        .key_count = (uint32_t)keys,
        .args = argv + 3 + keys,
        .arg_count = argc - 3 - (uint32_t)keys,
    };
    *(by_sha ? &call.sha : &call.source) =
        (struct slice){argv[1].ptr != NULL ? argv[1].ptr : "", argv[1].len};
    scripting_run(c, &call);
}

void cmd_eval(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    eval(c, argv, argc, false, false);
}

void cmd_eval_ro(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    eval(c, argv, argc, false, true);
}

void cmd_evalsha(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    eval(c, argv, argc, true, false);
}

void cmd_evalsha_ro(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    eval(c, argv, argc, true, true);
}

/* --- SCRIPT ------------------------------------------------------------------------------------- */

static struct scripting_state *state(const struct resp_client *c)
{
    return c->worker->server->scripting;
}

void cmd_script_load(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    scripting_load(c, (struct slice){argv[2].ptr != NULL ? argv[2].ptr : "", argv[2].len});
}

static bool exists(const struct resp_client *c, struct slice name)
{
    char sha[SCRIPT_SHA_SIZE] = "";
    if (name.len != SCRIPT_SHA_LEN) {
        return false;
    }
    for (size_t i = 0; i < SCRIPT_SHA_LEN; i++) {
        sha[i] = (char)tolower((unsigned char)name.ptr[i]);
    }
    return script_sources_has(state(c)->sources, sha);
}

void cmd_script_exists(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_array(&c->conn.out, argc - 2);
    for (uint32_t i = 2; i < argc; i++) {
        reply_integer(c, exists(c, argv[i]) ? 1 : 0);
    }
}

void cmd_script_flush(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    bool known =
        argc == 2 ||
        (argc == 3 && (slice_is_nocase(argv[2], "sync") || slice_is_nocase(argv[2], "async")));
    if (!known) {
        resp_error(&c->conn.out, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
        return;
    }
    scripting_flush(c->worker);
    reply_ok(c);
}

void cmd_script_kill(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct scripting_state *s = state(c);
    if (!atomic_load_explicit(&s->is_running, memory_order_relaxed)) {
        resp_error(&c->conn.out, "NOTBUSY No scripts in execution right now.");
        return;
    }
    if (atomic_load_explicit(&s->has_written, memory_order_relaxed)) {
        resp_error(&c->conn.out,
                   "UNKILLABLE Sorry the script already executed write commands against the "
                   "dataset. You can either wait the script termination or kill the server in a "
                   "hard way using the SHUTDOWN NOSAVE command.");
        return;
    }
    atomic_store_explicit(&s->is_killed, true, memory_order_relaxed);
    reply_ok(c);
}

void cmd_script_debug(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (slice_is_nocase(argv[2], "no")) {
        reply_ok(c);
    } else if (slice_is_nocase(argv[2], "yes") || slice_is_nocase(argv[2], "sync")) {
        resp_error(&c->conn.out, "ERR the Lua debugger is not in freshet; test scripts with "
                                 "redis-cli --ldb against a redis-server");
    } else {
        resp_error(&c->conn.out, "ERR Use SCRIPT DEBUG YES/SYNC/NO");
    }
}

void cmd_script_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "DEBUG (YES|SYNC|NO)",
        "    Set the debug mode for subsequent scripts executed.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Return information about the existence of the scripts in the script cache.",
        "FLUSH [ASYNC|SYNC]",
        "    Flush the Lua scripts cache. Very dangerous on replicas.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the scripts cache.",
        "    * SYNC: Synchronously flush the scripts cache.",
        "KILL",
        "    Kill the currently executing Lua script.",
        "LOAD <script>",
        "    Load a script into the scripts cache without executing it.",
    };
    reply_help(c, "SCRIPT", lines, array_len(lines));
}
