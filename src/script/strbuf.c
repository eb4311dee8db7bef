/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The growing text that lua-cjson writes into, in the place of its own: within the memory of the vm.
 *
 * lua-cjson's archive keeps its text in a member of its own, which takes memory without a bound and ends the
 * process when there is none. These functions have the names and the meaning of that member's, so the linker takes
 * them and leaves that member out. What does not fit is Lua's error "not enough memory", raised before
 * anything has changed. `strbuf_t` is laid out as in lua-cjson 2.1.0, whose code looks into it.
 *
 * Two kinds live: the one in each cjson table's configuration, freed when that is collected, and the one of a
 * decoding, which an error of Lua's can leave behind: the next decoding, or the vm's end, frees it. Encoding with a buffer
 * of its own (`encode_keep_buffer(false)`) could leave more behind, so that setting is taken and ignored. A text that has grown
 * is made small again when another grows, and at the end of the run.
 *
 * None of lua-cjson's functions says for which state it works, so ours around them do (`caller`).
 *
 * Threads: a vm's. Not done: what no caller in lua-cjson uses.
 */
#include "script/priv.h"

#include "base/alloc.h"

#include <limits.h>
#include <lua-cjson.h>
#include <stdlib.h>

enum { FIRST_SIZE = 4096 };

typedef struct {
    char *buf;
    int size;
    int length;
    int increment;
    int dynamic;
    int reallocs;
    int debug;
} strbuf_t; /* NOLINT: theirs */

strbuf_t *strbuf_new(int len);
void strbuf_init(strbuf_t *s, int len);
void strbuf_free(strbuf_t *s);
void strbuf_resize(strbuf_t *s, int len);
void strbuf_append_string(strbuf_t *s, const char *text);

/* In front of each text. */
struct text_head {
    struct script_vm *vm;
    size_t size; /* with this */
};

static _Thread_local lua_State *caller;

/* --- memory ------------------------------------------------------------------------------------- */

/* NULL when there is no room. NULL `text`: a new one. */
static char *try_resize(struct script_vm *vm, char *text, size_t len)
{
    struct text_head *old = text != NULL ? (struct text_head *)(void *)text - 1 : NULL;
    size_t before = old != NULL ? old->size : 0;
    size_t size = sizeof(*old) + len;
    struct text_head *head = NULL;
    if (len <= INT_MAX && vm->memory - before + size <= vm->memory_max) {
        head = alloc_try_resize(old, size);
    }
    if (head == NULL) {
        return NULL;
    }
    vm->memory = vm->memory - before + size;
    *head = (struct text_head){.vm = vm, .size = size};
    return (char *)(head + 1);
}

static char *resize(struct script_vm *vm, char *text, size_t len)
{
    char *moved = try_resize(vm, text, len);
    if (moved == NULL) {
        (void)luaL_error(caller, "not enough memory");
        unreachable();
    }
    return moved;
}

static struct script_vm *vm_of_text(char *text)
{
    return ((struct text_head *)(void *)text - 1)->vm;
}

static void release(char *text)
{
    if (text != NULL) {
        struct text_head *head = (struct text_head *)(void *)text - 1;
        head->vm->memory -= head->size;
        free(head);
    }
}

static void forget_decoding(struct script_vm *vm)
{
    strbuf_t *s = vm->decoding;
    vm->decoding = NULL;
    if (s != NULL) {
        release(s->buf);
        free(s);
    }
}

/* Nobody writes into it just now. */
static void shrink_grown(struct script_vm *vm)
{
    strbuf_t *s = vm->grown;
    vm->grown = NULL;
    char *small = s != NULL ? try_resize(vm, s->buf, FIRST_SIZE) : NULL;
    if (small != NULL) {
        s->buf = small;
        s->size = FIRST_SIZE;
        s->length = 0;
    }
}

void strbuf_settle(struct script_vm *vm)
{
    forget_decoding(vm);
    shrink_grown(vm);
}

/* --- as lua-cjson calls it ---------------------------------------------------------------------- */

void strbuf_init(strbuf_t *s, int len)
{
    int size = len < FIRST_SIZE ? FIRST_SIZE : len + 1;
    *s = (strbuf_t){.size = size, .increment = -2};
    s->buf = resize(vm_of(caller), NULL, (size_t)size);
}

