/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cmsgpack: MessagePack for scripts (github.com/msgpack/msgpack, spec.md), as the library of that name in
 * Redis does it: pack, unpack, unpack_one, unpack_limit.
 *
 *   first byte   00-7f  integer        80-8f map   90-9f array   a0-bf string   e0-ff  -32..-1
 *                c0 nil  c2 false  c3 true ca float  cb double   cc-cf unsigned
 *                d0-d3 signed   d9-db string   dc-dd array   de-df map
 *
 * The types binary and extension of later versions are refused, as there.
 *
 * A table whose keys are 1..n is an array, any other a map; deeper than 16 it is nil. A number that is an
 * integer is packed as the shortest of them, another as a float if nothing is lost.
 *
 * Packed bytes gather in a string buffer of Lua's, so that they count as the script's memory. Bytes to be unpacked are
 * input: lengths are checked against what is there, and nesting ends where Lua's stack does.
 *
 * Threads: the vm's.
 */
#include "script/priv.h"

#include <math.h>

enum { NESTING_MAX = 16 };

/* --- packing ------------------------------------------------------------------------------------ */

/* A growing run of bytes in a userdata, which sits at a fixed place of the stack. */
struct bytes {
    lua_State *lua;
    int place;
    char *mem;
    size_t len;
    size_t cap;
};

static void bytes_begin(lua_State *lua, struct bytes *b)
{
    enum { FIRST = 256 };
    *b = (struct bytes){.lua = lua, .cap = FIRST};
    b->mem = lua_newuserdata(lua, FIRST);
    b->place = lua_gettop(lua);
}

static void bytes_add(struct bytes *b, const void *from, size_t len)
{
    if (len > b->cap - b->len) {
        size_t cap = (b->len + len) * 2;
        char *mem = lua_newuserdata(b->lua, cap);
        memcpy(mem, b->mem, b->len);
        lua_replace(b->lua, b->place);
        b->mem = mem;
        b->cap = cap;
    }
    memcpy(b->mem + b->len, from, len);
    b->len += len;
}

