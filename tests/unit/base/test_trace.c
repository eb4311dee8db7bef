/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace: what is written is what is read, what was overwritten is known to be lost, and a reader beside a
 * writer never sees half a record. docs/reference/trace.md is made here; FRESHET_WRITE_DOCS=1 writes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/thread.h"

#include <pthread.h>
#include <stdio.h>

static int enter(void **state)
{
    thread_enter("tester", false);
    return 0;
}

static int leave(void **state)
{
    thread_leave();
    return 0;
}

static void a_record_comes_back_as_written(void **state)
{
    struct trace_record r;
    thread_turn(123456789);
    uint64_t number = trace_next(&thread_self->ring);
    trace(TRACE_HIT, UINT64_MAX, 7, SLICE("GET /api/products"));
    assert_int_equal(trace_next(&thread_self->ring), number + 1);
    assert_true(trace_get(&thread_self->ring, number, &r));
    assert_int_equal(r.number, number);
    assert_int_equal(r.at_us, 123456789);
    assert_int_equal(r.event, TRACE_HIT);
    assert_true(r.a == UINT64_MAX);
    assert_int_equal(r.b, 7);
    assert_string_equal(r.text, "GET /api/products");
    assert_false(trace_get(&thread_self->ring, number + 1, &r));
}

static void a_long_text_keeps_its_start(void **state)
{
    struct trace_record r;
    uint64_t number = trace_next(&thread_self->ring);
    trace(TRACE_REQUEST, 0, 0, SLICE("/api/0123456789/0123456789/0123456789"));
    assert_true(trace_get(&thread_self->ring, number, &r));
    assert_string_equal(r.text, "/api/0123456789/0123456789/01234");
    trace(TRACE_REQUEST, 0, 0, (struct slice){NULL, 0});
    assert_true(trace_get(&thread_self->ring, number + 1, &r));
    assert_string_equal(r.text, "");
}

static void what_was_overwritten_is_lost(void **state)
{
    struct trace_record r;
    uint64_t first = trace_next(&thread_self->ring);
    for (uint64_t i = 0; i <= TRACE_RECORDS; i++) {
        trace(TRACE_MISS, i, 0, SLICE("fwd=miss"));
    }
    assert_false(trace_get(&thread_self->ring, first, &r));
    assert_true(trace_get(&thread_self->ring, first + 1, &r));
    assert_int_equal(r.a, 1);
    assert_true(trace_get(&thread_self->ring, first + TRACE_RECORDS, &r));
    assert_int_equal(r.a, TRACE_RECORDS);
}

static void words_of_eight_letters_travel_as_numbers(void **state)
{
    char text[9];
    assert_string_equal(trace_word_label("word:step"), "step");
    assert_null(trace_word_label("connection"));
    trace_word_text(trace_word("admit"), text);
    assert_string_equal(text, "admit");
    trace_word_text(trace_word("subscribers"), text);
    assert_string_equal(text, "subscrib");
    trace_word_text(UINT64_C(0x0a41), text);
    assert_string_equal(text, "A?");
}

static void a_thread_without_a_place_traces_nothing(void **state)
{
    struct thread *mine = thread_self;
    uint64_t number = trace_next(&mine->ring);
    thread_self = NULL;
    trace(TRACE_HIT, 1, 2, SLICE("nowhere"));
    thread_self = mine;
    assert_int_equal(trace_next(&mine->ring), number);
}

/* --- a reader beside a writer ------------------------------------------------------------------- */

enum { WRITTEN = 300000 };

struct pair {
    _Atomic(struct thread *) writer;
    _Atomic bool over;
};

/* Every part of a record says the same number. */
static void *write_many(void *arg)
{
    struct pair *p = arg;
    thread_enter("writer", false);
    uint64_t first = trace_next(&thread_self->ring);
    atomic_store(&p->writer, thread_self);
    for (uint64_t i = 0; i < WRITTEN; i++) {
        uint64_t parts[4] = {first + i, first + i, first + i, first + i};
        thread_turn(first + i);
        trace(TRACE_COMMIT, first + i, first + i,
              (struct slice){(const char *)parts, sizeof(parts)});
    }
    atomic_store(&p->over, true);
    return NULL;
}

