/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What people see: a line a second, the verdict, and for a violation the shortest history that shows it.
 *
 * Every actor keeps a journal, a ring of the last things that it did beside hits: writes, misses, SETs,
 * fills. A violation's history is what all journals say about its row and its page, merged by time, from
 * the commit that should have been seen (or a little before it) to the read. Times are in milliseconds before
 * and after the read was invoked.
 *
 * Threads: run_violated and journal_add: actors (a journal has one writer). All else: main; histories are
 * put together after every actor has ended.
 */
#include "verify/target.h"

#include "base/check.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { HISTORY_LINES = 24, HISTORY_BEFORE_US = 3 * 1000 * 1000 };

#define get(c, field) atomic_load_explicit(&(c)->field, memory_order_relaxed)

void journal_add(struct actor *a, const char *what, struct target t, uint64_t begun_us,
                 uint64_t ended_us, const char *fmt, ...)
{
    struct event *e = &a->events[a->event_count++ % RUN_EVENTS];
    va_list args;
    e->begun_us = begun_us;
    e->ended_us = ended_us;
    e->target = t;
    e->what = what;
    va_start(args, fmt);
    (void)vsnprintf(e->text, sizeof(e->text), fmt, args);
    va_end(args);
}

void run_violated(struct run *r, const struct violation *v)
{
    check(pthread_mutex_lock(&r->lock) == 0);
    if (r->violation_count < RUN_VIOLATIONS_MAX) {
        r->violations[r->violation_count] = *v;
    }
    r->violation_count++;
    check(pthread_mutex_unlock(&r->lock) == 0);
    atomic_store_explicit(&r->stop, true, memory_order_relaxed);
}

/* --- sums ----------------------------------------------------------------------------------------- */

static void sum_counters(const struct run *r, struct run_counters *ret_sum)
{
    *ret_sum = (struct run_counters){0};
    for (uint32_t i = 0; i < r->actor_count; i++) {
        const struct run_counters *c = &r->actors[i].counters;
#define X(name, help) run_add(&ret_sum->name, get(c, name));
        RUN_COUNTERS(X)
#undef X
        for (uint32_t b = 0; b < RUN_AGES; b++) {
            run_add(&ret_sum->ages[b], get(c, ages[b]));
        }
        if (get(c, oldest_us) > get(ret_sum, oldest_us)) {
            ret_sum->oldest_us = get(c, oldest_us);
        }
        if (get(c, oldest_cut_us) > get(ret_sum, oldest_cut_us)) {
            ret_sum->oldest_cut_us = get(c, oldest_cut_us);
        }
    }
}

static uint64_t reads_of(const struct run_counters *c)
{
    return get(c, http_follow) + get(c, http_strict) + get(c, http_own) + get(c, redis_follow) +
           get(c, redis_strict);
}