void strbuf_free(strbuf_t *s)
{
    struct script_vm *vm = s->buf != NULL ? vm_of_text(s->buf) : NULL;
    release(s->buf);
    s->buf = NULL;
    if (vm != NULL && vm->grown == s) {
        vm->grown = NULL;
    }
    if (s->dynamic != 0) {
        check(vm != NULL && vm->decoding == s);
        vm->decoding = NULL;
        free(s);
    }
}

/* Of a decoding; there is one at a time. */
strbuf_t *strbuf_new(int len)
{
    struct script_vm *vm = vm_of(caller);
    forget_decoding(vm);
    strbuf_t *s = xcalloc(1, sizeof(*s));
    vm->decoding = s;
    strbuf_init(s, len); /* an error leaves `s` to forget_decoding() */
    s->dynamic = 1;
    return s;
}

/* Room for `len` characters and a NUL. */
void strbuf_resize(strbuf_t *s, int len)
{
    struct script_vm *vm = vm_of(caller);
    if (vm->grown != s) {
        shrink_grown(vm);
        vm->grown = s;
    }
    int64_t wanted = (int64_t)len + 1;
    int64_t size = s->size;
    if (len < 0) {
        wanted = (int64_t)INT_MAX + 1; /* their sum went over: too much in any case */
    }
    while (size < wanted) {
        size *= 2;
    }
    if ((uint64_t)size > vm->memory_max && wanted < size) {
        size = wanted;
    }
    s->buf = resize(vm, s->buf, (size_t)size);
    s->size = (int)size;
    s->reallocs++;
}

void strbuf_append_string(strbuf_t *s, const char *text)
{
    size_t len = strlen(text);
    if (len > (size_t)(s->size - s->length - 1)) {
        strbuf_resize(s, s->length + (int)len);
    }
    memcpy(s->buf + s->length, text, len);
    s->length += (int)len;
}

/* --- around lua-cjson's functions --------------------------------------------------------------- */

/* Theirs runs in the place of ours: with its arguments and its configuration (the upvalue), and the script as its
 * caller, whose line errors name. */
static int in_place(lua_State *lua, enum script_original which)
{
    caller = lua;
    return vm_of(lua)->original[which](lua);
}

static int encode(lua_State *lua)
{
    return in_place(lua, ORIGINAL_ENCODE);
}

static int decode(lua_State *lua)
{
    return in_place(lua, ORIGINAL_DECODE);
}

static void wrap_instance(lua_State *lua);

static int new_instance(lua_State *lua)
{
    (void)in_place(lua, ORIGINAL_NEW);
    wrap_instance(lua);
    return 1;
}

/* As theirs answers, which takes a boolean, "on" and "off". */
static int keep_buffer(lua_State *lua)
{
    if (lua_isboolean(lua, 1)) {
        lua_settop(lua, 1);
    } else {
        lua_pushboolean(lua, 1);
    }
    return 1;
}

static void wrap(lua_State *lua, const char *name, enum script_original which, lua_CFunction ours)
{
    lua_getfield(lua, -1, name);
    vm_of(lua)->original[which] = lua_tocfunction(lua, -1);
    check(vm_of(lua)->original[which] != NULL);
    check(lua_getupvalue(lua, -1, 1) != NULL);
    lua_remove(lua, -2);
    lua_pushcclosure(lua, ours, 1);
    lua_setfield(lua, -2, name);
}

static void wrap_instance(lua_State *lua)
{
    wrap(lua, "encode", ORIGINAL_ENCODE, encode);
    wrap(lua, "decode", ORIGINAL_DECODE, decode);
    wrap(lua, "new", ORIGINAL_NEW, new_instance);
    lua_pushcfunction(lua, keep_buffer);
    lua_setfield(lua, -2, "encode_keep_buffer");
}

void cjson_open(lua_State *lua)
{
    caller = lua;
    lua_pushcfunction(lua, luaopen_cjson);
    lua_pushliteral(lua, "cjson");
    lua_call(lua, 1, 1);
    wrap_instance(lua);
}
