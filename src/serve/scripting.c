/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See scripting.h. The worker's vm is made at its first script.
 *
 * A script's commands are run by one detached client, which takes over what they depend on from the caller:
 * database, authority, leases (so that a miss of the connection and a write in a script belong together), and
 * whether a strict space's proof has failed. It has no time of its own: commands see the loop's, which stands
 * still while the script runs.
 *
 * Commands run inside the script's ownership, and change nothing but the store and that client: those that
 * would (SUBSCRIBE, MULTI, ...) are refused, and blocking ones do not block for a detached client.
 *
 * Invariants: C1. between client_own() and client_disown() nothing but the script's commands touches the
 * store. C2. the reply of a failed script is an error, whatever it has changed stays, as in Redis.
 * Threads: the worker's.
 */
#include "serve/scripting.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "serve/cmd/server.h"
#include "serve/command_stats.h"
#include "serve/detached.h"
#include "serve/durable.h"
#include "serve/gate.h"
#include "serve/settings.h"
#include "serve/tracking.h"
#include "serve/users.h"

#include <ctype.h>
#include <stdlib.h>

enum { REPLY_KEEP = 64 * 1024 };

struct scripting {
    struct script_vm *vm;
    struct resp_client *inner; /* runs the script's commands */
    uint64_t generation;       /* of the sources that the vm's scripts come from */
    size_t told_bytes;         /* of the vm, counted in the state's */
    /* the run */
    struct resp_client *caller;
    bool read_only;
    bool allow_oom;
    uint64_t started_ms;
    uint64_t started_wall_us;
};

struct scripting_state *scripting_state_create(void)
{
    struct scripting_state *s = xcalloc(1, sizeof(*s));
    s->sources = script_sources_create();
    return s;
}

void scripting_state_destroy(struct scripting_state **sp)
{
    struct scripting_state *s = *sp;
    if (s == NULL) {
        return;
    }
    script_sources_destroy(&s->sources);
    free(s);
    *sp = NULL;
}

void scripting_destroy(struct scripting **sp)
{
    struct scripting *s = *sp;
    if (s == NULL) {
        return;
    }
    script_vm_destroy(&s->vm);
    detached_destroy(&s->inner);
    free(s);
    *sp = NULL;
}

static struct scripting_state *state_of(const struct scripting *s)
{
    return s->inner->worker->server->scripting;
}

void scripting_figures(const struct server *s, struct scripting_figures *ret_figures)
{
    const struct scripting_state *state = s->scripting;
    *ret_figures = (struct scripting_figures){
        .vm_bytes = atomic_load_explicit(&state->vm_bytes, memory_order_relaxed),
        .sources = script_sources_count(state->sources),
        .source_bytes = script_sources_bytes(state->sources),
    };
}

struct resp_client *scripting_caller(const struct resp_client *inner)
{
    const struct scripting *s = inner->worker->scripting;
    return s != NULL && s->inner == inner ? s->caller : NULL;
}

uint64_t scripting_wall_us(const struct resp_client *c)
{
    return scripting_caller(c) != NULL ? c->worker->scripting->started_wall_us : clock_wall_us();
}

static void tell_memory(struct scripting *s)
{
    size_t now = script_vm_memory(s->vm);
    atomic_fetch_add_explicit(&state_of(s)->vm_bytes, now - s->told_bytes, memory_order_relaxed);
    s->told_bytes = now;
}

/* --- commands of a script ----------------------------------------------------------------------- */

/* NULL: no such command. A container without its subcommand is none. */
static const struct command *find_command(const struct slice *argv, uint32_t argc)
{
    const struct command *cmd = command_find(argv[0]);
    if (cmd != NULL && cmd->sub_count > 0 && argc > 1) {
        cmd = command_find_sub(cmd, argv[1]);
    }
    return cmd;
}

/* Why the script may not run it, in Redis's words; NULL: it may. */
static const char *refusal_of(const struct scripting *s, const struct command *cmd,
                              const struct slice *argv, uint32_t argc)
{
    if (cmd == NULL) {
        return "ERR Unknown Redis command called from script";
    }
    if (!command_takes(cmd, argc)) {
        return "ERR Wrong number of args calling Redis command from script";
    }
    const struct server *server = s->inner->worker->server;
    bool may_debug = atomic_load_explicit(&server->scripts_debug, memory_order_relaxed);
    if ((cmd->flags & COMMAND_NOSCRIPT) != 0 && !(may_debug && cmd->run == cmd_debug)) {
        return "ERR This Redis command is not allowed from script";
    }
    if ((cmd->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE)) != 0 && s->read_only) {
        return "ERR Write commands are not allowed from read-only scripts.";
    }
    return NULL;
}

