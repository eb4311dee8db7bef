/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a script can reach, and what it cannot change.
 *
 * Stock Lua 5.1 has no read-only tables. So a script never sees a table of ours: it sees a *view*, an empty
 * table whose metatable reads through to the real one, refuses writes, and is itself out of reach
 * (getmetatable is ours). The globals are a view too, and each library in them:
 *
 *      script ─> view of the globals ──> globals ─┬─> view of string ──> string
 *                                                 └─> missing: "Script attempted to access ..."
 *
 * Functions that go past metatables (rawset, rawget, next, pairs, setmetatable, table.insert ...) are ours and
 * know a view when they see one.
 *
 * Invariants: X1. no real table is ever pushed for a script; X2. nothing loads bytecode, which could
 * crash Lua; X3. a function in C that can run for long without Lua code is bounded by its own.
 *
 * Not there: io, os (but os.clock), package, require, module, debug, print, dofile, loadfile, newproxy, getfenv,
 * setfenv.
 * Threads: the vm's.
 */
#include "script/priv.h"

#include <lua-bitop.h>
#include <string.h>

/* Keys in the registry and in metatables: addresses, which no script can make. */
static const char real_key;    /* in a view's metatable: the real table */
static const char globals_key; /* in the registry: the real globals */

static const char readonly_text[] = "Attempt to modify a readonly table";

/* Raises the text as an error without a position, as Redis does. */
static int raise_text(lua_State *lua, const char *text)
{
    lua_pushstring(lua, text);
    return lua_error(lua);
}

/* --- views -------------------------------------------------------------------------------------- */

/* Pushes the table behind a read-only view at `index`, or the value itself. True: it was a view. */
static bool push_real(lua_State *lua, int index)
{
    if (lua_istable(lua, index) && lua_getmetatable(lua, index) != 0) {
        lua_pushlightuserdata(lua, (void *)(uintptr_t)&real_key);
        lua_rawget(lua, -2);
        if (lua_istable(lua, -1)) {
            lua_remove(lua, -2);
            return true;
        }
        lua_pop(lua, 2);
    }
    lua_pushvalue(lua, index);
    return false;
}

static bool is_view(lua_State *lua, int index)
{
    bool is = push_real(lua, index);
    lua_pop(lua, 1);
    return is;
}

static int refuse_write(lua_State *lua)
{
    return luaL_error(lua, "%s", readonly_text);
}

void sandbox_freeze(lua_State *lua)
{
    int real = lua_gettop(lua);
    lua_newtable(lua); /* the view */
    lua_createtable(lua, 0, 4);
    lua_pushvalue(lua, real);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, refuse_write);
    lua_setfield(lua, -2, "__newindex");
    lua_pushlightuserdata(lua, (void *)(uintptr_t)&real_key);
    lua_pushvalue(lua, real);
    lua_rawset(lua, -3);
    lua_setmetatable(lua, -2);
    lua_replace(lua, real);
}

static int refuse_missing(lua_State *lua)
{
    return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'",
                      lua_tostring(lua, 2) != NULL ? lua_tostring(lua, 2) : luaL_typename(lua, 2));
}

static void push_globals(lua_State *lua)
{
    lua_pushlightuserdata(lua, (void *)(uintptr_t)&globals_key);
    lua_rawget(lua, LUA_REGISTRYINDEX);
}

void sandbox_set_global(lua_State *lua, const char *name)
{
    push_globals(lua);
    lua_pushstring(lua, name);
    lua_pushvalue(lua, -3);
    lua_rawset(lua, -3);
    lua_pop(lua, 2);
}

/* --- functions of the base library that know views -------------------------------------------------- */

static int base_rawset(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    luaL_checkany(lua, 3);
    if (is_view(lua, 1)) {
        return raise_text(lua, readonly_text);
    }
    lua_settop(lua, 3);
    lua_rawset(lua, 1);
    return 1;
}

static int base_rawget(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    lua_settop(lua, 2);
    (void)push_real(lua, 1);
    lua_insert(lua, 1);
    lua_rawget(lua, 1);
    return 1;
}

static int base_next(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 2);
    (void)push_real(lua, 1);
    lua_replace(lua, 1);
    if (lua_next(lua, 1) != 0) {
        return 2;
    }
    lua_pushnil(lua);
    return 1;
}

