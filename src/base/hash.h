/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seeded 64-bit hashing (XXH3). The seed is drawn from the kernel once per process, so a client cannot
 * choose keys that collide (hash flooding) and hashes mean nothing outside the process.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/slice.h"

#include <stdint.h>

/* Call once before any thread starts. A test may fix the seed. */
void hash_setup(void);
void hash_setup_seed(uint64_t seed);

uint64_t hash_bytes(const void *ptr, size_t len);
uint64_t hash_slice(struct slice s);

/* The same in every process, for what outlives one: not for what clients may choose. */
uint64_t hash_bytes_fixed(uint64_t seed, const void *ptr, size_t len);

/* Order-sensitive mixing of one more word into a running hash. */
static inline uint64_t hash_mix(uint64_t h, uint64_t word)
{
    h ^= word + 0x9e3779b97f4a7c15ULL + (h << 6) + (h >> 2);
    return h * 0xff51afd7ed558ccdULL ^ (h >> 33);
}

#endif
