/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * math.random and math.randomseed with the generator that POSIX describes for drand48: 48 bits, linear
 * congruential, the same numbers on every machine, as Redis does. Not for secrets.
 *
 * Threads: the vm's.
 */
#include "script/priv.h"

#include <math.h>

static const uint64_t random_mask = (1ULL << 48) - 1;

void script_random_seed(struct script_vm *vm, uint32_t seed)
{
    vm->random = (uint64_t)seed << 16 | 0x330e;
}

static uint32_t draw(struct script_vm *vm)
{
    vm->random = (vm->random * 0x5deece66dULL + 0xb) & random_mask;
    return (uint32_t)(vm->random >> 17);
}

static int random_random(lua_State *lua)
{
    lua_Number r = (lua_Number)(draw(vm_of(lua)) % INT32_MAX) / INT32_MAX;
    switch (lua_gettop(lua)) {
    case 0:
        lua_pushnumber(lua, r);
        return 1;
    case 1: {
        int highest = luaL_checkint(lua, 1);
        luaL_argcheck(lua, highest >= 1, 1, "interval is empty");
        lua_pushnumber(lua, floor(r * highest) + 1);
        return 1;
    }
    case 2: {
        int lowest = luaL_checkint(lua, 1);
        int highest = luaL_checkint(lua, 2);
        luaL_argcheck(lua, lowest <= highest, 2, "interval is empty");
        lua_pushnumber(lua, floor(r * ((lua_Number)highest - lowest + 1)) + lowest);
        return 1;
    }
    default:
        return luaL_error(lua, "wrong number of arguments");
    }
}

static int random_randomseed(lua_State *lua)
{
    script_random_seed(vm_of(lua), (uint32_t)luaL_checkint(lua, 1));
    return 0;
}

void random_open(lua_State *lua)
{
    lua_pushcfunction(lua, random_random);
    lua_setfield(lua, -2, "random");
    lua_pushcfunction(lua, random_randomseed);
    lua_setfield(lua, -2, "randomseed");
}