/* Redis stops a script at its first write, or not at all. */
static bool room_admits(const struct scripting *s, const struct command *cmd)
{
    return (cmd->flags & COMMAND_DENYOOM) == 0 || s->allow_oom ||
           atomic_load_explicit(&state_of(s)->has_written, memory_order_relaxed) ||
           !store_is_full(client_store(s->inner), s->inner->db);
}

/* What the caller has read through the script is its own reading; what was refused is counted like anybody's. */
static void note_command(struct scripting *s, const struct command *cmd, const struct slice *argv,
                         uint32_t argc, bool was_run)
{
    struct resp_client *inner = s->inner;
    if (was_run && s->caller->tracker != NULL) {
        tracking_note_read(s->caller, cmd, argv, argc);
    } else if (!was_run) {
        (void)resp_count_reply(inner, 0);
        if (cmd != NULL) {
            command_stats_rejected(inner->worker, cmd);
        }
    }
}

static struct slice run_command(struct scripting *s, const struct command *cmd,
                                const struct slice *argv, uint32_t argc, int proto)
{
    struct resp_client *inner = s->inner;
    bool was_run = false;
    buf_clear(&inner->conn.out);
    const char *why = refusal_of(s, cmd, argv, argc);
    if (why != NULL) {
        resp_error(&inner->conn.out, "%s", why);
    } else if (!users_admit_script(s->caller, cmd, argv, argc)) {
        resp_error(&inner->conn.out,
                   "ERR ACL failure in script: User %s has no permissions to run the '%s' "
                   "command",
                   client_user_name(s->caller), cmd->full_name);
    } else if (!room_admits(s, cmd)) {
        reply_err(inner, ERR_NOSPACE);
    } else if (durable_admits(inner, cmd)) {
        if ((cmd->flags & COMMAND_WRITE) != 0) {
            atomic_store_explicit(&state_of(s)->has_written, true, memory_order_relaxed);
        }
        inner->proto = proto;
        resp_run(inner, cmd, argv, argc);
        check(buf_len(&inner->conn.out) > 0);
        was_run = true;
    }
    note_command(s, cmd, argv, argc, was_run);
    return buf_readable(&inner->conn.out);
}

static struct slice host_call(void *arg, const struct slice *argv, uint32_t argc, int proto)
{
    return run_command(arg, find_command(argv, argc), argv, argc, proto);
}

static enum script_acl host_acl_check(void *arg, const struct slice *argv, uint32_t argc)
{
    const struct scripting *s = arg;
    const struct command *cmd = find_command(argv, argc);
    if (cmd == NULL) {
        return SCRIPT_ACL_NO_COMMAND;
    }
    return users_admit_script(s->caller, cmd, argv, argc) ? SCRIPT_ACL_ALLOWED : SCRIPT_ACL_DENIED;
}

static void host_log(void *arg, int level, struct slice text)
{
    static const enum log_level levels[] = {LOG_DEBUG, LOG_DEBUG, LOG_INFO, LOG_WARN};
    log_event(levels[level], "script", "a script says", log_slice("text", text));
}

/* From now on others are told, and those that wait may be told so too. */
static void become_busy(struct scripting *s)
{
    struct server *server = s->inner->worker->server;
    log_event(
        LOG_WARN, "script", "a script runs for long; SCRIPT KILL ends it if it has not written",
        log_text("peer", s->caller->conn.peer), log_number("ms", clock_now_ms() - s->started_ms));
    atomic_store_explicit(&state_of(s)->is_busy, true, memory_order_relaxed);
    atomic_fetch_or_explicit(&server->alert, ALERT_BUSY, memory_order_relaxed);
    for (uint32_t i = 0; i < server->worker_count; i++) {
        gate_wake(&server->workers[i]);
    }
}

