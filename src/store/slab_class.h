/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arithmetic of size classes, for slab.c.
 *
 *      class     0 ...... 63 | 64 ..... 79 | 80 ..... 95 | ... 159     | 160
 *      slot      8 16 ... 512 | 544 ... 1024 | 1088 ... 2048 | ... 32768 | 64, buckets
 *      step      8           | 32          | 64          | ...         |
 *
 * Merging: `merge` is a mask of low bits that are set in every class number, so 2 or 4 neighbours
 * become the largest of them.
 */
#ifndef STORE_SLAB_CLASS_H
#define STORE_SLAB_CLASS_H

#include "store/slab.h"

enum { FINE_MAX = 512, FINE_CLASSES = FINE_MAX / 8, OCTAVE_CLASSES = 16, BUCKET_BYTES = 64 };
enum { TAIL_FINE_MAX = 1024, TAIL_FINE = 128, TAIL_COARSE = 32 };

/* Of a size up to SLAB_MAX. Merged classes take the name of their largest. */
static inline uint32_t class_of(size_t size, uint32_t merge)
{
    if (size <= FINE_MAX) {
        return ((uint32_t)((size + 7) / 8) - 1) | merge;
    }
    uint32_t octave = 63 - (uint32_t)__builtin_clzll(size - 1);
    uint32_t step = (uint32_t)((size - 1) >> (octave - 4)) - OCTAVE_CLASSES;
    return (FINE_CLASSES + (octave - 9) * OCTAVE_CLASSES + step) | merge;
}

static inline uint32_t class_bytes(uint32_t class)
{
    if (class < FINE_CLASSES) {
        return (class + 1) * 8;
    }
    if (class == SLAB_BUCKET) {
        return BUCKET_BYTES;
    }
    uint32_t coarse = class - FINE_CLASSES;
    uint32_t octave = coarse / OCTAVE_CLASSES + 9;
    return (coarse % OCTAVE_CLASSES + OCTAVE_CLASSES + 1) << (octave - 4);
}

/* How many pages a run of such slots should have: the fewest with a small tail. */
static inline uint32_t class_pages(uint32_t slot, uint32_t most)
{
    uint32_t share = slot <= TAIL_FINE_MAX ? TAIL_FINE : TAIL_COARSE;
    uint32_t best = 0;
    uint32_t best_tail = 0;
    for (uint32_t n = (slot + STORE_PAGE - 1) / STORE_PAGE; n <= most || best == 0; n++) {
        uint32_t bytes = n * STORE_PAGE;
        uint32_t tail = bytes % slot;
        if (tail * share <= bytes) {
            return n;
        }
        if (best == 0 || (uint64_t)tail * best < (uint64_t)best_tail * n) {
            best = n;
            best_tail = tail;
        }
    }
    return best;
}

#endif
