/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA1, the first line of a script, the table of scripts. */
#include "base/hash.h"
#include "script/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void expect_sha(struct slice text, const char *want)
{
    char sha[SCRIPT_SHA_SIZE];
    script_sha1(text, sha);
    assert_string_equal(sha, want);
}

/* RFC 3174, section 7.3; the lengths around a block's end from sha1sum. */
static void sha1_is_that_of_the_rfc(void **state)
{
    char text[130];
    memset(text, 'a', sizeof(text));
    expect_sha(SLICE(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    expect_sha(SLICE("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    expect_sha(SLICE("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
               "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    expect_sha((struct slice){text, 55}, "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    expect_sha((struct slice){text, 56}, "c2db330f6083854c99d4b5bfb6e8f29f201be699");
    expect_sha((struct slice){text, 64}, "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    expect_sha((struct slice){text, 119}, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56");
}

static void expect_header(const char *source, uint32_t flags, const char *body)
{
    uint32_t got_flags = 0;
    struct slice got;
    struct buf error;
    buf_init(&error);
    assert_true(script_source_read(slice_of(source), &got_flags, &got, &error));
    assert_int_equal(got_flags, flags);
    assert_true(slice_is(got, body));
    assert_int_equal(buf_len(&error), 0);
    buf_fini(&error);
}

static void expect_refusal(const char *source, const char *why)
{
    uint32_t flags = 0;
    struct slice body;
    struct buf error;
    buf_init(&error);
    assert_false(script_source_read(slice_of(source), &flags, &body, &error));
    assert_true(slice_is(buf_readable(&error), why));
    buf_fini(&error);
}

static void first_lines(void **state)
{
    expect_header("return 1", SCRIPT_OLD_STYLE, "return 1");
    expect_header("", SCRIPT_OLD_STYLE, "");
    expect_header("#!lua\nreturn 1", 0, "\nreturn 1");
    expect_header("#!lua flags=no-writes,allow-oom\nx", SCRIPT_NO_WRITES | SCRIPT_ALLOW_OOM, "\nx");
    expect_header("#!lua  flags=allow-stale  flags=no-cluster,allow-cross-slot-keys\n",
                  SCRIPT_ALLOW_STALE | SCRIPT_NO_CLUSTER | SCRIPT_ALLOW_CROSS_SLOT, "\n");
    expect_refusal("#!lua", "ERR Invalid script shebang");
    expect_refusal("#!python\n", "ERR Unexpected engine in script shebang: #!python");
    expect_refusal("#!lua name=x\n", "ERR Unknown lua shebang option: name=x");
    expect_refusal("#!lua flags=fast\n", "ERR Unexpected flag in script shebang: fast");
}

static void sources_are_shared_until_a_flush(void **state)
{
    enum { MANY = 500 };
    struct script_sources *s = script_sources_create();
    char sha[SCRIPT_SHA_SIZE];
    for (int i = 0; i < MANY; i++) {
        char text[32];
        int len = snprintf(text, sizeof(text), "return %d", i);
        script_sha1((struct slice){text, (size_t)len}, sha);
        assert_true(script_sources_add(s, sha, (struct slice){text, (size_t)len}));
        assert_true(script_sources_add(s, sha, (struct slice){text, (size_t)len}));
    }
    assert_int_equal(script_sources_count(s), MANY);
    struct buf out;
    buf_init(&out);
    assert_true(script_sources_get(s, sha, &out));
    assert_true(slice_is(buf_readable(&out), "return 499"));
    uint64_t generation = script_sources_generation(s);
    script_sources_flush(s);
    assert_int_not_equal(script_sources_generation(s), generation);
    assert_false(script_sources_has(s, sha));
    assert_int_equal(script_sources_count(s), 0);
    assert_int_equal(script_sources_bytes(s), 0);
    buf_fini(&out);
    script_sources_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha1_is_that_of_the_rfc),
        cmocka_unit_test(first_lines),
        cmocka_unit_test(sources_are_shared_until_a_flush),
    };
    hash_setup_seed(1);
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
