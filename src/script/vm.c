/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Lua state's life, and one script's run in it.
 *
 *   load: compile, keep in the registry by SHA1      run: KEYS, ARGV ─> pcall with handler ─> reply
 *
 * Everything that may raise an error, running out of memory included, happens inside lua_cpcall(); outside of
 * it only functions are used that cannot. The allocator counts and refuses beyond `memory_max`.
 *
 * A hook every HOOK_COUNT instructions, and every few calls of commands, asks the host whether to go on.
 * Once it says no, the hook comes with every instruction, so that no pcall and no coroutine outlives it.
 *
 * Invariants: V1. a run leaves the state's stack empty, its hook off and its collector on; V2. a script runs
 * only text that was compiled here (no bytecode).
 * Threads: the vm's. Not done: a bound on the time that one C function takes (a pattern of string.find).
 */
#include "script/priv.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { HOOK_COUNT = 100000, KEEP_COUNT = 64 };

/* Keys in the registry. */
static const char scripts_key; /* SHA1 -> function */
static const char flags_key;   /* SHA1 -> flags */

static void push_registered(lua_State *lua, const char *key)
{
    lua_pushlightuserdata(lua, (void *)(uintptr_t)key);
    lua_rawget(lua, LUA_REGISTRYINDEX);
}

static void set_registered(lua_State *lua, const char *key)
{
    lua_pushlightuserdata(lua, (void *)(uintptr_t)key);
    lua_insert(lua, -2);
    lua_rawset(lua, LUA_REGISTRYINDEX);
}

/* --- memory ------------------------------------------------------------------------------------- */

/* Lua relies on shrinking never to fail. */
static void *resize(void *arg, void *ptr, size_t old_size, size_t new_size)
{
    struct script_vm *vm = arg;
    if (new_size == 0) {
        vm->memory -= old_size;
        free(ptr);
        return NULL;
    }
    if (new_size > old_size && vm->memory + (new_size - old_size) > vm->memory_max) {
        return NULL;
    }
    void *moved = alloc_try_resize(ptr, new_size);
    if (moved == NULL) {
        return new_size <= old_size ? ptr : NULL;
    }
    vm->memory = vm->memory - old_size + new_size;
    return moved;
}

size_t script_vm_memory(const struct script_vm *vm)
{
    return vm->memory;
}

/* --- life --------------------------------------------------------------------------------------- */

static void forget(lua_State *lua)
{
    lua_newtable(lua);
    set_registered(lua, &scripts_key);
    lua_newtable(lua);
    set_registered(lua, &flags_key);
}

static int open_protected(lua_State *lua)
{
    (void)sandbox_open(lua);
    forget(lua);
    return 0;
}

struct script_vm *script_vm_create(const struct script_host *host, void *arg, size_t memory_max)
{
    struct script_vm *vm = xcalloc(1, sizeof(*vm));
    vm->host = host;
    vm->arg = arg;
    vm->memory_max = memory_max;
    script_random_seed(vm, 0x1234abcd);
    vm->lua = lua_newstate(resize, vm);
    if (vm->lua == NULL || lua_cpcall(vm->lua, open_protected, NULL) != 0) {
        script_vm_destroy(&vm);
    }
    return vm;
}

void script_vm_destroy(struct script_vm **vmp)
{
    struct script_vm *vm = *vmp;
    if (vm == NULL) {
        return;
    }
    if (vm->lua != NULL) {
        lua_close(vm->lua);
    }
    strbuf_settle(vm);
    buf_fini(&vm->text);
    free(vm->argv);
    free(vm->numbers);
    free(vm);
    *vmp = NULL;
}

static int flush_protected(lua_State *lua)
{
    forget(lua);
    return 0;
}

/* Two empty tables are all it needs: if there is no memory for them, collecting first helps. */
void script_vm_flush(struct script_vm *vm)
{
    if (lua_cpcall(vm->lua, flush_protected, NULL) != 0) {
        (void)lua_gc(vm->lua, LUA_GCCOLLECT, 0);
        check(lua_cpcall(vm->lua, flush_protected, NULL) == 0);
    }
    lua_settop(vm->lua, 0);
    (void)lua_gc(vm->lua, LUA_GCCOLLECT, 0);
}

/* --- compiling ---------------------------------------------------------------------------------- */

struct loading {
    const char *sha;
    struct slice body;
    uint32_t flags;
};

