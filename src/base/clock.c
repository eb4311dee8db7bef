/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CLOCK_BOOTTIME, not CLOCK_MONOTONIC: the latter stands still while the machine sleeps, and a laptop or a
 * virtual machine that wakes would believe a proof of contact from before. In the vDSO both cost the same.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic uint64_t clock_offset_ms; /* relaxed: tests only, like the next */
static _Atomic int64_t wall_jump_ms;

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000U + (uint64_t)ts.tv_nsec / 1000U;
}

uint64_t clock_now_us(void)
{
    return read_us(CLOCK_BOOTTIME) +
           atomic_load_explicit(&clock_offset_ms, memory_order_relaxed) * 1000U;
}

uint64_t clock_now_ms(void)
{
    return clock_now_us() / 1000U;
}

uint64_t clock_wall_us(void)
{
    uint64_t offset_ms = atomic_load_explicit(&clock_offset_ms, memory_order_relaxed) +
                         (uint64_t)atomic_load_explicit(&wall_jump_ms, memory_order_relaxed);
    return read_us(CLOCK_REALTIME) + offset_ms * 1000U;
}

uint64_t clock_wall_ms(void)
{
    return clock_wall_us() / 1000U;
}

void clock_wall_jump(int64_t ms)
{
    atomic_fetch_add_explicit(&wall_jump_ms, ms, memory_order_relaxed);
}

void clock_format(uint64_t wall_ms, char ret_text[CLOCK_TEXT])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    size_t len = strftime(ret_text, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(ret_text + len, CLOCK_TEXT - len, ".%03uZ", (unsigned)(wall_ms % 1000));
}

void clock_advance(uint64_t ms)
{
    atomic_fetch_add_explicit(&clock_offset_ms, ms, memory_order_relaxed);
}

/*
 * Wall time less monotonic time. Kept, and taken again only when the wall clock has jumped: so a deadline
 * comes back as it went in, and two readings a microsecond apart do not disagree by a millisecond.
 */
static uint64_t wall_offset(void)
{
    static _Atomic uint64_t kept; /* relaxed: any recent value is right */
    static const uint64_t JUMP_MS = 100;
    uint64_t actual = clock_wall_ms() - clock_now_ms();
    uint64_t offset = atomic_load_explicit(&kept, memory_order_relaxed);
    if (actual - offset + JUMP_MS > 2 * JUMP_MS) {
        offset = actual;
        atomic_store_explicit(&kept, offset, memory_order_relaxed);
    }
    return offset;
}

uint64_t clock_mono_from_wall(uint64_t wall_ms)
{
    uint64_t offset = wall_offset();
    return wall_ms > offset ? wall_ms - offset : 0;
}

uint64_t clock_wall_from_mono(uint64_t mono_ms)
{
    return mono_ms + wall_offset();
}
