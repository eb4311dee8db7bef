/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the Redis protocol and Lua.
 *
 *   reply to Lua   :1 number   $ string   $-1 *-1 false   + {ok=}   - {err=}   * table
 *     (RESP3)      % {map={}}   ~ {set={}}   _ nil   # boolean   , {double=}   ( {big_number=}
 *                  = {verbatim_string={format=, string=}}
 *   Lua to reply   number: an integer, cut   string: bulk   true: 1   false, nil: null   table: up to its
 *                  first nil, or one of the tables above
 *
 * Replies come from our own commands and are whole; they are parsed without looking twice. What scripts
 * return is theirs: it may be nested without end, and stops where Lua's stack or the reply's bound does.
 *
 * Source: redis.io "Redis Lua API reference", data type conversion. Threads: the vm's.
 */
#include "script/priv.h"

#include "base/number.h"
#include "resp/resp.h"

#include <math.h>
#include <stdlib.h>

/* --- reply to Lua ------------------------------------------------------------------------------- */

struct reader {
    const char *at;
    const char *end;
};

/* The rest of the line, without its end. */
static struct slice read_line(struct reader *r)
{
    const char *cr = memchr(r->at, '\r', (size_t)(r->end - r->at));
    check(cr != NULL && cr + 2 <= r->end);
    struct slice line = {r->at, (size_t)(cr - r->at)};
    r->at = cr + 2;
    return line;
}

static int64_t read_number(struct reader *r)
{
    int64_t value = 0;
    check(number_parse_i64(read_line(r), &value));
    return value;
}

static struct slice read_bytes(struct reader *r, int64_t len)
{
    check(len >= 0 && r->end - r->at >= len + 2);
    struct slice bytes = {r->at, (size_t)len};
    r->at += len + 2;
    return bytes;
}

static void push_slice(lua_State *lua, struct slice s)
{
    lua_pushlstring(lua, s.len > 0 ? s.ptr : "", s.len);
}

static void push_field(lua_State *lua, const char *name, struct slice value)
{
    lua_createtable(lua, 0, 1);
    push_slice(lua, value);
    lua_setfield(lua, -2, name);
}

static void push_value(lua_State *lua, struct reader *r);

static void push_array(lua_State *lua, struct reader *r, int64_t count)
{
    if (count < 0) {
        lua_pushboolean(lua, 0);
        return;
    }
    lua_createtable(lua, count < INT32_MAX ? (int)count : 0, 0);
    for (int64_t i = 1; i <= count; i++) {
        push_value(lua, r);
        lua_rawseti(lua, -2, (int)i);
    }
}

/* {map = {key = value}} or {set = {member = true}} */
static void push_members(lua_State *lua, struct reader *r, int64_t count, bool is_map)
{
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, count < INT32_MAX ? (int)count : 0);
    for (int64_t i = 0; i < count; i++) {
        push_value(lua, r);
        if (is_map) {
            push_value(lua, r);
        } else {
            lua_pushboolean(lua, 1);
        }
        lua_rawset(lua, -3);
    }
    lua_setfield(lua, -2, is_map ? "map" : "set");
}

static void push_double(lua_State *lua, struct slice text)
{
    char copy[64] = "";
    memcpy(copy, text.ptr, text.len < sizeof(copy) ? text.len : sizeof(copy) - 1);
    lua_createtable(lua, 0, 1);
    lua_pushnumber(lua, strtod(copy, NULL));
    lua_setfield(lua, -2, "double");
}

static void push_verbatim(lua_State *lua, struct slice bytes)
{
    check(bytes.len >= 4);
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, 2);
    push_slice(lua, (struct slice){bytes.ptr, 3});
    lua_setfield(lua, -2, "format");
    push_slice(lua, slice_from(bytes, 4));
    lua_setfield(lua, -2, "string");
    lua_setfield(lua, -2, "verbatim_string");
}

static void push_bulk(lua_State *lua, struct reader *r)
{
    int64_t len = read_number(r);
    if (len < 0) {
        lua_pushboolean(lua, 0);
    } else {
        push_slice(lua, read_bytes(r, len));
    }
}

static void push_error(lua_State *lua, struct slice text)
{
    lua_pushlstring(lua, "-", 1);
    push_slice(lua, text);
    lua_concat(lua, 2);
    api_push_error(lua, lua_tostring(lua, -1));
    lua_remove(lua, -2);
    lua_pushboolean(lua, 1);
    lua_setfield(lua, -2, "ignore_error_stats_update");
}

static void push_value(lua_State *lua, struct reader *r);