static int load_protected(lua_State *lua)
{
    const struct loading *l = lua_touserdata(lua, 1);
    lua_settop(lua, 0);
    if (l->body.len > 0 && l->body.ptr[0] == LUA_SIGNATURE[0]) {
        return luaL_error(lua, "user_script:1: unexpected symbol near 'char(%d)'",
                          LUA_SIGNATURE[0]);
    }
    lua_pushliteral(lua, "@user_script"); /* kept, as sandbox.c's load_text() does */
    if (luaL_loadbuffer(lua, l->body.len > 0 ? l->body.ptr : "", l->body.len, "@user_script") !=
        0) {
        return lua_error(lua);
    }
    lua_remove(lua, 1);
    push_registered(lua, &scripts_key);
    lua_pushlstring(lua, l->sha, SCRIPT_SHA_LEN);
    lua_pushvalue(lua, 1);
    lua_rawset(lua, -3);
    push_registered(lua, &flags_key);
    lua_pushlstring(lua, l->sha, SCRIPT_SHA_LEN);
    lua_pushnumber(lua, l->flags);
    lua_rawset(lua, -3);
    return 0;
}

/* Compiled scripts may not crowd out the memory that running ones need. */
static void make_room(struct script_vm *vm)
{
    if (vm->memory > vm->memory_max / 4) {
        (void)lua_gc(vm->lua, LUA_GCCOLLECT, 0);
        if (vm->memory > vm->memory_max / 4) {
            script_vm_flush(vm);
        }
    }
}

bool script_vm_load(struct script_vm *vm, const char *sha, struct slice source, struct buf *error)
{
    struct loading l = {.sha = sha};
    if (!script_source_read(source, &l.flags, &l.body, error)) {
        return false;
    }
    make_room(vm);
    if (lua_cpcall(vm->lua, load_protected, &l) == 0) {
        lua_settop(vm->lua, 0);
        return true;
    }
    buf_append_str(error, "ERR Error compiling script (new function): ");
    const char *why = lua_tostring(vm->lua, -1);
    buf_append_str(error, why != NULL ? why : "unknown error");
    lua_settop(vm->lua, 0);
    return false;
}

struct finding {
    const char *sha;
    uint32_t flags;
    bool found;
};

static int find_protected(lua_State *lua)
{
    struct finding *f = lua_touserdata(lua, 1);
    push_registered(lua, &flags_key);
    lua_pushlstring(lua, f->sha, SCRIPT_SHA_LEN);
    lua_rawget(lua, -2);
    f->found = lua_isnumber(lua, -1);
    f->flags = f->found ? (uint32_t)lua_tonumber(lua, -1) : 0;
    return 0;
}

bool script_vm_find(struct script_vm *vm, const char *sha, uint32_t *ret_flags)
{
    struct finding f = {.sha = sha};
    if (lua_cpcall(vm->lua, find_protected, &f) != 0) {
        lua_settop(vm->lua, 0);
        return false;
    }
    if (f.found) {
        *ret_flags = f.flags;
    }
    return f.found;
}

/* --- the hook ----------------------------------------------------------------------------------- */

static void hook(lua_State *lua, lua_Debug *where)
{
    (void)where;
    script_beat(lua);
}

void script_beat(lua_State *lua)
{
    struct script_vm *vm = vm_of(lua);
    vm->calls = 0;
    if (!vm->is_killed && vm->host->beat(vm->arg)) {
        return;
    }
    vm->is_killed = true;
    lua_sethook(lua, hook, LUA_MASKCOUNT, 1);
    lua_sethook(vm->lua, hook, LUA_MASKCOUNT, 1);
    api_push_error(lua, "Script killed by user with SCRIPT KILL.");
    (void)lua_error(lua);
}

/* --- running ------------------------------------------------------------------------------------ */

static void set_list(lua_State *lua, const char *name, const struct slice *items, uint32_t count)
{
    lua_createtable(lua, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        lua_pushlstring(lua, items[i].len > 0 ? items[i].ptr : "", items[i].len);
        lua_rawseti(lua, -2, (int)i + 1);
    }
    sandbox_set_global(lua, name);
}

/* As tostring() would, without asking metatables. */
static void push_text(lua_State *lua, int index)
{
    switch (lua_type(lua, index)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
        lua_pushvalue(lua, index);
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(lua, lua_toboolean(lua, index) ? "true" : "false");
        break;
    default:
        lua_pushstring(lua, luaL_typename(lua, index));
    }
}

/* Makes every error a table {err =, source =, line =}: where the script was when it happened. */
static int handle_error(lua_State *lua)
{
    lua_Debug where;
    bool known = lua_getstack(lua, 1, &where) != 0 && lua_getinfo(lua, "Sl", &where) != 0;
    if (known && strcmp(where.what, "C") == 0) {
        known = lua_getstack(lua, 2, &where) != 0 && lua_getinfo(lua, "Sl", &where) != 0;
    }
    lua_settop(lua, 1);
    if (!lua_istable(lua, 1)) {
        lua_createtable(lua, 0, 3);
        lua_pushliteral(lua, "ERR ");
        push_text(lua, 1);
        lua_concat(lua, 2);
        lua_setfield(lua, 2, "err");
        lua_replace(lua, 1);
    }
    if (known) {
        lua_pushstring(lua, where.source);
        lua_setfield(lua, 1, "source");
        lua_pushinteger(lua, where.currentline);
        lua_setfield(lua, 1, "line");
    }
    return 1;
}

