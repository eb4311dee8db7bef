/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's figures: one block per command, made when the command first runs there; pointers to blocks
 * are published with release order, and a block lives as long as the server.
 *
 * Errors are counted by their first word ("ERR", "WRONGTYPE"). Words can come from scripts, so a worker
 * keeps ERRORS_MAX of them; what is beyond is counted under ERRORSTATS_OVERFLOW.
 *
 * A reset remembers the sums of that moment in `base`, which readers subtract. Lock: rank watch, guards
 * `base` only.
 *
 * Invariant: CS1. only the worker writes its block, so a load and a store suffice to add.
 */
#include "serve/command_stats.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

enum { ERRORS_MAX = 128, WORD_MAX = 32, EIGHTHS = 8, LINEAR = 16 };

struct block {
    _Atomic uint64_t calls; /* relaxed, all of them: statistics */
    _Atomic uint64_t us;
    _Atomic uint64_t rejected;
    _Atomic uint64_t failed;
    _Atomic uint64_t buckets[STATS_BUCKETS];
};

struct error_count {
    char word[WORD_MAX];
    _Atomic uint64_t count;
};

struct command_stats {
    uint32_t count;
    _Atomic uint32_t error_count; /* release: the worker, after the word; acquire: readers */
    struct error_count errors[ERRORS_MAX + 1];
    struct block *_Atomic blocks[]; /* release: the worker; acquire: readers */
};

struct stats_base {
    struct command_figures *commands; /* lock; NULL: never reset */
    struct error_count errors[ERRORS_MAX * 2];
    uint32_t error_count;
};

struct command_stats *command_stats_create(void)
{
    uint32_t count = command_total();
    struct command_stats *st = xcalloc(1, sizeof(*st) + count * sizeof(struct block * _Atomic));
    st->count = count;
    return st;
}

void command_stats_destroy(struct command_stats **stp)
{
    struct command_stats *st = *stp;
    *stp = NULL;
    for (uint32_t i = 0; st != NULL && i < st->count; i++) {
        free(atomic_load_explicit(&st->blocks[i], memory_order_relaxed));
    }
    free(st);
}

/* --- counting ------------------------------------------------------------------------------------ */

static inline void add(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

/* 0..15 us each their own; from there eight buckets for each doubling. */
static inline uint32_t bucket_of(uint64_t us)
{
    if (us < LINEAR) {
        return (uint32_t)us;
    }
    uint32_t log = 63 - (uint32_t)__builtin_clzll(us);
    uint32_t bucket = LINEAR + (log - 4) * EIGHTHS + (uint32_t)(us >> (log - 3) & (EIGHTHS - 1));
    return bucket < STATS_BUCKETS ? bucket : STATS_BUCKETS - 1;
}

uint64_t command_stats_bucket_end(uint32_t bucket)
{
    if (bucket < LINEAR) {
        return bucket + 1;
    }
    uint32_t log = (bucket - LINEAR) / EIGHTHS + 4;
    uint64_t part = (bucket - LINEAR) % EIGHTHS;
    return (EIGHTHS + part + 1) << (log - 3);
}

static struct block *make_block(struct worker *w, uint32_t place)
{
    struct block *b = xcalloc(1, sizeof(*b));
    atomic_store_explicit(&w->stats->blocks[place], b, memory_order_release);
    return b;
}

static inline struct block *block_of(struct worker *w, const struct command *cmd)
{
    struct block *b = atomic_load_explicit(&w->stats->blocks[cmd->place], memory_order_relaxed);
    return __builtin_expect(b != NULL, 1) ? b : make_block(w, cmd->place);
}

void command_stats_ran(struct worker *w, const struct command *cmd, uint64_t us, bool failed)
{
    struct block *b = block_of(w, cmd);
    add(&b->calls, 1);
    add(&b->us, us);
    if (__builtin_expect(
            atomic_load_explicit(&w->server->settings.latency_tracking, memory_order_relaxed), 1)) {
        add(&b->buckets[bucket_of(us)], 1);
    }
    if (failed) {
        add(&b->failed, 1);
    }
}

void command_stats_failed(struct worker *w, const struct command *cmd)
{
    add(&block_of(w, cmd)->failed, 1);
}

void command_stats_rejected(struct worker *w, const struct command *cmd)
{
    add(&block_of(w, cmd)->rejected, 1);
}

void command_stats_error(struct worker *w, struct slice text)
{
    struct command_stats *st = w->stats;
    char word[WORD_MAX];
    size_t len = 0;
    while (len < text.len && len < WORD_MAX - 1 && text.ptr[len] > ' ') {
        word[len] = text.ptr[len];
        len++;
    }
    word[len] = '\0';
    uint32_t count = atomic_load_explicit(&st->error_count, memory_order_relaxed);
    uint32_t at = 0;
    while (at < count && strcmp(st->errors[at].word, word) != 0) {
        at++;
    }
    if (at == count && count < ERRORS_MAX) {
        memcpy(st->errors[at].word, word, len + 1);
    } else if (at == count) {
        at = ERRORS_MAX;
        (void)snprintf(st->errors[at].word, WORD_MAX, "ERRORSTATS_OVERFLOW");
    }
    add(&st->errors[at].count, 1);
    if (at == count && count <= ERRORS_MAX) {
        atomic_store_explicit(&st->error_count, count + 1, memory_order_release);
    }
}

/* --- reading ------------------------------------------------------------------------------------- */

static void sum_all(struct server *s, uint32_t place, struct command_figures *sum)
{
    memset(sum, 0, sizeof(*sum));
    for (uint32_t i = 0; i < s->worker_count; i++) {
        struct block *b =
            atomic_load_explicit(&s->workers[i].stats->blocks[place], memory_order_acquire);
        if (b == NULL) {
            continue;
        }
        sum->calls += atomic_load_explicit(&b->calls, memory_order_relaxed);
        sum->us += atomic_load_explicit(&b->us, memory_order_relaxed);
        sum->rejected += atomic_load_explicit(&b->rejected, memory_order_relaxed);
        sum->failed += atomic_load_explicit(&b->failed, memory_order_relaxed);
        for (uint32_t j = 0; j < STATS_BUCKETS; j++) {
            sum->buckets[j] += atomic_load_explicit(&b->buckets[j], memory_order_relaxed);
        }
    }
}

static struct stats_base *base_of(struct server *s)
{
    if (s->stats_base == NULL) {
        s->stats_base = xcalloc(1, sizeof(*s->stats_base));
        s->stats_base->commands = xcalloc(command_total(), sizeof(struct command_figures));
    }
    return s->stats_base;
}

static void subtract(struct command_figures *f, const struct command_figures *base)
{
    f->calls -= base->calls;
    f->us -= base->us;
    f->rejected -= base->rejected;
    f->failed -= base->failed;
    for (uint32_t j = 0; j < STATS_BUCKETS; j++) {
        f->buckets[j] -= base->buckets[j];
    }
}

bool command_stats_sum(struct server *s, const struct command *cmd,
                       struct command_figures *ret_figures)
{
    sum_all(s, cmd->place, ret_figures);
    lock_acquire(&s->watch_lock);
    if (s->stats_base != NULL) {
        subtract(ret_figures, &s->stats_base->commands[cmd->place]);
    }
    lock_release(&s->watch_lock);
    ret_figures->timed = 0;
    for (uint32_t i = 0; i < STATS_BUCKETS; i++) {
        ret_figures->timed += ret_figures->buckets[i];
    }
    return ret_figures->calls + ret_figures->rejected > 0;
}

static uint64_t succeeded(const struct server *s, const struct command *cmd)
{
    uint64_t count = 0;
    for (uint32_t i = 0; (cmd->flags & COMMAND_WRITE) != 0 && i < s->worker_count; i++) {
        const struct block *b =
            atomic_load_explicit(&s->workers[i].stats->blocks[cmd->place], memory_order_acquire);
        if (b != NULL) {
            count += atomic_load_explicit(&b->calls, memory_order_relaxed) -
                     atomic_load_explicit(&b->failed, memory_order_relaxed);
        }
    }
    return count;
}

uint64_t command_stats_writes(const struct server *s)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        count += succeeded(s, cmd);
        for (uint32_t j = 0; j < cmd->sub_count; j++) {
            count += succeeded(s, &cmd->subs[j]);
        }
    }
    return count;
}