/* A first byte and `size` bytes of `value`, the highest first. */
static void add_number(struct bytes *b, uint8_t first, uint64_t value, size_t size)
{
    uint8_t out[9] = {first};
    for (size_t i = 0; i < size; i++) {
        out[1 + i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    }
    bytes_add(b, out, 1 + size);
}

static void pack_unsigned(struct bytes *b, uint64_t value)
{
    if (value <= 0x7f) {
        add_number(b, (uint8_t)value, 0, 0);
    } else if (value <= UINT8_MAX) {
        add_number(b, 0xcc, value, 1);
    } else if (value <= UINT16_MAX) {
        add_number(b, 0xcd, value, 2);
    } else if (value <= UINT32_MAX) {
        add_number(b, 0xce, value, 4);
    } else {
        add_number(b, 0xcf, value, 8);
    }
}

static void pack_negative(struct bytes *b, int64_t value)
{
    if (value >= -32) {
        add_number(b, (uint8_t)value, 0, 0);
    } else if (value >= INT8_MIN) {
        add_number(b, 0xd0, (uint64_t)value, 1);
    } else if (value >= INT16_MIN) {
        add_number(b, 0xd1, (uint64_t)value, 2);
    } else if (value >= INT32_MIN) {
        add_number(b, 0xd2, (uint64_t)value, 4);
    } else {
        add_number(b, 0xd3, (uint64_t)value, 8);
    }
}

static void pack_double(struct bytes *b, double value)
{
    float narrow = (float)value;
    if ((double)narrow == value) {
        uint32_t bits = 0;
        memcpy(&bits, &narrow, sizeof(bits));
        add_number(b, 0xca, bits, 4);
    } else {
        uint64_t bits = 0;
        memcpy(&bits, &value, sizeof(bits));
        add_number(b, 0xcb, bits, 8);
    }
}

static void pack_number(struct bytes *b, lua_Number n)
{
    /* cppcheck-suppress incorrectLogicOperator ; it misreads the exponent */
    bool is_integer = n >= -0x1p63 && n < 0x1p63 && (lua_Number)(int64_t)n == n;
    if (!is_integer) {
        pack_double(b, n);
    } else if (n >= 0) {
        pack_unsigned(b, (uint64_t)n);
    } else {
        pack_negative(b, (int64_t)n);
    }
}

static void pack_string(struct bytes *b, lua_State *lua, int index)
{
    size_t len = 0;
    const char *text = lua_tolstring(lua, index, &len);
    if (len < 32) {
        add_number(b, (uint8_t)(0xa0 | len), 0, 0);
    } else if (len <= UINT8_MAX) {
        add_number(b, 0xd9, len, 1);
    } else if (len <= UINT16_MAX) {
        add_number(b, 0xda, len, 2);
    } else {
        add_number(b, 0xdb, len, 4);
    }
    bytes_add(b, text, len);
}

/* `few`: the first byte for fewer than 16; `some` for 16 bits of count, `some + 1` for 32. */
static void pack_count(struct bytes *b, uint64_t count, uint8_t few, uint8_t some)
{
    if (count <= 15) {
        add_number(b, (uint8_t)(few | count), 0, 0);
    } else if (count <= UINT16_MAX) {
        add_number(b, some, count, 2);
    } else {
        add_number(b, (uint8_t)(some + 1), count, 4);
    }
}

/* Counts the table's fields; true when their keys are 1..n. */
static bool is_array(lua_State *lua, int index, uint64_t *ret_count)
{
    uint64_t count = 0;
    lua_Number highest = 0;
    bool is = true;
    lua_pushnil(lua);
    while (lua_next(lua, index) != 0) {
        lua_pop(lua, 1);
        count++;
        lua_Number key = is && lua_type(lua, -1) == LUA_TNUMBER ? lua_tonumber(lua, -1) : 0;
        is = is && key > 0 && floor(key) == key;
        highest = key > highest ? key : highest;
    }
    *ret_count = count;
    return is && highest == (lua_Number)count;
}

static void pack_value(struct bytes *b, lua_State *lua, int index, int depth);

static void pack_table(struct bytes *b, lua_State *lua, int index, int depth)
{
    uint64_t count = 0;
    if (is_array(lua, index, &count)) {
        pack_count(b, count, 0x90, 0xdc);
        for (uint64_t i = 1; i <= count; i++) {
            lua_rawgeti(lua, index, (int)i);
            pack_value(b, lua, lua_gettop(lua), depth + 1);
            lua_pop(lua, 1);
        }
        return;
    }
    pack_count(b, count, 0x80, 0xde);
    lua_pushnil(lua);
    while (lua_next(lua, index) != 0) {
        int value = lua_gettop(lua);
        pack_value(b, lua, value - 1, depth + 1);
        pack_value(b, lua, value, depth + 1);
        lua_pop(lua, 1);
    }
}

static void pack_value(struct bytes *b, lua_State *lua, int index, int depth)
{
    luaL_checkstack(lua, 6, "in function mp_encode_lua_type");
    switch (lua_type(lua, index)) {
    case LUA_TSTRING:
        pack_string(b, lua, index);
        break;
    case LUA_TBOOLEAN:
        add_number(b, lua_toboolean(lua, index) ? 0xc3 : 0xc2, 0, 0);
        break;
    case LUA_TNUMBER:
        pack_number(b, lua_tonumber(lua, index));
        break;
    case LUA_TTABLE:
        if (depth < NESTING_MAX) {
            pack_table(b, lua, index, depth);
            break;
        }
        __attribute__((fallthrough));
    default:
        add_number(b, 0xc0, 0, 0);
    }
}

static int cmsgpack_pack(lua_State *lua)
{
    int count = lua_gettop(lua);
    if (count == 0) {
        return luaL_argerror(lua, 0, "MessagePack pack needs input.");
    }
    struct bytes b;
    bytes_begin(lua, &b);
    for (int i = 1; i <= count; i++) {
        pack_value(&b, lua, i, 0);
    }
    lua_pushlstring(lua, b.mem, b.len);
    return 1;
}

/* --- unpacking ---------------------------------------------------------------------------------- */

struct input {
    lua_State *lua;
    const uint8_t *at;
    size_t left;
};

static const uint8_t *take(struct input *in, uint64_t len)
{
    if (len > in->left) {
        (void)luaL_error(in->lua, "Missing bytes in input.");
    }
    const uint8_t *at = in->at;
    in->at += len;
    in->left -= len;
    return at;
}

static uint64_t take_number(struct input *in, size_t size)
{
    const uint8_t *at = take(in, size);
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static void push_string(struct input *in, uint64_t len)
{
    lua_pushlstring(in->lua, (const char *)take(in, len), len);
}

static void push_signed(struct input *in, size_t size)
{
    unsigned unused = (unsigned)(64 - 8 * size);
    lua_pushnumber(in->lua, (lua_Number)((int64_t)(take_number(in, size) << unused) >> unused));
}

static void push_float(struct input *in)
{
    uint32_t bits = (uint32_t)take_number(in, 4);
    float value = 0;
    memcpy(&value, &bits, sizeof(value));
    lua_pushnumber(in->lua, (lua_Number)value);
}

static void push_double(struct input *in)
{
    uint64_t bits = take_number(in, 8);
    double value = 0;
    memcpy(&value, &bits, sizeof(value));
    lua_pushnumber(in->lua, value);
}

static void push_value(struct input *in);

static void push_array(struct input *in, uint64_t count)
{
    lua_newtable(in->lua);
    for (uint64_t i = 1; i <= count; i++) {
        lua_pushnumber(in->lua, (lua_Number)i);
        push_value(in);
        lua_settable(in->lua, -3);
    }
}

static void push_map(struct input *in, uint64_t count)
{
    lua_newtable(in->lua);
    for (uint64_t i = 0; i < count; i++) {
        push_value(in);
        push_value(in);
        lua_settable(in->lua, -3);
    }
}

static void push_constant(struct input *in, uint8_t first)
{
    if (first == 0xc0) {
        lua_pushnil(in->lua);
    } else {
        lua_pushboolean(in->lua, first == 0xc3);
    }
}

/* First bytes c0 to df. */
static void push_typed(struct input *in, uint8_t first)
{
    switch (first) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
        push_constant(in, first);
        break;
    case 0xca:
        push_float(in);
        break;
    case 0xcb:
        push_double(in);
        break;
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        lua_pushnumber(in->lua, (lua_Number)take_number(in, (size_t)1 << (first - 0xcc)));
        break;
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        push_signed(in, (size_t)1 << (first - 0xd0));
        break;
    case 0xd9:
    case 0xda:
    case 0xdb:
        push_string(in, take_number(in, (size_t)1 << (first - 0xd9)));
        break;
    case 0xdc:
    case 0xdd:
        push_array(in, take_number(in, (size_t)2 << (first - 0xdc)));
        break;
    case 0xde:
    case 0xdf:
        push_map(in, take_number(in, (size_t)2 << (first - 0xde)));
        break;
    default:
        (void)luaL_error(in->lua, "Bad data format in input.");
    }
}

static void push_value(struct input *in)
{
    luaL_checkstack(in->lua, 4,
                    "too many return values at once; use unpack_one or unpack_limit "
                    "instead.");
    uint8_t first = *take(in, 1);
    if (first <= 0x7f) {
        lua_pushnumber(in->lua, first);
    } else if (first >= 0xe0) {
        lua_pushnumber(in->lua, (int8_t)first);
    } else if (first <= 0x8f) {
        push_map(in, first & 0x0f);
    } else if (first <= 0x9f) {
        push_array(in, first & 0x0f);
    } else if (first <= 0xbf) {
        push_string(in, first & 0x1f);
    } else {
        push_typed(in, first);
    }
}

/* Pushes up to `limit` values from `offset` on, all of them when both are 0. With a limit the first
 * result is where the next value begins, -1 at the end. */
static int unpack_some(lua_State *lua, lua_Integer limit, lua_Integer offset)
{
    size_t len = 0;
    const char *text = luaL_checklstring(lua, 1, &len);
    bool is_all = limit == 0 && offset == 0;
    if (offset < 0 || limit < 0) {
        return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.",
                          (int)offset, (int)len);
    }
    if ((size_t)offset > len) {
        return luaL_error(lua, "Start offset %d greater than input length %d.", (int)offset,
                          (int)len);
    }
    limit = is_all ? INT32_MAX : limit;
    struct input in = {lua, (const uint8_t *)text + offset, len - (size_t)offset};
    int count = 0;
    for (; in.left > 0 && count < limit; count++) {
        push_value(&in);
    }
    if (is_all) {
        return count;
    }
    lua_pushinteger(lua, in.left > 0 ? (lua_Integer)(len - in.left) : -1);
    lua_insert(lua, -(count + 1));
    return count + 1;
}

