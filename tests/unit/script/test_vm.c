/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vm without a store: what scripts can do, and what they cannot: leave the sandbox, take more memory than
 * allowed, outlive being killed, leave anything to the next script.
 */
#include "base/alloc.h"
#include "script/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MEMORY = 8 * 1024 * 1024 };

static struct slice next_reply;
static uint32_t beats_left;

static struct slice call(void *arg, const struct slice *argv, uint32_t argc, int proto)
{
    return next_reply;
}

static enum script_acl acl_check(void *arg, const struct slice *argv, uint32_t argc)
{
    return SCRIPT_ACL_ALLOWED;
}

static void say(void *arg, int level, struct slice text)
{
}

static bool beat(void *arg)
{
    return beats_left == 0 || --beats_left > 0;
}

static const struct script_host host = {.version = "7.2.4",
                                        .version_number = 0x070204,
                                        .call = call,
                                        .acl_check = acl_check,
                                        .log = say,
                                        .beat = beat};
static struct script_vm *vm;
static struct buf out;

static int open_vm(void **state)
{
    vm = script_vm_create(&host, NULL, MEMORY);
    buf_init(&out);
    next_reply = SLICE("+OK\r\n");
    beats_left = 0;
    return 0;
}

static int close_vm(void **state)
{
    script_vm_destroy(&vm);
    buf_fini(&out);
    return 0;
}

/* The reply of a script, as text. */
static const char *eval(const char *source)
{
    char sha[SCRIPT_SHA_SIZE];
    uint32_t flags = 0;
    buf_clear(&out);
    script_sha1(slice_of(source), sha);
    if (!script_vm_find(vm, sha, &flags) && !script_vm_load(vm, sha, slice_of(source), &out)) {
        buf_append_char(&out, '\0');
        return buf_readable(&out).ptr;
    }
    struct script_run run = {.sha = sha, .proto = 2, .out = &out, .reply_max = 1 << 20};
    assert_true(script_vm_run(vm, &run));
    buf_append_char(&out, '\0');
    return buf_readable(&out).ptr;
}

static void expect(const char *source, const char *want)
{
    assert_string_equal(eval(source), want);
}

/* An error that begins like that, and the vm is still good. */
static void expect_error(const char *source, const char *start)
{
    const char *got = eval(source);
    if (strncmp(got, start, strlen(start)) != 0) {
        fail_msg("%s: %s instead of %s", source, got, start);
    }
    expect("return 1", ":1\r\n");
}

static void replies_become_lua_and_back(void **state)
{
    next_reply = SLICE("*5\r\n:1\r\n$2\r\nab\r\n$-1\r\n*-1\r\n+x\r\n");
    expect(
        "local r = redis.call('x') return {#r, r[1], r[2], r[3] == false, r[4] == false, r[5].ok}",
        "*6\r\n:5\r\n:1\r\n$2\r\nab\r\n:1\r\n:1\r\n$1\r\nx\r\n");
    next_reply = SLICE("|1\r\n+k\r\n*1\r\n:1\r\n+behind it\r\n");
    expect("return redis.call('x').ok", "$9\r\nbehind it\r\n");
    next_reply = SLICE(":7\r\n");
    expect("local a = {} for i = 1, 7990 do a[i] = 1 end return redis.call('x', unpack(a))",
           ":7\r\n");
    next_reply = SLICE("%1\r\n+k\r\n~1\r\n:7\r\n");
    expect("local r = redis.call('x').map for k, v in pairs(r) do return {k.ok, v.set[7]} end",
           "*2\r\n$1\r\nk\r\n:1\r\n");
    next_reply = SLICE("*6\r\n_\r\n#t\r\n#f\r\n,1.5\r\n(12345\r\n=7\r\ntxt:abc\r\n");
    expect("local r = redis.call('x') return {tostring(r[1]), tostring(r[2]), tostring(r[3]), "
           "tostring(r[4].double), r[5].big_number, r[6].verbatim_string.string}",
           "*6\r\n$3\r\nnil\r\n$4\r\ntrue\r\n$5\r\nfalse\r\n$3\r\n1.5\r\n$5\r\n12345\r\n$"
           "3\r\nabc\r\n");
    next_reply = SLICE("-WRONGTYPE no\r\n");
    expect("return redis.pcall('x').err", "$12\r\nWRONGTYPE no\r\n");
}