uint64_t report_reads(const struct run *r)
{
    struct run_counters sum;
    sum_counters(r, &sum);
    return reads_of(&sum);
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static uint64_t violations_of(struct run *r)
{
    check(pthread_mutex_lock(&r->lock) == 0);
    uint64_t count = r->violation_count;
    check(pthread_mutex_unlock(&r->lock) == 0);
    return count;
}

#define share(now, last, hits, all)                                                                \
    percent(get(now, hits) - get(last, hits), get(now, all) - get(last, all))

void report_progress(struct run *r, uint64_t elapsed_us, struct run_counters *last)
{
    struct run_counters now;
    sum_counters(r, &now);
    (void)printf("%4" PRIu64 " s  %9" PRIu64 " reads (%" PRIu64
                 "/s)  hits: http %2.0f %%, strict %2.0f %%, "
                 "redis %2.0f %%  %7" PRIu64 " commits (%" PRIu64 "/s)  %" PRIu64
                 " scenes  %" PRIu64 " violations\n",
                 elapsed_us / 1000000, reads_of(&now), reads_of(&now) - reads_of(last),
                 share(&now, last, http_follow_hits, http_follow),
                 share(&now, last, http_strict_hits, http_strict),
                 share(&now, last, redis_follow_hits, redis_follow), get(&now, commits),
                 get(&now, commits) - get(last, commits), get(&now, scenes), violations_of(r));
    (void)fflush(stdout);
    *last = now;
}

/* --- a history -------------------------------------------------------------------------------------- */

static void name_target(const struct run *r, struct target t, char *out, size_t size)
{
    (void)snprintf(out, size, t.list ? "list of %s, group %u" : "row of %s, id %u",
                   r->tables[t.table].name, t.id);
}

static bool concerns(const struct violation *v, const struct event *e, uint64_t from_us)
{
    if (e->ended_us < from_us || e->begun_us > v->window.to_us) {
        return false;
    }
    if (e->target.table != v->target.table) {
        return e->target.table == RUN_TABLES;
    }
    bool same_page = e->target.list == v->target.list && e->target.id == v->target.id;
    return same_page || (!e->target.list && e->target.id == v->row);
}

struct line {
    const struct event *event;
    const char *actor;
};

static int by_time(const void *a, const void *b)
{
    uint64_t x = ((const struct line *)a)->event->begun_us;
    uint64_t y = ((const struct line *)b)->event->begun_us;
    return x < y ? -1 : x > y;
}

static void print_history(const struct run *r, const struct violation *v, uint64_t from_us)
{
    struct line *lines = calloc((size_t)RUN_EVENTS * r->actor_count, sizeof(*lines));
    size_t count = 0;
    check(lines != NULL);
    for (uint32_t i = 0; i < r->actor_count; i++) {
        const struct actor *a = &r->actors[i];
        for (uint64_t n = a->event_count > RUN_EVENTS ? a->event_count - RUN_EVENTS : 0;
             n < a->event_count; n++) {
            const struct event *e = &a->events[n % RUN_EVENTS];
            if (concerns(v, e, from_us)) {
                lines[count++] = (struct line){e, a->name};
            }
        }
    }
    qsort(lines, count, sizeof(*lines), by_time);
    size_t first = count > HISTORY_LINES ? count - HISTORY_LINES : 0;
    (void)printf("  history (ms before and after the read was invoked):\n");
    for (size_t i = first; i < count; i++) {
        const struct event *e = lines[i].event;
        (void)printf("  %10.3f .. %9.3f  %-5s  %s (%s)\n",
                     ((double)e->begun_us - (double)v->invoked_us) / 1000.0,
                     ((double)e->ended_us - (double)v->invoked_us) / 1000.0, e->what, e->text,
                     lines[i].actor);
    }
    free(lines);
}

static double since_invoked(const struct violation *v, uint64_t at_us)
{
    return ((double)at_us - (double)v->invoked_us) / 1000.0;
}

static void print_violation(const struct run *r, const struct violation *v)
{
    char target[64];
    const struct model_row *row =
        v->row != UINT32_MAX ? &r->tables[v->target.table].rows[v->row] : NULL;
    const struct model_version *wanted = row != NULL ? model_find(row, v->wanted) : NULL;
    uint64_t from_us = v->invoked_us - HISTORY_BEFORE_US;
    name_target(r, v->target, target, sizeof(target));
    (void)printf("\nVIOLATION: %s, %s, read by %s\n", v->face, target, v->actor);
    (void)printf("  promised: %s\n  came:     %s\n", v->rule, v->wrong);
    (void)printf("  invoked %.3f s into the run, returned %.3f ms later; had to reflect commits up "
                 "to %.3f ms\n",
                 (double)(v->invoked_us - r->begun_us) / 1e6, since_invoked(v, v->window.to_us),
                 since_invoked(v, v->window.from_us));
    if (row != NULL && v->seen != 0) {
        (void)printf("  row %u was read with version %" PRIu64, v->row, v->seen);
    } else if (row != NULL) {
        (void)printf("  row %u was absent", v->row);
    } else {
        (void)printf("  the whole page");
    }
    (void)printf("; outcome: %s\n  page: %s\n", v->outcome, v->page);
    if (wanted != NULL) {
        uint64_t acked_us = get(wanted, acked_us);
        (void)printf("  version %" PRIu64
                     " was committed: its COMMIT was sent at %.3f ms and had returned at "
                     "%.3f ms\n",
                     v->wanted, since_invoked(v, get(wanted, sent_us)), since_invoked(v, acked_us));
    }
    print_history(r, v, from_us);
}

/* Of the violations at hand the one whose story spans the least time. */
/* After all actors have ended: the violation with the shortest history, and that history. */
static void report_violations(struct run *r)
{
    uint64_t kept =
        r->violation_count < RUN_VIOLATIONS_MAX ? r->violation_count : RUN_VIOLATIONS_MAX;
    const struct violation *best = NULL;
    uint64_t best_span = UINT64_MAX;
    for (uint64_t i = 0; i < kept; i++) {
        const struct violation *v = &r->violations[i];
        uint64_t span = v->window.to_us - v->window.from_us;
        if (span < best_span) {
            best = v;
            best_span = span;
        }
    }
    if (best != NULL) {
        print_violation(r, best);
    }
}

/* --- the summary ------------------------------------------------------------------------------------- */

static void print_level(const char *name, uint64_t reads, uint64_t hits)
{
    (void)printf("  %-22s %9" PRIu64 " reads, %5.1f %% hits\n", name, reads, percent(hits, reads));
}

/* The age below which a share of the outdated hits were: the upper end of a bucket, us. */
static uint64_t age_at(const struct run_counters *c, uint64_t outdated, uint32_t percent_below)
{
    uint64_t seen = 0;
    for (uint32_t b = 1; b < RUN_AGES; b++) {
        seen += get(c, ages[b]);
        if (seen * 100 >= outdated * percent_below) {
            return (uint64_t)1 << b;
        }
    }
    return 0;
}

static void print_ages(const struct run_counters *c, uint32_t max_stale_ms)
{
    uint64_t hits = 0;
    for (uint32_t b = 0; b < RUN_AGES; b++) {
        hits += get(c, ages[b]);
    }
    uint64_t outdated = hits - get(c, ages[0]);
    (void)printf("  follow hits: %.3f %% were behind a commit that had returned",
                 percent(outdated, hits));
    if (outdated > 0) {
        (void)printf(
            ", half of them by less than %.1f ms, 99 %% by less than %.1f ms, none by more than "
            "%.1f ms",
            (double)age_at(c, outdated, 50) / 1000.0, (double)age_at(c, outdated, 99) / 1000.0,
            (double)get(c, oldest_us) / 1000.0);
    }
    (void)printf("\n");
    if (get(c, cuts) > 0) {
        (void)printf("  while contact was cut: none by more than %.1f ms (max_stale: %u ms)\n",
                     (double)get(c, oldest_cut_us) / 1000.0, max_stale_ms);
    }
}

static void print_text(struct run *r, const struct run_counters *c, uint64_t elapsed_us)
{
    (void)printf("\n");
    print_level("HTTP follow", get(c, http_follow), get(c, http_follow_hits));
    print_level("HTTP strict", get(c, http_strict), get(c, http_strict_hits));
    print_level("HTTP own writes", get(c, http_own), get(c, http_own_hits));
    print_level("Redis follow", get(c, redis_follow), get(c, redis_follow_hits));
    print_level("Redis strict", get(c, redis_strict), get(c, redis_strict_hits));
    print_ages(c, r->options->max_stale_ms);
    (void)printf("  %" PRIu64 " HTTP reads joined another's fill, %" PRIu64
                 " were not modified, %" PRIu64 " went past the cache, %" PRIu64 " errors\n",
                 get(c, http_joined), get(c, http_unchanged), get(c, http_bypassed),
                 get(c, http_errors));
    (void)printf("  %" PRIu64 " SETs: %" PRIu64 " late, %" PRIu64 " by token; %" PRIu64
                 " write-throughs; %" PRIu64 " given up%s\n",
                 get(c, sets), get(c, sets_late), get(c, sets_token), get(c, sets_through),
                 get(c, sets_given_up), r->has_tokens ? "" : "; this freshet has no fill tokens");
    (void)printf("  %" PRIu64 " commits (%" PRIu64 " async, %" PRIu64 " of many rows, %" PRIu64
                 " POSTs), %" PRIu64 " rows, %" PRIu64 " rollbacks, %" PRIu64 " moves, %" PRIu64
                 " TRUNCATEs\n",
                 get(c, commits), get(c, commits_async), get(c, bulks), get(c, posts),
                 get(c, rows_written), get(c, rolled_back), get(c, moves), get(c, truncates));
    (void)printf("  %" PRIu64 " scenes, of which %" PRIu64 " commits held back and %" PRIu64
                 " connections cut%s, and %" PRIu64 " readings of everything at rest\n",
                 get(c, scenes), get(c, stalls), get(c, cuts),
                 r->options->disturb ? "" : " (not without --disturb)", get(c, censuses));
    report_violations(r);
    (void)printf("\nverify: %" PRIu64 " reads in %.1f s, seed %" PRIu64 ": ", reads_of(c),
                 (double)elapsed_us / 1e6, r->options->seed);
    if (r->violation_count > 0) {
        (void)printf("%" PRIu64 " VIOLATIONS\n", r->violation_count);
    } else if (r->failure[0] != '\0') {
        (void)printf("COULD NOT CHECK: %s\n", r->failure);
    } else {
        (void)printf("0 violations\n");
    }
}

static void print_json(const struct run *r, const struct run_counters *c, uint64_t elapsed_us)
{
    (void)printf("{\"seed\":%" PRIu64 ",\"reads\":%" PRIu64 ",\"elapsed_ms\":%" PRIu64
                 ",\"violations\":%" PRIu64 ",\"failed\":%s",
                 r->options->seed, reads_of(c), elapsed_us / 1000, r->violation_count,
                 r->failure[0] != '\0' ? "true" : "false");
#define X(name, help) (void)printf(",\"" #name "\":%" PRIu64, get(c, name));
    RUN_COUNTERS(X)
#undef X
    (void)printf(",\"oldest_hit_us\":%" PRIu64 "}\n", get(c, oldest_us));
}

void report_summary(struct run *r, uint64_t elapsed_us)
{
    struct run_counters sum;
    sum_counters(r, &sum);
    print_text(r, &sum, elapsed_us);
    if (r->options->json) {
        print_json(r, &sum, elapsed_us);
    }
    (void)fflush(stdout);
}
