/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes response heads: status line, Date, fields.
 *
 * A field's value may carry what a client once sent (a path in Location, a key in Cache-Status). No
 * value can end its line: control characters become spaces here, in one place, so that no caller
 * can forget it (response splitting).
 *
 * Date costs a conversion per second and thread: the text of the current second is kept.
 *
 * Threads: any; the kept Date is thread-local.
 */
#include "http/http.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

const char *http_status_text(int status)
{
    switch (status) {
#define STATUS(code, text)                                                                         \
    case code:                                                                                     \
        return text;
#include "http/status.def"
#undef STATUS
    default:
        return "Unknown";
    }
}

void http_format_date(uint64_t wall_ms, char out[30])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const uint64_t last_second = 253402300799; /* of the year 9999: four digits */
    uint64_t seconds = wall_ms / 1000 < last_second ? wall_ms / 1000 : last_second;
    time_t when = (time_t)seconds;
    struct tm tm;
    check(gmtime_r(&when, &tm) != NULL);
    /* Not strftime(): its names follow the locale. */
    int len =
        snprintf(out, 30, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                 days + (ptrdiff_t)tm.tm_wday * 3, tm.tm_mday, months + (ptrdiff_t)tm.tm_mon * 3,
                 tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    check(len == 29);
}

static void put_date(struct buf *out, uint64_t wall_ms)
{
    static _Thread_local uint64_t second = UINT64_MAX;
    static _Thread_local char text[30];
    if (second != wall_ms / 1000) {
        second = wall_ms / 1000;
        http_format_date(wall_ms, text);
    }
    buf_append_str(out, "Date: ");
    buf_append(out, text, 29);
    buf_append_str(out, "\r\n");
}

void http_put_status(struct buf *out, int status, uint64_t wall_ms)
{
    check(status >= 100 && status <= 599);
    buf_append_str(out, "HTTP/1.1 ");
    buf_append_u64(out, (uint64_t)status);
    buf_append_char(out, ' ');
    buf_append_str(out, http_status_text(status));
    buf_append_str(out, "\r\n");
    put_date(out, wall_ms);
}

static void put_name(struct buf *out, const char *name)
{
    buf_append_str(out, name);
    buf_append(out, ": ", 2);
}

/* The value is the last `len` bytes of `out`. */
static void end_value(struct buf *out, size_t len)
{
    char *value = out->mem + out->end - len;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)value[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            value[i] = ' ';
        }
    }
    buf_append(out, "\r\n", 2);
}

void http_put_header(struct buf *out, const char *name, struct slice value)
{
    put_name(out, name);
    buf_append_slice(out, value);
    end_value(out, value.len);
}

void http_put_header_fmt(struct buf *out, const char *name, const char *fmt, ...)
{
    put_name(out, name);
    size_t before = buf_len(out);
    va_list args;
    va_start(args, fmt);
    buf_vprintf(out, fmt, args);
    va_end(args);
    end_value(out, buf_len(out) - before);
}
