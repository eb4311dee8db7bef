/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target for RESTORE's reader: whatever is read must be whole, with elements that lie in its texts
 * and no name twice where names are unique.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "serve/cmd/rdb.h"

#include <math.h>
#include <stdlib.h>

static void look_at(const struct rdb_value *v)
{
    unsigned sum = 0;
    for (uint64_t i = 0; i < v->count; i++) {
        struct coll_element e = rdb_element(v, i);
        for (size_t j = 0; j < e.name.len; j++) {
            sum += (unsigned char)e.name.ptr[j];
        }
        for (size_t j = 0; j < e.value.len; j++) {
            sum += (unsigned char)e.value.ptr[j];
        }
        check(v->kind != STORE_ZSET || !isnan(e.score));
        bool unique =
            i > 0 && (v->kind == STORE_SET || v->kind == STORE_HASH || v->kind == STORE_ZSET);
        check(!unique || !slice_eq(e.name, rdb_element(v, i - 1).name));
    }
    for (uint64_t i = 0; i < v->entry_count; i++) {
        const struct rdb_entry *e = &v->entries[i];
        check(e->fields > 0 && e->first + 2 * (uint64_t)e->fields <= v->count);
    }
    check((v->count > 0 || v->kind == STORE_STREAM) && sum < UINT32_MAX);
    check(v->kind != STORE_STRING || v->count == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = xmalloc(size > 0 ? size : 1); /* so that reading past its end is seen */
    if (size > 0) {
        memcpy(exact, data, size);
    }
    struct rdb_value value;
    if (rdb_read((struct slice){exact, size}, &value)) {
        look_at(&value);
    }
    rdb_value_fini(&value);
    free(exact);
    return 0;
}
