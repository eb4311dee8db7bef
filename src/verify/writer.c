/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writers: every way in which an application changes rows, at a steady pace.
 *
 * One transaction in ten is rolled back, one in twenty writes many rows, one in ten does not wait for the
 * disk. Rows move between groups and between keys, disappear and come back, tables are truncated and
 * filled again, by INSERT and by COPY. After some commits the writer SETs the new value itself
 * (write-through), at once or after a pause, as applications do.
 *
 * Threads: each writer is an actor with its own connections.
 */
#include "verify/tx.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/number.h"
#include "verify/wire.h"

#include <stdio.h>
#include <stdlib.h>

enum { WRITERS = 3, THROUGH_MAX_US = 200 * 1000, BULK_ROWS = 60 };

struct writer {
    struct actor *actor;
    struct db db;
    struct tx tx;
    struct wire redis;
    /* A write-through that waits: at most one. */
    struct target through;
    uint64_t through_version;
    uint64_t through_due_us; /* 0: none */
    uint64_t through_written_us;
};

static const struct model_table *table_of(const struct writer *w, enum run_table t)
{
    return &w->actor->run->tables[t];
}

static enum run_table any_table(struct actor *a)
{
    uint32_t die = actor_random(a, 10);
    return die < 6 ? RUN_ITEM : die < 9 ? RUN_PART : RUN_CROWD;
}

/* Half of the writes go to an eighth of the rows. */
static uint32_t any_row(struct actor *a, const struct model_table *t)
{
    return actor_random(a, actor_chance(a, 50) ? t->row_count / 8 : t->row_count);
}

static int32_t any_group(struct actor *a, const struct model_table *t)
{
    return (int32_t)actor_random(a, t->groups);
}

static enum tx_how any_how(struct actor *a)
{
    uint32_t die = actor_random(a, 100);
    return die < 10   ? TX_ROLLBACK
           : die < 20 ? TX_ASYNC
           : die < 25 ? TX_SAVEPOINT
           : die < 55 ? TX_EXPLICIT
                      : TX_IMPLICIT;
}

/* --- write-through --------------------------------------------------------------------------------- */

static bool through_send(struct writer *w)
{
    char key[TARGET_NAME_MAX];
    char page[64];
    struct resp_reply reply;
    struct actor *a = w->actor;
    uint64_t begun_us = clock_now_us();
    w->through_due_us = 0;
    if (begun_us - w->through_written_us > a->run->options->lease_ms * 500ULL) {
        run_count(a, sets_given_up);
        return true;
    }
    target_key(w->through, key);
    int len = snprintf(page, sizeof(page), "%u:%llu", w->through.id,
                       (unsigned long long)w->through_version);
    if (!resp_ask(&w->redis, 3, (struct slice[]){SLICE("SET"), slice_of(key), {page, (size_t)len}},
                  &reply)) {
        return false;
    }
    run_count(a, sets_through);
    journal_add(a, "set", w->through, begun_us, clock_now_us(), "write-through of \"%s\"", page);
    return true;
}

static void through_plan(struct writer *w, enum run_table table, uint32_t id, uint64_t version)
{
    if (w->through_due_us == 0 && actor_chance(w->actor, 15)) {
        uint64_t now_us = clock_now_us();
        w->through = (struct target){.table = table, .id = id};
        w->through_version = version;
        w->through_written_us = now_us;
        w->through_due_us =
            now_us + (actor_chance(w->actor, 50) ? 0 : actor_random(w->actor, THROUGH_MAX_US));
    }
}

/* --- ways to write --------------------------------------------------------------------------------- */

static bool write_row(struct writer *w)
{
    struct actor *a = w->actor;
    enum run_table table = any_table(a);
    const struct model_table *t = table_of(w, table);
    enum tx_how how = any_how(a);
    uint64_t version = 0;
    tx_begin(&w->tx, table, "single row");
    uint32_t i = tx_lock(&w->tx, any_row(a, t));
    struct tx_change *c = &w->tx.changes[i];
    uint32_t id = c->id;
    if (c->old_group == MODEL_ABSENT || actor_chance(a, 12)) {
        run_count(a, moves);
        tx_set(&w->tx, i, any_group(a, t));
    } else {
        tx_set(&w->tx, i, actor_chance(a, 4) ? MODEL_ABSENT : c->old_group);
    }
    if (how != TX_ROLLBACK && c->new_group != MODEL_ABSENT) {
        version = c->number;
    }
    bool ok = tx_send(&w->tx, how);
    tx_end(&w->tx);
    if (ok && version != 0) {
        through_plan(w, table, id, version);
    }
    return ok;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool write_many(struct writer *w)
{
    struct actor *a = w->actor;
    enum run_table table = any_table(a);
    const struct model_table *t = table_of(w, table);
    bool whole = table == RUN_CROWD && actor_chance(a, 60);
    uint32_t ids[BULK_ROWS];
    uint32_t count = 2 + actor_random(a, BULK_ROWS - 2);
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = any_row(a, t);
    }
    qsort(ids, count, sizeof(ids[0]), by_number);
    tx_begin(&w->tx, table, whole ? "every row" : "many rows");
    if (whole) {
        for (uint32_t id = 0; id < t->row_count; id++) {
            (void)tx_lock(&w->tx, id);
        }
    } else {
        for (uint32_t i = 0; i < count; i++) {
            if (i == 0 || ids[i] != ids[i - 1]) {
                (void)tx_lock(&w->tx, ids[i]);
            }
        }
    }
    for (uint32_t i = 0; i < w->tx.count; i++) {
        int32_t old = w->tx.changes[i].old_group;
        bool moves = !whole && (old == MODEL_ABSENT || actor_chance(a, 10));
        if (old != MODEL_ABSENT || moves) {
            tx_set(&w->tx, i, moves ? any_group(a, t) : old);
        }
    }
    bool ok = tx_send(&w->tx, actor_chance(a, 10) ? TX_ROLLBACK : TX_IMPLICIT);
    tx_end(&w->tx);
    run_count(a, bulks);
    return ok;
}

