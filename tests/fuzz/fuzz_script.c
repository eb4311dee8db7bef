/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target for scripts: any text is compiled and run for a while; the same bytes, as ARGV[1], go through
 * cmsgpack.unpack, struct.unpack and cjson.decode, and what comes out is packed again.
 *
 * The vm must survive, stay within its memory, and run the next script as if nothing had been.
 */
#include "base/check.h"
#include "base/hash.h"
#include "script/script.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 4 * 1024 * 1024, BEATS = 20, REPLY_MAX = 64 * 1024, TEXT_MAX = 4096 };

static uint32_t beats;

static struct slice call(void *arg, const struct slice *argv, uint32_t argc, int proto)
{
    return SLICE("*4\r\n:1\r\n$1\r\nx\r\n$-1\r\n-ERR no\r\n");
}

static enum script_acl acl_check(void *arg, const struct slice *argv, uint32_t argc)
{
    return argc > 1 ? SCRIPT_ACL_ALLOWED : SCRIPT_ACL_NO_COMMAND;
}

static void say(void *arg, int level, struct slice text)
{
}

static bool beat(void *arg)
{
    return ++beats < BEATS;
}

static const struct script_host host = {.version = "7.2.4",
                                        .version_number = 0x070204,
                                        .call = call,
                                        .acl_check = acl_check,
                                        .log = say,
                                        .beat = beat};

static void run(struct script_vm *vm, struct slice source, struct slice arg, struct buf *out)
{
    char sha[SCRIPT_SHA_SIZE];
    buf_clear(out);
    script_sha1(source, sha);
    if (script_vm_load(vm, sha, source, out)) {
        struct script_run r = {.sha = sha,
                               .args = &arg,
                               .arg_count = 1,
                               .proto = 3,
                               .out = out,
                               .reply_max = REPLY_MAX};
        beats = 0;
        (void)script_vm_run(vm, &r);
    }
    check(buf_len(out) > 0);
    check(script_vm_memory(vm) <= MEMORY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct script_vm *vm;
    if (vm == NULL) {
        hash_setup_seed(1);
        vm = script_vm_create(&host, NULL, MEMORY);
    }
    struct slice text = {(const char *)data, size < TEXT_MAX ? size : TEXT_MAX};
    struct buf out;
    buf_init(&out);
    run(vm,
        SLICE("local ok, v = pcall(cmsgpack.unpack, ARGV[1]) if ok then return #cmsgpack.pack(v) "
              "end"),
        text, &out);
    run(vm,
        SLICE("local f, d = ARGV[1]:match('^([^|]*)|(.*)$') pcall(struct.size, f) "
              "return {pcall(struct.unpack, f, d)}"),
        text, &out);
    run(vm, SLICE("local ok, v = pcall(cjson.decode, ARGV[1]) return ok and cjson.encode(v)"), text,
        &out);
    /* Patterns run in C, where nothing ends them. */
    if (memmem(data, size, "match", 5) == NULL && memmem(data, size, "find", 4) == NULL &&
        memmem(data, size, "gsub", 4) == NULL) {
        run(vm, text, text, &out);
    }
    run(vm, SLICE("return string.rep('a', 3) .. type(redis.call)"), text, &out);
    check(slice_is(buf_readable(&out), "$11\r\naaafunction\r\n"));
    script_vm_flush(vm);
    buf_fini(&out);
    return 0;
}
