/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A report goes to standard error, which a supervisor keeps, and to a file of its own, which is
 * still there when nobody kept the former. Nobody keeps a dying process waiting: once standard
 * error has taken nothing for 200 ms it is written to only when it is ready.
 *
 * Nothing here allocates, locks, or formats with stdio: async-signal-safe (signal-safety(7)).
 *
 * Threads: whichever reports; crash.c lets one at a time in.
 */
#include "base/crash_out.h"

#include "base/slice.h"

#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

enum { WRITE_WAIT_MS = 200, PATH_MAX_BYTES = 512 };

static int report_file = -1;
static bool is_deaf; /* standard error has kept us waiting once: never again */

uint64_t crash_now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* --- bytes -------------------------------------------------------------------------------------- */

/* False: nobody takes it, and nobody is waited for. */
static bool takes(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (fd != STDERR_FILENO) {
        return poll(&p, 1, WRITE_WAIT_MS) > 0;
    }
    bool ready = poll(&p, 1, is_deaf ? 0 : WRITE_WAIT_MS) > 0;
    is_deaf = is_deaf || !ready;
    return ready;
}

static void put_to(int fd, struct slice bytes)
{
    while (bytes.len > 0 && takes(fd)) {
        ssize_t put = write(fd, bytes.ptr, bytes.len);
        if (put <= 0) {
            return;
        }
        bytes = slice_from(bytes, (size_t)put);
    }
}

static void put_bytes(struct slice bytes)
{
    put_to(STDERR_FILENO, bytes);
    if (report_file >= 0) {
        put_to(report_file, bytes);
    }
}

void crash_put(const char *text)
{
    put_bytes(slice_of(text));
}

void crash_put_printable(const char *text)
{
    char copy[64];
    size_t len = 0;
    for (; len < sizeof(copy) && text[len] != '\0'; len++) {
        copy[len] = text[len] >= ' ' && text[len] < 0x7f ? text[len] : '?';
    }
    put_bytes((struct slice){copy, len});
}

static void put_in_base(uint64_t value, unsigned base, const char *before)
{
    char digits[2 + 20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    crash_put(before);
    put_bytes((struct slice){digits + at, sizeof(digits) - at});
}

void crash_put_number(uint64_t value)
{
    put_in_base(value, 10, "");
}

void crash_put_hex(uint64_t value)
{
    put_in_base(value, 16, "0x");
}

void crash_put_frame(void *address)
{
    crash_put("  ");
    if (takes(STDERR_FILENO)) {
        backtrace_symbols_fd(&address, 1, STDERR_FILENO);
    }
    if (report_file >= 0) {
        backtrace_symbols_fd(&address, 1, report_file);
    }
}

/* "VmRSS:  123 kB" and its like, as the kernel writes them. */
void crash_put_memory(void)
{
    static char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    text[got > 0 ? got : 0] = '\0';
    static const char *const wanted[] = {"\nVmPeak:", "\nVmRSS:", "\nThreads:"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const char *line = strstr(text, wanted[i]);
        if (line != NULL) {
            size_t len = strcspn(line + 1, "\n");
            put_bytes((struct slice){line + 1, len});
            crash_put("\n");
        }
    }
}

/* --- the file ----------------------------------------------------------------------------------- */

static void append(char *path, const char *text)
{
    size_t used = strlen(path);
    size_t len = strlen(text);
    if (used + len < PATH_MAX_BYTES) {
        memcpy(path + used, text, len + 1);
    }
}

void crash_out_open(const char *dir)
{
    static char path[PATH_MAX_BYTES];
    char digits[12];
    size_t at = sizeof(digits) - 1;
    report_file = -1;
    is_deaf = false;
    if (dir == NULL) {
        return;
    }
    digits[at] = '\0';
    for (uint32_t pid = (uint32_t)getpid(); pid > 0; pid /= 10) {
        digits[--at] = (char)('0' + pid % 10);
    }
    path[0] = '\0';
    append(path, dir);
    append(path, "/freshet-crash-");
    append(path, digits + at);
    append(path, ".txt");
    report_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
}

void crash_out_close(void)
{
    if (report_file >= 0) {
        (void)close(report_file);
    }
    report_file = -1;
}
