/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line per event on standard error: time, level, module, message. Colours only on a terminal.
 * Who decides logs: a function that returns an error does not also log it. Any thread.
 *
 *     2026-11-23T10:15:30.123Z WARN  follow  slot lost; new epoch next=reconnect in 200 ms
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

void log_setup(enum log_level level);
/* "error" ... "trace"; false when `name` is none of them. */
bool log_level_parse(const char *name, enum log_level *ret_level);
bool log_enabled(enum log_level level);
void log_line(enum log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(module, ...) log_line(LOG_ERROR, module, __VA_ARGS__)
#define log_warn(module, ...)  log_line(LOG_WARN, module, __VA_ARGS__)
#define log_info(module, ...)  log_line(LOG_INFO, module, __VA_ARGS__)
#define log_debug(module, ...)                                                                     \
    do {                                                                                           \
        if (log_enabled(LOG_DEBUG)) {                                                              \
            log_line(LOG_DEBUG, module, __VA_ARGS__);                                              \
        }                                                                                          \
    } while (0)

#endif