double command_stats_percentile(const struct command_figures *f, double share)
{
    double wanted = share * (double)f->timed;
    double seen = 0;
    for (uint32_t i = 0; i < STATS_BUCKETS; i++) {
        seen += (double)f->buckets[i];
        if (f->buckets[i] > 0 && seen >= wanted) {
            return (double)command_stats_bucket_end(i);
        }
    }
    return 0;
}

/* Into `ret`, one entry for each word; returns how many. */
static uint32_t sum_errors(struct server *s, struct error_count ret[ERRORS_MAX * 2])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->worker_count; i++) {
        struct command_stats *st = s->workers[i].stats;
        uint32_t known = atomic_load_explicit(&st->error_count, memory_order_acquire);
        for (uint32_t j = 0; j < known; j++) {
            uint32_t at = 0;
            while (at < count && strcmp(ret[at].word, st->errors[j].word) != 0) {
                at++;
            }
            if (at == count && count == ERRORS_MAX * 2) {
                continue;
            }
            if (at == count) {
                memcpy(ret[at].word, st->errors[j].word, WORD_MAX);
                atomic_store_explicit(&ret[at].count, 0, memory_order_relaxed);
                count++;
            }
            add(&ret[at].count, atomic_load_explicit(&st->errors[j].count, memory_order_relaxed));
        }
    }
    return count;
}

void command_stats_each_error(struct server *s, command_stats_error_fn *fn, void *arg)
{
    struct error_count *sums = xcalloc((size_t)ERRORS_MAX * 2, sizeof(*sums));
    uint32_t count = sum_errors(s, sums);
    lock_acquire(&s->watch_lock);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t base = 0;
        for (uint32_t j = 0; s->stats_base != NULL && j < s->stats_base->error_count; j++) {
            const struct error_count *e = &s->stats_base->errors[j];
            base += strcmp(e->word, sums[i].word) == 0
                        ? atomic_load_explicit(&e->count, memory_order_relaxed)
                        : 0;
        }
        uint64_t now = atomic_load_explicit(&sums[i].count, memory_order_relaxed);
        if (now > base) {
            fn(arg, sums[i].word, now - base);
        }
    }
    lock_release(&s->watch_lock);
    free(sums);
}

void command_stats_reset(struct server *s)
{
    lock_acquire(&s->watch_lock);
    struct stats_base *base = base_of(s);
    for (uint32_t i = 0; i < command_total(); i++) {
        sum_all(s, i, &base->commands[i]);
    }
    base->error_count = sum_errors(s, base->errors);
    lock_release(&s->watch_lock);
}

void command_stats_free_base(struct server *s)
{
    if (s->stats_base != NULL) {
        free(s->stats_base->commands);
        free(s->stats_base);
        s->stats_base = NULL;
    }
}
