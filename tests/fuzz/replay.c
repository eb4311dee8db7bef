/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replay DIRECTORY: gives every file of a corpus to a fuzz target, once, in the order of their names.
 *
 * Linked with one fuzz_<name>.c in place of libFuzzer, so that any compiler builds it and `make test`
 * runs it. A target that finds something aborts; the last name printed is then the file that it
 * found it in. A directory without files is a failure: nothing was tried.
 */
#include "base/alloc.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool replay_file(const char *directory, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    printf("%s\n", name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        return false;
    }
    uint8_t *bytes = xmalloc(INPUT_MAX);
    size_t size = fread(bytes, 1, INPUT_MAX, f);
    bool read = !ferror(f) && feof(f);
    (void)fclose(f);
    if (read) {
        uint8_t *exact = xmalloc(size > 0 ? size : 1); /* so that a sanitizer sees the end */
        memcpy(exact, bytes, size);
        (void)LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    free(bytes);
    return read;
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int count = argc == 2 ? scandir(argv[1], &entries, is_input, alphasort) : -1;
    if (count <= 0) {
        fprintf(stderr, "usage: replay DIRECTORY, one with files in it\n");
        return 2;
    }
    setbuf(stdout, NULL); /* names must be out before a crash */
    int failed = 0;
    for (int i = 0; i < count; i++) {
        failed += replay_file(argv[1], entries[i]->d_name) ? 0 : 1;
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs, %d unreadable\n", count, failed);
    return failed > 0 ? 1 : 0;
}
