/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * XXH3 from libxxhash, inlined: keys are short, and a call would cost as much as the hash.
 *
 * Threads: any. The seed is written once, before there are threads.
 */
#define XXH_INLINE_ALL
#include "base/hash.h"

#include "base/check.h"

#include <sys/random.h>
#include <xxhash.h>

static uint64_t hash_seed; /* written once, before threads */

void hash_setup(void)
{
    check(getrandom(&hash_seed, sizeof(hash_seed), 0) == (ssize_t)sizeof(hash_seed));
}

void hash_setup_seed(uint64_t seed)
{
    hash_seed = seed;
}

uint64_t hash_bytes(const void *ptr, size_t len)
{
    return XXH3_64bits_withSeed(ptr, len, hash_seed);
}

uint64_t hash_slice(struct slice s)
{
    return hash_bytes(s.ptr, s.len);
}

uint64_t hash_bytes_fixed(uint64_t seed, const void *ptr, size_t len)
{
    return XXH3_64bits_withSeed(ptr, len, seed);
}
