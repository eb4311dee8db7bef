/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic uint64_t clock_offset_ms; /* relaxed: tests only */

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000U + (uint64_t)ts.tv_nsec / 1000U;
}

uint64_t clock_now_us(void)
{
    return read_us(CLOCK_MONOTONIC) +
           atomic_load_explicit(&clock_offset_ms, memory_order_relaxed) * 1000U;
}

uint64_t clock_now_ms(void)
{
    return clock_now_us() / 1000U;
}

uint64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000U +
           atomic_load_explicit(&clock_offset_ms, memory_order_relaxed);
}

void clock_advance(uint64_t ms)
{
    atomic_fetch_add_explicit(&clock_offset_ms, ms, memory_order_relaxed);
}

uint64_t clock_mono_from_wall(uint64_t wall_ms)
{
    uint64_t wall_now = clock_wall_ms();
    uint64_t mono_now = clock_now_ms();
    if (wall_ms + mono_now <= wall_now) {
        return 0;
    }
    return wall_ms + mono_now - wall_now;
}

uint64_t clock_wall_from_mono(uint64_t mono_ms)
{
    return mono_ms + clock_wall_ms() - clock_now_ms();
}
