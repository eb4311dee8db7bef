/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table `redis`, which scripts also know as `server`.
 *
 * redis.call() and redis.pcall() hand strings and numbers to the host and turn its reply into Lua. A reply
 * that is an error is raised by call as a table {err = text}, to which the run's error handler (vm.c) adds
 * where it happened; pcall returns the same table.
 *
 * Source: redis.io "Redis Lua API reference"; texts as Redis 7.2 gives them. What speaks of replication
 * checks its arguments and does nothing: there is none.
 * Threads: the vm's.
 */
#include "script/priv.h"

#include "base/alloc.h"
#include "base/real.h"

enum { REPL_MASK = 3, CALLS_BETWEEN_BEATS = 16 };

void api_push_error(lua_State *lua, const char *text)
{
    bool has_dash = text[0] == '-';
    const char *words = has_dash ? text + 1 : text;
    size_t len = strlen(words);
    while (len > 0 && strchr("\r\n", words[len - 1]) != NULL) {
        len--;
    }
    bool has_code = has_dash && memchr(words, ' ', len) != NULL;
    lua_createtable(lua, 0, 4);
    if (has_code) {
        lua_pushlstring(lua, words, len);
    } else {
        lua_pushliteral(lua, "ERR ");
        lua_pushlstring(lua, words, len);
        lua_concat(lua, 2);
    }
    lua_setfield(lua, -2, "err");
}

static int raise(lua_State *lua, const char *text)
{
    api_push_error(lua, text);
    return lua_error(lua);
}

/* --- call and pcall ----------------------------------------------------------------------------- */

static void make_room(struct script_vm *vm, uint32_t argc)
{
    if (argc > vm->argv_cap) {
        vm->argv_cap = argc * 2;
        vm->argv = xrealloc(vm->argv, vm->argv_cap * sizeof(*vm->argv));
    }
    if ((size_t)argc * REAL_MAX_LEN > vm->numbers_cap) {
        vm->numbers_cap = (size_t)argc * 2 * REAL_MAX_LEN;
        vm->numbers = xrealloc(vm->numbers, vm->numbers_cap);
    }
}

/* The function's arguments in vm->argv; false when one of them is neither string nor number. */
static bool gather(struct script_vm *vm, lua_State *lua, uint32_t argc)
{
    make_room(vm, argc);
    for (uint32_t i = 0; i < argc; i++) {
        int index = (int)i + 1;
        char *text = vm->numbers + (size_t)i * REAL_MAX_LEN;
        switch (lua_type(lua, index)) {
        case LUA_TNUMBER:
            vm->argv[i] = (struct slice){text, real_format(text, lua_tonumber(lua, index))};
            break;
        case LUA_TSTRING:
            vm->argv[i].ptr = lua_tolstring(lua, index, &vm->argv[i].len);
            break;
        default:
            return false;
        }
    }
    return true;
}

/* Why the arguments are none; NULL: they are in vm->argv. */
static const char *take_arguments(struct script_vm *vm, lua_State *lua)
{
    int argc = lua_gettop(lua);
    if (argc == 0) {
        return "Please specify at least one argument for this redis lib call";
    }
    return gather(vm, lua, (uint32_t)argc)
               ? NULL
               : "Lua redis lib command arguments must be strings or integers";
}

static void push_own_error(lua_State *lua, const char *text)
{
    api_push_error(lua, text);
    lua_pushboolean(lua, 1);
    lua_setfield(lua, -2, "ignore_error_stats_update");
}

/* True: what was pushed is an error. */
static bool call(lua_State *lua)
{
    struct script_vm *vm = vm_of(lua);
    const char *why = take_arguments(vm, lua);
    if (why != NULL) {
        push_own_error(lua, why);
        return true;
    }
    if (++vm->calls >= CALLS_BETWEEN_BEATS) {
        script_beat(lua);
    }
    struct slice reply = vm->host->call(vm->arg, vm->argv, (uint32_t)lua_gettop(lua), vm->proto);
    lua_settop(lua, 0); /* thousands of arguments leave no room on the stack for the reply */
    convert_push_reply(lua, reply);
    return reply.ptr[0] == '-';
}

static int api_call(lua_State *lua)
{
    return call(lua) ? lua_error(lua) : 1;
}

static int api_pcall(lua_State *lua)
{
    (void)call(lua);
    return 1;
}

/* --- the rest ----------------------------------------------------------------------------------- */

static int api_error_reply(lua_State *lua)
{
    if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
        api_push_error(lua, "wrong number or type of arguments");
        return 1;
    }
    const char *text = lua_tostring(lua, 1);
    lua_pushfstring(lua, "-%s", text[0] == '-' ? text + 1 : text);
    api_push_error(lua, lua_tostring(lua, -1));
    return 1;
}

static int api_status_reply(lua_State *lua)
{
    if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
        api_push_error(lua, "wrong number or type of arguments");
        return 1;
    }
    lua_createtable(lua, 0, 1);
    lua_pushvalue(lua, 1);
    lua_setfield(lua, -2, "ok");
    return 1;
}