static void check_whole(const struct trace_record *r)
{
    uint64_t parts[4];
    memcpy(parts, r->text, sizeof(parts));
    assert_int_equal(r->event, TRACE_COMMIT);
    assert_int_equal(r->at_us, r->number);
    assert_int_equal(r->a, r->number);
    assert_int_equal(r->b, r->number);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(parts[i], r->number);
    }
}

static void a_reader_sees_whole_records_or_none(void **state)
{
    struct pair p = {.over = false};
    pthread_t writer;
    struct trace_record r;
    uint64_t seen = 0;
    assert_int_equal(pthread_create(&writer, NULL, write_many, &p), 0);
    while (atomic_load(&p.writer) == NULL) {
    }
    const struct trace_ring *ring = &atomic_load(&p.writer)->ring;
    bool over;
    do {
        over = atomic_load(&p.over);
        /* The oldest, which are just being overwritten, and the newest. */
        uint64_t next = trace_next(ring);
        for (uint64_t back = 1; back <= TRACE_RECORDS && back <= next; back += back < 8 ? 1 : 97) {
            uint64_t number = back <= 8 ? next - back : next - TRACE_RECORDS + back % 8;
            if (number < next && trace_get(ring, number, &r)) {
                check_whole(&r);
                seen++;
            }
        }
    } while (!over);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(seen > 0);
}

/* --- what people read --------------------------------------------------------------------------- */

static void put_label(struct buf *out, const char *label)
{
    const char *word = trace_word_label(label);
    buf_printf(out, "%s%s%s", label[0] != '\0' ? "`" : "", word != NULL ? word : label,
               label[0] != '\0' ? "`" : "");
}

static void put_events(struct buf *out)
{
    buf_append_str(out, "\n| event | numbers | text | meaning |\n|---|---|---|---|\n");
    for (int i = TRACE_NONE + 1; i < TRACE_EVENT_COUNT; i++) {
        const struct trace_kind *k = &trace_kinds[i];
        buf_printf(out, "| `%s` | ", k->name);
        put_label(out, k->a);
        buf_append_str(out, k->b[0] != '\0' && k->a[0] != '\0' ? ", " : "");
        put_label(out, k->b);
        buf_printf(out, " | %s | %s |\n", k->text, k->meaning);
    }
    buf_append_char(out, '\n');
}

static void the_reference_is_what_the_table_says(void **state)
{
    static const char file[] = SOURCE_ROOT "/docs/reference/trace.md";
    static char text[65536];
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    assert_int_equal(fclose(f), 0);
    text[len] = '\0';
    const char *begin = strstr(text, "<!-- events:");
    const char *end = strstr(text, "<!-- end of events -->");
    assert_non_null(begin);
    assert_non_null(end);
    begin = strchr(begin, '\n') + 1;
    struct buf now;
    buf_init(&now);
    buf_append(&now, text, (size_t)(begin - text));
    put_events(&now);
    buf_append_str(&now, end);
    if (getenv("FRESHET_WRITE_DOCS") != NULL) {
        f = fopen(file, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(buf_readable(&now).ptr, 1, buf_len(&now), f), buf_len(&now));
        assert_int_equal(fclose(f), 0);
    } else if (!slice_eq(buf_readable(&now), slice_of(text))) {
        fail_msg("%s is not what trace.def says; run this test with FRESHET_WRITE_DOCS=1", file);
    }
    buf_fini(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back_as_written),
        cmocka_unit_test(a_long_text_keeps_its_start),
        cmocka_unit_test(what_was_overwritten_is_lost),
        cmocka_unit_test(words_of_eight_letters_travel_as_numbers),
        cmocka_unit_test(a_thread_without_a_place_traces_nothing),
        cmocka_unit_test(a_reader_sees_whole_records_or_none),
        cmocka_unit_test(the_reference_is_what_the_table_says),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