/* What others do meanwhile can replace the plan, to which a client's space belongs. */
static void let_others_turn(struct scripting *s)
{
    struct worker *w = s->inner->worker;
    loop_turn_within(w->loop);
    if (!client_select(s->inner, s->inner->db)) {
        (void)client_select_first(s->inner);
    }
    s->inner->strict = false;
}

/* The watchdog sees that the worker lives. */
static bool host_beat(void *arg)
{
    struct scripting *s = arg;
    struct scripting_state *state = state_of(s);
    thread_turn(clock_now_us());
    const struct server *server = s->inner->worker->server;
    uint64_t limit_ms = setting_get(&server->settings.busy_reply_ms);
    bool is_busy = atomic_load_explicit(&state->is_busy, memory_order_relaxed);
    if (!is_busy && limit_ms > 0 && clock_now_ms() - s->started_ms > limit_ms) {
        become_busy(s);
        is_busy = true;
    }
    if (is_busy && !s->caller->detached) {
        let_others_turn(s);
    }
    return !atomic_load_explicit(&state->is_killed, memory_order_relaxed) &&
           !atomic_load_explicit(&server->draining, memory_order_relaxed);
}

static const struct script_host host = {
    .version = REDIS_VERSION,
    .version_number = 0x070204,
    .call = host_call,
    .acl_check = host_acl_check,
    .log = host_log,
    .beat = host_beat,
};

/* --- finding and compiling ---------------------------------------------------------------------- */

static void reply_no_script_memory(struct resp_client *c)
{
    resp_error(&c->conn.out, "OOM no memory for the script; limits.script_memory is the bound");
}

static struct scripting *scripting_create(struct worker *w)
{
    struct scripting *s = xcalloc(1, sizeof(*s));
    s->vm = script_vm_create(&host, s, w->server->started_with->limits.script_memory);
    if (s->vm == NULL) {
        free(s);
        return NULL;
    }
    s->inner = detached_create(w);
    return s;
}

/* Forgets what has been flushed, here or elsewhere. */
static void follow_flush(struct scripting *s)
{
    uint64_t generation = script_sources_generation(state_of(s)->sources);
    if (s->generation != generation) {
        script_vm_flush(s->vm);
        s->generation = generation;
    }
}

/* The worker's, with no script in it that has been flushed; NULL after replying that there is no
 * memory. */
static struct scripting *scripting_of(struct resp_client *c)
{
    struct worker *w = c->worker;
    if (w->scripting == NULL && (w->scripting = scripting_create(w)) == NULL) {
        reply_no_script_memory(c);
        return NULL;
    }
    follow_flush(w->scripting);
    return w->scripting;
}

static bool compile(struct scripting *s, struct resp_client *c, const char *sha,
                    struct slice source)
{
    struct buf error;
    buf_init(&error);
    bool compiles = script_vm_load(s->vm, sha, source, &error);
    bool ok = compiles && script_sources_add(state_of(s)->sources, sha, source);
    if (!compiles) {
        struct slice text = buf_readable(&error);
        resp_error(&c->conn.out, "%.*s", (int)text.len, text.ptr);
    } else if (!ok) {
        reply_no_script_memory(c);
    }
    buf_fini(&error);
    return ok;
}

static bool compile_known(struct scripting *s, struct resp_client *c, const char *sha)
{
    struct buf source;
    buf_init(&source);
    bool known = script_sources_get(state_of(s)->sources, sha, &source);
    if (!known) {
        resp_error(&c->conn.out, "NOSCRIPT No matching script. Please use EVAL.");
    }
    bool ok = known && compile(s, c, sha, buf_readable(&source));
    buf_fini(&source);
    return ok;
}

/* Makes the vm know the script; false after replying why not. */
static bool prepare(struct scripting *s, struct resp_client *c, const struct scripting_call *call,
                    char sha[SCRIPT_SHA_SIZE], uint32_t *ret_flags)
{
    if (call->source.ptr != NULL) {
        script_sha1(call->source, sha);
    } else {
        bool could_be = call->sha.len == SCRIPT_SHA_LEN;
        for (size_t i = 0; i < SCRIPT_SHA_LEN; i++) {
            sha[i] = could_be ? (char)tolower((unsigned char)call->sha.ptr[i]) : 'x';
        }
        sha[SCRIPT_SHA_LEN] = '\0';
    }
    if (script_vm_find(s->vm, sha, ret_flags)) {
        return true;
    }
    bool ok =
        call->source.ptr != NULL ? compile(s, c, sha, call->source) : compile_known(s, c, sha);
    if (!ok || script_vm_find(s->vm, sha, ret_flags)) {
        return ok;
    }
    reply_no_script_memory(c);
    return false;
}

