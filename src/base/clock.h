/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time. Everything inside the process (TTLs, timeouts, proof of contact) runs on a clock that never jumps and
 * goes on while the machine sleeps; wall time is only shown to people and used for absolute expiries given by
 * clients (EXPIREAT). Functions that need "now" take it as an argument; only loops and thread bodies read the
 * clock.
 *
 * When the wall clock jumps (an operator, NTP at boot, a virtual machine restored), nothing inside moves:
 *   - a time to live given as a duration (EX, PX, EXPIRE, a route's `fresh`) passes as if nothing had
 *     happened, unlike in Redis, which keeps every expiry as a wall time;
 *   - an absolute one (EXAT, EXPIREAT) is turned into the time that is left when it is given; a later jump does
 *     not move the moment of expiry. EXPIRETIME says that moment by the wall clock as it is now;
 *   - max_stale and the proofs of contact do not notice; an epoch's number is the wall clock when it began,
 *     raised if need be so that numbers rise;
 *   - Date, TIME and the log follow the wall clock, for that is what they tell.
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
uint64_t clock_wall_us(void);
/* "2026-11-23T10:15:30.123Z" and NUL. */
enum { CLOCK_TEXT = 25 };
void clock_format(uint64_t wall_ms, char ret_text[CLOCK_TEXT]);
void clock_advance(uint64_t ms);
void clock_wall_jump(int64_t ms); /* moves the wall clock alone, in tests */

/* A wall-clock deadline on the monotonic line, and back. Past deadlines map to 0 and 1 alike. */
uint64_t clock_mono_from_wall(uint64_t wall_ms);
uint64_t clock_wall_from_mono(uint64_t mono_ms);

#endif