static int base_pairs(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

static int base_setmetatable(lua_State *lua)
{
    int type = lua_type(lua, 2);
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_argcheck(lua, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
    if (is_view(lua, 1)) {
        return raise_text(lua, readonly_text);
    }
    if (luaL_getmetafield(lua, 1, "__metatable") != 0) {
        return luaL_error(lua, "cannot change a protected metatable");
    }
    lua_settop(lua, 2);
    lua_setmetatable(lua, 1);
    return 1;
}

/* A view has no metatable, but the globals', which is one that cannot be changed. */
static int base_getmetatable(lua_State *lua)
{
    luaL_checkany(lua, 1);
    if (push_real(lua, 1)) {
        bool is_globals = lua_getmetatable(lua, -1) != 0;
        lua_newtable(lua);
        if (is_globals) {
            sandbox_freeze(lua);
        } else {
            lua_pushnil(lua);
        }
        return 1;
    }
    if (luaL_getmetafield(lua, 1, "__metatable") == 0 && lua_getmetatable(lua, 1) == 0) {
        lua_pushnil(lua);
    }
    return 1;
}

/* Errors that are tables with a text are given as the text (Redis 7). */
static int base_pcall(lua_State *lua)
{
    luaL_checkany(lua, 1);
    int status = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0);
    if (status != 0 && lua_istable(lua, -1)) {
        lua_getfield(lua, -1, "err");
        lua_remove(lua, lua_isstring(lua, -1) ? -2 : -1);
    }
    lua_pushboolean(lua, status == 0);
    lua_insert(lua, 1);
    return lua_gettop(lua);
}

/* A handler of a killed script would run inside the hook that kills it, where no other hook comes. */
static int handle_unless_killed(lua_State *lua)
{
    if (!vm_of(lua)->is_killed) {
        lua_pushvalue(lua, lua_upvalueindex(1));
        lua_insert(lua, 1);
        lua_call(lua, 1, 1);
    }
    return 1;
}

static int base_xpcall(lua_State *lua)
{
    luaL_checkany(lua, 2);
    lua_settop(lua, 2);
    lua_pushcclosure(lua, handle_unless_killed, 1);
    lua_insert(lua, 1);
    int status = lua_pcall(lua, 0, LUA_MULTRET, 1);
    lua_pushboolean(lua, status == 0);
    lua_replace(lua, 1);
    return lua_gettop(lua);
}

/* Text only (X2). */
static int load_text(lua_State *lua, struct slice text, const char *name)
{
    int status = 1;
    if (text.len > 0 && text.ptr[0] == LUA_SIGNATURE[0]) {
        lua_pushliteral(lua, "bytecode is not loaded here, only the text of a script");
    } else {
        lua_pushstring(lua,
                       name); /* Lua's parser does not keep it from the collector: CVE-2025-49844 */
        status = luaL_loadbuffer(lua, text.ptr, text.len, name);
        lua_remove(lua, -2);
    }
    if (status == 0) {
        return 1;
    }
    lua_pushnil(lua);
    lua_insert(lua, -2);
    return 2;
}

static int base_loadstring(lua_State *lua)
{
    struct slice text = {NULL, 0};
    text.ptr = luaL_checklstring(lua, 1, &text.len);
    return load_text(lua, text, luaL_optstring(lua, 2, text.ptr));
}

static int base_load(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TFUNCTION);
    const char *name = luaL_optstring(lua, 2, "=(load)");
    luaL_Buffer text;
    lua_settop(lua, 2);
    luaL_buffinit(lua, &text);
    for (;;) {
        lua_pushvalue(lua, 1);
        lua_call(lua, 0, 1);
        if (lua_isnil(lua, -1)) {
            lua_pop(lua, 1);
            break;
        }
        if (!lua_isstring(lua, -1)) {
            return luaL_error(lua, "reader function must return a string");
        }
        if (lua_objlen(lua, -1) == 0) {
            lua_pop(lua, 1);
            break;
        }
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    struct slice whole = {NULL, 0};
    whole.ptr = lua_tolstring(lua, -1, &whole.len);
    return load_text(lua, whole, name);
}

/* Lua's own counts the results in an int, which overflows; compiled by gcc it then writes beyond the stack. */
static int base_unpack(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    int first = luaL_optint(lua, 2, 1);
    int last = lua_isnoneornil(lua, 3) ? (int)lua_objlen(lua, 1) : luaL_checkint(lua, 3);
    int64_t count = (int64_t)last - first + 1;
    if (count <= 0) {
        return 0;
    }
    if (count > LUAI_MAXCSTACK || !lua_checkstack(lua, (int)count)) {
        return luaL_error(lua, "too many results to unpack");
    }
    for (int64_t i = 0; i < count; i++) {
        lua_rawgeti(lua, 1, (int)(first + i));
    }
    return (int)count;
}

static const luaL_Reg base_functions[] = {
    {"rawset", base_rawset}, {"rawget", base_rawget},
    {"next", base_next},     {"setmetatable", base_setmetatable},
    {"pcall", base_pcall},   {"loadstring", base_loadstring},
    {"load", base_load},     {"getmetatable", base_getmetatable},
    {"xpcall", base_xpcall}, {"unpack", base_unpack},
};

/* --- functions of other libraries ----------------------------------------------------------------- */

/* Lua's own, unless the first argument is a view. */
static int unless_view(lua_State *lua, enum script_original which)
{
    if (is_view(lua, 1)) {
        return raise_text(lua, readonly_text);
    }
    return vm_of(lua)->original[which](lua);
}

/* Lua's moves every element between the last and a position, however far below zero that is (X3). */
static int table_insert(lua_State *lua)
{
    enum { POSITION_MIN = -1000000 };
    if (lua_gettop(lua) == 3 && lua_isnumber(lua, 2) && luaL_checkint(lua, 2) < POSITION_MIN) {
        return luaL_argerror(lua, 2, "position out of bounds");
    }
    return unless_view(lua, ORIGINAL_INSERT);
}

static int table_remove(lua_State *lua)
{
    return unless_view(lua, ORIGINAL_REMOVE);
}

/* Nothing of ours is an array. */
static int table_sort(lua_State *lua)
{
    return is_view(lua, 1) ? 0 : vm_of(lua)->original[ORIGINAL_SORT](lua);
}

/* Nothing, two thousand million times, is nothing at once (X3). */
static int string_rep(lua_State *lua)
{
    if (lua_objlen(lua, 1) == 0 && lua_isstring(lua, 1)) {
        lua_pushliteral(lua, "");
        return 1;
    }
    return vm_of(lua)->original[ORIGINAL_REP](lua);
}

/* Lua's matcher calls itself for each item of a pattern, so that a long enough one overflows the C stack. */
static void check_pattern(lua_State *lua)
{
    enum { PATTERN_MAX = 10000 };
    size_t len = 0;
    const char *pattern = lua_tolstring(lua, 2, &len);
    if (pattern != NULL && len > PATTERN_MAX && !lua_toboolean(lua, 4) &&
        strpbrk(pattern, "^$*+?.([%-") != NULL) {
        (void)luaL_error(lua, "pattern too complex");
    }
}

static int string_find(lua_State *lua)
{
    check_pattern(lua);
    return vm_of(lua)->original[ORIGINAL_FIND](lua);
}

static int string_match(lua_State *lua)
{
    check_pattern(lua);
    return vm_of(lua)->original[ORIGINAL_MATCH](lua);
}

static int string_gmatch(lua_State *lua)
{
    check_pattern(lua);
    return vm_of(lua)->original[ORIGINAL_GMATCH](lua);
}

static int string_gsub(lua_State *lua)
{
    check_pattern(lua);
    return vm_of(lua)->original[ORIGINAL_GSUB](lua);
}

/* bitop negates the number of digits, which does nothing to the lowest integer. */
static int bit_tohex(lua_State *lua)
{
    enum { DIGITS = 8 };
    if (lua_gettop(lua) >= 2 && luaL_checknumber(lua, 2) < -DIGITS) {
        lua_pushnumber(lua, -DIGITS);
        lua_replace(lua, 2);
    }
    return vm_of(lua)->original[ORIGINAL_TOHEX](lua);
}

/* Puts ours in the place of a function of the table on the top, which is remembered. */
static void replace(lua_State *lua, const char *name, enum script_original which,
                    lua_CFunction ours)
{
    lua_getfield(lua, -1, name);
    vm_of(lua)->original[which] = lua_tocfunction(lua, -1);
    check(vm_of(lua)->original[which] != NULL);
    lua_pop(lua, 1);
    lua_pushcfunction(lua, ours);
    lua_setfield(lua, -2, name);
}

static void remove_names(lua_State *lua, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lua_pushnil(lua);
        lua_setfield(lua, -2, names[i]);
    }
}

