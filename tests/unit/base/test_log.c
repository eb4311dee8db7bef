/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log: lines as people and machines read them, levels by module, and a standard error that takes
 * nothing. Standard error is replaced by a pipe, or by /dev/full, while a test logs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int real_stderr;
static int read_end;
static char text[1 << 20];

/* Standard error becomes a small pipe. */
static int setup_pipe(void **state)
{
    int fds[2];
    struct log_settings s;
    log_settings_init(&s);
    log_apply(&s);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_true(fcntl(fds[1], F_SETPIPE_SZ, 16384) >= 16384);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(fds[1]);
    read_end = fds[0];
    log_catch_up(); /* what the test before has lost */
    (void)!read(read_end, text, sizeof(text));
    return 0;
}

static int teardown_pipe(void **state)
{
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(read_end);
    return 0;
}

/* What has been logged since the last call. */
static const char *logged(void)
{
    ssize_t got = read(read_end, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void use(const char *spec, enum log_format format)
{
    char why[LOG_SPEC_MAX];
    struct log_settings s;
    log_settings_init(&s);
    s.format = format;
    assert_true(log_apply_over(&s, spec, why));
}

/* The line behind its time: "2026-11-23T10:15:30.123Z ". */
static const char *behind_time(const char *line)
{
    assert_true(strlen(line) > 25);
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    return line + 25;
}

static void a_line_has_level_module_message_and_fields(void **state)
{
    log_event(LOG_WARN, "pg", "lost a connection", log_text("reason", "FATAL: \"no\"\nhint"),
              log_number("attempt", 3), log_text("host", "db.local:5432"), log_text("none", NULL));
    assert_string_equal(
        behind_time(logged()),
        "WARN  pg      lost a connection reason=\"FATAL: \\\"no\\\"\\nhint\" attempt=3 "
        "host=db.local:5432 none=\"\"\n");
}

static void a_message_is_one_line_whatever_it_holds(void **state)
{
    log_info("follow", "first\n\tsecond %s\n", "\x1b[31mred");
    assert_string_equal(behind_time(logged()), "INFO  follow  first second [31mred\n");
}

static void json_stays_json_whatever_it_holds(void **state)
{
    use("info", LOG_JSON);
    log_event(LOG_ERROR, "serve", "bad \"bytes\"\n", log_slice("path", SLICE("/a\xff\0z")),
              log_number("n", UINT64_MAX));
    const char *line = logged();
    assert_memory_equal(line, "{\"time\":\"", 9);
    assert_string_equal(behind_time(line + 9) - 1,
                        "\",\"level\":\"error\",\"module\":\"serve\",\"message\":\"bad "
                        "\\\"bytes\\\"\\n\",\"path\":\"/a\xef\xbf\xbd\\u0000z\",\"n\":"
                        "18446744073709551615}\n");
}

static void levels_are_by_module(void **state)
{
    use("warn,follow=debug", LOG_TEXT);
    log_debug("follow", "told");
    log_info("pg", "not told");
    log_warn("pg", "told too");
    const char *all = logged();
    assert_non_null(strstr(all, "DEBUG follow  told\n"));
    assert_non_null(strstr(all, "WARN  pg      told too\n"));
    assert_null(strstr(all, "not told"));
    use("error", LOG_TEXT); /* a bare level forgets the modules' own */
    log_debug("follow", "not told");
    assert_string_equal(logged(), "");
}

static void specs_are_read_and_printed(void **state)
{
    static const struct {
        const char *spec;
        const char *want; /* NULL: refused, beginning with `why` */
        const char *why;
    } rows[] = {
        {"info", "info", NULL},
        {"WARNING", "warn", NULL},
        {"notice", "info", NULL},
        {"verbose", "debug", NULL},
        {"follow=trace", "error,follow=trace,pg=warn", NULL},
        {"debug,pg=error,follow=warn", "debug,follow=warn,pg=error", NULL},
        {"", NULL, "log level ``: there are error, warn, info, debug and trace"},
        {"info,", NULL, "log level ``"},
        {"loud", NULL, "log level `loud`"},
        {"info,folow=debug", NULL, "log module `folow`: there are daemon, fill, follow, "},
        {"follow=", NULL, "log level ``"},
        {"=debug", NULL, "log module ``"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char why[LOG_SPEC_MAX] = "";
        char before[LOG_SPEC_MAX];
        char spec[LOG_SPEC_MAX];
        struct log_settings s;
        log_settings_init(&s);
        assert_true(log_settings_read(SLICE("error,pg=warn"), &s, why));
        log_settings_print(&s, before);
        bool ok = log_settings_read(slice_of(rows[i].spec), &s, why);
        log_settings_print(&s, spec);
        assert_int_equal(ok, rows[i].want != NULL);
        assert_string_equal(spec, ok ? rows[i].want : before);
        if (!ok) {
            assert_memory_equal(why, rows[i].why, strlen(rows[i].why));
        }
    }
}

/* A huge value must not make the line longer than what a pipe takes at once, nor break its JSON. */
static void what_does_not_fit_is_left_out_and_said(void **state)
{
    static char big[9000];
    memset(big, '"', sizeof(big) - 1);
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        use("info", (enum log_format)format);
        log_event(LOG_INFO, "http", "too much", log_text("path", big), log_number("n", 7));
        size_t len = strlen(logged());
        assert_in_range(len, 50, 4096);
        assert_int_equal(text[len - 1], '\n');
        assert_null(strstr(text, "path"));
        assert_non_null(
            strstr(text, format == LOG_JSON ? ",\"n\":7,\"cut\":1}\n" : " n=7 cut=1\n"));
        log_line(LOG_INFO, "http", "%s", big);
        len = strlen(logged());
        assert_in_range(len, 50, 4096);
        assert_non_null(strstr(text, format == LOG_JSON ? "\",\"cut\":1}\n" : " cut=1\n"));
    }
}

static unsigned count_lines(const char *all, const char *with)
{
    unsigned count = 0;
    for (const char *at = all; (at = strstr(at, with)) != NULL; at++) {
        count++;
    }
    return count;
}

static void a_full_pipe_loses_lines_and_says_how_many(void **state)
{
    enum { LINES = 500 };
    uint64_t before = log_lost();
    for (int i = 0; i < LINES; i++) {
        log_info("net", "line %d of many", i);
    }
    unsigned lost = (unsigned)(log_lost() - before);
    assert_in_range(lost, 1, LINES - 1);
    assert_int_equal(count_lines(logged(), "of many\n"), LINES - lost);
    log_info("net", "works again");
    char want[64];
    (void)snprintf(want, sizeof(want), "WARN  log     %u lines lost lines=%u\n", lost, lost);
    const char *all = logged();
    assert_non_null(strstr(all, want));
    assert_non_null(strstr(all, "works again\n"));
    assert_int_equal(log_lost() - before, lost);
}

static void losses_are_told_without_a_next_line(void **state)
{
    for (int i = 0; i < 500; i++) {
        log_info("net", "line %d of many", i);
    }
    log_catch_up();
    assert_null(strstr(logged(), "lines lost"));
    log_catch_up();
    assert_non_null(strstr(logged(), "lines lost"));
    log_catch_up();
    assert_string_equal(logged(), "");
}

static void a_full_disk_loses_lines_and_nothing_else(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    int pipe_end = dup(STDERR_FILENO);
    uint64_t before = log_lost();
    assert_int_equal(dup2(full, STDERR_FILENO), STDERR_FILENO);
    log_info("net", "one");
    log_info("net", "two");
    assert_int_equal(dup2(pipe_end, STDERR_FILENO), STDERR_FILENO);
    log_info("net", "three");
    assert_int_equal(log_lost() - before, 2);
    const char *all = logged();
    assert_non_null(strstr(all, "2 lines lost"));
    assert_non_null(strstr(all, "three\n"));
    (void)close(full);
    (void)close(pipe_end);
}

static void a_pipe_without_a_reader_loses_lines(void **state)
{
    (void)signal(SIGPIPE, SIG_IGN); /* the daemon blocks it */
    uint64_t before = log_lost();
    (void)close(read_end);
    read_end = -1;
    log_info("net", "to nobody");
    assert_int_equal(log_lost() - before, 1);
}

/* A disk that fills up in the middle of a line: what comes later begins on a line of its own. */
static void a_torn_line_is_ended_before_the_next(void **state)
{
    char name[] = "/tmp/freshet-log-XXXXXX";
    int file = mkstemp(name);
    struct rlimit unlimited;
    assert_true(file >= 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    int pipe_end = dup(STDERR_FILENO);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    uint64_t before = log_lost();
    struct rlimit small = {.rlim_cur = 40, .rlim_max = unlimited.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    log_info("net", "a line of more than forty bytes");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    log_info("net", "whole");
    assert_int_equal(dup2(pipe_end, STDERR_FILENO), STDERR_FILENO);
    (void)close(pipe_end);
    assert_int_equal(log_lost() - before, 1);
    ssize_t got = pread(file, text, sizeof(text) - 1, 0);
    assert_true(got > 41);
    text[got] = '\0';
    assert_int_equal(text[40], '\n');
    assert_non_null(strstr(text + 41, "1 line lost"));
    assert_non_null(strstr(text + 41, "INFO  net     whole\n"));
    (void)close(file);
}

int main(void)
{
    real_stderr = dup(STDERR_FILENO);
#define ON_PIPE(name) cmocka_unit_test_setup_teardown(name, setup_pipe, teardown_pipe)
    const struct CMUnitTest tests[] = {
        ON_PIPE(a_line_has_level_module_message_and_fields),
        ON_PIPE(a_message_is_one_line_whatever_it_holds),
        ON_PIPE(json_stays_json_whatever_it_holds),
        ON_PIPE(levels_are_by_module),
        ON_PIPE(what_does_not_fit_is_left_out_and_said),
        ON_PIPE(a_full_pipe_loses_lines_and_says_how_many),
        ON_PIPE(losses_are_told_without_a_next_line),
        ON_PIPE(a_full_disk_loses_lines_and_nothing_else),
        ON_PIPE(a_pipe_without_a_reader_loses_lines),
        ON_PIPE(a_torn_line_is_ended_before_the_next),
        cmocka_unit_test(specs_are_read_and_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
