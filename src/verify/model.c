/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of versions, and the one question asked of it (see model.h).
 *
 * A row keeps its last MODEL_HISTORY versions. A version older than those had ended, at the latest, when
 * the oldest kept one was sent, because a writer sends only after the COMMIT before it has returned (or was
 * rolled back): M1. That is enough to judge it.
 *
 * M2. A version's end is stamped after its successor's COMMIT has returned and before the row is given
 * up. So judging is never too strict: an end that is not stamped yet only lets a read pass.
 *
 * Not done: the rows' values are their version numbers and nothing else.
 */
#include "verify/model.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>

#define read_field(v, field)    atomic_load_explicit(&(v)->field, memory_order_relaxed)
#define set_field(v, field, to) atomic_store_explicit(&(v)->field, (to), memory_order_relaxed)

void model_table_init(struct model_table *t, const char *name, uint32_t rows, uint32_t groups)
{
    *t = (struct model_table){.name = name, .groups = groups, .row_count = rows};
    t->rows = xcalloc(rows, sizeof(*t->rows));
    check(pthread_mutex_init(&t->lock, NULL) == 0);
    check(pthread_cond_init(&t->given_up, NULL) == 0);
    for (uint32_t i = 0; i < rows; i++) {
        struct model_row *row = &t->rows[i];
        row->history = xcalloc(MODEL_HISTORY, sizeof(*row->history));
        row->group = MODEL_ABSENT;
    }
}

void model_table_fini(struct model_table *t)
{
    for (uint32_t i = 0; i < t->row_count; i++) {
        free(t->rows[i].history);
    }
    free(t->rows);
    check(pthread_cond_destroy(&t->given_up) == 0);
    check(pthread_mutex_destroy(&t->lock) == 0);
}

static struct model_version *slot(const struct model_row *row, uint64_t number)
{
    return &row->history[number % MODEL_HISTORY];
}

/* --- writing ------------------------------------------------------------------------------------ */

struct model_row *model_own(struct model_table *t, uint32_t id)
{
    struct model_row *row = &t->rows[id];
    check(pthread_mutex_lock(&t->lock) == 0);
    while (row->owned) {
        check(pthread_cond_wait(&t->given_up, &t->lock) == 0);
    }
    row->owned = true;
    check(pthread_mutex_unlock(&t->lock) == 0);
    return row;
}

void model_give_up(struct model_table *t, struct model_row *row)
{
    check(pthread_mutex_lock(&t->lock) == 0);
    row->owned = false;
    check(pthread_cond_broadcast(&t->given_up) == 0);
    check(pthread_mutex_unlock(&t->lock) == 0);
}

