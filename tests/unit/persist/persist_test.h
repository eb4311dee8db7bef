/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the log share: a directory of their own. */
#ifndef PERSIST_TEST_H
#define PERSIST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/hash.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A new directory's path, and its removal with everything in it. */
static inline char *place_make(void)
{
    char *path = xstrdup("/tmp/freshet-unit-persist-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void place_remove(char *path)
{
    char *command = xasprintf("rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
    free(command);
    free(path);
}

static inline void file_read(const char *dir, const char *name, struct buf *out)
{
    char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    buf_clear(out);
    for (size_t got; (got = fread(buf_reserve(out, 4096), 1, 4096, f)) > 0;) {
        buf_commit(out, got);
    }
    (void)fclose(f);
    free(path);
}

static inline void file_write(const char *dir, const char *name, struct slice bytes)
{
    char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
    free(path);
}

#endif
