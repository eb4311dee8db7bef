/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arithmetic of size classes, for slab.c.
 *
 *      class     0 ...... 63 | 64 ..... 95 | 96 .... 127 | 128 ... 143 | ... 191     | 192
 *      slot      8 16 ... 512 | 528 ... 1024 | 1056 ... 2048 | 2176 ... 4096 | ... 32768 | 64, buckets
 *      step      8           | 16          | 32          | 128         | ...         |
 *
 * Most values of an application lie around a kilobyte: there the steps are as fine as 3 % at most.
 *
 * Merging: `merge` is a mask of low bits that are set in every class number, so 2 or 4 neighbours
 * become the largest of them; where it is 4, 8 between 512 and 2048.
 */
#ifndef STORE_SLAB_CLASS_H
#define STORE_SLAB_CLASS_H

#include "store/slab.h"

enum { FINE_MAX = 512, FINE_CLASSES = FINE_MAX / 8, BUCKET_BYTES = 64 };
enum {
    MID_OCTAVE = 9,
    MID_CLASSES = 128,
    COARSE_OCTAVE = 11
}; /* MID_CLASSES: fine and middle ones */
enum { TAIL_FINE_MAX = 2048, TAIL_FINE = 128, TAIL_COARSE = 32 };

/* Of a size up to SLAB_MAX. Merged classes take the name of their largest. */
static inline uint32_t class_of(size_t size, uint32_t merge)
{
    if (size <= FINE_MAX) {
        return ((uint32_t)((size + 7) / 8) - 1) | merge;
    }
    uint32_t octave = 63 - (uint32_t)__builtin_clzll(size - 1);
    if (octave < COARSE_OCTAVE) {
        uint32_t step = (uint32_t)((size - 1) >> (octave - 5)) - 32;
        return (FINE_CLASSES + (octave - MID_OCTAVE) * 32 + step) | (merge == 3 ? 7 : merge);
    }
    uint32_t step = (uint32_t)((size - 1) >> (octave - 4)) - 16;
    return (MID_CLASSES + (octave - COARSE_OCTAVE) * 16 + step) | merge;
}

static inline uint32_t class_bytes(uint32_t class)
{
    if (class < FINE_CLASSES) {
        return (class + 1) * 8;
    }
    if (class == SLAB_BUCKET) {
        return BUCKET_BYTES;
    }
    if (class < MID_CLASSES) {
        uint32_t mid = class - FINE_CLASSES;
        return (mid % 32 + 32 + 1) << (mid / 32 + MID_OCTAVE - 5);
    }
    uint32_t coarse = class - MID_CLASSES;
    return (coarse % 16 + 16 + 1) << (coarse / 16 + COARSE_OCTAVE - 4);
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
