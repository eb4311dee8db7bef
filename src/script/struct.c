/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * struct: C's types to and from strings, for scripts: pack, unpack, size. As the library of that name in Redis
 * (inf.puc-rio.br/~roberto/struct).
 *
 *   <  >       byte order little, big                i In  I In   integer of n bytes (an int's), signed or not
 *   ! !n       align to n bytes (8)                  s            text with a NUL behind it
 *   x          one byte of padding                   c cn         n bytes (1); c0: the whole text, or, unpacking, as many
 *   b h l  B H L   1, 2, 8 bytes                                  as the number read before says
 *   T          8 bytes, unsigned                     f d          float, double     (space: ignored)
 *
 * A format is input, and so is what is unpacked.
 *
 * Threads: the vm's.
 */
#include "script/priv.h"

#include <ctype.h>

enum { INTEGER_MAX = 32, ALIGN_MAX = 8 };

struct format {
    const char *at;
    bool is_little;
    size_t align; /* 1: none */
};

static struct format format_begin(const char *text)
{
    return (struct format){text, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, 1};
}

static size_t read_count(lua_State *lua, struct format *f, size_t preset)
{
    if (!isdigit((unsigned char)*f->at)) {
        return preset;
    }
    size_t count = 0;
    while (isdigit((unsigned char)*f->at)) {
        count = count * 10 + (size_t)(*f->at++ - '0');
        if (count > INT32_MAX / 10) {
            (void)luaL_error(lua, "integral size overflow");
        }
    }
    return count;
}

/* The size of one option, whose letter has been read. */
static size_t option_size(lua_State *lua, char option, struct format *f)
{
    switch (option) {
    case 'B':
    case 'b':
    case 'x':
        return 1;
    case 'H':
    case 'h':
        return sizeof(short);
    case 'L':
    case 'l':
        return sizeof(long);
    case 'T':
        return sizeof(size_t);
    case 'f':
        return sizeof(float);
    case 'd':
        return sizeof(double);
    case 'c':
        return read_count(lua, f, 1);
    case 'i':
    case 'I': {
        size_t size = read_count(lua, f, sizeof(int));
        if (size > INTEGER_MAX) {
            (void)luaL_error(lua, "integral size %d is larger than limit of %d", (int)size,
                             INTEGER_MAX);
        }
        return size;
    }
    default:
        return 0; /* of no size, or none at all */
    }
}

/* Bytes of padding before an option at `total`. */
static size_t padding(size_t size, char option, const struct format *f, size_t total)
{
    size_t align = size < f->align ? size : f->align;
    return option == 'c' || align <= 1 ? 0 : (align - (total & (align - 1))) & (align - 1);
}

/* Options that say how to go on. */
static void control(lua_State *lua, char option, struct format *f)
{
    switch (option) {
    case ' ':
        break;
    case '>':
        f->is_little = false;
        break;
    case '<':
        f->is_little = true;
        break;
    case '!': {
        size_t align = read_count(lua, f, ALIGN_MAX);
        if (align == 0 || (align & (align - 1)) != 0) {
            (void)luaL_error(lua, "alignment %d is not a power of 2", (int)align);
        }
        f->align = align;
        break;
    }
    default: {
        const char *why = lua_pushfstring(lua, "invalid format option '%c'", option);
        (void)luaL_argerror(lua, 1, why);
    }
    }
}

/* --- packing ------------------------------------------------------------------------------------ */

static void add_integer(lua_State *lua, luaL_Buffer *b, int arg, bool is_little, size_t size)
{
    lua_Number n = luaL_checknumber(lua, arg);
    uint64_t value = 0;
    if (n < 0) {
        value = n >= -0x1p63 ? (uint64_t)(int64_t)n : (uint64_t)INT64_MIN;
    } else if (n < 0x1p64) {
        value = (uint64_t)n;
    }
    char bytes[INTEGER_MAX] = {0};
    for (size_t i = 0; i < size; i++) {
        bytes[is_little ? i : size - 1 - i] =
            (char)(i < sizeof(value) ? value >> (8 * i) & 0xff : 0);
    }
    luaL_addlstring(b, bytes, size);
}

static void add_float(lua_State *lua, luaL_Buffer *b, int arg, bool is_little, size_t size)
{
    double wide = luaL_checknumber(lua, arg);
    float narrow = (float)wide;
    char bytes[sizeof(double)];
    memcpy(bytes, size == sizeof(float) ? (const void *)&narrow : (const void *)&wide, size);
    for (size_t i = 0; i < size; i++) {
        bool as_is = is_little == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
        luaL_addchar(b, bytes[as_is ? i : size - 1 - i]);
    }
}

/* Returns how many bytes were added. */
static size_t add_text(lua_State *lua, luaL_Buffer *b, int arg, char option, size_t size)
{
    size_t len = 0;
    const char *text = luaL_checklstring(lua, arg, &len);
    size = size == 0 ? len : size;
    luaL_argcheck(lua, len >= size, arg + 1, "string too short"); /* Redis counts it so */
    luaL_addlstring(b, text, size);
    if (option == 's') {
        luaL_addchar(b, '\0');
        size++;
    }
    return size;
}

static int struct_pack(lua_State *lua)
{
    struct format f = format_begin(luaL_checkstring(lua, 1));
    int arg = 2;
    size_t total = 0;
    luaL_Buffer b;
    lua_pushnil(lua); /* marks where arguments end */
    luaL_buffinit(lua, &b);
    while (*f.at != '\0') {
        char option = *f.at++;
        size_t size = option_size(lua, option, &f);
        size_t pad = padding(size, option, &f, total);
        total += pad;
        while (pad-- > 0) {
            luaL_addchar(&b, '\0');
        }
        switch (option) {
        case 'b':
        case 'B':
        case 'h':
        case 'H':
        case 'l':
        case 'L':
        case 'T':
        case 'i':
        case 'I':
            add_integer(lua, &b, arg++, f.is_little, size);
            break;
        case 'x':
            luaL_addchar(&b, '\0');
            break;
        case 'f':
        case 'd':
            add_float(lua, &b, arg++, f.is_little, size);
            break;
        case 'c':
        case 's':
            size = add_text(lua, &b, arg++, option, size);
            break;
        default:
            control(lua, option, &f);
        }
        total += size;
    }
    luaL_pushresult(&b);
    return 1;
}

/* --- unpacking ---------------------------------------------------------------------------------- */

static void push_integer(lua_State *lua, const char *at, bool is_little, size_t size,
                         bool is_signed)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | (uint8_t)at[is_little ? size - 1 - i : i];
    }
    if (!is_signed) {
        lua_pushnumber(lua, (lua_Number)value);
        return;
    }
    unsigned unused = size < sizeof(value) ? (unsigned)(64 - 8 * size) : 0;
    lua_pushnumber(lua, size == 0 ? 0 : (lua_Number)((int64_t)(value << unused) >> unused));
}