static int cmsgpack_unpack(lua_State *lua)
{
    return unpack_some(lua, 0, 0);
}

static int cmsgpack_unpack_one(lua_State *lua)
{
    lua_Integer offset = luaL_optinteger(lua, 2, 0);
    lua_settop(lua, 1);
    return unpack_some(lua, 1, offset);
}

static int cmsgpack_unpack_limit(lua_State *lua)
{
    lua_Integer limit = luaL_checkinteger(lua, 2);
    lua_Integer offset = luaL_optinteger(lua, 3, 0);
    lua_settop(lua, 1);
    return unpack_some(lua, limit, offset);
}

void cmsgpack_open(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"pack", cmsgpack_pack},
        {"unpack", cmsgpack_unpack},
        {"unpack_one", cmsgpack_unpack_one},
        {"unpack_limit", cmsgpack_unpack_limit},
    };
    lua_newtable(lua);
    for (size_t i = 0; i < array_len(functions); i++) {
        lua_pushcfunction(lua, functions[i].func);
        lua_setfield(lua, -2, functions[i].name);
    }
    lua_pushliteral(lua, "cmsgpack");
    lua_setfield(lua, -2, "_NAME");
    lua_pushliteral(lua, "lua-cmsgpack 0.4.0");
    lua_setfield(lua, -2, "_VERSION");
    lua_pushliteral(lua, "MessagePack C implementation for Lua");
    lua_setfield(lua, -2, "_DESCRIPTION");
}