/* UPDATE of the key itself: the row that was a is b now. */
static bool move_key(struct writer *w)
{
    struct actor *a = w->actor;
    enum run_table table = actor_chance(a, 50) ? RUN_ITEM : RUN_PART;
    const struct model_table *t = table_of(w, table);
    uint32_t low = actor_random(a, t->row_count - 1);
    uint32_t high = low + 1 + actor_random(a, t->row_count - low - 1);
    tx_begin(&w->tx, table, "key moves");
    (void)tx_lock(&w->tx, low);
    (void)tx_lock(&w->tx, high);
    uint32_t from = w->tx.changes[0].old_group != MODEL_ABSENT ? 0 : 1;
    uint32_t to = 1 - from;
    bool ok = true;
    if (w->tx.changes[from].old_group != MODEL_ABSENT) {
        char sql[256];
        int32_t group = any_group(a, t);
        int len = 0;
        bool both = w->tx.changes[to].old_group != MODEL_ABSENT;
        tx_set(&w->tx, from, MODEL_ABSENT);
        tx_set(&w->tx, to, group);
        if (both) {
            len = snprintf(sql, sizeof(sql), "DELETE FROM verify.%s WHERE id = %u;", t->name,
                           w->tx.changes[to].id);
        }
        (void)snprintf(sql + len, sizeof(sql) - (size_t)len,
                       "UPDATE verify.%s SET id = %u, grp = %d, v = %llu WHERE id = %u", t->name,
                       w->tx.changes[to].id, group, (unsigned long long)w->tx.changes[to].number,
                       w->tx.changes[from].id);
        ok = tx_send_raw(&w->tx, sql);
        if (ok) {
            tx_committed(&w->tx, clock_now_us());
            run_count(a, moves);
        }
    }
    tx_end(&w->tx);
    return ok;
}

/* The table is emptied and filled again, in one transaction or in two. In one, nobody may find it empty. */
static bool truncate_table(struct writer *w)
{
    struct actor *a = w->actor;
    enum run_table table = actor_chance(a, 50) ? RUN_ITEM : RUN_PART;
    const struct model_table *t = table_of(w, table);
    char sql[96];
    struct buf lines;
    bool apart = actor_chance(a, 50);
    bool ok = true;
    buf_init(&lines);
    (void)snprintf(sql, sizeof(sql), "%sTRUNCATE verify.%s", apart ? "" : "BEGIN;", t->name);
    tx_begin(&w->tx, table, "truncate");
    for (uint32_t id = 0; id < t->row_count; id++) {
        uint32_t i = tx_lock(&w->tx, id);
        if (apart && w->tx.changes[i].old_group != MODEL_ABSENT) {
            tx_set(&w->tx, i, MODEL_ABSENT);
        }
    }
    if (apart) {
        ok = tx_send_raw(&w->tx, sql);
        if (ok) {
            tx_committed(&w->tx, clock_now_us());
        }
    }
    for (uint32_t i = 0; i < w->tx.count; i++) {
        int32_t group = any_group(a, t);
        tx_set(&w->tx, i, group);
        buf_printf(&lines, "%u\t%d\t%llu\n", i, group, (unsigned long long)w->tx.changes[i].number);
    }
    ok = ok && (apart || tx_send_raw(&w->tx, sql)) &&
         db_copy(&w->db, t->name, buf_readable(&lines)) && (apart || tx_send_raw(&w->tx, "COMMIT"));
    if (ok) {
        tx_committed(&w->tx, clock_now_us());
    }
    tx_end(&w->tx);
    buf_fini(&lines);
    run_count(a, truncates);
    return ok;
}

/* --- the thread ------------------------------------------------------------------------------------ */

static bool write_something(struct writer *w)
{
    uint32_t die = actor_random(w->actor, 1000);
    if (die < 3) {
        return truncate_table(w);
    }
    if (die < 50) {
        return write_many(w);
    }
    if (die < 90) {
        return move_key(w);
    }
    return write_row(w);
}

void writer_body(struct actor *a)
{
    struct writer *w = xcalloc(1, sizeof(*w));
    struct resp_reply reply;
    uint64_t gap_us =
        WRITERS * 1000000ULL / (a->run->options->writes > 0 ? a->run->options->writes : 1);
    uint64_t next_us = clock_now_us();
    w->actor = a;
    w->redis.fd = -1;
    tx_init(&w->tx, a, &w->db);
    bool ok = db_open(&w->db, a->run) && wire_open(&w->redis, a->run, a->run->options->resp) &&
              resp_ask(&w->redis, 2, (struct slice[]){SLICE("SELECT"), SLICE("1")}, &reply);
    while (ok && !run_stopping(a->run)) {
        uint64_t now_us = clock_now_us();
        if (w->through_due_us != 0 && w->through_due_us <= now_us) {
            ok = through_send(w);
        } else if (next_us <= now_us) {
            ok = write_something(w);
            /* Random gaps; what could not be done in time is not made up for. */
            next_us += actor_random(a, (uint32_t)(2 * gap_us));
            next_us = next_us + 100000 < now_us ? now_us : next_us;
        } else {
            actor_pause(a, next_us - now_us);
        }
    }
    wire_close(&w->redis);
    db_close(&w->db);
    tx_fini(&w->tx);
    free(w);
}