/* --- opening ------------------------------------------------------------------------------------ */

static void open_library(lua_State *lua, lua_CFunction open, const char *name)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

/* The table on the top becomes a global, read-only. */
static void set_library(lua_State *lua, const char *name)
{
    sandbox_freeze(lua);
    lua_setglobal(lua, name);
}

static void open_base(lua_State *lua)
{
    static const char *const unwanted[] = {"dofile",  "loadfile", "print",   "newproxy", "getfenv",
                                           "setfenv", "module",   "require", "package"};
    open_library(lua, luaopen_base, "");
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    remove_names(lua, unwanted, array_len(unwanted));
    for (size_t i = 0; i < array_len(base_functions); i++) {
        lua_pushcfunction(lua, base_functions[i].func);
        lua_setfield(lua, -2, base_functions[i].name);
    }
    lua_getfield(lua, -1, "next");
    lua_pushcclosure(lua, base_pairs, 1);
    lua_setfield(lua, -2, "pairs");
    lua_pop(lua, 1);
    lua_getglobal(lua, "coroutine");
    set_library(lua, "coroutine");
}

static void open_string(lua_State *lua)
{
    open_library(lua, luaopen_string, LUA_STRLIBNAME);
    lua_getglobal(lua, "string");
    replace(lua, "rep", ORIGINAL_REP, string_rep);
    replace(lua, "find", ORIGINAL_FIND, string_find);
    replace(lua, "match", ORIGINAL_MATCH, string_match);
    replace(lua, "gmatch", ORIGINAL_GMATCH, string_gmatch);
    replace(lua, "gsub", ORIGINAL_GSUB, string_gsub);
    lua_pushnil(lua);
    lua_setfield(lua, -2, "gfind");
    set_library(lua, "string");
    /* ("x"):len() reads the real table directly; getmetatable("") sees a read-only one. */
    lua_pushliteral(lua, "");
    check(lua_getmetatable(lua, -1) != 0);
    lua_newtable(lua);
    lua_getglobal(lua, "string");
    lua_setfield(lua, -2, "__index");
    sandbox_freeze(lua);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 2);
}