/* What is said about the reply behind them; scripts are not told. */
static void skip_attributes(lua_State *lua, struct reader *r)
{
    for (int64_t left = 2 * read_number(r); left > 0; left--) {
        push_value(lua, r);
        lua_pop(lua, 1);
    }
}

static void push_value(lua_State *lua, struct reader *r)
{
    luaL_checkstack(lua, 6, "reply nested too deeply");
    check(r->at < r->end);
    switch (*r->at++) {
    case ':':
        lua_pushnumber(lua, (lua_Number)read_number(r));
        break;
    case '$':
        push_bulk(lua, r);
        break;
    case '+':
        push_field(lua, "ok", read_line(r));
        break;
    case '-':
        push_error(lua, read_line(r));
        break;
    case '*':
    case '>':
        push_array(lua, r, read_number(r));
        break;
    case '%':
        push_members(lua, r, read_number(r), true);
        break;
    case '~':
        push_members(lua, r, read_number(r), false);
        break;
    case '_':
        (void)read_line(r);
        lua_pushnil(lua);
        break;
    case '#':
        lua_pushboolean(lua, *read_line(r).ptr == 't');
        break;
    case ',':
        push_double(lua, read_line(r));
        break;
    case '(':
        push_field(lua, "big_number", read_line(r));
        break;
    case '=':
        push_verbatim(lua, read_bytes(r, read_number(r)));
        break;
    case '|':
        skip_attributes(lua, r);
        push_value(lua, r);
        break;
    default:
        unreachable();
    }
}

void convert_push_reply(lua_State *lua, struct slice reply)
{
    struct reader r = {reply.ptr, reply.ptr + reply.len};
    push_value(lua, &r);
}

/* --- Lua to reply ------------------------------------------------------------------------------- */

static void append_line(struct buf *out, char type, struct slice text)
{
    char *at = buf_reserve(out, text.len + 3);
    at[0] = type;
    for (size_t i = 0; i < text.len; i++) {
        at[1 + i] = (char)(text.ptr[i] == '\r' || text.ptr[i] == '\n' ? ' ' : text.ptr[i]);
    }
    memcpy(at + 1 + text.len, "\r\n", 2);
    buf_commit(out, text.len + 3);
}

void convert_send_error(struct buf *out, struct slice text)
{
    while (text.len > 0 && strchr("\r\n", text.ptr[text.len - 1]) != NULL) {
        text.len--;
    }
    if (buf_try_reserve(out, text.len + 3) == NULL) {
        text = SLICE("ERR no memory for the text of the error");
    }
    append_line(out, '-', text);
}

static struct slice bytes_at(lua_State *lua, int index)
{
    size_t len = 0;
    const char *ptr = lua_tolstring(lua, index, &len);
    return (struct slice){ptr, len};
}

/* What is beyond the bound is not written; the run's reply is taken back. */
static bool has_room(struct script_vm *vm, size_t len)
{
    const struct script_run *run = vm->run;
    vm->too_large |=
        buf_len(run->out) + len > run->reply_max || buf_try_reserve(run->out, len + 64) == NULL;
    return !vm->too_large;
}

static int64_t to_integer(lua_Number n)
{
    /* cppcheck-suppress incorrectLogicOperator ; it misreads the exponent */
    return n >= -0x1p63 && n < 0x1p63 ? (int64_t)n : INT64_MIN;
}

static void send_boolean(struct script_vm *vm, bool value)
{
    struct buf *out = vm->run->out;
    if (vm->proto >= 3) {
        resp_bool(out, vm->run->proto, value);
    } else if (value) {
        resp_integer(out, 1);
    } else {
        resp_null(out, vm->run->proto);
    }
}

/* Sends keys, and values of a map, of the table on the top, which is popped. */
static void send_members(struct script_vm *vm, lua_State *lua, bool is_map)
{
    uint64_t count = 0;
    lua_pushnil(lua);
    while (lua_next(lua, -2) != 0) {
        lua_pop(lua, 1);
        count++;
    }
    if (is_map) {
        resp_map(vm->run->out, vm->run->proto, count);
    } else {
        resp_set(vm->run->out, vm->run->proto, count);
    }
    lua_pushnil(lua);
    while (lua_next(lua, -2) != 0) {
        lua_pushvalue(lua, -2);
        convert_send(vm, lua);
        if (is_map) {
            convert_send(vm, lua);
        } else {
            lua_pop(lua, 1);
        }
    }
    lua_pop(lua, 1);
}