static void push_float(lua_State *lua, const char *at, bool is_little, size_t size)
{
    char bytes[sizeof(double)] = "";
    bool as_is = is_little == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = at[as_is ? i : size - 1 - i];
    }
    double wide = 0;
    float narrow = 0;
    if (size == sizeof(float)) {
        memcpy(&narrow, bytes, sizeof(narrow));
        wide = (double)narrow;
    } else {
        memcpy(&wide, bytes, sizeof(wide));
    }
    lua_pushnumber(lua, wide);
}

/* "c": returns the bytes taken. `first`: the stack's place of the first result. */
static size_t push_chars(lua_State *lua, struct slice rest, size_t size, int first)
{
    if (size == 0) {
        if (lua_gettop(lua) < first || !lua_isnumber(lua, -1)) {
            (void)luaL_error(lua, "format 'c0' needs a previous size");
        }
        lua_Number wanted = lua_tonumber(lua, -1);
        lua_pop(lua, 1);
        luaL_argcheck(lua, wanted >= 0 && wanted <= (lua_Number)rest.len, 2,
                      "data string too short");
        size = (size_t)wanted;
    }
    lua_pushlstring(lua, rest.ptr, size);
    return size;
}

static size_t push_text(lua_State *lua, struct slice rest)
{
    const char *end = rest.len > 0 ? memchr(rest.ptr, '\0', rest.len) : NULL;
    if (end == NULL) {
        (void)luaL_error(lua, "unfinished string in data");
    }
    size_t len = (size_t)(end - rest.ptr);
    lua_pushlstring(lua, rest.ptr, len);
    return len + 1;
}

static int struct_unpack(lua_State *lua)
{
    struct format f = format_begin(luaL_checkstring(lua, 1));
    struct slice data = {NULL, 0};
    data.ptr = luaL_checklstring(lua, 2, &data.len);
    lua_Number start = luaL_optnumber(lua, 3, 1);
    luaL_argcheck(lua, !(start >= 0 && start < 1), 3, "offset must be 1 or greater");
    bool is_inside = start >= 1 && start - 1 <= (lua_Number)data.len;
    size_t pos = is_inside ? (size_t)start - 1 : data.len + 1;
    lua_settop(lua, 2);
    int first = 3;
    while (*f.at != '\0') {
        char option = *f.at++;
        size_t size = option_size(lua, option, &f);
        pos += padding(size, option, &f, pos);
        luaL_argcheck(lua, pos <= data.len && size <= data.len - pos, 2, "data string too short");
        luaL_checkstack(lua, 2, "too many results");
        const char *at = data.ptr + pos;
        switch (option) {
        case 'b':
        case 'B':
        case 'h':
        case 'H':
        case 'l':
        case 'L':
        case 'T':
        case 'i':
        case 'I':
            push_integer(lua, at, f.is_little, size, islower((unsigned char)option) != 0);
            break;
        case 'x':
            break;
        case 'f':
        case 'd':
            push_float(lua, at, f.is_little, size);
            break;
        case 'c':
            size = push_chars(lua, slice_from(data, pos), size, first);
            break;
        case 's':
            size = push_text(lua, slice_from(data, pos));
            break;
        default:
            control(lua, option, &f);
        }
        pos += size;
    }
    lua_pushinteger(lua, (lua_Integer)pos + 1);
    return lua_gettop(lua) - 2;
}

static int struct_size(lua_State *lua)
{
    struct format f = format_begin(luaL_checkstring(lua, 1));
    size_t pos = 0;
    while (*f.at != '\0') {
        char option = *f.at++;
        size_t size = option_size(lua, option, &f);
        pos += padding(size, option, &f, pos);
        if (option == 's') {
            return luaL_argerror(lua, 1, "option 's' has no fixed size");
        }
        if (option == 'c' && size == 0) {
            return luaL_argerror(lua, 1, "option 'c0' has no fixed size");
        }
        if (!isalnum((unsigned char)option)) {
            control(lua, option, &f);
        }
        pos += size;
    }
    lua_pushinteger(lua, (lua_Integer)pos);
    return 1;
}

void struct_open(lua_State *lua)
{
    lua_newtable(lua);
    lua_pushcfunction(lua, struct_pack);
    lua_setfield(lua, -2, "pack");
    lua_pushcfunction(lua, struct_unpack);
    lua_setfield(lua, -2, "unpack");
    lua_pushcfunction(lua, struct_size);
    lua_setfield(lua, -2, "size");
}
