/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace: what each thread did last, always on.
 *
 * Every registered thread (base/thread.h) has a ring of fixed-size records that only it writes: time of
 * its loop's turn, event, two numbers, the start of a text. Writing one is a dozen plain stores: no
 * lock, no system call, no allocation. Readers (the admin listener, crash reports) copy records out
 * while they are being overwritten, and know when they were too late.
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include "base/slice.h"

#include <stdatomic.h>
#include <stdint.h>

enum trace_event {
    TRACE_NONE,
#define TRACE(id, ...) TRACE_##id,
#include "base/trace.def"
#undef TRACE
    TRACE_EVENT_COUNT
};

enum { TRACE_RECORDS = 2048, TRACE_TEXT = 32, TRACE_WORDS = 8 };

/* As it stands in the ring: number, time and event, a, b, four words of text. */
struct trace_ring {
    _Atomic uint64_t next; /* number of the next record; release: trace(); acquire: trace_next() */
    _Atomic uint64_t now_us; /* relaxed: of the turn; crash reports read it */
    _Atomic uint64_t word[TRACE_RECORDS][TRACE_WORDS];
};

struct trace_record {
    uint64_t number;
    uint64_t at_us; /* clock_now_us() at the start of the turn */
    enum trace_event event;
    uint64_t a;
    uint64_t b;
    char text[TRACE_TEXT + 1];
};

struct trace_kind {
    const char *name;
    const char *a;
    const char *b;
    const char *text;
    const char *meaning;
};
extern const struct trace_kind trace_kinds[TRACE_EVENT_COUNT];

/* Adds a record to the calling thread's ring; does nothing in a thread that has none. */
void trace(enum trace_event event, uint64_t a, uint64_t b, struct slice text);

/* Up to eight letters as a number, for kinds whose a or b is a "word:". */
static inline uint64_t trace_word(const char *name)
{
    uint64_t word = 0;
    memcpy(&word, name, strnlen(name, sizeof(word)));
    return word;
}

/* "name" of a "word:name", NULL when the number is a number. */
const char *trace_word_label(const char *label);
/* The letters again; those that are no printable ASCII become '?'. NUL-terminated. */
void trace_word_text(uint64_t word, char ret_text[9]);

/* The number that the ring's next record will have; those below, back to TRACE_RECORDS of them, can be
 * had. Any thread, and signal handlers. */
uint64_t trace_next(const struct trace_ring *r);
/* False: it has been overwritten, or is not there yet. Any thread, and signal handlers. */
bool trace_get(const struct trace_ring *r, uint64_t number, struct trace_record *ret_record);

#endif
