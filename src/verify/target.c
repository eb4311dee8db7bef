/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of targets, and judging of pages.
 *
 * A page of a row shows that row or nothing. A page of a group shows some rows; every other row of the
 * table must have been elsewhere at some moment of the window. All rows of one page are judged in the
 * same window, one by one: P1. Each row alone is legal. P2. A list's sum equals the sum of its versions.
 *
 * Not done: whether there is one moment at which all rows of a page were as shown. PostgreSQL's
 * snapshots promise that; P2 catches an answer that was pieced together.
 *
 * Threads: any; each actor judges its own reads.
 */
#include "verify/target.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE_ROWS_MAX = 512 };

static const char *const table_names[RUN_TABLES] = {"item", "part", "crowd", "stage"};

static const char *const face_names[] = {
    [FACE_HTTP] = "HTTP",           [FACE_HTTP_STRICT] = "HTTP strict",
    [FACE_HTTP_GATED] = "HTTP",     [FACE_HTTP_GATED_STRICT] = "HTTP strict",
    [FACE_REDIS] = "Redis",         [FACE_REDIS_STRICT] = "Redis strict",
    [FACE_DATABASE] = "PostgreSQL",
};

bool face_is_strict(enum face face)
{
    return face == FACE_HTTP_STRICT || face == FACE_HTTP_GATED_STRICT ||
           face == FACE_REDIS_STRICT || face == FACE_DATABASE;
}

void target_path(struct target t, enum face face, char out[TARGET_NAME_MAX])
{
    bool gated = face == FACE_HTTP_GATED || face == FACE_HTTP_GATED_STRICT;
    (void)snprintf(out, TARGET_NAME_MAX, "%s%s/%s%s/%u", face_is_strict(face) ? "/strict" : "",
                   gated ? "/gated" : "", table_names[t.table], t.list ? "s" : "", t.id);
}

void target_key(struct target t, char out[TARGET_NAME_MAX])
{
    (void)snprintf(out, TARGET_NAME_MAX, "%s%s_%u", table_names[t.table], t.list ? "s" : "", t.id);
}

struct reading reading_begin(struct run *r, struct target t, enum face face)
{
    struct reading rd = {.target = t, .face = face};
    uint64_t caught_up = atomic_load_explicit(&r->caught_up_us, memory_order_acquire);
    rd.invoked_us = clock_now_us();
    if (face_is_strict(face)) {
        rd.from_us = rd.invoked_us;
        rd.rule = "strict: every commit that had returned before the request";
        return rd;
    }
    rd.from_us = rd.invoked_us - r->bound_us;
    rd.rule = "follow: every commit that had returned max_stale (and 250 ms for the OS) before the "
              "request";
    reading_promise(&rd, caught_up,
                    "follow: every commit that an earlier strict read had waited for");
    return rd;
}

void reading_promise(struct reading *rd, uint64_t from_us, const char *rule)
{
    if (from_us > rd->from_us) {
        rd->from_us = from_us;
        rd->rule = rule;
    }
}

/* --- pages -------------------------------------------------------------------------------------- */

struct page {
    uint32_t count;
    struct {
        uint32_t id;
        uint64_t version;
    } rows[PAGE_ROWS_MAX];
    bool torn; /* numbers that do not fit together */
};

static bool next_number(struct slice *rest, uint64_t *ret_value)
{
    size_t i = 0;
    while (i < rest->len && (rest->ptr[i] < '0' || rest->ptr[i] > '9')) {
        i++;
    }
    bool found = i < rest->len;
    uint64_t value = 0;
    for (; i < rest->len && rest->ptr[i] >= '0' && rest->ptr[i] <= '9'; i++) {
        value = value * 10 + (uint64_t)(rest->ptr[i] - '0');
    }
    *rest = slice_from(*rest, i);
    *ret_value = value;
    return found;
}

static void page_parse(struct page *p, struct slice text, bool totals)
{
    uint64_t id;
    uint64_t sum = 0;
    uint64_t total = 0;
    p->count = 0;
    p->torn = false;
    while (next_number(&text, &id)) {
        uint64_t version;
        if (p->count == PAGE_ROWS_MAX || !next_number(&text, &version) ||
            (totals && !next_number(&text, &total))) {
            p->torn = true;
            return;
        }
        p->rows[p->count].id = (uint32_t)id;
        p->rows[p->count].version = version;
        p->count++;
        sum += version;
    }
    p->torn = totals && sum != total;
}

/* --- judging ------------------------------------------------------------------------------------ */

struct judging {
    struct actor *actor;
    const struct reading *reading;
    struct model_window window;
    struct slice text;
    const char *outcome;
};

