/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the policy tests share: loading a text, and tables of wrong policies, each a test of its
 * own.
 *
 * A wrong policy must give exactly the complaint expected and no other line: a mistake that causes
 * a second, misleading complaint is a defect too. The file is called "t.yaml" and lies nowhere, so
 * SQL files are looked for in the working directory.
 */
#ifndef POLICY_TEST_H
#define POLICY_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "policy/load.h"

/* Line 1 of most texts, so that what is tested begins on line 2; with a database, on line 3. */
#define LISTEN "listen: { resp: \"127.0.0.1:6380\" }\n"
#define DATABASE                                                                                   \
    "listen: { resp: \"127.0.0.1:6380\", http: \"127.0.0.1:8080\" }\n"                             \
    "database: { dsn: \"postgresql:///shop\" }\n"
/* For tests of routes: a route of their own would be noise. */
#define FOLLOWED                                                                                   \
    "listen: { resp: \"127.0.0.1:6380\" }\n"                                                       \
    "database: { dsn: \"postgresql:///shop\" }\n"

/* What was said by the last load_text(), NUL-terminated. */
static char said[65536];

static inline const struct policy *load_slice(struct slice text)
{
    struct buf complaints;
    buf_init(&complaints);
    const struct policy *p = policy_load_text("t.yaml", text, &complaints);
    assert_true(buf_len(&complaints) < sizeof(said));
    buf_append_char(&complaints, '\0');
    strcpy(said, buf_readable(&complaints).ptr);
    buf_fini(&complaints);
    return p;
}

static inline const struct policy *load_text(const char *text)
{
    return load_slice(slice_of(text));
}

/* A policy without a mistake and without a warning. */
static inline const struct policy *load_good(const char *text)
{
    const struct policy *p = load_text(text);
    assert_string_equal(said, "");
    assert_non_null(p);
    return p;
}

struct wrong {
    const char *name;
    const char *text;
    const char *complaint; /* the one line, behind "t.yaml:" and without its newline */
};

/* A refused policy. */
static inline void wrong_is_refused(void **state)
{
    const struct wrong *w = *state;
    const struct policy *p = load_text(w->text);
    char expected[4096];
    (void)snprintf(expected, sizeof(expected), "t.yaml:%s\n", w->complaint);
    assert_string_equal(said, expected);
    assert_null(p);
}

/* A policy that is loaded all the same. */
static inline void wrong_is_warned_about(void **state)
{
    const struct wrong *w = *state;
    const struct policy *p = load_text(w->text);
    char expected[4096];
    (void)snprintf(expected, sizeof(expected), "t.yaml:%s\n", w->complaint);
    assert_string_equal(said, expected);
    assert_non_null(p);
    policy_unload(&p);
}

/* Appends a test for each row, named as the row; returns the new number of tests. */
static inline size_t add_wrongs(struct CMUnitTest *tests, size_t count, const struct wrong *rows,
                                size_t row_count, CMUnitTestFunction run)
{
    for (size_t i = 0; i < row_count; i++) {
        tests[count++] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = run, .initial_state = (void *)(uintptr_t)&rows[i]};
    }
    return count;
}

static inline size_t add_tests(struct CMUnitTest *tests, size_t count,
                               const struct CMUnitTest *more, size_t more_count)
{
    memcpy(tests + count, more, more_count * sizeof(*more));
    return count + more_count;
}

/* cmocka's own macro wants an array whose size it can see. */
static inline int run_group(const char *name, const struct CMUnitTest *tests, size_t count)
{
    hash_setup_seed(1);
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

#endif