static void open_table(lua_State *lua)
{
    open_library(lua, luaopen_table, LUA_TABLIBNAME);
    lua_getglobal(lua, "table");
    replace(lua, "insert", ORIGINAL_INSERT, table_insert);
    replace(lua, "remove", ORIGINAL_REMOVE, table_remove);
    replace(lua, "sort", ORIGINAL_SORT, table_sort);
    set_library(lua, "table");
}

static void open_os(lua_State *lua)
{
    open_library(lua, luaopen_os, LUA_OSLIBNAME);
    lua_getglobal(lua, "os");
    lua_getfield(lua, -1, "clock");
    lua_newtable(lua);
    lua_insert(lua, -2);
    lua_setfield(lua, -2, "clock");
    set_library(lua, "os");
    lua_pop(lua, 1);
}

/* Libraries of packages register themselves as globals and return their table, or only do the one. */
static void open_package(lua_State *lua, lua_CFunction open, const char *name)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 1);
    check(lua_istable(lua, -1));
}

static void open_rest(lua_State *lua)
{
    open_library(lua, luaopen_math, LUA_MATHLIBNAME);
    lua_getglobal(lua, "math");
    random_open(lua);
    set_library(lua, "math");
    open_package(lua, luaopen_bit, "bit");
    replace(lua, "tohex", ORIGINAL_TOHEX, bit_tohex);
    set_library(lua, "bit");
    cjson_open(lua);
    set_library(lua, "cjson");
    cmsgpack_open(lua);
    set_library(lua, "cmsgpack");
    struct_open(lua);
    set_library(lua, "struct");
    api_open(lua);
    sandbox_freeze(lua);
    lua_pushvalue(lua, -1);
    lua_setglobal(lua, "redis");
    lua_setglobal(lua, "server");
}

/* The globals become a view; a name that they lack is an error. */
static void freeze_globals(lua_State *lua)
{
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    lua_pushlightuserdata(lua, (void *)(uintptr_t)&globals_key);
    lua_pushvalue(lua, -2);
    lua_rawset(lua, LUA_REGISTRYINDEX);
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, refuse_missing);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
    sandbox_freeze(lua);
    lua_pushvalue(lua, -1);
    sandbox_set_global(lua, "_G");
    lua_replace(lua, LUA_GLOBALSINDEX);
}

int sandbox_open(lua_State *lua)
{
    open_base(lua);
    open_string(lua);
    open_table(lua);
    open_os(lua);
    open_rest(lua);
    freeze_globals(lua);
    return 0;
}
