/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stir SECONDS SEED [FILE]: gives a fuzz target bytes that mean nothing, for so long.
 *
 * For targets that make sense of any bytes (grammar.h), where chance alone goes far. Every input is written to FILE
 * before it is tried: what was last there when the target fails is what it fails with (replay.c takes it).
 */
#include "base/check.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUT_MAX = 1200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static void keep(const char *file, const uint8_t *bytes, size_t size)
{
    FILE *f = fopen(file, "wb");
    check(f != NULL);
    check(fwrite(bytes, 1, size, f) == size);
    check(fclose(f) == 0);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: stir SECONDS SEED [FILE]\n");
        return 2;
    }
    uint64_t until_ms = clock_now_ms() + strtoull(argv[1], NULL, 10) * 1000;
    uint64_t state = strtoull(argv[2], NULL, 10);
    uint64_t inputs = 0;
    while (clock_now_ms() < until_ms) {
        uint8_t bytes[INPUT_MAX];
        size_t size = 1 + next_random(&state) % INPUT_MAX;
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)(next_random(&state) >> 56);
        }
        if (argc > 3) {
            keep(argv[3], bytes, size);
        }
        (void)LLVMFuzzerTestOneInput(bytes, size);
        inputs++;
    }
    (void)printf("%" PRIu64 " inputs of seed %s\n", inputs, argv[2]);
    return 0;
}
