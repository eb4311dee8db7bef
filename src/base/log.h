/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line per event on standard error: time, level, module, message, and fields that a machine can
 * read. Colours only on a terminal. Who decides logs: a function that returns an error does not also
 * log it. Any thread.
 *
 *     2026-11-23T10:15:30.123Z WARN  pg      lost a connection reason="server closed the connection"
 *     {"time":"2026-11-23T10:15:30.123Z","level":"warn","module":"pg","message":"lost a connection",
 *      "reason":"server closed the connection"}                                  (one line; `format: json`)
 *
 * Levels are per module and may change at any time: policy `log`, `--log-level`, CONFIG SET loglevel.
 *
 * Nobody waits for a log: a line that standard error does not take (disk full, a pipe that nobody
 * reads) is counted and left out, and once writing works again a line says how many were.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };
enum log_format { LOG_TEXT, LOG_JSON };

/* Every module that logs: the second argument of the macros below, and a key of `log.modules`. */
#define LOG_MODULES(X)                                                                             \
    X(daemon)                                                                                      \
    X(fill)                                                                                        \
    X(follow) X(http) X(log) X(net) X(persist) X(pg) X(plan) X(reload) X(resp) X(script) X(serve)

enum {
#define X(name) LOG_MODULE_##name,
    LOG_MODULES(X)
#undef X
        LOG_MODULE_COUNT
};

struct log_settings {
    enum log_format format;
    enum log_level level;            /* of every module that has none of its own */
    int8_t module[LOG_MODULE_COUNT]; /* a level, or LOG_INHERIT */
};

enum { LOG_INHERIT = -1, LOG_SPEC_MAX = 256 };

/* --- settings ----------------------------------------------------------------------------------- */

/* Level info for all, as text. */
void log_settings_init(struct log_settings *ret_settings);
/* From now on, for every thread. */
void log_apply(const struct log_settings *settings);
/* The policy's settings with the command line's spec over them (NULL: none), at the start and after a
 * reload. False and a reason when the spec is wrong: nothing changed. */
bool log_apply_over(const struct log_settings *settings, const char *spec,
                    char ret_why[LOG_SPEC_MAX]);
void log_settings_now(struct log_settings *ret_settings);
/* "debug", "info,follow=debug", "follow=trace": a bare level first forgets every module's own, a pair
 * changes one module. Redis's level names are understood too. False and a reason: nothing changed. */
bool log_settings_read(struct slice spec, struct log_settings *settings,
                       char ret_why[LOG_SPEC_MAX]);
/* The spec that says the same, NUL-terminated. */
void log_settings_print(const struct log_settings *settings, char ret_spec[LOG_SPEC_MAX]);

/* "error" ... "trace", or Redis's "warning", "notice", "verbose"; false when it is none of them. */
bool log_level_parse(struct slice name, enum log_level *ret_level);
const char *log_level_name(enum log_level level); /* "error" ... "trace" */
/* Index among LOG_MODULES; -1: there is no such module. */
int log_module_find(struct slice name);
/* "daemon, fill, ...": for messages; static. */
const char *log_module_names(void);

/* --- lines -------------------------------------------------------------------------------------- */

struct log_field {
    const char *key; /* snake_case; NULL ends the list */
    enum { LOG_FIELD_TEXT, LOG_FIELD_UNSIGNED } kind;
    struct slice text;
    uint64_t number;
};

#define log_text(name, value)                                                                      \
    {                                                                                              \
        .key = (name), .kind = LOG_FIELD_TEXT, .text = slice_of(value)                             \
    }
#define log_slice(name, value)                                                                     \
    {                                                                                              \
        .key = (name), .kind = LOG_FIELD_TEXT, .text = (value)                                     \
    }
#define log_number(name, value)                                                                    \
    {                                                                                              \
        .key = (name), .kind = LOG_FIELD_UNSIGNED, .number = (value)                               \
    }

/* `module`: one of LOG_MODULES. Any thread; a line is whole, and is dropped rather than waited for. */
bool log_enabled(enum log_level level, const char *module);
void log_write(enum log_level level, const char *module, const char *message,
               const struct log_field *fields);
void log_line(enum log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A message with fields: log_event(LOG_WARN, "pg", "lost a connection", log_text("reason", why)). */
#define log_event(level, module, message, ...)                                                     \
    do {                                                                                           \
        if (log_enabled(level, module)) {                                                          \
            log_write(level, module, message,                                                      \
                      (const struct log_field[]){__VA_ARGS__, {.key = NULL}});                     \
        }                                                                                          \
    } while (0)

/* A message that needs no fields. */
#define log_error(module, ...) log_line(LOG_ERROR, module, __VA_ARGS__)
#define log_warn(module, ...)  log_line(LOG_WARN, module, __VA_ARGS__)
#define log_info(module, ...)  log_line(LOG_INFO, module, __VA_ARGS__)
#define log_debug(module, ...)                                                                     \
    do {                                                                                           \
        if (log_enabled(LOG_DEBUG, module)) {                                                      \
            log_line(LOG_DEBUG, module, __VA_ARGS__);                                              \
        }                                                                                          \
    } while (0)

/* --- what was lost ------------------------------------------------------------------------------ */

/* Lines that standard error did not take, since the start. */
uint64_t log_lost(void);
/* Says what was lost if nobody else has logged since. Called now and then. */
void log_catch_up(void);

#endif
