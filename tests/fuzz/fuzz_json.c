/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target for the JSON reader.
 *
 * A fault must lie in the text. What is taken is walked: every name and value of an object must be taken
 * on its own too, lie in the text and in its order; a string that is unquoted and written again must be
 * taken and say the same.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(struct slice string)
{
    struct json_fault fault;
    struct buf says;
    struct buf written;
    struct buf again;
    buf_init(&says);
    buf_init(&written);
    buf_init(&again);
    check(json_check(string, &fault));
    json_unquote(string, &says);
    json_put_string(&written, buf_readable(&says));
    check(json_check(buf_readable(&written), &fault));
    json_unquote(buf_readable(&written), &again);
    check(slice_eq(buf_readable(&says), buf_readable(&again)));
    buf_fini(&says);
    buf_fini(&written);
    buf_fini(&again);
}

static void walk(struct slice text)
{
    struct json_fault fault;
    struct slice rest = text;
    struct slice name;
    struct slice value;
    const char *last = text.ptr;
    while (json_next_member(&rest, &name, &value)) {
        check(name.ptr > last && value.ptr >= name.ptr + name.len);
        check(value.ptr + value.len <= text.ptr + text.len);
        last = value.ptr + value.len - 1;
        check_string(name);
        check(json_check(value, &fault));
        if (json_kind(value) == '"') {
            check_string(value);
        } else if (json_kind(value) == '{') {
            walk(value);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_fault fault;
    hash_setup_seed(1);
    char *mem = xmalloc(size > 0 ? size : 1); /* exact, so that a read past the end shows */
    memcpy(mem, data, size);
    struct slice text = {mem, size};
    if (!json_check(text, &fault)) {
        check(fault.at <= size && fault.what != NULL);
        check(fault.member.ptr == NULL || (fault.member.ptr >= mem && fault.member.len >= 2 &&
                                           fault.member.ptr + fault.member.len <= mem + size));
    } else if (json_kind(text) == '{') {
        walk(text);
    } else if (json_kind(text) == '"') {
        size_t start = (size_t)((const char *)memchr(mem, '"', size) - mem);
        size_t end = size;
        while (mem[end - 1] != '"') {
            end--;
        }
        check_string((struct slice){mem + start, end - start});
    }
    free(mem);
    return 0;
}