uint64_t model_begin(struct model_row *row, int32_t group)
{
    uint64_t number = read_field(row, newest) + 1;
    struct model_version *v = slot(row, number);
    atomic_store_explicit(&v->number, 0, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    set_field(v, sent_us, clock_now_us());
    set_field(v, acked_us, 0);
    set_field(v, ended_us, 0);
    set_field(v, group, group);
    set_field(v, fate, MODEL_PENDING);
    set_field(v, seen, 0);
    atomic_store_explicit(&v->number, number, memory_order_release);
    atomic_store_explicit(&row->newest, number, memory_order_release);
    return number;
}

void model_commit(struct model_row *row, uint64_t number, uint64_t acked_us)
{
    struct model_version *v = slot(row, number);
    check(read_field(v, number) == number);
    set_field(v, acked_us, acked_us);
    set_field(v, fate, MODEL_COMMITTED);
    if (row->committed != 0 && row->committed + MODEL_HISTORY > number) {
        set_field(slot(row, row->committed), ended_us, acked_us);
    }
    row->committed = number;
    row->group = read_field(v, group);
}

bool model_roll_back(struct model_row *row, uint64_t number)
{
    struct model_version *v = slot(row, number);
    check(read_field(v, number) == number);
    atomic_store_explicit(&v->fate, MODEL_ROLLED_BACK, memory_order_seq_cst);
    return atomic_load_explicit(&v->seen, memory_order_seq_cst) == 0;
}

/* --- judging ------------------------------------------------------------------------------------ */

/* A copy that is all of one version; false when the slot belongs to another. */
static bool copy_version(const struct model_row *row, uint64_t number, struct model_version *ret_v)
{
    const struct model_version *v = slot(row, number);
    if (atomic_load_explicit(&v->number, memory_order_acquire) != number) {
        return false;
    }
    set_field(ret_v, sent_us, read_field(v, sent_us));
    set_field(ret_v, acked_us, read_field(v, acked_us));
    set_field(ret_v, ended_us, read_field(v, ended_us));
    set_field(ret_v, group, read_field(v, group));
    set_field(ret_v, fate, read_field(v, fate));
    atomic_thread_fence(memory_order_acquire);
    return read_field(v, number) == number;
}

static bool had_ended(const struct model_version *v, uint64_t at_us)
{
    return read_field(v, ended_us) != 0 && read_field(v, ended_us) <= at_us;
}

/* The newest version whose COMMIT had returned at `at_us`. */
static uint64_t committed_at(const struct model_row *row, uint64_t at_us)
{
    uint64_t newest = atomic_load_explicit(&row->newest, memory_order_acquire);
    struct model_version v;
    for (uint64_t n = newest; n > 0 && copy_version(row, n, &v); n--) {
        if (read_field(&v, fate) == MODEL_COMMITTED && read_field(&v, acked_us) <= at_us) {
            return n;
        }
    }
    return 0;
}

/* M1: it had ended when the oldest version still known was sent. */
static enum model_verdict judge_forgotten(const struct model_row *row, uint64_t newest,
                                          const struct model_window *w)
{
    struct model_version oldest;
    uint64_t n = newest > MODEL_HISTORY ? newest - MODEL_HISTORY + 1 : 1;
    while (n < newest && !copy_version(row, n, &oldest)) {
        n++;
    }
    return n < newest && read_field(&oldest, sent_us) <= w->from_us ? MODEL_STALE : MODEL_LEGAL;
}

enum model_verdict model_judge(const struct model_row *row, uint64_t number, int32_t group,
                               const struct model_window *w, uint64_t *ret_wanted)
{
    uint64_t newest = atomic_load_explicit(&row->newest, memory_order_acquire);
    struct model_version v;
    *ret_wanted = 0;
    if (number == 0 || number > newest) {
        return MODEL_PHANTOM;
    }
    if (!copy_version(row, number, &v)) {
        *ret_wanted = committed_at(row, w->from_us);
        return judge_forgotten(row, newest, w);
    }
    if (read_field(&v, fate) == MODEL_PENDING) {
        /* Legal if it becomes committed. Ordered against model_roll_back: one of the two sees the other. */
        struct model_version *shared = slot(row, number);
        atomic_store_explicit(&shared->seen, 1, memory_order_seq_cst);
        set_field(&v, fate, atomic_load_explicit(&shared->fate, memory_order_seq_cst));
    }
    if (read_field(&v, fate) == MODEL_ROLLED_BACK || read_field(&v, group) == MODEL_ABSENT) {
        return MODEL_PHANTOM;
    }
    if (group != MODEL_ANY_GROUP && read_field(&v, group) != group) {
        return MODEL_MISPLACED;
    }
    if (had_ended(&v, w->from_us)) {
        *ret_wanted = committed_at(row, w->from_us);
        return MODEL_STALE;
    }
    return MODEL_LEGAL;
}

enum model_verdict model_judge_absent(const struct model_row *row, int32_t group,
                                      const struct model_window *w, uint64_t *ret_wanted)
{
    struct model_version v;
    uint64_t first_acked_us = 0; /* of the oldest version that was looked at */
    uint64_t n = atomic_load_explicit(&row->newest, memory_order_acquire);
    *ret_wanted = 0;
    for (; n > 0 && copy_version(row, n, &v); n--) {
        if (read_field(&v, fate) == MODEL_ROLLED_BACK) {
            continue;
        }
        if (had_ended(&v, w->from_us)) {
            break;
        }
        bool elsewhere = read_field(&v, group) == MODEL_ABSENT ||
                         (group != MODEL_ANY_GROUP && read_field(&v, group) != group);
        if (elsewhere && read_field(&v, sent_us) <= w->to_us) {
            return MODEL_LEGAL;
        }
        first_acked_us = read_field(&v, acked_us);
    }
    /* What came before that version, at the latest its being absent before the first one, had ended when
     * it was committed. */
    if (first_acked_us == 0 || first_acked_us > w->from_us) {
        return MODEL_LEGAL;
    }
    *ret_wanted = committed_at(row, w->from_us);
    return MODEL_STALE;
}

uint64_t model_ended(const struct model_row *row, uint64_t number)
{
    struct model_version v;
    return copy_version(row, number, &v) ? read_field(&v, ended_us) : 0;
}

const struct model_version *model_find(const struct model_row *row, uint64_t number)
{
    const struct model_version *v = slot(row, number);
    return number != 0 && read_field(v, number) == number ? v : NULL;
}
