/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a crash report goes: standard error, and a file. Private to crash.c. Async-signal-safe; one
 * report at a time.
 */
#ifndef BASE_CRASH_OUT_H
#define BASE_CRASH_OUT_H

#include <stdint.h>

/* Begins a report; `dir` NULL: no file. */
void crash_out_open(const char *dir);
void crash_out_close(void);

void crash_put(const char *text);
/* Bytes that are not printable ASCII become '?'. */
void crash_put_printable(const char *text);
void crash_put_number(uint64_t value);
void crash_put_hex(uint64_t value);
/* One line: object, function where it is known, offset, address. */
void crash_put_frame(void *address);
/* Lines about this process's memory. */
void crash_put_memory(void);

/* Monotonic, not moved by tests. */
uint64_t crash_now_ms(void);

#endif
