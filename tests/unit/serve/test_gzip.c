/* SPDX-License-Identifier: BSD-3-Clause */
#include "serve/gzip.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

static struct gzip *z;

static void fill(char *text, size_t len, bool repeats)
{
    uint32_t state = 1;
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525 + 1013904223;
        text[i] = repeats ? "{\"id\":12,\"name\":\"x\"},"[i % 21] : (char)(state >> 24);
    }
}

static void assert_inflates_to(const struct buf *packed, const char *text, size_t len)
{
    z_stream s = {0};
    char *back = xmalloc(len + 1);
    assert_int_equal(inflateInit2(&s, 15 + 16), Z_OK);
    s.next_in = (Bytef *)packed->mem + packed->start;
    s.avail_in = (uInt)buf_len(packed);
    s.next_out = (Bytef *)back;
    s.avail_out = (uInt)len + 1;
    assert_int_equal(inflate(&s, Z_FINISH), Z_STREAM_END);
    assert_int_equal(s.total_out, len);
    assert_int_equal(s.avail_in, 0);
    assert_memory_equal(back, text, len);
    (void)inflateEnd(&s);
    free(back);
}

static void every_length_comes_back(void **state)
{
    static const size_t lens[] = {1, 2, 100, 1024, 65535, 65536, 300000};
    char *text = xmalloc(300000);
    for (int repeats = 0; repeats < 2; repeats++) {
        fill(text, 300000, repeats == 1);
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            struct buf out;
            buf_init(&out);
            assert_true(gzip_put(&z, (struct slice){text, lens[i]}, gzip_bound(lens[i]), &out));
            assert_inflates_to(&out, text, lens[i]);
            buf_fini(&out);
        }
    }
    free(text);
}

static void nothing_comes_back_empty(void **state)
{
    struct buf out;
    buf_init(&out);
    assert_true(gzip_put(&z, (struct slice){NULL, 0}, gzip_bound(0), &out));
    assert_inflates_to(&out, "", 0);
    buf_fini(&out);
}

static void what_does_not_shrink_is_refused_and_leaves_nothing(void **state)
{
    char text[4096];
    fill(text, sizeof(text), false);
    struct buf out;
    buf_init(&out);
    buf_append_str(&out, "before");
    assert_false(gzip_put(&z, (struct slice){text, sizeof(text)}, sizeof(text), &out));
    assert_int_equal(buf_len(&out), 6);
    assert_false(gzip_put(&z, (struct slice){text, sizeof(text)}, 0, &out));
    assert_false(gzip_put(&z, (struct slice){text, sizeof(text)}, 1, &out));
    fill(text, sizeof(text), true);
    assert_true(gzip_put(&z, (struct slice){text, sizeof(text)}, sizeof(text), &out));
    assert_true(buf_len(&out) < 600);
    buf_consume(&out, 6);
    assert_inflates_to(&out, text, sizeof(text));
    buf_fini(&out);
}

static void same_text_gives_same_bytes(void **state)
{
    char text[5000];
    struct buf a;
    struct buf b;
    struct gzip *other = NULL;
    fill(text, sizeof(text), true);
    buf_init(&a);
    buf_init(&b);
    assert_true(gzip_put(&z, (struct slice){text, sizeof(text)}, sizeof(text), &a));
    assert_true(gzip_put(&other, (struct slice){text, sizeof(text)}, sizeof(text), &b));
    assert_int_equal(buf_len(&a), buf_len(&b));
    assert_memory_equal(a.mem + a.start, b.mem + b.start, buf_len(&a));
    gzip_destroy(&other);
    assert_null(other);
    gzip_destroy(&other);
    buf_fini(&a);
    buf_fini(&b);
}

static int destroy(void **state)
{
    gzip_destroy(&z);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(nothing_comes_back_empty),
        cmocka_unit_test(what_does_not_shrink_is_refused_and_leaves_nothing),
        cmocka_unit_test(same_text_gives_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, destroy);
}
