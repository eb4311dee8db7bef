/* SPDX-License-Identifier: BSD-3-Clause */
/* The ground layer: buffers, numbers, lists, mailboxes, arenas, the clock's two lines. */
#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mailbox.h"
#include "base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

static void buffer_keeps_order_through_growth_and_consumption(void **state)
{
    struct buf b;
    buf_init(&b);
    uint32_t seed = 12345;
    uint8_t next_in = 0;
    uint8_t next_out = 0;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525U + 1013904223U;
        size_t n = seed >> 24;
        if ((seed & 1) != 0) {
            for (size_t k = 0; k < n; k++) {
                buf_append_char(&b, (char)next_in++);
            }
        } else {
            n = n < buf_len(&b) ? n : buf_len(&b);
            struct slice s = buf_readable(&b);
            for (size_t k = 0; k < n; k++) {
                assert_int_equal((uint8_t)s.ptr[k], next_out);
                next_out++;
            }
            buf_consume(&b, n);
        }
        assert_true(buf_sane(&b));
    }
    buf_fini(&b);
}

static void printing_longer_than_the_small_buffer_is_whole(void **state)
{
    struct buf b;
    buf_init(&b);
    buf_printf(&b, "%0300d|%s", 7, "end");
    assert_int_equal(buf_len(&b), 304);
    assert_memory_equal(buf_readable(&b).ptr + 299, "7|end", 5);
    buf_truncate(&b, 300);
    assert_int_equal(buf_len(&b), 300);
    buf_fini(&b);
}

static void integers_are_strict(void **state)
{
    int64_t v;
    const char *good[] = {"0", "-1", "9223372036854775807", "-9223372036854775808"};
    const char *bad[] = {"",
                         "-",
                         "+1",
                         " 1",
                         "1 ",
                         "01",
                         "-0",
                         "1a",
                         "0x1",
                         "9223372036854775808",
                         "-9223372036854775809",
                         "99999999999999999999"};
    for (size_t i = 0; i < array_len(good); i++) {
        char text[NUMBER_MAX_LEN + 1] = "";
        assert_true(number_parse_i64(slice_of(good[i]), &v));
        text[number_format_i64(text, v)] = '\0';
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < array_len(bad); i++) {
        assert_false(number_parse_i64(slice_of(bad[i]), &v));
    }
}

static void arena_memory_is_zeroed_aligned_and_stays(void **state)
{
    struct arena a;
    arena_init(&a);
    char *first = arena_strdup(&a, "first");
    for (size_t i = 1; i < 3000; i += 7) {
        unsigned char *p = arena_alloc(&a, i);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t k = 0; k < i; k++) {
            assert_int_equal(p[k], 0);
        }
    }
    assert_string_equal(arena_printf(&a, "%d-%s", 5, "x"), "5-x");
    assert_string_equal(first, "first");
    arena_fini(&a);
}

struct numbered {
    struct mail mail;
    int number;
};

static int mail_seen;
static int mail_last[4];

static void on_mail(struct mail *m)
{
    struct numbered *n = container_of(m, struct numbered, mail);
    int poster = n->number / 10000;
    assert_true(n->number > mail_last[poster]);
    mail_last[poster] = n->number;
    mail_seen++;
}

static struct mailbox test_box;

static void *post_many(void *arg)
{
    struct numbered *mails = arg;
    for (int i = 0; i < 5000; i++) {
        mailbox_post(&test_box, &mails[i].mail, on_mail);
    }
    return NULL;
}

static void mailbox_delivers_each_once_in_the_order_of_its_poster(void **state)
{
    mailbox_init(&test_box);
    pthread_t thread[4];
    struct numbered *mails = xcalloc(20000, sizeof(*mails));
    for (int t = 0; t < 4; t++) {
        for (int i = 0; i < 5000; i++) {
            mails[t * 5000 + i].number = t * 10000 + i + 1;
        }
        assert_int_equal(pthread_create(&thread[t], NULL, post_many, &mails[t * 5000]), 0);
    }
    while (mail_seen < 20000) {
        mailbox_drain(&test_box);
    }
    for (int t = 0; t < 4; t++) {
        assert_int_equal(pthread_join(thread[t], NULL), 0);
    }
    mailbox_drain(&test_box);
    assert_int_equal(mail_seen, 20000);
    mailbox_fini(&test_box);
    free(mails);
}

static void wall_deadlines_map_to_the_monotonic_line_and_back(void **state)
{
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t wall = clock_wall_ms() + 60000 + i;
        assert_int_equal(clock_wall_from_mono(clock_mono_from_wall(wall)), wall);
    }
    assert_int_equal(clock_mono_from_wall(0), 0);
}

static void hash_depends_on_the_seed_and_the_bytes(void **state)
{
    hash_setup_seed(1);
    uint64_t a = hash_bytes("key", 3);
    assert_int_equal(a, hash_slice(SLICE("key")));
    assert_int_not_equal(a, hash_bytes("kez", 3));
    hash_setup_seed(2);
    assert_int_not_equal(a, hash_bytes("key", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_keeps_order_through_growth_and_consumption),
        cmocka_unit_test(printing_longer_than_the_small_buffer_is_whole),
        cmocka_unit_test(integers_are_strict),
        cmocka_unit_test(arena_memory_is_zeroed_aligned_and_stays),
        cmocka_unit_test(mailbox_delivers_each_once_in_the_order_of_its_poster),
        cmocka_unit_test(wall_deadlines_map_to_the_monotonic_line_and_back),
        cmocka_unit_test(hash_depends_on_the_seed_and_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