static void what_is_packed_is_unpacked(void **state)
{
    expect(
        "for _, v in ipairs({0, 1, -1, 127, 128, -32, -33, 2^31, 2^32, -2^31, 2^53, -2^53, 0.1, "
        "1e300, "
        "'', 'a', ('x'):rep(31), ('x'):rep(32), ('x'):rep(300), ('x'):rep(70000), true, false}) do "
        "if cmsgpack.unpack(cmsgpack.pack(v)) ~= v then return tostring(v) end end return 1",
        ":1\r\n");
    expect("for _, f in ipairs({'b', 'h', 'i3', 'l', 'i8', 'd'}) do for _, e in ipairs({'<', '>', "
           "'!8'}) do "
           "for _, v in ipairs({0, 1, -1, 100, -128}) do "
           "if struct.unpack(e .. f, struct.pack(e .. f, v)) ~= v then return e .. f .. v end "
           "end end end return 1",
           ":1\r\n");
    expect_error("return cmsgpack.unpack('\\220\\255\\255')",
                 "-ERR user_script:1: Missing bytes in input.");
    expect_error("return cmsgpack.unpack(('\\145'):rep(100000))", "-ERR user_script:1: ");
    expect_error("return struct.unpack('i4', 'abc')",
                 "-ERR user_script:1: bad argument #2 to 'unpack'");
}

static void the_sandbox_holds(void **state)
{
    static const char *const refused[] = {
        "string.rep = 1",
        "redis.call = 1",
        "x = 1",
        "_G.x = 1",
        "rawset(_G, 'x', 1)",
        "rawset(string, 'rep', 1)",
        "table.insert(redis, 1)",
        "table.remove(redis, 'call')",
        "setmetatable(_G, {})",
        "setmetatable(string, {__index = {}})",
        "getmetatable('').__index = 1",
        "getmetatable(_G).__newindex = nil",
        "return io.open('/')",
        "return os.execute('true')",
        "return require('x')",
        "return debug.getinfo(1)",
        "return getfenv(1)",
        "setfenv(1, {})",
        "return loadfile('/etc/passwd')",
        "return dofile('/etc/passwd')",
        "return package.loaded",
        "return newproxy(true)",
        "print(1)",
        "return module('x')",
        "for k, v in pairs(_G) do rawset(v, 'x', 1) end",
        "coroutine.yield()",
        "coroutine.wrap(function() string.x = 1 end)()",
        "local f = loadstring('y = 1') f()",
        "setmetatable(getmetatable(''), {})",
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        expect_error(refused[i], "-ERR ");
    }
    expect("return type(loadstring('\\27Lua'))", "$3\r\nnil\r\n");
    expect("local n = 0 return type(load(function() n = n + 1 return n == 1 and '\\27Lua' or nil "
           "end))",
           "$3\r\nnil\r\n");
    expect_error("\27Lua", "ERR Error compiling script");
    expect("return type(loadstring(string.dump(function() end)))", "$3\r\nnil\r\n");
    expect("return bit.tohex(65535, -2147483648)", "$8\r\n0000FFFF\r\n");
}

/* What stock Lua does wrong in C: a count that overflows, a stack that does. */
static void libraries_do_not_overflow(void **state)
{
    static const char too_many[] = "-ERR user_script:1: too many results to unpack";
    expect_error("return {unpack({1, 2, 3}, -2, 2147483647)}", too_many);
    expect_error("return {unpack({1, 2, 3}, 0, 2147483647)}", too_many);
    expect_error("return {unpack({1, 2, 3}, -2147483648, -2)}", too_many);
    expect_error("return {unpack({}, 1, 8001)}", too_many);
    expect("return {unpack({1, 2, 3}, -1, -2)}", "*0\r\n");
    expect("return select('#', unpack({}, -2147483648, -2147483646))", ":3\r\n");
    expect("return select(3, unpack({1, 2, 3}, -1, 5))", ":1\r\n");
    expect("return {unpack({1, 2, 3}, 2)}", "*2\r\n:2\r\n:3\r\n");
    expect_error("return unpack(1)", "-ERR user_script:1: bad argument #1 to 'unpack'");
    static const char *const calls[] = {"find", "match", "gmatch", "gsub"};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        char script[128];
        (void)snprintf(script, sizeof(script), "return string.%s('x', ('a?'):rep(1e6), '')",
                       calls[i]);
        expect_error(script, "-ERR user_script:1: pattern too complex");
    }
    expect("return ('x'):rep(20000):find(('x'):rep(20000))", ":1\r\n");
    expect("return ('[x'):rep(20000):find(('[x'):rep(20000), 1, true)", ":1\r\n");
    expect_error("table.insert({}, -2147483648, 1)",
                 "-ERR user_script:1: bad argument #2 to 'insert' (position");
    expect("local t = {1} table.insert(t, -2, 5) return t[-2]", ":5\r\n");
}

