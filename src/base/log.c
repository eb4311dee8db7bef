/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: settings, and lines made and written under one lock.
 *
 * A line is at most PIPE_BUF bytes and leaves with one write, so lines of several threads and of
 * several processes on one pipe never mix. Before each write poll() is asked whether there is room: a pipe
 * that has room for PIPE_BUF bytes takes them without waiting. If there is none, PATIENCE_MS are spent,
 * at most once in PATIENCE_EVERY_MS, and then the line is lost: counted, and told about in front of the
 * next line that gets through.
 *
 * Invariants
 *   G1. What is lost is counted: lines logged = lines written + log_lost().
 *   G2. A line that was cut off in the middle (disk full) is ended before the next one begins.
 *   G3. A JSON line is valid JSON whatever the bytes of message and fields are.
 *
 * Threads: any. Levels are relaxed atomics: a change may take a line to show.
 *
 * Not done: writing to a file or to syslog; whoever starts the daemon has standard error.
 */
#include "base/log.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/lock.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = PIPE_BUF,
    MESSAGE_MAX = 2048,
    ESCAPED_MAX = 6, /* bytes of JSON for one byte */
    PATIENCE_MS = 10,
    PATIENCE_EVERY_MS = 1000,
};

static const char *const level_titles[] = {"ERROR", "WARN ", "INFO ", "DEBUG", "TRACE"};
static const char *const level_colours[] = {"\033[31m", "\033[33m", "", "\033[2m", "\033[2m"};

/* relaxed, all of them: a change may take a line to show */
static _Atomic int levels[LOG_MODULE_COUNT] = {
#define X(name) LOG_INFO,
    LOG_MODULES(X)
#undef X
};
static _Atomic int loudest = LOG_INFO; /* of all modules: most disabled lines end here */
static _Atomic uint64_t lost_lines;

static struct lock lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_RANK_LOG};
/* under the lock */
static struct log_settings now = {.level = LOG_INFO,
                                  .module = {[0 ... LOG_MODULE_COUNT - 1] = LOG_INHERIT}};
static bool coloured;
static struct buf line;
static uint64_t untold;     /* lost and not told yet */
static bool torn;           /* the last line has no end */
static uint64_t patient_ms; /* when somebody last waited for standard error */

/* --- settings ----------------------------------------------------------------------------------- */

void log_apply(const struct log_settings *settings)
{
    int most = LOG_ERROR;
    lock_acquire(&lock);
    now = *settings;
    coloured = isatty(STDERR_FILENO) == 1;
    for (int i = 0; i < LOG_MODULE_COUNT; i++) {
        int level = now.module[i] != LOG_INHERIT ? now.module[i] : (int)now.level;
        atomic_store_explicit(&levels[i], level, memory_order_relaxed);
        most = level > most ? level : most;
    }
    atomic_store_explicit(&loudest, most, memory_order_relaxed);
    lock_release(&lock);
}

bool log_apply_over(const struct log_settings *settings, const char *spec,
                    char ret_why[LOG_SPEC_MAX])
{
    struct log_settings s = *settings;
    if (spec != NULL && !log_settings_read(slice_of(spec), &s, ret_why)) {
        return false;
    }
    log_apply(&s);
    return true;
}

void log_settings_now(struct log_settings *ret_settings)
{
    lock_acquire(&lock);
    *ret_settings = now;
    lock_release(&lock);
}

bool log_enabled(enum log_level level, const char *module)
{
    if ((int)level > atomic_load_explicit(&loudest, memory_order_relaxed)) {
        return false;
    }
    int i = log_module_find(slice_of(module));
    debug_check(i >= 0); /* name it in LOG_MODULES */
    return i < 0 || (int)level <= atomic_load_explicit(&levels[i], memory_order_relaxed);
}

/* --- making a line ------------------------------------------------------------------------------ */

static void put_time(void)
{
    char text[CLOCK_TEXT];
    clock_format(clock_wall_ms(), text);
    buf_append_str(&line, text);
}

/* Words from elsewhere may have line ends and worse: each run of such bytes is one space. */
static void put_words(struct slice text)
{
    bool gap = false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c == 0x7f) {
            gap = true;
            continue;
        }
        if (gap) {
            buf_append_char(&line, ' ');
        }
        gap = false;
        buf_append_char(&line, (char)c);
    }
}

static bool is_bare(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f) {
            return false;
        }
    }
    return text.len > 0;
}

