/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of script/ share: one Lua state and what its C functions need to find their way back.
 *
 * Every C function reaches its vm through the allocator's argument (vm_of()), which scripts cannot reach.
 *
 * Lua errors are longjmps: between the start of a run and its end nothing may be held that only a normal
 * return would free. What outlives a call (argv, number texts) belongs to the vm.
 */
#ifndef SCRIPT_PRIV_H
#define SCRIPT_PRIV_H

#include "script/script.h"

#include "base/check.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* Functions of Lua's libraries that ours fall back on. */
enum script_original {
    ORIGINAL_INSERT,
    ORIGINAL_REMOVE,
    ORIGINAL_SORT,
    ORIGINAL_REP,
    ORIGINAL_FIND,
    ORIGINAL_MATCH,
    ORIGINAL_GMATCH,
    ORIGINAL_GSUB,
    ORIGINAL_TOHEX,
    ORIGINAL_ENCODE,
    ORIGINAL_DECODE,
    ORIGINAL_NEW,
    ORIGINAL_COUNT
};

struct script_vm {
    lua_State *lua;
    const struct script_host *host;
    void *arg;
    size_t memory;
    size_t memory_max;
    lua_CFunction original[ORIGINAL_COUNT]; /* immutable after create */
    uint64_t random;                        /* 48 bits, as drand48's */

    /* the run */
    const struct script_run *run; /* NULL: none */
    int proto;                    /* redis.setresp() */
    bool is_killed;
    bool too_large;        /* the reply */
    bool is_command_error; /* the reply, handed on */
    void *decoding;        /* lua-cjson's text of a decoding, perhaps left behind: strbuf.c */
    void *grown;           /* its text of an encoding, larger than is kept */

    uint32_t calls;  /* of commands since the last beat */
    struct buf text; /* an error being put together */

    /* arguments of the command being called */
    struct slice *argv;
    uint32_t argv_cap;
    char *numbers; /* texts of those that are numbers */
    size_t numbers_cap;
};

static inline struct script_vm *vm_of(lua_State *lua)
{
    void *vm = NULL;
    (void)lua_getallocf(lua, &vm);
    return vm;
}

/* --- vm.c ------------------------------------------------------------------------------------------- */

/* Asks the host whether to go on; raises an error when not. */
void script_beat(lua_State *lua);

/* --- sandbox.c -------------------------------------------------------------------------------------- */

/* Fills a fresh state; protected call. The globals are left as a read-only table. */
int sandbox_open(lua_State *lua);
/* Sets a global that scripts can read (KEYS, ARGV) to the value on the top, which is popped. */
void sandbox_set_global(lua_State *lua, const char *name);
/* Replaces the table on the top of the stack by a read-only view of it. */
void sandbox_freeze(lua_State *lua);

/* --- api.c, convert.c ------------------------------------------------------------------------------- */

/* Pushes the table `redis`. */
void api_open(lua_State *lua);
/* Pushes {err = text}; with a code in front, "ERR" when the text has none. `text`: "-CODE words" or "words". */
void api_push_error(lua_State *lua, const char *text);

/* Pushes the reply of a command as Lua sees it. */
void convert_push_reply(lua_State *lua, struct slice reply);
/* Appends the value on the top of the stack to the run's output, and pops it. */
void convert_send(struct script_vm *vm, lua_State *lua);
/* Appends "-<text>\r\n", line ends in it made harmless. */
void convert_send_error(struct buf *out, struct slice text);

/* --- libraries: push a table of functions ----------------------------------------------------------- */

/* lua-cjson, within the vm's memory. */
void cjson_open(lua_State *lua);
/* Gives back what lua-cjson need not keep: a large text, and what a decoding that failed has left behind. */
void strbuf_settle(struct script_vm *vm);
void cmsgpack_open(lua_State *lua);
void struct_open(lua_State *lua);
void script_random_seed(struct script_vm *vm, uint32_t seed);
void random_open(lua_State *lua); /* sets math.random, math.randomseed in the table on the top */

#endif