void scripting_load(struct resp_client *c, struct slice source)
{
    struct scripting *s = scripting_of(c);
    char sha[SCRIPT_SHA_SIZE];
    uint32_t flags = 0;
    if (s != NULL && prepare(s, c, &(struct scripting_call){.source = source}, sha, &flags)) {
        if (!script_sources_add(state_of(s)->sources, sha, source)) {
            reply_no_script_memory(c);
            return;
        }
        tell_memory(s);
        resp_bulk_str(&c->conn.out, sha);
    }
}

void scripting_flush(struct worker *w)
{
    script_sources_flush(w->server->scripting->sources);
    if (w->scripting != NULL) {
        follow_flush(w->scripting);
        tell_memory(w->scripting);
    }
}

/* --- running ------------------------------------------------------------------------------------ */

/* What the script's commands take over from the caller. */
static void begin(struct scripting *s, struct resp_client *c)
{
    struct resp_client *inner = s->inner;
    s->caller = c;
    s->started_ms = clock_now_ms();
    s->started_wall_us = clock_wall_us();
    thread_be_patient(true);
    check(client_select(inner, c->db));
    inner->strict = false; /* the caller has the proof, or lacks it */
    inner->proof_failed = c->proof_failed;
    inner->no_touch = c->no_touch;
    inner->in_exec = true;
    inner->leases = c->leases;
    struct scripting_state *state = state_of(s);
    atomic_store_explicit(&state->has_written, false, memory_order_relaxed);
    atomic_store_explicit(&state->is_killed, false, memory_order_relaxed);
    atomic_store_explicit(&state->is_running, true, memory_order_relaxed);
}

static void end(struct scripting *s)
{
    struct scripting_state *state = state_of(s);
    atomic_store_explicit(&state->is_running, false, memory_order_relaxed);
    if (atomic_exchange_explicit(&state->is_busy, false, memory_order_relaxed)) {
        atomic_fetch_and_explicit(&s->inner->worker->server->alert, ~(uint32_t)ALERT_BUSY,
                                  memory_order_relaxed);
    }
    thread_be_patient(false);
    s->caller->leases = s->inner->leases;
    s->caller = NULL;
    s->inner->in_exec = false;
    buf_clear(&s->inner->conn.out);
    buf_shrink(&s->inner->conn.out, REPLY_KEEP);
    tell_memory(s);
}

void scripting_run(struct resp_client *c, const struct scripting_call *call)
{
    struct scripting *s = scripting_of(c);
    char sha[SCRIPT_SHA_SIZE];
    uint32_t flags = 0;
    if (s == NULL || !prepare(s, c, call, sha, &flags)) {
        return;
    }
    if (call->read_only && (flags & (SCRIPT_NO_WRITES | SCRIPT_OLD_STYLE)) == 0) {
        resp_error(&c->conn.out,
                   "ERR Can not execute a script with write flag using *_ro command.");
        return;
    }
    if ((flags & (SCRIPT_OLD_STYLE | SCRIPT_ALLOW_OOM | SCRIPT_NO_WRITES)) == 0 &&
        store_is_full(client_store(c), c->db)) {
        resp_error(&c->conn.out, "OOM allow-oom flag is not set on the script, can not run it when "
                                 "used memory > 'maxmemory'");
        return;
    }
    s->allow_oom = (flags & SCRIPT_ALLOW_OOM) != 0;
    s->read_only = call->read_only || (flags & SCRIPT_NO_WRITES) != 0;
    struct script_run run = {
        .sha = sha,
        .keys = call->keys,
        .key_count = call->key_count,
        .args = call->args,
        .arg_count = call->arg_count,
        .proto = c->proto,
        .out = &c->conn.out,
        .reply_max = c->conn.face->limits->output_max,
    };
    client_own(c);
    begin(s, c);
    c->reply_failed |= !script_vm_run(s->vm, &run);
    c->error_told = script_vm_error_was_a_command_s(s->vm);
    end(s);
    client_disown(c);
}