static int api_sha1hex(lua_State *lua)
{
    if (lua_gettop(lua) != 1) {
        return raise(lua, "wrong number of arguments");
    }
    struct slice text = {NULL, 0};
    text.ptr = lua_tolstring(lua, 1, &text.len);
    char sha[SCRIPT_SHA_SIZE];
    script_sha1(text.ptr != NULL ? text : SLICE(""), sha);
    lua_pushstring(lua, sha);
    return 1;
}

static int api_log(lua_State *lua)
{
    int argc = lua_gettop(lua);
    if (argc < 2) {
        return raise(lua, "redis.log() requires two arguments or more.");
    }
    if (!lua_isnumber(lua, 1)) {
        return raise(lua, "First argument must be a number (log level).");
    }
    lua_Number level = lua_tonumber(lua, 1);
    if (!(level >= 0 && level <= 3)) {
        return raise(lua, "Invalid debug level.");
    }
    luaL_Buffer text;
    luaL_buffinit(lua, &text);
    for (int i = 2; i <= argc; i++) {
        if (!lua_isstring(lua, i)) {
            continue;
        }
        if (i > 2) {
            luaL_addchar(&text, ' ');
        }
        lua_pushvalue(lua, i);
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    struct slice line = {NULL, 0};
    line.ptr = lua_tolstring(lua, -1, &line.len);
    struct script_vm *vm = vm_of(lua);
    vm->host->log(vm->arg, (int)level, line);
    return 0;
}

static int api_setresp(lua_State *lua)
{
    if (lua_gettop(lua) != 1) {
        return raise(lua, "redis.setresp() requires one argument.");
    }
    lua_Number proto = lua_tonumber(lua, 1);
    if (proto != 2 && proto != 3) {
        return raise(lua, "RESP version must be 2 or 3.");
    }
    vm_of(lua)->proto = (int)proto;
    return 0;
}

static int api_replicate_commands(lua_State *lua)
{
    lua_pushboolean(lua, 1);
    return 1;
}

static int api_set_repl(lua_State *lua)
{
    if (lua_gettop(lua) != 1) {
        return raise(lua, "redis.set_repl() requires two arguments.");
    }
    lua_Number flags = lua_tonumber(lua, 1);
    if (!(flags >= 0 && flags <= REPL_MASK)) {
        return raise(lua, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or "
                          "REPL_NONE.");
    }
    return 0;
}

static int api_breakpoint(lua_State *lua)
{
    lua_pushboolean(lua, 0);
    return 1;
}

static int api_debug(lua_State *lua)
{
    return 0;
}

static int api_acl_check_cmd(lua_State *lua)
{
    struct script_vm *vm = vm_of(lua);
    const char *why = take_arguments(vm, lua);
    if (why != NULL) {
        return raise(lua, why);
    }
    switch (vm->host->acl_check(vm->arg, vm->argv, (uint32_t)lua_gettop(lua))) {
    case SCRIPT_ACL_NO_COMMAND:
        return raise(lua, "Invalid command passed to redis.acl_check_cmd()");
    case SCRIPT_ACL_DENIED:
        lua_pushboolean(lua, 0);
        break;
    case SCRIPT_ACL_ALLOWED:
        lua_pushboolean(lua, 1);
        break;
    }
    return 1;
}

static const luaL_Reg functions[] = {
    {"call", api_call},
    {"pcall", api_pcall},
    {"error_reply", api_error_reply},
    {"status_reply", api_status_reply},
    {"sha1hex", api_sha1hex},
    {"log", api_log},
    {"setresp", api_setresp},
    {"replicate_commands", api_replicate_commands},
    {"set_repl", api_set_repl},
    {"breakpoint", api_breakpoint},
    {"debug", api_debug},
    {"acl_check_cmd", api_acl_check_cmd},
};

static const struct {
    const char *name;
    int value;
} constants[] = {
    {"LOG_DEBUG", 0}, {"LOG_VERBOSE", 1},  {"LOG_NOTICE", 2}, {"LOG_WARNING", 3}, {"REPL_NONE", 0},
    {"REPL_AOF", 1},  {"REPL_REPLICA", 2}, {"REPL_SLAVE", 2}, {"REPL_ALL", 3},
};

void api_open(lua_State *lua)
{
    lua_createtable(lua, 0, 32);
    for (size_t i = 0; i < array_len(functions); i++) {
        lua_pushcfunction(lua, functions[i].func);
        lua_setfield(lua, -2, functions[i].name);
    }
    for (size_t i = 0; i < array_len(constants); i++) {
        lua_pushnumber(lua, constants[i].value);
        lua_setfield(lua, -2, constants[i].name);
    }
    const struct script_host *host = vm_of(lua)->host;
    lua_pushstring(lua, host->version);
    lua_setfield(lua, -2, "REDIS_VERSION");
    lua_pushnumber(lua, host->version_number);
    lua_setfield(lua, -2, "REDIS_VERSION_NUM");
}
