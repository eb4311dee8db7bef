/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watchdog: a thread that notices event loops which no longer turn.
 *
 * A loop that has neither begun a new turn nor waited for events for the limit is reported with its live
 * backtrace (base/crash.h), once; when it is still in the same turn after twice the limit, the process
 * ends with a crash report: a freshet that does not answer is worth less than one that is started
 * again. The time counted is the watchdog's own: if it was not running itself (the process was stopped, the
 * machine slept), that time does not count.
 */
#ifndef BASE_WATCHDOG_H
#define BASE_WATCHDOG_H

#include <stdint.h>

/* 0: does not watch; only does the housekeeping of the log. Main thread, once. */
void watchdog_start(uint32_t limit_ms);
/* Before the watched threads are ended on purpose. Idempotent. */
void watchdog_stop(void);

#endif
