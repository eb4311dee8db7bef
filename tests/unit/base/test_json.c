/* SPDX-License-Identifier: BSD-3-Clause */
/* json: whatever the bytes are, what comes out is one valid JSON string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/json.h"

#define BAD "\xef\xbf\xbd" /* U+FFFD */

static void expect_json(struct slice in, const char *want)
{
    char *mem = xmalloc(in.len > 0 ? in.len : 1); /* exact, so that a read past the end shows */
    memcpy(mem, in.ptr, in.len);
    struct buf out;
    buf_init(&out);
    json_put_string(&out, (struct slice){mem, in.len});
    if (!slice_is(buf_readable(&out), want)) {
        fail_msg("got '%.*s', want '%s'", (int)buf_len(&out), buf_readable(&out).ptr, want);
    }
    buf_fini(&out);
    free(mem);
}

static void quotes_plain_text(void **state)
{
    expect_json(SLICE(""), "\"\"");
    expect_json(SLICE("water & <laundry> / retail\x7f"), "\"water & <laundry> / retail\x7f\"");
}

static void escapes_what_json_needs_escaped(void **state)
{
    expect_json(SLICE("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    expect_json(SLICE("a\0b\x01\x1f"), "\"a\\u0000b\\u0001\\u001f\"");
}

static void keeps_utf8(void **state)
{
    expect_json(SLICE("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"),
                "\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"");
    expect_json(SLICE("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
}

static void replaces_stray_and_missing_continuations(void **state)
{
    expect_json(SLICE("a\x80z"), "\"a" BAD "z\"");
    expect_json(SLICE("\xc3"), "\"" BAD "\"");
    expect_json(SLICE("\xc3("), "\"" BAD "(\"");
    expect_json(SLICE("\xe2\x82"), "\"" BAD "\"");
    expect_json(SLICE("\xe2\x82\"\xf0\x9f\x98\n"), "\"" BAD "\\\"" BAD "\\n\"");
    expect_json(SLICE("\xff\xfe"), "\"" BAD BAD "\"");
}

static void replaces_overlong_forms(void **state)
{
    expect_json(SLICE("\xc0\xaf"), "\"" BAD BAD "\"");
    expect_json(SLICE("\xe0\x80\xaf"), "\"" BAD BAD BAD "\"");
    expect_json(SLICE("\xf0\x8f\xbf\xbf"), "\"" BAD BAD BAD BAD "\"");
}

static void replaces_surrogates_and_beyond_unicode(void **state)
{
    expect_json(SLICE("\xed\xa0\x80"), "\"" BAD BAD BAD "\"");
    expect_json(SLICE("\xf4\x90\x80\x80"), "\"" BAD BAD BAD BAD "\"");
    expect_json(SLICE("\xf5\x80"), "\"" BAD BAD "\"");
}

/* The example of the Unicode standard, section 3.9, table 3-8. */
static void replaces_maximal_runs(void **state)
{
    expect_json(SLICE("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64"),
                "\"a" BAD BAD BAD "b" BAD "c" BAD BAD "d\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_plain_text),
        cmocka_unit_test(escapes_what_json_needs_escaped),
        cmocka_unit_test(keeps_utf8),
        cmocka_unit_test(replaces_stray_and_missing_continuations),
        cmocka_unit_test(replaces_overlong_forms),
        cmocka_unit_test(replaces_surrogates_and_beyond_unicode),
        cmocka_unit_test(replaces_maximal_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
