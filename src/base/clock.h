/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time. Everything inside the process (TTLs, timeouts, proof of contact) runs on the monotonic clock;
 * wall time is only shown to people and used for absolute expiries given by clients (EXPIREAT).
 * Functions that need "now" take it as an argument; only loops and thread bodies read the clock.
 *
 * Thread: any. clock_advance() exists for tests and the DEBUG command: it moves the monotonic clock
 * forward for the whole process.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ms(void);
uint64_t clock_now_us(void);
uint64_t clock_wall_ms(void); /* since the Unix epoch */
/* "2026-11-23T10:15:30.123Z" and NUL. */
enum { CLOCK_TEXT = 25 };
void clock_format(uint64_t wall_ms, char ret_text[CLOCK_TEXT]);
void clock_advance(uint64_t ms);

/* A wall-clock deadline on the monotonic line, and back. Past deadlines map to 0 and 1 alike. */
uint64_t clock_mono_from_wall(uint64_t wall_ms);
uint64_t clock_wall_from_mono(uint64_t mono_ms);

#endif
