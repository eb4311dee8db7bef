/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scripts of every kind, with the first, second, third ... allocation failing: each ends with its reply or with
 * an error, and leaves a vm that is as good as before, with nothing lost.
 */
#include "base/alloc.h"
#include "script/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MEMORY = 8 * 1024 * 1024, OUT = 64 * 1024, MOST = 100000 };

static const char *const scripts[] = {
    "return 1",
    "return {KEYS[1], ARGV[1], 3.5, true, false, {ok = 'fine'}, {err = 'MY error'}}",
    "local t = {} for i = 1, 100 do t[i] = ('x'):rep(i) end return table.concat(t)",
    "local t = redis.call('x') return {t[1], t[2], #t}",
    "return redis.pcall('fails', 1, 2.5, 'three').err",
    "redis.call('fails')",
    "return redis.error_reply('no')",
    "local ok, v = pcall(function() return redis.call('x') end) return ok and 1 or error(v)",
    "redis.setresp(3) return {map = {a = 1, b = {2}}, double = 1.5}",
    "return cjson.encode({a = {1, 2, {b = 'text'}}, c = 'd'})",
    "return #cjson.decode('[1, {\"a\": [true, null, \"text\"]}, \"\\\\u00e4\"]')",
    "local v = cmsgpack.unpack(cmsgpack.pack({1, 'two', {three = 3}})) return v[2] .. v[3].three",
    "return {struct.unpack('>I2s', struct.pack('>I2s', 7, 'text'))}",
    "return bit.bor(1, 6) .. bit.tohex(255)",
    "return ('a,b,c'):gsub(',', function(c) return '<' .. c .. '>' end)",
    "local co = coroutine.wrap(function() coroutine.yield(('y'):rep(50)) end) return co()",
    "local t = {} for i = 1, 50 do t[i] = 50 - i end table.sort(t) return t[1] .. t[50]",
    "return loadstring('return ' .. 6 * 7)()",
    "return redis.sha1hex('text')",
    "error({err = 'MY ' .. ('e'):rep(100)})",
    "return string.format('%s %d %q', 'text', 5, 'quoted')",
};

static struct script_vm *vm;
static struct buf out;

static struct slice call(void *arg, const struct slice *argv, uint32_t argc, int proto)
{
    return slice_is(argv[0], "fails") ? SLICE("-WRONGTYPE no\r\n")
                                      : SLICE("*3\r\n$5\r\nfirst\r\n:2\r\n$-1\r\n");
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
    return true;
}

static const struct script_host host = {.version = "7.2.4",
                                        .version_number = 0x070204,
                                        .call = call,
                                        .acl_check = acl_check,
                                        .log = say,
                                        .beat = beat};

/* Compiles if need be and runs; the reply or error is in `out`. */
static void eval(const char *source)
{
    char sha[SCRIPT_SHA_SIZE];
    uint32_t flags;
    struct slice keys[] = {SLICE("a key"), SLICE("another key")};
    struct slice args[] = {SLICE("an argument")};
    buf_clear(&out);
    script_sha1(slice_of(source), sha);
    if (!script_vm_find(vm, sha, &flags) && !script_vm_load(vm, sha, slice_of(source), &out)) {
        buf_clear(&out);
        buf_append_str(&out, "-does not compile\r\n");
        return;
    }
    struct script_run run = {.sha = sha,
                             .keys = keys,
                             .key_count = 2,
                             .args = args,
                             .arg_count = 1,
                             .proto = 2,
                             .out = &out,
                             .reply_max = OUT / 2};
    if (!script_vm_run(vm, &run)) {
        buf_clear(&out);
        buf_append_str(&out, "-too large\r\n");
    }
}

static void expect(struct slice want)
{
    if (!slice_eq(buf_readable(&out), want)) {
        fail_msg("%.*s instead of %.*s", (int)buf_len(&out), buf_readable(&out).ptr, (int)want.len,
                 want.ptr);
    }
}

/* How many allocations of the script failed, each once. */
static uint64_t fail_each(const char *source, bool compiled)
{
    static char want[OUT];
    eval(source);
    assert_true(buf_len(&out) < sizeof(want));
    size_t len = buf_len(&out);
    memcpy(want, buf_readable(&out).ptr, len);
    for (uint64_t n = 1; n < MOST; n++) {
        if (!compiled) {
            script_vm_flush(vm);
        }
        (void)alloc_fail_try_at(n);
        eval(source);
        bool failed = alloc_fail_try_at(0) == 0;
        assert_true(buf_len(&out) > 0);
        if (!failed || buf_readable(&out).ptr[0] != '-') {
            expect((struct slice){want, len});
        }
        assert_true(script_vm_memory(vm) <= MEMORY);
        eval("return 'as good as before'");
        expect(SLICE("$17\r\nas good as before\r\n"));
        if (!failed) {
            return n - 1;
        }
    }
    fail_msg("%s never ends", source);
    return 0;
}

static void a_script_survives_any_failing_allocation(void **state)
{
    uint64_t failed = 0;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        failed += fail_each(scripts[i], false);
        failed += fail_each(scripts[i], true);
    }
    print_message("# %llu allocations failed\n", (unsigned long long)failed);
    assert_true(failed > 1000);
}

/* What failed runs have left behind is collected: memory is what it was after the first. */
static void nothing_is_lost(void **state)
{
    size_t before = 0;
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
            for (uint64_t n = 1; n < 400; n += 7) {
                (void)alloc_fail_try_at(n);
                eval(scripts[i]);
                (void)alloc_fail_try_at(0);
            }
        }
        script_vm_flush(vm);
        before = round == 0 ? script_vm_memory(vm) : before;
    }
    assert_true(script_vm_memory(vm) <= before + 4096);
}

static void a_vm_is_made_or_it_is_not(void **state)
{
    uint64_t n = 0;
    struct script_vm *made = NULL;
    while (made == NULL) {
        (void)alloc_fail_try_at(++n);
        made = script_vm_create(&host, NULL, MEMORY);
        assert_int_equal(alloc_fail_try_at(0) > 0, made != NULL);
    }
    assert_true(n > 100);
    script_vm_destroy(&made);
    assert_null(script_vm_create(&host, NULL, 1000));
}

static int open_vm(void **state)
{
    vm = script_vm_create(&host, NULL, MEMORY);
    buf_init(&out);
    (void)buf_reserve(&out, OUT);
    return 0;
}

static int close_vm(void **state)
{
    script_vm_destroy(&vm);
    buf_fini(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_script_survives_any_failing_allocation, open_vm,
                                        close_vm),
        cmocka_unit_test(a_vm_is_made_or_it_is_not),
        cmocka_unit_test_setup_teardown(nothing_is_lost, open_vm, close_vm),
    };
    return cmocka_run_group_tests_name("no_memory", tests, NULL, NULL);
}