static void append_field(lua_State *lua, struct buf *text, const char *name)
{
    lua_pushstring(lua, name);
    lua_rawget(lua, -2);
    size_t len = 0;
    const char *value = lua_tolstring(lua, -1, &len);
    if (value == NULL || !buf_try_append_slice(text, (struct slice){value, len})) {
        buf_append_str(text, "ERR no memory for the text of the error");
    }
    lua_pop(lua, 1);
}

static bool field_is_string(lua_State *lua, const char *name)
{
    lua_pushstring(lua, name);
    lua_rawget(lua, -2);
    bool is = lua_isstring(lua, -1) != 0;
    lua_pop(lua, 1);
    return is;
}

/* The error on the top of the stack as the reply. */
static void send_failure(struct script_vm *vm, lua_State *lua)
{
    const struct script_run *run = vm->run;
    struct buf *text = &vm->text;
    buf_clear(text);
    if (!lua_istable(lua, -1)) {
        const char *why = lua_tostring(lua, -1);
        buf_printf(text, "ERR %.100s script: %s", why != NULL ? why : "execution failure",
                   run->sha);
    } else {
        if (field_is_string(lua, "err")) {
            append_field(lua, text, "err");
        } else {
            buf_append_str(text, "ERR unknown error");
        }
        if (field_is_string(lua, "source") && field_is_string(lua, "line")) {
            buf_printf(text, " script: %s, on ", run->sha);
            append_field(lua, text, "source");
            buf_append_char(text, ':');
            append_field(lua, text, "line");
            buf_append_char(text, '.');
        }
    }
    convert_send_error(run->out, buf_readable(text));
}

/* Is it the table that a failed command left on the top? */
static bool is_command_error(lua_State *lua)
{
    if (!lua_istable(lua, -1)) {
        return false;
    }
    lua_pushliteral(lua, "ignore_error_stats_update");
    lua_rawget(lua, -2);
    bool is = lua_toboolean(lua, -1) != 0;
    lua_pop(lua, 1);
    return is && field_is_string(lua, "err");
}

static int run_protected(lua_State *lua)
{
    struct script_vm *vm = lua_touserdata(lua, 1);
    const struct script_run *run = vm->run;
    lua_settop(lua, 0);
    set_list(lua, "KEYS", run->keys, run->key_count);
    set_list(lua, "ARGV", run->args, run->arg_count);
    lua_pushcfunction(lua, handle_error);
    push_registered(lua, &scripts_key);
    lua_pushlstring(lua, run->sha, SCRIPT_SHA_LEN);
    lua_rawget(lua, -2);
    lua_remove(lua, -2);
    check(lua_isfunction(lua, -1));
    lua_sethook(lua, hook, LUA_MASKCOUNT, HOOK_COUNT);
    int status = lua_pcall(lua, 0, 1, 1);
    lua_sethook(lua, NULL, 0, 0);
    vm->is_command_error = is_command_error(lua);
    if (status != 0) {
        send_failure(vm, lua);
    } else {
        convert_send(vm, lua);
    }
    return 0;
}

/* What a script may have changed for the next one (V1). */
static void settle(struct script_vm *vm)
{
    enum { PAUSE = 200, STEPS = 200 };
    lua_State *lua = vm->lua;
    lua_sethook(lua, NULL, 0, 0);
    lua_settop(lua, 0);
    (void)lua_gc(lua, LUA_GCSETPAUSE, PAUSE);
    (void)lua_gc(lua, LUA_GCSETSTEPMUL, STEPS);
    (void)lua_gc(lua, LUA_GCRESTART, 0);
    if (vm->memory > vm->memory_max / 4) {
        (void)lua_gc(lua, LUA_GCCOLLECT, 0);
    }
    if (vm->argv_cap > KEEP_COUNT) {
        free(vm->argv);
        free(vm->numbers);
        vm->argv = NULL;
        vm->numbers = NULL;
        vm->argv_cap = 0;
        vm->numbers_cap = 0;
    }
    buf_clear(&vm->text);
    buf_shrink(&vm->text, 1024);
    strbuf_settle(vm);
}

bool script_vm_error_was_a_command_s(const struct script_vm *vm)
{
    return vm->is_command_error;
}

bool script_vm_run(struct script_vm *vm, const struct script_run *run)
{
    check(vm->run == NULL);
    size_t before = buf_len(run->out);
    vm->run = run;
    vm->proto = 2;
    vm->is_killed = false;
    vm->too_large = false;
    vm->is_command_error = false;
    if (lua_cpcall(vm->lua, run_protected, vm) != 0) {
        /* Outside the script itself: no memory for its arguments, or for its reply. */
        buf_truncate(run->out, before);
        send_failure(vm, vm->lua);
    }
    vm->run = NULL;
    settle(vm);
    return !vm->too_large;
}
