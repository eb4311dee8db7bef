/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static _Atomic int log_threshold = LOG_INFO; /* relaxed: a level change may take a line to show */
static bool log_colour;

static const char *const level_names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
static const char *const level_colours[] = {"\033[31m", "\033[33m", "", "\033[2m", "\033[2m"};

void log_setup(enum log_level level)
{
    atomic_store_explicit(&log_threshold, (int)level, memory_order_relaxed);
    log_colour = isatty(STDERR_FILENO) == 1;
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (int i = LOG_ERROR; i <= LOG_TRACE; i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

void log_line(enum log_level level, const char *module, const char *fmt, ...)
{
    if (!log_enabled(level)) {
        return;
    }
    struct timespec ts;
    struct tm tm;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    (void)gmtime_r(&ts.tv_sec, &tm);
    char line[2048];
    size_t used = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    used += (size_t)snprintf(line + used, sizeof(line) - used, ".%03ldZ %s%-5s%s %-7s ",
                             ts.tv_nsec / 1000000, log_colour ? level_colours[level] : "",
                             level_names[level], log_colour ? "\033[0m" : "", module);
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line + used, sizeof(line) - used - 1, fmt, args);
    va_end(args);
    if (len > 0) {
        used += (size_t)len < sizeof(line) - used - 1 ? (size_t)len : sizeof(line) - used - 2;
    }
    line[used++] = '\n';
    /* One write per line: lines of several threads never mix. */
    (void)!write(STDERR_FILENO, line, used);
}
