/* SPDX-License-Identifier: BSD-3-Clause */
#include "serve/answer.h"

#include "base/hash.h"
#include "serve/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct gzip *z;
static struct buf value;
static struct buf out;
static char text[8192];

static const struct http_codings plain_only = {.gzip = false, .identity = true};
static const struct http_codings both = {.gzip = true, .identity = true};
static const struct http_codings gzip_only = {.gzip = true, .identity = false};

/* An answer of `len` bytes that shrinks, or does not. */
static struct answer make(size_t len, bool shrinks)
{
    uint32_t random = 7;
    for (size_t i = 0; i < len; i++) {
        random = random * 1664525 + 1013904223;
        text[i] = shrinks ? "[{\"id\":1},"[i % 10] : (char)(random >> 24);
    }
    buf_clear(&value);
    answer_make(&value, 200, "application/json", (struct slice){text, len}, 5000);
    return answer_read(buf_readable(&value));
}

static struct answer compressed(void)
{
    make(4000, true);
    assert_true(answer_compress(&value, &z, false));
    return answer_read(buf_readable(&value));
}

static size_t put(const struct answer *a, struct http_codings accepts, struct slice if_none_match)
{
    struct answer_wish wish = {.accepts = accepts,
                               .if_none_match = if_none_match,
                               .cache_status = "hit",
                               .ttl_s = UINT64_MAX};
    buf_clear(&out);
    return answer_put(&out, a, &wish);
}

static bool has(const char *part)
{
    struct slice all = buf_readable(&out);
    return memmem(all.ptr, all.len, part, strlen(part)) != NULL;
}

static struct slice sent_etag(void)
{
    struct slice all = buf_readable(&out);
    const char *at = memmem(all.ptr, all.len, "ETag: ", 6);
    assert_non_null(at);
    at += 6;
    return (struct slice){at, strcspn(at, "\r")};
}

static const struct slice none = {NULL, 0};

static void small_answers_do_not_vary(void **state)
{
    struct answer a = make(ANSWER_GZIP_MIN - 1, true);
    assert_false(a.may_gzip);
    assert_false(answer_compress(&value, &z, false));
    (void)put(&a, both, none);
    assert_false(has("Vary"));
    assert_false(has("Content-Encoding"));
}

static void both_forms_of_a_large_answer_vary_and_have_their_own_tag(void **state)
{
    struct answer a = compressed();
    assert_int_equal(put(&a, plain_only, none), 0);
    assert_true(has("Vary: Accept-Encoding\r\n"));
    assert_true(has("Content-Length: 4000\r\n"));
    assert_false(has("Content-Encoding"));
    char plain_tag[64];
    (void)snprintf(plain_tag, sizeof(plain_tag), "%.*s", (int)sent_etag().len, sent_etag().ptr);

    assert_int_equal(put(&a, both, none), 4000 - a.gzip.body.len);
    assert_true(has("Vary: Accept-Encoding\r\n"));
    assert_true(has("Content-Encoding: gzip\r\n"));
    assert_true(has("Content-Type: application/json\r\n"));
    char length[64];
    (void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n", a.gzip.body.len);
    assert_true(has(length));
    assert_false(slice_is(sent_etag(), plain_tag));
    assert_int_equal(sent_etag().ptr[0], '"');
}

static void each_tag_fits_its_own_form_only(void **state)
{
    struct answer a = compressed();
    char tags[2][64];
    struct http_codings codings[] = {plain_only, both};
    for (int i = 0; i < 2; i++) {
        (void)put(&a, codings[i], none);
        (void)snprintf(tags[i], sizeof(tags[i]), "%.*s", (int)sent_etag().len, sent_etag().ptr);
    }
    for (int asked = 0; asked < 2; asked++) {
        for (int tag = 0; tag < 2; tag++) {
            (void)put(&a, codings[asked], slice_of(tags[tag]));
            assert_int_equal(has("HTTP/1.1 304 "), asked == tag);
            assert_true(has("Vary: Accept-Encoding\r\n"));
            assert_true(slice_is(sent_etag(), tags[asked]));
        }
    }
}

static void a_304_needs_no_compressing(void **state)
{
    struct answer a = compressed();
    (void)put(&a, both, none);
    char tag[64];
    (void)snprintf(tag, sizeof(tag), "%.*s", (int)sent_etag().len, sent_etag().ptr);
    a = make(4000, true);
    struct answer_wish wish = {.accepts = both, .if_none_match = slice_of(tag)};
    assert_false(answer_lacks(&a, &wish));
    (void)put(&a, both, slice_of(tag));
    assert_true(has("HTTP/1.1 304 "));
    wish.if_none_match = SLICE("\"another\"");
    assert_true(answer_lacks(&a, &wish));
}

static void what_does_not_shrink_is_tried_once(void **state)
{
    struct answer a = make(4000, false);
    struct answer_wish wish = {.accepts = both};
    assert_true(answer_lacks(&a, &wish));
    assert_false(answer_compress(&value, &z, false));
    a = answer_read(buf_readable(&value));
    assert_false(a.may_gzip);
    assert_false(answer_lacks(&a, &wish));
    assert_int_equal(put(&a, both, none), 0);
    assert_false(has("Content-Encoding"));
    assert_true(has("Vary: Accept-Encoding\r\n"));
}

static void who_forbids_identity_gets_gzip_of_any_size(void **state)
{
    static const size_t lens[] = {2, 4000};
    for (int i = 0; i < 2; i++) {
        struct answer a = make(lens[i], false);
        struct answer_wish wish = {.accepts = gzip_only};
        assert_true(answer_lacks(&a, &wish));
        assert_true(answer_compress(&value, &z, true));
        a = answer_read(buf_readable(&value));
        assert_false(answer_lacks(&a, &wish));
        assert_int_equal(put(&a, gzip_only, none), 0);
        assert_true(has("Content-Encoding: gzip\r\n"));
    }
}

static void forms_of_one_answer_are_the_same_answer(void **state)
{
    make(4000, true);
    struct buf other;
    buf_init(&other);
    buf_append_slice(&other, buf_readable(&value));
    assert_true(answer_compress(&other, &z, false));
    assert_true(answer_same(buf_readable(&value), buf_readable(&other)));
    buf_clear(&other);
    answer_make(&other, 200, "application/json", (struct slice){text, 4000}, 5001);
    assert_false(answer_same(buf_readable(&value), buf_readable(&other)));
    buf_clear(&other);
    text[0] = '!';
    answer_make(&other, 200, "application/json", (struct slice){text, 4000}, 5000);
    assert_false(answer_same(buf_readable(&value), buf_readable(&other)));
    buf_fini(&other);
}

static int begin(void **state)
{
    hash_setup_seed(3);
    return 0;
}

static int end(void **state)
{
    gzip_destroy(&z);
    buf_fini(&value);
    buf_fini(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_answers_do_not_vary),
        cmocka_unit_test(both_forms_of_a_large_answer_vary_and_have_their_own_tag),
        cmocka_unit_test(each_tag_fits_its_own_form_only),
        cmocka_unit_test(a_304_needs_no_compressing),
        cmocka_unit_test(what_does_not_shrink_is_tried_once),
        cmocka_unit_test(who_forbids_identity_gets_gzip_of_any_size),
        cmocka_unit_test(forms_of_one_answer_are_the_same_answer),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