static bool violated(const struct judging *j, const char *wrong, uint32_t row, uint64_t seen,
                     uint64_t wanted)
{
    struct violation v = {
        .actor = j->actor->name,
        .face = face_names[j->reading->face],
        .rule = j->reading->rule,
        .wrong = wrong,
        .target = j->reading->target,
        .invoked_us = j->reading->invoked_us,
        .window = j->window,
        .row = row,
        .seen = seen,
        .wanted = wanted,
    };
    (void)snprintf(v.outcome, sizeof(v.outcome), "%s", j->outcome);
    (void)snprintf(v.page, sizeof(v.page), "%.*s", (int)j->text.len, j->text.ptr);
    run_violated(j->actor->run, &v);
    return false;
}

static bool rule_on(const struct judging *j, enum model_verdict verdict, uint32_t row,
                    uint64_t seen, uint64_t wanted)
{
    switch (verdict) {
    case MODEL_LEGAL:
        return true;
    case MODEL_STALE:
        return violated(j, "an older version", row, seen, wanted);
    case MODEL_PHANTOM:
        return violated(j, "a version that was never committed", row, seen, wanted);
    case MODEL_MISPLACED:
        return violated(j, "a row in a group where that version never was", row, seen, wanted);
    }
    unreachable();
}

static bool judge_row(const struct judging *j, const struct model_table *table,
                      const struct page *p)
{
    uint32_t id = j->reading->target.id;
    uint64_t wanted;
    if (p->count > 1 || (p->count == 1 && p->rows[0].id != id)) {
        return violated(j, "another row", id, 0, 0);
    }
    const struct model_row *row = &table->rows[id];
    uint64_t seen = p->count == 1 ? p->rows[0].version : 0;
    enum model_verdict v = seen != 0
                               ? model_judge(row, seen, MODEL_ANY_GROUP, &j->window, &wanted)
                               : model_judge_absent(row, MODEL_ANY_GROUP, &j->window, &wanted);
    return rule_on(j, v, id, seen, wanted);
}

static bool judge_list(const struct judging *j, const struct model_table *table,
                       const struct page *p)
{
    int32_t group = (int32_t)j->reading->target.id;
    uint64_t wanted;
    uint32_t at = 0; /* pages are in order of id */
    for (uint32_t id = 0; id < table->row_count; id++) {
        const struct model_row *row = &table->rows[id];
        bool shown = at < p->count && p->rows[at].id == id;
        uint64_t seen = shown ? p->rows[at].version : 0;
        enum model_verdict v = shown ? model_judge(row, seen, group, &j->window, &wanted)
                                     : model_judge_absent(row, group, &j->window, &wanted);
        if (!rule_on(j, v, id, seen, wanted)) {
            return false;
        }
        at += shown ? 1 : 0;
    }
    return at == p->count || violated(j, "a row twice, out of order or unknown", UINT32_MAX, 0, 0);
}

static void count_age(struct actor *a, uint64_t age_us)
{
    uint32_t bucket = age_us == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(age_us);
    run_add(&a->counters.ages[bucket < RUN_AGES ? bucket : RUN_AGES - 1], 1);
}

/* How long a hit had been outdated when it was asked for. */
static void note_age(struct actor *a, const struct reading *rd, const struct model_table *table,
                     const struct page *p)
{
    uint64_t age_us = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        uint64_t ended = model_ended(&table->rows[p->rows[i].id], p->rows[i].version);
        if (ended != 0 && ended < rd->invoked_us && rd->invoked_us - ended > age_us) {
            age_us = rd->invoked_us - ended;
        }
    }
    _Atomic uint64_t *oldest_us = &a->counters.oldest_us;
    if (atomic_load_explicit(&a->run->cut, memory_order_relaxed)) {
        oldest_us = &a->counters.oldest_cut_us;
    } else {
        count_age(a, age_us);
    }
    if (age_us > atomic_load_explicit(oldest_us, memory_order_relaxed)) {
        atomic_store_explicit(oldest_us, age_us, memory_order_relaxed);
    }
}

bool reading_judge(struct actor *a, const struct reading *rd, struct slice text,
                   const char *outcome, bool hit)
{
    const struct model_table *table = &a->run->tables[rd->target.table];
    bool http = rd->face <= FACE_HTTP_GATED_STRICT;
    struct page p;
    struct judging j = {a, rd, {rd->from_us, clock_now_us()}, text, outcome};
    page_parse(&p, text, http && rd->target.list);
    if (p.torn) {
        return violated(&j, "a page whose numbers do not fit together", UINT32_MAX, 0, 0);
    }
    if (!(rd->target.list ? judge_list(&j, table, &p) : judge_row(&j, table, &p))) {
        return false;
    }
    if (hit && !face_is_strict(rd->face)) {
        note_age(a, rd, table, &p);
    }
    return true;
}
