/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring of one thread, with one writer and any number of readers.
 *
 *   WORD  MEANING
 *   0     number of the record + 1; 0 while it is being written
 *   1     time in microseconds << 8 | event
 *   2, 3  a, b
 *   4-7   text, padded with zeros
 *
 * A sequence lock without fences (which ThreadSanitizer does not know): every word behind word 0 is
 * stored with release and loaded with acquire. A reader that saw one word of a newer record has therefore
 * also seen the 0 before it, and finds that the number has changed. On x86 all of them are plain
 * moves.
 *
 * Threads: trace() the owner; the others any, also signal handlers.
 */
#include "base/trace.h"

#include "base/check.h"
#include "base/thread.h"

#include <assert.h>

static_assert(TRACE_EVENT_COUNT <= 256, "an event has 8 bits");
static_assert((TRACE_RECORDS & (TRACE_RECORDS - 1)) == 0, "a power of two");

const struct trace_kind trace_kinds[TRACE_EVENT_COUNT] = {
    [TRACE_NONE] = {"none", "", "", "", ""},
#define TRACE(id, ...) [TRACE_##id] = {__VA_ARGS__},
#include "base/trace.def"
#undef TRACE
};

static inline void put(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release); /* acquire: trace_get() */
}

void trace(enum trace_event event, uint64_t a, uint64_t b, struct slice text)
{
    struct thread *t = thread_self;
    if (t == NULL) {
        return;
    }
    struct trace_ring *r = &t->ring;
    uint64_t number = atomic_load_explicit(&r->next, memory_order_relaxed); /* our own */
    _Atomic uint64_t *word = r->word[number % TRACE_RECORDS];
    uint64_t words[TRACE_TEXT / sizeof(uint64_t)] = {0};
    if (text.len > 0) {
        memcpy(words, text.ptr, text.len < TRACE_TEXT ? text.len : TRACE_TEXT);
    }
    atomic_store_explicit(&word[0], 0, memory_order_relaxed);
    uint64_t now_us = atomic_load_explicit(&r->now_us, memory_order_relaxed);
    put(&word[1], now_us << 8 | (uint64_t)event);
    put(&word[2], a);
    put(&word[3], b);
    for (size_t i = 0; i < array_len(words); i++) {
        put(&word[4 + i], words[i]);
    }
    put(&word[0], number + 1);
    put(&r->next, number + 1);
}

const char *trace_word_label(const char *label)
{
    static const char prefix[] = "word:";
    return strncmp(label, prefix, sizeof(prefix) - 1) == 0 ? label + sizeof(prefix) - 1 : NULL;
}

void trace_word_text(uint64_t word, char ret_text[9])
{
    memcpy(ret_text, &word, sizeof(word));
    ret_text[8] = '\0';
    for (char *c = ret_text; *c != '\0'; c++) {
        *c = *c > ' ' && *c < 0x7f ? *c : '?';
    }
}

uint64_t trace_next(const struct trace_ring *r)
{
    return atomic_load_explicit(&r->next, memory_order_acquire);
}

bool trace_get(const struct trace_ring *r, uint64_t number, struct trace_record *ret_record)
{
    const _Atomic uint64_t *word = r->word[number % TRACE_RECORDS];
    uint64_t copy[TRACE_WORDS];
    for (size_t i = 0; i < TRACE_WORDS; i++) {
        copy[i] = atomic_load_explicit(&word[i], memory_order_acquire);
    }
    if (copy[0] != number + 1 ||
        atomic_load_explicit(&word[0], memory_order_relaxed) != number + 1) {
        return false;
    }
    ret_record->number = number;
    ret_record->at_us = copy[1] >> 8;
    ret_record->event = (enum trace_event)(copy[1] & 0xff);
    ret_record->a = copy[2];
    ret_record->b = copy[3];
    memcpy(ret_record->text, &copy[4], TRACE_TEXT);
    ret_record->text[TRACE_TEXT] = '\0';
    return ret_record->event < TRACE_EVENT_COUNT;
}