static void put_field(const struct log_field *f)
{
    bool json = now.format == LOG_JSON;
    buf_printf(&line, json ? ",\"%s\":" : " %s=", f->key);
    if (f->kind == LOG_FIELD_UNSIGNED) {
        buf_append_u64(&line, f->number);
    } else if (!json && is_bare(f->text)) {
        buf_append_slice(&line, f->text);
    } else {
        json_put_string(&line, f->text);
    }
}

static void put_head(enum log_level level, const char *module, struct slice message)
{
    if (now.format == LOG_JSON) {
        buf_append_str(&line, "{\"time\":\"");
        put_time();
        buf_printf(&line,
                   "\",\"level\":\"%s\",\"module\":\"%s\",\"message\":", log_level_name(level),
                   module);
        json_put_string(&line, message);
        return;
    }
    put_time();
    buf_printf(&line, " %s%s%s %-7s ", coloured ? level_colours[level] : "", level_titles[level],
               coloured ? "\033[0m" : "", module);
    put_words(message);
}

/* What does not fit is left out from the end: first fields, then the message's tail. */
static void make_line(enum log_level level, const char *module, struct slice message,
                      const struct log_field *fields)
{
    static const char json_cut[] = ",\"cut\":1";
    const size_t room = LINE_MAX_BYTES - sizeof(json_cut) - sizeof("}\n");
    bool cut = message.len > MESSAGE_MAX;
    message.len = cut ? MESSAGE_MAX : message.len;
    buf_clear(&line);
    put_head(level, module, message);
    if (buf_len(&line) > room) {
        cut = true;
        message.len = room / ESCAPED_MAX - 32;
        buf_clear(&line);
        put_head(level, module, message);
    }
    for (; fields != NULL && fields->key != NULL; fields++) {
        size_t before = buf_len(&line);
        put_field(fields);
        if (buf_len(&line) > room) {
            buf_truncate(&line, before);
            cut = true;
        }
    }
    if (cut) {
        buf_append_str(&line, now.format == LOG_JSON ? json_cut : " cut=1");
    }
    buf_append_str(&line, now.format == LOG_JSON ? "}\n" : "\n");
}

/* --- writing it --------------------------------------------------------------------------------- */

static uint64_t monotonic_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Is there room, now or within our patience? An error counts as room: write() knows which. */
static bool has_room(void)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&p, 1, 0) > 0) {
        return true;
    }
    uint64_t at = monotonic_ms();
    if (untold > 0 || at - patient_ms < PATIENCE_EVERY_MS) {
        return false;
    }
    patient_ms = at;
    return poll(&p, 1, PATIENCE_MS) > 0;
}

static bool write_all(struct slice bytes)
{
    while (bytes.len > 0 && has_room()) {
        ssize_t put = write(STDERR_FILENO, bytes.ptr, bytes.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        bytes = slice_from(bytes, (size_t)put);
        torn = bytes.len > 0;
    }
    return bytes.len == 0;
}

static bool write_line(void)
{
    if (torn && !write_all(SLICE("\n"))) {
        return false;
    }
    return write_all(buf_readable(&line));
}

static bool tell_lost(void)
{
    char text[64];
    if (untold == 0) {
        return true;
    }
    (void)snprintf(text, sizeof(text), "%" PRIu64 " line%s lost", untold, untold == 1 ? "" : "s");
    make_line(LOG_WARN, "log", slice_of(text),
              (const struct log_field[]){log_number("lines", untold), {.key = NULL}});
    if (!write_line()) {
        return false;
    }
    untold = 0;
    return true;
}

static void lose(void)
{
    untold++;
    atomic_fetch_add_explicit(&lost_lines, 1, memory_order_relaxed);
}

void log_write(enum log_level level, const char *module, const char *message,
               const struct log_field *fields)
{
    int before = errno;
    lock_acquire(&lock);
    bool told = tell_lost();
    make_line(level, module, slice_of(message), fields);
    if (!told || !write_line()) {
        lose();
    }
    lock_release(&lock);
    errno = before;
}

void log_line(enum log_level level, const char *module, const char *fmt, ...)
{
    if (!log_enabled(level, module)) {
        return;
    }
    char message[MESSAGE_MAX + 2]; /* one more than is shown: it was cut */
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    log_write(level, module, message, NULL);
}

uint64_t log_lost(void)
{
    return atomic_load_explicit(&lost_lines, memory_order_relaxed);
}

void log_catch_up(void)
{
    lock_acquire(&lock);
    (void)tell_lost();
    lock_release(&lock);
}
