/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target for PostgreSQL's node text: any bytes are read or refused with a reason, and
 * what was read gives facts without touching memory outside of the text.
 */
#include "base/alloc.h"
#include "fill/analyse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = xmalloc(size + 1);
    struct arena a;
    struct facts facts;
    const char *why = NULL;
    memcpy(copy, data, size);
    char *exact = realloc(copy, size > 0 ? size : 1); /* so that the sanitizer sees the end */
    copy = exact != NULL ? exact : copy;
    arena_init(&a);
    if (!analyse(&a, (struct slice){copy, size}, &facts, &why) && why == NULL) {
        abort();
    }
    arena_fini(&a);
    free(copy);
    return 0;
}
