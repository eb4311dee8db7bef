/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target for the RESP parser. The first byte chooses how the rest is split; every input
 * is parsed whole and split, and both must agree on every command and on the end (P3 of parse.c).
 */
#include "base/alloc.h"
#include "resp/resp.h"

#include <stdlib.h>

static const struct resp_limits limits = {.args_max = 64, .bulk_max = 256, .inline_max = 64};

static enum resp_result run(struct slice in, size_t step, struct buf *out)
{
    struct resp_parser p;
    resp_parser_init(&p, &limits);
    enum resp_result result = RESP_MORE;
    size_t start = 0;
    for (size_t end = 0; end < in.len && result != RESP_ERROR;) {
        end = in.len - end > step ? end + step : in.len;
        char *copy = xmalloc(end - start);
        memcpy(copy, in.ptr + start, end - start);
        size_t done = 0;
        do {
            size_t used = 0;
            result = resp_parse(&p, (struct slice){copy + done, end - start - done}, &used);
            for (uint32_t i = 0; result == RESP_COMMAND && i < p.argc; i++) {
                resp_bulk(out, p.argv[i]);
            }
            done += used;
        } while (result == RESP_COMMAND && done < end - start);
        free(copy);
        start += done;
    }
    if (result == RESP_ERROR) {
        resp_error(out, "%s", p.error);
    }
    resp_parser_fini(&p);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct slice in = {(const char *)data + 1, size - 1};
    struct buf whole;
    struct buf split;
    buf_init(&whole);
    buf_init(&split);
    enum resp_result a = run(in, in.len, &whole);
    enum resp_result b = run(in, (size_t)data[0] % 16 + 1, &split);
    check(a == b && slice_eq(buf_readable(&whole), buf_readable(&split)));
    buf_fini(&whole);
    buf_fini(&split);
    return 0;
}