static void memory_is_bounded(void **state)
{
    static const char *const bombs[] = {
        "local t = {} while true do t[#t + 1] = {} end",
        "return ('x'):rep(1e9)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end",
        "return cmsgpack.pack(('x'):rep(3e6), ('x'):rep(3e6), ('x'):rep(3e6), ('x'):rep(3e6))",
        "local function f() return 1 + f() end return f()",
        "local t = {} for i = 1, 1e8 do t[i] = coroutine.create(function() end) end",
        "return loadstring('return ' .. ('{'):rep(10000))()",
        "local s = ('x'):rep(1000) return (s:gsub('x', s:rep(100)))",
        "return table.concat(setmetatable({}, {__index = function() return 'x' end}), 'y', 1, 2e9)",
        "local t = {} for i = 1, 60 do t = {t, t} end return cjson.encode(t)",
        "cjson.encode_sparse_array(true, 0, 0) return cjson.encode({[2e9] = 1})",
        "local j = cjson.new() j.encode_keep_buffer(false) return j.encode(('\\1'):rep(3e6))",
        "local s = '[' .. ('\"' .. ('x'):rep(1000) .. '\",'):rep(1500) .. '1]' "
        "local kept = {} while true do kept[#kept + 1] = cjson.decode(s) end",
        "local w = coroutine.wrap(function(t) return cjson.encode(t) end) "
        "local t = {} for i = 1, 60 do t = {t, t} end return w(t)",
    };
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        expect_error(bombs[i], "-ERR ");
        assert_true(script_vm_memory(vm) < MEMORY);
    }
    expect("return #string.rep('', 2000000000)", ":0\r\n");
    expect("collectgarbage('stop') return 1", ":1\r\n");
    assert_true(script_vm_memory(vm) < MEMORY / 2);
}

/* What a decoding leaves behind when memory ends in its middle is not left for good; encoding goes on after it. */
static void json_goes_on_after_no_memory(void **state)
{
    size_t before = 0;
    for (int i = 0; i < 6; i++) { /* a round leaves a megabyte behind if it leaves anything */
        expect(
            "local s = '[' .. ('\"' .. ('x'):rep(1000) .. '\",'):rep(1000) .. '1]' "
            "local kept = {} "
            "pcall(function() while true do kept[#kept + 1] = cjson.decode(s) end end) "
            "kept = nil collectgarbage() "
            "local t = {} for i = 1, 60 do t = {t, t} end return tostring(pcall(cjson.encode, t))",
            "$5\r\nfalse\r\n");
        expect("return cjson.encode({a = {1, 2.5, 'x\\n'}})",
               "$19\r\n{\"a\":[1,2.5,\"x\\n\"]}\r\n");
        script_vm_flush(vm);
        before = i == 2 ? script_vm_memory(vm) : before;
    }
    assert_true(script_vm_memory(vm) <= before + 4096);
    expect_error("return cjson.encode({function() end})",
                 "-ERR user_script:1: Cannot serialise function: type not supported");
}

static void what_is_killed_ends(void **state)
{
    static const char *const loops[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        ("while true do xpcall(function() while true do end end, "
         "function() while true do end end) end"),
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "while true do redis.pcall('x') end",
        "local function f() pcall(f) while true do end end f()",
        "table.sort({1, 2, 3}, function() while true do end end)",
        "('x'):gsub('x', function() while true do end end)",
    };
    for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
        beats_left = 3;
        const char *got = eval(loops[i]);
        if (strncmp(got, "-ERR ", 5) != 0) {
            fail_msg("%s: %s", loops[i], got);
        }
        beats_left = 0;
        expect("return 1", ":1\r\n");
    }
}

static void a_large_reply_is_cut(void **state)
{
    char sha[SCRIPT_SHA_SIZE];
    struct slice source =
        SLICE("local t = {} for i = 1, 1000 do t[i] = ('x'):rep(100) end return t");
    script_sha1(source, sha);
    assert_true(script_vm_load(vm, sha, source, &out));
    struct script_run run = {.sha = sha, .proto = 2, .out = &out, .reply_max = 1000};
    assert_false(script_vm_run(vm, &run));
    assert_true(buf_len(&out) < 2000);
    expect("return 1", ":1\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(replies_become_lua_and_back, open_vm, close_vm),
        cmocka_unit_test_setup_teardown(what_is_packed_is_unpacked, open_vm, close_vm),
        cmocka_unit_test_setup_teardown(the_sandbox_holds, open_vm, close_vm),
        cmocka_unit_test_setup_teardown(libraries_do_not_overflow, open_vm, close_vm),
        cmocka_unit_test_setup_teardown(memory_is_bounded, open_vm, close_vm),
        cmocka_unit_test_setup_teardown(json_goes_on_after_no_memory, open_vm, close_vm),
        cmocka_unit_test_setup_teardown(what_is_killed_ends, open_vm, close_vm),
        cmocka_unit_test_setup_teardown(a_large_reply_is_cut, open_vm, close_vm),
    };
    return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