/* False: it lacks a part, and nothing was sent. */
static bool send_verbatim(struct script_vm *vm, lua_State *lua)
{
    lua_pushliteral(lua, "format");
    lua_rawget(lua, -2);
    lua_pushliteral(lua, "string");
    lua_rawget(lua, -3);
    bool is_whole = lua_isstring(lua, -1) && lua_isstring(lua, -2);
    if (is_whole) {
        struct slice text = bytes_at(lua, -1);
        char format[4] = "   ";
        const char *given = lua_tostring(lua, -2);
        memcpy(format, given, strnlen(given, 3));
        if (has_room(vm, text.len)) {
            resp_verbatim(vm->run->out, vm->run->proto, format, text);
        }
    }
    lua_pop(lua, 3);
    return is_whole;
}

static void send_big_number(struct script_vm *vm, lua_State *lua)
{
    struct slice text = bytes_at(lua, -1);
    if (!has_room(vm, text.len)) {
        return;
    }
    struct buf *out = vm->run->out;
    if (vm->run->proto >= 3) {
        append_line(out, '(', text);
        return;
    }
    resp_bulk(out, text);
    /* Line ends are as harmless in a bulk, but Redis replaces them here too. */
    for (char *at = out->mem + out->end - 2 - text.len; at < out->mem + out->end - 2; at++) {
        *at = (char)(*at == '\r' || *at == '\n' ? ' ' : *at);
    }
}

/* Is the field of the table on the top of that type? Then it is pushed. */
static bool has_field(lua_State *lua, const char *name, int type)
{
    lua_pushstring(lua, name);
    lua_rawget(lua, -2);
    if (lua_type(lua, -1) == type) {
        return true;
    }
    lua_pop(lua, 1);
    return false;
}

/* One of the tables that stand for a type of the protocol? Leaves the stack as it was. */
static bool send_marked(struct script_vm *vm, lua_State *lua)
{
    struct buf *out = vm->run->out;
    int top = lua_gettop(lua);
    if (has_field(lua, "err", LUA_TSTRING)) {
        struct slice text = slice_of(lua_tostring(lua, -1));
        if (has_room(vm, text.len)) {
            convert_send_error(out, text);
        }
    } else if (has_field(lua, "ok", LUA_TSTRING)) {
        struct slice text = slice_of(lua_tostring(lua, -1));
        if (has_room(vm, text.len)) {
            append_line(out, '+', text);
        }
    } else if (has_field(lua, "double", LUA_TNUMBER)) {
        resp_double(out, vm->run->proto, lua_tonumber(lua, -1));
    } else if (has_field(lua, "map", LUA_TTABLE)) {
        send_members(vm, lua, true);
    } else if (has_field(lua, "set", LUA_TTABLE)) {
        send_members(vm, lua, false);
    } else if (has_field(lua, "big_number", LUA_TSTRING)) {
        send_big_number(vm, lua);
    } else if (!has_field(lua, "verbatim_string", LUA_TTABLE) || !send_verbatim(vm, lua)) {
        return false;
    }
    lua_settop(lua, top);
    return true;
}

static void send_array(struct script_vm *vm, lua_State *lua)
{
    int count = 0;
    do {
        lua_rawgeti(lua, -1, ++count);
        bool is_end = lua_isnil(lua, -1);
        lua_pop(lua, 1);
        if (is_end) {
            break;
        }
    } while (count < INT32_MAX);
    resp_array(vm->run->out, (uint64_t)(count - 1));
    for (int i = 1; i < count && !vm->too_large; i++) {
        lua_rawgeti(lua, -1, i);
        convert_send(vm, lua);
    }
}

void convert_send(struct script_vm *vm, lua_State *lua)
{
    struct buf *out = vm->run->out;
    if (!lua_checkstack(lua, 6)) {
        resp_error(out, "ERR reached lua stack limit");
        lua_pop(lua, 1);
        return;
    }
    if (!has_room(vm, 64)) {
        lua_pop(lua, 1);
        return;
    }
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING: {
        struct slice text = bytes_at(lua, -1);
        if (has_room(vm, text.len)) {
            resp_bulk(out, text);
        }
        break;
    }
    case LUA_TBOOLEAN:
        send_boolean(vm, lua_toboolean(lua, -1));
        break;
    case LUA_TNUMBER:
        resp_integer(out, to_integer(lua_tonumber(lua, -1)));
        break;
    case LUA_TTABLE:
        if (!send_marked(vm, lua)) {
            send_array(vm, lua);
        }
        break;
    default:
        resp_null(out, vm->run->proto);
    }
    lua_pop(lua, 1);
}
