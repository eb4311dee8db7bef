/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a failed check ends: in a crash report (crash.h), and with abort(). Apart from check.h, so
 * that a check costs its place one compare and a call that is never made.
 *
 * Threads: any.
 */
#include "base/check.h"

#include "base/crash.h"

#include <stdio.h>

_Noreturn void check_failed(const char *file, int line, const char *what)
{
    static _Thread_local char text[512];
    (void)snprintf(text, sizeof(text), "%s:%d: check failed: %s", file, line, what);
    crash_abort(text);
}
